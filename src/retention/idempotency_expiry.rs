//! The periodic deletion of old idempotency keys. Safe to run in every process: each deletes what is left.

use crate::store::{Database, StoreError, delete_idempotency_keys};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the same key gives the first result again.
const MAX_AGE: TimeDelta = TimeDelta::days(30);

#[derive(Debug)]
pub struct IdempotencyExpiryTask {
    pub db: Database,
    /// The wait before each run.
    pub interval: Duration,
    pub clock: fn() -> DateTime<Utc>,
}

impl IdempotencyExpiryTask {
    /// Runs until it is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(self.interval)).await.is_some() {
            // What is deleted until a cancellation, or until the network is cut, stays deleted.
            let run = tokio::time::timeout(self.interval, self.run_once());
            match stop.run_until_cancelled(run).await {
                Some(Ok(Ok(deleted))) => tracing::debug!(deleted, "old idempotency keys deleted"),
                Some(Ok(Err(error))) => {
                    tracing::warn!(%error, "old idempotency keys could not be deleted; it is retried later");
                }
                Some(Err(_)) => {
                    tracing::warn!("old idempotency keys could not be deleted in time; it is retried later")
                }
                None => return,
            }
        }
    }

    /// Deletes the keys that are older than 30 days now; returns how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn run_once(&self) -> Result<u64, StoreError> {
        // Before the range of dates: nothing can be older.
        let Some(before) = (self.clock)().checked_sub_signed(MAX_AGE) else { return Ok(0) };
        delete_idempotency_keys(&self.db, before).await
    }
}
