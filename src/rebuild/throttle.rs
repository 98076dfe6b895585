//! The speed of loading beside a hub that receives: full speed while no other process writes, otherwise small chunks with
//! pauses, so that writers hardly wait for SQLite's lock, the processors or the disk.

use crate::store::StoreError;
use crate::store::read::head;
use sea_orm::ConnectionTrait;
use std::time::{Duration, Instant};

/// The duration of a chunk to aim for, without and with other writers.
const UNCONTENDED_GOAL: Duration = Duration::from_millis(20);
const CONTENDED_GOAL: Duration = Duration::from_millis(1);
/// The least pause: longer than the interval at which a writer that waits for SQLite's lock retries.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// How long another write counts as contention.
const CONTENTION_WINDOW: Duration = Duration::from_secs(2);
/// Rows in one chunk. With fewer, where most of the time is spent waiting for the lock, loading would never end.
const INITIAL_ROWS: i64 = 128;
const MIN_ROWS: i64 = 128;
const MAX_ROWS: i64 = 8192;

/// Adapts the size of chunks to what other processes write.
#[derive(Debug)]
pub struct LoadThrottle {
    chunk_rows: i64,
    /// `updated_at` of the counters at the last look.
    last_written: Option<i64>,
    /// When another process was seen to have written.
    contended_at: Option<Instant>,
}

impl LoadThrottle {
    /// Begins with few rows, until it is clear that no other process writes.
    pub fn new() -> LoadThrottle {
        LoadThrottle { chunk_rows: INITIAL_ROWS, last_written: None, contended_at: None }
    }

    /// The number of rows to load next.
    pub fn chunk_rows(&self) -> i64 {
        self.chunk_rows
    }

    /// Call after each chunk, with the wait for the lock and the duration after it. Every write changes the counters.
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
        let is_contended = self.contended_at.is_some_and(|noticed| noticed.elapsed() < CONTENTION_WINDOW);
        // Where others hold the lock nearly always, their turn was as long as the wait for it.
        let (goal, pause) = if is_contended {
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
    async fn chunks_shrink_while_another_process_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite://{}", folder.path().join("hub.db").display());
        let db = Database::open(&address, OpenMode::Migrate).await.expect("a database").write_pool;
        let mut throttle = LoadThrottle::new();
        for _ in 0..20 {
            throttle.pause(&db, Duration::ZERO, UNCONTENDED_GOAL / 2).await.expect("a rest");
        }
        assert_eq!(throttle.chunk_rows(), MAX_ROWS);
        for text in ["UPDATE log_head SET updated_at = 1", "UPDATE log_head SET updated_at = 2"] {
            db.execute_unprepared(text).await.expect("a write");
            throttle.pause(&db, Duration::ZERO, UNCONTENDED_GOAL / 2).await.expect("a rest");
        }
        assert_eq!(throttle.chunk_rows(), MAX_ROWS / 4);
    }
}
