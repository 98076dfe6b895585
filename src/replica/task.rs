//! Reports that this process runs, until it ends.

use super::traffic::{TrafficCounter, TrafficCounts};
use crate::clock::TimeSource;
use crate::feed::Feed;
use crate::store::read::head;
use crate::store::{ReadPool, ReplicaReport, ReplicaStore, StoreError};
use chrono::TimeDelta;
use entity::replica::Model;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const REPORT_INTERVAL: Duration = Duration::from_secs(5);
const REPORT_TIMEOUT: Duration = Duration::from_secs(30);
const MINUTE_MILLIS: i64 = 60_000;
/// At the end of the process.
const LAST_REPORT_TIMEOUT: Duration = Duration::from_millis(500);
/// A process that has not reported for so long was killed: its row is deleted.
const SILENT_AFTER: TimeDelta = TimeDelta::hours(1);

/// Reports this process until it is cancelled.
#[derive(Debug)]
pub struct ReplicaTask {
    store: ReplicaStore,
    readers: ReadPool,
    feed: Arc<Feed>,
    traffic: TrafficCounts,
    clock: TimeSource,
    id: Uuid,
    started_at: i64,
    settings_digest: String,
}

impl ReplicaTask {
    pub fn new(
        store: ReplicaStore,
        readers: ReadPool,
        feed: Arc<Feed>,
        counters: Vec<(String, Arc<TrafficCounter>)>,
        settings_digest: String,
        clock: TimeSource,
    ) -> ReplicaTask {
        let started_at = clock().timestamp_micros();
        let traffic = TrafficCounts::new(counters, started_at);
        ReplicaTask { store, readers, feed, traffic, clock, id: Uuid::new_v4(), started_at, settings_digest }
    }

    pub async fn run(self, stop: CancellationToken) {
        let work = async { tokio::join!(self.keep_taking_counts(), self.keep_reporting()) };
        stop.run_until_cancelled(work).await;
        // What was received in the last seconds.
        let last = async {
            self.report().await?;
            self.store.remove(self.id).await
        };
        if !matches!(timeout(LAST_REPORT_TIMEOUT, last).await, Ok(Ok(()))) {
            tracing::debug!(
                "the last report of this replica could not be written; its row is deleted by another one later"
            );
        }
    }

    // When a minute begins.
    async fn keep_taking_counts(&self) {
        loop {
            let into_minute = (self.clock)().timestamp_millis().rem_euclid(MINUTE_MILLIS);
            let rest = u64::try_from(MINUTE_MILLIS - into_minute).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(rest)).await;
            self.traffic.take_counts((self.clock)().timestamp_micros());
        }
    }

    async fn keep_reporting(&self) {
        let mut is_failing = false;
        let mut ticks = interval(REPORT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let reported = timeout(REPORT_TIMEOUT, self.report()).await.unwrap_or(Err(StoreError::Cancelled));
            if let Some(error) = reported.as_ref().err().filter(|_| !is_failing) {
                tracing::warn!(%error, "this replica could not report that it runs; it is retried");
            }
            is_failing = reported.is_err();
        }
    }

    /// Writes the row of this process, and what was counted.
    pub(super) async fn report(&self) -> Result<(), StoreError> {
        // The head is read first, so that what is written in between is no lag.
        let position = head(&self.readers).await?.position;
        let now = (self.clock)();
        let row = Model {
            id: self.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            seen_at: now.timestamp_micros(),
            settings_digest: self.settings_digest.clone(),
            feed_lag: position.saturating_sub(self.feed.newest()).max(0),
        };
        self.traffic.take_counts(now.timestamp_micros());
        let rates = self.traffic.pending();
        let silent_since = (now - SILENT_AFTER).timestamp_micros();
        self.store.report(ReplicaReport { row, silent_since, rates: rates.clone() }).await?;
        self.traffic.stored(&rates);
        Ok(())
    }
}
