//! One act as it is in the log, and what people have added to an inspection.

use super::change::Change;
use super::connection::object_with_lists;
use super::entity::stored_json;
use super::error::ApiError;
use super::pagination;
use crate::command::{Act, NewComment};
use crate::event::Json;
use crate::store::read::{command_id, comment_id, datetime_from_micros};
use async_graphql::{ID, InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{CommandKind, command};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Command(pub Arc<command::Model>);

object_with_lists! {
    /// One act of a person or program, as it is in the log.
    Command {
        own {
            /// The hub's id.
            pub async fn id(&self) -> ID {
                command_id(self.0.row_id).into()
            }

            /// What was done.
            async fn kind(&self) -> CommandKind {
                self.0.kind
            }

            /// The subject of the credential that was used, e.g. `key:3f9a51c07be2`. Personal: null without the scope `READ_PERSONAL`.
            async fn actor(&self) -> Option<&str> {
                Some(&self.0.actor)
            }

            /// Why, in the words of the actor. Personal: null without the scope `READ_PERSONAL`.
            async fn reason(&self) -> Option<&str> {
                self.0.reason.as_deref()
            }

            /// When the hub accepted it.
            async fn at(&self) -> DateTime<Utc> {
                datetime_from_micros(self.0.received_at)
            }

            /// What was asked for. Personal: null without the scope `READ_PERSONAL`.
            async fn input(&self) -> Result<Option<Json>, ApiError> {
                stored_json(&self.0.input).map(Some)
            }
        }

        /// The changes that it made, by position.
        fn changes(&self, ctx, page) -> Change {
            pagination::changes_of_command(ctx, page, &self.0).await
        }
    }
}

#[derive(Clone, Debug)]
pub struct Comment(pub Arc<command::Model>);

/// A comment on an inspection.
#[async_graphql::Object]
impl Comment {
    /// The hub's id.
    pub async fn id(&self) -> ID {
        comment_id(self.0.row_id).into()
    }

    /// The text. Personal: null without the scope `READ_PERSONAL`.
    async fn text(&self) -> Result<Option<String>, ApiError> {
        match Act::from_stored(self.0.kind, &self.0.input) {
            Ok(Act::Comment(NewComment { text, .. })) => Ok(Some(text)),
            _ => Err(ApiError::internal(format!("command {} is no comment", self.0.row_id))),
        }
    }

    /// The author: the subject of the credential. Personal: null without the scope `READ_PERSONAL`.
    async fn author(&self) -> Option<&str> {
        Some(&self.0.actor)
    }

    /// When it was written.
    async fn at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.0.received_at)
    }
}

/// A label of an inspection.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct Label {
    /// Its name, e.g. `team`.
    pub key: String,
    /// Its value, e.g. `north`.
    pub value: String,
}

/// A label.
#[derive(Clone, Debug, InputObject)]
pub struct LabelInput {
    /// Its name, e.g. `team`: 1 to 64 letters, digits and `_ . : / -`.
    pub key: String,
    /// Its value, e.g. `north`: 1 to 256 characters. In a filter, null means any value; in an annotation, it takes the label away.
    pub value: Option<String>,
}
