//! Finished inspections are purged, and the rest is as if they had never existed: it can be replayed, it accepts deliveries,
//! and the ledger still counts everything.

mod command;
mod cursors;
mod random;
mod retained;

use crate::test_hub::{TIMEOUT, TestHub};
use chrono::{DateTime, Utc};
use entity::{change, delivery, entity as thing, ledger, purged_ledger, step};
use inspection_hub::rebuild::{DatabaseSnapshot, ShadowDb};
use inspection_hub::retention::{PurgeMode, PurgeReport, Purger};
use inspection_hub::store::read::head;
use inspection_hub::store::{Database, OpenMode, StoreError};
use sea_orm::EntityTrait;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Purges what has not changed since a moment.
pub async fn purge(db: &Database, before: DateTime<Utc>, mode: PurgeMode) -> PurgeReport {
    let mut report = PurgeReport::default();
    let purger = retry_while_locked(async || Purger::open(db.clone(), CancellationToken::new()).await).await;
    purger.run(before, mode, &mut report, |_| {}).await.expect("it is done");
    report
}

/// Retries until the lock is free: PostgreSQL releases it when it notices that a connection is closed.
pub async fn retry_while_locked<T>(open: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let started = Instant::now();
    loop {
        match open().await {
            Ok(opened) => return opened,
            Err(error) => assert!(matches!(error, StoreError::Locked(_)) && started.elapsed() < TIMEOUT, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// What is inconsistent after a purge.
pub async fn discrepancies(db: &Database) -> Vec<String> {
    let mut complaints = Vec::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut shadow = ShadowDb::open(folder.path(), "it").await.expect("a second database");
    let stored = DatabaseSnapshot::open(db).await.expect("the first");
    stored.replay_into(&mut shadow, &CancellationToken::new(), |_| {}).await.expect("it derives");
    let differences =
        stored.diff(&DatabaseSnapshot::open(&shadow.db).await.expect("the second")).await.expect("compared");
    complaints.extend(differences.listed.iter().map(|difference| format!("{difference:?}")));
    assert_eq!(differences.total, complaints.len() as u64);

    let head = head(&db.read_pool).await.expect("counters");
    let changes = change::Entity::find().all(&db.read_pool).await.expect("history");
    let positions: BTreeSet<i64> = changes.iter().map(|row| row.position).collect();
    let holes = (head.retained_from + 1..=head.position).filter(|position| !positions.contains(position));
    complaints.extend(holes.map(|position| format!("position {position} is missing")));
    let entities = thing::Entity::find().all(&db.read_pool).await.expect("entities");
    let numbers: BTreeSet<i64> = entities.iter().map(|row| row.row_id).collect();
    let deliveries = delivery::Entity::find().all(&db.read_pool).await.expect("deliveries");
    let there: BTreeSet<i64> = deliveries.iter().map(|row| row.row_id).collect();
    let named = entities.iter().flat_map(|row| [row.parent_row_id, row.inspection_row_id]).flatten();
    let named = named.chain(changes.iter().flat_map(|row| [row.entity_row_id, row.inspection_row_id]).flatten());
    let steps = step::Entity::find().all(&db.read_pool).await.expect("steps");
    let named = named.chain(steps.iter().map(|row| row.entity_row_id));
    let lost = named.filter(|number| !numbers.contains(number)).collect::<BTreeSet<_>>();
    complaints.extend(lost.iter().map(|number| format!("entity {number} is missing, and a row refers to it")));
    let lost = changes.iter().filter(|row| row.delivery_row_id.is_some_and(|delivery| !there.contains(&delivery)));
    complaints.extend(lost.map(|row| format!("the delivery of {} is missing", row.position)));

    for row in ledger::Entity::find().all(&db.read_pool).await.expect("the ledger") {
        let base = purged_ledger::Entity::find_by_id(row.source.as_str()).one(&db.read_pool).await.expect("an answer");
        let base = base.unwrap_or_default();
        let stored = deliveries.iter().filter(|delivery| delivery.source == row.source);
        let (stored, again) = stored.fold((0, 0), |(count, again), row| (count + 1, again + row.duplicates));
        if row.duplicates != base.duplicates + again || row.received != base.received + stored + again {
            complaints.push(format!("{row:?} is not {base:?} and {stored} with {again} duplicates"));
        }
        let verdicts = row.applied + row.skipped_ahead + row.unexpected + row.stale + row.refused;
        let verdicts = verdicts + row.no_change + row.unrecognized + row.unreadable + row.orphaned;
        if row.received != verdicts + row.duplicates {
            complaints.push(format!("{row:?} does not add up"));
        }
    }
    complaints
}

/// The time of the first delivery, where a test sets times.
pub fn start() -> DateTime<Utc> {
    "2026-03-01T00:00:00Z".parse().expect("a moment")
}

/// The body of the nth delivery: four for each inspection, the last of which finishes it.
pub fn delivery_body(number: usize) -> String {
    json!({ "event": "SESSION:STATUS_CHANGE", "session_key": format!("K{}", number / 4),
        "status": (["STARTED", "PROCESS", "EXPIRED", "EXPIRED"][number % 4]),
        "timestamp": format!("2026-01-01T00:00:{:02}Z", number % 4) })
    .to_string()
}

/// Posts all deliveries of an inspection.
pub async fn post_inspection(app: &TestHub, number: usize) {
    for number in number * 4..number * 4 + 4 {
        assert_eq!(app.post("pave", delivery_body(number)).await.status, 200);
    }
}

/// The database of a running hub.
pub async fn open_database(app: &TestHub) -> Database {
    Database::open(&app.database.address, OpenMode::SkipMigrations).await.expect("the database")
}
