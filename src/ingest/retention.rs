//! Forgets what is older than it is kept, from time to time. Any number of processes may: one of them does it at a time.

use crate::store::{Database, Doing, Forgetting, Forgotten, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The task that does it.
#[derive(Debug)]
pub struct Retention {
    pub db: Database,
    /// How long lives are kept that are at an end.
    pub keep: Duration,
    /// The wait before the first time.
    pub first: Duration,
    /// The wait between two times.
    pub every: Duration,
    pub clock: fn() -> DateTime<Utc>,
}

impl Retention {
    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut wait = self.first;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            let mut forgotten = Forgotten::default();
            // Where the way to the database is cut without a word, an answer would be waited for for ever.
            let doing = tokio::time::timeout(self.every, self.once(&mut forgotten, &stop));
            let done = doing.await.unwrap_or(Err(StoreError::Stopped));
            count(&forgotten);
            let Forgotten { lives, entities, changes, deliveries, open, in_use, large } = forgotten;
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
                Err(StoreError::Stopped) => tracing::info!(lives, deliveries, "forgetting was stopped"),
                Err(StoreError::Taken(_)) => tracing::debug!("somebody else forgets, or rebuilds"),
                Err(error) => tracing::warn!(%error, lives, deliveries, "forgetting failed; it is tried again later"),
            }
            wait = self.every;
        }
    }

    async fn once(&self, forgotten: &mut Forgotten, stop: &CancellationToken) -> Result<(), StoreError> {
        let keep = TimeDelta::from_std(self.keep).unwrap_or(TimeDelta::MAX);
        // Nothing can be older than the beginning of time.
        let Some(before) = (self.clock)().checked_sub_signed(keep) else { return Ok(()) };
        Forgetting::open(self.db.clone(), stop.clone()).await?.run(before, Doing::Remove, forgotten, |_| {}).await
    }
}

fn count(forgotten: &Forgotten) {
    for (what, count) in [
        ("lives", forgotten.lives),
        ("entities", forgotten.entities),
        ("changes", forgotten.changes),
        ("deliveries", forgotten.deliveries),
    ] {
        metrics::counter!("inspection_hub_forgotten_total", "what" => what).increment(count);
    }
}
