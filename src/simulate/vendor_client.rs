//! Sends deliveries over HTTP: signed as the settings say, and retried as a vendor does.

use super::SimulationError;
use super::chaos::{SendMode, SimulatedRequest};
use super::ledger::{SourceTally, WebhookReply};
use crate::settings::SourceSettings;
use crate::vendor::verify::{RequestCredentials, SignError, Verifier, WebhookRequest};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use bytes::Bytes;
use reqwest::{Client, Response, Url};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The first pause before a retry. Each further one is twice as long …
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
/// … up to this.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// After this time a delivery is given up. Vendors retry for hours or days.
const RETRY_DEADLINE: Duration = Duration::from_secs(60);
/// Truepic's timeout.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends deliveries, any number at once.
#[derive(Debug)]
pub struct VendorClient {
    client: Client,
    endpoints: Vec<SourceEndpoint>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct SourceEndpoint {
    url: Url,
    verifier: Verifier,
}

// The outcome of one attempt.
enum SendOutcome {
    Accepted(WebhookReply),
    NotAuthenticated,
    /// With the pause that the hub asks for.
    RetryLater(Option<Duration>),
    NoResponse,
    Unexpected(String),
}

/// A client that uses no proxy and follows no redirects. An error if TLS cannot be set up.
pub fn http_client() -> Result<Client, reqwest::Error> {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(REQUEST_TIMEOUT).build()
}

impl VendorClient {
    /// `stop` ends waiting for a retry. An error if only the vendor can sign deliveries of a source.
    pub fn new(
        client: Client,
        hub: &Url,
        sources: &[SourceSettings],
        stop: CancellationToken,
    ) -> Result<VendorClient, SimulationError> {
        let endpoint = |source: &SourceSettings| {
            let url = endpoint_url(hub, &["webhooks", &source.name]);
            let endpoint = SourceEndpoint { url, verifier: source.verifier.clone() };
            match endpoint.sign(&headers("application/json"), b"{}", SendMode::Genuine) {
                Ok(_) => Ok(endpoint),
                Err(why) => Err(SimulationError::Sign { name: source.name.clone(), why }),
            }
        };
        Ok(VendorClient { client, endpoints: sources.iter().map(endpoint).collect::<Result<_, _>>()?, stop })
    }

    /// Sends a request, with retries. Returns whether the hub answered in the end, or an error if a script does not fit its
    /// samples.
    pub async fn deliver(&self, request: &SimulatedRequest, tally: &mut SourceTally) -> Result<bool, SimulationError> {
        let Some(endpoint) = self.endpoints.get(request.delivery.source) else { return Ok(true) };
        let body = request.delivery.body()?;
        let (content_type, bytes) = match request.mode {
            SendMode::Garbage(garbage) => ("application/json", garbage.corrupt(&body.bytes).into()),
            _ => (body.content_type, body.bytes),
        };
        tally.sent += 1;
        let forged = matches!(request.mode, SendMode::Forged(_));
        let (started, mut wait) = (Instant::now(), INITIAL_BACKOFF);
        loop {
            let after = match self.attempt(endpoint, content_type, &bytes, request.mode).await? {
                SendOutcome::Accepted(receipt) => {
                    tally.record(&receipt);
                    if forged {
                        tally.record_anomaly("forgery accepted".to_owned());
                    }
                    return Ok(true);
                }
                SendOutcome::NotAuthenticated => {
                    tally.not_authenticated += 1;
                    if !forged {
                        let why = "401 for a signed delivery: the hub runs with different settings";
                        tally.record_anomaly(why.to_owned());
                    }
                    return Ok(true);
                }
                SendOutcome::Unexpected(what) => {
                    tally.record_anomaly(what);
                    return Ok(true);
                }
                SendOutcome::RetryLater(after) => after.unwrap_or_default(),
                SendOutcome::NoResponse => {
                    tally.unanswered += 1;
                    Duration::ZERO
                }
            };
            let pause = wait.max(after);
            if started.elapsed() + pause > RETRY_DEADLINE
                || self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none()
            {
                tally.given_up += 1;
                return Ok(false);
            }
            tally.retries += 1;
            wait = MAX_BACKOFF.min(wait * 2);
        }
    }

    async fn attempt(
        &self,
        endpoint: &SourceEndpoint,
        content_type: &'static str,
        body: &Bytes,
        mode: SendMode,
    ) -> Result<SendOutcome, SimulationError> {
        let mut headers = headers(content_type);
        let signed = endpoint.sign(&headers, body, mode);
        let (signed, body) = signed.map_err(|why| SimulationError::Sign { name: endpoint.url.to_string(), why })?;
        headers.extend(signed.headers);
        let mut url = endpoint.url.clone();
        url.set_query(signed.query.as_deref());
        let request = self.client.post(url).headers(headers).body(body);
        Ok(match request.send().await {
            Ok(response) => read_response(response).await,
            Err(_) => SendOutcome::NoResponse,
        })
    }
}

impl SourceEndpoint {
    fn sign(&self, headers: &HeaderMap, body: &[u8], mode: SendMode) -> Result<(RequestCredentials, Bytes), SignError> {
        let body = Bytes::copy_from_slice(body);
        let (path, query) = (self.url.path(), self.url.query());
        let request = WebhookRequest { headers, path, query, body: &body, now: crate::clock::now() };
        match mode {
            SendMode::Forged(forgery) => forgery.forge(&self.verifier, &request, &body),
            _ => Ok((self.verifier.sign(&request)?, body)),
        }
    }
}

fn headers(content_type: &'static str) -> HeaderMap {
    [(CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect()
}

async fn read_response(response: Response) -> SendOutcome {
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match response.status() {
        StatusCode::OK => match response.bytes().await {
            Ok(body) => match serde_json::from_slice(&body) {
                Ok(receipt) => SendOutcome::Accepted(receipt),
                Err(_) => SendOutcome::Unexpected("200 without a valid answer".to_owned()),
            },
            Err(_) => SendOutcome::NoResponse,
        },
        StatusCode::UNAUTHORIZED => SendOutcome::NotAuthenticated,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            SendOutcome::RetryLater(after.map(Duration::from_secs))
        }
        status => SendOutcome::Unexpected(format!("HTTP {status}")),
    }
}

pub fn endpoint_url(hub: &Url, path: &[&str]) -> Url {
    let mut url = hub.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}
