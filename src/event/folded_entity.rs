//! An inspection, session, job or item as the fold keeps it.

use super::VersionedFields;
use crate::machine::{EntityType, Status, fold::FoldState};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// All that is known of an entity, and how far its fold has come.
#[derive(Clone, Debug)]
pub struct FoldedEntity {
    /// In order of first sight.
    pub row_id: i64,
    pub id: Uuid,
    pub entity_type: EntityType,
    pub source: String,
    pub vendor: &'static str,
    pub external_id: String,
    /// The number of what it hangs on.
    pub parent_row_id: Option<i64>,
    /// The number of its inspection; its own, if it is one.
    pub inspection_row_id: Option<i64>,
    pub reference: Option<String>,
    pub group: Option<String>,
    pub status: Option<Status>,
    pub fields: VersionedFields,
    pub fold_state: FoldState,
    /// Whether all its steps stand together in the order of the fold, because its history does not tell them so.
    pub steps_materialized: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub occurred_at: Option<DateTime<Utc>>,
    pub position: i64,
}
