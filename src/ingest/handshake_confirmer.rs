//! Confirms webhook URLs to vendors that ask for it: Hover sends nothing else until the hub calls
//! `PUT https://hover.to/api/v2/webhooks/{code}/verify`
//! (<https://developers.hover.to/docs/leveraging-hovers-webhooks>).
//!
//! A code can be used once. So a successful confirmation is recorded however long the database is unavailable, and no other call is
//! made with that code until then.

use crate::store::{HandshakeStore, StoreError};
use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};
use entity::handshake::Model;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

/// The timeout of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls for one request. After that, only another request or a restart makes further calls.
const MAX_ATTEMPTS: usize = 8;
/// The longest wait between two calls.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// The first and the longest wait before a failed database operation is retried.
const DATABASE_BACKOFF_MIN: Duration = Duration::from_millis(500);
const DATABASE_BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The longest accepted code, in characters. Hover's are UUIDs.
const MAX_CODE_LEN: usize = 128;

/// Where the codes of a source are confirmed.
#[derive(Clone)]
pub struct ConfirmationTarget {
    /// The vendor's API, e.g. `https://hover.to`.
    pub api_url: String,
    /// The token of that API.
    pub api_token: String,
}

impl std::fmt::Debug for ConfirmationTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfirmationTarget").field("api_url", &self.api_url).finish_non_exhaustive()
    }
}

/// The background task that confirms pending requests whenever it is woken.
#[derive(Debug)]
pub struct HandshakeConfirmer {
    pub handshakes: HandshakeStore,
    /// By source. Requests of a source without a target are only shown.
    pub targets: HashMap<String, ConfirmationTarget>,
    pub wake: Arc<Notify>,
    /// The wait before the second call. It doubles from call to call.
    pub initial_backoff: Duration,
}

/// Source and code of a request.
type HandshakeId = (String, String);

/// Confirms one request.
#[derive(Clone, Debug)]
struct ConfirmationTask {
    client: reqwest::Client,
    handshakes: HandshakeStore,
    target: ConfirmationTarget,
    request: Model,
    initial_backoff: Duration,
    /// Ends the wait before the next call.
    retry_now: Arc<Notify>,
}

impl HandshakeConfirmer {
    /// Confirms requests, also those left by an earlier process, until cancelled.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.confirm_pending()).await;
    }

    async fn confirm_pending(self) {
        let client = match reqwest::Client::builder().timeout(CALL_TIMEOUT).build() {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "webhook URLs cannot be confirmed: no HTTP client"),
        };
        let retry_now = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let mut running = HashMap::<task::Id, HandshakeId>::new();
        // Requested again while a task was running.
        let mut requested_again = HashSet::<HandshakeId>::new();
        loop {
            for request in self.load_pending().await {
                let id = (request.source.clone(), request.code.clone());
                let Some(target) = self.targets.get(&request.source) else {
                    tracing::info!(
                        source = request.source,
                        "a webhook URL must be confirmed by hand: no API token is configured"
                    );
                    continue;
                };
                if running.values().any(|other| *other == id) {
                    requested_again.insert(id);
                } else {
                    let work = ConfirmationTask {
                        client: client.clone(),
                        handshakes: self.handshakes.clone(),
                        target: target.clone(),
                        request,
                        initial_backoff: self.initial_backoff,
                        retry_now: retry_now.clone(),
                    };
                    running.insert(tasks.spawn(work.confirm()).id(), id);
                }
            }
            // Until there may be another pending request.
            loop {
                tokio::select! {
                    () = self.wake.notified() => {
                        // A new request does not wait for the retries of an old one: all pending requests are retried now.
                        retry_now.notify_waiters();
                        break;
                    }
                    Some(ended) = tasks.join_next_with_id() => {
                        let (task, confirmed) = match ended {
                            Ok(ended) => ended,
                            Err(error) => {
                                tracing::error!(%error, "a confirmation task failed");
                                (error.id(), false)
                            }
                        };
                        let again = running.remove(&task).is_some_and(|id| requested_again.remove(&id));
                        if confirmed || again {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// The pending requests. Retries until the database responds.
    async fn load_pending(&self) -> Vec<Model> {
        let mut waits = unlimited_backoff();
        loop {
            match self.handshakes.pending().await {
                Ok(pending) => return pending,
                Err(error) => {
                    wait_to_retry("pending confirmations could not be read; retrying", &error, &mut waits).await
                }
            }
        }
    }
}

impl ConfirmationTask {
    /// Calls until the vendor confirms, at most [`MAX_ATTEMPTS`] times; returns whether it did.
    async fn confirm(self) -> bool {
        let waits = ExponentialBuilder::default().with_min_delay(self.initial_backoff).with_max_delay(MAX_BACKOFF);
        let mut waits = waits.with_max_times(MAX_ATTEMPTS - 1).build();
        loop {
            match send_confirmation(&self.client, &self.target, &self.request.code).await {
                Ok(()) => {
                    tracing::info!(source = self.request.source, "a webhook URL was confirmed");
                    self.record_confirmed(crate::clock::now()).await;
                    return true;
                }
                Err(why) => {
                    tracing::warn!(source = self.request.source, why, "a webhook URL could not be confirmed");
                    if let Err(error) = self.handshakes.record_failure(&self.request, why).await {
                        tracing::error!(%error, "a failed confirmation could not be recorded");
                    }
                }
            }
            let Some(wait) = waits.next() else { return false };
            let _ = tokio::time::timeout(wait, self.retry_now.notified()).await;
        }
    }

    /// Records the confirmation, however long that takes: the code cannot be used again.
    async fn record_confirmed(&self, at: DateTime<Utc>) {
        let mut waits = unlimited_backoff();
        while let Err(error) = self.handshakes.mark_confirmed(&self.request, at).await {
            wait_to_retry("a confirmation could not be recorded; retrying", &error, &mut waits).await;
        }
    }
}

fn unlimited_backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(DATABASE_BACKOFF_MIN)
        .with_max_delay(DATABASE_BACKOFF_MAX)
        .without_max_times()
        .build()
}

async fn wait_to_retry(what: &str, error: &StoreError, waits: &mut impl Iterator<Item = Duration>) {
    tracing::error!(%error, "{what}");
    tokio::time::sleep(waits.next().unwrap_or(DATABASE_BACKOFF_MAX)).await;
}

async fn send_confirmation(client: &reqwest::Client, target: &ConfirmationTarget, code: &str) -> Result<(), String> {
    let plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain || code.len() > MAX_CODE_LEN {
        return Err("the code has an invalid format".to_owned());
    }
    let url = format!("{}/api/v2/webhooks/{code}/verify", target.api_url.trim_end_matches('/'));
    let answer = client.put(url).bearer_auth(&target.api_token).send().await.map_err(|error| {
        // Without the URL, which contains the code.
        format!("the vendor cannot be reached: {}", error.without_url())
    })?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("the vendor answered {status}")),
    }
}
