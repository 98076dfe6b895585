use super::ReplicaTask;
use crate::database::TestDatabase;
use crate::feed::Feed;
use crate::store::read::{head, replicas};
use crate::store::{Database, OpenMode, ReplicaStore};
use chrono::{DateTime, TimeDelta, Utc};
use entity::replica::Model;
use std::sync::Arc;
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
    ReplicaTask::new(ReplicaStore::new(db.clone()), db.read_pool.clone(), feed.clone(), "digest".to_owned(), || NOW)
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
        ReplicaStore::new(db.clone()).report(row.clone(), i64::MIN).await.expect("reported");
        task(&db, &feed).report().await.expect("reported");
        assert_eq!(rows(&db).await.contains(&row), is_kept, "{age}");
    }
}
