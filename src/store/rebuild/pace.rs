//! How fast rows are loaded beside a hub that receives: as fast as it goes while nobody else writes; else in small parts
//! with pauses, so that who writes hardly waits, for SQLite's lock or for the processors and the disk.

use crate::store::StoreError;
use crate::store::read::head;
use sea_orm::ConnectionTrait;
use std::time::{Duration, Instant};

/// How long a part may take, while nobody else writes and at least.
const ALONE: Duration = Duration::from_millis(20);
const BESIDE: Duration = Duration::from_millis(1);
/// The pause while nobody else writes: longer than a writer that waits for SQLite's lock leaves between two tries.
const CHANCE: Duration = Duration::from_millis(1);
/// How long somebody who wrote counts as writing.
const RECENT: Duration = Duration::from_secs(2);
/// Rows in one part. Where waiting for the lock is most of the time, fewer would not get on.
const FIRST: i64 = 128;
const LEAST: i64 = 128;
const MOST: i64 = 8192;

/// The pace, and what it goes by.
#[derive(Debug)]
pub struct Pace {
    rows: i64,
    /// When the counters were written last, as they say.
    written: Option<i64>,
    /// When it was noticed that somebody else had written them.
    noticed: Option<Instant>,
}

impl Pace {
    /// Begins with few rows, until it is known that nobody else writes.
    pub fn new() -> Pace {
        Pace { rows: FIRST, written: None, noticed: None }
    }

    /// How many rows to load next.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// To be called after each part, with how long the lock was waited for and how long it took then. Whoever writes changes
    /// the counters.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rest<C: ConnectionTrait>(
        &mut self,
        db: &C,
        waited: Duration,
        took: Duration,
    ) -> Result<(), StoreError> {
        let written = head(db).await?.updated_at;
        if self.written.replace(written).is_some_and(|before| before != written) {
            self.noticed = Some(Instant::now());
        }
        let beside = self.noticed.is_some_and(|noticed| noticed.elapsed() < RECENT);
        // Where others hold the lock nearly always, they take as much of it themselves, and have had their turn.
        let (goal, pause) =
            if beside { (waited.clamp(BESIDE, ALONE), took.saturating_sub(waited)) } else { (ALONE, CHANCE) };
        if took > goal * 2 {
            self.rows = (self.rows / 2).max(LEAST);
        } else if took < goal {
            self.rows = (self.rows * 2).min(MOST);
        }
        tokio::time::sleep(pause.max(CHANCE)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Database, Mode};

    #[tokio::test(flavor = "multi_thread")]
    async fn parts_become_small_while_somebody_else_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite://{}", folder.path().join("hub.db").display());
        let db = Database::open(&address, Mode::Migrate).await.expect("a database").writer;
        let mut pace = Pace::new();
        for _ in 0..20 {
            pace.rest(&db, Duration::ZERO, ALONE / 2).await.expect("a rest");
        }
        assert_eq!(pace.rows(), MOST);
        for text in ["UPDATE log_head SET updated_at = 1", "UPDATE log_head SET updated_at = 2"] {
            db.execute_unprepared(text).await.expect("a write");
            pace.rest(&db, Duration::ZERO, ALONE / 2).await.expect("a rest");
        }
        assert_eq!(pace.rows(), MOST / 4);
    }
}
