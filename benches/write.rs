//! The cost of a delivery in the writer, without HTTP: verified and parsed deliveries in batches of several sizes, compared with
//! the lower bound of a durable log, which inserts the raw bodies of the same batches and commits. With the time, what a delivery
//! adds to the write-ahead log.
//!
//! `cargo bench --bench write`, with `-- --quick` for a short look. On PostgreSQL:
//! `TEST_POSTGRES_FSYNC=on tests/postgres.sh cargo bench --bench write`. See `docs/benchmarks.md`.

mod support {
    pub mod bench_database;
    pub mod disk;
    pub mod log_volume;
    pub mod request_stock;
    pub mod requests;
    pub mod sources;
    mod template;
}

use axum::body::Bytes;
use inspection_hub::ingest::{BatchWriter, Writer};
use inspection_hub::store::{Database, OpenMode};
use mimalloc::MiMalloc;
use rusqlite::Connection;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Connection as _, Executor};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use std::time::{Duration, Instant};
use support::bench_database::BenchDatabase;
use support::log_volume::LogVolume;
use support::request_stock::StockBuilder;
use support::requests::Requests;
use support::sources;
use tokio::runtime::Runtime;

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
    let mut databases = runtime.block_on(BenchDatabase::new("write"))?;
    let database = runtime.block_on(databases.database("hub"))?;
    let settings = sources::settings(&database)?;
    let db = runtime.block_on(Database::open(&database, OpenMode::Migrate))?;
    let mut writer = Writer::open(&db)?;
    let mut raw = RawInserts::open(&runtime, &runtime.block_on(databases.database("raw"))?)?;
    let mut maker = StockBuilder::new(&settings)?;
    let mut log = LogVolume::open(&runtime, &database)?;
    println!("microseconds for each delivery; {}", log.unit());
    println!("batch  bytes     read    write      raw  raw/write        log  full images");
    for size in BATCHES {
        let stock = maker.make(if size == 1 { most / 6 } else { most })?;
        let requests = Requests::of(&stock)?;
        let read = Instant::now();
        let incoming = requests.read(&settings)?;
        let read = read.elapsed();
        let bodies: Vec<&Bytes> = requests.0.iter().map(|(_, _, body)| body).collect();
        let mut written = Duration::ZERO;
        log.begin(&runtime)?;
        for batch in incoming.chunks(size) {
            let begun = Instant::now();
            writer.write_batch(batch)?;
            // A checkpoint may restart the log afterwards.
            written += begun.elapsed();
            log.after_batch()?;
            let begun = Instant::now();
            writer.run_maintenance(batch.len());
            written += begun.elapsed();
        }
        let (logged, images) = log.end(&runtime)?;
        let inserted = Instant::now();
        for batch in bodies.chunks(size) {
            raw.insert(&runtime, batch)?;
        }
        let inserted = inserted.elapsed();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / stock.len() as f64;
        let share = each(inserted) / each(written);
        println!(
            "{size:>5} {:>6} {:>8.1} {:>8.1} {:>8.1} {share:>10.2} {:>10.2} {:>12.4}",
            stock.bytes_each(),
            each(read),
            each(written),
            each(inserted),
            logged as f64 / stock.len() as f64,
            images as f64 / stock.len() as f64,
        );
    }
    drop(writer);
    drop(raw);
    let size = runtime.block_on(size(&db.read_pool))?;
    println!("{size} bytes in the hub's database");
    runtime.block_on(db.read_pool.close())?;
    runtime.block_on(databases.remove())?;
    Ok(())
}

/// A database that stores only bodies, as durably as the hub's.
enum RawInserts {
    Sqlite(Connection),
    Postgres(Box<PgConnection>),
}

impl RawInserts {
    fn open(runtime: &Runtime, address: &str) -> anyhow::Result<RawInserts> {
        if let Some(path) = address.strip_prefix("sqlite://") {
            let raw = Connection::open(path)?;
            raw.pragma_update(None, "journal_mode", "WAL")?;
            raw.pragma_update(None, "synchronous", "FULL")?;
            raw.execute_batch("CREATE TABLE raw (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
            return Ok(RawInserts::Sqlite(raw));
        }
        runtime.block_on(async {
            let mut raw = PgConnection::connect(address).await?;
            raw.execute(
                "CREATE TABLE raw (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body BYTEA NOT NULL)",
            )
            .await?;
            Ok(RawInserts::Postgres(Box::new(raw)))
        })
    }

    fn insert(&mut self, runtime: &Runtime, batch: &[&Bytes]) -> anyhow::Result<()> {
        match self {
            RawInserts::Sqlite(raw) => {
                raw.execute_batch("BEGIN IMMEDIATE")?;
                let mut insert = raw.prepare_cached("INSERT INTO raw (body) VALUES (?)")?;
                for body in batch {
                    insert.execute([&body[..]])?;
                }
                raw.execute_batch("COMMIT")?;
            }
            // One statement is one transaction.
            RawInserts::Postgres(raw) => {
                let bodies: Vec<&[u8]> = batch.iter().map(|body| body.as_ref()).collect();
                let insert = sqlx::query("INSERT INTO raw (body) SELECT * FROM unnest($1::bytea[])").bind(bodies);
                runtime.block_on(insert.execute(raw.as_mut()))?;
            }
        }
        Ok(())
    }
}

/// The bytes that a database takes.
async fn size(db: &DatabaseConnection) -> anyhow::Result<i64> {
    let text = match db.get_database_backend() {
        DbBackend::Sqlite => "SELECT page_count * page_size AS size FROM pragma_page_count(), pragma_page_size()",
        _ => "SELECT pg_database_size(current_database()) AS size",
    };
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await?;
    Ok(row.map(|row| row.try_get("", "size")).transpose()?.unwrap_or_default())
}
