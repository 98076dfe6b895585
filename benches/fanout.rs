//! How fast changes reach many subscribers, and the cost of these: the hub compared with a plain axum broadcast of the same bytes,
//! each in a separate process, with the subscribers in this one.
//!
//! `cargo bench --bench fanout`, with `-- --quick` for a short look; see `docs/benchmarks.md`.

mod fanout {
    pub mod baseline;
    pub mod commit_log;
    pub mod hub;
    pub mod process;
    pub mod source;
    pub mod subscribers;
}
#[path = "support/client.rs"]
mod client;
#[path = "support/disk.rs"]
mod disk;

use anyhow::{Context, ensure};
use fanout::process::{self, Process};
use fanout::source::ChangeSource;
use fanout::subscribers::{Subscribers, Timing};
use fanout::{baseline, commit_log};
use mimalloc::MiMalloc;
use std::path::Path;
use std::time::{Duration, Instant};

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Subscribers, and how many changes each may be behind before the source pauses.
const SATURATED: [usize; 2] = [1_000, 5_000];
const WINDOW: u64 = 1024;
/// Webhooks in flight.
const AT_ONCE: u64 = 128;
/// Subscribers and changes per second at a fixed rate.
const PACED: (usize, f64) = (1_000, 100.0);
const IDLE: usize = 1_000;
/// Long enough for a ping to each idle subscriber.
const PINGED: Duration = Duration::from_secs(35);
const WEIGHED: usize = 5_000;
/// File descriptors per process.
const FILES: u64 = 5_500;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == baseline::ARGUMENT) {
        return baseline::serve(arguments.get(at + 1).map(String::as_str).unwrap_or_default());
    }
    process::check_files(FILES)?;
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(quick))
}

async fn run(quick: bool) -> anyhow::Result<()> {
    let folder = disk::folder("fanout")?;
    println!("database in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
    let measured = Duration::from_secs(if quick { 2 } else { 8 });
    let mut targets = Vec::new();

    println!("\nsaturated: frames/s that all subscribers receive together");
    for count in SATURATED {
        let (hub, frame) = measure_saturated(ChangeSource::hub(&folder)?, count, measured, None).await?;
        let (plain, _) = measure_saturated(ChangeSource::baseline()?, count, measured, Some(&frame)).await?;
        println!(
            "  {count} subscribers, {} bytes: hub {hub:.0}, plain {plain:.0}, ratio {:.1}",
            frame.len(),
            hub / plain
        );
        targets.push((format!("at least 5 times plain with {count}"), hub / plain, hub / plain >= 5.0));
    }

    let (count, pace) = PACED;
    println!("\npaced: {count} subscribers, {pace} changes/s");
    let hub = measure_paced(ChangeSource::hub_with_commit_log(&folder)?, measured, None).await?;
    let commits = commit_log::commit_times(&folder)?;
    let plain = measure_paced(ChangeSource::baseline()?, measured, Some(&hub.frame)).await?;
    let ratio = hub.cpu / plain.cpu;
    println!("  CPU of the hub {:.1} %, of plain {:.1} %, ratio {ratio:.2}", hub.cpu * 100.0, plain.cpu * 100.0);
    let mut since_commit = Vec::new();
    for timing in &hub.timings {
        let (_, committed_at) = commits.range(timing.position..).next().context("a frame of no commit")?;
        since_commit.push(timing.since(*committed_at));
    }
    let since_receipt = hub.timings.iter().map(|timing| timing.since(timing.received_at)).collect();
    let since_commit = print_latency("commit to the frame", since_commit);
    print_latency("receipt of a webhook to the frame", since_receipt);
    targets.push(("paced CPU at most 1.2 times plain".into(), ratio, ratio <= 1.2));
    targets.push(("p99 from commit to frame under 20 ms".into(), since_commit, since_commit < 20.0));

    let IdleCost { one, many, pinged, kilobytes } = measure_idle(&folder, quick).await?;
    let percent = 100.0;
    println!("\nidle: CPU with one subscriber {:.3} %, with {IDLE} {:.3} %", one * percent, many * percent);
    if let Some(pinged) = pinged {
        println!("  {:.3} % while each is pinged once in {} s", pinged * percent, PINGED.as_secs());
    }
    println!("memory: {kilobytes:.1} KiB for each of {WEIGHED} idle subscribers");
    targets.push((format!("{IDLE} idle at most 1.1 times one"), many / one, many / one <= 1.1));
    targets.push(("under 20 KiB for an idle subscriber".into(), kilobytes, kilobytes < 20.0));

    std::fs::remove_dir_all(folder)?;
    println!("\ntargets");
    for (what, value, reached) in targets {
        println!("  {what:<40} {value:>8.2}  {}", if reached { "reached" } else { "MISSED" });
    }
    Ok(())
}

/// Publishes as fast as subscribers read. Frames per second, and one of the frames.
async fn measure_saturated(
    mut source: ChangeSource,
    count: usize,
    measured: Duration,
    frame: Option<&str>,
) -> anyhow::Result<(f64, String)> {
    source.repeat(frame);
    let subscribers = Subscribers::open(source.address(), source.operation(), count, 1).await?;
    source.begin(&subscribers).await?;
    let warm = Instant::now() + measured / 4;
    let mut begun = None;
    loop {
        let now = Instant::now();
        match begun {
            None if now >= warm => begun = Some((now, subscribers.frames())),
            Some((at, _)) if now >= at + measured => break,
            _ => {}
        }
        if source.made() < subscribers.fewest() + WINDOW {
            source.make(AT_ONCE).await?;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let Some((at, before)) = begun else { anyhow::bail!("it was never measured") };
    let rate = (subscribers.frames() - before) as f64 / at.elapsed().as_secs_f64();
    let made = source.made();
    subscribers.have(made).await?;
    let frame = subscribers.sample();
    source.end().await?;
    Ok((rate, frame))
}

struct PacedResult {
    /// Seconds per second.
    cpu: f64,
    timings: Vec<Timing>,
    frame: String,
}

/// Prints the latencies, and returns the 99th percentile.
fn print_latency(what: &str, mut millis: Vec<f64>) -> f64 {
    millis.sort_unstable_by(f64::total_cmp);
    let quantile = |share: f64| millis[(millis.len().saturating_sub(1) as f64 * share) as usize];
    let (p50, p99, max) = (quantile(0.5), quantile(0.99), quantile(1.0));
    println!("  from the {what}: p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms of {} frames", millis.len());
    p99
}

async fn measure_paced(
    mut source: ChangeSource,
    measured: Duration,
    frame: Option<&str>,
) -> anyhow::Result<PacedResult> {
    let (count, pace) = PACED;
    source.repeat(frame);
    let subscribers = Subscribers::open(source.address(), source.operation(), count, 1).await?;
    source.begin(&subscribers).await?;
    let mut clock = tokio::time::interval(Duration::from_secs_f64(source.changes_at_once() as f64 / pace));
    let warm = Instant::now() + measured / 4;
    while Instant::now() < warm {
        clock.tick().await;
        source.make(1).await?;
    }
    subscribers.time();
    let (begin, before) = (Instant::now(), source.process().cpu()?);
    while begin.elapsed() < measured {
        clock.tick().await;
        source.make(1).await?;
    }
    let cpu = (source.process().cpu()? - before) / begin.elapsed().as_secs_f64();
    subscribers.have(source.made()).await?;
    let (frame, timings) = (subscribers.sample(), subscribers.timings());
    source.end().await?;
    Ok(PacedResult { cpu, timings, frame })
}

struct IdleCost {
    /// Seconds per second, with one idle subscriber and with many.
    one: f64,
    many: f64,
    /// With many, while pings are exchanged.
    pinged: Option<f64>,
    /// Memory per subscriber.
    kilobytes: f64,
}

async fn measure_idle(folder: &Path, quick: bool) -> anyhow::Result<IdleCost> {
    // Pings come after 40 to 50 seconds of silence.
    let idle = Duration::from_secs(if quick { 5 } else { 20 });
    let mut source = ChangeSource::hub(folder)?;
    let first = Subscribers::open(source.address(), source.operation(), 1, 1).await?;
    source.begin(&first).await?;
    let one = idle_cpu(source.process(), idle).await?;
    let many = Subscribers::open(source.address(), source.operation(), IDLE - 1, 1).await?;
    let all = idle_cpu(source.process(), idle).await?;
    let pinged = if quick { None } else { Some(idle_cpu(source.process(), PINGED).await?) };
    let before = source.process().resident()?;
    let weighed = Subscribers::open(source.address(), source.operation(), WEIGHED, 1).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let kilobytes = (source.process().resident()? - before) / WEIGHED as f64;
    ensure!(kilobytes > 0.0, "they weigh nothing");
    // All subscriptions are active.
    let before = source.made();
    source.connect().await?;
    source.make(1).await?;
    for subscribers in [&many, &weighed] {
        subscribers.have(source.made() - before).await?;
    }
    source.end().await?;
    Ok(IdleCost { one, many: all, pinged, kilobytes })
}

async fn idle_cpu(process: &Process, idle: Duration) -> anyhow::Result<f64> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begin, before) = (Instant::now(), process.cpu()?);
    tokio::time::sleep(idle).await;
    Ok((process.cpu()? - before) / begin.elapsed().as_secs_f64())
}
