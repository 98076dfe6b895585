//! Replaces what is derived by what the raw log says now, while the hub goes on receiving.
//!
//! Everything is derived in a second database first (`../scratch.rs`). If few rows differ, only those are replaced
//! (`mend.rs`). Else all are loaded into fresh tables beside the old ones, which nobody reads yet. Only then the writer's lock
//! is taken: what came meanwhile is applied, and the fresh tables take the names of the old ones, in one transaction. Until
//! it commits nothing has changed, and a process that ends before leaves tables behind that the next rebuild removes.

mod counts;
mod fresh;
mod mend;
mod pace;
mod postgres;
mod rows;
mod sqlite;

use super::alone::Alone;
use super::read::head;
use super::verify::{Differences, Differing, Stored};
use super::{Database, Scratch, StoreError, raw};
use counts::count_anew;
use entity::{change, delivery, entity as entities, log_head};
use fresh::Fresh;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Deliveries that are applied at once while the hub receives others, and that may be left for when it cannot.
const LITTLE: i64 = 128;
/// The most that are applied at once, where they come faster than they are caught up with: in larger parts each costs less,
/// and those who write wait longer.
const MUCH: i64 = 4096;
/// How often the lock is tried, and the wait between.
const ATTEMPTS: u32 = 10;
const WAIT: Duration = Duration::from_secs(2);

/// A rebuild under way.
#[derive(Debug)]
pub struct Rebuild {
    db: Database,
    scratch: Scratch,
    alone: Alone,
    stop: CancellationToken,
}

/// What a rebuild has put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub head: log_head::Model,
    /// Whether the history or the state of anything is another one: what was read before means nothing any more, nor do
    /// positions.
    pub another: bool,
    /// How many rows were replaced; none if the tables were, as a whole.
    pub rows: Option<usize>,
    /// How long nobody could write.
    pub locked: Duration,
}

impl Rebuild {
    /// Begins, or goes on with what is in the folder.
    ///
    /// # Errors
    /// If the tables are not up to date, or the folder is of another log or in use.
    pub async fn open(db: Database, folder: &Path, stop: CancellationToken) -> Result<Rebuild, StoreError> {
        if !db.is_ready().await? {
            let why = "its tables are not up to date: run `inspection-hub migrate` first";
            return Err(StoreError::Address(format!("{}: {why}", db.shown())));
        }
        let alone = Alone::with(&db).await?;
        let mut scratch = Scratch::open(folder, &db.shown()).await?;
        if !scratch.has_all_forgotten(&db.readers).await? {
            scratch.remove().await;
            scratch = Scratch::open(folder, &db.shown()).await?;
        }
        if !scratch.is_of(&db.readers).await? {
            let why = "is of another log than this database has: remove it";
            return Err(StoreError::Address(format!("the folder {} {why}", folder.display())));
        }
        Ok(Rebuild { db, scratch, alone, stop })
    }

    /// How many deliveries there are, and how many of them were applied anew already.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn progress(&self) -> Result<(i64, i64), StoreError> {
        let (newest, before) = (raw::newest(&self.db.readers).await?, self.scratch.head().await?.delivery);
        let removed = raw::removed(&self.db.readers).await?;
        // Where the removed ones were is nobody's concern: it is about how long it will take.
        Ok((newest - removed, (before - removed).max(0)))
    }

    /// How many rows there are, about.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn rows(&self) -> Result<u64, StoreError> {
        let head = self.scratch.head().await?;
        Ok((head.position + head.entity).unsigned_abs())
    }

    /// Applies all deliveries anew, in the second database, and compares. Nothing is changed. Calls `done` with how many
    /// deliveries, again and again.
    ///
    /// # Errors
    /// If a database fails, a delivery cannot be applied at all, or it is told to stop.
    pub async fn derive(&mut self, done: impl Fn(u64) + Clone + Send + 'static) -> Result<Differences, StoreError> {
        // Not within one transaction: it would hold back what a database does to keep itself small.
        let newest = raw::newest(&self.db.readers).await?;
        self.scratch.derive(&self.db.readers, newest, &self.stop, done.clone()).await?;
        let stored = Stored::now(&self.db).await?;
        stored.derive(&mut self.scratch, &self.stop, done).await?;
        // Since the comparison.
        self.scratch.touched.clear();
        let derived = Stored::now(&self.scratch.db).await?;
        tokio::select! {
            differences = stored.compare(&derived) => differences,
            () = self.stop.cancelled() => Err(StoreError::Stopped),
        }
    }

    /// Puts what was derived in place of what is stored: the rows that differ if they are few, else all of them. Calls `done`
    /// with how many rows, again and again.
    ///
    /// # Errors
    /// If a database fails, or it is told to stop; then nothing has changed.
    pub async fn replace(&mut self, found: &Differences, done: impl Fn(u64)) -> Result<Replaced, StoreError> {
        let mut differing = found.differing.clone();
        match self.mend(&mut differing).await? {
            Some(replaced) => {
                done(differing.len() as u64);
                Ok(replaced)
            }
            None => self.exchange(&differing, done).await,
        }
    }

    /// The same, with all rows, whether they differ or not.
    ///
    /// # Errors
    /// If a database fails, or it is told to stop; then nothing has changed.
    pub async fn replace_all(&mut self, found: &Differences, done: impl Fn(u64)) -> Result<Replaced, StoreError> {
        self.exchange(&found.differing, done).await
    }

    async fn exchange(&mut self, differing: &Differing, done: impl Fn(u64)) -> Result<Replaced, StoreError> {
        let long = self.alone.connection.clone();
        let fresh = Fresh::make(&long).await?;
        let stop = self.stop.clone();
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => Err(StoreError::Stopped),
            loaded = self.load(&fresh, &long, differing, &done) => loaded,
        };
        let outcome = match outcome {
            Ok(loaded) => self.swap_in(&fresh, &long, loaded, differing).await,
            Err(error) => Err(error),
        };
        // Where it failed these are the fresh ones, else the old ones.
        let cleared = fresh.clear(&long).await;
        if let (Ok(_), Err(error)) = (&outcome, cleared) {
            tracing::warn!(%error, "the replaced tables could not be removed; the next rebuild does it");
        }
        outcome
    }

    /// Removes the second database.
    pub async fn finish(self) {
        self.scratch.remove().await;
    }

    // All that was derived; answers how far that is.
    async fn load(
        &mut self,
        fresh: &Fresh,
        long: &DatabaseConnection,
        differing: &Differing,
        done: &impl Fn(u64),
    ) -> Result<log_head::Model, StoreError> {
        let head = self.scratch.head().await?;
        fresh.load(long, &self.scratch.file(), done).await?;
        fresh.differing(long, &self.scratch.db.readers, &differing.of::<delivery::Entity>()).await?;
        fresh.index(long).await?;
        Ok(head)
    }

    async fn swap_in(
        &mut self,
        fresh: &Fresh,
        long: &DatabaseConnection,
        mut loaded: log_head::Model,
        differing: &Differing,
    ) -> Result<Replaced, StoreError> {
        let compared = loaded.position;
        let another = is_seen(differing);
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.catch_up(fresh, long, &mut loaded).await?;
            match self.swap(fresh, long, &loaded, (another, compared)).await {
                Err(error) if attempt < ATTEMPTS && error.is_locked() => {
                    tracing::info!(%error, attempt, "somebody is at the tables; trying again");
                    tokio::time::sleep(WAIT).await;
                }
                swapped => return swapped,
            }
        }
    }

    // While the hub goes on receiving, until little is left.
    async fn catch_up(
        &mut self,
        fresh: &Fresh,
        long: &DatabaseConnection,
        loaded: &mut log_head::Model,
    ) -> Result<(), StoreError> {
        let (mut part, mut left_before) = (LITTLE, i64::MAX);
        loop {
            let newest = raw::newest(&self.db.readers).await?;
            let left = newest - loaded.delivery;
            if left <= LITTLE {
                return Ok(());
            }
            if left >= left_before {
                part = MUCH.min(part * 2);
            }
            left_before = left;
            let upto = newest.min(loaded.delivery + part);
            self.scratch.derive(&self.db.readers, upto, &self.stop, |_| {}).await?;
            let txn = fresh.begin(long).await?;
            fresh.refresh(&txn, &self.scratch.db.readers, loaded, &self.scratch.touched).await?;
            txn.commit().await?;
            *loaded = self.scratch.head().await?;
            self.scratch.touched.clear();
        }
    }

    // The rest, and the names, while nobody else writes.
    async fn swap(
        &mut self,
        fresh: &Fresh,
        long: &DatabaseConnection,
        loaded: &log_head::Model,
        (mut another, compared): (bool, i64),
    ) -> Result<Replaced, StoreError> {
        let txn = fresh.lock(long).await?;
        let locked = Instant::now();
        let newest = raw::newest(&txn).await?;
        self.scratch.derive(&txn, newest, &self.stop, |_| {}).await?;
        fresh.refresh(&txn, &self.scratch.db.readers, loaded, &self.scratch.touched).await?;
        // What came after the comparison may have been read otherwise, too.
        another = another || fresh.differs_after(&txn, compared).await?;
        rows::take_over::<delivery::Entity, _>(&txn, &fresh.name("delivery"), &rows::DERIVED).await?;
        let (head, another) = self.count(&txn, another).await?;
        fresh.swap(&txn).await?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Stopped);
        }
        txn.commit().await?;
        Ok(Replaced { head, another, rows: None, locked: locked.elapsed() })
    }

    // The ledger and the counters. What was told is another one also where the history was said to end elsewhere.
    async fn count<C: ConnectionTrait>(
        &self,
        txn: &C,
        mut another: bool,
    ) -> Result<(log_head::Model, bool), StoreError> {
        count_anew(txn, &self.scratch.db.readers).await?;
        let (old, new) = (head(txn).await?, self.scratch.head().await?);
        another = another || old.position != new.position;
        let head = log_head::Model {
            // Never the same row: a writer trusts what it remembers only while nobody else wrote.
            updated_at: chrono::Utc::now().timestamp_micros().max(old.updated_at + 1),
            generation: old.generation + i64::from(another),
            kept_from: old.kept_from,
            ..new
        };
        log_head::Entity::update(head.clone().into_active_model().reset_all()).exec(txn).await?;
        Ok((head, another))
    }
}

// Whether who follows the history, or counts by it, must begin anew. Verdicts of deliveries and the past are asked for each
// time.
fn is_seen(differing: &Differing) -> bool {
    differing.has::<change::Entity>() || differing.has::<entities::Entity>()
}
