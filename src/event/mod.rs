//! What a delivery says, in our words: the vendor adapters write these, the fold reads them.

mod apply;
mod cached_entity;
mod details;
mod facts;
mod folded_entity;
mod json;
mod reason;
#[cfg(test)]
mod tests;
mod time;
mod versioned_fields;

pub use apply::{Arrival, EventOutcome, NeedsHistory, apply, has_effect};
pub use cached_entity::{CachedEntity, MaterializedStep, PendingSteps};
pub use details::{Detail, Details};
pub use facts::*;
pub use folded_entity::FoldedEntity;
pub use json::Json;
pub use reason::{Explanation, Reason, TransitionRule, Warning};
pub use time::{MAX_CLOCK_AHEAD, RawTimeField, TimeWarning, VendorTime};
pub use versioned_fields::{FieldValue, MergeOutcome, VersionedFields};

use crate::machine::EntityType;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The namespace of all derived ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_77a0_3c3e_5f8c_9b0e_2a5d_4c1e_8f37);

/// A text as all databases take it: PostgreSQL refuses the character U+0000 in text, so another stands for it. The body
/// keeps what the vendor sent.
pub fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}

/// What one delivery says.
#[derive(Debug, Default)]
pub struct ParsedDelivery {
    /// The vendor's name of the event.
    pub event: String,
    /// The vendor's own id of the news, where it gives one.
    pub vendor_event_id: Option<String>,
    /// The vendor's time of the news.
    pub occurred_at: VendorTime,
    /// What it means, parents before what hangs on them. Empty for an event we do not know, or that concerns nothing.
    pub events: Vec<Event>,
    /// Why there is nothing in `events`.
    pub no_effect: Option<NoEffect>,
}

impl ParsedDelivery {
    /// With all its texts as all databases take them.
    pub fn storable(mut self) -> Self {
        self.event = storable(self.event);
        self.no_effect = self.no_effect.map(|nothing| match nothing {
            NoEffect::Unrecognized(why) => NoEffect::Unrecognized(storable(why)),
            NoEffect::Recognized(what) => NoEffect::Recognized(storable(what)),
            NoEffect::Handshake { code } => NoEffect::Handshake { code: storable(code) },
        });
        self
    }
}

/// Why a delivery that could be read is about no entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoEffect {
    /// The adapter does not know such an event, or misses what it needs; says which.
    Unrecognized(String),
    /// Known, and without effect on any entity: a test, a handshake; says what it is.
    Recognized(String),
    /// The vendor asks to confirm with this code that the URL is ours.
    Handshake { code: String },
}

/// One piece of news about one entity.
#[derive(Debug)]
pub struct Event {
    pub entity: EntityRef,
    pub state_claim: StateClaim,
    /// The vendor's time, by which the news is ordered.
    pub occurred_at: VendorTime,
    /// What the entity hangs on.
    pub parent: Option<EntityRef>,
    /// The vendor's id of the inspection it belongs to.
    pub inspection_external_id: Option<String>,
    /// Why no inspection is named although there must be one.
    pub orphan_reason: Option<&'static str>,
    pub reference: Option<Reference>,
    pub group: Option<String>,
    pub facts: Vec<FactGroup>,
    pub details: Vec<(String, Box<RawValue>)>,
    /// Whether a field that should state a moment does not, beside [`Event::at`]; the field is among the details.
    pub invalid_time: bool,
}

/// An entity as a vendor names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityRef {
    pub entity_type: EntityType,
    pub external_id: String,
}

/// What an event says about the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateClaim {
    /// It is now the state with this vendor's word.
    Exact(String),
    /// It must have reached this state by now.
    AtLeast(&'static str),
    /// More was asked for, so that going back is to be expected.
    ReopenRequested,
    /// Nothing; but there are facts.
    FactsOnly,
}

/// The customer's own key for an entity, from one of the fields in which a vendor may report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub value: String,
    /// The field's place in the vendor's list, from 0. A smaller one wins over a greater one, whichever is newer.
    pub precedence: u8,
}

impl Reference {
    pub fn new(value: String, precedence: u8) -> Self {
        Reference { value: storable(value), precedence }
    }
}

impl EntityRef {
    /// An entity by what it is and the vendor's id for it.
    pub fn new(entity_type: EntityType, external_id: impl Into<String>) -> Self {
        EntityRef { entity_type, external_id: storable(external_id.into()) }
    }

    /// The public id: UUIDv5 (RFC 9562, section 5.5) of source, kind and the vendor's id, length-prefixed.
    pub fn id(&self, source: &str) -> Uuid {
        let mut name = Vec::with_capacity(64);
        for part in [source, self.entity_type.kind().as_str(), self.entity_type.subkind(), &self.external_id] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Uuid::new_v5(&NAMESPACE, &name)
    }
}

impl Event {
    /// News about an entity, so far without content.
    pub fn new(subject: EntityType, external_id: impl Into<String>) -> Self {
        Event {
            entity: EntityRef::new(subject, external_id),
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

    /// It is now in the state with this vendor's word.
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state_claim = StateClaim::Exact(storable(state.into()));
        self
    }

    /// It must have reached this state by now.
    pub fn at_least(mut self, state: &'static str) -> Self {
        self.state_claim = StateClaim::AtLeast(state);
        self
    }

    /// More was asked for.
    pub fn reopen_requested(mut self) -> Self {
        self.state_claim = StateClaim::ReopenRequested;
        self
    }

    /// The vendor's time of the news.
    pub fn occurred_at(mut self, at: impl Into<VendorTime>) -> Self {
        self.occurred_at = at.into();
        self
    }

    /// It hangs on this.
    pub fn parent(mut self, subject: EntityType, external_id: impl Into<String>) -> Self {
        self.parent = Some(EntityRef::new(subject, external_id));
        self
    }

    /// It belongs to the inspection with this vendor's id.
    pub fn inspection(mut self, inspection: impl Into<String>) -> Self {
        self.inspection_external_id = Some(inspection.into());
        self
    }

    /// It belongs to an inspection that the vendor does not name here; says why.
    pub fn orphan_reason(mut self, why: &'static str) -> Self {
        self.orphan_reason = Some(why);
        self
    }

    /// The customer's own key for it.
    pub fn reference(mut self, reference: Option<Reference>) -> Self {
        self.reference = reference;
        self
    }

    /// What it shares with others.
    pub fn group(mut self, group: Option<String>) -> Self {
        self.group = group.map(storable);
        self
    }

    /// Adds typed facts.
    pub fn fact(mut self, fact: impl Into<FactGroup>) -> Self {
        self.facts.push(fact.into());
        self
    }

    /// Adds what has no typed field.
    pub fn details(mut self, details: impl Into<Details>) -> Self {
        self.add_details(details);
        self
    }

    /// Adds what has no typed field.
    pub fn add_details(&mut self, details: impl Into<Details>) {
        let details = details.into();
        self.invalid_time |= details.invalid_time;
        details.add_to(&mut self.details);
    }

    /// All fields that it reports, typed or not.
    pub fn field_values(&self) -> Vec<FieldValue> {
        let facts = self.facts.iter().flat_map(FieldValue::from_fact);
        facts.chain(self.details.iter().map(|(name, value)| FieldValue::from_detail(name, value.clone()))).collect()
    }
}
