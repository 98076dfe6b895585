//! A verified delivery, parsed and ready for the writer. All that needs no database is done here, in the request's own task, so
//! that all cores share the work and the one writer has little of it.

use super::dedup_key::DedupKey;
use crate::event::{EntityRef, Event, FieldValue, ParsedDelivery, StateClaim, storable};
use crate::machine::EntityType;
use crate::vendor::verify::{RawDelivery, Verified};
use crate::vendor::{DeliveryBody, Unreadable};
use axum::body::Bytes;
use entity::log_gap;
use std::collections::HashSet;
use std::panic::catch_unwind;
use uuid::Uuid;

/// The longest stored name of an event, in characters. Vendors' names have 50 at most.
const MAX_EVENT_NAME_CHARS: usize = 128;

/// One delivery, verified and parsed. It can only be made of a [`Verified`] one, and stores the bytes that were verified.
#[derive(Debug)]
pub struct PreparedDelivery {
    pub(super) raw: RawDelivery,
    pub(super) dedup_key: DedupKey,
    pub(super) parsed: Result<ParsedDelivery, Unreadable>,
    /// The public ids of the entities that each event names.
    pub(super) entity_ids: Vec<EntityIds>,
    /// The fields that each event reports.
    pub(super) field_values: Vec<Vec<FieldValue>>,
    pub(super) replay: ReplayContext,
}

/// What a replay must know of a delivery where others were purged.
#[derive(Debug, Default)]
pub struct ReplayContext {
    /// The counters before it, if those before it were purged.
    pub log_gap: Option<log_gap::Model>,
    /// Its original, if that was purged.
    pub duplicate_of: Option<i64>,
    /// The purged entities that it names. It did not change them, and must not create them again.
    pub purged_entities: HashSet<Uuid>,
}

/// The public ids of the entities that one event names.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntityIds {
    pub entity: Uuid,
    pub parent: Option<Uuid>,
    pub inspection: Option<Uuid>,
}

/// The event that decides about duplicates: one of each delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrimaryEvent<'a> {
    pub event: &'a Event,
    pub ids: EntityIds,
}

impl PreparedDelivery {
    /// Parses a verified delivery.
    pub fn prepare(verified: Verified) -> Self {
        let raw = verified.into_raw();
        let delivery = DeliveryBody { content_type: raw.content_type.as_deref(), body: &raw.body };
        // An adapter that panics costs the vendor nothing: the bytes are stored and can be parsed again once it is fixed.
        let mut parsed = catch_unwind(|| raw.vendor.parse_delivery(&delivery))
            .unwrap_or_else(|_| Err(Unreadable("the adapter failed on it; please report this delivery".to_owned())))
            .map(ParsedDelivery::storable)
            .map_err(|Unreadable(why)| Unreadable(storable(why)));
        if let Ok(ParsedDelivery { event, .. }) = &mut parsed
            && let Some((end, _)) = event.char_indices().nth(MAX_EVENT_NAME_CHARS)
        {
            event.truncate(end);
        }
        let events = parsed.as_ref().map(|parsed| parsed.events.as_slice()).unwrap_or_default();
        PreparedDelivery {
            entity_ids: events.iter().map(|event| EntityIds::of(event, &raw.source)).collect(),
            field_values: events.iter().map(Event::field_values).collect(),
            dedup_key: DedupKey::of(&raw.source, &raw.body, parsed.as_ref().ok()),
            raw,
            parsed,
            replay: ReplayContext::default(),
        }
    }

    /// The first event that reports a state explicitly, else the first event. `None` for a delivery about no entity.
    pub(super) fn primary_event(&self) -> Option<PrimaryEvent<'_>> {
        let events = self.parsed.as_ref().ok()?.events.as_slice();
        let index = events.iter().position(|event| matches!(event.state_claim, StateClaim::Exact(_))).unwrap_or(0);
        Some(PrimaryEvent { event: events.get(index)?, ids: *self.entity_ids.get(index)? })
    }

    /// Without body and headers: for a shadow database, which does not store them.
    pub fn without_payload(self) -> Self {
        PreparedDelivery { raw: RawDelivery { body: Bytes::new(), headers: String::new(), ..self.raw }, ..self }
    }

    /// As a delivery of a raw log from which others were purged.
    pub fn with_replay_context(self, replay: ReplayContext) -> Self {
        PreparedDelivery { replay, ..self }
    }

    /// The public ids of all entities that it names.
    pub fn referenced_ids(&self) -> impl Iterator<Item = Uuid> {
        self.entity_ids.iter().flat_map(|ids| [Some(ids.entity), ids.parent, ids.inspection]).flatten()
    }

    /// The size of what is stored of the request, in bytes.
    pub fn payload_bytes(&self) -> usize {
        self.raw.body.len() + self.raw.headers.len()
    }

    /// The name of its source.
    pub fn source(&self) -> &str {
        &self.raw.source
    }
}

impl EntityIds {
    fn of(event: &Event, source: &str) -> Self {
        EntityIds {
            entity: event.entity.id(source),
            parent: event.parent.as_ref().map(|parent| parent.id(source)),
            inspection: referenced_inspection(event).map(|inspection| inspection.id(source)),
        }
    }
}

/// The inspection that an event names, unless the event is about that inspection.
fn referenced_inspection(event: &Event) -> Option<EntityRef> {
    let inspection =
        event.inspection_external_id.as_deref().filter(|_| event.entity.entity_type != EntityType::Inspection)?;
    Some(EntityRef::new(EntityType::Inspection, inspection))
}
