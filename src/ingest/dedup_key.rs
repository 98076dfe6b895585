//! What makes two deliveries the same.

use crate::event::ParsedDelivery;
use sha2::{Digest, Sha256};

/// What makes news the same as other news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupKey {
    /// The first 64 bits of SHA-256 over the length-prefixed parts. They need to tell apart the news about one entity.
    hash: i64,
    /// Whether the same digest is new news after a reopening: the body carries neither an id nor a time.
    pub per_cycle: bool,
}

impl DedupKey {
    /// By the vendor's id of the news where there is one, else by the body.
    pub fn of(source: &str, body: &[u8], reading: Option<&ParsedDelivery>) -> Self {
        let news_id = reading.and_then(|reading| reading.vendor_event_id.as_deref());
        let (scheme, content) = match news_id {
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
        let timed = reading.is_some_and(|reading| reading.occurred_at.at().is_some());
        DedupKey { hash: i64::from_be_bytes(bits), per_cycle: news_id.is_none() && !timed }
    }

    /// The digest within a cycle; for news that carries its own id or time there is only the cycle 0.
    pub fn for_cycle(self, cycle: i32) -> i64 {
        // An odd factor (2^64 divided by the golden ratio) takes different cycles to different numbers.
        self.hash ^ i64::from(cycle).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())
    }
}
