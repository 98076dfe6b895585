//! A verified delivery, parsed and ready for the writer.

use super::dedup_key::DedupKey;
use crate::event::{EntityRef, Event, FieldValue, ParsedDelivery, StateClaim, storable};
use crate::machine::EntityType;
use crate::vendor::verify::Verified;
use crate::vendor::{DeliveryBody, Unreadable, Vendor};
use axum::body::Bytes;
use chrono::{DateTime, Utc};
use entity::log_gap;
use std::collections::HashSet;
use std::panic::catch_unwind;
use std::sync::Arc;
use uuid::Uuid;

/// The longest name of an event that is kept, in characters; vendors' names have 50 at most.
const MAX_EVENT_NAME_CHARS: usize = 128;

/// One delivery, verified and read, ready to be written. It can only be made of a [`Verified`] one.
#[derive(Debug)]
pub struct PreparedDelivery {
    pub(super) source: Arc<str>,
    pub(super) vendor: &'static Vendor,
    pub(super) received_at: DateTime<Utc>,
    pub(super) method: &'static str,
    /// The request's headers as a JSON object, credentials left out.
    pub(super) headers: String,
    pub(super) body: Bytes,
    pub(super) dedup_key: DedupKey,
    pub(super) parsed: Result<ParsedDelivery, Unreadable>,
    /// The public ids of what each event names. Made here, where many do it at once, and not by the only writer.
    pub(super) entity_ids: Vec<EntityIds>,
    /// The fields that each event reports, made here for the same reason.
    pub(super) field_values: Vec<Vec<FieldValue>>,
    pub(super) replay: ReplayContext,
}

/// What must be known of a delivery of the raw log to apply it once more, where others were removed.
#[derive(Debug, Default)]
pub struct ReplayContext {
    /// The counters before it, if those before it are gone.
    pub log_gap: Option<log_gap::Model>,
    /// The number of the delivery whose news it repeats, if that one is gone.
    pub duplicate_of: Option<i64>,
    /// Those of the entities it names that are gone: it did not change them, and must not make them known anew.
    pub purged_entities: HashSet<Uuid>,
}

/// The public ids of what one event names.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntityIds {
    pub entity: Uuid,
    pub parent: Option<Uuid>,
    pub inspection: Option<Uuid>,
}

/// The event that a delivery is foremost about, and what it names.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrimaryEvent<'a> {
    pub event: &'a Event,
    pub ids: EntityIds,
}

/// How a delivery came.
#[derive(Debug)]
pub struct RawDelivery {
    pub source: Arc<str>,
    pub vendor: &'static Vendor,
    pub received_at: DateTime<Utc>,
    pub method: &'static str,
    pub content_type: Option<String>,
    /// The request's headers as a JSON object, credentials left out.
    pub headers: String,
    pub body: Bytes,
}

impl PreparedDelivery {
    /// Reads what a verified delivery says.
    pub fn prepare(verified: &Verified<'_>, post: RawDelivery) -> Self {
        let delivery = DeliveryBody { content_type: post.content_type.as_deref(), body: verified.body() };
        // An adapter that fails must cost the vendor nothing: the bytes are kept and can be read again once it is mended.
        let mut parsed = catch_unwind(|| post.vendor.parse_delivery(&delivery))
            .unwrap_or_else(|_| Err(Unreadable("the adapter failed on it; please report this delivery".to_owned())))
            .map(ParsedDelivery::storable)
            .map_err(|Unreadable(why)| Unreadable(storable(why)));
        if let Ok(ParsedDelivery { event, .. }) = &mut parsed
            && let Some((end, _)) = event.char_indices().nth(MAX_EVENT_NAME_CHARS)
        {
            event.truncate(end);
        }
        let events = parsed.as_ref().map(|reading| reading.events.as_slice()).unwrap_or_default();
        PreparedDelivery {
            entity_ids: events.iter().map(|event| EntityIds::of(event, &post.source)).collect(),
            field_values: events.iter().map(Event::field_values).collect(),
            dedup_key: DedupKey::of(&post.source, verified.body(), parsed.as_ref().ok()),
            source: post.source,
            vendor: post.vendor,
            received_at: post.received_at,
            method: post.method,
            headers: post.headers,
            body: post.body,
            parsed,
            replay: ReplayContext::default(),
        }
    }

    /// The first event that names a state outright, else the first; none for news about no entity.
    pub(super) fn primary_event(&self) -> Option<PrimaryEvent<'_>> {
        let events = self.parsed.as_ref().ok()?.events.as_slice();
        let index = events.iter().position(|event| matches!(event.state_claim, StateClaim::Exact(_))).unwrap_or(0);
        Some(PrimaryEvent { event: events.get(index)?, ids: *self.entity_ids.get(index)? })
    }

    /// Without the bytes it was read from: for where they are not kept once more.
    pub fn without_payload(self) -> Self {
        PreparedDelivery { body: Bytes::new(), headers: String::new(), ..self }
    }

    /// As one of the raw log, where others were removed.
    pub fn with_replay_context(self, again: ReplayContext) -> Self {
        PreparedDelivery { replay: again, ..self }
    }

    /// The public ids of all that it names.
    pub fn referenced_ids(&self) -> impl Iterator<Item = Uuid> {
        self.entity_ids.iter().flat_map(|names| [Some(names.entity), names.parent, names.inspection]).flatten()
    }

    /// How many bytes the vendor sent, as they are stored.
    pub fn payload_bytes(&self) -> usize {
        self.body.len() + self.headers.len()
    }

    /// The name of the source it came to.
    pub fn source(&self) -> &str {
        &self.source
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

/// The inspection an event names, unless it is about that very inspection.
fn referenced_inspection(event: &Event) -> Option<EntityRef> {
    let inspection =
        event.inspection_external_id.as_deref().filter(|_| event.entity.entity_type != EntityType::Inspection)?;
    Some(EntityRef::new(EntityType::Inspection, inspection))
}
