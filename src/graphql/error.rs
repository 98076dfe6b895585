//! What can go wrong, by whose fault it is, and how that is said: a message, `extensions.code` and `extensions.hint`.
//!
//! A [`ApiError`] cannot be printed, so that it becomes an answer only here and the database's words never reach a client.

use super::error_code::ApiErrorCode;
use super::error_hints::clarify;
use crate::store::StoreError;
use async_graphql::{Error, ErrorExtensionValues, ErrorExtensions, Name, Pos, Response, ServerError, Value};
use uuid::Uuid;

/// Errors of one answer at most.
const MAX_ERRORS: usize = 10;

/// Why there is no answer, or a field has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// The caller's: an argument that cannot be meant so.
    BadUserInput { message: String, hint: String },
    /// The caller's: what came is no GraphQL request.
    BadRequest { message: String, hint: String },
    /// The caller's: the document is not in GraphQL's language.
    ParseFailed { message: String, at: Option<Pos> },
    /// The caller's: the document does not fit the schema.
    ValidationFailed { message: String, at: Option<Pos> },
    /// The caller's: it asks for too much at once.
    QueryTooCostly(LimitExceeded),
    /// The caller's: it has asked for too much lately; in so many seconds it may ask for this.
    RateLimited { seconds: u64 },
    /// The caller's: no document has this hash or id.
    PersistedQueryNotFound,
    /// The caller's: it has not shown who it is.
    Unauthenticated,
    /// The caller's: the document is none that this hub takes.
    Forbidden,
    /// The answer took longer than so many milliseconds.
    Timeout { milliseconds: u128 },
    /// The caller's: a cursor that is none, or none of this list.
    CursorInvalid { message: String, hint: String },
    /// A cursor of what is not there yet: the database was set back.
    CursorOutOfRange { message: String, hint: String },
    /// A cursor of what is not all there any more, and the oldest one that can be gone on from.
    CursorExpired { message: String, oldest_cursor: String },
    /// A cursor of another history.
    CursorInvalidated { message: String, hint: String },
    /// The caller's: a name of nothing.
    NotFound { message: String, hint: String },
    /// The caller's: it takes what it has subscribed to more slowly than it comes.
    SlowConsumer { cursor: String },
    /// Ours. What it is stands in the log under this reference.
    Internal { error_id: String },
}

/// A limit, and what goes beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// What is limited, in the plural.
    pub name: &'static str,
    pub max: u64,
    /// None where counting ended at the limit.
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

    /// A row that should be there or should be readable.
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

    /// An error of the whole request: of no field.
    pub fn into_server_error(self) -> ServerError {
        let at = match &self {
            ApiError::ParseFailed { at, .. } | ApiError::ValidationFailed { at, .. } => *at,
            _ => None,
        };
        let mut error = Error::from(self).into_server_error(Pos::default());
        error.locations = at.into_iter().collect();
        error
    }

    /// An answer that is nothing but this error.
    pub fn into_graphql_response(self) -> Response {
        Response::from_errors(vec![self.into_server_error()])
    }

    // In words: what is wrong, and what to do.
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
                "Old lives are forgotten. Read the state anew, then go on from the `head { cursor }` read with it; or \
                 follow what is left after `extensions.oldestCursor`."
                    .to_owned(),
            ),
            ApiError::ParseFailed { message, .. } | ApiError::ValidationFailed { message, .. } => {
                (message, String::new())
            }
            ApiError::QueryTooCostly(LimitExceeded { name, max, actual }) => {
                let actual = actual.map_or("more".to_owned(), |actual| actual.to_string());
                let hint = "Ask for fewer rows with `first`, or for fewer fields; or send several requests.";
                (format!("at most {max} {name} are accepted at once, and this has {actual}"), hint.to_owned())
            }
            ApiError::RateLimited { seconds } => (
                format!("you have asked for too much lately; try again in {seconds} s"),
                "The headers `RateLimit` and `RateLimit-Policy` say what is left and how much there is.".to_owned(),
            ),
            // The words that Apollo's clients look for.
            ApiError::PersistedQueryNotFound => {
                ("PersistedQueryNotFound".to_owned(), "Send the document together with its hash.".to_owned())
            }
            ApiError::Unauthenticated => (
                "this hub answers only who shows a token that it knows".to_owned(),
                "Send the header `Authorization: Bearer …`; its operator has the token.".to_owned(),
            ),
            ApiError::Forbidden => (
                "this hub takes only the operations that it was configured with".to_owned(),
                "Send the hash or id of one of them, or ask the operator to add yours.".to_owned(),
            ),
            ApiError::Timeout { milliseconds } => (
                format!("there was no answer within {milliseconds} ms, and it was given up"),
                "Ask for fewer rows, or with a narrower filter.".to_owned(),
            ),
            ApiError::SlowConsumer { .. } => (
                "you take the changes more slowly than they come, and were cut off".to_owned(),
                "Subscribe again with the cursor as `after`: you get all that you have missed, in order.".to_owned(),
            ),
            ApiError::Internal { error_id } => (
                format!("something went wrong on our side; error id {error_id}"),
                "It is not your query. Try again; if it stays, tell the operator the error id.".to_owned(),
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
        tracing::error!(%error, error_id, "a GraphQL field could not be answered");
        ApiError::Internal { error_id }
    }
}

impl From<ApiError> for Error {
    fn from(fault: ApiError) -> Self {
        let code = fault.code();
        let more: Option<(&str, Value)> = match &fault {
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
        let (message, hint) = fault.message_and_hint();
        Error::new(message).extend_with(|_, extensions| {
            extensions.set("code", code.name());
            if let Some((name, value)) = more {
                extensions.set(name, value);
            }
            if !hint.is_empty() {
                extensions.set("hint", hint);
            }
        })
    }
}

/// Whether nothing was executed: the errors of fields have paths.
pub fn is_request_error(answer: &Response) -> bool {
    answer.data == Value::Null && !answer.errors.is_empty() && answer.errors.iter().all(|error| error.path.is_empty())
}

/// Gives every error a code, and leaves out those that are too many. What has none yet comes from async-graphql: before
/// execution the document does not fit the schema, at a field its arguments do not fit their types.
pub fn add_error_codes(answer: &mut Response) {
    answer.errors.truncate(MAX_ERRORS);
    for error in &mut answer.errors {
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
