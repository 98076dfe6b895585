//! Webhooks per second, and their latency: the hub, the same hub with a writer that stores nothing, a handwritten endpoint with a
//! database, and an endpoint that does nothing. All are in one process, with the client on the same cores.
//!
//! `cargo bench --bench ingest`, with `-- --quick` for a short look. On PostgreSQL:
//! `TEST_POSTGRES_FSYNC=on tests/postgres.sh cargo bench --bench ingest`. See `docs/benchmarks.md`.

mod ingest {
    pub mod bare;
    pub mod ceiling;
    pub mod counts;
    pub mod naive;
    pub mod report;
}
mod support;

use anyhow::ensure;
use ingest::counts::{BatchStats, StoredCounts};
use ingest::naive::Naive;
use ingest::report::{self, Figures, Row};
use ingest::{bare, ceiling};
use inspection_hub::server::Hub;
use mimalloc::MiMalloc;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::bench_database::BenchDatabase;
use support::load::Load;
use support::request_stock::{RequestStock, StockBuilder};
use support::{cpu, sources};

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Numbers of connections, and requests that are prepared for each second: more than any server here can handle.
const LEVELS: [(usize, usize); 4] = [(1, 30_000), (16, 80_000), (64, 80_000), (256, 80_000)];
/// The number of connections that the targets are for.
const TARGETED: usize = 64;

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(if quick { Duration::from_secs(1) } else { Duration::from_secs(4) }))
}

async fn run(measured: Duration) -> anyhow::Result<()> {
    let mut databases = BenchDatabase::new("ingest").await?;
    let database = databases.database("hub").await?;
    let settings = sources::settings(&database)?;
    let mut maker = StockBuilder::new(&settings)?;
    let naive = Naive::start(&databases.database("naive").await?, &settings).await?;
    let bare = bare::start().await?;
    let hub = Hub::start(settings.clone()).await?;
    let ceiling = ceiling::start(sources::settings(&databases.database("ceiling").await?)?).await?;

    let (mut answered, mut answered_by_naive) = (0, 0);
    let mut targeted = None;
    for (connections, most) in LEVELS {
        let load = Load { connections, warm_up: measured / 4, measured };
        let seconds = (load.warm_up + load.measured).as_secs_f64();
        // Without optimization everything is slower, and so is preparing requests.
        let most = if cfg!(debug_assertions) { most / 6 } else { most };
        let stock = Arc::new(maker.make((most as f64 * seconds) as usize)?);
        if connections == LEVELS[0].0 {
            println!("requests of {} bytes on average\n", stock.bytes_each());
            report::head();
        }

        let before = BatchStats::of(&hub).await?;
        let (answers, by_hub) = measure(load, hub.address(), &stock).await?;
        answered += answers;
        let batch = BatchStats::of(&hub).await?.mean_since(before);
        let (answers, by_naive) = measure(load, naive.address, &stock).await?;
        answered_by_naive += answers;
        let (_, by_bare) = measure(load, bare, &stock).await?;
        let (_, by_ceiling) = measure(load, ceiling.address(), &stock).await?;
        let row = Row { connections, hub: by_hub, ceiling: by_ceiling, naive: by_naive, bare: by_bare, batch };
        report::row(&row);
        if connections == TARGETED {
            targeted = Some(row);
        }
    }

    ceiling.stop().await;
    let replicas = match &databases {
        BenchDatabase::Folder(_) => None,
        BenchDatabase::Server { .. } => {
            let load = Load { connections: TARGETED, warm_up: measured / 4, measured };
            let seconds = (load.warm_up + load.measured).as_secs_f64();
            let beside = Hub::start(settings).await?;
            let mut both = [0.0; 2];
            for (figure, addresses) in both.iter_mut().zip([vec![hub.address()], vec![hub.address(), beside.address()]])
            {
                let most = 40_000 / addresses.len();
                for address in &addresses[1..] {
                    println!("two hubs on one database, the second at {address}");
                }
                let share = Load { connections: TARGETED / addresses.len(), ..load };
                let mut stocks = Vec::new();
                for _ in &addresses {
                    stocks.push(Arc::new(maker.make((most as f64 * seconds) as usize)?));
                }
                let driven = addresses.iter().zip(&stocks).map(|(address, stock)| share.drive(*address, stock));
                for outcome in futures_util::future::try_join_all(driven).await? {
                    answered += outcome.answered;
                    *figure += report::per_second(&outcome);
                }
            }
            beside.stop().await;
            Some(both)
        }
    };

    hub.stop().await;
    let stored = StoredCounts::read(&database).await?;
    let StoredCounts { deliveries, duplicates, changes, received } = stored;
    println!("the hub answered {answered}: {deliveries} deliveries, {duplicates} duplicates, {changes} changes");
    ensure!(deliveries + duplicates == answered as i64, "deliveries that were answered are not in the database");
    ensure!(received == answered as i64, "the ledger does not add up: it says {received}");
    ensure!(naive.taken().await? == answered_by_naive, "naive has lost some, too");
    naive.close().await?;
    // Kept if anything was wrong.
    let on_server = matches!(databases, BenchDatabase::Server { .. });
    databases.remove().await?;
    if let Some(row) = targeted {
        report::targets(&row, on_server);
    }
    if let Some(replicas) = replicas {
        report::replicas(replicas);
    }
    Ok(())
}

/// Drives a server. Returns how many requests it answered, and its figures.
async fn measure(load: Load, address: SocketAddr, stock: &Arc<RequestStock>) -> anyhow::Result<(u64, Figures)> {
    let before = cpu::own()?;
    let outcome = load.drive(address, stock).await?;
    let cpu = (cpu::own()? - before).as_secs_f64() * 1e6 / outcome.answered as f64;
    Ok((outcome.answered, Figures::of(&outcome, cpu)))
}
