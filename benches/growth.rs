//! The hub's figures while its database grows: the writer, for new deliveries and for duplicates; the queries of frontends;
//! and the size, at last that of each table and index. The same hub is measured again at each size, in one run.
//!
//! `cargo bench --bench growth`: 1,000 to 1,000,000 inspections, the last with 10,000,000 changes; `-- --quick` for a short
//! look, `-- --sizes 10000,100000` for others. On SQLite or, where `TEST_DATABASE_URL` names a server, on PostgreSQL. Takes
//! up to 20 GB of disk. See `docs/benchmarks.md`.

mod growth {
    pub mod fill;
    pub mod queries;
}
#[path = "support/bench_database.rs"]
mod bench_database;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/scenarios.rs"]
mod scenarios;
#[path = "support/template.rs"]
mod template;

use anyhow::{Context, ensure};
use bench_database::BenchDatabase;
use growth::fill::Population;
use growth::queries::{build_queries, graph};
use inspection_hub::ingest::{BatchWriter, LogRecord, Writer};
use inspection_hub::store::{Database, OpenMode};
use mimalloc::MiMalloc;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use scenarios::DELIVERY_INTERVAL;
use std::time::Instant;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Inspections.
const SIZES: &[u32] = &[1_000, 10_000, 100_000, 1_000_000];
const QUICK: &[u32] = &[200, 2_000];
/// Deliveries in one transaction.
const BATCH: usize = 64;
/// Inspections whose deliveries are written while it is measured.
const NEW: u32 = 1_000;
/// Inspections of which one delivery is repeated.
const DUPLICATES: usize = 900;
/// By how much a delivery may cost more in the largest database than in the smallest.
const SQLITE_TARGET: f64 = 1.6;
const POSTGRES_TARGET: f64 = 1.2;

/// A row of the table: what was measured, and what it was at each size.
type Row = (&'static str, Vec<f64>);

fn main() -> anyhow::Result<()> {
    let sizes = sizes()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut databases = runtime.block_on(BenchDatabase::new("growth"))?;
    let address = runtime.block_on(databases.database("growth"))?;
    let db = runtime.block_on(Database::open(&address, OpenMode::Migrate))?;
    let mut population = Population::new(&runtime, db, &address)?;
    let mut rows: Vec<Row> = Vec::new();
    for size in &sizes {
        let begun = Instant::now();
        population.grow(*size)?;
        let filled = begun.elapsed();
        let measured = measure(&runtime, &mut population)?;
        eprintln!("{size} inspections: filled in {:.0?}, all in {:.0?}", filled, begun.elapsed());
        measured.iter().for_each(|(what, value)| eprintln!("  {what}: {value:.0}"));
        if rows.is_empty() {
            rows = measured.iter().map(|(what, _)| (*what, Vec::new())).collect();
        }
        for (row, (_, value)) in rows.iter_mut().zip(measured) {
            row.1.push(value);
        }
    }
    report(&rows, if address.starts_with("postgres") { POSTGRES_TARGET } else { SQLITE_TARGET });
    report_sizes(&population)?;
    population.close()?;
    runtime.block_on(databases.remove())?;
    Ok(())
}

fn sizes() -> anyhow::Result<Vec<u32>> {
    let mut arguments = std::env::args();
    let mut sizes = if cfg!(debug_assertions) { QUICK.to_vec() } else { SIZES.to_vec() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => sizes = QUICK.to_vec(),
            "--sizes" => {
                let given = arguments.next().context("--sizes needs numbers of inspections")?;
                sizes = given.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            _ => {}
        }
    }
    ensure!(sizes.is_sorted(), "the sizes must go up");
    Ok(sizes)
}

fn measure(
    runtime: &tokio::runtime::Runtime,
    population: &mut Population<'_>,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let head = population.head()?;
    let bytes = population.bytes()? as f64;
    let mut measured = vec![
        ("inspections", f64::from(population.inspections)),
        ("deliveries", head.last_delivery_row_id as f64),
        ("changes", head.position as f64),
        ("bytes for each inspection", bytes / f64::from(population.inspections)),
    ];
    let graph = graph(runtime, population)?;
    for question in build_queries(runtime, &graph, population)? {
        let micros = question.run_query(runtime, &graph)?;
        measured.push((question.what, micros[micros.len() / 2]));
    }
    let repeated = repetitions(population)?;
    measured.push(("a delivery that repeats another", write(population, &repeated, true)?));
    let now = population.now()?;
    let scenarios = population.next(NEW);
    let new = population.deliveries.all(scenarios, now)?;
    measured.push(("a new delivery", write(population, &new, false)?));
    Ok(measured)
}

/// Duplicates of deliveries anywhere in the history.
fn repetitions(population: &Population<'_>) -> anyhow::Result<Vec<LogRecord>> {
    let mut scenarios: Vec<u32> = (0..population.own).collect();
    scenarios.shuffle(&mut StdRng::seed_from_u64(u64::from(population.own)));
    let now = population.now()?;
    let repeated = scenarios.into_iter().take(DUPLICATES).map(|scenario| {
        let event = scenario as usize / 7 % population.deliveries.events(scenario);
        population.deliveries.delivery(scenario, event, now + DELIVERY_INTERVAL)
    });
    repeated.collect()
}

/// Microseconds for each delivery: the median of batches, written by a writer with an empty cache.
fn write(population: &Population<'_>, deliveries: &[LogRecord], known: bool) -> anyhow::Result<f64> {
    let mut writer = Writer::open(&population.db)?;
    // Connects.
    writer.probe(0)?;
    let mut micros = Vec::new();
    for batch in deliveries.chunks(BATCH) {
        let begun = Instant::now();
        let written = writer.write_batch(batch)?;
        if batch.len() == BATCH {
            micros.push(begun.elapsed().as_secs_f64() * 1e6 / BATCH as f64);
        }
        writer.run_maintenance(batch.len());
        ensure!(written.receipts.iter().all(|receipt| receipt.duplicate == known), "news is known, or is not");
    }
    micros.sort_unstable_by(f64::total_cmp);
    micros.get(micros.len() / 2).copied().context("too few deliveries for a batch")
}

/// The bytes of each table and index for an inspection, at the last size.
fn report_sizes(population: &Population<'_>) -> anyhow::Result<()> {
    let sizes = population.sizes()?;
    let each = |bytes: i64| bytes as f64 / f64::from(population.inspections);
    println!("bytes for each inspection, by table and index");
    for (name, bytes) in &sizes {
        println!("  {name:34}{:>10.0}", each(*bytes));
    }
    println!("  {:34}{:>10.0}", "all", each(sizes.iter().map(|(_, bytes)| bytes).sum()));
    Ok(())
}

fn report(rows: &[Row], target: f64) {
    println!("microseconds, and times as many as at the smallest size");
    for (index, (what, values)) in rows.iter().enumerate() {
        print!("{what:36}");
        for value in values {
            match index {
                0..3 => print!("{value:>18.0}"),
                _ => print!("{value:>11.0} {:>6.2}", value / values[0]),
            }
        }
        println!();
    }
    for (what, values) in &rows[rows.len() - 2..] {
        let ratio = values[values.len() - 1] / values[0];
        let verdict = if ratio <= target { "reached" } else { "MISSED" };
        println!("target: {what} costs at most {target} times as much in the largest: {ratio:.2}  {verdict}");
    }
}
