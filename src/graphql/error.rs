//! The errors of the API and their form: a message, `extensions.code` and `extensions.hint`.
//!
//! [`ApiError`] has no `Display`, so that only this file renders it and no text of the database reaches a client.

use super::error_code::ApiErrorCode;
use super::error_hints::clarify;
use crate::access::scope_name;
use crate::store::StoreError;
use async_graphql::{Error, ErrorExtensionValues, ErrorExtensions, Name, Pos, Response, ServerError, Value};
use entity::Scope;
use std::time::Duration;
use uuid::Uuid;

/// Errors in one response.
const MAX_ERRORS: usize = 10;
/// The extension with the seconds until the rate limit allows the request.
const RETRY_AFTER: &str = "retryAfter";

/// Why a request or a field failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub code: ApiErrorCode,
    pub message: String,
    /// What the client can do; empty for an error at a place in the document.
    pub hint: String,
    /// The place in the document.
    at: Option<Pos>,
    /// What a program needs to know beside the code: the name of an extension, and its value.
    pub extension: Option<Box<(&'static str, Value)>>,
}

impl ApiError {
    pub fn new(code: ApiErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError { code, message: message.into(), hint: hint.into(), at: None, extension: None }
    }

    pub fn bad_user_input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError::new(ApiErrorCode::BadUserInput, message, hint)
    }

    pub fn bad_request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError::new(ApiErrorCode::BadRequest, message, hint)
    }

    /// An error at a place in the document.
    pub fn in_document(code: ApiErrorCode, message: String, at: Option<Pos>) -> Self {
        ApiError { at, ..ApiError::new(code, message, "") }
    }

    /// A limit is exceeded. `name`: what is limited, in the plural. `actual`: null if counting stopped at the limit.
    pub fn too_costly(name: &str, max: u64, actual: Option<u64>) -> Self {
        let limit = [("name", name.into()), ("max", max.into()), ("actual", actual.map_or(Value::Null, Value::from))];
        let actual = actual.map_or("more".to_owned(), |actual| actual.to_string());
        ApiError::new(
            ApiErrorCode::QueryTooCostly,
            format!("at most {max} {name} are accepted per request, and this one has {actual}"),
            "Request fewer rows with `first`, or fewer fields; or send several requests.",
        )
        .with_extension("limit", Value::Object(limit.map(|(key, value)| (Name::new(key), value)).into_iter().collect()))
    }

    pub fn unauthenticated() -> Self {
        ApiError::new(
            ApiErrorCode::Unauthenticated,
            "this hub requires a valid credential",
            "Send the header `Authorization: Bearer …` with an API key (`ihub_…`) or a token; the hub's operator issues them.",
        )
    }

    /// The session of the request's cookie has ended.
    pub fn session_ended() -> Self {
        ApiError::new(
            ApiErrorCode::SessionEnded,
            "the session has ended",
            "Log in again: send the browser to `/login?return_to=/…`.",
        )
    }

    /// The operation needs a scope that its caller does not have.
    pub fn missing_scope(scope: Scope) -> Self {
        let name = scope_name(scope);
        ApiError::new(
            ApiErrorCode::Forbidden,
            format!("this needs the scope `{name}`"),
            "Use a credential with this scope; `viewer { scopes }` shows those that you have.",
        )
        .with_extension("scope", name)
    }

    pub fn timeout(limit: Duration) -> Self {
        ApiError::new(
            ApiErrorCode::Timeout,
            format!("there was no response within {} ms; the request was canceled", limit.as_millis()),
            "Request fewer rows, or use a narrower filter.",
        )
    }

    pub fn rate_limited(seconds: u64) -> Self {
        ApiError::new(
            ApiErrorCode::RateLimited,
            format!("rate limit exceeded; try again in {seconds} s"),
            "The headers `RateLimit` and `RateLimit-Policy` have the remaining points and the quota.",
        )
        .with_extension(RETRY_AFTER, seconds)
    }

    /// Too many invalid credentials were sent from the client's address.
    pub fn too_many_failures(seconds: u64) -> Self {
        ApiError::new(
            ApiErrorCode::RateLimited,
            format!("too many invalid tokens were sent from this address; try again in {seconds} s"),
            "Send a valid token: one that was accepted before is not affected.",
        )
        .with_extension(RETRY_AFTER, seconds)
    }

    /// The seconds after which a request is within the rate limit again.
    pub fn retry_after(&self) -> Option<u64> {
        match self.extension.as_deref()? {
            (RETRY_AFTER, Value::Number(seconds)) => seconds.as_u64(),
            _ => None,
        }
    }

    /// A row is missing or corrupt.
    pub fn internal(what: impl Into<String>) -> Self {
        StoreError::Corrupt(what.into()).into()
    }

    pub fn with_extension(self, name: &'static str, value: impl Into<Value>) -> Self {
        ApiError { extension: Some(Box::new((name, value.into()))), ..self }
    }

    /// An error of the whole request, without a path.
    pub fn into_server_error(self) -> ServerError {
        let locations = self.at.into_iter().collect();
        ServerError { locations, ..Error::from(self).into_server_error(Pos::default()) }
    }

    /// A response with this error and no data.
    pub fn into_graphql_response(self) -> Response {
        Response::from_errors(vec![self.into_server_error()])
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
        ApiError::new(
            ApiErrorCode::Internal,
            format!("internal error; error id {error_id}"),
            "The query is not the cause. Try again; if it persists, report the error id to the operator.",
        )
        .with_extension("errorId", error_id)
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let ApiError { code, message, hint, extension, .. } = error;
        Error::new(message).extend_with(|_, extensions| {
            extensions.set("code", code.name());
            if let Some((name, value)) = extension.map(|extension| *extension) {
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
