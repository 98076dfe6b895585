//! Between the fold's words and the tables' columns.

use crate::event::{Entity, Known};
use crate::machine::fold::{Key, Step, Tip};
use crate::machine::{ItemKind, JobKind, Kind, Machine, Subject};
use crate::store::StoreError;
use crate::vendor;
use chrono::{DateTime, Utc};

/// A stored entity in the fold's words.
///
/// # Errors
/// If a column holds what this version does not know.
pub fn entity_of(row: entity::entity::Model) -> Result<Entity, StoreError> {
    let vendor = vendor::by_name(&row.vendor).ok_or_else(|| StoreError::Corrupt(format!("vendor {}", row.vendor)))?;
    Ok(Entity {
        number: row.number,
        id: row.id,
        subject: subject_of(row.kind, &row.subkind)?,
        source: row.source,
        vendor: vendor.name,
        external_id: row.external_id,
        parent: row.parent,
        inspection: row.inspection,
        reference: row.reference,
        group: row.group_key,
        status: row.status,
        known: Known::of(&row.facts, &row.details, &row.stamps).map_err(not_json)?,
        tip: Tip { state: row.state, cycle: row.cycle, ..serde_json::from_str(&row.tip).map_err(not_json)? },
        retold: row.retold,
        created_at: moment(row.created_at)?,
        updated_at: moment(row.updated_at)?,
        occurred_at: row.occurred_at.map(moment).transpose()?,
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
pub fn step_of(row: StepRow, machine: &Machine) -> Result<Step, StoreError> {
    let state = machine.state(&row.to);
    let state = state.ok_or_else(|| StoreError::Corrupt(format!("the state {} of a step", row.to)))?;
    Ok(Step {
        to: state.name,
        at_least: row.at_least,
        key: Key { time: row.time, cycle: row.cycle, rank: row.rank, position: row.position },
        received_at: moment(row.received_at)?,
    })
}

fn subject_of(kind: Kind, subkind: &str) -> Result<Subject, StoreError> {
    let subject = match kind {
        Kind::Inspection => Some(Subject::Inspection),
        Kind::Session => Some(Subject::Session),
        Kind::Job => JobKind::parse(subkind).map(Subject::Job),
        Kind::Item => ItemKind::parse(subkind).map(Subject::Item),
        Kind::Delivery => None,
    };
    subject.ok_or_else(|| StoreError::Corrupt(format!("an entity of the kind {kind} {subkind}")))
}

fn moment(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| StoreError::Corrupt(format!("the moment {micros}")))
}

/// The column that keeps where a fold stands.
///
/// # Errors
/// If it cannot be printed.
pub fn print(tip: &Tip) -> Result<String, StoreError> {
    serde_json::to_string(tip).map_err(not_json)
}

fn not_json(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
