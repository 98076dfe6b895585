//! The cost of a query about the past, compared with the same query about the present, for inspections with 1, 60, 100 and
//! 10,000 changes: on both time axes, at the beginning, in the middle and at the end of their history. All take turns, so that
//! other load on the machine affects them equally.
//!
//! `cargo bench --bench as_of`, with `-- --quick` for a short look; see `docs/benchmarks.md`. `DATABASE_URL` names another
//! database, which must be empty.

mod support {
    pub mod disk;
}

use anyhow::{Context, ensure};
use async_graphql::Request as Query;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use inspection_hub::access::Principal;
use inspection_hub::auth::KeyRing;
use inspection_hub::feed::Feed;
use inspection_hub::graphql::{ApiContext, ApiSchema};
use inspection_hub::ingest::{BatchWriter, IngestQueue, LogRecord, Writer};
use inspection_hub::store::read::{
    AsOfList, EntityFilter, EntityProjection, PageRequest, PagingDirection, SortDirection, TimeAxis, as_of,
    entities_by_id, entities_by_row_id, head,
};
use inspection_hub::store::{ApiKeyStore, Database, OpenMode};
use inspection_hub::vendor::verify::{UnverifiedDelivery, Verifier};
use inspection_hub::{event, machine, vendor};
use mimalloc::MiMalloc;
use std::sync::Arc;
use std::time::Instant;
use support::disk;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Lengths of histories. With up to 64 steps, each is found from the one after it; longer ones are materialized.
const CHANGES: [usize; 4] = [1, 60, 100, 10_000];
/// Other inspections around them, with four changes each.
const OTHERS: usize = if cfg!(debug_assertions) { 1_000 } else { 25_000 };
/// Deliveries in one transaction.
const BATCH: usize = 512;
/// The greatest ratio of the 99th percentile to that of the present.
const TARGET: f64 = 2.0;

/// The changes of an inspection.
#[derive(Clone, Copy)]
enum HistoryShape {
    /// Each names a state.
    Steps,
    /// Only the first and one in the middle do.
    Facts,
}

/// A query, and the microseconds of each of its responses.
struct MeasuredQuery {
    what: String,
    question: AsOfQuery,
    micros: Vec<f64>,
}

enum AsOfQuery {
    Now(i64),
    AsOf(i64, DateTime<Utc>, TimeAxis),
    Graph(String),
    Board(Box<AsOfList>),
}

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick") || cfg!(debug_assertions);
    let times = if quick { 300 } else { 3_000 };
    let folder = disk::folder("past")?;
    println!("database in {}, where a synced write takes {:?}", folder.display(), disk::time_to_sync(&folder)?);
    let address = match std::env::var("DATABASE_URL") {
        Ok(address) => address,
        Err(_) => format!("sqlite://{}/hub.db", folder.display()),
    };
    let db = Database::open(&address, OpenMode::Migrate).await?;
    let begin = Utc::now() - TimeDelta::days(30);
    let changes = fill(&db, begin)?;
    println!("{changes} changes of {} inspections; microseconds, {times} times each", OTHERS + 2 * CHANGES.len());

    let graph = ApiSchema::new(ApiContext {
        inspection_index: Default::default(),
        readers: db.read_pool.clone(),
        principal: Principal::unlimited(),
        feed: Feed::new(db.read_pool.clone(), &head(&db.read_pool).await?),
        rejections: Default::default(),
        sources: [].into(),
        ingest: IngestQueue::closed(),
        retention: None,
        keys: Arc::new(KeyRing::unread(ApiKeyStore::new(db.clone()), Utc::now)),
        clock: Utc::now,
    });
    let mut reached = true;
    println!("{:34} {:>8} {:>8} {:>9}", "", "p50", "p99", "p99/now");
    for life in [HistoryShape::Steps, HistoryShape::Facts] {
        for number in CHANGES {
            let mut asked = build_queries(&db, life, number, begin).await?;
            measure(&db, &graph, &mut asked, times).await?;
            reached &= report(life, number, &mut asked);
        }
    }
    let board = |days, clock| {
        let filter = EntityFilter { kind: Some(entity::Kind::Inspection), ..EntityFilter::default() };
        AsOfQuery::Board(Box::new(AsOfList { at: begin + TimeDelta::days(days), axis: clock, filter }))
    };
    let of = |what: &str, question| MeasuredQuery { what: what.to_owned(), question, micros: Vec::new() };
    let mut boards = vec![
        of("25 rows, RECEIVED, 10th day", board(10, TimeAxis::Received)),
        of("25 rows, RECEIVED, 30th day", board(30, TimeAxis::Received)),
        of("25 rows, OCCURRED, 30th day", board(30, TimeAxis::Occurred)),
    ];
    println!("boards of the past");
    measure(&db, &graph, &mut boards, times / 10).await?;
    for asked in &mut boards {
        let (half, most) = percentiles(&mut asked.micros);
        println!("  {:32} {half:>8.0} {most:>8.0}", asked.what);
    }
    println!(
        "target: each p99 at most {TARGET} times that of the present: {}",
        if reached { "reached" } else { "MISSED" }
    );
    db.read_pool.close().await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Writes the queried inspections among many others, over thirty days. Returns the number of changes.
fn fill(db: &Database, begin: DateTime<Utc>) -> anyhow::Result<i64> {
    let mut bodies = Vec::new();
    let longest = CHANGES.into_iter().max().unwrap_or(1);
    for turn in 0..longest {
        // The first of each has no delay.
        let part = |all: usize| (all * turn).div_ceil(longest)..(all * (turn + 1)).div_ceil(longest);
        bodies.extend(
            part(OTHERS)
                .flat_map(|other| ["STARTED", "PROCESS"].map(|status| (format!("OTHER-{other}"), status.to_owned()))),
        );
        for number in CHANGES {
            for change in part(number) {
                let moves = if change % 2 == 0 { "STARTED" } else { "PROCESS" };
                let steps = format!("{}-{number}", HistoryShape::Steps.name());
                bodies.push((steps, moves.to_owned()));
                let is_step = change == 0 || change == number / 2;
                // An unknown state makes a change, and no step.
                let word = if is_step { moves.to_owned() } else { format!("WORD-{change}") };
                bodies.push((format!("{}-{number}", HistoryShape::Facts.name()), word));
            }
        }
    }
    let between = TimeDelta::days(30) / i32::try_from(bodies.len())?;
    let mut writer = Writer::open(db)?;
    let mut position = 0;
    for (batch, group) in bodies.chunks(BATCH).enumerate() {
        let all = group
            .iter()
            .enumerate()
            .map(|(row, (key, status))| incoming(key, status, begin + between * i32::try_from(batch * BATCH + row)?));
        position = writer.write_batch(&all.collect::<anyhow::Result<Vec<_>>>()?)?.head.position;
        writer.run_maintenance(group.len());
    }
    Ok(position)
}

fn incoming(key: &str, status: &str, at: DateTime<Utc>) -> anyhow::Result<LogRecord> {
    let spelled = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let body = format!(
        r#"{{"event":"SESSION:STATUS_CHANGE","session_key":"{key}","status":"{status}","timestamp":"{spelled}"}}"#
    );
    let delivery = UnverifiedDelivery {
        source: "pave".into(),
        vendor: vendor::by_name("pave").context("a vendor")?,
        received_at: at,
        method: "POST",
        path: "/",
        query: None,
        headers: &HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        body: body.into(),
    };
    Ok(LogRecord::prepare(Verifier::open().check(delivery)?))
}

async fn build_queries(
    db: &Database,
    life: HistoryShape,
    number: usize,
    begin: DateTime<Utc>,
) -> anyhow::Result<Vec<MeasuredQuery>> {
    let id = event::EntityRef::new(machine::EntityType::Inspection, format!("{}-{number}", life.name())).id("pave");
    let found = entities_by_id(&db.read_pool, EntityProjection::default(), &[id]).await?;
    let entity = found.get(&id).context("the inspection")?.row_id;
    let of = |what: String, question| MeasuredQuery { what, question, micros: Vec::new() };
    let now = format!("{{ inspection(id: \"{id}\") {{ state status cycle }} }}");
    let mut asked =
        vec![of("now".to_owned(), AsOfQuery::Now(entity)), of("GraphQL, now".to_owned(), AsOfQuery::Graph(now))];
    for (name, clock) in [("RECEIVED", TimeAxis::Received), ("OCCURRED", TimeAxis::Occurred)] {
        for day in [1, 15, 30] {
            let at = begin + TimeDelta::days(day);
            asked.push(of(format!("{name}, day {day}"), AsOfQuery::AsOf(entity, at, clock)));
        }
        let at = (begin + TimeDelta::days(15)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let past =
            format!("{{ inspection(id: \"{id}\") {{ asOf(at: \"{at}\", clock: {name}) {{ state status cycle }} }} }}");
        asked.push(of(format!("GraphQL, {name}, day 15"), AsOfQuery::Graph(past)));
    }
    Ok(asked)
}

/// Runs all queries in turn.
async fn measure(db: &Database, graph: &ApiSchema, asked: &mut [MeasuredQuery], times: usize) -> anyhow::Result<()> {
    for turn in 0..times + times / 10 {
        for one in asked.iter_mut() {
            let begin = Instant::now();
            one.question.run_query(db, graph).await?;
            // The first tenth warms up.
            if turn >= times / 10 {
                one.micros.push(begin.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    Ok(())
}

impl AsOfQuery {
    async fn run_query(&self, db: &Database, graph: &ApiSchema) -> anyhow::Result<()> {
        let rows = match self {
            AsOfQuery::Now(entity) => {
                entities_by_row_id(&db.read_pool, EntityProjection::default(), &[*entity]).await?.len()
            }
            AsOfQuery::AsOf(entity, at, clock) => as_of(&db.read_pool, *at, *clock, &[*entity]).await?.len(),
            AsOfQuery::Graph(query) => usize::from(graph.execute(Query::new(query)).await.errors.is_empty()),
            AsOfQuery::Board(board) => {
                let page = PageRequest { after: None, before: None, limit: 25, paging: PagingDirection::Forward };
                board.page(&db.read_pool, EntityProjection::default(), SortDirection::Desc, &page).await?.rows.len()
                    / 25
            }
        };
        ensure!(rows == 1, "a question without an answer");
        Ok(())
    }
}

/// Whether the target is reached.
fn report(life: HistoryShape, number: usize, asked: &mut [MeasuredQuery]) -> bool {
    println!("{number} changes, {}", life.about());
    let mut reached = true;
    let (mut now, mut query_now) = (0.0, 0.0);
    for one in asked {
        let (half, most) = percentiles(&mut one.micros);
        let of = if matches!(one.question, AsOfQuery::Graph(_)) { &mut query_now } else { &mut now };
        if *of == 0.0 {
            *of = most;
        }
        let ratio = most / *of;
        reached &= ratio <= TARGET;
        println!("  {:32} {half:>8.0} {most:>8.0} {ratio:>9.2}", one.what);
    }
    reached
}

fn percentiles(micros: &mut [f64]) -> (f64, f64) {
    micros.sort_unstable_by(f64::total_cmp);
    let at = |share: usize| micros.get(micros.len() * share / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

impl HistoryShape {
    fn name(self) -> &'static str {
        match self {
            HistoryShape::Steps => "STEPS",
            HistoryShape::Facts => "FACTS",
        }
    }

    fn about(self) -> &'static str {
        match self {
            HistoryShape::Steps => "each names a state",
            HistoryShape::Facts => "two of them name a state",
        }
    }
}
