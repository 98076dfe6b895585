//! A verified delivery, parsed and ready for the writer. All that needs no database is done here, in the request's own task, so
//! that all cores share the work and the one writer has little of it: also compressing the payload.

use super::dedup_key::DedupKey;
use crate::event::{EntityRef, Event, FieldValue, ParsedDelivery, StateClaim, storable};
use crate::machine::EntityType;
use crate::store::StoredPayload;
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
    /// Without headers and body: these are in the payload.
    pub(super) raw: RawDelivery,
    /// What is stored of the request; empty for a shadow database, which does not store it.
    pub(super) payload: StoredPayload,
    pub(super) dedup_key: DedupKey,
    /// Without its events.
    pub(super) parsed: Result<ParsedDelivery, Unreadable>,
    pub(super) events: Vec<PreparedEvent>,
    pub(super) replay: ReplayContext,
}

/// What a replay must know of a record where others were purged.
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

#[derive(Debug)]
pub(super) struct PreparedEvent {
    pub event: Event,
    pub ids: EntityIds,
    /// The fields that it reports.
    pub fields: Vec<FieldValue>,
}

impl PreparedDelivery {
    pub fn prepare(verified: Verified) -> Self {
        let raw = verified.into_raw();
        let payload = StoredPayload::encode(raw.vendor.name, &raw.headers, &raw.body);
        PreparedDelivery { payload, ..PreparedDelivery::parse(raw) }
    }

    /// For a shadow database.
    pub fn prepare_without_payload(verified: Verified) -> Self {
        PreparedDelivery::parse(verified.into_raw())
    }

    fn parse(raw: RawDelivery) -> Self {
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
        let events = parsed.as_mut().map(|parsed| std::mem::take(&mut parsed.events)).unwrap_or_default();
        let prepare_event = |event: Event| {
            let (ids, fields) = (EntityIds::of(&event, &raw.source), event.field_values());
            PreparedEvent { event, ids, fields }
        };
        PreparedDelivery {
            events: events.into_iter().map(prepare_event).collect(),
            dedup_key: DedupKey::of(&raw.source, &raw.body, parsed.as_ref().ok()),
            raw: RawDelivery { body: Bytes::new(), headers: String::new(), ..raw },
            payload: StoredPayload::default(),
            parsed,
            replay: ReplayContext::default(),
        }
    }

    /// The event that decides about duplicates: the first that reports a state explicitly, else the first.
    pub(super) fn primary_event(&self) -> Option<&PreparedEvent> {
        let explicit = self.events.iter().find(|prepared| matches!(prepared.event.state_claim, StateClaim::Exact(_)));
        explicit.or(self.events.first())
    }

    /// The public ids of all entities that it names.
    pub fn referenced_ids(&self) -> impl Iterator<Item = Uuid> {
        self.events
            .iter()
            .flat_map(|PreparedEvent { ids, .. }| [Some(ids.entity), ids.parent, ids.inspection])
            .flatten()
    }

    /// The size of what is stored of the request, in bytes.
    pub fn payload_bytes(&self) -> usize {
        self.payload.bytes()
    }

    pub fn source(&self) -> &str {
        &self.raw.source
    }
}

impl EntityIds {
    fn of(event: &Event, source: &str) -> Self {
        // The inspection, unless the event is about that inspection.
        let is_inspection = event.entity.entity_type == EntityType::Inspection;
        let inspection = event.inspection_external_id.as_deref().filter(|_| !is_inspection);
        EntityIds {
            entity: event.entity.id(source),
            parent: event.parent.as_ref().map(|parent| parent.id(source)),
            inspection: inspection.map(|id| EntityRef::new(EntityType::Inspection, id).id(source)),
        }
    }
}
