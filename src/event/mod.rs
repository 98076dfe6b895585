//! What a delivery says, in our words: the vendor adapters write these, the fold reads them.

mod apply;
mod details;
mod entity;
mod facts;
mod json;
mod known;
mod reason;
#[cfg(test)]
mod tests;
mod time;

pub use apply::{Arrival, Change, Needs, Placed, Slot, Written, apply, effective};
pub use details::{Detail, Details};
pub use entity::Entity;
pub use facts::*;
pub use json::Json;
pub use known::{Known, Learned, Said};
pub use time::{MAX_CLOCK_AHEAD, Stated, TimeWarning, VendorTime};

use crate::machine::Subject;
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
pub struct Reading {
    /// The vendor's name of the event.
    pub event: String,
    /// The vendor's own id of the news, where it gives one.
    pub news_id: Option<String>,
    /// The vendor's time of the news.
    pub occurred_at: VendorTime,
    /// What it means, parents before what hangs on them. Empty for an event we do not know, or that concerns nothing.
    pub events: Vec<Event>,
    /// Why there is nothing in `events`.
    pub nothing: Option<Nothing>,
}

impl Reading {
    /// With all its texts as all databases take them.
    pub fn storable(mut self) -> Self {
        self.event = storable(self.event);
        self.nothing = self.nothing.map(|nothing| match nothing {
            Nothing::Unrecognized(why) => Nothing::Unrecognized(storable(why)),
            Nothing::Known(what) => Nothing::Known(storable(what)),
            Nothing::Handshake { code } => Nothing::Handshake { code: storable(code) },
        });
        self
    }
}

/// Why a delivery that could be read is about no entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The adapter does not know such an event, or misses what it needs; says which.
    Unrecognized(String),
    /// Known, and without effect on any entity: a test, a handshake; says what it is.
    Known(String),
    /// The vendor asks to confirm with this code that the URL is ours.
    Handshake { code: String },
}

/// One piece of news about one entity.
#[derive(Debug)]
pub struct Event {
    pub about: Ref,
    pub news: News,
    /// The vendor's time, by which the news is ordered.
    pub at: VendorTime,
    /// What the entity hangs on.
    pub parent: Option<Ref>,
    /// The vendor's id of the inspection it belongs to.
    pub inspection: Option<String>,
    /// Why no inspection is named although there must be one.
    pub orphan: Option<&'static str>,
    pub reference: Option<Reference>,
    pub group: Option<String>,
    pub facts: Vec<Fact>,
    pub details: Vec<(String, Box<RawValue>)>,
    /// Whether a field that should state a moment does not, beside [`Event::at`]; the field is among the details.
    pub misread_time: bool,
}

/// An entity as a vendor names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ref {
    pub subject: Subject,
    pub external_id: String,
}

/// What an event says about the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is now the state with this vendor's word.
    State(String),
    /// It must have reached this state by now.
    AtLeast(&'static str),
    /// More was asked for, so that going back is to be expected.
    Requested,
    /// Nothing; but there are facts.
    Facts,
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

impl Ref {
    /// An entity by what it is and the vendor's id for it.
    pub fn new(subject: Subject, external_id: impl Into<String>) -> Self {
        Ref { subject, external_id: storable(external_id.into()) }
    }

    /// The public id: UUIDv5 (RFC 9562, section 5.5) of source, kind and the vendor's id, length-prefixed.
    pub fn id(&self, source: &str) -> Uuid {
        let mut name = Vec::with_capacity(64);
        for part in [source, self.subject.kind().as_str(), self.subject.subkind(), &self.external_id] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Uuid::new_v5(&NAMESPACE, &name)
    }
}

impl Event {
    /// News about an entity, so far without content.
    pub fn about(subject: Subject, external_id: impl Into<String>) -> Self {
        Event {
            about: Ref::new(subject, external_id),
            news: News::Facts,
            at: VendorTime::default(),
            parent: None,
            inspection: None,
            orphan: None,
            reference: None,
            group: None,
            facts: Vec::new(),
            details: Vec::new(),
            misread_time: false,
        }
    }

    /// It is now in the state with this vendor's word.
    pub fn is(mut self, state: impl Into<String>) -> Self {
        self.news = News::State(storable(state.into()));
        self
    }

    /// It must have reached this state by now.
    pub fn at_least(mut self, state: &'static str) -> Self {
        self.news = News::AtLeast(state);
        self
    }

    /// More was asked for.
    pub fn requested(mut self) -> Self {
        self.news = News::Requested;
        self
    }

    /// The vendor's time of the news.
    pub fn at(mut self, at: impl Into<VendorTime>) -> Self {
        self.at = at.into();
        self
    }

    /// It hangs on this.
    pub fn under(mut self, subject: Subject, external_id: impl Into<String>) -> Self {
        self.parent = Some(Ref::new(subject, external_id));
        self
    }

    /// It belongs to the inspection with this vendor's id.
    pub fn of(mut self, inspection: impl Into<String>) -> Self {
        self.inspection = Some(inspection.into());
        self
    }

    /// It belongs to an inspection that the vendor does not name here; says why.
    pub fn orphan(mut self, why: &'static str) -> Self {
        self.orphan = Some(why);
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
    pub fn fact(mut self, fact: impl Into<Fact>) -> Self {
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
        self.misread_time |= details.misread_time;
        details.add_to(&mut self.details);
    }

    /// All fields that it reports, typed or not.
    pub fn said(&self) -> Vec<Said> {
        let facts = self.facts.iter().flat_map(Said::facts);
        facts.chain(self.details.iter().map(|(name, value)| Said::detail(name, value.clone()))).collect()
    }
}
