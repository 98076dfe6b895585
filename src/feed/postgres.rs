//! Hints between processes on one PostgreSQL: each sends what it committed by `NOTIFY`, and receives by `LISTEN`.
//!
//! A notification is sent after the commit and outside of its transaction, because PostgreSQL lets only one transaction at a
//! time commit with a notification (<https://www.postgresql.org/docs/current/sql-notify.html>). While one is being sent,
//! later positions accumulate, and only the newest is sent next.

use super::Feed;
use crate::store::with_timeout;
use sea_orm::sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, Error, Executor};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The channel. A notification of another sender is only a reason to poll.
const CHANNEL: &str = "inspection_hub";
/// The least interval between two notifications: what is committed within it is sent together.
const MIN_NOTIFY_INTERVAL: Duration = Duration::from_millis(2);
/// The wait between two attempts to reach a database that is unavailable.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// The time limit of a notification.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection without a notification for this long is probed: the driver would wait on a lost one for ever.
const PROBE_AFTER: Duration = Duration::from_secs(20);

/// Sends and receives hints until it is cancelled. Receiving takes one connection beside the pool.
pub async fn run(pool: PgPool, feed: Arc<Feed>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = publish_hints(&pool, &feed) => {}
        () = receive_hints(&pool, &feed) => {}
    }
}

async fn publish_hints(pool: &PgPool, feed: &Feed) {
    let mut committed = feed.watch_committed();
    while committed.changed().await.is_ok() {
        let position = *committed.borrow_and_update();
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(position.to_string()).execute(pool);
        match with_timeout(STATEMENT_TIMEOUT, notify).await {
            Ok(_) => tokio::time::sleep(MIN_NOTIFY_INTERVAL).await,
            Err(error) => {
                tracing::debug!(%error, "a hint could not be sent; other processes poll");
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
}

async fn receive_hints(pool: &PgPool, feed: &Feed) {
    let mut outage_reported = false;
    loop {
        let Err(error) = listen(pool, feed, &mut outage_reported).await;
        if !std::mem::replace(&mut outage_reported, true) {
            tracing::warn!(%error, "LISTEN connection lost; the feed polls once a second");
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

// `outage_reported` is whether a warning has reported that nothing is received.
async fn listen(pool: &PgPool, feed: &Feed, outage_reported: &mut bool) -> Result<Infallible, Error> {
    // In a pool of its own: a dropped listener sends UNLISTEN before it returns its connection, and never returns a lost one.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(STATEMENT_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None);
    let own = own.connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(CHANNEL).await?;
    *outage_reported = false;
    loop {
        let Ok(received) = tokio::time::timeout(PROBE_AFTER, listener.try_recv()).await else {
            with_timeout(STATEMENT_TIMEOUT, listener.execute("SELECT 1")).await?;
            continue;
        };
        // None: the listener has reconnected, and may have missed notifications.
        let position = received?.and_then(|notification| notification.payload().parse().ok());
        feed.wake(position.unwrap_or(i64::MAX));
    }
}
