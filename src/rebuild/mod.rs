//! Replaces what is derived by what the raw log says now, while the hub goes on receiving.
//!
//! Everything is derived in a second database first (`../scratch.rs`). If few rows differ, only those are replaced
//! (`mend.rs`). Else all are loaded into fresh tables beside the old ones, which nobody reads yet. Only then the writer's lock
//! is taken: what came meanwhile is applied, and the fresh tables take the names of the old ones, in one transaction. Until
//! it commits nothing has changed, and a process that ends before leaves tables behind that the next rebuild removes.

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
mod verify;

pub use shadow_db::ShadowDb;
pub use verify::{DatabaseSnapshot, Difference, DifferenceOrigin, DifferenceSummary, Differences};

use crate::store::read::head;
use crate::store::{Database, MaintenanceLock, StoreError};
use entity::{change, delivery, entity as entities, log_head};
use ledger_recount::recount_ledger;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel};
use shadow_tables::ShadowTables;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use verify::DifferingKeys;

/// Deliveries that are applied at once while the hub receives others, and that may be left for when it cannot.
const CATCH_UP_MIN_CHUNK: i64 = 128;
/// The most that are applied at once, where they come faster than they are caught up with: in larger parts each costs less,
/// and those who write wait longer.
const CATCH_UP_MAX_CHUNK: i64 = 4096;
/// How often the lock is tried, and the wait between.
const SWAP_ATTEMPTS: u32 = 10;
const SWAP_RETRY_DELAY: Duration = Duration::from_secs(2);

/// A rebuild under way.
#[derive(Debug)]
pub struct Rebuild {
    db: Database,
    shadow: ShadowDb,
    lock: MaintenanceLock,
    stop: CancellationToken,
}

/// What a rebuild has put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildOutcome {
    pub head: log_head::Model,
    /// Whether the history or the state of anything is another one: what was read before means nothing any more, nor do
    /// positions.
    pub is_new_generation: bool,
    /// How many rows were replaced; none if the tables were, as a whole.
    pub rows_replaced: Option<usize>,
    /// How long nobody could write.
    pub locked_for: Duration,
}

impl Rebuild {
    /// Begins, or goes on with what is in the folder.
    ///
    /// # Errors
    /// If the tables are not up to date, or the folder is of another log or in use.
    pub async fn open(db: Database, folder: &Path, stop: CancellationToken) -> Result<Rebuild, StoreError> {
        if !db.is_ready().await? {
            let why = "its tables are not up to date: run `inspection-hub migrate` first";
            return Err(StoreError::OpenFailed(format!("{}: {why}", db.redacted_address())));
        }
        let alone = MaintenanceLock::acquire(&db).await?;
        let mut scratch = ShadowDb::open(folder, &db.redacted_address()).await?;
        if !scratch.is_unaffected_by_purges(&db.read_pool).await? {
            scratch.remove().await;
            scratch = ShadowDb::open(folder, &db.redacted_address()).await?;
        }
        if !scratch.is_derived_from(&db.read_pool).await? {
            let why = "is of another log than this database has: remove it";
            return Err(StoreError::OpenFailed(format!("the folder {} {why}", folder.display())));
        }
        Ok(Rebuild { db, shadow: scratch, lock: alone, stop })
    }

    /// How many deliveries there are, and how many of them were applied anew already.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn progress(&self) -> Result<(i64, i64), StoreError> {
        let (newest, before) =
            (raw_log::newest_delivery(&self.db.read_pool).await?, self.shadow.head().await?.last_delivery_row_id);
        let removed = raw_log::purged_delivery_count(&self.db.read_pool).await?;
        // Where the removed ones were is nobody's concern: it is about how long it will take.
        Ok((newest - removed, (before - removed).max(0)))
    }

    /// How many rows there are, about.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn estimated_rows(&self) -> Result<u64, StoreError> {
        let head = self.shadow.head().await?;
        Ok((head.position + head.last_entity_row_id).unsigned_abs())
    }

    /// Applies all deliveries anew, in the second database, and compares. Nothing is changed. Calls `done` with how many
    /// deliveries, again and again.
    ///
    /// # Errors
    /// If a database fails, a delivery cannot be applied at all, or it is told to stop.
    pub async fn replay_and_diff(
        &mut self,
        done: impl Fn(u64) + Clone + Send + 'static,
    ) -> Result<Differences, StoreError> {
        // Not within one transaction: it would hold back what a database does to keep itself small.
        let newest = raw_log::newest_delivery(&self.db.read_pool).await?;
        self.shadow.replay(&self.db.read_pool, newest, &self.stop, done.clone()).await?;
        let stored = DatabaseSnapshot::open(&self.db).await?;
        stored.replay_into(&mut self.shadow, &self.stop, done).await?;
        // Since the comparison.
        self.shadow.touched_entities.clear();
        let derived = DatabaseSnapshot::open(&self.shadow.db).await?;
        tokio::select! {
            differences = stored.diff(&derived) => differences,
            () = self.stop.cancelled() => Err(StoreError::Cancelled),
        }
    }

    /// Puts what was derived in place of what is stored: the rows that differ if they are few, else all of them. Calls `done`
    /// with how many rows, again and again.
    ///
    /// # Errors
    /// If a database fails, or it is told to stop; then nothing has changed.
    pub async fn replace(&mut self, found: &Differences, done: impl Fn(u64)) -> Result<RebuildOutcome, StoreError> {
        let mut differing = found.differing_keys.clone();
        match self.patch(&mut differing).await? {
            Some(replaced) => {
                done(differing.len() as u64);
                Ok(replaced)
            }
            None => self.replace_tables(&differing, done).await,
        }
    }

    /// The same, with all rows, whether they differ or not.
    ///
    /// # Errors
    /// If a database fails, or it is told to stop; then nothing has changed.
    pub async fn replace_all(&mut self, found: &Differences, done: impl Fn(u64)) -> Result<RebuildOutcome, StoreError> {
        self.replace_tables(&found.differing_keys, done).await
    }

    async fn replace_tables(
        &mut self,
        differing: &DifferingKeys,
        done: impl Fn(u64),
    ) -> Result<RebuildOutcome, StoreError> {
        let long = self.lock.connection.clone();
        let fresh = ShadowTables::create(&long).await?;
        let stop = self.stop.clone();
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => Err(StoreError::Cancelled),
            loaded = self.load(&fresh, &long, differing, &done) => loaded,
        };
        let outcome = match outcome {
            Ok(loaded) => self.swap_with_retry(&fresh, &long, loaded, differing).await,
            Err(error) => Err(error),
        };
        // Where it failed these are the fresh ones, else the old ones.
        let cleared = fresh.drop_leftovers(&long).await;
        if let (Ok(_), Err(error)) = (&outcome, cleared) {
            tracing::warn!(%error, "the replaced tables could not be removed; the next rebuild does it");
        }
        outcome
    }

    /// Removes the second database.
    pub async fn finish(self) {
        self.shadow.remove().await;
    }

    // All that was derived; answers how far that is.
    async fn load(
        &mut self,
        fresh: &ShadowTables,
        long: &DatabaseConnection,
        differing: &DifferingKeys,
        done: &impl Fn(u64),
    ) -> Result<log_head::Model, StoreError> {
        let head = self.shadow.head().await?;
        fresh.load(long, &self.shadow.path(), done).await?;
        fresh.stage_deliveries(long, &self.shadow.db.read_pool, &differing.keys::<delivery::Entity>()).await?;
        fresh.create_indexes(long).await?;
        Ok(head)
    }

    async fn swap_with_retry(
        &mut self,
        fresh: &ShadowTables,
        long: &DatabaseConnection,
        mut loaded: log_head::Model,
        differing: &DifferingKeys,
    ) -> Result<RebuildOutcome, StoreError> {
        let compared = loaded.position;
        let another = invalidates_cursors(differing);
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.catch_up(fresh, long, &mut loaded).await?;
            match self.swap(fresh, long, &loaded, (another, compared)).await {
                Err(error) if attempt < SWAP_ATTEMPTS && error.is_lock_timeout() => {
                    tracing::info!(%error, attempt, "somebody is at the tables; trying again");
                    tokio::time::sleep(SWAP_RETRY_DELAY).await;
                }
                swapped => return swapped,
            }
        }
    }

    // While the hub goes on receiving, until little is left.
    async fn catch_up(
        &mut self,
        fresh: &ShadowTables,
        long: &DatabaseConnection,
        loaded: &mut log_head::Model,
    ) -> Result<(), StoreError> {
        let (mut part, mut left_before) = (CATCH_UP_MIN_CHUNK, i64::MAX);
        loop {
            let newest = raw_log::newest_delivery(&self.db.read_pool).await?;
            let left = newest - loaded.last_delivery_row_id;
            if left <= CATCH_UP_MIN_CHUNK {
                return Ok(());
            }
            if left >= left_before {
                part = CATCH_UP_MAX_CHUNK.min(part * 2);
            }
            left_before = left;
            let upto = newest.min(loaded.last_delivery_row_id + part);
            self.shadow.replay(&self.db.read_pool, upto, &self.stop, |_| {}).await?;
            let txn = fresh.begin(long).await?;
            fresh.refresh(&txn, &self.shadow.db.read_pool, loaded, &self.shadow.touched_entities).await?;
            txn.commit().await?;
            *loaded = self.shadow.head().await?;
            self.shadow.touched_entities.clear();
        }
    }

    // The rest, and the names, while nobody else writes.
    async fn swap(
        &mut self,
        fresh: &ShadowTables,
        long: &DatabaseConnection,
        loaded: &log_head::Model,
        (mut another, compared): (bool, i64),
    ) -> Result<RebuildOutcome, StoreError> {
        let txn = fresh.lock_tables(long).await?;
        let locked = Instant::now();
        let newest = raw_log::newest_delivery(&txn).await?;
        self.shadow.replay(&txn, newest, &self.stop, |_| {}).await?;
        fresh.refresh(&txn, &self.shadow.db.read_pool, loaded, &self.shadow.touched_entities).await?;
        // What came after the comparison may have been read otherwise, too.
        another = another || fresh.history_differs_after(&txn, compared).await?;
        row_writes::update_from_staging::<delivery::Entity, _>(
            &txn,
            &fresh.sql_name("delivery"),
            &row_writes::DERIVED_COLUMNS,
        )
        .await?;
        let (head, another) = self.update_counters(&txn, another).await?;
        fresh.swap(&txn).await?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        txn.commit().await?;
        Ok(RebuildOutcome { head, is_new_generation: another, rows_replaced: None, locked_for: locked.elapsed() })
    }

    // The ledger and the counters. What was told is another one also where the history was said to end elsewhere.
    async fn update_counters<C: ConnectionTrait>(
        &self,
        txn: &C,
        mut another: bool,
    ) -> Result<(log_head::Model, bool), StoreError> {
        recount_ledger(txn, &self.shadow.db.read_pool).await?;
        let (old, new) = (head(txn).await?, self.shadow.head().await?);
        another = another || old.position != new.position;
        let head = log_head::Model {
            // Never the same row: a writer trusts what it remembers only while nobody else wrote.
            updated_at: crate::clock::now().timestamp_micros().max(old.updated_at + 1),
            generation: old.generation + i64::from(another),
            retained_from: old.retained_from,
            ..new
        };
        log_head::Entity::update(head.clone().into_active_model().reset_all()).exec(txn).await?;
        Ok((head, another))
    }
}

// Whether who follows the history, or counts by it, must begin anew. Verdicts of deliveries and the past are asked for each
// time.
fn invalidates_cursors(differing: &DifferingKeys) -> bool {
    differing.contains_table::<change::Entity>() || differing.contains_table::<entities::Entity>()
}
