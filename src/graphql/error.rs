//! The errors of the API, by whose fault, and their form: a message, `extensions.code` and `extensions.hint`.
//!
//! [`ApiError`] has no `Display`, so that only this file renders it and no text of the database reaches a client.

use super::error_code::ApiErrorCode;
use super::error_hints::clarify;
use crate::store::StoreError;
use async_graphql::{Error, ErrorExtensionValues, ErrorExtensions, Name, Pos, Response, ServerError, Value};
use uuid::Uuid;

/// Errors in one response.
const MAX_ERRORS: usize = 10;

/// Why a request or a field failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// The client's: an argument with an invalid value.
    BadUserInput { message: String, hint: String },
    /// The client's: not a GraphQL request.
    BadRequest { message: String, hint: String },
    /// The client's: a syntax error in the document.
    ParseFailed { message: String, at: Option<Pos> },
    /// The client's: the document does not match the schema.
    ValidationFailed { message: String, at: Option<Pos> },
    /// The client's: the request exceeds a limit.
    QueryTooCostly(LimitExceeded),
    /// The client's: its rate limit is exhausted; this request is within it after this many seconds.
    RateLimited { seconds: u64 },
    /// The client's: no document has this hash or id.
    PersistedQueryNotFound,
    /// The client's: no valid token.
    Unauthenticated,
    /// The client's: not one of the documents that this hub accepts.
    Forbidden,
    /// The response took longer than this many milliseconds.
    Timeout { milliseconds: u128 },
    /// The client's: not a cursor, or not of this list.
    CursorInvalid { message: String, hint: String },
    /// A cursor beyond the newest position: the database was restored from a backup.
    CursorOutOfRange { message: String, hint: String },
    /// A cursor after which changes were purged, and the oldest cursor after which none were.
    CursorExpired { message: String, oldest_cursor: String },
    /// A cursor of another history.
    CursorInvalidated { message: String, hint: String },
    /// The client's: a name that does not exist.
    NotFound { message: String, hint: String },
    /// The client's: it fell too far behind its subscription.
    SlowConsumer { cursor: String },
    /// Ours: the log has the cause under this id.
    Internal { error_id: String },
}

/// A limit, and the value that exceeds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// What is limited, in the plural.
    pub name: &'static str,
    pub max: u64,
    /// None if counting stopped at the limit.
    pub actual: Option<u64>,
}

impl ApiError {
    pub fn bad_user_input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError::BadUserInput { message: message.into(), hint: hint.into() }
    }

    pub fn bad_request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError::BadRequest { message: message.into(), hint: hint.into() }
    }

    pub fn cursor_invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError::CursorInvalid { message: message.into(), hint: hint.into() }
    }

    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError::NotFound { message: message.into(), hint: hint.into() }
    }

    /// A row is missing or corrupt.
    pub fn internal(what: impl Into<String>) -> Self {
        StoreError::Corrupt(what.into()).into()
    }

    pub fn code(&self) -> ApiErrorCode {
        match self {
            ApiError::BadUserInput { .. } => ApiErrorCode::BadUserInput,
            ApiError::BadRequest { .. } => ApiErrorCode::BadRequest,
            ApiError::ParseFailed { .. } => ApiErrorCode::GraphqlParseFailed,
            ApiError::ValidationFailed { .. } => ApiErrorCode::GraphqlValidationFailed,
            ApiError::QueryTooCostly(_) => ApiErrorCode::QueryTooCostly,
            ApiError::RateLimited { .. } => ApiErrorCode::RateLimited,
            ApiError::PersistedQueryNotFound => ApiErrorCode::PersistedQueryNotFound,
            ApiError::Unauthenticated => ApiErrorCode::Unauthenticated,
            ApiError::Forbidden => ApiErrorCode::Forbidden,
            ApiError::Timeout { .. } => ApiErrorCode::Timeout,
            ApiError::CursorInvalid { .. } => ApiErrorCode::CursorInvalid,
            ApiError::CursorOutOfRange { .. } => ApiErrorCode::CursorOutOfRange,
            ApiError::CursorExpired { .. } => ApiErrorCode::CursorExpired,
            ApiError::CursorInvalidated { .. } => ApiErrorCode::CursorInvalidated,
            ApiError::NotFound { .. } => ApiErrorCode::NotFound,
            ApiError::SlowConsumer { .. } => ApiErrorCode::SlowConsumer,
            ApiError::Internal { .. } => ApiErrorCode::Internal,
        }
    }

    /// An error of the whole request, without a path.
    pub fn into_server_error(self) -> ServerError {
        let at = match &self {
            ApiError::ParseFailed { at, .. } | ApiError::ValidationFailed { at, .. } => *at,
            _ => None,
        };
        let mut error = Error::from(self).into_server_error(Pos::default());
        error.locations = at.into_iter().collect();
        error
    }

    /// A response with this error and no data.
    pub fn into_graphql_response(self) -> Response {
        Response::from_errors(vec![self.into_server_error()])
    }

    // What is wrong, and what to do.
    fn message_and_hint(self) -> (String, String) {
        match self {
            ApiError::BadUserInput { message, hint }
            | ApiError::BadRequest { message, hint }
            | ApiError::CursorInvalid { message, hint }
            | ApiError::CursorOutOfRange { message, hint }
            | ApiError::CursorInvalidated { message, hint }
            | ApiError::NotFound { message, hint } => (message, hint),
            ApiError::CursorExpired { message, .. } => (
                message,
                "Read the state again, then continue from the `head { cursor }` read with it; or continue after \
                 `extensions.oldestCursor`."
                    .to_owned(),
            ),
            ApiError::ParseFailed { message, .. } | ApiError::ValidationFailed { message, .. } => {
                (message, String::new())
            }
            ApiError::QueryTooCostly(LimitExceeded { name, max, actual }) => {
                let actual = actual.map_or("more".to_owned(), |actual| actual.to_string());
                let hint = "Request fewer rows with `first`, or fewer fields; or send several requests.";
                (format!("at most {max} {name} are accepted per request, and this one has {actual}"), hint.to_owned())
            }
            ApiError::RateLimited { seconds } => (
                format!("rate limit exceeded; try again in {seconds} s"),
                "The headers `RateLimit` and `RateLimit-Policy` have the remaining points and the quota.".to_owned(),
            ),
            // The text that Apollo's clients recognise.
            ApiError::PersistedQueryNotFound => {
                ("PersistedQueryNotFound".to_owned(), "Send the document together with its hash.".to_owned())
            }
            ApiError::Unauthenticated => (
                "this hub requires a valid token".to_owned(),
                "Send the header `Authorization: Bearer …`; the hub's operator issues the token.".to_owned(),
            ),
            ApiError::Forbidden => (
                "this hub accepts only the operations that it was configured with".to_owned(),
                "Send the hash or id of one of them, or ask the operator to add yours.".to_owned(),
            ),
            ApiError::Timeout { milliseconds } => (
                format!("there was no response within {milliseconds} ms; the request was canceled"),
                "Request fewer rows, or use a narrower filter.".to_owned(),
            ),
            ApiError::SlowConsumer { .. } => (
                "the client fell too far behind and was disconnected".to_owned(),
                "Subscribe again with the cursor as `after` to receive all missed changes, in order.".to_owned(),
            ),
            ApiError::Internal { error_id } => (
                format!("internal error; error id {error_id}"),
                "The query is not the cause. Try again; if it persists, report the error id to the operator."
                    .to_owned(),
            ),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::GenerationChanged => return super::cursor::invalidated(),
            StoreError::Expired { retained_from, generation } => {
                return super::cursor::expired(retained_from, generation);
            }
            _ => {}
        }
        let error_id = Uuid::new_v4().simple().to_string();
        tracing::error!(%error, error_id, "GraphQL field failed");
        ApiError::Internal { error_id }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let code = error.code();
        let extension: Option<(&str, Value)> = match &error {
            ApiError::SlowConsumer { cursor } => Some(("cursor", cursor.as_str().into())),
            ApiError::CursorExpired { oldest_cursor, .. } => Some(("oldestCursor", oldest_cursor.as_str().into())),
            ApiError::Internal { error_id } => Some(("errorId", error_id.as_str().into())),
            ApiError::RateLimited { seconds } => Some(("retryAfter", (*seconds).into())),
            ApiError::QueryTooCostly(LimitExceeded { name, max, actual }) => Some((
                "limit",
                Value::Object(
                    [
                        (Name::new("name"), Value::from(*name)),
                        (Name::new("max"), (*max).into()),
                        (Name::new("actual"), actual.map_or(Value::Null, Value::from)),
                    ]
                    .into_iter()
                    .collect(),
                ),
            )),
            _ => None,
        };
        let (message, hint) = error.message_and_hint();
        Error::new(message).extend_with(|_, extensions| {
            extensions.set("code", code.name());
            if let Some((name, value)) = extension {
                extensions.set(name, value);
            }
            if !hint.is_empty() {
                extensions.set("hint", hint);
            }
        })
    }
}

/// Whether nothing was executed. Errors of fields have paths.
pub fn is_request_error(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Gives every error a code, and cuts a long list. An error without a code is from async-graphql: without a path, the
/// document does not match the schema; with one, an argument of the field does not match its type.
pub fn add_error_codes(response: &mut Response) {
    response.errors.truncate(MAX_ERRORS);
    for error in &mut response.errors {
        if error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some()) {
            continue;
        }
        let code =
            if error.path.is_empty() { ApiErrorCode::GraphqlValidationFailed } else { ApiErrorCode::BadUserInput };
        let hint = clarify(error);
        let extensions: &mut ErrorExtensionValues = error.extensions.get_or_insert_default();
        extensions.set("code", code.name());
        if let Some(hint) = hint {
            extensions.set("hint", hint);
        }
    }
}
