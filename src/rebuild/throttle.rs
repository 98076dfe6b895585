//! How fast rows are loaded beside a hub that receives: as fast as it goes while nobody else writes; else in small parts
//! with pauses, so that who writes hardly waits, for SQLite's lock or for the processors and the disk.

use crate::store::StoreError;
use crate::store::read::head;
use sea_orm::ConnectionTrait;
use std::time::{Duration, Instant};

/// How long a part may take, while nobody else writes and at least.
const UNCONTENDED_GOAL: Duration = Duration::from_millis(20);
const CONTENDED_GOAL: Duration = Duration::from_millis(1);
/// The pause while nobody else writes: longer than a writer that waits for SQLite's lock leaves between two tries.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// How long somebody who wrote counts as writing.
const CONTENTION_WINDOW: Duration = Duration::from_secs(2);
/// Rows in one part. Where waiting for the lock is most of the time, fewer would not get on.
const INITIAL_ROWS: i64 = 128;
const MIN_ROWS: i64 = 128;
const MAX_ROWS: i64 = 8192;

/// The pace, and what it goes by.
#[derive(Debug)]
pub struct LoadThrottle {
    chunk_rows: i64,
    /// When the counters were written last, as they say.
    last_written: Option<i64>,
    /// When it was noticed that somebody else had written them.
    contended_at: Option<Instant>,
}

impl LoadThrottle {
    /// Begins with few rows, until it is known that nobody else writes.
    pub fn new() -> LoadThrottle {
        LoadThrottle { chunk_rows: INITIAL_ROWS, last_written: None, contended_at: None }
    }

    /// How many rows to load next.
    pub fn chunk_rows(&self) -> i64 {
        self.chunk_rows
    }

    /// To be called after each part, with how long the lock was waited for and how long it took then. Whoever writes changes
    /// the counters.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn pause<C: ConnectionTrait>(
        &mut self,
        db: &C,
        waited: Duration,
        took: Duration,
    ) -> Result<(), StoreError> {
        let written = head(db).await?.updated_at;
        if self.last_written.replace(written).is_some_and(|before| before != written) {
            self.contended_at = Some(Instant::now());
        }
        let beside = self.contended_at.is_some_and(|noticed| noticed.elapsed() < CONTENTION_WINDOW);
        // Where others hold the lock nearly always, they take as much of it themselves, and have had their turn.
        let (goal, pause) = if beside {
            (waited.clamp(CONTENDED_GOAL, UNCONTENDED_GOAL), took.saturating_sub(waited))
        } else {
            (UNCONTENDED_GOAL, MIN_PAUSE)
        };
        if took > goal * 2 {
            self.chunk_rows = (self.chunk_rows / 2).max(MIN_ROWS);
        } else if took < goal {
            self.chunk_rows = (self.chunk_rows * 2).min(MAX_ROWS);
        }
        tokio::time::sleep(pause.max(MIN_PAUSE)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Database, OpenMode};

    #[tokio::test(flavor = "multi_thread")]
    async fn parts_become_small_while_somebody_else_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite://{}", folder.path().join("hub.db").display());
        let db = Database::open(&address, OpenMode::Migrate).await.expect("a database").write_pool;
        let mut pace = LoadThrottle::new();
        for _ in 0..20 {
            pace.pause(&db, Duration::ZERO, UNCONTENDED_GOAL / 2).await.expect("a rest");
        }
        assert_eq!(pace.chunk_rows(), MAX_ROWS);
        for text in ["UPDATE log_head SET updated_at = 1", "UPDATE log_head SET updated_at = 2"] {
            db.execute_unprepared(text).await.expect("a write");
            pace.pause(&db, Duration::ZERO, UNCONTENDED_GOAL / 2).await.expect("a rest");
        }
        assert_eq!(pace.chunk_rows(), MAX_ROWS / 4);
    }
}
