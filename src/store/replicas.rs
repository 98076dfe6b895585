//! Writes what each process reports about itself, every few seconds.

use super::{Database, StoreError, begin_writing};
use entity::replica::{Column, Entity, Model};
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use std::time::Duration;

/// On PostgreSQL, replicas write one after the other: they delete each other's rows. The key is "replica" as a number.
const LOCKS: &str = "SELECT pg_advisory_xact_lock(32199680874603361)";
/// The wait between two attempts to take SQLite's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The processes on a database.
#[derive(Clone, Debug)]
pub struct ReplicaStore(Database);

impl ReplicaStore {
    /// Those on this database.
    pub fn new(db: Database) -> Self {
        ReplicaStore(db)
    }

    /// Inserts or updates the row of a process, and deletes the rows that were not updated since a moment.
    pub async fn report(&self, row: Model, silent_since: i64) -> Result<(), StoreError> {
        let txn = begin_writing(&self.0.write_pool, LOCKS, || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        Entity::insert(row.into_active_model().reset_all())
            .on_conflict(OnConflict::column(Column::Id).update_columns([Column::SeenAt, Column::FeedLag]).to_owned())
            .exec_without_returning(&txn)
            .await?;
        Entity::delete_many().filter(Column::SeenAt.lt(silent_since)).exec(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Deletes the row of a process, which ends.
    pub async fn remove(&self, id: Uuid) -> Result<(), StoreError> {
        let txn = begin_writing(&self.0.write_pool, LOCKS, || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        Entity::delete_by_id(id).exec(&txn).await?;
        Ok(txn.commit().await?)
    }
}
