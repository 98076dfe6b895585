//! Acts: what people and programs ask the hub to do with an inspection. Each is a command, a record of the raw log in one order with the
//! deliveries. What it changes is decided by the writer, from the command and the records before it alone, so that a replay decides
//! alike.

mod idempotency;

pub use idempotency::IdempotencyKey;

use crate::event::{AnnotationChange, EntityRef};
use crate::machine::EntityType;
use crate::vendor::Vendor;
use chrono::{DateTime, Utc};
use entity::CommandKind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An act, with its input. Stored as the command's kind and JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Announces an inspection of this id of the vendor's.
    Register(Registration),
    Annotate(Annotation),
    Comment(NewComment),
    Link(EntityLink),
}

/// Announces an inspection; one that is known is annotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The vendor's id.
    pub external_id: String,
    #[serde(flatten)]
    pub annotation: AnnotationChange,
}

/// Changes the annotations of an inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    pub inspection: Uuid,
    #[serde(flatten)]
    pub annotation: AnnotationChange,
}

/// Adds a comment to an inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewComment {
    pub inspection: Uuid,
    pub text: String,
}

/// Puts a session, job or item under an inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityLink {
    pub entity: Uuid,
    /// `None` undoes the link.
    pub inspection: Option<Uuid>,
}

/// A command, before the writer has given it a number.
#[derive(Clone, Debug)]
pub struct NewCommand {
    pub act: Act,
    /// The source of the entity that it is about.
    pub source: String,
    pub vendor: &'static Vendor,
    pub received_at: DateTime<Utc>,
    /// The subject of the principal that acts.
    pub actor: String,
    /// Why, in the words of the actor.
    pub reason: Option<String>,
    /// None in a replay.
    pub idempotency: Option<IdempotencyKey>,
}

/// Why a command was not carried out. Nothing of it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The key was used for another input.
    #[error("the idempotency key was used for another input")]
    KeyReused,
    /// What it is about is not there, or not any more.
    #[error("there is no such inspection")]
    NotFound,
    /// Only a session, a job or an item can be put under an inspection of its source.
    #[error("what is to be linked is no session, job or item of the inspection's source")]
    CannotBeLinked,
    #[error("it is not linked by hand")]
    NotLinkedByHand,
    #[error("more than {MAX_LINKED_PARTS} entities belong to it")]
    TooManyParts,
    #[error("an inspection can have {MAX_LABELS} labels")]
    TooManyLabels,
}

/// The most labels that an inspection can have.
pub const MAX_LABELS: usize = 50;

/// The most entities that move with one that is linked: they are written in one transaction.
pub const MAX_LINKED_PARTS: usize = 10_000;

impl Act {
    pub fn kind(&self) -> CommandKind {
        match self {
            Act::Register(_) => CommandKind::Register,
            Act::Annotate(_) => CommandKind::Annotate,
            Act::Comment(_) => CommandKind::Comment,
            Act::Link(_) => CommandKind::Link,
        }
    }

    /// The input as it is stored.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn to_input(&self) -> serde_json::Result<String> {
        match self {
            Act::Register(input) => serde_json::to_string(input),
            Act::Annotate(input) => serde_json::to_string(input),
            Act::Comment(input) => serde_json::to_string(input),
            Act::Link(input) => serde_json::to_string(input),
        }
    }

    /// # Errors
    /// If the input was written by another version, or by hand.
    pub fn from_stored(kind: CommandKind, input: &str) -> serde_json::Result<Act> {
        Ok(match kind {
            CommandKind::Register => Act::Register(serde_json::from_str(input)?),
            CommandKind::Annotate => Act::Annotate(serde_json::from_str(input)?),
            CommandKind::Comment => Act::Comment(serde_json::from_str(input)?),
            CommandKind::Link => Act::Link(serde_json::from_str(input)?),
        })
    }
}

impl NewCommand {
    /// The public id of the entity that it is about.
    pub fn entity_id(&self) -> Uuid {
        match &self.act {
            Act::Register(Registration { external_id, .. }) => {
                EntityRef::new(EntityType::Inspection, external_id.as_str()).id(&self.source)
            }
            Act::Annotate(Annotation { inspection, .. }) | Act::Comment(NewComment { inspection, .. }) => *inspection,
            Act::Link(EntityLink { entity, .. }) => *entity,
        }
    }

    /// The public id of another entity that it names.
    pub fn target_id(&self) -> Option<Uuid> {
        match &self.act {
            Act::Link(EntityLink { inspection, .. }) => *inspection,
            Act::Register(_) | Act::Annotate(_) | Act::Comment(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_act_is_stored_and_read_alike() {
        let labels = BTreeMap::from([("team".to_owned(), Some("north".to_owned())), ("old".to_owned(), None)]);
        let changes = [
            AnnotationChange::default(),
            AnnotationChange { reference: Some(None), labels: Some(None), due_at: Some(None) },
            AnnotationChange {
                reference: Some(Some("PO-4711".to_owned())),
                labels: Some(Some(labels)),
                due_at: Some(DateTime::from_timestamp_micros(1_796_000_000_123_456)),
            },
        ];
        let inspection = Uuid::from_u128(7);
        let acts = changes.into_iter().flat_map(|annotation| {
            let registration = Registration { external_id: "INS-1".to_owned(), annotation: annotation.clone() };
            [Act::Register(registration), Act::Annotate(Annotation { inspection, annotation })]
        });
        let links =
            [None, Some(inspection)].map(|inspection| Act::Link(EntityLink { entity: Uuid::from_u128(8), inspection }));
        for act in acts.chain(links).chain([Act::Comment(NewComment { inspection, text: "\"{\u{1F600}".to_owned() })]) {
            let input = act.to_input().expect("JSON");
            assert_eq!(Act::from_stored(act.kind(), &input).expect("an act"), act, "{input}");
        }
    }
}
