use super::{ReplicaTask, TrafficCounter, WebhookAnswer};
use crate::database::TestDatabase;
use crate::feed::Feed;
use crate::store::read::{head, replicas, source_rates};
use crate::store::{Database, HOUR_SECONDS, MINUTE_SECONDS, OpenMode, ReplicaReport, ReplicaStore};
use chrono::{DateTime, TimeDelta, Utc};
use entity::replica::Model;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const NOW: DateTime<Utc> = DateTime::from_timestamp(1_772_400_000, 0).expect("a moment");

async fn open() -> (TestDatabase, Database, Arc<Feed>) {
    let folder = TestDatabase::new().await;
    let db = Database::open(&folder.address, OpenMode::Migrate).await.expect("opens");
    let feed = Feed::new(db.read_pool.clone(), &head(&db.read_pool).await.expect("a head"));
    (folder, db, feed)
}

fn task(db: &Database, feed: &Arc<Feed>) -> ReplicaTask {
    task_with(db, feed, Vec::new())
}

fn task_with(db: &Database, feed: &Arc<Feed>, counters: Vec<(String, Arc<TrafficCounter>)>) -> ReplicaTask {
    ReplicaTask::new(
        ReplicaStore::new(db.clone()),
        db.read_pool.clone(),
        feed.clone(),
        counters,
        "digest".to_owned(),
        || NOW,
    )
}

async fn rows(db: &Database) -> Vec<Model> {
    replicas(&db.read_pool).await.expect("rows")
}

#[tokio::test]
async fn a_replica_has_one_row_until_it_ends() {
    let (_folder, db, feed) = open().await;
    let task = task(&db, &feed);
    for _ in 0..2 {
        task.report().await.expect("reported");
    }
    let all = rows(&db).await;
    let at = NOW.timestamp_micros();
    let [row] = all.as_slice() else { panic!("{all:?}") };
    let expected = Model {
        id: row.id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: at,
        seen_at: at,
        settings_digest: "digest".to_owned(),
        feed_lag: 0,
    };
    assert_eq!(*row, expected);
    let stop = CancellationToken::new();
    stop.cancel();
    task.run(stop).await;
    assert_eq!(rows(&db).await, []);
}

#[tokio::test]
async fn the_lag_is_what_the_feed_has_not_published() {
    let (_folder, db, feed) = open().await;
    let writer = sea_orm::Database::connect(&_folder.address).await.expect("a connection");
    sea_orm::ConnectionTrait::execute_unprepared(&writer, "UPDATE log_head SET position = 7").await.expect("counters");
    let task = task(&db, &feed);
    task.report().await.expect("reported");
    assert_eq!(rows(&db).await[0].feed_lag, 7);
    feed.publish(5);
    task.report().await.expect("reported");
    assert_eq!(rows(&db).await[0].feed_lag, 2);
    feed.publish(9);
    task.report().await.expect("reported");
    assert_eq!(rows(&db).await[0].feed_lag, 0, "the head was read before");
}

#[tokio::test]
async fn rows_of_killed_replicas_are_deleted_by_others() {
    let (_folder, db, feed) = open().await;
    for (age, is_kept) in [(TimeDelta::minutes(59), true), (TimeDelta::minutes(61), false)] {
        let at = (NOW - age).timestamp_micros();
        let row = Model {
            id: Uuid::new_v4(),
            version: "0.1.0".to_owned(),
            started_at: at,
            seen_at: at,
            settings_digest: String::new(),
            feed_lag: 3,
        };
        let report = ReplicaReport { row: row.clone(), silent_since: i64::MIN, rates: Vec::new() };
        ReplicaStore::new(db.clone()).report(report).await.expect("reported");
        task(&db, &feed).report().await.expect("reported");
        assert_eq!(rows(&db).await.contains(&row), is_kept, "{age}");
    }
}

#[tokio::test]
async fn counts_of_all_replicas_are_added_and_old_ones_deleted() {
    let (_folder, db, feed) = open().await;
    let at = NOW.timestamp_micros();
    let stored = async |seconds: i32| {
        let rows = source_rates(&db.read_pool, seconds, 0).await.expect("rows");
        let mut rows: Vec<_> =
            rows.into_values().flatten().map(|row| (row.source, row.begins_at, row.accepted)).collect();
        rows.sort();
        rows
    };
    for accepted in [1, 2] {
        let counters: Vec<_> =
            ["lot", "yard"].map(|name| (name.to_owned(), Arc::new(TrafficCounter::default()))).into();
        let task = task_with(&db, &feed, counters.clone());
        (0..accepted).for_each(|_| counters[0].1.count(WebhookAnswer::Accepted));
        task.report().await.expect("reported");
        task.report().await.expect("reported");
    }
    let minute = at - at.rem_euclid(60_000_000);
    assert_eq!(stored(MINUTE_SECONDS).await, [("lot".to_owned(), minute, 3)]);
    assert_eq!(stored(HOUR_SECONDS).await, [("lot".to_owned(), at - at.rem_euclid(3_600_000_000), 3)]);
    let row = rows(&db).await.remove(0);
    for (age, seconds, is_kept) in [
        (TimeDelta::hours(24), MINUTE_SECONDS, true),
        (TimeDelta::hours(26), MINUTE_SECONDS, false),
        (TimeDelta::days(7), HOUR_SECONDS, true),
        (TimeDelta::days(9), HOUR_SECONDS, false),
    ] {
        let begins_at = (NOW - age).timestamp_micros();
        let rate =
            entity::source_rate::Model { seconds, begins_at, source: "old".into(), accepted: 1, ..Default::default() };
        let report = ReplicaReport { row: row.clone(), silent_since: 0, rates: vec![rate] };
        ReplicaStore::new(db.clone()).report(report).await.expect("reported");
        assert_eq!(stored(seconds).await.contains(&("old".to_owned(), begins_at, 1)), is_kept, "{age}");
    }
}

#[tokio::test]
async fn what_could_not_be_stored_is_stored_later() {
    let (folder, db, feed) = open().await;
    let counter = Arc::new(TrafficCounter::default());
    let task = task_with(&db, &feed, vec![("lot".to_owned(), counter.clone())]);
    counter.count(WebhookAnswer::Accepted);
    let writer = sea_orm::Database::connect(&folder.address).await.expect("a connection");
    let rename = async |from: &str, to: &str| {
        let text = format!("ALTER TABLE {from} RENAME TO {to}");
        sea_orm::ConnectionTrait::execute_unprepared(&writer, &text).await.expect("renamed");
    };
    rename("source_rate", "gone").await;
    task.report().await.expect_err("no table");
    rename("gone", "source_rate").await;
    counter.count(WebhookAnswer::Accepted);
    task.report().await.expect("reported");
    let rates = source_rates(&db.read_pool, MINUTE_SECONDS, 0).await.expect("rows");
    assert_eq!(rates["lot"][0].accepted, 2);
}

#[tokio::test]
async fn a_report_has_as_many_statements_however_much_was_received() {
    let (_folder, mut db, feed) = open().await;
    let statements = Arc::new(AtomicUsize::new(0));
    let counted = statements.clone();
    db.write_pool.set_metric_callback(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let mut counts = Vec::new();
    for received in [0, 1, 10_000] {
        let counter = Arc::new(TrafficCounter::default());
        let task = task_with(&db, &feed, vec![("lot".to_owned(), counter.clone())]);
        (0..received).for_each(|_| counter.count(WebhookAnswer::Duplicate));
        assert_eq!(statements.swap(0, Ordering::Relaxed), 0, "counting has none");
        task.report().await.expect("reported");
        counts.push(statements.swap(0, Ordering::Relaxed));
    }
    assert!(counts[0] < counts[1] && counts[1] == counts[2] && counts[2] <= 6, "{counts:?}");
}
