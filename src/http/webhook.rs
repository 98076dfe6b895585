//! `POST /webhooks/{source}`: looks for the source, then for the method; caps size and time, keeps the raw bytes, asks whether it is from them, hands it in, and
//! answers once it is durable. Exactly 200, because Truepic and Truto take nothing else for success.

use super::body::read_body;
use super::normalize::OriginalPath;
use super::{AppState, Problem};
use crate::ingest::Unavailable;
use crate::ingest::{DeliveryReceipt, PreparedDelivery, RawDelivery};
use crate::settings::SourceSettings;
use crate::store::read::delivery_id;
use crate::vendor::verify::WebhookRequest;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use entity::Verdict;
use governor::clock::{Clock, DefaultClock};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Seconds after which a vendor may try again when nothing could be stored.
const RETRY_AFTER_SECONDS: u64 = 5;
/// Characters of an unknown path that are logged.
const MAX_LOGGED_PATH_CHARS: usize = 100;

/// Counter of webhooks by source and answer.
const DELIVERIES_TOTAL: &str = "inspection_hub_deliveries_total";

/// A source as the endpoint needs it.
#[derive(Debug)]
pub struct Endpoint {
    pub source: SourceSettings,
    pub name: Arc<str>,
    pub rate_limiter: Option<governor::DefaultDirectRateLimiter>,
}

/// Takes one delivery.
pub async fn receive(
    State(app): State<Arc<AppState>>,
    Path(name): Path<String>,
    called: Option<Extension<OriginalPath>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let started = std::time::Instant::now();
    // The vendor signed the path that it called.
    let path = called.map_or_else(|| uri.path().to_owned(), |Extension(OriginalPath(path))| path);
    let outcome = match app.endpoints.get(name.as_str()) {
        Some(inlet) => {
            let delivery = RequestHead { method: &method, path: &path, query: uri.query(), headers: &headers };
            handle(&app, inlet, delivery, body).await
        }
        None => {
            count_unknown_source(&path);
            return Problem::SourceNotFound.into_response();
        }
    };
    let status = match &outcome {
        Ok(receipt) => status_of(receipt),
        Err(Problem::NotAuthenticated) => "not_authenticated",
        Err(Problem::Unavailable(_)) => "unavailable",
        // Not logged: these can come by the thousand per second.
        Err(Problem::RateLimited(_)) => "rejected",
        // A browser or a monitor that looks whether the address is there.
        Err(Problem::WebhookMethodNotAllowed(_)) => "wrong_method",
        Err(problem) => {
            tracing::warn!(source = name, why = %problem, "a delivery was rejected");
            "rejected"
        }
    };
    metrics::counter!(DELIVERIES_TOTAL, "source" => name, "status" => status).increment(1);
    metrics::histogram!("inspection_hub_webhook_duration_seconds").record(started.elapsed().as_secs_f64());
    match outcome {
        Ok(receipt) => receipt_response(&receipt),
        Err(problem) => problem.into_response(),
    }
}

/// Answers requests that no route matches.
pub async fn not_found(uri: Uri, called: Option<Extension<OriginalPath>>) -> Problem {
    let missed = called
        .map_or_else(|| count_unknown_source(uri.path()), |Extension(OriginalPath(path))| count_unknown_source(&path));
    if missed { Problem::SourceNotFound } else { Problem::RouteNotFound }
}

/// Counts a request as `unknown_source` if a segment of its path begins with `webhook`: it may be a vendor's, sent to a
/// mistyped address. All of them share one series, so that made-up paths make no labels. Returns whether it was counted.
pub fn count_unknown_source(path: &str) -> bool {
    const NEARLY: &[u8] = b"webhook";
    let near = |part: &str| part.as_bytes().get(..NEARLY.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(NEARLY));
    let counted = path.split('/').any(near);
    if counted {
        metrics::counter!(DELIVERIES_TOTAL, "source" => "", "status" => "unknown_source").increment(1);
        let path: String = path.chars().take(MAX_LOGGED_PATH_CHARS).collect();
        tracing::info!(path, "a request for an unknown source was rejected");
    }
    counted
}

/// The head of a request.
#[derive(Clone, Copy)]
struct RequestHead<'a> {
    method: &'a Method,
    /// As it was sent.
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
}

async fn handle(
    app: &AppState,
    inlet: &Endpoint,
    head: RequestHead<'_>,
    body: Body,
) -> Result<DeliveryReceipt, Problem> {
    let RequestHead { method, path, query, headers } = head;
    if *method != Method::POST && *method != Method::PUT {
        return Err(Problem::WebhookMethodNotAllowed(inlet.source.vendor.title));
    }
    let body = read_body(headers, body, app.limits.webhook_body, app.limits.body_timeout).await?;
    let received_at = (app.clock)();
    let request = WebhookRequest { headers, path, query, body: &body, now: received_at };
    let verified = inlet.source.verifier.verify(&request).map_err(|unverified| {
        tracing::warn!(source = %inlet.name, why = %unverified, "a delivery was not authenticated");
        Problem::NotAuthenticated
    })?;
    if body.is_empty() {
        return Err(Problem::EmptyBody);
    }
    if let Some(Err(over)) = inlet.rate_limiter.as_ref().map(|rate| rate.check()) {
        return Err(Problem::RateLimited(over.wait_time_from(DefaultClock::default().now()).as_secs() + 1));
    }
    let post = RawDelivery {
        source: inlet.name.clone(),
        vendor: inlet.source.vendor,
        received_at,
        method: if *method == Method::PUT { "PUT" } else { "POST" },
        content_type: headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned),
        headers: stored_headers(headers, |name| !inlet.source.verifier.is_credential(name)),
        body: body.clone(),
    };
    let incoming = PreparedDelivery::prepare(&verified, post);
    app.ingest.submit(incoming).await.map_err(|unavailable| match unavailable {
        Unavailable::Overloaded => Problem::Unavailable(1),
        Unavailable::Storage | Unavailable::ShuttingDown => Problem::Unavailable(RETRY_AFTER_SECONDS),
    })
}

// The headers as JSON; a header that came several times is a list.
fn stored_headers(headers: &HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> String {
    let mut object = Map::new();
    for name in headers.keys().filter(|name| keep(name)) {
        let mut values: Vec<Value> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect();
        let value = if values.len() == 1 { values.pop().unwrap_or_default() } else { Value::Array(values) };
        object.insert(name.as_str().to_owned(), value);
    }
    Value::Object(object).to_string()
}

fn status_of(receipt: &DeliveryReceipt) -> &'static str {
    match receipt {
        DeliveryReceipt { duplicate: true, .. } => "duplicate",
        DeliveryReceipt { verdict: Verdict::Unreadable, .. } => "quarantined",
        DeliveryReceipt { .. } => "accepted",
    }
}

fn receipt_response(receipt: &DeliveryReceipt) -> Response {
    let body = json!({
        "status": status_of(receipt),
        "delivery": delivery_id(receipt.delivery),
        "verdict": receipt.verdict.as_str(),
        "reason": receipt.reason,
    });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
