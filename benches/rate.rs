//! What the hub costs at the rates of production: webhooks at a fixed rate, whatever the time to the responses (open loop). Their
//! latency, also with queries at the same time, and the hub's processor time for each. The hub is a separate process, so the
//! clients' time is not counted.
//!
//! `cargo bench --bench rate`, with `-- --quick` for a short look. On PostgreSQL:
//! `TEST_POSTGRES_FSYNC=on tests/postgres.sh cargo bench --bench rate`. See `docs/benchmarks.md`.

mod support {
    pub mod bench_database;
    pub mod client;
    pub mod disk;
    pub mod request_stock;
    pub mod sources;
    mod template;
}
mod rates {
    pub mod open_loop;
    pub mod queries;
}
#[path = "fanout/process.rs"]
mod process;

use anyhow::ensure;
use mimalloc::MiMalloc;
use process::Process;
use rates::open_loop::{Latencies, MAX_CONNECTIONS, OpenLoop};
use rates::queries;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::bench_database::BenchDatabase;
use support::client::Connection;
use support::request_stock::{RequestStock, StockBuilder};
use support::{disk, sources};

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Without optimization the hub can take so many times less.
const SLOWER: u32 = if cfg!(debug_assertions) { 20 } else { 1 };
/// Webhooks and queries per second.
const LEVELS: [(u32, u32); 3] = [(100 / SLOWER, 0), (1_000 / SLOWER, 0), (1_000 / SLOWER, 20 / SLOWER)];
/// Webhooks per second before the measurement.
const WARM_UP_RATE: u32 = 500 / SLOWER;
const WARM_UP: Duration = Duration::from_secs(2);
/// Microseconds of the hub's processor time for a delivery at the first level, at most.
const CPU_TARGET: f64 = 550.0;
/// The 99th percentile at the last level in milliseconds, at most.
const P99_TARGET: f64 = 5.0;

/// Requests that are each sent once.
struct UnsentStock {
    stock: RequestStock,
    next: AtomicUsize,
}

impl UnsentStock {
    fn next(&self) -> Vec<u8> {
        self.stock.get(self.next.fetch_add(1, Ordering::Relaxed)).unwrap_or_default().to_vec()
    }
}

fn main() -> anyhow::Result<()> {
    process::check_files(2 * MAX_CONNECTIONS as u64)?;
    let quick = std::env::args().any(|argument| argument == "--quick") || cfg!(debug_assertions);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(Duration::from_secs(if quick { 4 } else { 15 })))
}

async fn run(measured: Duration) -> anyhow::Result<()> {
    let mut databases = BenchDatabase::new("rate").await?;
    let database = databases.database("rate").await?;
    let folder = disk::folder("rate-settings")?;
    let hub = start(&folder, &database)?;
    Connection::open(hub.address).await?.get("/readyz").await?;
    let phases = LEVELS.iter().map(|(rate, _)| (*rate, measured)).chain([(WARM_UP_RATE, WARM_UP)]);
    let needed: usize = phases.map(|(rate, duration)| OpenLoop { rate, duration }.requests()).sum();
    let stock = StockBuilder::new(&sources::settings(&database)?)?.make(needed)?;
    println!("requests of {} bytes on average\n", stock.bytes_each());
    let stock = Arc::new(UnsentStock { stock, next: AtomicUsize::new(0) });
    let send = async |rate, duration| {
        let stock = stock.clone();
        OpenLoop { rate, duration }.drive(hub.address, move |_| stock.next()).await
    };
    send(WARM_UP_RATE, WARM_UP).await?;
    let asked = Arc::new(queries::requests(hub.address).await?);

    println!("webhooks/s  queries/s    p50 ms    p99 ms    max ms  hub's CPU, us for each webhook");
    let (mut cpu_each, mut of_webhooks, mut of_queries) = (Vec::new(), Latencies::default(), Latencies::default());
    for (rate, query_rate) in LEVELS {
        let before = hub.cpu()?;
        let asked = asked.clone();
        let queries = OpenLoop { rate: query_rate, duration: measured };
        let queries = queries.drive(hub.address, move |number| asked[number % asked.len()].clone());
        (of_webhooks, of_queries) = tokio::try_join!(send(rate, measured), queries)?;
        let each = (hub.cpu()? - before) * 1e6 / of_webhooks.len() as f64;
        let (p50, p99, max) = (of_webhooks.at(0.5), of_webhooks.at(0.99), of_webhooks.at(1.0));
        println!("{rate:>10} {query_rate:>10} {p50:>9.2} {p99:>9.2} {max:>9.2} {each:>9.0}");
        cpu_each.push(each);
    }
    let (p50, p99) = (of_queries.at(0.5), of_queries.at(0.99));
    println!(
        "queries beside: p50 {p50:.2} ms, p99 {p99:.2} ms; the hub has {:.1} MB resident",
        hub.resident()? / 1024.0
    );

    let received = queries::received(&mut Connection::open(hub.address).await?).await?;
    ensure!(received == needed as i64, "{needed} webhooks were answered, and the ledger has {received}");
    hub.end()?;
    std::fs::remove_dir_all(&folder)?;
    databases.remove().await?;
    report("CPU for a webhook at the lowest rate, us", cpu_each.first().copied(), CPU_TARGET);
    report("p99 at the highest rate with queries, ms", Some(of_webhooks.at(0.99)), P99_TARGET);
    Ok(())
}

fn report(what: &str, value: Option<f64>, target: f64) {
    let value = value.unwrap_or(f64::NAN);
    let verdict = if value <= target { "reached" } else { "MISSED" };
    println!("{what}: {value:.1}, target {target}  {verdict}");
}

/// The hub's binary, with the sources that the requests are signed for.
fn start(folder: &Path, database: &str) -> anyhow::Result<Process> {
    let settings = folder.join("inspection-hub.toml");
    std::fs::write(&settings, sources::FILE)?;
    Process::start(Stdio::null(), |address| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        command.args(["serve", "--listen", &address.to_string(), "--database", database]);
        command.arg("--config").arg(settings).current_dir(folder);
        command
    })
}
