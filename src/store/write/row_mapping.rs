//! Between the fold's types and the rows of the tables.

use super::columns::StepRow;
use crate::event::{Annotations, CachedEntity, FoldedEntity, HandLink, VersionedFields};
use crate::machine::fold::{FoldState, OrderKey, Step};
use crate::machine::{EntityType, ItemKind, JobKind, Kind, Machine};
use crate::store::StoreError;
use crate::vendor;
use chrono::{DateTime, Utc};
use entity::step;

/// An entity from its row. Fails if a column holds a value that this version does not know.
pub fn entity_from_row(row: entity::entity::Model) -> Result<FoldedEntity, StoreError> {
    let vendor = vendor::by_name(&row.vendor).ok_or_else(|| StoreError::Corrupt(format!("vendor {}", row.vendor)))?;
    Ok(FoldedEntity {
        row_id: row.row_id,
        id: row.id,
        entity_type: entity_type(row.kind, &row.subkind)?,
        source: row.source,
        vendor: vendor.name,
        external_id: row.external_id,
        parent_row_id: row.parent_row_id,
        inspection_row_id: row.inspection_row_id,
        hand_link: row
            .hand_linked_row_id
            .map(|linked_row_id| HandLink { linked_row_id, vendor_inspection_row_id: row.vendor_inspection_row_id }),
        reference: row.reference,
        annotations: Annotations {
            registered_at: row.registered_at.map(timestamp).transpose()?,
            reference: row.customer_reference,
            labels: row
                .labels
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .map_err(json_error)?
                .unwrap_or_default(),
            due_at: row.due_at.map(timestamp).transpose()?,
        },
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

/// The row of an entity. If it is stored already, its identity is left empty, and so are its facts unless they have changed:
/// neither is written then. Fails if the fold's state cannot be written as JSON.
pub fn entity_to_row(cached: &CachedEntity) -> Result<entity::entity::Model, StoreError> {
    let entity = &cached.entity;
    let new = |text: &str| if cached.is_stored { String::new() } else { text.to_owned() };
    let fields = (cached.facts_changed || !cached.is_stored).then(|| entity.fields.to_columns());
    let (facts, details, field_versions) =
        fields.map(|columns| (columns.facts, columns.details, columns.field_versions)).unwrap_or_default();
    Ok(entity::entity::Model {
        row_id: entity.row_id,
        id: entity.id,
        kind: entity.entity_type.kind(),
        subkind: new(entity.entity_type.subkind()),
        source: new(&entity.source),
        vendor: new(entity.vendor),
        external_id: new(&entity.external_id),
        parent_row_id: entity.parent_row_id,
        inspection_row_id: entity.inspection_row_id,
        hand_linked_row_id: entity.hand_link.map(|link| link.linked_row_id),
        vendor_inspection_row_id: entity.hand_link.and_then(|link| link.vendor_inspection_row_id),
        reference: entity.reference.clone(),
        customer_reference: entity.annotations.reference.clone(),
        labels: entity.annotations.labels_column(),
        due_at: entity.annotations.due_at.map(|at| at.timestamp_micros()),
        registered_at: entity.annotations.registered_at.map(|at| at.timestamp_micros()),
        group_key: entity.group.clone(),
        state: entity.fold_state.state.clone(),
        status: entity.status,
        cycle: entity.fold_state.cycle,
        facts,
        details,
        field_versions,
        fold_state: serde_json::to_string(&entity.fold_state).map_err(json_error)?,
        steps_materialized: entity.steps_materialized,
        created_at: entity.created_at.timestamp_micros(),
        updated_at: entity.updated_at.timestamp_micros(),
        occurred_at: entity.occurred_at.map(|at| at.timestamp_micros()),
        position: entity.position,
    })
}

/// A step from its row, or from the row of history that has it. Fails if it names a state that the machine no longer has.
pub fn step_from_row(row: StepRow, machine: &Machine) -> Result<Step, StoreError> {
    let state = machine.state(&row.target_state);
    let state = state.ok_or_else(|| StoreError::Corrupt(format!("the state {} of a step", row.target_state)))?;
    Ok(Step {
        target_state: state.name,
        at_least: row.at_least,
        key: OrderKey { time: row.occurred_at, cycle: row.order_cycle, rank: row.order_rank, position: row.position },
        received_at: timestamp(row.received_at)?,
    })
}

/// The rows of the steps that a batch adds to an entity; none unless its steps are materialized.
pub fn step_rows(cached: &CachedEntity) -> impl Iterator<Item = step::Model> {
    let added = if cached.entity.steps_materialized { cached.pending_steps.steps.as_slice() } else { &[] };
    added.iter().map(|pending| {
        let Step { target_state, at_least, key, received_at } = &pending.step;
        step::Model {
            entity_row_id: cached.entity.row_id,
            seq: pending.seq,
            position: key.position,
            target_state: (*target_state).to_owned(),
            at_least: *at_least,
            occurred_at: key.time,
            order_cycle: key.cycle,
            order_rank: key.rank,
            received_at: received_at.timestamp_micros(),
            effective_at: pending.effective_at,
            state_after: pending.state_after.clone(),
            status_after: pending.status_after,
            cycle_after: pending.cycle_after,
        }
    })
}

fn entity_type(kind: Kind, subkind: &str) -> Result<EntityType, StoreError> {
    let found = match kind {
        Kind::Inspection => Some(EntityType::Inspection),
        Kind::Session => Some(EntityType::Session),
        Kind::Job => JobKind::parse(subkind).map(EntityType::Job),
        Kind::Item => ItemKind::parse(subkind).map(EntityType::Item),
        Kind::Delivery => None,
    };
    found.ok_or_else(|| StoreError::Corrupt(format!("an entity of the kind {kind} {subkind}")))
}

fn timestamp(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| StoreError::Corrupt(format!("the time {micros}")))
}

fn json_error(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
