//! The valid credentials of a running hub. A request needs no database statement: all keys are in memory, and a task in each
//! process reads them again when they have changed.
//!
//! `key_ring` finds the principal of a key, `active_key` is a key in memory, `refresh` keeps the ring current.

mod active_key;
mod jwt;
mod key_ring;
mod refresh;
#[cfg(test)]
mod tests;

pub use jwt::{TokenIssuers, TokenRefused};
pub use key_ring::KeyRing;
