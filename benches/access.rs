//! What rights cost: a query with an API key and with a token against one without, forged requests against a static 404 of the same
//! binary, and good requests among forged ones. The hubs are separate processes; the clients are in this one.
//!
//! `cargo bench --bench access`, with `-- --quick` for a short look; see `docs/benchmarks.md`.

mod access {
    pub mod credentials;
    pub mod forged;
}
#[path = "support/client.rs"]
mod client;
#[path = "support/disk.rs"]
mod disk;
#[path = "fanout/hub.rs"]
mod hub;
#[path = "fanout/process.rs"]
mod process;

use access::credentials::Credentials;
use access::forged;
use client::Connection;
use mimalloc::MiMalloc;
use process::Process;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CONNECTIONS: usize = 16;
/// Inspections in the database.
const INSPECTIONS: u64 = 200;
const QUERY: &str = r#"{"query":"{ inspections(first: 1) { nodes { id status } } }"}"#;
/// Of the requests that a flood has, beside the good ones.
const FORGED_FOR_EACH_GOOD: usize = 9;

/// File descriptors per process.
const FILES: u64 = 256;

fn main() -> anyhow::Result<()> {
    process::check_files(FILES)?;
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (turns, length, times) = if quick { (3, 1, 1_000) } else { (7, 3, 10_000) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let folder = disk::folder("access")?;
    println!("database in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
    let credentials = Credentials::new(&folder)?;
    let (open, guarded) = (credentials.open_hub(&folder)?, credentials.guarded_hub(&folder)?);
    runtime.block_on(fill(open.address))?;
    let mut missed = false;
    runtime.block_on(async {
        missed |= queries(&open, &guarded, &credentials, turns, Duration::from_secs(length)).await?;
        missed |= forged::cost(&guarded, times).await?;
        missed |= flood(&guarded, &credentials, turns, Duration::from_secs(length)).await?;
        anyhow::Ok(())
    })?;
    println!("memory of the hub with rights: {:.1} MiB", guarded.resident()? / 1024.0);
    open.end()?;
    guarded.end()?;
    std::fs::remove_dir_all(folder)?;
    anyhow::ensure!(!missed, "a target is missed");
    Ok(())
}

async fn fill(address: SocketAddr) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    connection.get("/healthz").await?;
    for number in 0..INSPECTIONS {
        connection.ask(hub::webhook(number).as_bytes()).await?;
    }
    Ok(())
}

fn query(authorization: Option<&str>) -> Vec<u8> {
    let header = authorization.map(|value| format!("authorization: Bearer {value}\r\n")).unwrap_or_default();
    let length = QUERY.len();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\n\r\n{QUERY}"
    )
    .into_bytes()
}

/// The requests per second of many connections, and the latencies in milliseconds, ascending.
struct Seen {
    per_second: f64,
    millis: Vec<f64>,
}

impl Seen {
    fn p99(&self) -> f64 {
        self.millis.get(self.millis.len() * 99 / 100).copied().unwrap_or(f64::NAN)
    }
}

/// Repeats a request over `connections`, for a time.
async fn drive(address: SocketAddr, request: &[u8], connections: usize, length: Duration) -> anyhow::Result<Seen> {
    let mut asking = JoinSet::new();
    let end = Instant::now() + length;
    for _ in 0..connections {
        let request = request.to_vec();
        asking.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut millis = Vec::new();
            while Instant::now() < end {
                let sent = Instant::now();
                connection.ask(&request).await?;
                millis.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::Ok(millis)
        });
    }
    let mut millis = Vec::new();
    while let Some(seen) = asking.join_next().await {
        millis.extend(seen??);
    }
    millis.sort_by(f64::total_cmp);
    Ok(Seen { per_second: millis.len() as f64 / length.as_secs_f64(), millis })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn judge(what: &str, value: f64, reached: bool) -> bool {
    println!("  {what:<64} {value:>7.2}  {}", if reached { "reached" } else { "MISSED" });
    !reached
}

async fn queries(
    open: &Process,
    guarded: &Process,
    credentials: &Credentials,
    turns: usize,
    length: Duration,
) -> anyhow::Result<bool> {
    println!("a small query, {CONNECTIONS} connections, {turns} turns of {length:?}");
    let ways = [
        (open.address, query(None)),
        (guarded.address, query(Some(&credentials.key))),
        (guarded.address, query(Some(&credentials.token))),
    ];
    let mut rates: [Vec<f64>; 3] = Default::default();
    for turn in 0..turns {
        // Each turn begins with another one.
        for number in (0..ways.len()).map(|number| (number + turn) % ways.len()) {
            let Some((address, request)) = ways.get(number) else { continue };
            let seen = drive(*address, request, CONNECTIONS, length).await?;
            if let Some(rates) = rates.get_mut(number) {
                rates.push(seen.per_second);
            }
        }
    }
    let [none, key, token] = rates.map(median);
    println!("  requests/s: {none:.0} without, {key:.0} with a key, {token:.0} with a token");
    let mut missed = judge("with a key against without (at least 0.95)", key / none, key / none >= 0.95);
    missed |= judge("with a token against without (at least 0.95)", token / none, token / none >= 0.95);
    Ok(missed)
}

/// Good queries alone, and among nine times as many forged requests.
async fn flood(guarded: &Process, credentials: &Credentials, turns: usize, length: Duration) -> anyhow::Result<bool> {
    println!(
        "good queries at a fixed rate, alone and with {FORGED_FOR_EACH_GOOD} forged requests for each, {turns} turns of {length:?}"
    );
    let good = query(Some(&credentials.key));
    let mut alone = (Vec::new(), Vec::new());
    let mut among = (Vec::new(), Vec::new());
    for _ in 0..turns {
        let seen = forged::paced(guarded.address, &good, 0, length).await?;
        alone.0.push(seen.per_second);
        alone.1.push(seen.p99());
        let seen = forged::paced(guarded.address, &good, FORGED_FOR_EACH_GOOD, length).await?;
        among.0.push(seen.per_second);
        among.1.push(seen.p99());
    }
    let (alone, among) = ((median(alone.0), median(alone.1)), (median(among.0), median(among.1)));
    println!("  good/s: {:.0} alone, {:.0} in the flood; p99 in ms: {:.2}, {:.2}", alone.0, among.0, alone.1, among.1);
    let mut missed = judge("throughput in the flood (at least 0.9)", among.0 / alone.0, among.0 / alone.0 >= 0.9);
    missed |= judge("p99 in the flood (at most 1.5)", among.1 / alone.1, among.1 / alone.1 <= 1.5);
    Ok(missed)
}
