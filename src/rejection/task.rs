//! Examines samples at a bounded rate, publishes records to subscribers, and saves them now and then.

use super::log::RejectionLog;
use super::sample::Sample;
use crate::store::{RejectionStore, StoreError};
use crate::vendor::verify::{Verifier, WouldFit};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two samples: examining one costs up to a hundred verifications. Counts that have grown are published as often.
const EXAMINE_INTERVAL: Duration = Duration::from_millis(250);
/// The least time between two transactions.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);
const SAVE_TIMEOUT: Duration = Duration::from_secs(30);
/// At the end of the process.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// How far back records of other replicas are looked for: their clocks may differ, and they save later.
const OVERLAP: TimeDelta = TimeDelta::seconds(30);

/// Works on the records of this process until it is cancelled.
#[derive(Debug)]
pub struct RejectionTask {
    pub log: Arc<RejectionLog>,
    pub store: RejectionStore,
    /// The sources by name, to examine samples with.
    pub verifiers: Arc<[(String, Verifier)]>,
    pub clock: fn() -> DateTime<Utc>,
}

impl RejectionTask {
    pub async fn run(self, stop: CancellationToken) {
        let work = async { tokio::join!(self.examine_and_publish(), self.save_and_follow()) };
        stop.run_until_cancelled(work).await;
        // What was refused in the last seconds.
        let saved = tokio::time::timeout(LAST_SAVE_TIMEOUT, self.save()).await;
        if !matches!(saved, Ok(Ok(()))) {
            tracing::warn!("the newest refused webhooks could not be saved");
        }
    }

    async fn examine_and_publish(&self) {
        loop {
            self.log.changed.notified().await;
            // Bounds the rate of both.
            tokio::time::sleep(EXAMINE_INTERVAL).await;
            self.examine_next().await;
            if self.log.has_samples() {
                self.log.changed.notify_one();
            }
            self.log.take_unpublished().into_iter().for_each(|row| self.log.publish(row));
        }
    }

    /// Examines one sample, if there is one.
    pub(super) async fn examine_next(&self) {
        let Some(sample) = self.log.next_sample() else { return };
        let (verifiers, place) = (self.verifiers.clone(), sample.place.clone());
        let fits = tokio::task::spawn_blocking(move || would_fit(&sample, &verifiers)).await;
        if let Err(error) = &fits {
            tracing::error!(%error, "a refused webhook could not be examined");
        }
        self.log.examined(&place, &fits.unwrap_or_default());
    }

    async fn save_and_follow(&self) {
        let (mut is_failing, mut followed) = (false, HashMap::new());
        let started_at = (self.clock)().timestamp_micros();
        loop {
            let _ = tokio::time::timeout(SAVE_INTERVAL, self.log.unsaved.notified()).await;
            tokio::time::sleep(SAVE_INTERVAL).await;
            let saved = tokio::time::timeout(SAVE_TIMEOUT, self.save()).await.unwrap_or(Err(StoreError::Cancelled));
            if let Err(error) = &saved {
                self.log.unsaved.notify_one();
                if !is_failing {
                    tracing::warn!(%error, "refused webhooks could not be saved; it is retried");
                }
            }
            is_failing = saved.is_err();
            self.follow_others(started_at, &mut followed).await;
        }
    }

    /// Saves the records that have changed.
    pub(super) async fn save(&self) -> Result<(), StoreError> {
        let rows = self.log.take_unsaved();
        let mut unsaved = UnsavedRows { log: &self.log, rows: &rows, is_saved: false };
        self.store.save(&rows).await?;
        unsaved.is_saved = true;
        Ok(())
    }

    // Publishes what other replicas have saved since the start. `followed` has the counts that are known. It is read without
    // subscribers, too, so that one that begins now misses nothing.
    async fn follow_others(&self, started_at: i64, followed: &mut HashMap<Uuid, i64>) {
        let since = ((self.clock)() - OVERLAP).timestamp_micros();
        let rows = match self.store.recent(since).await {
            Ok(rows) => rows,
            Err(error) => return tracing::debug!(%error, "rejections of other replicas could not be read"),
        };
        let own = self.log.ids();
        let known = std::mem::replace(followed, rows.iter().map(|row| (row.id, row.count)).collect());
        let is_new = |row: &entity::rejection::Model| row.at >= started_at && known.get(&row.id) != Some(&row.count);
        rows.into_iter().filter(|row| !own.contains(&row.id) && is_new(row)).for_each(|row| self.log.publish(row));
    }
}

/// Rows that count as unsaved unless the transaction was committed, also if it was cancelled.
struct UnsavedRows<'a> {
    log: &'a RejectionLog,
    rows: &'a [entity::rejection::Model],
    is_saved: bool,
}

impl Drop for UnsavedRows<'_> {
    fn drop(&mut self) {
        if !self.is_saved {
            self.log.not_saved(self.rows);
        }
    }
}

fn would_fit(sample: &Sample, verifiers: &[(String, Verifier)]) -> Vec<WouldFit> {
    let Some((_, own)) = verifiers.iter().find(|(name, _)| *name == sample.source) else { return Vec::new() };
    let others: Vec<(&str, &Verifier)> = verifiers
        .iter()
        .filter(|(name, _)| *name != sample.source)
        .map(|(name, verifier)| (name.as_str(), verifier))
        .collect();
    own.would_fit(&sample.request(), &others)
}
