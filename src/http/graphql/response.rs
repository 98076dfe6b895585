//! Answers as HTTP: status, headers, JSON.

use super::negotiate::ResponseMediaType;
use super::serialized_response::{ResponseOutcome, SerializedResponse};
use crate::graphql::{ApiError, is_request_error};
use crate::request::{RATE_LIMIT_WINDOW, RateLimitStatus};
use async_graphql::Response as Answer;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Why a request is not executed, and what HTTP says to it.
#[derive(Debug)]
pub struct RequestRejection {
    pub status: StatusCode,
    /// Whether the older media type says it in the body alone, with 200.
    pub legacy_status_ok: bool,
    /// The methods that are allowed, where it is the method.
    pub allow: Option<&'static str>,
    /// Whether the connection cannot be used again: what is left of the body is not read.
    pub close_connection: bool,
    pub error: ApiError,
}

impl RequestRejection {
    /// What came is no GraphQL request.
    pub fn with_status(status: StatusCode, message: impl Into<String>, hint: &str) -> RequestRejection {
        RequestRejection {
            status,
            legacy_status_ok: false,
            allow: None,
            close_connection: false,
            error: ApiError::bad_request(message, hint),
        }
    }

    /// The body could not be read to its end.
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
        let RequestRejection { status, legacy_status_ok: in_body, allow, close_connection: close, error: fault } = self;
        let status = if in_body && media == ResponseMediaType::Json { StatusCode::OK } else { status };
        let is_unknown = fault == ApiError::Unauthenticated;
        let wait = match fault {
            ApiError::RateLimited { seconds } => Some(seconds),
            _ => None,
        };
        let reply = SerializedResponse::request_error(&fault.into_graphql_response());
        let status =
            if reply.outcome == ResponseOutcome::InternalError { StatusCode::INTERNAL_SERVER_ERROR } else { status };
        let mut response = json_body(reply.json, status, media);
        let headers = response.headers_mut();
        if let Some(allow) = allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if is_unknown {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, seconds.into());
            set(&mut response, RATELIMIT, &format!("\"cost\";r=0;t={seconds}"));
        }
        response
    }
}

/// An answer of the pipeline.
pub fn operation_response(
    reply: SerializedResponse,
    media: ResponseMediaType,
    allowance: Option<RateLimitStatus>,
) -> Response {
    let mut response = json_body(reply.json, status_of(reply.outcome, media), media);
    set_rate_limit_headers(&mut response, allowance);
    response
}

/// The answers of a batch, in the order of its requests.
pub fn batch_response(answers: &[Answer], media: ResponseMediaType) -> Response {
    let answers: Vec<_> = answers
        .iter()
        .map(|answer| if is_request_error(answer) { json!({ "errors": answer.errors }) } else { json!(answer) })
        .collect();
    match serde_json::to_vec(&answers) {
        Ok(json) => json_body(json.into(), StatusCode::OK, media),
        Err(error) => operation_response(SerializedResponse::internal_error(&error), media, None),
    }
}

/// The client has the answer already.
pub fn not_modified(tag: &str, allowance: Option<RateLimitStatus>) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    set_etag(&mut response, tag);
    set(&mut response, header::VARY, "accept");
    set_rate_limit_headers(&mut response, allowance);
    response
}

/// It may be kept by its client alone, who asks each time whether it still holds.
pub fn set_etag(response: &mut Response, tag: &str) {
    set(response, header::ETAG, tag);
    set(response, header::CACHE_CONTROL, "private, no-cache");
}

fn status_of(standing: ResponseOutcome, media: ResponseMediaType) -> StatusCode {
    match (standing, media) {
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

fn set_rate_limit_headers(response: &mut Response, allowance: Option<RateLimitStatus>) {
    if let Some(RateLimitStatus { quota, remaining: left }) = allowance {
        let used = u64::from(quota.saturating_sub(left));
        let full = (used * RATE_LIMIT_WINDOW.as_secs()).div_ceil(u64::from(quota).max(1));
        set(response, RATELIMIT_POLICY, &format!("\"cost\";q={quota};w={}", RATE_LIMIT_WINDOW.as_secs()));
        set(response, RATELIMIT, &format!("\"cost\";r={left};t={full}"));
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

    async fn status(answered: Answer, media: ResponseMediaType) -> u16 {
        operation_response(SerializedResponse::of(answered).await, media, None).status().as_u16()
    }

    #[tokio::test]
    async fn the_newer_media_type_says_in_its_status_what_became_of_the_request() {
        let late = || ApiError::Timeout { milliseconds: 10 }.into_graphql_response();
        let wrong = || ApiError::bad_user_input("wrong", "do it right").into_graphql_response();
        let good = || Answer::new(async_graphql::Value::from(1));
        for (answered, newer) in [(late(), 503), (wrong(), 400), (good(), 200)] {
            assert_eq!(status(answered, ResponseMediaType::GraphqlResponse).await, newer);
        }
        for answered in [late(), wrong(), good()] {
            assert_eq!(status(answered, ResponseMediaType::Json).await, 200);
        }
        assert_eq!(
            operation_response(SerializedResponse::internal_error(&"no"), ResponseMediaType::Json, None).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}
