//! The background task of a key ring.

use super::KeyRing;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the number of changes is read: a revocation is in force everywhere within a second.
const REFRESH_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is saved when keys were used.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// How long the last save may take, at the shutdown.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_millis(500);

impl KeyRing {
    /// Keeps the ring current until `stop`. Keys expire while the database does not answer, too.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let work = async { tokio::join!(self.keep_expiring(), self.keep_refreshing(), self.keep_saving()) };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = work => {}
        }
        // A busy database must not delay the shutdown.
        let _ = tokio::time::timeout(LAST_SAVE_TIMEOUT, self.save()).await;
    }

    async fn keep_expiring(&self) {
        let mut ticks = every(REFRESH_INTERVAL);
        loop {
            ticks.tick().await;
            self.end_expired();
        }
    }

    async fn keep_refreshing(&self) {
        let (mut ticks, mut is_failing) = (every(REFRESH_INTERVAL), false);
        loop {
            ticks.tick().await;
            let refreshed = self.refresh().await;
            if let Some(error) = refreshed.as_ref().err().filter(|_| !is_failing) {
                tracing::warn!(%error, "API keys could not be read; the known ones stay valid");
            }
            is_failing = refreshed.is_err();
        }
    }

    async fn keep_saving(&self) {
        let mut ticks = every(SAVE_INTERVAL);
        loop {
            ticks.tick().await;
            self.save().await;
        }
    }

    async fn save(&self) {
        if let Err(error) = self.save_uses().await {
            tracing::warn!(%error, "the last use of API keys could not be saved; it is tried again");
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
