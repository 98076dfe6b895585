//! The vendors we understand, one file each. An adapter is pure: raw bytes in, a [`Reading`] out, and nothing of the
//! vendor's payload types leaves its file. To add a vendor, write its file and add a line to [`ALL`].

mod body;
mod canonical_names;
pub mod fields;
mod hover;
mod lookup;
mod pave;
mod record360;
mod reference;
pub mod signature;
mod timestamp;
mod truepic;
mod truto;
pub mod verify;

pub use reference::read_reference;
pub use signature::{Secret, SignatureError, SignatureScheme, SignedMessage};

use crate::event::ParsedDelivery;
use crate::machine::{EntityType, Machine};

/// Every vendor we understand.
pub const ALL: &[&Vendor] = &[&truepic::VENDOR, &pave::VENDOR, &hover::VENDOR, &truto::VENDOR, &record360::VENDOR];

/// A company whose webhooks we understand.
#[derive(Debug)]
pub struct Vendor {
    /// The word for it in settings, SQL and the API.
    pub name: &'static str,
    /// The name it gives itself.
    pub title: &'static str,
    /// One machine per kind of entity that has states.
    pub machines: &'static [Machine],
    /// The fields that state the customer's own key for an inspection, a job or an account: the first wins over those
    /// after it, whichever is newer. The adapter reads them with [`reference()`].
    pub reference_paths: &'static [&'static str],
    /// How it signs its deliveries; none if it does not.
    pub signature: Option<SignatureScheme>,
    /// What a delivery says, in the vendor's spelling, whose body is JSON or what else the vendor sends: see
    /// [`Vendor::reading`].
    pub parse: fn(&DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable>,
}

/// What an adapter gets to see of a delivery.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryBody<'a> {
    /// The `Content-Type` header as sent.
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// Why a delivery's body cannot be read, in words for an operator; never quotes the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Vendor {
    /// Parses a delivery, with the words of states as the machines declare them. A form that holds JSON is read as that JSON,
    /// for every vendor.
    ///
    /// # Errors
    /// If the body cannot be read; the error says what it is.
    pub fn parse_delivery(&self, delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
        let body = body::extract_json(delivery.content_type, delivery.body)?;
        let reading = (self.parse)(&DeliveryBody { body: &body, ..*delivery })?;
        Ok(canonical_names::canonicalize_states(reading, self))
    }

    /// The machine of a kind of entity, if that kind has states.
    pub fn machine(&self, subject: EntityType) -> Option<&'static Machine> {
        self.machines.iter().find(|machine| machine.entity_type == subject)
    }
}

/// The vendor with this name.
pub fn by_name(name: &str) -> Option<&'static Vendor> {
    ALL.iter().copied().find(|vendor| vendor.name == name)
}

#[cfg(test)]
mod tests;
