//! Forgets what is older than it is kept, from time to time. Any number of processes may: one of them does it at a time.

use super::purge::{PurgeMode, PurgeReport, Purger};
use crate::store::{Database, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The task that does it.
#[derive(Debug)]
pub struct RetentionTask {
    pub db: Database,
    /// How long lives are kept that are at an end.
    pub max_age: Duration,
    /// The wait before the first time.
    pub initial_delay: Duration,
    /// The wait between two times.
    pub interval: Duration,
    pub clock: fn() -> DateTime<Utc>,
}

impl RetentionTask {
    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut wait = self.initial_delay;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            let mut forgotten = PurgeReport::default();
            // Where the way to the database is cut without a word, an answer would be waited for for ever.
            let doing = tokio::time::timeout(self.interval, self.run_once(&mut forgotten, &stop));
            let done = doing.await.unwrap_or(Err(StoreError::Cancelled));
            record_metrics(&forgotten);
            let PurgeReport {
                units: lives,
                entities,
                changes,
                deliveries,
                kept_open: open,
                kept_recent: in_use,
                kept_too_large: large,
            } = forgotten;
            match done {
                Ok(()) => tracing::info!(
                    lives,
                    entities,
                    changes,
                    deliveries,
                    open,
                    in_use,
                    large,
                    "old lives were forgotten, and some kept"
                ),
                Err(StoreError::Cancelled) => tracing::info!(lives, deliveries, "forgetting was stopped"),
                Err(StoreError::Locked(_)) => tracing::debug!("somebody else forgets, or rebuilds"),
                Err(error) => tracing::warn!(%error, lives, deliveries, "forgetting failed; it is tried again later"),
            }
            wait = self.interval;
        }
    }

    async fn run_once(&self, forgotten: &mut PurgeReport, stop: &CancellationToken) -> Result<(), StoreError> {
        let keep = TimeDelta::from_std(self.max_age).unwrap_or(TimeDelta::MAX);
        // Nothing can be older than the beginning of time.
        let Some(before) = (self.clock)().checked_sub_signed(keep) else { return Ok(()) };
        Purger::open(self.db.clone(), stop.clone()).await?.run(before, PurgeMode::Delete, forgotten, |_| {}).await
    }
}

fn record_metrics(forgotten: &PurgeReport) {
    for (table, count) in
        [("entity", forgotten.entities), ("change", forgotten.changes), ("delivery", forgotten.deliveries)]
    {
        metrics::counter!("inspection_hub_purged_rows_total", "table" => table).increment(count);
    }
}
