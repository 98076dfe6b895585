//! The folded state of an inspection, session, job or item.

use super::VersionedFields;
use crate::machine::{EntityType, Status, fold::FoldState};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// An entity with its fields and the state of its fold.
#[derive(Clone, Debug)]
pub struct FoldedEntity {
    /// The primary key, in order of first appearance.
    pub row_id: i64,
    pub id: Uuid,
    pub entity_type: EntityType,
    pub source: String,
    pub vendor: &'static str,
    pub external_id: String,
    pub parent_row_id: Option<i64>,
    /// Its own row id, if it is an inspection.
    pub inspection_row_id: Option<i64>,
    pub reference: Option<String>,
    pub group: Option<String>,
    pub status: Option<Status>,
    pub fields: VersionedFields,
    pub fold_state: FoldState,
    /// Whether its steps are stored in fold order, because the order of its history differs.
    pub steps_materialized: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub occurred_at: Option<DateTime<Utc>>,
    pub position: i64,
}
