//! The vendors we understand, one file each. An adapter is pure: raw bytes in, a [`Reading`] out, and nothing of the
//! vendor's payload types leaves its file. To add a vendor, write its file and add a line to [`ALL`].

mod body;
pub mod fields;
mod hover;
mod lookup;
mod moment;
mod pave;
mod record360;
mod reference;
pub mod signature;
mod spelling;
mod truepic;
mod truto;
pub mod verify;

pub use reference::reference;
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
    /// The fields that state the customer's own key for an inspection, a job or an account: the first wins over those
    /// after it, whichever is newer. The adapter reads them with [`reference()`].
    pub references: &'static [&'static str],
    /// How it signs its deliveries; none if it does not.
    pub signature: Option<Signature>,
    /// What a delivery says, in the vendor's spelling, whose body is JSON or what else the vendor sends: see
    /// [`Vendor::reading`].
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
    /// Parses a delivery, with the words of states as the machines declare them. A form that holds JSON is read as that JSON,
    /// for every vendor.
    ///
    /// # Errors
    /// If the body cannot be read; the error says what it is.
    pub fn reading(&self, delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
        let body = body::to_json(delivery.content_type, delivery.body)?;
        let reading = (self.read)(&Delivery { body: &body, ..*delivery })?;
        Ok(spelling::with_declared_states(reading, self))
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

#[cfg(test)]
mod tests;
