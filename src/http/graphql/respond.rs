//! Answers as HTTP: status, headers, JSON.

use super::negotiate::Media;
use super::reply::{Reply, Standing};
use crate::graphql::{Fault, is_request_error};
use crate::request::{Allowance, WINDOW};
use async_graphql::Response as Answer;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Why a request is not executed, and what HTTP says to it.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    /// Whether the older media type says it in the body alone, with 200.
    pub in_body: bool,
    /// The methods that are allowed, where it is the method.
    pub allow: Option<&'static str>,
    /// Whether the connection cannot be used again: what is left of the body is not read.
    pub close: bool,
    pub fault: Fault,
}

impl Refusal {
    /// What came is no GraphQL request.
    pub fn request(status: StatusCode, message: impl Into<String>, hint: &str) -> Refusal {
        Refusal { status, in_body: false, allow: None, close: false, fault: Fault::request(message, hint) }
    }

    /// The body could not be read to its end.
    pub fn of_connection(status: StatusCode, message: impl Into<String>, hint: &str) -> Refusal {
        Refusal { close: true, ..Refusal::request(status, message, hint) }
    }

    pub fn method(message: &str, allow: &'static str) -> Refusal {
        let hint = format!("Use one of these methods: {allow}.");
        Refusal { allow: Some(allow), ..Refusal::request(StatusCode::METHOD_NOT_ALLOWED, message, &hint) }
    }

    pub fn respond(self, media: Media) -> Response {
        let Refusal { status, in_body, allow, close, fault } = self;
        let status = if in_body && media == Media::Json { StatusCode::OK } else { status };
        let is_unknown = fault == Fault::Unauthenticated;
        let wait = match fault {
            Fault::RateLimited { seconds } => Some(seconds),
            _ => None,
        };
        let reply = Reply::refused(&fault.answer());
        let status = if reply.standing == Standing::Failed { StatusCode::INTERNAL_SERVER_ERROR } else { status };
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
            set(&mut response, LIMIT, &format!("\"cost\";r=0;t={seconds}"));
        }
        response
    }
}

/// An answer of the pipeline.
pub fn answer(reply: Reply, media: Media, allowance: Option<Allowance>) -> Response {
    let mut response = json_body(reply.json, status_of(reply.standing, media), media);
    say(&mut response, allowance);
    response
}

/// The answers of a batch, in the order of its requests.
pub fn batch(answers: &[Answer], media: Media) -> Response {
    let answers: Vec<_> = answers
        .iter()
        .map(|answer| if is_request_error(answer) { json!({ "errors": answer.errors }) } else { json!(answer) })
        .collect();
    match serde_json::to_vec(&answers) {
        Ok(json) => json_body(json.into(), StatusCode::OK, media),
        Err(error) => answer(Reply::failed(&error), media, None),
    }
}

/// The client has the answer already.
pub fn not_modified(tag: &str, allowance: Option<Allowance>) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    validated(&mut response, tag);
    set(&mut response, header::VARY, "accept");
    say(&mut response, allowance);
    response
}

/// It may be kept by its client alone, who asks each time whether it still holds.
pub fn validated(response: &mut Response, tag: &str) {
    set(response, header::ETAG, tag);
    set(response, header::CACHE_CONTROL, "private, no-cache");
}

fn status_of(standing: Standing, media: Media) -> StatusCode {
    match (standing, media) {
        (Standing::Failed, _) => StatusCode::INTERNAL_SERVER_ERROR,
        (Standing::Good | Standing::Partial, _) | (_, Media::Json) => StatusCode::OK,
        (Standing::Late, Media::Response) => StatusCode::SERVICE_UNAVAILABLE,
        (Standing::Refused, Media::Response) => StatusCode::BAD_REQUEST,
    }
}

fn json_body(json: Bytes, status: StatusCode, media: Media) -> Response {
    let headers = [(header::CONTENT_TYPE, media.name()), (header::VARY, "accept"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, json).into_response()
}

fn say(response: &mut Response, allowance: Option<Allowance>) {
    if let Some(Allowance { quota, left }) = allowance {
        let used = u64::from(quota.saturating_sub(left));
        let full = (used * WINDOW.as_secs()).div_ceil(u64::from(quota).max(1));
        set(response, POLICY, &format!("\"cost\";q={quota};w={}", WINDOW.as_secs()));
        set(response, LIMIT, &format!("\"cost\";r={left};t={full}"));
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

    async fn status(answered: Answer, media: Media) -> u16 {
        answer(Reply::of(answered).await, media, None).status().as_u16()
    }

    #[tokio::test]
    async fn the_newer_media_type_says_in_its_status_what_became_of_the_request() {
        let late = || Fault::Timeout { milliseconds: 10 }.answer();
        let wrong = || Fault::input("wrong", "do it right").answer();
        let good = || Answer::new(async_graphql::Value::from(1));
        for (answered, newer) in [(late(), 503), (wrong(), 400), (good(), 200)] {
            assert_eq!(status(answered, Media::Response).await, newer);
        }
        for answered in [late(), wrong(), good()] {
            assert_eq!(status(answered, Media::Json).await, 200);
        }
        assert_eq!(answer(Reply::failed(&"no"), Media::Json, None).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
