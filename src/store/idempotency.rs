//! Old idempotency keys.

use super::{Database, StoreError, begin_writing};
use chrono::{DateTime, Utc};
use entity::idempotency_key::{Column, Entity};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::time::Duration;

/// Keys that one transaction deletes, so that no writer waits for long.
const KEYS_PER_TRANSACTION: u64 = 1_000;
/// The wait between two attempts to take SQLite's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Deletes the idempotency keys that were created before this time, oldest first; returns how many.
pub async fn delete_idempotency_keys(db: &Database, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut deleted = 0;
    loop {
        let oldest = Entity::find().select_only().column(Column::Digest);
        let oldest = oldest.filter(Column::CreatedAt.lt(before.timestamp_micros())).order_by_asc(Column::CreatedAt);
        let oldest = oldest.limit(KEYS_PER_TRANSACTION).into_query();
        let txn = begin_writing(&db.write_pool, "", || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        let result = Entity::delete_many().filter(Column::Digest.in_subquery(oldest)).exec(&txn).await?;
        txn.commit().await?;
        deleted += result.rows_affected;
        if result.rows_affected < KEYS_PER_TRANSACTION {
            return Ok(deleted);
        }
    }
}
