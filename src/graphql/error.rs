//! What can go wrong, by whose fault it is, and how that is said: a message, `extensions.code` and `extensions.hint`.
//!
//! A [`Fault`] cannot be printed, so that it becomes an answer only here and the database's words never reach a client.

use super::code::Code;
use super::explain::explain;
use crate::store::StoreError;
use async_graphql::{Error, ErrorExtensionValues, ErrorExtensions, Name, Pos, Response, ServerError, Value};
use uuid::Uuid;

/// Errors of one answer at most.
const MOST: usize = 10;

/// Why there is no answer, or a field has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller's: an argument that cannot be meant so.
    Input { message: String, hint: String },
    /// The caller's: what came is no GraphQL request.
    Request { message: String, hint: String },
    /// The caller's: the document is not in GraphQL's language.
    Unparsable { message: String, at: Option<Pos> },
    /// The caller's: the document does not fit the schema.
    Invalid { message: String, at: Option<Pos> },
    /// The caller's: it asks for too much at once.
    TooCostly(TooMuch),
    /// The caller's: it has asked for too much lately; in so many seconds it may ask for this.
    RateLimited { seconds: u64 },
    /// The caller's: no document has this hash or id.
    UnknownDocument,
    /// The caller's: it has not shown who it is.
    Unauthenticated,
    /// The caller's: the document is none that this hub takes.
    Untrusted,
    /// The answer took longer than so many milliseconds.
    Timeout { milliseconds: u128 },
    /// The caller's: a cursor that is none, or none of this list.
    Cursor { message: String, hint: String },
    /// A cursor of what is not there yet: the database was set back.
    Ahead { message: String, hint: String },
    /// A cursor of what is not all there any more, and the oldest one that can be gone on from.
    Expired { message: String, available: String },
    /// A cursor of another history.
    Foreign { message: String, hint: String },
    /// The caller's: a name of nothing.
    NotFound { message: String, hint: String },
    /// The caller's: it takes what it has subscribed to more slowly than it comes.
    Slow { cursor: String },
    /// Ours. What it is stands in the log under this reference.
    Internal { reference: String },
}

/// A limit, and what goes beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch {
    /// What is limited, in the plural.
    pub what: &'static str,
    pub most: u64,
    /// None where counting ended at the limit.
    pub asked: Option<u64>,
}

impl Fault {
    pub fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::Input { message: message.into(), hint: hint.into() }
    }

    pub fn request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::Request { message: message.into(), hint: hint.into() }
    }

    pub fn cursor(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::Cursor { message: message.into(), hint: hint.into() }
    }

    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::NotFound { message: message.into(), hint: hint.into() }
    }

    /// A row that should be there or should be readable.
    pub fn corrupt(what: impl Into<String>) -> Self {
        StoreError::Corrupt(what.into()).into()
    }

    pub fn code(&self) -> Code {
        match self {
            Fault::Input { .. } => Code::BadUserInput,
            Fault::Request { .. } => Code::BadRequest,
            Fault::Unparsable { .. } => Code::GraphqlParseFailed,
            Fault::Invalid { .. } => Code::GraphqlValidationFailed,
            Fault::TooCostly(_) => Code::QueryTooCostly,
            Fault::RateLimited { .. } => Code::RateLimited,
            Fault::UnknownDocument => Code::PersistedQueryNotFound,
            Fault::Unauthenticated => Code::Unauthenticated,
            Fault::Untrusted => Code::Forbidden,
            Fault::Timeout { .. } => Code::Timeout,
            Fault::Cursor { .. } => Code::CursorInvalid,
            Fault::Ahead { .. } => Code::CursorAhead,
            Fault::Expired { .. } => Code::CursorExpired,
            Fault::Foreign { .. } => Code::CursorForeign,
            Fault::NotFound { .. } => Code::NotFound,
            Fault::Slow { .. } => Code::SlowConsumer,
            Fault::Internal { .. } => Code::Internal,
        }
    }

    /// An error of the whole request: of no field.
    pub fn server_error(self) -> ServerError {
        let at = match &self {
            Fault::Unparsable { at, .. } | Fault::Invalid { at, .. } => *at,
            _ => None,
        };
        let mut error = Error::from(self).into_server_error(Pos::default());
        error.locations = at.into_iter().collect();
        error
    }

    /// An answer that is nothing but this error.
    pub fn answer(self) -> Response {
        Response::from_errors(vec![self.server_error()])
    }

    // In words: what is wrong, and what to do.
    fn told(self) -> (String, String) {
        match self {
            Fault::Input { message, hint }
            | Fault::Request { message, hint }
            | Fault::Cursor { message, hint }
            | Fault::Ahead { message, hint }
            | Fault::Foreign { message, hint }
            | Fault::NotFound { message, hint } => (message, hint),
            Fault::Expired { message, .. } => (
                message,
                "Old lives are forgotten. Read the state anew, then go on from the `head { cursor }` read with it; or \
                 follow what is left after `extensions.available`."
                    .to_owned(),
            ),
            Fault::Unparsable { message, .. } | Fault::Invalid { message, .. } => (message, String::new()),
            Fault::TooCostly(TooMuch { what, most, asked }) => {
                let asked = asked.map_or("more".to_owned(), |asked| asked.to_string());
                let hint = "Ask for fewer rows with `first`, or for fewer fields; or send several requests.";
                (format!("at most {most} {what} are taken at once, and this has {asked}"), hint.to_owned())
            }
            Fault::RateLimited { seconds } => (
                format!("you have asked for too much lately; try again in {seconds} s"),
                "The headers `RateLimit` and `RateLimit-Policy` say what is left and how much there is.".to_owned(),
            ),
            // The words that Apollo's clients look for.
            Fault::UnknownDocument => {
                ("PersistedQueryNotFound".to_owned(), "Send the document together with its hash.".to_owned())
            }
            Fault::Unauthenticated => (
                "this hub answers only who shows a token that it knows".to_owned(),
                "Send the header `Authorization: Bearer …`; its operator has the token.".to_owned(),
            ),
            Fault::Untrusted => (
                "this hub takes only the operations that it was configured with".to_owned(),
                "Send the hash or id of one of them, or ask the operator to add yours.".to_owned(),
            ),
            Fault::Timeout { milliseconds } => (
                format!("there was no answer within {milliseconds} ms, and it was given up"),
                "Ask for fewer rows, or with a narrower filter.".to_owned(),
            ),
            Fault::Slow { .. } => (
                "you take the changes more slowly than they come, and were cut off".to_owned(),
                "Subscribe again with the cursor as `after`: you get all that you have missed, in order.".to_owned(),
            ),
            Fault::Internal { reference } => (
                format!("something went wrong on our side; reference {reference}"),
                "It is not your query. Try again; if it stays, tell the operator the reference.".to_owned(),
            ),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Rebuilt => return super::cursor::foreign(),
            StoreError::Expired { kept_from, generation } => return super::cursor::expired(kept_from, generation),
            _ => {}
        }
        let reference = Uuid::new_v4().simple().to_string();
        tracing::error!(%error, reference, "a GraphQL field could not be answered");
        Fault::Internal { reference }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let code = fault.code();
        let more: Option<(&str, Value)> = match &fault {
            Fault::Slow { cursor } => Some(("cursor", cursor.as_str().into())),
            Fault::Expired { available, .. } => Some(("available", available.as_str().into())),
            Fault::Internal { reference } => Some(("reference", reference.as_str().into())),
            Fault::RateLimited { seconds } => Some(("retryAfter", (*seconds).into())),
            Fault::TooCostly(TooMuch { what, most, asked }) => Some((
                "limit",
                Value::Object(
                    [
                        (Name::new("name"), Value::from(*what)),
                        (Name::new("most"), (*most).into()),
                        (Name::new("asked"), asked.map_or(Value::Null, Value::from)),
                    ]
                    .into_iter()
                    .collect(),
                ),
            )),
            _ => None,
        };
        let (message, hint) = fault.told();
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
pub fn finish(answer: &mut Response) {
    answer.errors.truncate(MOST);
    for error in &mut answer.errors {
        if error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some()) {
            continue;
        }
        let code = if error.path.is_empty() { Code::GraphqlValidationFailed } else { Code::BadUserInput };
        let hint = explain(error);
        let extensions: &mut ErrorExtensionValues = error.extensions.get_or_insert_default();
        extensions.set("code", code.name());
        if let Some(hint) = hint {
            extensions.set("hint", hint);
        }
    }
}
