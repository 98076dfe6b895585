//! What repeats in the history is stored once, whichever process writes it.

use crate::database::TestDatabase;
use crate::generators::{at, incoming_at};
use crate::rebuild::rebuild;
use crate::test_hub::TestHub;
use crate::vendor_client::delivery_body;
use chrono::{SecondsFormat, TimeDelta, Utc};
use entity::{change, change_row, change_type};
use inspection_hub::ingest::{BatchWriter, LogRecord, Writer};
use inspection_hub::store::{Database, OpenMode};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

/// Events with new names that each writer sends.
const ROUNDS: usize = 24;

/// The name of an event that no other round has.
fn name(round: usize) -> String {
    format!("new_{}", "x".repeat(round + 1))
}

/// A delivery about an inspection of this writer's. Record360 may name its events as it likes.
fn new_event(writer: usize, round: usize) -> LogRecord {
    let body = json!({ "event": name(round), "transaction": { "id": writer + 1, "updated_at": at(round) } });
    let received_at = Utc::now() + TimeDelta::milliseconds(i64::try_from(round).expect("few rounds"));
    incoming_at("lot", "record360", &body, received_at)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_add_the_same_new_words_at_once() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let together = Barrier::new(2);
    let mut writers = [Writer::open(&db).expect("a writer"), Writer::open(&db).expect("another writer")];
    std::thread::scope(|scope| {
        for (number, writer) in writers.iter_mut().enumerate() {
            let together = &together;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    together.wait();
                    writer.write_batch(&[new_event(number, round)]).expect("written");
                }
            });
        }
    });
    let pool = sea_orm::Database::connect(&database.address).await.expect("a connection");
    let changes = change::Entity::find().all(&pool).await.expect("each has its type");
    for round in 0..ROUNDS {
        let of_round = changes.iter().filter(|change| change.event == name(round));
        let deliveries: BTreeSet<Option<i64>> = of_round.map(|change| change.delivery_row_id).collect();
        assert_eq!(deliveries.len(), 2, "{}", name(round));
    }
    let used: BTreeSet<i64> =
        change_row::Entity::find().all(&pool).await.expect("rows").into_iter().map(|row| row.type_id).collect();
    assert_eq!(change_type::Entity::find().count(&pool).await.expect("a number"), used.len() as u64);
    assert!(used.len() >= ROUNDS);
    let (code, text) = crate::verify::verify(&database);
    assert_eq!(code, Some(0), "{text}");
}

// The view is created again when its table is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_the_same_history_while_its_table_is_replaced() {
    let app = TestHub::start().await;
    for number in 0..20 {
        app.post("pave", delivery_body(number)).await;
    }
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let done = AtomicBool::new(false);
    let rebuilds = async {
        for _ in 0..4 {
            let database = app.database.clone();
            let rebuilt = tokio::task::spawn_blocking(move || rebuild(&database, &["--full"])).await.expect("it runs");
            assert_eq!(rebuilt.0, Some(0), "{}", rebuilt.1);
        }
        done.store(true, Ordering::Relaxed);
    };
    // As many changes as there are, through the view, its table, and both.
    let read = async |first: usize| {
        let changes = format!("changes(first: {first}) {{ totalCount nodes {{ position event toState }} }}");
        let histories = "inspections { nodes { history { totalCount nodes { position event } } } }";
        let past = format!("inspectionsAsOf(at: \"{now}\") {{ nodes {{ state }} }}");
        app.query(&format!("{{ {changes} {histories} {past} }}")).await
    };
    let expected = read(100).await;
    assert!(expected["changes"]["totalCount"].as_u64().is_some_and(|count| (20..97).contains(&count)), "{expected}");
    let reader = async |first: usize| {
        while !done.load(Ordering::Relaxed) {
            assert_eq!(read(first).await, expected);
        }
    };
    // Equal queries would share one execution.
    tokio::join!(rebuilds, reader(97), reader(98), reader(99));
    assert_eq!(read(100).await, expected);
}
