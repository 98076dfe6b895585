//! What a purge retains, its as-of states, and the lock that admits one purge.

use super::{delivery_body, discrepancies, open_database, post_inspection, purge, retry_while_locked, start};
use crate::database::{TestDatabase, write};
use crate::generators::incoming_at;
use crate::test_hub::{TIMEOUT, TestHub};
use chrono::{TimeDelta, Utc};
use entity::{delivery, entity as thing};
use inspection_hub::ingest::Writer;
use inspection_hub::rebuild::Rebuild;
use inspection_hub::retention::RetentionTask;
use inspection_hub::retention::{PurgeMode, Purger};
use inspection_hub::store::read::{TimeAxis, as_of};
use inspection_hub::store::{Database, OpenMode, StoreError};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn retained_entities_keep_their_past() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    // Many that finish, and one of each ten that stays open.
    let minute = |minute: i64| start() + TimeDelta::minutes(minute);
    let mut kept = BTreeMap::new();
    for number in 0..60_usize {
        let goes_on = number.is_multiple_of(10);
        for state in 0..if goes_on { 2 } else { 4 } {
            let body: Value = serde_json::from_str(&delivery_body(number * 4 + state)).expect("JSON");
            let at = minute(number as i64 * 4 + state as i64);
            write(&mut writer, &[incoming_at("pave", "pave", &body, at)]);
        }
        if goes_on {
            kept.insert(number, number as i64 * 4);
        }
    }
    let all = purge(&db, minute(1_000), PurgeMode::Delete).await;
    // The newest delivery is never purged, nor is its inspection.
    assert_eq!((all.units, all.kept_open, all.kept_recent), (53, 6, 1), "{all:?}");
    let things = thing::Entity::find().all(&db.read_pool).await.expect("entities");
    for (number, begun) in kept {
        let name = format!("K{number}");
        let is_it = |row: &&thing::Model| row.external_id == name && row.kind == entity::Kind::Inspection;
        let row = things.iter().find(is_it).expect("it is kept");
        for (at, state) in
            [(begun - 1, None), (begun, Some("STARTED")), (begun + 1, Some("PROCESS")), (900, Some("PROCESS"))]
        {
            let then = as_of(&db.read_pool, minute(at), TimeAxis::Received, &[row.row_id]).await.expect("the past");
            assert_eq!(then.get(&row.row_id).and_then(|then| then.state.as_deref()), state, "{name} at {at}");
        }
    }
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_report_says_what_was_kept() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    let hour = |hour: i64| start() + TimeDelta::hours(hour);
    let mut say = |vendor: &str, hour: i64, body: Value| {
        write(&mut writer, &[incoming_at(vendor, vendor, &body, start() + TimeDelta::hours(hour))]);
    };
    let pave =
        |key: &str, status: &str| json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": key });
    say("pave", 0, pave("ended", "EXPIRED"));
    say("pave", 0, pave("repeated", "EXPIRED"));
    say("pave", 0, pave("open", "STARTED"));
    say("pave", 0, json!(["unreadable"]));
    let account = json!({ "id": "acc-1", "tenant_id": "t-1", "status": "active" });
    let run = |run: &str, status: &str| json!({ "id": run, "integrated_account_id": "acc-1", "status": status });
    let truto = |id: &str, event: &str, payload: &Value| json!({ "id": id, "event": event, "payload": payload });
    say("truto", 0, truto("1", "integrated_account:active", &account));
    say("truto", 1, truto("2", "sync_job_run:created", &run("run-1", "created")));
    say("truto", 1, truto("3", "sync_job_run:completed", &run("run-1", "completed")));
    say("truto", 1, truto("4", "sync_job_run:started", &run("run-2", "running")));
    say("pave", 9, pave("repeated", "EXPIRED"));
    say("truto", 9, truto("5", "integrated_account:reactivated", &account));

    let done = purge(&db, hour(5), PurgeMode::Delete).await;
    let left = thing::Entity::find().all(&db.read_pool).await.expect("entities");
    let left: BTreeSet<&str> = left.iter().map(|row| row.external_id.as_str()).collect();
    assert_eq!(left, BTreeSet::from(["acc-1", "open", "repeated", "run-2"]), "{done:?}");
    // A finished run is purged, though its account stays.
    assert_eq!((done.units, done.kept_open, done.deliveries), (2, 2, 4), "{done:?}");
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
}

#[tokio::test]
async fn one_at_a_time() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let stop = CancellationToken::new;
    let first = Purger::open(db.clone(), stop()).await.expect("nobody else does");
    assert!(matches!(Purger::open(db.clone(), stop()).await, Err(StoreError::Locked(_))));
    let scratch = database.folder.path().join("scratch");
    assert!(matches!(Rebuild::open(db.clone(), &scratch, stop()).await, Err(StoreError::Locked(_))));
    drop(first);
    retry_while_locked(async || Purger::open(db.clone(), stop()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_restarts_a_rebuild_from_scratch() {
    let app = TestHub::start().await;
    for number in 0..3 {
        post_inspection(&app, number).await;
    }
    let then = Utc::now();
    post_inspection(&app, 3).await;
    let db = open_database(&app).await;
    let folder = app.database.folder.path().join("scratch");
    let mut begun = Rebuild::open(db.clone(), &folder, CancellationToken::new()).await.expect("a rebuild");
    assert_eq!(begun.replay_and_diff(|_| {}).await.expect("derived").total, 0);
    drop(begun);
    let done = purge(&db, then, PurgeMode::Delete).await;
    assert_eq!(done.units, 3);
    let opened = async || Rebuild::open(db.clone(), &folder, CancellationToken::new()).await;
    let mut rebuild = retry_while_locked(opened).await;
    assert_eq!(rebuild.progress().await.expect("how far"), (4, 0));
    assert_eq!(rebuild.replay_and_diff(|_| {}).await.expect("derived").total, 0);
}

#[tokio::test]
async fn the_hub_purges_periodically() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    for number in 0..8 {
        let body: Value = serde_json::from_str(&delivery_body(number)).expect("JSON");
        let at = Utc::now() - TimeDelta::hours(if number < 4 { 3 } else { 1 });
        write(&mut writer, &[incoming_at("pave", "pave", &body, at)]);
    }
    let stop = CancellationToken::new();
    let retention = RetentionTask {
        db: db.clone(),
        max_age: std::time::Duration::from_secs(2 * 3600),
        initial_delay: std::time::Duration::ZERO,
        interval: std::time::Duration::from_secs(3600),
        clock: Utc::now,
    };
    let task = tokio::spawn(retention.run(stop.clone()));
    let started = Instant::now();
    while delivery::Entity::find().all(&db.read_pool).await.expect("deliveries").len() > 4 {
        assert!(started.elapsed() < TIMEOUT);
        tokio::task::yield_now().await;
    }
    stop.cancel();
    task.await.expect("it ends");
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
}
