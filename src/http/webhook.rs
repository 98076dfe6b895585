//! `POST /webhooks/{source}`: checks source, method, size and time, verifies the raw bytes, submits the delivery, and responds once
//! it is durable. Exactly 200, because Truepic and Truto accept nothing else as success.

use super::body::read_body;
use super::normalize::original_path;
use super::{AppState, Problem, refused_webhook};
use crate::ingest::{DeliveryReceipt, Unavailable};
use crate::replica::{TrafficCounter, WebhookAnswer};
use crate::settings::SourceSettings;
use crate::store::read::delivery_id;
use crate::vendor::verify::UnverifiedDelivery;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use entity::Verdict;
use governor::clock::{Clock, DefaultClock};
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

/// Seconds after which a vendor may try again when nothing could be stored.
const RETRY_AFTER_SECONDS: u64 = 5;
pub const DELIVERIES_TOTAL: &str = "inspection_hub_deliveries_total";

/// The endpoint of one source.
#[derive(Debug)]
pub struct Endpoint {
    pub source: SourceSettings,
    pub name: Arc<str>,
    pub rate_limiter: Option<governor::DefaultDirectRateLimiter>,
    pub traffic: Arc<TrafficCounter>,
}

/// The body of a response with 200.
#[derive(Serialize)]
struct ReceiptBody {
    delivery: Uuid,
    reason: String,
    status: &'static str,
    verdict: &'static str,
}

pub async fn receive(State(app): State<Arc<AppState>>, Path(name): Path<String>, request: Request) -> Response {
    let started = std::time::Instant::now();
    let (head, body) = request.into_parts();
    let Some(endpoint) = app.endpoints.get(name.as_str()) else {
        refused_webhook::record_unknown_source(&app.rejections, &head, &Problem::SourceNotFound);
        return Problem::SourceNotFound.into_response();
    };
    let outcome = handle(&app, endpoint, &head, body).await;
    if let Err(problem) = &outcome {
        refused_webhook::record_problem(&app, endpoint, &head, problem);
    }
    if let Some(answer) = answer_of(&outcome) {
        endpoint.traffic.count(answer);
    }
    let status = match &outcome {
        Ok(receipt) => status_of(receipt),
        Err(Problem::NotAuthenticated) => "not_authenticated",
        Err(Problem::Unavailable(_)) => "unavailable",
        // Not logged: these can come by the thousand per second.
        Err(Problem::RateLimited(_)) => "rejected",
        // A browser or a monitor that checks the address.
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

/// Responds to requests that match no route.
pub async fn not_found(State(app): State<Arc<AppState>>, request: Request) -> Problem {
    let (head, _) = request.into_parts();
    let missed = refused_webhook::record_unknown_source(&app.rejections, &head, &Problem::SourceNotFound);
    if missed { Problem::SourceNotFound } else { Problem::RouteNotFound }
}

async fn handle(app: &AppState, endpoint: &Endpoint, head: &Parts, body: Body) -> Result<DeliveryReceipt, Problem> {
    if head.method != Method::POST && head.method != Method::PUT {
        return Err(Problem::WebhookMethodNotAllowed(endpoint.source.vendor.title));
    }
    let body = read_body(&head.headers, body, app.settings.body_limit, app.settings.body_timeout).await?;
    let is_empty = body.is_empty();
    let delivery = UnverifiedDelivery {
        source: endpoint.name.clone(),
        vendor: endpoint.source.vendor,
        received_at: (app.clock)(),
        method: if head.method == Method::PUT { "PUT" } else { "POST" },
        // The vendor signed the path that it called.
        path: original_path(&head.uri, &head.extensions),
        query: head.uri.query(),
        headers: &head.headers,
        body,
    };
    let verified = endpoint.source.verifier.check(delivery).map_err(|refused| {
        tracing::warn!(source = %endpoint.name, why = %refused.error, "a delivery was not authenticated");
        refused_webhook::record_unverified(app, endpoint, head, refused);
        Problem::NotAuthenticated
    })?;
    if is_empty {
        return Err(Problem::EmptyBody);
    }
    if let Some(Err(over)) = endpoint.rate_limiter.as_ref().map(|rate| rate.check()) {
        return Err(Problem::RateLimited(over.wait_time_from(DefaultClock::default().now()).as_secs() + 1));
    }
    app.ingest.submit(verified).await.map_err(|unavailable| match unavailable {
        Unavailable::Overloaded => Problem::Unavailable(1),
        Unavailable::Storage | Unavailable::ShuttingDown => Problem::Unavailable(RETRY_AFTER_SECONDS),
    })
}

// None for a browser or a monitor that checks the address.
fn answer_of(outcome: &Result<DeliveryReceipt, Problem>) -> Option<WebhookAnswer> {
    match outcome {
        Ok(DeliveryReceipt { duplicate: true, .. }) => Some(WebhookAnswer::Duplicate),
        Ok(DeliveryReceipt { verdict: Verdict::Unreadable, .. }) => Some(WebhookAnswer::Quarantined),
        Ok(_) => Some(WebhookAnswer::Accepted),
        Err(Problem::NotAuthenticated) => Some(WebhookAnswer::NotAuthenticated),
        Err(Problem::RateLimited(_)) => Some(WebhookAnswer::RateLimited),
        Err(Problem::Unavailable(_)) => Some(WebhookAnswer::Unavailable),
        Err(Problem::WebhookMethodNotAllowed(_)) => None,
        Err(_) => Some(WebhookAnswer::Rejected),
    }
}

fn status_of(receipt: &DeliveryReceipt) -> &'static str {
    match receipt {
        DeliveryReceipt { duplicate: true, .. } => "duplicate",
        DeliveryReceipt { verdict: Verdict::Unreadable, .. } => "quarantined",
        DeliveryReceipt { .. } => "accepted",
    }
}

fn receipt_response(receipt: &DeliveryReceipt) -> Response {
    let body = ReceiptBody {
        delivery: delivery_id(receipt.delivery),
        reason: receipt.explanation.to_string(),
        status: status_of(receipt),
        verdict: receipt.verdict.as_str(),
    };
    Json(body).into_response()
}
