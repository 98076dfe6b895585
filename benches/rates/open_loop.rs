//! Requests at a fixed rate, whatever the time to the responses: no request waits for the response to another one. A request's
//! latency begins when it is due to be sent, so it includes the wait behind slow ones.

use crate::support::client::Connection;
use anyhow::ensure;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The most connections. Their number is that of the requests that are in flight at once.
pub const MAX_CONNECTIONS: usize = 512;

#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    /// Requests per second.
    pub rate: u32,
    pub duration: Duration,
}

/// The times to the responses in microseconds, ascending.
#[derive(Debug, Default)]
pub struct Latencies(Vec<u32>);

/// Connections that are kept open and used in turn, so that none is idle for long.
struct ConnectionPool {
    address: SocketAddr,
    idle: Mutex<VecDeque<Connection>>,
    opened: AtomicUsize,
}

impl OpenLoop {
    /// How many requests it sends.
    pub fn requests(self) -> usize {
        (self.duration.as_secs_f64() * f64::from(self.rate)) as usize
    }

    /// Sends all requests, each made from its number, and waits for the responses.
    ///
    /// # Errors
    /// If a response is not 200, or too many are waited for.
    pub async fn drive(
        self,
        address: SocketAddr,
        request: impl Fn(usize) -> Vec<u8> + Send + 'static,
    ) -> anyhow::Result<Latencies> {
        let pool = Arc::new(ConnectionPool { address, idle: Mutex::default(), opened: AtomicUsize::new(0) });
        let runtime = Handle::current();
        // A thread of its own: the timer of the runtime counts whole milliseconds.
        let sent = tokio::task::spawn_blocking(move || self.send(&runtime, &pool, request)).await?;
        let mut micros = Vec::with_capacity(sent.len());
        for response in sent {
            micros.push(response.await??);
        }
        micros.sort_unstable();
        Ok(Latencies(micros))
    }

    fn send(
        self,
        runtime: &Handle,
        pool: &Arc<ConnectionPool>,
        request: impl Fn(usize) -> Vec<u8>,
    ) -> Vec<JoinHandle<anyhow::Result<u32>>> {
        let begin = Instant::now();
        let send = |number: usize| {
            let request = request(number);
            let due = begin + Duration::from_secs_f64(number as f64 / f64::from(self.rate));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            runtime.spawn(pool.clone().ask(request, Instant::now()))
        };
        (0..self.requests()).map(send).collect()
    }
}

impl ConnectionPool {
    /// Microseconds from this time to the response.
    async fn ask(self: Arc<Self>, request: Vec<u8>, since: Instant) -> anyhow::Result<u32> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let opened = self.opened.fetch_add(1, Ordering::Relaxed);
                ensure!(opened < MAX_CONNECTIONS, "{opened} requests are waiting for a response");
                Connection::open(self.address).await?
            }
        };
        connection.ask(&request).await?;
        let micros = since.elapsed().as_micros().try_into().unwrap_or(u32::MAX);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(connection);
        Ok(micros)
    }
}

impl Latencies {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds that this share of the responses took at most.
    pub fn at(&self, share: f64) -> f64 {
        let index = (self.0.len().saturating_sub(1) as f64 * share).round() as usize;
        self.0.get(index).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }
}
