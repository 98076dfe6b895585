//! Writes what each process reports about itself, every few seconds.

use super::{Database, StoreError, begin_writing};
use entity::replica::{Column, Entity, Model};
use entity::source_rate;
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter};
use std::time::Duration;

/// On PostgreSQL, replicas write one after the other: they delete each other's rows. The key is "replica" as a number.
const LOCKS: &str = "SELECT pg_advisory_xact_lock(32199680874603361)";
/// The wait between two attempts to take SQLite's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The intervals that are counted.
pub const MINUTE_SECONDS: i32 = 60;
pub const HOUR_SECONDS: i32 = 3_600;
/// How many of them are kept: more than are shown, because clocks differ.
const KEPT_MINUTES: i64 = 25 * 60;
const KEPT_HOURS: i64 = 8 * 24;
/// Rows of one statement: SQLite takes 32,766 parameters.
const ROWS_PER_STATEMENT: usize = 1_000;

/// What a process reports.
#[derive(Clone, Debug)]
pub struct ReplicaReport {
    pub row: Model,
    /// Rows of processes that have not reported since are deleted.
    pub silent_since: i64,
    /// What was received since the last report, by interval.
    pub rates: Vec<source_rate::Model>,
}

/// The processes on a database.
#[derive(Clone, Debug)]
pub struct ReplicaStore(Database);

impl ReplicaStore {
    /// Those on this database.
    pub fn new(db: Database) -> Self {
        ReplicaStore(db)
    }

    /// Inserts or updates the row of a process, and deletes the rows that were not updated since a moment. Adds what its sources have
    /// received to what is stored, and deletes what is older than needed.
    pub async fn report(&self, report: ReplicaReport) -> Result<(), StoreError> {
        let ReplicaReport { row, silent_since, rates } = report;
        let now = row.seen_at;
        let txn = begin_writing(&self.0.write_pool, LOCKS, || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        Entity::insert(row.into_active_model().reset_all())
            .on_conflict(OnConflict::column(Column::Id).update_columns([Column::SeenAt, Column::FeedLag]).to_owned())
            .exec_without_returning(&txn)
            .await?;
        Entity::delete_many().filter(Column::SeenAt.lt(silent_since)).exec(&txn).await?;
        if !rates.is_empty() {
            add_rates(&txn, rates).await?;
            for (seconds, kept) in [(MINUTE_SECONDS, KEPT_MINUTES), (HOUR_SECONDS, KEPT_HOURS)] {
                let oldest = now - kept * i64::from(seconds) * 1_000_000;
                let is_old = source_rate::Column::Seconds.eq(seconds).and(source_rate::Column::BeginsAt.lt(oldest));
                source_rate::Entity::delete_many().filter(is_old).exec(&txn).await?;
            }
        }
        Ok(txn.commit().await?)
    }

    /// Deletes the row of a process, which ends.
    pub async fn remove(&self, id: Uuid) -> Result<(), StoreError> {
        let txn = begin_writing(&self.0.write_pool, LOCKS, || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        Entity::delete_by_id(id).exec(&txn).await?;
        Ok(txn.commit().await?)
    }
}

// One after the other in the order of the key, so that replicas do not wait for each other in a circle.
async fn add_rates(txn: &DatabaseTransaction, mut rates: Vec<source_rate::Model>) -> Result<(), StoreError> {
    use source_rate::{Column, Entity};
    rates.sort_by(|a, b| (a.seconds, a.begins_at, &a.source).cmp(&(b.seconds, b.begins_at, &b.source)));
    let mut add = OnConflict::columns([Column::Seconds, Column::BeginsAt, Column::Source]);
    for count in [
        Column::Accepted,
        Column::Duplicates,
        Column::Quarantined,
        Column::NotAuthenticated,
        Column::RateLimited,
        Column::Unavailable,
        Column::Rejected,
    ] {
        add.value(count, Expr::col((Entity, count)).add(Expr::col(("excluded", count))));
    }
    for rows in rates.chunks(ROWS_PER_STATEMENT) {
        Entity::insert_many(rows.iter().map(|row| row.clone().into_active_model().reset_all()))
            .on_conflict(add.clone())
            .exec_without_returning(txn)
            .await?;
    }
    Ok(())
}
