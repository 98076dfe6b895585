//! The vendors we understand, one file each. An adapter is pure: raw bytes in, a [`Reading`] out, and nothing of the
//! vendor's payload types leaves its file. To add a vendor, write its file and add a line to [`ALL`].

mod body;
pub mod fields;
mod hover;
mod pave;
mod record360;
pub mod signature;
mod truepic;
mod truto;
pub mod verify;

pub use signature::{Denied, Message, Secret, Signature};

use crate::event::Reading;
use crate::machine::{Machine, Subject};

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
    /// How it signs its deliveries; none if it does not.
    pub signature: Option<Signature>,
    /// What a delivery says whose body is JSON, or what else the vendor sends: see [`Vendor::reading`].
    pub read: fn(&Delivery<'_>) -> Result<Reading, Unreadable>,
}

/// What an adapter gets to see of a delivery.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The `Content-Type` header as sent.
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// Why a delivery's body cannot be read, in words for an operator; never quotes the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Vendor {
    /// Parses a delivery. A form that holds JSON is read as that JSON, for every vendor.
    ///
    /// # Errors
    /// If the body cannot be read; the error says what it is.
    pub fn reading(&self, delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
        let body = body::to_json(delivery.content_type, delivery.body)?;
        (self.read)(&Delivery { body: &body, ..*delivery })
    }

    /// The machine of a kind of entity, if that kind has states.
    pub fn machine(&self, subject: Subject) -> Option<&'static Machine> {
        self.machines.iter().find(|machine| machine.subject == subject)
    }
}

/// The vendor with this name.
pub fn by_name(name: &str) -> Option<&'static Vendor> {
    ALL.iter().copied().find(|vendor| vendor.name == name)
}
