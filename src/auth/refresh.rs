//! The background tasks of the rings of credentials.

use super::{KeyRing, SessionRing};
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the number of changes is read: a revocation is in force everywhere within a second.
const REFRESH_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is saved when credentials were used.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// How long the last save may take, at the shutdown.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// Credentials of the database that are in memory.
trait CredentialRing: Sync {
    /// For the log.
    const CREDENTIALS: &str;

    fn refresh(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
    fn end_expired(&self);
    fn save_uses(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl CredentialRing for KeyRing {
    const CREDENTIALS: &str = "API keys";

    fn refresh(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        KeyRing::refresh(self)
    }

    fn end_expired(&self) {
        KeyRing::end_expired(self);
    }

    fn save_uses(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        KeyRing::save_uses(self)
    }
}

impl CredentialRing for SessionRing {
    const CREDENTIALS: &str = "browser sessions";

    fn refresh(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        SessionRing::refresh(self)
    }

    fn end_expired(&self) {
        SessionRing::end_expired(self);
    }

    fn save_uses(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        SessionRing::save_uses(self)
    }
}

impl KeyRing {
    /// Keeps the ring current until `stop`. Keys expire while the database does not answer, too.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        keep_current(&*self, &stop).await;
    }
}

impl SessionRing {
    /// Keeps the ring current until `stop`. Sessions end while the database does not answer, too.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        keep_current(&*self, &stop).await;
    }
}

async fn keep_current<R: CredentialRing>(ring: &R, stop: &CancellationToken) {
    let work = async { tokio::join!(keep_expiring(ring), keep_refreshing(ring), keep_saving(ring)) };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = work => {}
    }
    // A busy database must not delay the shutdown.
    let _ = tokio::time::timeout(LAST_SAVE_TIMEOUT, save(ring)).await;
}

async fn keep_expiring<R: CredentialRing>(ring: &R) {
    let mut ticks = every(REFRESH_INTERVAL);
    loop {
        ticks.tick().await;
        ring.end_expired();
    }
}

async fn keep_refreshing<R: CredentialRing>(ring: &R) {
    let (mut ticks, mut is_failing) = (every(REFRESH_INTERVAL), false);
    loop {
        ticks.tick().await;
        let refreshed = ring.refresh().await;
        if let Some(error) = refreshed.as_ref().err().filter(|_| !is_failing) {
            tracing::warn!(%error, "{} could not be read; the known ones stay valid", R::CREDENTIALS);
        }
        is_failing = refreshed.is_err();
    }
}

async fn keep_saving<R: CredentialRing>(ring: &R) {
    let mut ticks = every(SAVE_INTERVAL);
    loop {
        ticks.tick().await;
        save(ring).await;
    }
}

async fn save<R: CredentialRing>(ring: &R) {
    if let Err(error) = ring.save_uses().await {
        tracing::warn!(%error, "the last use of {} could not be saved; it is tried again", R::CREDENTIALS);
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
