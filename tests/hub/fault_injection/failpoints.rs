//! kill -9 at every step of the writer and while the inspection index is saved, and a check that the test notices a loss.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::client;
use crate::vendor_client::VendorClient;
use entity::{Kind, entity as thing, inspection_index};
use inspection_hub::store::read::head;
use inspection_hub::store::{Database, OpenMode};
use rand::Rng;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every fail point of the writer (`src/failpoints.rs`). With PostgreSQL one statement writes all tables.
const SQLITE: &[&str] = &[
    "begun",
    "prefetched",
    "decided",
    "entities",
    "deliveries",
    "changes",
    "ledger",
    "duplicates",
    "written",
    "committed",
    "unacknowledged",
];
const POSTGRES: &[&str] = &["begun", "prefetched", "decided", "written", "committed", "unacknowledged"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_costs_nothing() {
    let database = TestDatabase::new().await;
    let places = if database.address.starts_with("sqlite") { SQLITE } else { POSTGRES };
    let sender = VendorClient::new(places.len() * 60);
    for place in places {
        let times = rand::rng().random_range(1..=5);
        let point = format!("{place}:{times}");
        let mut server = HubProcess::with(&database, &[("FAILPOINT", point.clone())]).await;
        let sending = sender.start_sending(&[server.url.clone()]);
        server.wait_for_stdout(format!("stopped at {place}")).await;
        server.kill();
        sending.await.expect("sent");
        let server = HubProcess::start(&database).await;
        assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new(), "killed at {point}");
    }
    let server = HubProcess::start(&database).await;
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done());
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_the_inspection_index_is_saved_leaves_counts_exact() {
    let database = TestDatabase::new().await;
    let sender = VendorClient::new(240);
    let server = HubProcess::start(&database).await;
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    server.kill();
    // It reads what was saved before, and is killed while it saves at its end what has changed.
    let mut server = HubProcess::with(&database, &[("FAILPOINT", "index saved:1".to_owned())]).await;
    server.signal("TERM");
    server.wait_for_stdout("stopped at index saved".to_owned()).await;
    server.kill();
    for _ in 0..2 {
        let server = HubProcess::start(&database).await;
        assert_eq!(counted(&server.url).await, stored(&database).await);
        server.stop().await;
    }
    let db = Database::open(&database.address, OpenMode::SkipMigrations).await.expect("the database");
    let saved = inspection_index::Entity::find_by_id(1).one(&db.read_pool).await.expect("read").expect("a row");
    assert_eq!(saved.position, head(&db.read_pool).await.expect("the counters").position);
}

/// The number of inspections in each status, as a hub answers.
async fn counted(url: &str) -> BTreeMap<String, i64> {
    let request = json!({ "query": "{ statusCounts { status count } }" });
    let answer = client().post(format!("{url}/graphql")).json(&request).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    let counts = answer["data"]["statusCounts"].as_array().expect("counts").iter();
    let counts = counts.map(|row| (row["status"].as_str().unwrap_or_default().to_owned(), row["count"].as_i64()));
    counts.filter_map(|(status, count)| Some((status, count.filter(|count| *count > 0)?))).collect()
}

/// The same, from the rows.
async fn stored(database: &TestDatabase) -> BTreeMap<String, i64> {
    let db = Database::open(&database.address, OpenMode::SkipMigrations).await.expect("the database");
    let rows = thing::Entity::find().filter(thing::Column::Kind.eq(Kind::Inspection));
    let mut counts = BTreeMap::new();
    for row in rows.all(&db.read_pool).await.expect("rows") {
        if let Some(status) = row.status {
            *counts.entry(status.to_string()).or_default() += 1;
        }
    }
    assert!(!counts.is_empty());
    counts
}

// As if the disk had ignored a sync: the end of the WAL is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_sync_would_be_noticed() {
    let database = TestDatabase::file();
    let sender = VendorClient::new(400);
    let server = HubProcess::start(&database).await;
    // An open read transaction keeps later pages out of the main file, which is synced as well.
    let reader = rusqlite::Connection::open(database.folder.path().join("hub.db")).expect("a reader");
    reader.execute_batch("BEGIN; SELECT * FROM log_head").expect("begun");
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done());
    server.kill();
    // Closing it must not checkpoint the WAL.
    reader.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("left as it is");
    drop(reader);
    let log = std::fs::OpenOptions::new().write(true).open(database.folder.path().join("hub.db-wal")).expect("the log");
    let length = log.metadata().expect("its length").len();
    log.set_len(length * 2 / 3).expect("cut");
    let server = HubProcess::start(&database).await;
    let discrepancies = sender.discrepancies(&server.url).await;
    assert!(discrepancies.iter().any(|it| it.ends_with("and is not there")), "{discrepancies:?}");
}
