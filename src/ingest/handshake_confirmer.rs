//! Confirms webhook URLs to vendors that ask for it: Hover sends nothing else until the hub calls
//! `PUT https://hover.to/api/v2/webhooks/{code}/verify`
//! (<https://developers.hover.to/docs/leveraging-hovers-webhooks>).
//!
//! A code can be used once. So a successful confirmation is recorded however long the database is unavailable, and no other call is
//! made with that code until then.

use crate::store::{HandshakeStore, StoreError};
use crate::vendor::Secret;
use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use entity::handshake::Model;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

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
#[derive(Clone, Debug)]
pub struct ConfirmationTarget {
    /// The vendor's API, without a slash at its end: `https://hover.to`.
    pub api_url: String,
    /// The token of that API.
    pub api_token: Secret,
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

impl HandshakeConfirmer {
    /// Confirms requests, also those left by an earlier process, until cancelled.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(Arc::new(self).confirm_pending()).await;
    }

    async fn confirm_pending(self: Arc<Self>) {
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
            let pending = || self.handshakes.pending();
            for request in until_stored("pending confirmations could not be read; retrying", pending).await {
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
                    let work = self.clone().confirm(client.clone(), target.clone(), request, retry_now.clone());
                    running.insert(tasks.spawn(work).id(), id);
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
                        let (task, confirmed) = ended.unwrap_or_else(|error| {
                            tracing::error!(%error, "a confirmation task failed");
                            (error.id(), false)
                        });
                        let again = running.remove(&task).is_some_and(|id| requested_again.remove(&id));
                        if confirmed || again {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Calls until the vendor confirms, at most [`MAX_ATTEMPTS`] times; returns whether it did. `retry_now` ends a wait.
    async fn confirm(
        self: Arc<Self>,
        client: reqwest::Client,
        target: ConfirmationTarget,
        request: Model,
        retry_now: Arc<Notify>,
    ) -> bool {
        let waits = ExponentialBuilder::default().with_min_delay(self.initial_backoff).with_max_delay(MAX_BACKOFF);
        let mut waits = waits.with_max_times(MAX_ATTEMPTS - 1).build();
        loop {
            match send_confirmation(&client, &target, &request.code).await {
                Ok(()) => {
                    tracing::info!(source = request.source, "a webhook URL was confirmed");
                    // However long that takes: the code cannot be used again.
                    let now = crate::clock::now();
                    let record = || self.handshakes.mark_confirmed(&request, now);
                    until_stored("a confirmation could not be recorded; retrying", record).await;
                    return true;
                }
                Err(why) => {
                    tracing::warn!(source = request.source, why, "a webhook URL could not be confirmed");
                    if let Err(error) = self.handshakes.record_failure(&request, why).await {
                        tracing::error!(%error, "a failed confirmation could not be recorded");
                    }
                }
            }
            let Some(wait) = waits.next() else { return false };
            let _ = tokio::time::timeout(wait, retry_now.notified()).await;
        }
    }
}

/// The result of a database operation, which is retried until it succeeds.
async fn until_stored<T: Default, F>(failure: &str, operation: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let backoff =
        ExponentialBuilder::default().with_min_delay(DATABASE_BACKOFF_MIN).with_max_delay(DATABASE_BACKOFF_MAX);
    let retried = operation.retry(backoff.without_max_times());
    retried.notify(|error, _| tracing::error!(%error, "{failure}")).await.unwrap_or_default()
}

async fn send_confirmation(client: &reqwest::Client, target: &ConfirmationTarget, code: &str) -> Result<(), String> {
    let plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain || code.len() > MAX_CODE_LEN {
        return Err("the code has an invalid format".to_owned());
    }
    let url = format!("{}/api/v2/webhooks/{code}/verify", target.api_url);
    let answer = client.put(url).bearer_auth(&target.api_token.value).send().await.map_err(|error| {
        // Without the URL, which contains the code.
        format!("the vendor cannot be reached: {}", error.without_url())
    })?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("the vendor answered {status}")),
    }
}
