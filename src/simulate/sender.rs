//! From a post to an answer over HTTP: signed as the settings say, and tried again as a vendor does.

use super::CannotSimulate;
use super::ledger::{Receipt, Tally};
use super::mischief::{Manner, Sending};
use crate::settings::Source;
use crate::vendor::verify::{CannotSign, Request, Signed, Verifier};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use bytes::Bytes;
use chrono::Utc;
use reqwest::{Client, Response, Url};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The first wait before a delivery is tried again; each further one is twice as long …
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a delivery is tried. Vendors go on for hours or days.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a try may take: Truepic gives up after 10 s.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends posts, any number at once.
#[derive(Debug)]
pub struct Sender {
    client: Client,
    routes: Vec<Route>,
    stop: CancellationToken,
}

/// Where the deliveries of a source go.
#[derive(Debug)]
struct Route {
    url: Url,
    verifier: Verifier,
}

// What a try came to.
enum Outcome {
    Taken(Receipt),
    NotAuthenticated,
    /// It may be tried again, after this time if the hub names one.
    Later(Option<Duration>),
    NoAnswer,
    Other(String),
}

/// A client that asks nobody but the hub.
///
/// # Errors
/// If TLS cannot be set up.
pub fn client() -> Result<Client, reqwest::Error> {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).build()
}

impl Sender {
    /// A sender to the webhooks of this hub; `stop` ends waiting for another try.
    ///
    /// # Errors
    /// If what the source's vendor would send can only be made by the vendor.
    pub fn new(
        client: Client,
        hub: &Url,
        sources: &[Source],
        stop: CancellationToken,
    ) -> Result<Sender, CannotSimulate> {
        let route = |source: &Source| {
            let url = address(hub, &["webhooks", &source.name]);
            let route = Route { url, verifier: source.verifier.clone() };
            match route.sign(&headers("application/json"), b"{}", Manner::Genuine) {
                Ok(_) => Ok(route),
                Err(why) => Err(CannotSimulate::Sign { name: source.name.clone(), why }),
            }
        };
        Ok(Sender { client, routes: sources.iter().map(route).collect::<Result<_, _>>()?, stop })
    }

    /// Sends it, and again if need be. Answers whether the hub gave an answer in the end.
    ///
    /// # Errors
    /// If there is nothing to send: the programme is wrong, not the hub.
    pub async fn deliver(&self, sending: &Sending, tally: &mut Tally) -> Result<bool, CannotSimulate> {
        let Some(route) = self.routes.get(sending.post.source) else { return Ok(true) };
        let body = sending.post.body()?;
        let (content_type, bytes) = match sending.manner {
            Manner::Garbage(garbage) => ("application/json", garbage.spoil(&body.bytes).into()),
            _ => (body.content_type, body.bytes),
        };
        tally.sent += 1;
        let forged = matches!(sending.manner, Manner::Forged(_));
        let (started, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let after = match self.attempt(route, content_type, &bytes, sending.manner).await? {
                Outcome::Taken(receipt) => {
                    tally.take(&receipt);
                    if forged {
                        tally.surprise("a forgery that was believed".to_owned());
                    }
                    return Ok(true);
                }
                Outcome::NotAuthenticated => {
                    tally.not_authenticated += 1;
                    if !forged {
                        let why = "401 to a delivery that was signed: the hub runs with other settings";
                        tally.surprise(why.to_owned());
                    }
                    return Ok(true);
                }
                Outcome::Other(what) => {
                    tally.surprise(what);
                    return Ok(true);
                }
                Outcome::Later(after) => after.unwrap_or_default(),
                Outcome::NoAnswer => {
                    tally.unanswered += 1;
                    Duration::ZERO
                }
            };
            let pause = wait.max(after);
            if started.elapsed() + pause > PATIENCE || !self.pause(pause).await {
                tally.given_up += 1;
                return Ok(false);
            }
            tally.retries += 1;
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }

    async fn attempt(
        &self,
        route: &Route,
        content_type: &'static str,
        body: &Bytes,
        manner: Manner,
    ) -> Result<Outcome, CannotSimulate> {
        let mut headers = headers(content_type);
        let signed = route.sign(&headers, body, manner);
        let (signed, body) = signed.map_err(|why| CannotSimulate::Sign { name: route.url.to_string(), why })?;
        headers.extend(signed.headers);
        let mut url = route.url.clone();
        url.set_query(signed.query.as_deref());
        let request = self.client.post(url).headers(headers).body(body);
        Ok(match request.send().await {
            Ok(response) => outcome(response).await,
            Err(_) => Outcome::NoAnswer,
        })
    }

    // Whether it waited all the time.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stop.cancelled() => false,
        }
    }
}

impl Route {
    fn sign(&self, headers: &HeaderMap, body: &[u8], manner: Manner) -> Result<(Signed, Bytes), CannotSign> {
        let body = Bytes::copy_from_slice(body);
        let (path, query) = (self.url.path(), self.url.query());
        let request = Request { headers, path, query, body: &body, now: Utc::now() };
        match manner {
            Manner::Forged(forgery) => forgery.forge(&self.verifier, &request, &body),
            _ => Ok((self.verifier.sign(&request)?, body)),
        }
    }
}

fn headers(content_type: &'static str) -> HeaderMap {
    [(CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect()
}

async fn outcome(response: Response) -> Outcome {
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match response.status() {
        StatusCode::OK => match response.bytes().await {
            Ok(body) => match serde_json::from_slice(&body) {
                Ok(receipt) => Outcome::Taken(receipt),
                Err(_) => Outcome::Other("200 without a receipt".to_owned()),
            },
            Err(_) => Outcome::NoAnswer,
        },
        StatusCode::UNAUTHORIZED => Outcome::NotAuthenticated,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Outcome::Later(after.map(Duration::from_secs))
        }
        status => Outcome::Other(format!("HTTP {status}")),
    }
}

/// A path below the hub's address.
pub fn address(hub: &Url, path: &[&str]) -> Url {
    let mut url = hub.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}
