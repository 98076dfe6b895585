//! Many connections that repeat a query for a bounded time.

use crate::support::client::Connection;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: usize,
    /// Warm-up.
    pub warm_up: Duration,
    pub measured: Duration,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub per_second: f64,
    /// In milliseconds.
    pub median: f64,
    pub p99: f64,
}

impl Load {
    /// Sends until the time is over: each connection the request for its number.
    ///
    /// # Errors
    /// If a response is not 200.
    pub async fn drive(self, address: SocketAddr, request: impl Fn(usize) -> Vec<u8>) -> anyhow::Result<Figures> {
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            connections.push(Connection::open(address).await?);
        }
        let begin = Instant::now() + self.warm_up;
        let end = begin + self.measured;
        let mut asking = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            asking.spawn(ask(connection, request(number), begin, end));
        }
        let mut micros: Vec<u32> = Vec::new();
        while let Some(seen) = asking.join_next().await {
            micros.extend(seen??);
        }
        micros.sort_unstable();
        let at = |share: usize| micros.get(micros.len() * share / 100).map_or(f64::NAN, |at| f64::from(*at) / 1000.0);
        let per_second = micros.len() as f64 / self.measured.as_secs_f64();
        Ok(Figures { per_second, median: at(50), p99: at(99) })
    }
}

// The latencies within the measured time, in microseconds.
async fn ask(mut connection: Connection, request: Vec<u8>, begin: Instant, end: Instant) -> anyhow::Result<Vec<u32>> {
    let mut micros = Vec::new();
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(micros);
        }
        connection.ask(&request).await?;
        let answered = Instant::now();
        if (begin..end).contains(&answered) {
            micros.push((answered - sent).as_micros().try_into().unwrap_or(u32::MAX));
        }
    }
}
