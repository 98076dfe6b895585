//! Between the fold's words and the tables' columns.

use crate::event::{FoldedEntity, VersionedFields};
use crate::machine::fold::{FoldState, OrderKey, Step};
use crate::machine::{EntityType, ItemKind, JobKind, Kind, Machine};
use crate::store::StoreError;
use crate::vendor;
use chrono::{DateTime, Utc};

/// A stored entity in the fold's words.
///
/// # Errors
/// If a column holds what this version does not know.
pub fn entity_from_row(row: entity::entity::Model) -> Result<FoldedEntity, StoreError> {
    let vendor = vendor::by_name(&row.vendor).ok_or_else(|| StoreError::Corrupt(format!("vendor {}", row.vendor)))?;
    Ok(FoldedEntity {
        row_id: row.row_id,
        id: row.id,
        entity_type: subject_from_columns(row.kind, &row.subkind)?,
        source: row.source,
        vendor: vendor.name,
        external_id: row.external_id,
        parent_row_id: row.parent_row_id,
        inspection_row_id: row.inspection_row_id,
        reference: row.reference,
        group: row.group_key,
        status: row.status,
        fields: VersionedFields::from_columns(&row.facts, &row.details, &row.field_versions).map_err(json_error)?,
        fold_state: FoldState {
            state: row.state,
            cycle: row.cycle,
            ..serde_json::from_str(&row.fold_state).map_err(json_error)?
        },
        steps_materialized: row.steps_materialized,
        created_at: timestamp(row.created_at)?,
        updated_at: timestamp(row.updated_at)?,
        occurred_at: row.occurred_at.map(timestamp).transpose()?,
        position: row.position,
    })
}

/// A step as it is stored, with the row of history that brought it or in the order of the fold.
#[derive(Debug)]
pub struct StepRow {
    pub position: i64,
    pub to: String,
    pub at_least: bool,
    pub time: Option<i64>,
    pub cycle: i32,
    pub rank: i32,
    pub received_at: i64,
}

/// A stored step in the fold's words.
///
/// # Errors
/// If it names a state that the machine no longer has.
pub fn step_from_row(row: StepRow, machine: &Machine) -> Result<Step, StoreError> {
    let state = machine.state(&row.to);
    let state = state.ok_or_else(|| StoreError::Corrupt(format!("the state {} of a step", row.to)))?;
    Ok(Step {
        target_state: state.name,
        at_least: row.at_least,
        key: OrderKey { time: row.time, cycle: row.cycle, rank: row.rank, position: row.position },
        received_at: timestamp(row.received_at)?,
    })
}

fn subject_from_columns(kind: Kind, subkind: &str) -> Result<EntityType, StoreError> {
    let subject = match kind {
        Kind::Inspection => Some(EntityType::Inspection),
        Kind::Session => Some(EntityType::Session),
        Kind::Job => JobKind::parse(subkind).map(EntityType::Job),
        Kind::Item => ItemKind::parse(subkind).map(EntityType::Item),
        Kind::Delivery => None,
    };
    subject.ok_or_else(|| StoreError::Corrupt(format!("an entity of the kind {kind} {subkind}")))
}

fn timestamp(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| StoreError::Corrupt(format!("the moment {micros}")))
}

/// The column that keeps where a fold stands.
///
/// # Errors
/// If it cannot be printed.
pub fn fold_state_json(fold_state: &FoldState) -> Result<String, StoreError> {
    serde_json::to_string(fold_state).map_err(json_error)
}

fn json_error(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
