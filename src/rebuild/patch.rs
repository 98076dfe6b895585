//! Where few rows differ, only those are replaced, in the tables in use: in one transaction, which keeps others from writing
//! for as long as that takes. All others stay as they are, and nothing is loaded.

use super::raw_log;
use super::shadow_tables::ShadowTables;
use super::{CATCH_UP_MIN_CHUNK, Rebuild, RebuildOutcome, invalidates_cursors, row_writes};
use crate::rebuild::verify::{DatabaseSnapshot, Differences, DifferingKeys};
use crate::store::StoreError;
use entity::{change, delivery, entity as entities, log_head, step};
use sea_orm::sea_query::{Alias, IntoTableRef, TableRef};
use sea_orm::{ConnectionTrait, Iterable, ModelTrait};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// The most rows that are replaced so: nobody can write meanwhile.
const MAX_PATCHED_ROWS: usize = 1000;

impl Differences {
    /// How many rows differ, if they are few.
    pub fn patchable_rows(&self) -> Option<usize> {
        Some(self.differing_keys.len()).filter(|all| *all <= MAX_PATCHED_ROWS)
    }
}

impl Rebuild {
    /// Replaces the rows that differ, and those that are found to differ meanwhile. None if they are too many.
    pub(super) async fn patch(&mut self, differing: &mut DifferingKeys) -> Result<Option<RebuildOutcome>, StoreError> {
        let mut compared = self.shadow.head().await?;
        self.diff_until_caught_up(differing, &mut compared).await?;
        if differing.len() > MAX_PATCHED_ROWS {
            return Ok(None);
        }
        let long = self.lock.connection.clone();
        let txn = ShadowTables::for_database(&long).lock_writers(&long).await?;
        let locked = Instant::now();
        // The rest, while nobody else writes.
        self.shadow.replay(&txn, raw_log::newest_delivery(&txn).await?, &self.stop, |_| {}).await?;
        let stored = DatabaseSnapshot::from_transaction(txn).await?;
        let derived = DatabaseSnapshot::open(&self.shadow.db).await?;
        differing.extend(stored.diff_since(&derived, &compared, &self.shadow.touched_entities).await?.differing_keys);
        let txn = stored.txn;
        let from = &self.shadow.db.read_pool;
        row_writes::replace_rows::<change::Entity, _>(&txn, table("change"), from, &differing.keys::<change::Entity>())
            .await?;
        self.patch_entities(&txn, &differing.keys::<entities::Entity>()).await?;
        row_writes::replace_rows::<step::Entity, _>(&txn, table("step"), from, &differing.keys::<step::Entity>())
            .await?;
        let deliveries =
            row_writes::rows_by_key::<delivery::Entity, _>(from, &differing.keys::<delivery::Entity>()).await?;
        row_writes::update_columns::<delivery::Entity, _>(&txn, &row_writes::DERIVED_COLUMNS, &deliveries).await?;
        let (head, another) = self.update_counters(&txn, invalidates_cursors(differing)).await?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        txn.commit().await?;
        Ok(Some(RebuildOutcome {
            head,
            is_new_generation: another,
            rows_replaced: Some(differing.len()),
            locked_for: locked.elapsed(),
        }))
    }

    // What comes while the hub goes on receiving, until little is left.
    async fn diff_until_caught_up(
        &mut self,
        differing: &mut DifferingKeys,
        compared: &mut log_head::Model,
    ) -> Result<(), StoreError> {
        while raw_log::newest_delivery(&self.db.read_pool).await? - compared.last_delivery_row_id > CATCH_UP_MIN_CHUNK
            && differing.len() <= MAX_PATCHED_ROWS
        {
            let stored = DatabaseSnapshot::open(&self.db).await?;
            stored.replay_into(&mut self.shadow, &self.stop, |_| {}).await?;
            let derived = DatabaseSnapshot::open(&self.shadow.db).await?;
            differing
                .extend(stored.diff_since(&derived, compared, &self.shadow.touched_entities).await?.differing_keys);
            *compared = self.shadow.head().await?;
            self.shadow.touched_entities.clear();
        }
        Ok(())
    }

    // Of entities that are both stored and derived, only the columns that differ are written.
    async fn patch_entities<C: ConnectionTrait>(&self, txn: &C, numbers: &[i64]) -> Result<(), StoreError> {
        let from = &self.shadow.db.read_pool;
        let stored = row_writes::rows_by_key::<entities::Entity, _>(txn, numbers).await?;
        let stored: HashMap<i64, entities::Model> = stored.into_iter().map(|row| (row.row_id, row)).collect();
        let same = |row: &entities::Model| stored.get(&row.row_id).filter(|stored| stored.id == row.id);
        let mut derived = row_writes::rows_by_key::<entities::Entity, _>(from, numbers).await?;
        derived.retain(|row| same(row).is_some());
        let differs = |column: &entities::Column| {
            derived.iter().any(|row| same(row).is_some_and(|stored| stored.get(*column) != row.get(*column)))
        };
        let columns: Vec<entities::Column> = entities::Column::iter().filter(differs).collect();
        row_writes::update_columns::<entities::Entity, _>(txn, &columns, &derived).await?;
        let patched: HashSet<i64> = derived.iter().map(|row| row.row_id).collect();
        let others: Vec<i64> = numbers.iter().copied().filter(|number| !patched.contains(number)).collect();
        row_writes::replace_rows::<entities::Entity, _>(txn, table("entity"), from, &others).await
    }
}

fn table(name: &'static str) -> TableRef {
    Alias::new(name).into_table_ref()
}
