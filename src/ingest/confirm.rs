//! The hub's own call to a vendor that asked to confirm a URL: Hover sends nothing else until
//! `PUT https://hover.to/api/v2/webhooks/{code}/verify` has been made
//! (<https://developers.hover.to/docs/leveraging-hovers-webhooks>).

use crate::store::Handshakes;
use backon::{ExponentialBuilder, Retryable};
use chrono::Utc;
use entity::handshake::Model;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(10);
/// Calls before we wait for the next request, or for a restart.
const CALLS: usize = 8;
/// Characters of a code that may stand in a URL; Hover's are UUIDs.
const MAX_CODE: usize = 128;

/// Where a source's codes are confirmed.
#[derive(Clone)]
pub struct Target {
    /// The vendor's API, e.g. `https://hover.to`.
    pub api_url: String,
    /// The token that authorizes the call.
    pub api_token: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("api_url", &self.api_url).finish_non_exhaustive()
    }
}

/// Confirms what is open whenever it is woken.
#[derive(Debug)]
pub struct Confirmer {
    pub handshakes: Handshakes,
    /// By source; a source without a target only shows its requests.
    pub targets: HashMap<String, Target>,
    pub wake: Arc<Notify>,
    /// The wait before the second call; it doubles from call to call.
    pub first_wait: Duration,
}

impl Confirmer {
    /// Confirms what was left open by an earlier process, then what comes, until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let client = match reqwest::Client::builder().timeout(CALL).build() {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "URLs cannot be confirmed: no HTTP client"),
        };
        loop {
            // A new request does not wait for the retries of an old one: all that is open is tried again.
            let work = async {
                self.confirm_all(&client).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = work => {}
            }
        }
    }

    async fn confirm_all(&self, client: &reqwest::Client) {
        let open = match self.handshakes.open().await {
            Ok(open) => open,
            Err(error) => return tracing::error!(%error, "the open confirmations cannot be read"),
        };
        let calls = open.iter().filter_map(|request| match self.targets.get(&request.source) {
            Some(target) => Some(self.confirm(client, target, request)),
            None => {
                tracing::info!(source = request.source, "a URL is to be confirmed by hand: no API token is configured");
                None
            }
        });
        join_all(calls).await;
    }

    async fn confirm(&self, client: &reqwest::Client, target: &Target, request: &Model) {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(Duration::from_secs(300))
            .with_max_times(CALLS - 1);
        let outcome = (|| async {
            let called = call(client, target, &request.code).await;
            if let Err(why) = &called {
                tracing::warn!(source = request.source, why, "a URL could not be confirmed");
                if let Err(error) = self.handshakes.failed(request, why.clone()).await {
                    tracing::error!(%error, "a failed confirmation could not be noted");
                }
            }
            called
        })
        .retry(backoff)
        .await;
        if outcome.is_ok() {
            tracing::info!(source = request.source, "the URL is confirmed");
            if let Err(error) = self.handshakes.confirmed(request, Utc::now()).await {
                tracing::error!(%error, "a confirmation could not be noted");
            }
        }
    }
}

async fn call(client: &reqwest::Client, target: &Target, code: &str) -> Result<(), String> {
    let plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain || code.len() > MAX_CODE {
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
