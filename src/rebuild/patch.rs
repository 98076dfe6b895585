//! Replaces only the rows that differ, in the tables in use, where they are few: in one transaction, during which no other
//! process can write.

use super::raw_log;
use super::row_writes::LogTable;
use super::shadow_tables::ShadowTables;
use super::{CATCH_UP_MIN_CHUNK, Rebuild, RebuildOutcome, change_types, invalidates_cursors, row_writes, update_order};
use crate::rebuild::verify::{DatabaseSnapshot, Differences, DifferingKeys};
use crate::store::StoreError;
use entity::{change, change_row, command, delivery, entity as entities, log_head, step, update_order as places};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, Iterable, ModelTrait};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// The most rows that are replaced like this.
const MAX_PATCHED_ROWS: usize = 1000;

impl Differences {
    /// The number of rows that differ, if they are few.
    pub fn patchable_rows(&self) -> Option<usize> {
        Some(self.differing_keys.len()).filter(|all| *all <= MAX_PATCHED_ROWS)
    }
}

impl Rebuild {
    /// Replaces the rows that differ, and those found to differ until the lock is held. None if they are too many.
    pub(super) async fn patch(&mut self, differing: &mut DifferingKeys) -> Result<Option<RebuildOutcome>, StoreError> {
        let mut compared = self.shadow.head().await?;
        self.diff_until_caught_up(differing, &mut compared).await?;
        if differing.len() > MAX_PATCHED_ROWS {
            return Ok(None);
        }
        let txn = ShadowTables { connection: self.lock.connection.clone() }.lock_writers().await?;
        let locked_at = Instant::now();
        // The rest, while no other process writes.
        self.shadow.replay(&txn, raw_log::newest_record(&txn).await?, &self.stop, |_| {}).await?;
        let stored = DatabaseSnapshot::from_transaction(&self.db, txn).await?;
        let derived = DatabaseSnapshot::open(&self.shadow.db).await?;
        differing.extend(stored.diff_since(&derived, &compared, &self.shadow.touched_entities).await?);
        let (txn, from) = (stored.txn, &self.shadow.db.read_pool);
        change_types::store_all(&txn, from).await?;
        let positions = differing.keys::<change::Entity>();
        row_writes::replace_rows::<change_row::Entity>(&txn, change_row::Entity, from, &positions).await?;
        self.patch_entities(&txn, &differing.keys::<entities::Entity>()).await?;
        row_writes::replace_rows::<step::Entity>(&txn, step::Entity, from, &differing.keys::<step::Entity>()).await?;
        let changed = [differing.keys::<entities::Entity>(), differing.keys::<places::Entity>()].concat();
        update_order::add_places(&txn, places::Entity, entities::Entity, Expr::col("row_id").is_in(changed)).await?;
        patch_log::<delivery::Entity>(&txn, from, differing).await?;
        patch_log::<command::Entity>(&txn, from, differing).await?;
        let (head, is_new_generation) = self.update_counters(&txn, invalidates_cursors(differing)).await?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        txn.commit().await?;
        let (rows_replaced, locked_for) = (Some(differing.len()), locked_at.elapsed());
        Ok(Some(RebuildOutcome { head, is_new_generation, rows_replaced, locked_for }))
    }

    // Compares new deliveries while the hub receives others, until few are left, or not fewer than before: a hub may receive
    // more than is compared in the same time. The rest is compared while nobody writes.
    async fn diff_until_caught_up(
        &mut self,
        differing: &mut DifferingKeys,
        compared: &mut log_head::Model,
    ) -> Result<(), StoreError> {
        let mut left_before = i64::MAX;
        loop {
            let left = raw_log::newest_record(&self.db.read_pool).await? - compared.last_delivery_row_id;
            if left <= CATCH_UP_MIN_CHUNK || left >= left_before || differing.len() > MAX_PATCHED_ROWS {
                return Ok(());
            }
            left_before = left;
            let stored = DatabaseSnapshot::open(&self.db).await?;
            stored.replay_into(&mut self.shadow, &self.stop, |_| {}).await?;
            let derived = DatabaseSnapshot::open(&self.shadow.db).await?;
            differing.extend(stored.diff_since(&derived, compared, &self.shadow.touched_entities).await?);
            *compared = self.shadow.head().await?;
            self.shadow.touched_entities.clear();
        }
    }

    // Writes only the columns that differ of entities that are both stored and derived.
    async fn patch_entities(&self, txn: &impl ConnectionTrait, row_ids: &[i64]) -> Result<(), StoreError> {
        let from = &self.shadow.db.read_pool;
        let stored = row_writes::rows_by_key::<entities::Entity>(txn, row_ids).await?;
        let stored: HashMap<i64, entities::Model> = stored.into_iter().map(|row| (row.row_id, row)).collect();
        let stored_as = |row: &entities::Model| stored.get(&row.row_id).filter(|stored| stored.id == row.id);
        let mut derived = row_writes::rows_by_key::<entities::Entity>(from, row_ids).await?;
        derived.retain(|row| stored_as(row).is_some());
        let differs = |column: &entities::Column| {
            derived.iter().any(|row| stored_as(row).is_some_and(|stored| stored.get(*column) != row.get(*column)))
        };
        let columns: Vec<entities::Column> = entities::Column::iter().filter(differs).collect();
        row_writes::update_columns::<entities::Entity>(txn, &columns, &derived).await?;
        let patched: HashSet<i64> = derived.iter().map(|row| row.row_id).collect();
        let others: Vec<i64> = row_ids.iter().copied().filter(|row_id| !patched.contains(row_id)).collect();
        row_writes::replace_rows::<entities::Entity>(txn, entities::Entity, from, &others).await
    }
}

// Writes the derived columns of the records that differ.
async fn patch_log<T: LogTable>(
    txn: &impl ConnectionTrait,
    from: &DatabaseConnection,
    differing: &DifferingKeys,
) -> Result<(), StoreError> {
    let rows = row_writes::rows_by_key::<T>(from, &differing.keys::<T>()).await?;
    row_writes::update_columns::<T>(txn, T::DERIVED_COLUMNS, &rows).await
}
