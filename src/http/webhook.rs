//! `POST /webhooks/{source}`: looks for the source, then for the method; caps size and time, keeps the raw bytes, asks whether it is from them, hands it in, and
//! answers once it is durable. Exactly 200, because Truepic and Truto take nothing else for success.

use super::entrance::CalledPath;
use super::{App, Problem, encoding};
use crate::ingest::Unavailable;
use crate::settings::Source;
use crate::store::read::delivery_id;
use crate::store::{Incoming, Post, Receipt};
use crate::vendor::verify::Request;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use entity::Verdict;
use governor::clock::{Clock, DefaultClock};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Seconds after which a vendor may try again when nothing could be stored.
const RETRY: u64 = 5;

/// Counts what came to sources, and to addresses that are nearly theirs.
const DELIVERIES: &str = "inspection_hub_deliveries_total";

/// A source as the endpoint needs it.
#[derive(Debug)]
pub struct Inlet {
    pub source: Source,
    pub name: Arc<str>,
    pub rate: Option<governor::DefaultDirectRateLimiter>,
}

/// How much of a path is logged.
const LOGGED: usize = 100;

/// Takes one delivery.
pub async fn receive(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    called: Option<Extension<CalledPath>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let started = std::time::Instant::now();
    // What was called is what was signed.
    let path = called.map_or_else(|| uri.path().to_owned(), |Extension(CalledPath(path))| path);
    let outcome = match app.inlets.get(name.as_str()) {
        Some(inlet) => {
            let delivery = Came { method: &method, path: &path, query: uri.query(), headers: &headers };
            take(&app, inlet, delivery, body).await
        }
        None => {
            count_missed(&path);
            return Problem::NoSuchSource.into_response();
        }
    };
    let status = match &outcome {
        Ok(receipt) => status_of(receipt),
        Err(Problem::NotAuthenticated) => "not_authenticated",
        Err(Problem::Unavailable(_)) => "unavailable",
        Err(problem) => {
            tracing::warn!(source = name, why = %problem, "a delivery was rejected");
            "rejected"
        }
    };
    metrics::counter!(DELIVERIES, "source" => name, "status" => status).increment(1);
    metrics::histogram!("inspection_hub_delivery_seconds").record(started.elapsed().as_secs_f64());
    match outcome {
        Ok(receipt) => answer(&receipt),
        Err(problem) => problem.into_response(),
    }
}

/// What came to an address that no route has.
pub async fn miss(uri: Uri, called: Option<Extension<CalledPath>>) -> Problem {
    let missed = called.map_or_else(|| count_missed(uri.path()), |Extension(CalledPath(path))| count_missed(&path));
    if missed { Problem::NoSuchSource } else { Problem::NoSuchRoute }
}

/// Counts a request that may be a vendor's, sent to an address that is nearly a source's: a part of it begins with
/// `webhook`. Whoever makes up names must not make up metrics, so that all of them are one series.
pub fn count_missed(path: &str) -> bool {
    const NEARLY: &[u8] = b"webhook";
    let near = |part: &str| part.as_bytes().get(..NEARLY.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(NEARLY));
    let missed = path.split('/').any(near);
    if missed {
        metrics::counter!(DELIVERIES, "source" => "", "status" => "unknown_source").increment(1);
        let path: String = path.chars().take(LOGGED).collect();
        tracing::info!(path, "a delivery came to no source");
    }
    missed
}

/// The head of a request.
#[derive(Clone, Copy)]
struct Came<'a> {
    method: &'a Method,
    /// As it was called.
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
}

async fn take(app: &App, inlet: &Inlet, came: Came<'_>, body: Body) -> Result<Receipt, Problem> {
    let Came { method, path, query, headers } = came;
    if *method != Method::POST && *method != Method::PUT {
        return Err(Problem::OnlyDeliveries(inlet.source.vendor.title));
    }
    if let Some(coding) = encoding::coding(headers) {
        return Err(Problem::Encoded(coding));
    }
    let body = read(app, headers, body).await?;
    let received_at = (app.clock)();
    let request = Request { headers, path, query, body: &body, now: received_at };
    let verified = inlet.source.verifier.check(&request).map_err(|unverified| {
        tracing::warn!(source = %inlet.name, why = %unverified, "a delivery was not authenticated");
        Problem::NotAuthenticated
    })?;
    if body.is_empty() {
        return Err(Problem::EmptyBody);
    }
    if let Some(Err(over)) = inlet.rate.as_ref().map(|rate| rate.check()) {
        return Err(Problem::TooMany(over.wait_time_from(DefaultClock::default().now()).as_secs() + 1));
    }
    let post = Post {
        source: inlet.name.clone(),
        vendor: inlet.source.vendor,
        received_at,
        method: if *method == Method::PUT { "PUT" } else { "POST" },
        content_type: headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned),
        headers: kept(headers, |name| !inlet.source.verifier.is_credential(name)),
        body: body.clone(),
    };
    let incoming = Incoming::read(&verified, post);
    app.ingest.receive(incoming).await.map_err(|unavailable| match unavailable {
        Unavailable::Overloaded => Problem::Unavailable(1),
        Unavailable::Storage | Unavailable::ShuttingDown => Problem::Unavailable(RETRY),
    })
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let limit = app.limits.body;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::TooLarge(limit));
    }
    match tokio::time::timeout(app.limits.body_timeout, Limited::new(body, limit).collect()).await {
        Err(_) => Err(Problem::SlowBody),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::TooLarge(limit)),
        Ok(Err(_)) => Err(Problem::BrokenBody),
    }
}

// The headers as JSON; a header that came several times is a list.
fn kept(headers: &HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> String {
    let mut object = Map::new();
    for name in headers.keys().filter(|name| keep(name)) {
        let mut values: Vec<Value> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into()).collect();
        let value = if values.len() == 1 { values.pop().unwrap_or_default() } else { Value::Array(values) };
        object.insert(name.as_str().to_owned(), value);
    }
    Value::Object(object).to_string()
}

fn status_of(receipt: &Receipt) -> &'static str {
    match receipt {
        Receipt { duplicate: true, .. } => "duplicate",
        Receipt { verdict: Verdict::Unreadable, .. } => "quarantined",
        Receipt { .. } => "accepted",
    }
}

fn answer(receipt: &Receipt) -> Response {
    let body = json!({
        "status": status_of(receipt),
        "delivery": delivery_id(receipt.delivery),
        "verdict": receipt.verdict.as_str(),
        "reason": receipt.reason,
    });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
