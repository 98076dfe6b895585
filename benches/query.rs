//! Queries per second, and their latency: the hub's whole HTTP stack compared with handwritten SQL for the same rows behind
//! bare axum, and with bare axum alone. One process, one database, the client on the same cores.
//!
//! `cargo bench --bench query`, with `-- --quick` for a short look. On PostgreSQL:
//! `tests/postgres.sh cargo bench --bench query`. See `docs/benchmarks.md`.

mod support {
    pub mod bench_database;
    pub mod client;
    pub mod disk;
    pub mod request_stock;
    pub mod requests;
    pub mod sources;
    mod template;
}

mod queries {
    pub mod handwritten;
    pub mod load;
}

use anyhow::{Context, ensure};
use inspection_hub::ingest::{BatchWriter, Writer};
use inspection_hub::server::Hub;
use inspection_hub::settings::Settings;
use inspection_hub::store::{Database, OpenMode};
use mimalloc::MiMalloc;
use queries::handwritten::{HandwrittenServer, LISTED};
use queries::load::{Figures, Load};
use sea_orm::sqlx::types::Uuid;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use support::bench_database::BenchDatabase;
use support::client::Connection;
use support::request_stock::StockBuilder;
use support::requests::Requests;
use support::sources;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Deliveries that the database is filled with.
const DELIVERIES: usize = if cfg!(debug_assertions) { 6_000 } else { 100_000 };
/// Deliveries in one transaction.
const BATCH: usize = 512;
/// The number of connections that the targets are for.
const CONNECTIONS: usize = 64;
/// Turns of the hub and the other server; the median of their ratios counts.
const TURNS: usize = 5;

/// One comparison.
#[derive(Clone)]
struct Case {
    what: &'static str,
    /// The query to the hub, and the path of the same at the other server.
    query: String,
    path: String,
    /// Whether each connection sends a different text, so that no execution is shared.
    alone: bool,
    /// The ratio to reach.
    target: f64,
}

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick") || cfg!(debug_assertions);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(if quick { Duration::from_millis(500) } else { Duration::from_secs(3) }))
}

async fn run(measured: Duration) -> anyhow::Result<()> {
    let mut databases = BenchDatabase::new("query").await?;
    let database = databases.database("hub").await?;
    let settings = sources::settings(&database)?;
    let filling = settings.clone();
    let changes = tokio::task::spawn_blocking(move || fill(&filling)).await??;
    let handwritten = HandwrittenServer::start(&database).await?;
    let hub = Hub::start(settings).await?;
    Connection::open(hub.address()).await?.get("/readyz").await?;
    let id = handwritten.largest().await?;
    println!("{DELIVERIES} deliveries, {changes} changes; {CONNECTIONS} connections, the middle of {TURNS} turns");
    println!(
        "{:34} {:>10} {:>9} {:>9} {:>10} {:>9} {:>9}",
        "", "hub/s", "p50 ms", "p99 ms", "other/s", "p50 ms", "p99 ms"
    );
    for case in cases(id).into_iter().flat_map(Case::in_both_ways) {
        case.same(hub.address(), handwritten.address).await?;
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            let load = Load { connections: CONNECTIONS, warm_up: measured / 4, measured };
            let of_hub = load.drive(hub.address(), |number| case.request("/graphql", number)).await?;
            let other = load.drive(handwritten.address, |number| case.request(&case.path, number)).await?;
            turns.push((of_hub, other));
        }
        case.report(turns);
    }
    hub.stop().await;
    handwritten.close().await;
    databases.remove().await
}

fn cases(id: Uuid) -> [Case; 3] {
    [
        Case {
            what: "list of 50 inspections, 6 fields",
            query: format!(
                "{{ inspections(first: {LISTED}) {{ nodes {{ id vendor externalId state status updatedAt }} }} }}"
            ),
            path: "/list".to_owned(),
            alone: false,
            target: 0.9,
        },
        Case {
            what: "one with all its children",
            query: format!(
                "{{ inspection(id: \"{id}\") {{ id vendor externalId state status updatedAt
                    history {{ nodes {{ position verdict reasonCode event toState receivedAt }} }}
                    sessions {{ nodes {{ id externalId state status }} }} jobs {{ nodes {{ id externalId state status }} }}
                    items {{ nodes {{ id externalId state kind }} }} }} }}"
            ),
            path: format!("/one/{id}"),
            alone: false,
            target: 0.6,
        },
        Case {
            what: "__typename",
            query: "{ __typename }".to_owned(),
            path: "/typename".to_owned(),
            alone: true,
            target: 0.6,
        },
    ]
}

impl Case {
    /// All connections with the same text, and each with its own.
    fn in_both_ways(self) -> Vec<Case> {
        if self.alone { vec![self] } else { vec![self.clone(), Case { alone: true, ..self }] }
    }

    fn request(&self, path: &str, connection: usize) -> Vec<u8> {
        let words = if self.alone { format!("{} # {connection}", self.query) } else { self.query.clone() };
        post(path, &words)
    }

    /// Both must return the same before they are measured.
    async fn same(&self, hub: SocketAddr, other: SocketAddr) -> anyhow::Result<()> {
        let mut answers = Vec::new();
        for (address, path) in [(hub, "/graphql"), (other, self.path.as_str())] {
            let mut connection = Connection::open(address).await?;
            let answer = connection.ask(&post(path, &self.query)).await?;
            answers.push(serde_json::from_slice::<Value>(answer)?["data"].clone());
        }
        ensure!(answers[0] == answers[1], "{}: different answers:\n{}\n{}", self.what, answers[0], answers[1]);
        Ok(())
    }

    fn report(&self, mut turns: Vec<(Figures, Figures)>) {
        let ratio = |(hub, other): &(Figures, Figures)| hub.per_second / other.per_second;
        turns.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
        let Some(middle @ (hub, other)) = turns.get(turns.len() / 2) else { return };
        let figures =
            |Figures { per_second, median, p99 }: &Figures| format!("{per_second:>10.0} {median:>9.2} {p99:>9.2}");
        let reached = if ratio(middle) >= self.target { "reached" } else { "MISSED" };
        let (what, target) = (self.what, self.target);
        let how = if self.alone { "each in its own words" } else { "all in the same words" };
        println!("{what:34} {} {}   {how}", figures(hub), figures(other));
        println!("{:34} {:.2} of the other; at least {target}: {reached}", "", ratio(middle));
    }
}

fn post(path: &str, query: &str) -> Vec<u8> {
    let body = json!({ "query": query }).to_string();
    let head = "host: localhost\r\ncontent-type: application/json\r\naccept: application/json";
    format!("POST {path} HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Writes deliveries of many inspections. Returns the number of changes.
fn fill(settings: &Settings) -> anyhow::Result<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let db = runtime.block_on(Database::open_with(&settings.database, OpenMode::Migrate, settings.pools()))?;
    let stock = StockBuilder::new(settings)?.make(DELIVERIES)?;
    println!("filled with requests of {} bytes on average", stock.bytes_each());
    let incoming = Requests::of(&stock)?.read(settings)?;
    let mut writer = Writer::open(&db)?;
    let mut position = 0;
    for batch in incoming.chunks(BATCH) {
        position = writer.write_batch(batch)?.head.position;
        writer.run_maintenance(batch.len());
    }
    drop(writer);
    runtime.block_on(db.read_pool.close()).context("the readers")?;
    Ok(position)
}
