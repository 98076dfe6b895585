//! Responses over HTTP: status, headers, JSON.

use super::negotiate::ResponseMediaType;
use crate::graphql::{ApiError, is_request_error};
use crate::request::{RATE_LIMIT_WINDOW, RateLimitStatus};
use async_graphql::{Response as GraphqlResponse, Value};
use async_graphql_axum::GraphQLResponse;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;
use std::fmt::Display;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// A response as it is sent. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct SerializedResponse {
    pub json: Bytes,
    /// With the newer media type. With `application/json`, only an internal error has it.
    pub status: StatusCode,
    pub has_errors: bool,
}

impl SerializedResponse {
    pub async fn of(response: GraphqlResponse) -> SerializedResponse {
        if is_request_error(&response) {
            return SerializedResponse::request_error(&response);
        }
        let has_errors = !response.errors.is_empty();
        let body = GraphQLResponse::from(response).into_response().into_body();
        // The body is in memory.
        match body.collect().await {
            Ok(body) => SerializedResponse { json: body.to_bytes(), status: StatusCode::OK, has_errors },
            Err(error) => SerializedResponse::internal_error(&error),
        }
    }

    /// Nothing was executed: there is no `data`.
    pub fn request_error(response: &GraphqlResponse) -> SerializedResponse {
        let mut codes = response.errors.iter().filter_map(|error| error.extensions.as_ref()?.get("code"));
        let timed_out = codes.any(|code| *code == Value::from("TIMEOUT"));
        let status = if timed_out { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
        match serde_json::to_vec(&json!({ "errors": response.errors })) {
            Ok(json) => SerializedResponse { json: json.into(), status, has_errors: true },
            Err(error) => SerializedResponse::internal_error(&error),
        }
    }

    /// There is no response. The log has the reason.
    pub fn internal_error(why: &impl Display) -> SerializedResponse {
        let error = ApiError::internal(format!("no response could be made: {why}"));
        let json = json!({ "errors": error.into_graphql_response().errors }).to_string();
        SerializedResponse { json: json.into(), status: StatusCode::INTERNAL_SERVER_ERROR, has_errors: true }
    }
}

/// The name and the value of a header.
pub type StaticHeader = &'static (&'static str, &'static str);

/// Why a request is not executed, and its HTTP response.
#[derive(Debug)]
pub struct RequestRejection {
    pub status: StatusCode,
    /// Whether the status is 200 with `application/json`.
    pub legacy_status_ok: bool,
    pub header: Option<StaticHeader>,
    pub error: ApiError,
}

impl RequestRejection {
    pub fn with_status(status: StatusCode, message: impl Into<String>, hint: &str) -> RequestRejection {
        let error = ApiError::bad_request(message, hint);
        RequestRejection { status, legacy_status_ok: false, header: None, error }
    }

    pub fn method_not_allowed(message: &str, allow: StaticHeader) -> RequestRejection {
        let hint = format!("Use one of these methods: {}.", allow.1);
        let rejection = RequestRejection::with_status(StatusCode::METHOD_NOT_ALLOWED, message, &hint);
        RequestRejection { header: Some(allow), ..rejection }
    }

    pub fn respond(self, media: ResponseMediaType) -> Response {
        let RequestRejection { mut status, legacy_status_ok, header, error } = self;
        let retry_after = error.retry_after();
        let body = SerializedResponse::request_error(&error.into_graphql_response());
        if body.status == StatusCode::INTERNAL_SERVER_ERROR {
            status = body.status;
        } else if legacy_status_ok && media == ResponseMediaType::Json {
            status = StatusCode::OK;
        }
        let mut response = json_body(body.json, status, media);
        if let Some((name, value)) = header {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            set(&mut response, RATELIMIT, &format!("\"cost\";r=0;t={seconds}"));
        }
        response
    }
}

/// Where it is not known yet what the client accepts, or nothing that it accepts can be given.
impl IntoResponse for RequestRejection {
    fn into_response(self) -> Response {
        self.respond(ResponseMediaType::Json)
    }
}

pub fn operation_response(
    body: SerializedResponse,
    media: ResponseMediaType,
    rate_limit: Option<RateLimitStatus>,
) -> Response {
    // With `application/json`, a well-formed request has the status 200, unless the hub failed (section 6.4.1).
    let is_ok = media == ResponseMediaType::Json && body.status != StatusCode::INTERNAL_SERVER_ERROR;
    let mut response = json_body(body.json, if is_ok { StatusCode::OK } else { body.status }, media);
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
