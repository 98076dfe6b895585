//! The supported vendors, one file each. An adapter is a pure function from raw bytes to a [`ParsedDelivery`]; no payload
//! type of a vendor leaves its file. To add a vendor, write its file and add a line to [`ALL`].

mod body;
mod canonical_names;
pub mod fields;
mod hover;
mod pave;
mod record360;
mod reference;
pub mod signature;
mod timestamp;
mod truepic;
mod truto;
mod vendor_link;
pub mod verify;
mod waiting_rules;

pub use reference::read_reference;
pub use signature::{Secret, SignatureError, SignatureScheme, SignedMessage};
pub use vendor_link::VendorLink;
pub use waiting_rules::WaitingRules;

use crate::event::ParsedDelivery;
use crate::machine::{EntityType, Machine};

/// All supported vendors. This is the only list of them.
pub const ALL: &[&Vendor] = &[&truepic::VENDOR, &pave::VENDOR, &hover::VENDOR, &truto::VENDOR, &record360::VENDOR];

/// A company whose webhooks the hub understands.
#[derive(Debug)]
pub struct Vendor {
    /// Its name in settings, SQL and the API.
    pub name: &'static str,
    /// Its name as the company writes it.
    pub title: &'static str,
    /// One machine per entity type that has states.
    pub machines: &'static [Machine],
    /// The fields that contain the customer's own key for an inspection, a job or an account. The first one wins over those
    /// after it, whichever is newer. The adapter reads them with [`read_reference`].
    pub reference_paths: &'static [&'static str],
    /// `None` if it does not sign its deliveries.
    pub signature: Option<SignatureScheme>,
    /// Parses a body of the vendor's own format. States are in the vendor's spelling; see [`Vendor::parse_delivery`].
    pub parse: fn(&DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable>,
}

/// The part of a delivery that an adapter sees.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryBody<'a> {
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// Why a body cannot be read, for an operator. Never quotes the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Vendor {
    /// Parses a delivery. States are spelled as the machines declare them. A form that contains JSON is read as that JSON.
    ///
    /// # Errors
    /// If the body cannot be read. The error says what the body is instead.
    pub fn parse_delivery(&self, delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
        let body = body::extract_json(delivery.content_type, delivery.body)?;
        let mut parsed = (self.parse)(&DeliveryBody { body: &body, ..*delivery })?;
        parsed.events.iter_mut().for_each(|event| canonical_names::canonicalize_state(event, self));
        Ok(parsed)
    }

    pub fn machine(&self, entity_type: EntityType) -> Option<&'static Machine> {
        self.machines.iter().find(|machine| machine.entity_type == entity_type)
    }
}

pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|vendor| vendor.name)
}

pub fn by_name(name: &str) -> Option<&'static Vendor> {
    ALL.iter().copied().find(|vendor| vendor.name == name)
}

#[cfg(test)]
mod tests;
