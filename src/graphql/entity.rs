//! The fields that inspections, sessions, jobs and items have in common, and the columns that fields need (look-ahead).

use super::command::Label;
use super::data_loader::load;
use super::error::ApiError;
use super::loaders::{AsOfLoader, EntityLoader, Loaders};
use super::scalar::Long;
use super::snapshot::{Snapshot, SnapshotFields};
use super::state_machine::NextState;
use crate::event::{Asset, Facts, Json, Location, Property, Vehicle};
use crate::machine::{self, JobKind, Machine};
use crate::store::read::{EntityProjection, EntityRow, TimeAxis, datetime_from_micros};
use crate::vendor;
use async_graphql::{Context, ID, Object, SelectionField, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{ItemKind, Kind};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The fields whose values are in the column `facts`.
const FACTS: &[&str] = &[
    "subject", "summary", "photo", "video", "answer", "message", "contact", "note", "form", "file", "model", "damage",
    "lead", "account", "record", "document", "signing", "run", "task",
];

/// The current state of an entity. The four objects flatten these fields, none of which may return one of the four: an
/// object that async-graphql is still registering has no fields yet that could be flattened. Therefore `entities.rs`
/// declares those fields for each object.
#[derive(Clone, Debug)]
pub struct EntityFields {
    pub row: Arc<EntityRow>,
    facts: OnceLock<Facts>,
}

#[Object]
impl EntityFields {
    /// The hub's id. It is derived from `source`, the kind and `externalId`, so it never changes.
    async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// The source that received it: see `Source.name`.
    async fn source(&self) -> &str {
        &self.row.source
    }

    /// The vendor, e.g. `hover`.
    async fn vendor(&self) -> &str {
        &self.row.vendor
    }

    /// The vendor's own id, e.g. `8471920`.
    async fn external_id(&self) -> &str {
        &self.row.external_id
    }

    /// The customer's own key, as it was set by hand, else as the vendor passes it on: an order number, a VIN, e.g. `PO-4711`.
    async fn reference(&self) -> Option<&str> {
        self.row.customer_reference.as_deref().or(self.row.reference.as_deref())
    }

    /// What it shares with others, if the vendor reports it: a check-out and its check-in have the same group.
    async fn group(&self) -> Option<&str> {
        self.row.group_key.as_deref()
    }

    /// The state, in the vendor's own words, unaltered; null before the vendor reports one.
    async fn state(&self) -> Option<&str> {
        self.row.state.as_deref()
    }

    /// How often it has been reopened.
    async fn cycle(&self) -> i32 {
        self.row.cycle
    }

    /// When the hub first saw it.
    async fn created_at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.row.created_at)
    }

    /// When the hub received the newest event that changed it.
    async fn updated_at(&self) -> DateTime<Utc> {
        datetime_from_micros(self.row.updated_at)
    }

    /// The newest time that the vendor reported for it, by the vendor's clock; null if there is none.
    async fn occurred_at(&self) -> Option<DateTime<Utc>> {
        self.row.occurred_at.map(datetime_from_micros)
    }

    /// The position of the newest change that changed it.
    async fn position(&self) -> Long {
        Long(self.row.position)
    }

    /// All else that the vendor reported, without a field of its own: the vendor's names, the newest values.
    async fn details(&self) -> Result<Option<Json>, ApiError> {
        self.row.details.as_deref().map(stored_json).transpose()
    }

    /// Its state at a time in the past; null if the hub did not know it then.
    async fn as_of(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time, e.g. `2024-05-01T12:00:00Z`.")] at: DateTime<Utc>,
        #[graphql(desc = "The clock that the time refers to.", default_with = "TimeAxis::Received")] clock: TimeAxis,
    ) -> Result<Option<Snapshot>, ApiError> {
        let loader = AsOfLoader { at, clock };
        let snapshot = match Loaders::of(ctx)?.as_of_prefetch.take(loader.clone(), self.row.id) {
            Some(prefetched) => prefetched,
            None => load(ctx, loader, self.row.row_id).await?,
        };
        Ok(snapshot.map(|row| Snapshot(SnapshotFields::new(at, clock, row))))
    }

    /// The states that the vendor's state machine can reach from here.
    async fn next_states(&self) -> Vec<NextState> {
        let Some(machine) = self.machine() else { return Vec::new() };
        NextState::after(machine, self.row.state.as_deref())
    }
}

/// What is inspected, and where. Which of the fields have values depends on what it is.
#[derive(Clone, Debug, Default, PartialEq, SimpleObject)]
pub struct Subject {
    /// The vehicle.
    vehicle: Option<Vehicle>,
    /// The building.
    property: Option<Property>,
    /// The asset, as the vendor has it registered.
    asset: Option<Asset>,
    /// The location.
    location: Option<Location>,
}

impl From<Arc<EntityRow>> for EntityFields {
    fn from(row: Arc<EntityRow>) -> Self {
        EntityFields { row, facts: OnceLock::new() }
    }
}

impl EntityFields {
    /// The typed facts, parsed once for all fields.
    pub fn facts(&self) -> Result<&Facts, ApiError> {
        if let Some(facts) = self.facts.get() {
            return Ok(facts);
        }
        let text = self.row.facts.as_deref().unwrap_or("{}");
        let facts = serde_json::from_str(text)
            .map_err(|error| ApiError::internal(format!("the facts of entity {}: {error}", self.row.row_id)))?;
        Ok(self.facts.get_or_init(|| facts))
    }

    pub fn subject(&self) -> Result<Option<Subject>, ApiError> {
        let facts = self.facts()?.clone();
        let subject =
            Subject { vehicle: facts.vehicle, property: facts.property, asset: facts.asset, location: facts.location };
        Ok((subject != Subject::default()).then_some(subject))
    }

    /// What people have labelled it with, in the order of the keys.
    pub fn labels(&self) -> Result<Vec<Label>, ApiError> {
        let labels = self.row.labels.as_deref().unwrap_or("{}");
        let labels: BTreeMap<String, String> = serde_json::from_str(labels)
            .map_err(|error| ApiError::internal(format!("the labels of entity {}: {error}", self.row.row_id)))?;
        Ok(labels.into_iter().map(|(key, value)| Label { key, value }).collect())
    }

    fn machine(&self) -> Option<&'static Machine> {
        let subject = match self.row.kind {
            Kind::Inspection => machine::EntityType::Inspection,
            Kind::Session => machine::EntityType::Session,
            Kind::Job => machine::EntityType::Job(JobKind::parse(&self.row.subkind)?),
            Kind::Item => machine::EntityType::Item(ItemKind::parse(&self.row.subkind)?),
            Kind::Delivery => return None,
        };
        vendor::by_name(&self.row.vendor)?.machine(subject)
    }
}

/// The entity with this row id, for the fields selected here.
pub async fn load_entity(ctx: &Context<'_>, row_id: Option<i64>) -> Result<Option<Arc<EntityRow>>, ApiError> {
    let Some(row_id) = row_id else { return Ok(None) };
    load(ctx, EntityLoader(selected_columns(ctx.field())), row_id).await
}

/// The columns that the fields selected under an entity need.
pub fn selected_columns(field: SelectionField<'_>) -> EntityProjection {
    field.selection_set().map(|field| columns_of_field(field.name())).collect()
}

/// The columns that the fields selected under the entities of a connection need.
pub fn selected_columns_of_nodes(ctx: &Context<'_>) -> EntityProjection {
    node_selections(ctx).into_iter().map(selected_columns).collect()
}

/// The columns that a field needs: all of them for a field that is unknown here.
fn columns_of_field(field: &str) -> EntityProjection {
    match field {
        "__typename" | "id" | "updatedAt" | "asOf" | "history" | "comments" | "sessions" | "jobs" | "items" => {
            EntityProjection::EMPTY
        }
        "kind" => EntityProjection::SUBKIND,
        "source" => EntityProjection::SOURCE,
        "vendor" => EntityProjection::VENDOR,
        "externalId" => EntityProjection::EXTERNAL_ID,
        "parent" => EntityProjection::PARENT,
        "inspection" => EntityProjection::INSPECTION,
        "linkedByHand" => EntityProjection::HAND_LINK,
        "reference" => EntityProjection::REFERENCE,
        "vendorReference" => EntityProjection::VENDOR_REFERENCE,
        "labels" => EntityProjection::LABELS,
        "dueAt" => EntityProjection::DUE_AT,
        "registeredAt" => EntityProjection::REGISTERED_AT,
        "group" => EntityProjection::GROUP,
        "state" => EntityProjection::STATE,
        "status" => EntityProjection::STATUS,
        "cycle" => EntityProjection::CYCLE,
        "details" => EntityProjection::DETAILS,
        "createdAt" => EntityProjection::CREATED_AT,
        "occurredAt" => EntityProjection::OCCURRED_AT,
        "position" => EntityProjection::POSITION,
        "waitsFor" => EntityProjection::SOURCE | EntityProjection::VENDOR | EntityProjection::STATE,
        "vendorUrl" => EntityProjection::SOURCE | EntityProjection::EXTERNAL_ID,
        "nextStates" => EntityProjection::SUBKIND | EntityProjection::VENDOR | EntityProjection::STATE,
        field if FACTS.contains(&field) => EntityProjection::FACTS,
        _ => EntityProjection::ALL,
    }
}

/// The selections of a connection's nodes: `nodes` and `edges { node }`.
pub fn node_selections<'a>(ctx: &'a Context<'_>) -> Vec<SelectionField<'a>> {
    let mut nodes = ctx.look_ahead().field("nodes").selection_fields();
    nodes.extend(ctx.look_ahead().field("edges").field("node").selection_fields());
    nodes
}

/// Stored JSON as a value for a response, whatever the vendor sent.
pub fn stored_json(text: &str) -> Result<Json, ApiError> {
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| ApiError::internal(format!("stored JSON: {error}")))?;
    Ok(Json(vendor::fields::json_value(raw)))
}
