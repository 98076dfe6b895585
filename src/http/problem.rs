//! Errors outside GraphQL: `application/problem+json` (RFC 9457). Every status code of the HTTP surface is made here.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What went wrong with a request, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("there is nothing at this address")]
    RouteNotFound,
    #[error("the path of the address is not UTF-8")]
    PathNotUtf8,
    #[error("this address does not take this method")]
    MethodNotAllowed,
    #[error("this address takes POST (and PUT) of {0}'s webhooks")]
    WebhookMethodNotAllowed(&'static str),
    #[error("no source with this name is configured")]
    SourceNotFound,
    #[error("the request is not authenticated")]
    NotAuthenticated,
    #[error("the body is empty")]
    EmptyBody,
    #[error("the body did not arrive whole")]
    IncompleteBody,
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body is over the limit of {0} bytes")]
    BodyTooLarge(usize),
    #[error("the body has the content encoding {0}; send it uncompressed, without Content-Encoding")]
    UnsupportedContentEncoding(String),
    #[error("there is no open event stream with this token: reserve one with PUT, then open it with GET")]
    StreamNotFound,
    #[error("the event stream is open already")]
    StreamAlreadyOpen,
    #[error(
        "the operation needs an id of 1 to 128 letters: extensions.operationId to start it, ?operationId= to stop it"
    )]
    InvalidOperationId,
    #[error("no operation with this id is running on the event stream")]
    OperationNotFound,
    #[error("an operation with this id is running on the event stream already")]
    DuplicateOperationId,
    #[error("the event stream has as many operations as it may have")]
    TooManyOperations,
    #[error("there are as many event streams as there may be; try again in a minute")]
    TooManyStreams,
    #[error("the source is over its rate; try again in {0} s")]
    RateLimited(u64),
    #[error("the delivery could not be stored; try again in {0} s")]
    Unavailable(u64),
    #[error("{0}")]
    NotReady(&'static str),
    #[error("check is read or write, or left out for both")]
    InvalidCheck,
    #[error("the playground is not in this binary; `make web` builds its assets, and a build after that has it")]
    PlaygroundNotBuilt,
    #[error("the request cannot be answered: {0}")]
    Other(StatusCode),
}

impl Problem {
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::RouteNotFound | Problem::SourceNotFound | Problem::StreamNotFound | Problem::OperationNotFound => {
                StatusCode::NOT_FOUND
            }
            Problem::StreamAlreadyOpen | Problem::DuplicateOperationId => StatusCode::CONFLICT,
            Problem::TooManyOperations | Problem::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
            Problem::MethodNotAllowed | Problem::WebhookMethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Problem::NotAuthenticated => StatusCode::UNAUTHORIZED,
            Problem::PathNotUtf8
            | Problem::InvalidCheck
            | Problem::EmptyBody
            | Problem::IncompleteBody
            | Problem::InvalidOperationId => StatusCode::BAD_REQUEST,
            Problem::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Problem::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::UnsupportedContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Problem::Unavailable(_) | Problem::NotReady(_) | Problem::PlaygroundNotBuilt => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Problem::Other(status) => *status,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({ "title": title, "status": status.as_u16(), "detail": self.to_string() });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Problem::RateLimited(seconds) | Problem::Unavailable(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Problem::WebhookMethodNotAllowed(_) => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST, PUT"));
            }
            Problem::NotAuthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Webhook"));
            }
            // What is left of the body is not read: the connection cannot be used again.
            Problem::BodyTooLarge(_) | Problem::BodyTimeout | Problem::IncompleteBody => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
