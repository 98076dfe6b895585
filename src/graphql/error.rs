//! What can go wrong, by whose fault it is, and how that is said: a message, `extensions.code` and `extensions.hint`.
//!
//! A [`Fault`] cannot be printed, so that it becomes an answer only here and the database's words never reach a client.

use crate::store::StoreError;
use async_graphql::{Error, ErrorExtensions};
use uuid::Uuid;

/// Why a field has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller's: an argument that cannot be meant so.
    Input { message: String, hint: String },
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

impl Fault {
    pub fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::Input { message: message.into(), hint: hint.into() }
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
        let (code, message, hint) = match fault {
            Fault::Input { message, hint } => ("BAD_USER_INPUT", message, hint),
            Fault::Cursor { message, hint } => ("CURSOR_INVALID", message, hint),
            Fault::Ahead { message, hint } => ("CURSOR_AHEAD", message, hint),
            Fault::Expired { message, available } => {
                let hint = "Old lives are forgotten. Read the state anew, then go on from the `head { cursor }` read with it; or \
                            follow what is left after `extensions.available`.";
                return Error::new(message).extend_with(|_, extensions| {
                    extensions.set("code", "CURSOR_EXPIRED");
                    extensions.set("available", available);
                    extensions.set("hint", hint);
                });
            }
            Fault::Foreign { message, hint } => ("CURSOR_FOREIGN", message, hint),
            Fault::NotFound { message, hint } => ("NOT_FOUND", message, hint),
            Fault::Slow { cursor } => {
                let hint = "Subscribe again with the cursor as `after`: you get all that you have missed, in order.";
                let error = Error::new("you take the changes more slowly than they come, and were cut off");
                return error.extend_with(|_, extensions| {
                    extensions.set("code", "SLOW_CONSUMER");
                    extensions.set("cursor", cursor);
                    extensions.set("hint", hint);
                });
            }
            Fault::Internal { reference } => {
                let hint = "It is not your query. Try again; if it stays, tell the operator the reference.";
                let error = Error::new(format!("something went wrong on our side; reference {reference}"));
                return error.extend_with(|_, extensions| {
                    extensions.set("code", "INTERNAL");
                    extensions.set("reference", reference);
                    extensions.set("hint", hint);
                });
            }
        };
        Error::new(message).extend_with(|_, extensions| {
            extensions.set("code", code);
            extensions.set("hint", hint);
        })
    }
}
