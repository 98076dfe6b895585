//! The periodic purge. Safe to run in every process: a lock admits one at a time.

use super::purge::{PurgeMode, PurgeReport, Purger};
use crate::store::{Database, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Purges periodically what is older than a maximum age.
#[derive(Debug)]
pub struct RetentionTask {
    pub db: Database,
    /// How long finished inspections are kept.
    pub max_age: Duration,
    /// The wait before the first run.
    pub initial_delay: Duration,
    /// The wait between two runs.
    pub interval: Duration,
    pub clock: fn() -> DateTime<Utc>,
}

impl RetentionTask {
    /// Runs until it is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        // The series are there before the first purge.
        record_metrics(&PurgeReport::default());
        let mut wait = self.initial_delay;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            let mut report = PurgeReport::default();
            // Where the network is cut, the answer of the database would be awaited for ever.
            let run = tokio::time::timeout(self.interval, self.run_once(&mut report, &stop));
            let outcome = run.await.unwrap_or(Err(StoreError::Cancelled));
            record_metrics(&report);
            let PurgeReport { units, entities, changes, deliveries, commands, kept_open, kept_recent, kept_too_large } =
                report;
            match outcome {
                Ok(()) => tracing::info!(
                    units,
                    entities,
                    changes,
                    deliveries,
                    commands,
                    kept_open,
                    kept_recent,
                    kept_too_large,
                    "purge finished"
                ),
                Err(StoreError::Cancelled) => tracing::info!(units, deliveries, "purge cancelled"),
                Err(StoreError::Locked(_)) => tracing::debug!("purge skipped: another rebuild or purge is running"),
                Err(error) => tracing::warn!(%error, units, deliveries, "purge failed; it is retried later"),
            }
            wait = self.interval;
        }
    }

    async fn run_once(&self, report: &mut PurgeReport, stop: &CancellationToken) -> Result<(), StoreError> {
        let max_age = TimeDelta::from_std(self.max_age).unwrap_or(TimeDelta::MAX);
        // An age beyond the range of dates: nothing can be older.
        let Some(before) = (self.clock)().checked_sub_signed(max_age) else { return Ok(()) };
        Purger::open(self.db.clone(), stop.clone()).await?.run(before, PurgeMode::Delete, report, |_| {}).await
    }
}

fn record_metrics(report: &PurgeReport) {
    for (table, count) in [
        ("entity", report.entities),
        ("change", report.changes),
        ("delivery", report.deliveries),
        ("command", report.commands),
    ] {
        metrics::counter!("inspection_hub_purged_rows_total", "table" => table).increment(count);
    }
}
