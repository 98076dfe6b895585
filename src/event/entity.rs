//! An inspection, session, job or item as the fold keeps it.

use super::Known;
use crate::machine::{Status, Subject, fold::Tip};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// All that is known of an entity, and how far its fold has come.
#[derive(Clone, Debug)]
pub struct Entity {
    /// In order of first sight.
    pub number: i64,
    pub id: Uuid,
    pub subject: Subject,
    pub source: String,
    pub vendor: &'static str,
    pub external_id: String,
    /// The number of what it hangs on.
    pub parent: Option<i64>,
    /// The number of its inspection; its own, if it is one.
    pub inspection: Option<i64>,
    pub reference: Option<String>,
    pub group: Option<String>,
    pub status: Option<Status>,
    pub known: Known,
    pub tip: Tip,
    /// Whether all its steps stand together in the order of the fold, because its history does not tell them so.
    pub retold: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub occurred_at: Option<DateTime<Utc>>,
    pub position: i64,
}
