//! The cost of refused abusive documents, the latency of other clients under them, and the memory of 10,000 idle subscriptions.
//! The hub is a separate process; all clients are in this one.
//!
//! `cargo bench --bench abuse`, with `-- --quick` for a short look; see `docs/benchmarks.md`.

mod abuse {
    pub mod bombs;
    pub mod cost;
    pub mod idle;
    pub mod other_clients;
}
#[path = "support/client.rs"]
mod client;
#[path = "support/disk.rs"]
mod disk;
#[path = "fanout/hub.rs"]
mod hub;
#[path = "fanout/process.rs"]
mod process;
#[path = "fanout/subscribers.rs"]
mod subscribers;

use abuse::bombs::{self, Bomb};
use abuse::idle::SUBSCRIPTIONS_PER_SOCKET;
use abuse::other_clients::{self, BOMB_RATE, CONNECTIONS, ClientLatency, REQUEST_RATE};
use abuse::{cost, idle};
use anyhow::ensure;
use client::Connection;
use mimalloc::MiMalloc;
use process::Process;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Inspections in the database.
const INSPECTIONS: u64 = 400;
const IDLE: usize = 10_000;
/// File descriptors per process.
const FILES: u64 = 10_500;
/// 16 kB, in KiB.
const HEAVIEST: f64 = 16_000.0 / 1024.0;

/// A target, the result, and whether the target is reached.
type Targets = Vec<(String, f64, bool)>;

fn main() -> anyhow::Result<()> {
    process::check_files(FILES)?;
    let quick = std::env::args().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = disk::folder("abuse")?;
    println!("database in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
    let mut targets = Targets::new();

    let hub = hub::start(&folder, &[])?;
    runtime.block_on(fill(&hub))?;
    let bombs = bombs::all()?;
    runtime.block_on(measure_refused(&hub, &bombs, if quick { 500 } else { 3_000 }, &mut targets))?;
    let (turns, length) = if quick { (3, 2) } else { (5, 4) };
    measure_under_abuse(&hub, &bombs, turns, Duration::from_secs(length), &mut targets)?;
    hub.end()?;
    measure_idle(&runtime, &folder, &mut targets)?;

    std::fs::remove_dir_all(folder)?;
    println!("\ntargets");
    for (what, value, reached) in targets {
        println!("  {what:<48} {value:>8.2}  {}", if reached { "reached" } else { "MISSED" });
    }
    Ok(())
}

/// Creates inspections through webhooks.
async fn fill(hub: &Process) -> anyhow::Result<()> {
    let mut connection = Connection::open(hub.address).await?;
    for number in 0..INSPECTIONS {
        connection.ask(hub::webhook(number).as_bytes()).await?;
    }
    let question = bombs::post("{ inspections(first: 1) { totalCount } }");
    let answer: Value = serde_json::from_slice(connection.ask(&question).await?)?;
    let count = &answer["data"]["inspections"]["totalCount"];
    ensure!(*count == INSPECTIONS, "there are not {INSPECTIONS} inspections: {answer}");
    Ok(())
}

async fn measure_refused(hub: &Process, bombs: &[Bomb], times: usize, targets: &mut Targets) -> anyhow::Result<()> {
    println!(
        "\nrefused: {} bombs of at most {} bytes, {times} times each, every time another text",
        bombs.len(),
        bombs::BYTES
    );
    println!("  {:48} {:>5} {:>8} {:>11}", "", "bytes", "CPU µs", "longest ms");
    let mut worst = 0.0_f64;
    for bomb in std::iter::once(&Bomb::none()).chain(bombs) {
        let cost = cost::of(hub, bomb, times).await?;
        let code = cost.code.as_deref().unwrap_or("answered");
        println!("  {:48} {:>5} {:>8.0} {:>11.2}  {code}", bomb.what, bomb.bytes(), cost.cpu, cost.longest);
        if cost.code.is_some() {
            worst = worst.max(cost.cpu);
        }
    }
    targets.push(("each bomb under 1 ms of CPU: the worst, in ms".into(), worst / 1e3, worst < 1e3));
    Ok(())
}

fn measure_under_abuse(
    hub: &Process,
    bombs: &[Bomb],
    turns: usize,
    length: Duration,
    targets: &mut Targets,
) -> anyhow::Result<()> {
    println!(
        "\nother clients: {CONNECTIONS} connections ask {REQUEST_RATE} times/s, without and with {BOMB_RATE} bombs/s, {turns} turns"
    );
    let ClientLatency { without, with, bombs } = other_clients::measure(hub.address, bombs, turns, length)?;
    for (what, times) in [("without", &without), ("with", &with), ("the bombs", &bombs)] {
        println!(
            "  {what:10} p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms of {} answers",
            times.quantile(0.5),
            times.quantile(0.99),
            times.quantile(1.0),
            times.count()
        );
    }
    let ratio = with.quantile(0.99) / without.quantile(0.99);
    println!("  p99 with bombs is {ratio:.2} times that without");
    targets.push(("p99 of others at most 1.5 times that without".into(), ratio, ratio <= 1.5));
    Ok(())
}

fn measure_idle(runtime: &Runtime, folder: &Path, targets: &mut Targets) -> anyhow::Result<()> {
    println!("\nidle: {IDLE} subscriptions");
    for (each, new) in [(1, INSPECTIONS), (SUBSCRIPTIONS_PER_SOCKET, INSPECTIONS + 1)] {
        let sockets = IDLE / each;
        let weight = runtime.block_on(idle::measure_idle_memory(folder, sockets, each, new))?;
        println!("  on {sockets} sockets: {:.1} KiB of memory for each subscription", weight.kilobytes);
        println!("    {} changes reached all of them, the last after {:.0} ms", weight.changes, weight.last);
        let what = format!("under 16 kB (15.6 KiB) for each on {sockets} sockets");
        targets.push((what, weight.kilobytes, weight.kilobytes < HEAVIEST));
    }
    Ok(())
}
