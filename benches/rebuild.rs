//! The cost of a replay of the raw log, compared with its lower bound: reading the same rows and parsing their JSON. Also the
//! latency that a sender sees during a rebuild. Measured once with few differences, and once with all rows replaced.
//!
//! `cargo bench --bench rebuild`, with `-- --quick` for a short look and `-- --full` for a million deliveries; see
//! `docs/benchmarks.md`. On SQLite and, where `TEST_DATABASE_URL` names a server, on PostgreSQL.

mod support {
    pub mod disk;
    pub mod request_stock;
    pub mod requests;
    pub mod sources;
    mod template;
}

use anyhow::{Context, ensure};
use entity::delivery;
use inspection_hub::ingest::{BatchWriter, LogRecord, Writer};
use inspection_hub::rebuild::Rebuild;
use inspection_hub::store::{Database, DictionaryCache, OpenMode};
use mimalloc::MiMalloc;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::requests::Requests;
use support::{disk, request_stock, sources};
use tokio_util::sync::CancellationToken;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rows read at once.
const PAGE: u64 = 1024;
/// Deliveries that a sender sends alone, and at most during a rebuild; and its pause between two.
const BASELINE_DELIVERIES: usize = 3_000;
const CONCURRENT_DELIVERIES: usize = 30_000;
/// Rows that are damaged.
const DAMAGED: usize = 500;
const PAUSE: Duration = Duration::from_millis(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let count = match () {
        () if has("--full") => 1_000_000,
        () if has("--quick") || cfg!(debug_assertions) => 10_000,
        () => 100_000,
    };
    let folder = disk::folder("rebuild")?;
    println!("databases in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
    let file = format!("sqlite://{}", folder.join("hub.db").display());
    measure("SQLite", &file, &folder, count).await?;
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        let name = format!("hub_bench_{}", std::process::id());
        let server = sea_orm::Database::connect(&url).await?;
        server.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        let (base, _) = url.rsplit_once('/').context("a URL that names a database")?;
        let measured = measure("PostgreSQL", &format!("{base}/{name}"), &folder, count).await;
        server.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        measured?;
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn measure(name: &str, address: &str, folder: &Path, count: usize) -> anyhow::Result<()> {
    let db = Database::open(address, OpenMode::Migrate).await?;
    let settings = sources::settings("sqlite://unused.db")?;
    let stock =
        request_stock::StockBuilder::new(&settings)?.make(count + BASELINE_DELIVERIES + CONCURRENT_DELIVERIES)?;
    let incoming = Requests::of(&stock)?.read(&settings)?;
    let bytes = stock.bytes_each();
    drop(stock);
    let mut writer = Writer::open(&db)?;
    let (stored, live) = incoming.split_at(count);
    let (before, during) = live.split_at(BASELINE_DELIVERIES);
    std::thread::scope(|scope| {
        let stored = scope.spawn(|| {
            stored.chunks(256).try_for_each(|batch| {
                writer.write_batch(batch)?;
                writer.run_maintenance(batch.len());
                anyhow::Ok(())
            })
        });
        stored.join().map_err(|_| anyhow::anyhow!("the writer panicked"))
    })??;
    let least = parse(&db).await?;

    let scratch = folder.join("scratch");
    damage(address, count).await?;
    let mut rebuild = Rebuild::open(db.clone(), &scratch, CancellationToken::new()).await?;
    let begun = Instant::now();
    let applied = Arc::new(Mutex::new(Duration::ZERO));
    let latest = applied.clone();
    let done = move |_| _ = latest.lock().map(|mut latest| *latest = begun.elapsed());
    let found = rebuild.replay_and_diff(done).await?;
    let all = begun.elapsed();
    ensure!(found.patchable_rows() == Some(DAMAGED), "not the rows that were damaged differ: {:?}", found.by_table);
    let applied = applied.lock().map_or(Duration::ZERO, |latest| *latest);
    let begun = Instant::now();
    let mended = rebuild.replace(&found, |_| {}).await?;
    let mending = begun.elapsed();
    ensure!(mended.rows_replaced == Some(DAMAGED), "more was replaced");
    let begun = Instant::now();
    let replaced = rebuild.replace_all(&found, |_| {}).await?;
    let replacing = begun.elapsed();
    rebuild.finish().await;

    let alone = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&mut writer, before, &AtomicBool::new(false)));
        sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))
    })??;
    let (few, whole) = during.split_at(CONCURRENT_DELIVERIES / 2);
    let mut beside = |incoming: &[LogRecord], flags: &[&str]| {
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| send(&mut writer, incoming, &ended));
            let rebuilt = rebuild_in_subprocess(address, &scratch, flags);
            ended.store(true, Ordering::Relaxed);
            let sent = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
            rebuilt?;
            sent
        })
    };
    damage(address, count).await?;
    let (few, whole) = (beside(few, &[])?, beside(whole, &["--full"])?);

    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!("{name}, {count} deliveries of {bytes} bytes; microseconds for each");
    println!("  reading the rows and parsing their JSON  {:>7.1}", each(least));
    println!("  replaying them                           {:>7.1}", each(applied));
    println!("  comparing all rows                       {:>7.1}", each(all - applied));
    println!("  p99 of a sender without a rebuild        {:>7.2} ms", alone.as_secs_f64() * 1e3);
    let ways = [("the rows that differ", mending, mended, few), ("all rows", replacing, replaced, whole)];
    for (what, putting, put, beside) in ways {
        println!("  replacing {what:<31}{:>7.1}", each(putting));
        let share = (all + putting).as_secs_f64() / least.as_secs_f64();
        println!("    all of it, times reading and parsing   {share:>7.1}  {}", verdict(share <= 4.0));
        println!("    writes were blocked for                {:>7} ms", put.locked_for.as_millis());
        let share = beside.as_secs_f64() / alone.as_secs_f64();
        let beside = beside.as_secs_f64() * 1e3;
        println!(
            "    p99 of a sender during it              {beside:>7.2} ms: {share:.1} times  {}",
            verdict(share <= 1.5)
        );
    }
    Ok(())
}

/// Damages entities, spread evenly.
async fn damage(address: &str, count: usize) -> anyhow::Result<()> {
    let apart = count / 2 / DAMAGED;
    let text =
        format!("UPDATE entity SET state = 'NOWHERE' WHERE row_id % {apart} = 0 AND row_id <= {}", apart * DAMAGED);
    let edited = sea_orm::Database::connect(address).await?.execute_unprepared(&text).await?;
    ensure!(edited.rows_affected() == DAMAGED as u64, "{} rows were damaged", edited.rows_affected());
    Ok(())
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// The command, as an operator runs it beside the hub.
fn rebuild_in_subprocess(address: &str, scratch: &Path, flags: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    command.args(["rebuild", "--log", "warn", "--database", address, "--work-dir"]).arg(scratch).args(flags);
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    ensure!(ended.success(), "the rebuild failed");
    Ok(())
}

/// Reads all rows and parses their bodies.
async fn parse(db: &Database) -> anyhow::Result<Duration> {
    use delivery::Column::RowId;
    let (begun, mut last) = (Instant::now(), 0);
    let dictionaries = DictionaryCache::default();
    loop {
        let rows = delivery::Entity::find().filter(RowId.gt(last)).order_by_asc(RowId).limit(PAGE);
        let rows = rows.all(&db.read_pool).await?;
        let Some(newest) = rows.last() else { return Ok(begun.elapsed()) };
        last = newest.row_id;
        dictionaries.load(&db.read_pool, rows.iter().filter_map(|row| row.dictionary_id)).await?;
        for row in rows {
            let body = dictionaries.decode_body(row.dictionary_id, row.body, row.body_size)?;
            let parsed = serde_json::from_slice::<serde_json::Value>(&body);
            std::hint::black_box(parsed.is_ok());
        }
    }
}

/// Writes deliveries one by one, each in a transaction, until `ended`. The 99th percentile of their times.
fn send(writer: &mut Writer, incoming: &[LogRecord], ended: &AtomicBool) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(incoming.len());
    for one in incoming {
        let begun = Instant::now();
        writer.write_batch(std::slice::from_ref(one))?;
        times.push(begun.elapsed());
        writer.run_maintenance(1);
        std::thread::sleep(PAUSE);
        if ended.load(Ordering::Relaxed) {
            break;
        }
    }
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().context("nothing was sent")
}
