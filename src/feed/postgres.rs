//! Between processes on one PostgreSQL: each tells the others by `NOTIFY` what it wrote, and hears them by `LISTEN`.
//!
//! It is told after the commit and outside of its transaction, because PostgreSQL lets only one transaction at a time
//! commit with a notification (<https://www.postgresql.org/docs/current/sql-notify.html>). While one is on its way, later
//! positions gather, and only the newest is told next.

use super::Feed;
use sea_orm::sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, Error, Executor};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The channel. What is said on it by others in the same database is only a reason to look.
const CHANNEL: &str = "inspection_hub";
/// Between two notifications at least: what is written meanwhile is told together.
const MIN_NOTIFY_INTERVAL: Duration = Duration::from_millis(2);
/// Between two attempts to reach a database that is away.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a notification may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// After so long without a word the connection is asked for a sign of life: one that was lost would be listened to for ever.
const PROBE_AFTER: Duration = Duration::from_secs(20);

/// Tells and hears, until told to stop. Hearing takes one more connection than the pool has.
pub async fn run(pool: PgPool, feed: Arc<Feed>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = publish_hints(&pool, &feed) => {}
        () = receive_hints(&pool, &feed) => {}
    }
}

async fn publish_hints(pool: &PgPool, feed: &Feed) {
    let mut written = feed.watch_committed();
    while written.changed().await.is_ok() {
        let position = *written.borrow_and_update();
        let telling = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(position.to_string()).execute(pool);
        match with_timeout(telling).await {
            Ok(_) => tokio::time::sleep(MIN_NOTIFY_INTERVAL).await,
            Err(error) => {
                tracing::debug!(%error, "other processes could not be told of news; they look for themselves");
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
            tracing::warn!(%error, "the notifications of other processes cannot be heard; the feed looks once a second");
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

// `told` is whether somebody knows that nothing can be heard.
async fn listen(pool: &PgPool, feed: &Feed, outage_reported: &mut bool) -> Result<Infallible, Error> {
    // In a pool of its own: a listener that is dropped wants to say so over its connection before it gives it back, and if
    // that was lost, never gives it back.
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
        // None: the connection was lost and made anew; something may have been said meanwhile.
        let Ok(said) = tokio::time::timeout(PROBE_AFTER, listener.try_recv()).await else {
            with_timeout(listener.execute("SELECT 1")).await?;
            continue;
        };
        let said = said?;
        let position = said.as_ref().and_then(|said| said.payload().parse().ok());
        feed.wake(position.unwrap_or(i64::MAX));
    }
}

async fn with_timeout<T>(doing: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(STATEMENT_TIMEOUT, doing).await.unwrap_or(Err(Error::PoolTimedOut))
}
