//! Reports that this process runs, until it ends.

use crate::clock::TimeSource;
use crate::feed::Feed;
use crate::store::read::head;
use crate::store::{ReadPool, ReplicaStore, StoreError};
use chrono::TimeDelta;
use entity::replica::Model;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const REPORT_INTERVAL: Duration = Duration::from_secs(5);
const REPORT_TIMEOUT: Duration = Duration::from_secs(30);
/// At the end of the process.
const REMOVE_TIMEOUT: Duration = Duration::from_millis(500);
/// A process that has not reported for so long was killed: its row is deleted.
const SILENT_AFTER: TimeDelta = TimeDelta::hours(1);

/// Reports this process until it is cancelled.
#[derive(Debug)]
pub struct ReplicaTask {
    store: ReplicaStore,
    readers: ReadPool,
    feed: Arc<Feed>,
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
        settings_digest: String,
        clock: TimeSource,
    ) -> ReplicaTask {
        let started_at = clock().timestamp_micros();
        ReplicaTask { store, readers, feed, clock, id: Uuid::new_v4(), started_at, settings_digest }
    }

    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep_reporting()).await;
        if !matches!(timeout(REMOVE_TIMEOUT, self.store.remove(self.id)).await, Ok(Ok(()))) {
            tracing::debug!("the row of this replica could not be deleted; it is deleted by another replica later");
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

    /// Writes the row of this process.
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
        self.store.report(row, (now - SILENT_AFTER).timestamp_micros()).await
    }
}
