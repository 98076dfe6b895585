//! What people add to an inspection: when they announced it, their own reference, labels and a due date. Commands set these, no event
//! does, so that the newest command wins.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The annotations of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    pub registered_at: Option<DateTime<Utc>>,
    pub reference: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub due_at: Option<DateTime<Utc>>,
}

/// What a command changes of them: what is left out stays as it is, and null takes a value away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnnotationChange {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub reference: Option<Option<String>>,
    /// Null takes all labels away.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub labels: Option<Option<BTreeMap<String, Option<String>>>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub due_at: Option<Option<DateTime<Utc>>>,
}

// A value that is there, null or not.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl AnnotationChange {
    pub fn is_empty(&self) -> bool {
        *self == AnnotationChange::default()
    }
}

impl Annotations {
    /// Applies a change; returns whether it changed anything.
    pub fn apply(&mut self, change: &AnnotationChange) -> bool {
        let before = self.clone();
        if let Some(reference) = &change.reference {
            self.reference.clone_from(reference);
        }
        match &change.labels {
            None => {}
            Some(None) => self.labels.clear(),
            Some(Some(labels)) => labels.iter().for_each(|(key, value)| match value {
                Some(value) => _ = self.labels.insert(key.clone(), value.clone()),
                None => _ = self.labels.remove(key),
            }),
        }
        if let Some(due_at) = change.due_at {
            self.due_at = due_at;
        }
        *self != before
    }

    /// The column `labels`: JSON, null if there are none.
    pub fn labels_column(&self) -> Option<String> {
        if self.labels.is_empty() { None } else { serde_json::to_string(&self.labels).ok() }
    }
}
