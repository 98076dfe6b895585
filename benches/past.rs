//! What a question about the past costs beside the same question about the present, for inspections with 1, 60, 100 and
//! 10,000 changes: each by both clocks, at the beginning, in the middle and at the end of their history. All take turns, so
//! that whatever the machine does meanwhile hits them alike.
//!
//! `cargo bench --bench past`, with `-- --quick` for a short look; see `docs/benchmarks.md`. `DATABASE_URL` names another
//! database, which must be empty.

mod support {
    pub mod disk;
}

use anyhow::{Context, ensure};
use async_graphql::Request as Query;
use axum::http::HeaderMap;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use inspection_hub::feed::Feed;
use inspection_hub::graphql::{Api, Graph};
use inspection_hub::store::read::{
    Board, Clock, Direction, End, EntityFilter, Page, Wants, as_of, entities_by_id, entities_by_number, head,
};
use inspection_hub::store::{Database, Incoming, Mode, Post, Writer};
use inspection_hub::vendor::verify::{Request, Verifier};
use inspection_hub::{event, machine, vendor};
use mimalloc::MiMalloc;
use std::time::Instant;
use support::disk;

// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How long the histories are. Of 64 steps each is found from the one after it; of more they are put together.
const CHANGES: [usize; 4] = [1, 60, 100, 10_000];
/// Other inspections around them, with four changes each.
const OTHERS: usize = if cfg!(debug_assertions) { 1_000 } else { 25_000 };
/// Deliveries in one transaction.
const BATCH: usize = 512;
/// The 99th percentile may be so many times that of the present.
const TARGET: f64 = 2.0;

/// What the changes of an inspection are.
#[derive(Clone, Copy)]
enum Life {
    /// Each names a state.
    Steps,
    /// Only the first and one in the middle do.
    Facts,
}

/// A question, and how long each of its answers took, in microseconds.
struct Asked {
    what: String,
    question: Question,
    micros: Vec<f64>,
}

enum Question {
    Now(i64),
    AsOf(i64, DateTime<Utc>, Clock),
    Graph(String),
    Board(Box<Board>),
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
    let db = Database::open(&address, Mode::Migrate).await?;
    let begin = Utc::now() - TimeDelta::days(30);
    let changes = fill(&db, begin)?;
    println!("{changes} changes of {} inspections; microseconds, {times} times each", OTHERS + 2 * CHANGES.len());

    let graph = Graph::new(Api {
        readers: db.readers.clone(),
        feed: Feed::new(db.readers.clone(), &head(&db.readers).await?),
        sources: [].into(),
        clock: Utc::now,
    });
    let mut reached = true;
    println!("{:34} {:>8} {:>8} {:>9}", "", "p50", "p99", "p99/now");
    for life in [Life::Steps, Life::Facts] {
        for number in CHANGES {
            let mut asked = questions(&db, life, number, begin).await?;
            measure(&db, &graph, &mut asked, times).await?;
            reached &= report(life, number, &mut asked);
        }
    }
    let board = |days, clock| {
        let filter = EntityFilter { kind: Some(entity::Kind::Inspection), ..EntityFilter::default() };
        Question::Board(Box::new(Board { at: begin + TimeDelta::days(days), clock, filter }))
    };
    let of = |what: &str, question| Asked { what: what.to_owned(), question, micros: Vec::new() };
    let mut boards = vec![
        of("25 rows, RECEIVED, 10th day", board(10, Clock::Received)),
        of("25 rows, RECEIVED, 30th day", board(30, Clock::Received)),
        of("25 rows, OCCURRED, 30th day", board(30, Clock::Occurred)),
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
    db.readers.close().await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Writes the inspections that are asked for among many others, over thirty days. Answers how many changes there are.
fn fill(db: &Database, begin: DateTime<Utc>) -> anyhow::Result<i64> {
    let mut bodies = Vec::new();
    let longest = CHANGES.into_iter().max().unwrap_or(1);
    for turn in 0..longest {
        // The first of each comes at once.
        let part = |all: usize| (all * turn).div_ceil(longest)..(all * (turn + 1)).div_ceil(longest);
        bodies.extend(
            part(OTHERS)
                .flat_map(|other| ["STARTED", "PROCESS"].map(|status| (format!("OTHER-{other}"), status.to_owned()))),
        );
        for number in CHANGES {
            for change in part(number) {
                let moves = if change % 2 == 0 { "STARTED" } else { "PROCESS" };
                let steps = format!("{}-{number}", Life::Steps.name());
                bodies.push((steps, moves.to_owned()));
                let is_step = change == 0 || change == number / 2;
                // A word that no machine knows leaves a row, and no step.
                let word = if is_step { moves.to_owned() } else { format!("WORD-{change}") };
                bodies.push((format!("{}-{number}", Life::Facts.name()), word));
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
        position = writer.write(&all.collect::<anyhow::Result<Vec<_>>>()?)?.position;
        writer.rest(group.len());
    }
    Ok(position)
}

fn incoming(key: &str, status: &str, at: DateTime<Utc>) -> anyhow::Result<Incoming> {
    let spelled = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let body = format!(
        r#"{{"event":"SESSION:STATUS_CHANGE","session_key":"{key}","status":"{status}","timestamp":"{spelled}"}}"#
    );
    let headers = HeaderMap::new();
    let request = Request { headers: &headers, path: "/", query: None, body: body.as_bytes(), now: at };
    let verified = Verifier::open().check(&request)?;
    let post = Post {
        source: "pave".into(),
        vendor: vendor::by_name("pave").context("a vendor")?,
        received_at: at,
        method: "POST",
        content_type: Some("application/json".to_owned()),
        headers: "{}".to_owned(),
        body: body.clone().into(),
    };
    Ok(Incoming::read(&verified, post))
}

async fn questions(db: &Database, life: Life, number: usize, begin: DateTime<Utc>) -> anyhow::Result<Vec<Asked>> {
    let id = event::Ref::new(machine::Subject::Inspection, format!("{}-{number}", life.name())).id("pave");
    let found = entities_by_id(&db.readers, Wants::default(), &[id]).await?;
    let entity = found.get(&id).context("the inspection")?.number;
    let of = |what: String, question| Asked { what, question, micros: Vec::new() };
    let now = format!("{{ inspection(id: \"{id}\") {{ state status cycle }} }}");
    let mut asked =
        vec![of("now".to_owned(), Question::Now(entity)), of("GraphQL, now".to_owned(), Question::Graph(now))];
    for (name, clock) in [("RECEIVED", Clock::Received), ("OCCURRED", Clock::Occurred)] {
        for day in [1, 15, 30] {
            let at = begin + TimeDelta::days(day);
            asked.push(of(format!("{name}, day {day}"), Question::AsOf(entity, at, clock)));
        }
        let at = (begin + TimeDelta::days(15)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let past =
            format!("{{ inspection(id: \"{id}\") {{ asOf(at: \"{at}\", clock: {name}) {{ state status cycle }} }} }}");
        asked.push(of(format!("GraphQL, {name}, day 15"), Question::Graph(past)));
    }
    Ok(asked)
}

/// Asks all questions in turns.
async fn measure(db: &Database, graph: &Graph, asked: &mut [Asked], times: usize) -> anyhow::Result<()> {
    for turn in 0..times + times / 10 {
        for one in asked.iter_mut() {
            let begin = Instant::now();
            one.question.ask(db, graph).await?;
            // The first tenth warms up.
            if turn >= times / 10 {
                one.micros.push(begin.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    Ok(())
}

impl Question {
    async fn ask(&self, db: &Database, graph: &Graph) -> anyhow::Result<()> {
        let rows = match self {
            Question::Now(entity) => entities_by_number(&db.readers, Wants::default(), &[*entity]).await?.len(),
            Question::AsOf(entity, at, clock) => as_of(&db.readers, *at, *clock, &[*entity]).await?.len(),
            Question::Graph(query) => usize::from(graph.execute(Query::new(query)).await.errors.is_empty()),
            Question::Board(board) => {
                let page = Page { after: None, before: None, limit: 25, from: End::First };
                board.page(&db.readers, Wants::default(), Direction::Down, &page).await?.rows.len() / 25
            }
        };
        ensure!(rows == 1, "a question without an answer");
        Ok(())
    }
}

/// Whether the target is reached.
fn report(life: Life, number: usize, asked: &mut [Asked]) -> bool {
    println!("{number} changes, {}", life.about());
    let mut reached = true;
    let (mut now, mut query_now) = (0.0, 0.0);
    for one in asked {
        let (half, most) = percentiles(&mut one.micros);
        let of = if matches!(one.question, Question::Graph(_)) { &mut query_now } else { &mut now };
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

impl Life {
    fn name(self) -> &'static str {
        match self {
            Life::Steps => "STEPS",
            Life::Facts => "FACTS",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Life::Steps => "each names a state",
            Life::Facts => "two of them name a state",
        }
    }
}
