//! Events in the hub's terms: vendor adapters produce them, the fold applies them.

mod annotations;
mod apply;
mod cached_entity;
mod details;
mod facts;
mod json;
mod reason;
#[cfg(test)]
mod tests;
mod time;
mod versioned_fields;

pub use annotations::{AnnotationChange, Annotations};
pub use apply::{Arrival, EventOutcome, NeedsHistory, apply, has_effect};
pub use cached_entity::{
    CachedEntity, FoldedEntity, HandLink, MaterializedStep, ParentLink, PendingSteps, UpdatePlace,
};
pub use details::{Detail, Details};
pub use facts::*;
pub use json::Json;
#[cfg(test)]
pub use reason::examples as reason_examples;
pub use reason::{Explanation, Reason, TransitionRule, Warning};
pub use time::{MAX_CLOCK_AHEAD, RawTimeField, TimeWarning, VendorTime};
pub use versioned_fields::{FieldValue, MergeOutcome, VersionedFields};

use crate::machine::EntityType;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The namespace of all derived ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_77a0_3c3e_5f8c_9b0e_2a5d_4c1e_8f37);

/// A text that all databases accept: PostgreSQL refuses the character U+0000, so U+FFFD replaces it. The stored body is
/// unchanged.
pub fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}

/// The meaning of one delivery.
#[derive(Debug, Default)]
pub struct ParsedDelivery {
    /// The vendor's name of the event.
    pub event: String,
    /// The vendor's own id of the event, if it has one.
    pub vendor_event_id: Option<String>,
    pub occurred_at: VendorTime,
    /// Parents come before their children. Empty if the event is not recognized or concerns no entity.
    pub events: Vec<Event>,
    /// Why `events` is empty.
    pub no_effect: Option<NoEffect>,
}

impl ParsedDelivery {
    /// A delivery that the adapter does not understand; `reason` says why.
    pub fn unrecognized(event: String, reason: &str) -> Self {
        ParsedDelivery { event, no_effect: Some(NoEffect::unrecognized(reason)), ..ParsedDelivery::default() }
    }

    /// With all texts as by [`storable`].
    pub fn storable(mut self) -> Self {
        self.event = storable(self.event);
        self.no_effect = self.no_effect.map(|no_effect| match no_effect {
            NoEffect::Unrecognized(why) => NoEffect::Unrecognized(storable(why)),
            NoEffect::Recognized(what) => NoEffect::Recognized(storable(what)),
            NoEffect::Handshake { code } => NoEffect::Handshake { code: storable(code) },
        });
        self
    }
}

/// Why a readable delivery concerns no entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoEffect {
    /// The event is not known, or lacks a field; contains the reason.
    Unrecognized(String),
    /// Known, but without effect on any entity; contains what it is.
    Recognized(String),
    /// The vendor asks to confirm the URL with this code.
    Handshake { code: String },
}

impl NoEffect {
    pub fn unrecognized(reason: &str) -> Self {
        NoEffect::Unrecognized(reason.to_owned())
    }
}

/// One event about one entity.
#[derive(Debug)]
pub struct Event {
    pub entity: EntityRef,
    pub state_claim: StateClaim,
    /// The vendor's time, by which the event is ordered.
    pub occurred_at: VendorTime,
    pub parent: Option<EntityRef>,
    /// The vendor's id of its inspection.
    pub inspection_external_id: Option<String>,
    /// Why the event names no inspection although the entity belongs to one.
    pub orphan_reason: Option<&'static str>,
    pub reference: Option<Reference>,
    /// The id of a group of entities.
    pub group: Option<String>,
    pub facts: Vec<FactGroup>,
    pub details: Vec<(String, Box<RawValue>)>,
    /// Whether a field other than [`Event::occurred_at`] contains an invalid time. The field is among the details.
    pub invalid_time: bool,
}

/// An entity by the vendor's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityRef {
    pub entity_type: EntityType,
    pub external_id: String,
}

/// An event's claim about the state of its entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateClaim {
    /// The entity is in this state, by the vendor's name.
    Exact(String),
    /// The entity has reached this state or a later one.
    AtLeast(&'static str),
    /// More was requested, so that a reopening is expected.
    ReopenRequested,
    FactsOnly,
}

/// The customer's own key for an entity, from one of the fields in which a vendor may report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub value: String,
    /// The index of the field in the vendor's list. A smaller one wins over a greater one, whichever is newer.
    pub precedence: u8,
}

impl Reference {
    pub fn new(value: String, precedence: u8) -> Self {
        Reference { value: storable(value), precedence }
    }
}

impl EntityRef {
    pub fn new(entity_type: EntityType, external_id: impl Into<String>) -> Self {
        EntityRef { entity_type, external_id: storable(external_id.into()) }
    }

    /// The public id: UUIDv5 (RFC 9562, section 5.5) of the length-prefixed source, kind, subkind and vendor's id.
    pub fn id(&self, source: &str) -> Uuid {
        let mut name = Vec::with_capacity(64);
        for part in [source, self.entity_type.kind().as_str(), self.entity_type.subkind(), &self.external_id] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Uuid::new_v5(&NAMESPACE, &name)
    }
}

/// The methods set what the fields and [`StateClaim`] describe.
impl Event {
    pub fn new(entity_type: EntityType, external_id: impl Into<String>) -> Self {
        Event {
            entity: EntityRef::new(entity_type, external_id),
            state_claim: StateClaim::FactsOnly,
            occurred_at: VendorTime::default(),
            parent: None,
            inspection_external_id: None,
            orphan_reason: None,
            reference: None,
            group: None,
            facts: Vec::new(),
            details: Vec::new(),
            invalid_time: false,
        }
    }

    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state_claim = StateClaim::Exact(storable(state.into()));
        self
    }

    pub fn state_if_known(self, state: Option<impl Into<String>>) -> Self {
        match state {
            Some(state) => self.state(state),
            None => self,
        }
    }

    pub fn at_least(mut self, state: &'static str) -> Self {
        self.state_claim = StateClaim::AtLeast(state);
        self
    }

    pub fn reopen_requested(mut self) -> Self {
        self.state_claim = StateClaim::ReopenRequested;
        self
    }

    pub fn occurred_at(mut self, at: impl Into<VendorTime>) -> Self {
        self.occurred_at = at.into();
        self
    }

    pub fn parent(mut self, entity_type: EntityType, external_id: impl Into<String>) -> Self {
        self.parent = Some(EntityRef::new(entity_type, external_id));
        self
    }

    pub fn parent_if_known(self, entity_type: EntityType, external_id: Option<String>) -> Self {
        match external_id {
            Some(id) => self.parent(entity_type, id),
            None => self,
        }
    }

    pub fn inspection(mut self, inspection: impl Into<String>) -> Self {
        self.inspection_external_id = Some(inspection.into());
        self
    }

    pub fn orphan_reason(mut self, why: &'static str) -> Self {
        self.orphan_reason = Some(why);
        self
    }

    pub fn reference(mut self, reference: Option<Reference>) -> Self {
        self.reference = reference;
        self
    }

    pub fn group(mut self, group: Option<String>) -> Self {
        self.group = group.map(storable);
        self
    }

    pub fn fact(mut self, fact: impl Into<FactGroup>) -> Self {
        self.facts.push(fact.into());
        self
    }

    pub fn details(mut self, details: Details) -> Self {
        self.add_details(details);
        self
    }

    pub fn add_details(&mut self, details: Details) {
        self.invalid_time |= details.invalid_time;
        details.add_to(&mut self.details);
    }

    pub fn field_values(&self) -> Vec<FieldValue> {
        let facts = self.facts.iter().flat_map(FieldValue::from_fact);
        facts.chain(self.details.iter().map(|(name, value)| FieldValue::from_detail(name, value.clone()))).collect()
    }
}
