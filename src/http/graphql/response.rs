//! Responses over HTTP: status, headers, JSON.

use super::negotiate::ResponseMediaType;
use super::serialized_response::{ResponseOutcome, SerializedResponse};
use crate::graphql::{ApiError, ApiErrorCode, is_request_error};
use crate::request::{RATE_LIMIT_WINDOW, RateLimitStatus};
use async_graphql::Response as GraphqlResponse;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Why a request is not executed, and its HTTP response.
#[derive(Debug)]
pub struct RequestRejection {
    pub status: StatusCode,
    /// Whether the status is 200 with `application/json`.
    pub legacy_status_ok: bool,
    /// The allowed methods, if the method is wrong.
    pub allow: Option<&'static str>,
    /// The rest of the body is not read, so the connection cannot be used again.
    pub close_connection: bool,
    pub error: ApiError,
}

impl RequestRejection {
    pub fn with_status(status: StatusCode, message: impl Into<String>, hint: &str) -> RequestRejection {
        RequestRejection {
            status,
            legacy_status_ok: false,
            allow: None,
            close_connection: false,
            error: ApiError::bad_request(message, hint),
        }
    }

    /// For a body that was not read to its end.
    pub fn closing_connection(status: StatusCode, message: impl Into<String>, hint: &str) -> RequestRejection {
        RequestRejection { close_connection: true, ..RequestRejection::with_status(status, message, hint) }
    }

    pub fn method_not_allowed(message: &str, allow: &'static str) -> RequestRejection {
        let hint = format!("Use one of these methods: {allow}.");
        RequestRejection {
            allow: Some(allow),
            ..RequestRejection::with_status(StatusCode::METHOD_NOT_ALLOWED, message, &hint)
        }
    }

    pub fn respond(self, media: ResponseMediaType) -> Response {
        let RequestRejection { status, legacy_status_ok, allow, close_connection, error } = self;
        let status = if legacy_status_ok && media == ResponseMediaType::Json { StatusCode::OK } else { status };
        let is_unauthenticated = error.code == ApiErrorCode::Unauthenticated;
        let retry_after = error.retry_after();
        let body = SerializedResponse::request_error(&error.into_graphql_response());
        let status =
            if body.outcome == ResponseOutcome::InternalError { StatusCode::INTERNAL_SERVER_ERROR } else { status };
        let mut response = json_body(body.json, status, media);
        let headers = response.headers_mut();
        if let Some(allow) = allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if close_connection {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if is_unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
            set(&mut response, RATELIMIT, &format!("\"cost\";r=0;t={seconds}"));
        }
        response
    }
}

/// The response to one operation.
pub fn operation_response(
    body: SerializedResponse,
    media: ResponseMediaType,
    rate_limit: Option<RateLimitStatus>,
) -> Response {
    let mut response = json_body(body.json, status_of(body.outcome, media), media);
    set_rate_limit_headers(&mut response, rate_limit);
    response
}

/// The responses to a batch, in the order of its requests.
pub fn batch_response(responses: &[GraphqlResponse], media: ResponseMediaType) -> Response {
    let responses: Vec<_> = responses
        .iter()
        .map(|one| if is_request_error(one) { json!({ "errors": one.errors }) } else { json!(one) })
        .collect();
    match serde_json::to_vec(&responses) {
        Ok(json) => json_body(json.into(), StatusCode::OK, media),
        Err(error) => operation_response(SerializedResponse::internal_error(&error), media, None),
    }
}

/// The client has the current response.
pub fn not_modified(etag: &str, rate_limit: Option<RateLimitStatus>) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    set_etag(&mut response, etag);
    set(&mut response, header::VARY, "accept");
    set_rate_limit_headers(&mut response, rate_limit);
    response
}

/// Only the client may cache it, and it revalidates each time.
pub fn set_etag(response: &mut Response, etag: &str) {
    set(response, header::ETAG, etag);
    set(response, header::CACHE_CONTROL, "private, no-cache");
}

fn status_of(outcome: ResponseOutcome, media: ResponseMediaType) -> StatusCode {
    match (outcome, media) {
        (ResponseOutcome::InternalError, _) => StatusCode::INTERNAL_SERVER_ERROR,
        (ResponseOutcome::Success | ResponseOutcome::Partial, _) | (_, ResponseMediaType::Json) => StatusCode::OK,
        (ResponseOutcome::TimedOut, ResponseMediaType::GraphqlResponse) => StatusCode::SERVICE_UNAVAILABLE,
        (ResponseOutcome::RequestError, ResponseMediaType::GraphqlResponse) => StatusCode::BAD_REQUEST,
    }
}

fn json_body(json: Bytes, status: StatusCode, media: ResponseMediaType) -> Response {
    let headers = [(header::CONTENT_TYPE, media.name()), (header::VARY, "accept"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, json).into_response()
}

fn set_rate_limit_headers(response: &mut Response, rate_limit: Option<RateLimitStatus>) {
    if let Some(RateLimitStatus { quota, remaining }) = rate_limit {
        let used = u64::from(quota.saturating_sub(remaining));
        let reset = (used * RATE_LIMIT_WINDOW.as_secs()).div_ceil(u64::from(quota).max(1));
        set(response, RATELIMIT_POLICY, &format!("\"cost\";q={quota};w={}", RATE_LIMIT_WINDOW.as_secs()));
        set(response, RATELIMIT, &format!("\"cost\";r={remaining};t={reset}"));
    }
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn status(response: GraphqlResponse, media: ResponseMediaType) -> u16 {
        operation_response(SerializedResponse::of(response).await, media, None).status().as_u16()
    }

    #[tokio::test]
    async fn the_status_of_the_newer_media_type_depends_on_the_outcome() {
        let late = || ApiError::timeout(Duration::from_millis(10)).into_graphql_response();
        let wrong = || ApiError::bad_user_input("wrong", "do it right").into_graphql_response();
        let good = || GraphqlResponse::new(async_graphql::Value::from(1));
        for (response, newer) in [(late(), 503), (wrong(), 400), (good(), 200)] {
            assert_eq!(status(response, ResponseMediaType::GraphqlResponse).await, newer);
        }
        for response in [late(), wrong(), good()] {
            assert_eq!(status(response, ResponseMediaType::Json).await, 200);
        }
        assert_eq!(
            operation_response(SerializedResponse::internal_error(&"no"), ResponseMediaType::Json, None).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}
