//! The time from the start of the binary to its first response, on a filled database, and its memory; then the time to its first
//! counts, with many inspections.
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
/// Inspections when counts are measured, and those of them that have changed since the end.
const INSPECTIONS: i64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
const CHANGES: i64 = if cfg!(debug_assertions) { 500 } else { 5_000 };
/// The limit of a start.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let database = folder.join("hub.db");
    let copied = copy_inspections(&database)?;
    let unsaved = time_to_counts(&folder).await?;
    let mut saved = Vec::new();
    for _ in 0..STARTS {
        add_changes(&database)?;
        saved.push(time_to_counts(&folder).await?);
    }
    saved.sort_unstable_by(f64::total_cmp);
    let saved = saved[saved.len() / 2];
    std::fs::remove_dir_all(folder)?;
    times.sort_unstable_by(f64::total_cmp);
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let (resident, own) = resident.context("it was never weighed")?;
    println!("first answer after {median:.3} s (median of {STARTS} starts; the longest {longest:.3} s)");
    println!("resident after {} s at rest: {resident:.1} MB, {own:.1} MB of it without mapped files", IDLE.as_secs());

    println!(
        "first counts with {copied} inspections, {CHANGES} of which have changed since the end: after {saved:.3} s (median)"
    );
    println!("the same without a saved index: after {unsaved:.3} s");

    let reached = |reached: bool| if reached { "reached" } else { "MISSED" };
    println!("targets");
    println!("  first answer under 0.1 s    {median:>8.3} s   {}", reached(median < 0.1));
    println!("  idle under 30 MB            {resident:>8.1} MB  {}", reached(resident < 30.0));
    println!("  first counts under 0.3 s    {saved:>8.3} s   {}", reached(saved < 0.3));
    Ok(())
}

/// Copies inspections until there are enough, each with a row id and an id of its own. Returns their number. The history is
/// another one then, so that what is saved about them is not valid.
fn copy_inspections(database: &Path) -> anyhow::Result<i64> {
    let db = rusqlite::Connection::open(database)?;
    let columns: String =
        db.query_row("SELECT group_concat(name) FROM pragma_table_info('entity')", [], |row| row.get(0))?;
    let copied = columns.split(',').map(|name| match name {
        "row_id" | "inspection_row_id" => format!("row_id + (SELECT max(row_id) FROM entity) AS {name}"),
        "id" => "randomblob(16) AS id".to_owned(),
        _ => name.to_owned(),
    });
    let copied = copied.collect::<Vec<String>>().join(", ");
    loop {
        let count = db.query_row("SELECT count(*) FROM entity WHERE kind = 1", [], |row| row.get(0))?;
        if count >= INSPECTIONS {
            db.execute_batch(
                "UPDATE log_head SET generation = generation + 1, last_entity_row_id = (SELECT max(row_id) FROM entity)",
            )?;
            return Ok(count);
        }
        let more = INSPECTIONS - count;
        db.execute_batch(&format!(
            "INSERT INTO entity ({columns}) SELECT {copied} FROM entity WHERE kind = 1 LIMIT {more}"
        ))?;
    }
}

/// Adds changes of inspections from all of the history.
fn add_changes(database: &Path) -> anyhow::Result<()> {
    let db = rusqlite::Connection::open(database)?;
    let columns: String =
        db.query_row("SELECT group_concat(name) FROM pragma_table_info('change_row')", [], |row| row.get(0))?;
    let copied = columns.split(',').map(|name| match name {
        "position" => "(SELECT position FROM log_head) + row_number() OVER ()",
        "entity_row_id" => "chosen.row_id",
        "dedup_key" => "NULL",
        _ => name,
    });
    let copied = copied.collect::<Vec<&str>>().join(", ").replace("inspection_chosen.row_id", "chosen.row_id");
    db.execute_batch(&format!(
        "INSERT INTO change_row ({columns}) SELECT {copied} FROM (SELECT row_id FROM entity WHERE kind = 1
             AND row_id % ({INSPECTIONS} / {CHANGES}) = 0 LIMIT {CHANGES}) AS chosen,
             (SELECT * FROM change_row WHERE type_id IN (SELECT id FROM change_type WHERE kind = 1) LIMIT 1);
         UPDATE log_head SET position = (SELECT max(position) FROM change_row)"
    ))?;
    Ok(())
}

/// Starts the binary, asks for counts until they are answered, and ends it; the seconds from the start to the answer.
async fn time_to_counts(folder: &Path) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let running = HubProcess::start(folder)?;
    running.first_answer(begin).await?;
    let mut connection = Connection::open(running.address).await?;
    // The first answer may be that the query takes too long.
    loop {
        let request = b"GET /graphql?query=%7BstatusCounts%7Bcount%7D%7D HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let (_, answer) = connection.exchange(request).await?;
        let answer: serde_json::Value = serde_json::from_slice(answer)?;
        if answer["data"]["statusCounts"].is_array() {
            break;
        }
        ensure!(begin.elapsed() < PATIENCE, "no counts: {answer}");
    }
    let seconds = begin.elapsed().as_secs_f64();
    running.end()?;
    Ok(seconds)
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
