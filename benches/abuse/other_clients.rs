//! The latency of other clients while abusive documents arrive. Each sender is a thread that sleeps until its request is due:
//! a timer of tokio is up to a millisecond late, which is longer than a response takes.

use super::bombs::{self, Bomb};
use crate::client::Connection;
use anyhow::{anyhow, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connections of the other clients, and their requests per second in total.
pub const CONNECTIONS: u32 = 8;
pub const REQUEST_RATE: u32 = 400;
/// Abusive documents per second.
pub const BOMB_RATE: u32 = 100;
const QUERY: &str = "{ inspections(first: 5) { nodes { id status } } }";
/// Until all connections are open.
const OPENING: Duration = Duration::from_millis(100);
/// How late the last response may be.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds, ascending.
#[derive(Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn quantile(&self, share: f64) -> f64 {
        let index = (self.0.len().saturating_sub(1)) as f64 * share;
        self.0.get(index as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, millis: Vec<f64>) {
        self.0.extend(millis);
        self.0.sort_unstable_by(f64::total_cmp);
    }
}

/// Latency of other clients without and with abusive documents, and of these documents.
#[derive(Default)]
pub struct ClientLatency {
    pub without: Times,
    pub with: Times,
    pub bombs: Times,
}

/// Alternates between turns of this length: without abusive documents and with them.
pub fn measure(address: SocketAddr, bombs: &[Bomb], turns: usize, length: Duration) -> anyhow::Result<ClientLatency> {
    let mut others = ClientLatency::default();
    for turn in 0..turns {
        others.without.add(measure_turn(address, length, None)?.0);
        // Numbers that no document had before.
        let first = 1_000_000 + turn * 100_000;
        let (asked, refused) = measure_turn(address, length, Some((bombs, first)))?;
        others.with.add(asked);
        others.bombs.add(refused);
    }
    Ok(others)
}

/// Milliseconds of the queries, and of the abusive documents.
fn measure_turn(
    address: SocketAddr,
    length: Duration,
    bombs: Option<(&[Bomb], usize)>,
) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let question = bombs::post(QUERY);
    let question = &question;
    let begin = Instant::now() + OPENING;
    let end = begin + length;
    let asking = |index: u32| {
        let clock = SendSchedule {
            begin: begin + Duration::from_secs(1) * index / REQUEST_RATE,
            pace: REQUEST_RATE / CONNECTIONS,
            end,
        };
        let check = |status, _: &[u8]| {
            ensure!(status == 200, "the question of the others is answered {status}");
            Ok(())
        };
        send_at_rate(address, &clock, |_| question.clone(), check)
    };
    let bombing = |(bombs, first): (&[Bomb], usize)| {
        let clock = SendSchedule { begin: begin + Duration::from_secs(1) / (2 * REQUEST_RATE), pace: BOMB_RATE, end };
        let request = |number: usize| bombs[number % bombs.len()].request(first + number);
        send_at_rate(address, &clock, request, |status, body| bombs::refused(status, body).map(drop))
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CONNECTIONS).map(|index| scope.spawn(move || asking(index))).collect();
        let bombing = bombs.map(|bombs| scope.spawn(move || bombing(bombs)));
        let mut asked = Vec::new();
        for thread in asking {
            asked.extend(thread.join().map_err(|_| anyhow!("one of the others panicked"))??);
        }
        let refused = match bombing {
            Some(thread) => thread.join().map_err(|_| anyhow!("who sends bombs panicked"))??,
            None => Vec::new(),
        };
        Ok((asked, refused))
    })
}

/// When requests are due.
struct SendSchedule {
    begin: Instant,
    /// In a second.
    pace: u32,
    end: Instant,
}

/// Sends each request when it is due, or after the response to the one before. Milliseconds from the due time to the response.
fn send_at_rate(
    address: SocketAddr,
    clock: &SendSchedule,
    request: impl Fn(usize) -> Vec<u8>,
    check: impl Fn(u16, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut connection = runtime.block_on(Connection::open(address))?;
    runtime.block_on(connection.get("/healthz"))?;
    let mut millis = Vec::new();
    let due = (0..).map(|number: u32| clock.begin + Duration::from_secs(1) * number / clock.pace);
    for (number, due) in due.take_while(|due| *due < clock.end).enumerate() {
        let request = request(number);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (status, body) = runtime.block_on(connection.exchange(&request))?;
        millis.push(due.elapsed().as_secs_f64() * 1e3);
        check(status, body)?;
        ensure!(Instant::now() < clock.end + PATIENCE, "answers are more than {PATIENCE:?} late");
    }
    Ok(millis)
}
