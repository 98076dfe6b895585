//! Between the fold's words and the tables' columns.

use super::bulk::Insert;
use crate::event::{Entity, Placed};
use crate::machine::fold::{Key, Step};
use crate::machine::{ItemKind, JobKind, Kind, Machine, Subject};
use crate::store::StoreError;
use crate::vendor;
use chrono::{DateTime, Utc};
use entity::{change, delivery, ledger, step};
use sea_orm::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub const DELIVERIES: Insert = Insert {
    table: "delivery",
    columns: &[
        "number",
        "source",
        "vendor",
        "received_at",
        "method",
        "headers",
        "body",
        "digest",
        "digest_cycle",
        "event",
        "occurred_at",
        "verdict",
        "reason",
        "first_position",
        "changes",
        "duplicates",
        "duplicate_at",
    ],
    conflict: "",
};

pub const CHANGES: Insert = Insert {
    table: "change",
    columns: &[
        "position",
        "kind",
        "entity",
        "inspection",
        "delivery",
        "source",
        "vendor",
        "event",
        "verdict",
        "reason",
        "from_state",
        "to_state",
        "from_status",
        "to_status",
        "cycle",
        "occurred_at",
        "received_at",
    ],
    conflict: "",
};

pub const ENTITIES: Insert = Insert {
    table: "entity",
    columns: &[
        "number",
        "id",
        "kind",
        "subkind",
        "source",
        "vendor",
        "external_id",
        "parent",
        "inspection",
        "reference",
        "group_key",
        "state",
        "status",
        "cycle",
        "facts",
        "details",
        "stamps",
        "tip",
        "created_at",
        "updated_at",
        "occurred_at",
        "position",
    ],
    conflict: "ON CONFLICT (number) DO UPDATE SET parent = excluded.parent, inspection = excluded.inspection, \
               reference = excluded.reference, group_key = excluded.group_key, state = excluded.state, \
               status = excluded.status, cycle = excluded.cycle, facts = excluded.facts, \
               details = excluded.details, stamps = excluded.stamps, tip = excluded.tip, \
               updated_at = excluded.updated_at, occurred_at = excluded.occurred_at, position = excluded.position",
};

pub const STEPS: Insert = Insert {
    table: "step",
    columns: &[
        "entity",
        "seq",
        "position",
        "to_state",
        "at_least",
        "time",
        "cycle",
        "rank",
        "received_at",
        "effective_at",
        "state_after",
        "status_after",
        "cycle_after",
    ],
    conflict: "",
};

pub const LEDGERS: Insert = Insert {
    table: "ledger",
    columns: &[
        "source",
        "received",
        "duplicates",
        "applied",
        "skipped_ahead",
        "stale",
        "refused",
        "no_change",
        "unrecognized",
        "unreadable",
        "orphaned",
        "received_at",
    ],
    conflict: "ON CONFLICT (source) DO UPDATE SET received = ledger.received + excluded.received, \
               duplicates = ledger.duplicates + excluded.duplicates, applied = ledger.applied + excluded.applied, \
               skipped_ahead = ledger.skipped_ahead + excluded.skipped_ahead, stale = ledger.stale + excluded.stale, \
               refused = ledger.refused + excluded.refused, no_change = ledger.no_change + excluded.no_change, \
               unrecognized = ledger.unrecognized + excluded.unrecognized, \
               unreadable = ledger.unreadable + excluded.unreadable, orphaned = ledger.orphaned + excluded.orphaned, \
               received_at = excluded.received_at",
};

/// The values of [`DELIVERIES`].
pub fn delivery_values(row: delivery::Model) -> Vec<Value> {
    vec![
        row.number.into(),
        row.source.into(),
        row.vendor.into(),
        row.received_at.into(),
        row.method.into(),
        row.headers.into(),
        row.body.into(),
        row.digest.into(),
        row.digest_cycle.into(),
        row.event.into(),
        row.occurred_at.into(),
        row.verdict.as_str().into(),
        row.reason.into(),
        row.first_position.into(),
        row.changes.into(),
        row.duplicates.into(),
        row.duplicate_at.into(),
    ]
}

/// The values of [`CHANGES`].
pub fn change_values(row: change::Model) -> Vec<Value> {
    vec![
        row.position.into(),
        row.kind.as_str().into(),
        row.entity.into(),
        row.inspection.into(),
        row.delivery.into(),
        row.source.into(),
        row.vendor.into(),
        row.event.into(),
        row.verdict.as_str().into(),
        row.reason.into(),
        row.from_state.into(),
        row.to_state.into(),
        row.from_status.map(entity::Status::as_str).into(),
        row.to_status.map(entity::Status::as_str).into(),
        row.cycle.into(),
        row.occurred_at.into(),
        row.received_at.into(),
    ]
}

/// The values of [`ENTITIES`].
///
/// # Errors
/// If a fact cannot be printed as JSON.
pub fn entity_values(entity: &Entity) -> Result<Vec<Value>, StoreError> {
    Ok(vec![
        entity.number.into(),
        entity.id.into(),
        entity.subject.kind().as_str().into(),
        entity.subject.subkind().into(),
        entity.source.as_str().into(),
        entity.vendor.into(),
        entity.external_id.as_str().into(),
        entity.parent.into(),
        entity.inspection.into(),
        entity.reference.clone().into(),
        entity.group.clone().into(),
        entity.tip.state.clone().into(),
        entity.status.map(entity::Status::as_str).into(),
        entity.tip.cycle.into(),
        print(&entity.facts)?.into(),
        print(&entity.details)?.into(),
        print(&entity.stamps)?.into(),
        print(&entity.tip)?.into(),
        entity.created_at.timestamp_micros().into(),
        entity.updated_at.timestamp_micros().into(),
        entity.occurred_at.map(|at| at.timestamp_micros()).into(),
        entity.position.into(),
    ])
}

/// The values of [`STEPS`].
pub fn step_values(entity: i64, placed: &Placed) -> Vec<Value> {
    let Step { to, at_least, key, received_at } = &placed.step;
    vec![
        entity.into(),
        placed.seq.into(),
        key.position.into(),
        (*to).into(),
        (*at_least).into(),
        key.time.into(),
        key.cycle.into(),
        key.rank.into(),
        received_at.timestamp_micros().into(),
        placed.effective_at.into(),
        placed.state_after.clone().into(),
        placed.status_after.map(entity::Status::as_str).into(),
        placed.cycle_after.into(),
    ]
}

/// The values of [`LEDGERS`]: what is added to the counts.
pub fn ledger_values(row: &ledger::Model) -> Vec<Value> {
    vec![
        row.source.as_str().into(),
        row.received.into(),
        row.duplicates.into(),
        row.applied.into(),
        row.skipped_ahead.into(),
        row.stale.into(),
        row.refused.into(),
        row.no_change.into(),
        row.unrecognized.into(),
        row.unreadable.into(),
        row.orphaned.into(),
        row.received_at.into(),
    ]
}

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
        facts: parse(&row.facts)?,
        details: parse(&row.details)?,
        stamps: parse(&row.stamps)?,
        tip: parse(&row.tip)?,
        created_at: moment(row.created_at)?,
        updated_at: moment(row.updated_at)?,
        occurred_at: row.occurred_at.map(moment).transpose()?,
        position: row.position,
    })
}

/// A stored step in the fold's words.
///
/// # Errors
/// If it names a state that the machine no longer has.
pub fn step_of(row: step::Model, machine: &Machine) -> Result<Step, StoreError> {
    let state = machine.state(&row.to_state);
    let state = state.ok_or_else(|| StoreError::Corrupt(format!("the state {} of a step", row.to_state)))?;
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

fn print<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}
