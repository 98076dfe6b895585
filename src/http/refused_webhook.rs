//! Records why a webhook is refused: in the rejections that the API shows, in the metrics, and for an unknown source in the log.

use super::normalize::original_path;
use super::webhook::DELIVERIES_TOTAL;
use super::{AppState, Endpoint, Problem};
use crate::access::ClientNetwork;
use crate::rejection::{RefusedRequest, RejectionLog};
use crate::vendor::verify::RefusedDelivery;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use entity::RejectionCause;
use std::fmt::Display;

/// Characters of an unknown path that are logged.
const MAX_LOGGED_PATH_CHARS: usize = 100;

pub fn record_unverified(app: &AppState, endpoint: &Endpoint, head: &Parts, refused: RefusedDelivery) {
    let RefusedDelivery { error, body } = refused;
    let rejection = RefusedRequest {
        source: Some(&endpoint.name),
        scheme: Some(error.scheme),
        http_status: Problem::NotAuthenticated.status().as_u16(),
        bytes: body.len(),
        unverified_body: Some(body),
        ..refused_request(head, error.reason.cause(), &error)
    };
    record(&app.rejections, rejection);
}

/// Records a refusal that has nothing to do with the credentials. Those of methods, and of empty and incomplete bodies, have no
/// record: they are of browsers, monitors and broken connections.
pub fn record_problem(app: &AppState, endpoint: &Endpoint, head: &Parts, problem: &Problem) {
    let Some(cause) = cause_of(problem) else { return };
    // The text of this problem quotes a header.
    let is_quoting = matches!(problem, Problem::UnsupportedContentEncoding(_));
    let reason: &dyn Display = if is_quoting { &"the body is compressed" } else { problem };
    let announced = announced_length(&head.headers);
    let bytes = match problem {
        Problem::BodyTooLarge(limit) => announced.unwrap_or(*limit),
        _ => announced.unwrap_or_default(),
    };
    let rejection = RefusedRequest {
        source: Some(&endpoint.name),
        http_status: problem.status().as_u16(),
        bytes,
        ..refused_request(head, cause, reason)
    };
    record(&app.rejections, rejection);
}

/// Records a request as one for an unknown source if a segment of its path begins with `webhook`: it may be a vendor's, sent to a
/// mistyped address. All of them share one series of the metrics, so that made-up paths make no labels. Returns whether it was
/// recorded.
pub fn record_unknown_source(rejections: &RejectionLog, head: &Parts, problem: &Problem) -> bool {
    const NEARLY: &[u8] = b"webhook";
    let path = original_path(&head.uri, &head.extensions);
    let near = |part: &str| part.as_bytes().get(..NEARLY.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(NEARLY));
    let is_recorded = path.split('/').any(near);
    if is_recorded {
        metrics::counter!(DELIVERIES_TOTAL, "source" => "", "status" => "unknown_source").increment(1);
        let logged_path: String = path.chars().take(MAX_LOGGED_PATH_CHARS).collect();
        tracing::info!(path = logged_path, "a request for an unknown source was rejected");
        let rejection = RefusedRequest {
            http_status: problem.status().as_u16(),
            bytes: announced_length(&head.headers).unwrap_or_default(),
            ..refused_request(head, RejectionCause::UnknownSource, problem)
        };
        record(rejections, rejection);
    }
    is_recorded
}

fn record(rejections: &RejectionLog, rejection: RefusedRequest<'_>) {
    let (source, cause) = (rejection.source.unwrap_or_default().to_owned(), rejection.cause.as_str());
    metrics::counter!("inspection_hub_rejections_total", "source" => source, "cause" => cause).increment(1);
    rejections.record(rejection);
}

fn refused_request<'a>(head: &'a Parts, cause: RejectionCause, reason: &'a dyn Display) -> RefusedRequest<'a> {
    RefusedRequest {
        source: None,
        cause,
        scheme: None,
        http_status: 0,
        method: &head.method,
        uri: &head.uri,
        path: original_path(&head.uri, &head.extensions),
        headers: &head.headers,
        bytes: 0,
        address: head.extensions.get::<ClientNetwork>().map(|client| client.address()),
        reason,
        unverified_body: None,
    }
}

fn cause_of(problem: &Problem) -> Option<RejectionCause> {
    match problem {
        Problem::BodyTooLarge(_) => Some(RejectionCause::BodyTooLarge),
        Problem::BodyTimeout => Some(RejectionCause::BodyTooSlow),
        Problem::UnsupportedContentEncoding(_) => Some(RejectionCause::Compressed),
        Problem::RateLimited(_) => Some(RejectionCause::RateLimited),
        Problem::Unavailable(_) => Some(RejectionCause::Unavailable),
        _ => None,
    }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_with_a_cause_are_recorded() {
        for (problem, cause) in [
            (Problem::BodyTooLarge(1), Some(RejectionCause::BodyTooLarge)),
            (Problem::BodyTimeout, Some(RejectionCause::BodyTooSlow)),
            (Problem::UnsupportedContentEncoding("gzip".to_owned()), Some(RejectionCause::Compressed)),
            (Problem::RateLimited(1), Some(RejectionCause::RateLimited)),
            (Problem::Unavailable(1), Some(RejectionCause::Unavailable)),
            (Problem::EmptyBody, None),
            (Problem::IncompleteBody, None),
            (Problem::WebhookMethodNotAllowed("Hover"), None),
            // Recorded with the scheme that failed.
            (Problem::NotAuthenticated, None),
        ] {
            assert_eq!(cause_of(&problem), cause, "{problem:?}");
        }
    }
}
