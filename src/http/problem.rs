//! Errors outside GraphQL, as `application/problem+json` (RFC 9457).

use super::auth::AccessDenied;
use super::cookie::REMOVE_SESSION;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

macro_rules! problems {
    ($($name:ident $(($parameter:ty))?, $status:ident, $detail:literal;)+) => {
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Problem {
            $(#[error($detail)] $name $(($parameter))?,)+
            #[error("the request failed: {0}")]
            Other(StatusCode),
            #[error("{1}")]
            LoginFailed(StatusCode, String),
        }

        impl Problem {
            pub fn status(&self) -> StatusCode {
                match self {
                    $(Problem::$name { .. } => StatusCode::$status,)+
                    Problem::Other(status) | Problem::LoginFailed(status, _) => *status,
                }
            }
        }
    };
}

problems! {
    RouteNotFound, NOT_FOUND, "this URL does not exist";
    PathNotUtf8, BAD_REQUEST, "the path of the URL is not UTF-8";
    MethodNotAllowed, METHOD_NOT_ALLOWED, "this URL does not support the method";
    WebhookMethodNotAllowed(&'static str), METHOD_NOT_ALLOWED, "this URL accepts {0}'s webhooks by POST (or PUT) only";
    SourceNotFound, NOT_FOUND, "no source with this name is configured";
    NotAuthenticated, UNAUTHORIZED, "the request is not authenticated";
    ApiKeyRequired, UNAUTHORIZED, "this needs a valid credential: send the header `Authorization: Bearer …`";
    SessionEnded, UNAUTHORIZED, "the session has ended: log in again, at /login";
    LogoutNotStored, SERVICE_UNAVAILABLE, "the logout could not be stored; try again in a minute";
    MissingScope(&'static str), FORBIDDEN, "this needs the scope `{0}`, which the credential does not have";
    MetricsOfAllSources, FORBIDDEN, "the metrics are of all sources, and the credential is limited to some of them";
    SiteNotAllowed(AccessDenied), FORBIDDEN, "{0}";
    EmptyBody, BAD_REQUEST, "the body is empty";
    IncompleteBody, BAD_REQUEST, "the body is incomplete";
    BodyTimeout, REQUEST_TIMEOUT, "the body did not arrive in time";
    BodyTooLarge(usize), PAYLOAD_TOO_LARGE, "the body exceeds the limit of {0} bytes";
    UnsupportedContentEncoding(String), UNSUPPORTED_MEDIA_TYPE,
        "the body has the content encoding {0}; send it uncompressed, without Content-Encoding";
    StreamNotFound, NOT_FOUND, "no event stream has this token: reserve one with PUT, then open it with GET";
    StreamAlreadyOpen, CONFLICT, "the event stream is already open";
    InvalidOperationId, BAD_REQUEST,
        "the operation needs an id of 1 to 128 characters: extensions.operationId to start it, ?operationId= to stop it";
    OperationNotFound, NOT_FOUND, "no operation with this id is running on the event stream";
    DuplicateOperationId, CONFLICT, "an operation with this id is already running on the event stream";
    TooManyOperations, TOO_MANY_REQUESTS, "the event stream has the maximum number of operations";
    TooManyStreams, TOO_MANY_REQUESTS, "the maximum number of event streams is reserved; try again in a minute";
    RateLimited(u64), TOO_MANY_REQUESTS, "the source exceeds its rate limit; try again in {0} s";
    Unavailable(u64), SERVICE_UNAVAILABLE, "the delivery could not be stored; try again in {0} s";
    NotReady(&'static str), SERVICE_UNAVAILABLE, "{0}";
    InvalidCheck, BAD_REQUEST, "check must be read or write, or be omitted for both";
    PlaygroundNotBuilt, SERVICE_UNAVAILABLE,
        "this binary was built without the playground; run `make web`, then build again";
}

impl From<AccessDenied> for Problem {
    fn from(denied: AccessDenied) -> Self {
        match denied {
            AccessDenied::Unauthenticated => Problem::ApiKeyRequired,
            AccessDenied::SessionEnded => Problem::SessionEnded,
            denied => Problem::SiteNotAllowed(denied),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({ "title": title, "status": status.as_u16(), "detail": self.to_string() });
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        let (name, value) = match self {
            Problem::RateLimited(seconds) | Problem::Unavailable(seconds) => (header::RETRY_AFTER, seconds.into()),
            Problem::WebhookMethodNotAllowed(_) => (header::ALLOW, HeaderValue::from_static("POST, PUT")),
            Problem::NotAuthenticated => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Webhook")),
            Problem::ApiKeyRequired => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Problem::SessionEnded => (header::SET_COOKIE, HeaderValue::from_static(REMOVE_SESSION)),
            // The rest of the body is not read, so the connection cannot be reused.
            Problem::BodyTooLarge(_) | Problem::BodyTimeout | Problem::IncompleteBody => {
                (header::CONNECTION, HeaderValue::from_static("close"))
            }
            _ => return response,
        };
        response.headers_mut().insert(name, value);
        response
    }
}
