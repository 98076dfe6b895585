//! The cost of contiguous positions on PostgreSQL. The hub's writer, whose batches lock and update one counter row, is compared
//! with the same writer and statements with numbers from sequences, which lock nothing. The second is for measuring only: its
//! positions have holes and do not follow the order of commits.
//!
//! `TEST_POSTGRES_FSYNC=on tests/postgres.sh cargo bench --bench positions`, with `-- --quick` for a short look; see
//! `docs/benchmarks.md`.

mod support {
    pub mod bench_database;
    pub mod disk;
    pub mod scenarios;
    mod template;
}

use anyhow::{Context, ensure};
use chrono::Utc;
use inspection_hub::ingest::{BatchWriter, LogRecord, Writer};
use inspection_hub::store::{Database, OpenMode};
use mimalloc::MiMalloc;
use sea_orm::ConnectionTrait;
use std::time::{Duration, Instant};
use support::bench_database::BenchDatabase;
use support::scenarios::ScenarioDeliveries;
use tokio::runtime::Runtime;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Deliveries in one transaction.
const BATCH: usize = 64;
/// The least ratio of its rate to that with sequences.
const TARGET: f64 = 0.95;
/// Each writer has sources of its own, so that two writers share only the counter row.
const SOURCES: [&str; 2] = ["-a", "-b"];

/// For a session whose search path begins with `unsafe`, `log_head` is this view and not the table. It returns the numbers of
/// the session's own last batch, so that a writer can trust its cache, unless `hub.trust` is off: then it never returns the same
/// numbers twice. Each session has its own range. Each batch takes three numbers from sequences, as it would need for ranges of
/// positions, deliveries and entities.
const SEQUENCES: &str = "
    CREATE SCHEMA unsafe;
    CREATE SEQUENCE unsafe.positions;
    CREATE SEQUENCE unsafe.deliveries;
    CREATE SEQUENCE unsafe.entities;
    CREATE FUNCTION unsafe.last(name text) RETURNS bigint LANGUAGE sql VOLATILE AS
        $$SELECT COALESCE(NULLIF(current_setting('hub.' || name, true), ''), current_setting('hub.first'))::bigint$$;
    CREATE VIEW unsafe.log_head AS SELECT 1::bigint AS id,
        unsafe.last('position') + 0 * nextval('unsafe.positions') AS position,
        unsafe.last('delivery') + 0 * nextval('unsafe.deliveries') AS last_delivery_row_id,
        unsafe.last('entity') + 0 * nextval('unsafe.entities') AS last_entity_row_id,
        unsafe.last('received_at') AS received_at,
        CASE current_setting('hub.trust') WHEN 'on' THEN unsafe.last('updated_at') ELSE 0 END AS updated_at,
        0::bigint AS generation,
        0::bigint AS retained_from;
    CREATE FUNCTION unsafe.remember() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM set_config('hub.position', NEW.position::text, false),
                set_config('hub.delivery', NEW.last_delivery_row_id::text, false),
                set_config('hub.entity', NEW.last_entity_row_id::text, false),
                set_config('hub.received_at', NEW.received_at::text, false),
                set_config('hub.updated_at', NEW.updated_at::text, false);
            RETURN NEW;
        END $$;
    CREATE TRIGGER remember INSTEAD OF UPDATE ON unsafe.log_head FOR EACH ROW EXECUTE FUNCTION unsafe.remember()";

/// A database in which writers take numbers in one way, and their rates.
struct Variant {
    name: &'static str,
    databases: Vec<Database>,
    writers: Vec<Writer>,
    rates: Vec<f64>,
}

fn main() -> anyhow::Result<()> {
    ensure!(
        std::env::var("TEST_DATABASE_URL").is_ok(),
        "PostgreSQL only: tests/postgres.sh cargo bench --bench positions"
    );
    let quick = std::env::args().any(|argument| argument == "--quick") || cfg!(debug_assertions);
    let (rounds, scenarios) = if quick { (4, 150) } else { (16, 700) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut databases = runtime.block_on(BenchDatabase::new("positions"))?;
    println!("deliveries a second, batches of {BATCH}, the median of {rounds} rounds in turns, and all rounds' range");
    for writers in [1, 2] {
        // With two, a writer with sequences cannot know whether the other has written since its last batch.
        let trust = if writers == 1 { "on" } else { "off" };
        let row = measure_variant(&runtime, &mut databases, "one row", writers, None)?;
        let mut ways = [row, measure_variant(&runtime, &mut databases, "sequences", writers, Some(trust))?];
        for round in 0..rounds {
            // Each goes first as often as the other.
            for turn in 0..ways.len() {
                let way = &mut ways[(turn + round) % 2];
                let stock = (0..writers).map(|writer| {
                    let first = u32::try_from(round)? * scenarios;
                    ScenarioDeliveries::new(SOURCES[writer])?.all(first..first + scenarios, Utc::now())
                });
                let rate = write(&mut way.writers, &stock.collect::<anyhow::Result<Vec<_>>>()?)?;
                way.rates.push(rate);
            }
        }
        report(writers, &mut ways);
        for way in ways {
            drop(way.writers);
            runtime.block_on(async {
                for database in way.databases {
                    database.read_pool.close().await?;
                }
                Ok::<_, sea_orm::DbErr>(())
            })?;
        }
    }
    runtime.block_on(databases.remove())?;
    Ok(())
}

/// A database of its own, opened once for each writer.
fn measure_variant(
    runtime: &Runtime,
    databases: &mut BenchDatabase,
    name: &'static str,
    writers: usize,
    trust: Option<&str>,
) -> anyhow::Result<Variant> {
    let address = runtime.block_on(databases.database(&format!("{}_{writers}", name.replace(' ', "_"))))?;
    let made = runtime.block_on(Database::open(&address, OpenMode::Migrate))?;
    let mut databases = Vec::new();
    if let Some(trust) = trust {
        runtime.block_on(async {
            let own = sea_orm::Database::connect(&address).await?;
            own.execute_unprepared(SEQUENCES).await?;
            own.close().await
        })?;
        for writer in 0..writers {
            let first = (writer as i64 + 1) * 1_000_000_000;
            let options = format!("-c search_path=unsafe,public -c hub.first={first} -c hub.trust={trust}");
            let address = format!("{address}?options={}", options.replace(' ', "%20").replace('=', "%3D"));
            databases.push(runtime.block_on(Database::open(&address, OpenMode::SkipMigrations))?);
        }
        runtime.block_on(made.read_pool.close())?;
    } else {
        databases.resize(writers, made);
    }
    let mut writers = databases.iter().map(Writer::open).collect::<Result<Vec<_>, _>>()?;
    // Connects.
    writers.iter_mut().try_for_each(|writer| writer.probe(0))?;
    Ok(Variant { name, databases, writers, rates: Vec::new() })
}

/// Deliveries per second of all writers at the same time.
fn write(writers: &mut [Writer], stock: &[Vec<LogRecord>]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let times = std::thread::scope(|scope| {
        let writing: Vec<_> = writers
            .iter_mut()
            .zip(stock)
            .map(|(writer, stock)| {
                scope.spawn(move || {
                    stock.chunks(BATCH).try_for_each(|batch| writer.write_batch(batch).map(|_| ()))?;
                    Ok::<Duration, anyhow::Error>(begun.elapsed())
                })
            })
            .collect();
        writing.into_iter().map(|writer| writer.join().expect("a writer does not panic")).collect::<Vec<_>>()
    });
    let longest = times.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().max().context("a writer")?;
    Ok(stock.iter().map(Vec::len).sum::<usize>() as f64 / longest.as_secs_f64())
}

fn report(writers: usize, ways: &mut [Variant]) {
    let mut medians = Vec::new();
    for way in ways {
        way.rates.sort_unstable_by(f64::total_cmp);
        let (least, most) = (way.rates[0], way.rates[way.rates.len() - 1]);
        let median = way.rates[way.rates.len() / 2];
        println!("{writers} writers, {:9} {median:>8.0}  ({least:.0} to {most:.0})", way.name);
        medians.push(median);
    }
    let ratio = medians[0] / medians[1];
    let verdict = if ratio >= TARGET { "reached" } else { "MISSED" };
    println!("target: one row at least {TARGET} times sequences: {ratio:.2}  {verdict}");
}
