//! The dedup key: equal keys mark duplicate deliveries.

use crate::event::ParsedDelivery;
use sha2::{Digest, Sha256};

/// A hash of what identifies a delivery among those about the same entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupKey {
    /// The first 64 bits of SHA-256 over the length-prefixed parts: enough within the history of one entity.
    hash: i64,
    /// Whether equal bytes are a new event after a reopening, because the body has neither an id nor a time.
    pub per_cycle: bool,
}

impl DedupKey {
    /// Hashes the vendor's event id if there is one, else the body.
    pub fn of(source: &str, body: &[u8], parsed: Option<&ParsedDelivery>) -> Self {
        let event_id = parsed.and_then(|parsed| parsed.vendor_event_id.as_deref());
        let (scheme, content) = match event_id {
            Some(id) => ("id", id.as_bytes()),
            None => ("body", body),
        };
        let mut hash = Sha256::new();
        for part in [source.as_bytes(), scheme.as_bytes(), content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut bits = [0; 8];
        bits.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
        let timed = parsed.is_some_and(|parsed| parsed.occurred_at.at.is_some());
        DedupKey { hash: i64::from_be_bytes(bits), per_cycle: event_id.is_none() && !timed }
    }

    /// The key within a cycle; always cycle 0 unless `per_cycle`.
    pub fn for_cycle(self, cycle: i32) -> i64 {
        // An odd factor (2^64 divided by the golden ratio) maps different cycles to different keys.
        self.hash ^ i64::from(cycle).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())
    }
}
