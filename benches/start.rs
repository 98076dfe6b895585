//! The time from the start of the binary to its first response, on a filled database, and its memory.
//!
//! `cargo bench --bench start`; see `docs/benchmarks.md`.

mod support {
    pub mod client;
    pub mod disk;
    pub mod load;
    pub mod request_stock;
    pub mod sources;
    mod template;
}

use anyhow::{Context, ensure};
use inspection_hub::server::Hub;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::client::Connection;
use support::load::Load;
use support::request_stock::StockBuilder;
use support::{disk, sources};

/// Deliveries in the database.
const DELIVERIES: usize = if cfg!(debug_assertions) { 2_000 } else { 100_000 };
const STARTS: usize = 9;
/// Idle time before its memory is measured.
const IDLE: Duration = Duration::from_secs(2);
/// The limit of a start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary while it runs.
struct HubProcess {
    child: Child,
    address: SocketAddr,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let folder = disk::folder("start")?;
    println!("database in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
    fill(&folder.join("hub.db")).await?;

    let mut times = Vec::new();
    let mut resident = None;
    for _ in 0..STARTS {
        let begin = Instant::now();
        let running = HubProcess::start(&folder)?;
        running.first_answer(begin).await?;
        times.push(begin.elapsed().as_secs_f64());
        // Memory is measured once.
        if resident.is_none() {
            tokio::time::sleep(IDLE).await;
            resident = Some(running.resident()?);
        }
        running.end()?;
    }
    std::fs::remove_dir_all(folder)?;
    times.sort_unstable_by(f64::total_cmp);
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let (resident, own) = resident.context("it was never weighed")?;
    println!("first answer after {median:.3} s (median of {STARTS} starts; the longest {longest:.3} s)");
    println!("resident after {} s at rest: {resident:.1} MB, {own:.1} MB of it without mapped files", IDLE.as_secs());

    let reached = |reached: bool| if reached { "reached" } else { "MISSED" };
    println!("targets");
    println!("  first answer under 0.1 s    {median:>8.3} s   {}", reached(median < 0.1));
    println!("  idle under 30 MB            {resident:>8.1} MB  {}", reached(resident < 30.0));
    Ok(())
}

/// Fills a database through a hub.
async fn fill(database: &Path) -> anyhow::Result<()> {
    let settings = sources::settings(&sqlite(database))?;
    let stock = Arc::new(StockBuilder::new(&settings)?.make(DELIVERIES)?);
    let hub = Hub::start(settings).await?;
    let all = Load { connections: 64, warm_up: Duration::ZERO, measured: Duration::from_secs(600) };
    let outcome = all.drive(hub.address(), &stock).await?;
    hub.stop().await;
    println!("it holds {} deliveries of {} bytes", outcome.answered, stock.bytes_each());
    Ok(())
}

impl HubProcess {
    fn start(folder: &Path) -> anyhow::Result<HubProcess> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        command.args(["serve", "--listen", &address.to_string(), "--database", &sqlite(&folder.join("hub.db"))]);
        // No settings but these: no file, no variables.
        command.current_dir(folder).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        Ok(HubProcess { child: command.spawn()?, address })
    }

    async fn first_answer(&self, begin: Instant) -> anyhow::Result<()> {
        loop {
            if let Ok(mut connection) = Connection::open(self.address).await {
                connection.get("/healthz").await?;
                return Ok(());
            }
            ensure!(begin.elapsed() < PATIENCE, "it does not answer");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Resident memory in megabytes, as Linux counts it: all, and without the pages of the binary and other files.
    fn resident(&self) -> anyhow::Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
            anyhow::Ok(kilobytes * 1024.0 / 1e6)
        };
        Ok((megabytes("VmRSS:")?, megabytes("RssAnon:")?))
    }

    /// SIGTERM, and waits for the end.
    fn end(mut self) -> anyhow::Result<()> {
        let kill = format!("kill -TERM {}", self.child.id());
        ensure!(Command::new("sh").args(["-c", &kill]).status()?.success(), "it was gone already");
        ensure!(self.child.wait()?.success(), "it did not end well");
        Ok(())
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // It is still there only if something went wrong.
        let _ = self.child.kill();
    }
}

/// A SQLite file as the settings name it.
fn sqlite(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}
