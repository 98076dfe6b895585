//! Errors outside GraphQL, as `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("this URL does not exist")]
    RouteNotFound,
    #[error("the path of the URL is not UTF-8")]
    PathNotUtf8,
    #[error("this URL does not support the method")]
    MethodNotAllowed,
    #[error("this URL accepts {0}'s webhooks by POST (or PUT) only")]
    WebhookMethodNotAllowed(&'static str),
    #[error("no source with this name is configured")]
    SourceNotFound,
    #[error("the request is not authenticated")]
    NotAuthenticated,
    #[error("the body is empty")]
    EmptyBody,
    #[error("the body is incomplete")]
    IncompleteBody,
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body exceeds the limit of {0} bytes")]
    BodyTooLarge(usize),
    #[error("the body has the content encoding {0}; send it uncompressed, without Content-Encoding")]
    UnsupportedContentEncoding(String),
    #[error("no event stream has this token: reserve one with PUT, then open it with GET")]
    StreamNotFound,
    #[error("the event stream is already open")]
    StreamAlreadyOpen,
    #[error(
        "the operation needs an id of 1 to 128 characters: extensions.operationId to start it, ?operationId= to stop it"
    )]
    InvalidOperationId,
    #[error("no operation with this id is running on the event stream")]
    OperationNotFound,
    #[error("an operation with this id is already running on the event stream")]
    DuplicateOperationId,
    #[error("the event stream has the maximum number of operations")]
    TooManyOperations,
    #[error("the maximum number of event streams is reserved; try again in a minute")]
    TooManyStreams,
    #[error("the source exceeds its rate limit; try again in {0} s")]
    RateLimited(u64),
    #[error("the delivery could not be stored; try again in {0} s")]
    Unavailable(u64),
    #[error("{0}")]
    NotReady(&'static str),
    #[error("check must be read or write, or be omitted for both")]
    InvalidCheck,
    #[error("this binary was built without the playground; run `make web`, then build again")]
    PlaygroundNotBuilt,
    #[error("the request failed: {0}")]
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
            // The rest of the body is not read, so the connection cannot be reused.
            Problem::BodyTooLarge(_) | Problem::BodyTimeout | Problem::IncompleteBody => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
