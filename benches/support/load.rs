//! Many connections that send a stock as fast as it is answered, for a bounded time.

use super::client::Connection;
use super::stock::RequestStock;
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

/// What was seen.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests answered with 200 in all.
    pub answered: u64,
    /// Those answered while it was measured.
    pub within: u64,
    /// How long it was measured: less than was asked for if the stock came to its end.
    pub window: Duration,
    /// The time from each request to its answer, in microseconds, from the smallest up; without the warm-up.
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
    /// If any answer is not 200.
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
