//! Replaces the derived tables by what the raw log says now, while the hub keeps receiving.
//!
//! First all rows are derived into a second database (`shadow_db.rs`). If few rows differ, only those are replaced
//! (`patch.rs`). Otherwise all rows are loaded into new tables beside the ones in use (`shadow_tables.rs`). Only then the
//! writer's lock is taken: deliveries received since are applied, and the new tables take the names of the old ones, in one
//! transaction. Until it commits nothing has changed. A process that ends before leaves tables that the next rebuild drops.

mod change_types;
mod copy_format;
mod ledger_recount;
mod patch;
mod postgres;
pub mod raw_log;
mod row_writes;
mod shadow_db;
mod shadow_tables;
mod sqlite;
mod throttle;
mod update_order;
mod verify;

pub use shadow_db::ShadowDb;
pub use update_order::delete_obsolete_places;
pub use verify::{DatabaseSnapshot, Difference, DifferenceOrigin, DifferenceSummary, Differences};

use crate::store::read::head;
use crate::store::{Database, MaintenanceLock, StoreError};
use entity::{change, change_row, change_type, command, delivery, entity as entities, log_head, step};
use ledger_recount::recount_ledger;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait};
use shadow_tables::ShadowTables;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use verify::DifferingKeys;

/// Deliveries that are applied at once while the hub receives others, and the most that may be left for the locked phase.
const CATCH_UP_MIN_CHUNK: i64 = 128;
/// The most deliveries that are applied at once where they arrive faster than the rebuild catches up. In larger chunks each
/// delivery costs less, but writers wait longer.
const CATCH_UP_MAX_CHUNK: i64 = 4096;
const SWAP_ATTEMPTS: u32 = 10;
const SWAP_RETRY_DELAY: Duration = Duration::from_secs(2);

/// A running rebuild.
#[derive(Debug)]
pub struct Rebuild {
    db: Database,
    shadow: ShadowDb,
    lock: MaintenanceLock,
    stop: CancellationToken,
}

/// What a rebuild has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildOutcome {
    pub head: log_head::Model,
    /// Whether the history or an entity differs from before: cached state and cursors are invalid.
    pub is_new_generation: bool,
    /// The number of rows replaced; none if whole tables were.
    pub rows_replaced: Option<usize>,
    /// How long no other process could write.
    pub locked_for: Duration,
}

impl Rebuild {
    /// Begins a rebuild, or resumes the one in the folder. Fails if the tables are not up to date, or the folder is in use
    /// or belongs to another raw log.
    pub async fn open(db: Database, folder: &Path, stop: CancellationToken) -> Result<Rebuild, StoreError> {
        db.ensure_migrated().await?;
        let lock = MaintenanceLock::acquire(&db).await?;
        let mut shadow = ShadowDb::open(folder, &db.redacted_address()).await?;
        if !shadow.is_unaffected_by_purges(&db.read_pool).await? {
            shadow.remove().await;
            shadow = ShadowDb::open(folder, &db.redacted_address()).await?;
        }
        if !shadow.is_derived_from(&db.read_pool).await? {
            let folder = folder.display();
            let why = format!("the folder {folder} belongs to another raw log than this database has: remove it");
            return Err(StoreError::Configuration(why));
        }
        Ok(Rebuild { db, shadow, lock, stop })
    }

    /// The number of records of the raw log, and how many of them were already replayed.
    pub async fn progress(&self) -> Result<(i64, i64), StoreError> {
        let newest = raw_log::newest_record(&self.db.read_pool).await?;
        let replayed = self.shadow.head().await?.last_delivery_row_id;
        // An estimate for the progress bar: purged deliveries count as if all of them were replayed.
        let purged = raw_log::purged_delivery_count(&self.db.read_pool).await?;
        Ok((newest - purged, (replayed - purged).max(0)))
    }

    /// The number of rows that [`Self::replace_all`] loads.
    pub async fn row_count(&self) -> Result<u64, StoreError> {
        let db = &self.shadow.db.read_pool;
        let (changes, entities) =
            (change_row::Entity::find().count(db).await?, entities::Entity::find().count(db).await?);
        Ok(changes + entities + step::Entity::find().count(db).await?)
    }

    /// Replays all deliveries into the second database and compares. Changes nothing. Calls `on_progress` repeatedly with a
    /// number of deliveries.
    pub async fn replay_and_diff(
        &mut self,
        on_progress: impl Fn(u64) + Clone + Send + 'static,
    ) -> Result<Differences, StoreError> {
        // Not within one transaction: it would keep PostgreSQL's vacuum and SQLite's checkpoints from their work.
        let newest = raw_log::newest_record(&self.db.read_pool).await?;
        self.shadow.replay(&self.db.read_pool, newest, &self.stop, on_progress.clone()).await?;
        let stored = DatabaseSnapshot::open(&self.db).await?;
        stored.replay_into(&mut self.shadow, &self.stop, on_progress).await?;
        // From here on: the entities touched after the comparison.
        self.shadow.touched_entities.clear();
        let derived = DatabaseSnapshot::open(&self.shadow.db).await?;
        tokio::select! {
            differences = stored.diff(&derived) => differences,
            () = self.stop.cancelled() => Err(StoreError::Cancelled),
        }
    }

    /// Replaces what is stored by what was derived: only the rows that differ if they are few, otherwise whole tables. Calls
    /// `on_progress` repeatedly with a number of rows. If it fails, nothing has changed.
    pub async fn replace(
        &mut self,
        found: &Differences,
        on_progress: impl Fn(u64),
    ) -> Result<RebuildOutcome, StoreError> {
        let mut differing = found.differing_keys.clone();
        match self.patch(&mut differing).await? {
            Some(replaced) => {
                on_progress(differing.len() as u64);
                self.delete_obsolete_places().await;
                Ok(replaced)
            }
            None => self.replace_tables(&differing, on_progress).await,
        }
    }

    /// As [`Self::replace`], but always replaces whole tables.
    pub async fn replace_all(
        &mut self,
        found: &Differences,
        on_progress: impl Fn(u64),
    ) -> Result<RebuildOutcome, StoreError> {
        self.replace_tables(&found.differing_keys, on_progress).await
    }

    async fn replace_tables(
        &mut self,
        differing: &DifferingKeys,
        on_progress: impl Fn(u64),
    ) -> Result<RebuildOutcome, StoreError> {
        let tables = ShadowTables::create(self.lock.connection.clone()).await?;
        let stop = self.stop.clone();
        let loaded = tokio::select! {
            biased;
            () = stop.cancelled() => Err(StoreError::Cancelled),
            loaded = self.load(&tables, differing, &on_progress) => loaded,
        };
        let outcome = match loaded {
            Ok(loaded) => self.swap_with_retry(&tables, loaded, differing).await,
            Err(error) => Err(error),
        };
        // After a failure these are the new tables, otherwise the replaced ones.
        let dropped = tables.drop_leftovers().await;
        if let (Ok(_), Err(error)) = (&outcome, dropped) {
            tracing::warn!(%error, "the replaced tables could not be dropped; the next rebuild drops them");
        }
        self.delete_obsolete_places().await;
        outcome
    }

    async fn delete_obsolete_places(&self) {
        if let Err(error) = delete_obsolete_places(&self.lock.connection, postgres::LOCK_WRITERS, &self.stop).await {
            tracing::warn!(%error, "obsolete places in the order of updates could not be deleted; the next rebuild deletes them");
        }
    }

    /// Removes the second database.
    pub async fn finish(self) {
        self.shadow.remove().await;
    }

    // Loads all derived rows; returns the counters that they correspond to.
    async fn load(
        &mut self,
        tables: &ShadowTables,
        differing: &DifferingKeys,
        on_progress: &impl Fn(u64),
    ) -> Result<log_head::Model, StoreError> {
        let head = self.shadow.head().await?;
        tables.load(&self.shadow.path(), on_progress).await?;
        let derived = &self.shadow.db.read_pool;
        tables.stage_records::<delivery::Entity>(derived, &differing.keys::<delivery::Entity>()).await?;
        tables.stage_records::<command::Entity>(derived, &differing.keys::<command::Entity>()).await?;
        Ok(head)
    }

    async fn swap_with_retry(
        &mut self,
        tables: &ShadowTables,
        mut loaded: log_head::Model,
        differing: &DifferingKeys,
    ) -> Result<RebuildOutcome, StoreError> {
        let compared_to = loaded.position;
        let is_new_generation = invalidates_cursors(differing);
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.catch_up(tables, &mut loaded).await?;
            match self.swap(tables, &loaded, (is_new_generation, compared_to)).await {
                Err(error) if attempt < SWAP_ATTEMPTS && error.is_lock_timeout() => {
                    tracing::info!(%error, attempt, "the tables are locked; retrying");
                    tokio::time::sleep(SWAP_RETRY_DELAY).await;
                }
                swapped => return swapped,
            }
        }
    }

    // Applies new deliveries while the hub receives others, until few are left.
    async fn catch_up(&mut self, tables: &ShadowTables, loaded: &mut log_head::Model) -> Result<(), StoreError> {
        let (mut chunk, mut left_before) = (CATCH_UP_MIN_CHUNK, i64::MAX);
        loop {
            let newest = raw_log::newest_record(&self.db.read_pool).await?;
            let left = newest - loaded.last_delivery_row_id;
            if left <= CATCH_UP_MIN_CHUNK {
                return Ok(());
            }
            if left >= left_before {
                // The hub receives more than is applied in the same time. The rest is applied while nobody writes.
                if chunk == CATCH_UP_MAX_CHUNK {
                    return Ok(());
                }
                chunk = CATCH_UP_MAX_CHUNK.min(chunk * 2);
            }
            left_before = left;
            let upto = newest.min(loaded.last_delivery_row_id + chunk);
            self.shadow.replay(&self.db.read_pool, upto, &self.stop, |_| {}).await?;
            let txn = tables.begin().await?;
            tables.refresh(&txn, &self.shadow.db.read_pool, loaded, &self.shadow.touched_entities).await?;
            txn.commit().await?;
            *loaded = self.shadow.head().await?;
            self.shadow.touched_entities.clear();
        }
    }

    // Applies the rest and exchanges the tables, while no other process writes.
    async fn swap(
        &mut self,
        tables: &ShadowTables,
        loaded: &log_head::Model,
        (mut is_new_generation, compared_to): (bool, i64),
    ) -> Result<RebuildOutcome, StoreError> {
        let txn = tables.lock_tables().await?;
        let locked_at = Instant::now();
        let newest = raw_log::newest_record(&txn).await?;
        self.shadow.replay(&txn, newest, &self.stop, |_| {}).await?;
        tables.refresh(&txn, &self.shadow.db.read_pool, loaded, &self.shadow.touched_entities).await?;
        // Deliveries received after the comparison may be read differently, too.
        is_new_generation = is_new_generation || tables.history_differs_after(&txn, compared_to).await?;
        tables.update_log(&txn).await?;
        let (head, is_new_generation) = self.update_counters(&txn, is_new_generation).await?;
        change_types::store_all(&txn, &self.shadow.db.read_pool).await?;
        tables.swap(&txn).await?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        txn.commit().await?;
        Ok(RebuildOutcome { head, is_new_generation, rows_replaced: None, locked_for: locked_at.elapsed() })
    }

    // Writes the ledger and the counters. A history that ends elsewhere than before is a new generation, too.
    async fn update_counters(
        &self,
        txn: &impl ConnectionTrait,
        is_new_generation: bool,
    ) -> Result<(log_head::Model, bool), StoreError> {
        recount_ledger(txn, &self.shadow.db.read_pool).await?;
        let (old, new) = (head(txn).await?, self.shadow.head().await?);
        let is_new_generation = is_new_generation || old.position != new.position;
        let head = log_head::Model {
            // Always another value: the writer's cache is valid only while this row is unchanged.
            updated_at: crate::clock::now().timestamp_micros().max(old.updated_at + 1),
            generation: old.generation + i64::from(is_new_generation),
            retained_from: old.retained_from,
            ..new
        };
        log_head::Entity::update(head.clone().into_active_model().reset_all()).exec(txn).await?;
        Ok((head, is_new_generation))
    }
}

// Whether clients that follow the history, or caches of counts, must start again. Verdicts of deliveries and as-of queries
// are read from the database each time.
fn invalidates_cursors(differing: &DifferingKeys) -> bool {
    differing.contains_table::<change::Entity>()
        || differing.contains_table::<change_type::Entity>()
        || differing.contains_table::<entities::Entity>()
}
