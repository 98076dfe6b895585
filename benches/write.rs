//! What one delivery costs the only writer, without HTTP: verified and read deliveries in batches of several sizes, beside
//! the least that a durable log can do, which is to insert the raw bodies of the same batches and commit.
//!
//! `cargo bench --bench write`, with `-- --quick` for a short look; see `docs/benchmarks.md`.

mod support {
    pub mod disk;
    pub mod requests;
    pub mod sources;
    pub mod stock;
    mod template;
}

use axum::body::Bytes;
use inspection_hub::store::{Database, Mode, Writer};
use mimalloc::MiMalloc;
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};
use support::requests::Requests;
use support::stock::Maker;
use support::{disk, sources};

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Deliveries in one transaction.
const BATCHES: [usize; 4] = [1, 16, 64, 256];
/// Deliveries for each size of batch.
const DELIVERIES: usize = 60_000;

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let most = if quick || cfg!(debug_assertions) { DELIVERIES / 10 } else { DELIVERIES };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = disk::folder("write")?;
    println!("databases in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
    let database = folder.join("hub.db");
    let settings = sources::settings(&database)?;
    let db = runtime.block_on(Database::open(&sources::address(&database), Mode::Migrate))?;
    let mut writer = Writer::open(&db)?;
    let raw = raw(&folder.join("raw.db"))?;
    let mut maker = Maker::new(&settings)?;
    println!("microseconds for each delivery");
    println!("batch  bytes     read    write      raw  raw/write");
    for size in BATCHES {
        let stock = maker.make(if size == 1 { most / 6 } else { most })?;
        let requests = Requests::of(&stock)?;
        let read = Instant::now();
        let incoming = requests.read(&settings)?;
        let read = read.elapsed();
        let bodies: Vec<&Bytes> = requests.0.iter().map(|(_, _, body)| body).collect();
        let written = Instant::now();
        for batch in incoming.chunks(size) {
            writer.write(batch)?;
            writer.rest(batch.len());
        }
        let written = written.elapsed();
        let inserted = Instant::now();
        for batch in bodies.chunks(size) {
            raw.execute_batch("BEGIN IMMEDIATE")?;
            let mut insert = raw.prepare_cached("INSERT INTO raw (body) VALUES (?)")?;
            for body in batch {
                insert.execute([body.as_ref()])?;
            }
            raw.execute_batch("COMMIT")?;
        }
        let inserted = inserted.elapsed();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / stock.len() as f64;
        let share = each(inserted) / each(written);
        println!(
            "{size:>5} {:>6} {:>8.1} {:>8.1} {:>8.1} {share:>10.2}",
            stock.bytes_each(),
            each(read),
            each(written),
            each(inserted)
        );
    }
    drop(writer);
    runtime.block_on(db.readers.close())?;
    drop(raw);
    println!("{} bytes in the hub's database", std::fs::metadata(&database)?.len());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// A database that keeps bodies and nothing else, as durable as the hub's.
fn raw(path: &Path) -> anyhow::Result<Connection> {
    let raw = Connection::open(path)?;
    raw.pragma_update(None, "journal_mode", "WAL")?;
    raw.pragma_update(None, "synchronous", "FULL")?;
    raw.execute_batch("CREATE TABLE raw (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    Ok(raw)
}
