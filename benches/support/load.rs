//! Many connections that send a stock of requests as fast as responses arrive, for a bounded time.

use super::client::Connection;
use super::request_stock::RequestStock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub connections: usize,
    /// Sent before the measuring begins.
    pub warm_up: Duration,
    pub measured: Duration,
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Outcome {
    /// All responses with 200.
    pub answered: u64,
    /// Those within the measured time.
    pub within: u64,
    /// The measured time: shorter than requested if the stock was used up.
    pub window: Duration,
    /// The time from each request to its response in microseconds, ascending; without the warm-up.
    pub micros: Vec<u32>,
}

struct Sender {
    connection: Connection,
    stock: Arc<RequestStock>,
    next: Arc<AtomicUsize>,
    begin: Instant,
    end: Instant,
}

impl Load {
    /// Sends each request of the stock once at most, until the time is over; those in flight are waited for.
    ///
    /// # Errors
    /// If a response is not 200.
    pub async fn drive(self, address: SocketAddr, stock: &Arc<RequestStock>) -> anyhow::Result<Outcome> {
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            connections.push(Connection::open(address).await?);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now() + self.warm_up;
        let end = begin + self.measured;
        let mut senders = JoinSet::new();
        for connection in connections {
            let sender = Sender { connection, stock: stock.clone(), next: next.clone(), begin, end };
            senders.spawn(sender.send());
        }
        let mut outcome = Outcome::default();
        while let Some(sent) = senders.join_next().await {
            let sent = sent??;
            outcome.answered += sent.answered;
            outcome.within += sent.within;
            outcome.micros.extend(sent.micros);
            outcome.window = outcome.window.max(sent.window);
        }
        outcome.micros.sort_unstable();
        Ok(outcome)
    }
}

impl Sender {
    async fn send(mut self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        loop {
            let sent = Instant::now();
            let request = self.stock.get(self.next.fetch_add(1, Ordering::Relaxed));
            let (Some(request), true) = (request, sent < self.end) else {
                outcome.window = sent.min(self.end).saturating_duration_since(self.begin);
                return Ok(outcome);
            };
            self.connection.ask(request).await?;
            outcome.answered += 1;
            let answered = Instant::now();
            if (self.begin..self.end).contains(&answered) {
                outcome.within += 1;
            }
            if sent >= self.begin {
                outcome.micros.push((answered - sent).as_micros().try_into().unwrap_or(u32::MAX));
            }
        }
    }
}
