//! The hub's own call to a vendor that asked to confirm a URL: Hover sends nothing else until
//! `PUT https://hover.to/api/v2/webhooks/{code}/verify` has been made
//! (<https://developers.hover.to/docs/leveraging-hovers-webhooks>).
//!
//! A code can be used once. So a confirmation that the vendor has given is noted however long the database is away, and
//! until then nobody calls with that code again.

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

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls before we wait for the next request, or for a restart.
const MAX_ATTEMPTS: usize = 8;
/// The longest wait between two calls.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// The wait until a database that did not answer is asked again: the first, and the longest.
const DATABASE_BACKOFF_MIN: Duration = Duration::from_millis(500);
const DATABASE_BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Characters of a code that may stand in a URL; Hover's are UUIDs.
const MAX_CODE_LEN: usize = 128;

/// Where a source's codes are confirmed.
#[derive(Clone)]
pub struct ConfirmationTarget {
    /// The vendor's API, e.g. `https://hover.to`.
    pub api_url: String,
    /// The token that authorizes the call.
    pub api_token: String,
}

impl std::fmt::Debug for ConfirmationTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("api_url", &self.api_url).finish_non_exhaustive()
    }
}

/// Confirms what is open whenever it is woken.
#[derive(Debug)]
pub struct HandshakeConfirmer {
    pub handshakes: HandshakeStore,
    /// By source; a source without a target only shows its requests.
    pub targets: HashMap<String, ConfirmationTarget>,
    pub wake: Arc<Notify>,
    /// The wait before the second call; it doubles from call to call.
    pub initial_backoff: Duration,
}

/// A request, by source and code.
type HandshakeId = (String, String);

/// What a task that confirms one request works with.
#[derive(Clone, Debug)]
struct ConfirmationTask {
    client: reqwest::Client,
    handshakes: HandshakeStore,
    target: ConfirmationTarget,
    request: Model,
    initial_backoff: Duration,
    /// Ends the wait before the next call early.
    retry_now: Arc<Notify>,
}

impl HandshakeConfirmer {
    /// Confirms what was left open by an earlier process, then what comes, until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.confirm_pending()).await;
    }

    async fn confirm_pending(self) {
        let client = match reqwest::Client::builder().timeout(CALL_TIMEOUT).build() {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "URLs cannot be confirmed: no HTTP client"),
        };
        let hurry = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let mut under_way = HashMap::<task::Id, HandshakeId>::new();
        // Under way when they were asked for again.
        let mut asked_again = HashSet::<HandshakeId>::new();
        loop {
            for request in self.load_pending().await {
                let id = (request.source.clone(), request.code.clone());
                let Some(target) = self.targets.get(&request.source) else {
                    tracing::info!(
                        source = request.source,
                        "a URL is to be confirmed by hand: no API token is configured"
                    );
                    continue;
                };
                if under_way.values().any(|other| *other == id) {
                    asked_again.insert(id);
                } else {
                    let work = ConfirmationTask {
                        client: client.clone(),
                        handshakes: self.handshakes.clone(),
                        target: target.clone(),
                        request,
                        initial_backoff: self.initial_backoff,
                        retry_now: hurry.clone(),
                    };
                    under_way.insert(tasks.spawn(work.confirm()).id(), id);
                }
            }
            // Until there is something new.
            loop {
                tokio::select! {
                    () = self.wake.notified() => {
                        // A new request does not wait for the retries of an old one: all that is open is tried again.
                        hurry.notify_waiters();
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
                        let asked_again = under_way.remove(&task).is_some_and(|id| asked_again.remove(&id));
                        if confirmed || asked_again {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// The requests that are open, as soon as the database says which.
    async fn load_pending(&self) -> Vec<Model> {
        let mut waits = unlimited_backoff();
        loop {
            match self.handshakes.pending().await {
                Ok(open) => return open,
                Err(error) => {
                    wait_to_retry("the open confirmations cannot be read; it is tried again", &error, &mut waits).await
                }
            }
        }
    }
}

impl ConfirmationTask {
    /// Calls until the vendor confirms, or has refused too often; whether it has confirmed.
    async fn confirm(self) -> bool {
        let waits = ExponentialBuilder::default().with_min_delay(self.initial_backoff).with_max_delay(MAX_BACKOFF);
        let mut waits = waits.with_max_times(MAX_ATTEMPTS - 1).build();
        loop {
            match send_confirmation(&self.client, &self.target, &self.request.code).await {
                Ok(()) => {
                    tracing::info!(source = self.request.source, "the URL is confirmed");
                    self.record_confirmed(crate::clock::now()).await;
                    return true;
                }
                Err(why) => {
                    tracing::warn!(source = self.request.source, why, "a URL could not be confirmed");
                    if let Err(error) = self.handshakes.record_failure(&self.request, why).await {
                        tracing::error!(%error, "a failed confirmation could not be noted");
                    }
                }
            }
            let Some(wait) = waits.next() else { return false };
            let _ = tokio::time::timeout(wait, self.retry_now.notified()).await;
        }
    }

    /// Notes that it is confirmed, however long that takes: the code is used up.
    async fn record_confirmed(&self, at: DateTime<Utc>) {
        let mut waits = unlimited_backoff();
        while let Err(error) = self.handshakes.mark_confirmed(&self.request, at).await {
            wait_to_retry("a confirmation could not be noted; it is tried again", &error, &mut waits).await;
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
        return Err("the code is not of the vendor's form".to_owned());
    }
    let url = format!("{}/api/v2/webhooks/{code}/verify", target.api_url.trim_end_matches('/'));
    let answer = client.put(url).bearer_auth(&target.api_token).send().await.map_err(|error| {
        // The URL holds the code.
        format!("the vendor cannot be reached: {}", error.without_url())
    })?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("the vendor answered {status}")),
    }
}
