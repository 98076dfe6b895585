//! How the headers and the body of a delivery are stored: each as a zstd frame (RFC 8878), compressed with the dictionary of
//! the vendor, or both as they were received where that is shorter. [`StoredPayload::encode`] is the only place that compresses,
//! and [`DictionaryCache`] the only one that decompresses.
//!
//! A webhook of half a kilobyte repeats little within itself, but much of every other webhook of its vendor: a dictionary
//! contains that part. Each database stores the dictionaries that its rows need (table `payload_dictionary`), so that it can be
//! read by any version of the program, whatever dictionaries that version brings along.

mod codec;
mod dictionary;
#[cfg(test)]
mod tests;

pub use dictionary::{DictionaryCache, VendorDictionary};

use codec::compress;

/// The headers and the body of a delivery as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredPayload {
    /// The dictionary that both are compressed with; `None` if both are stored as they were received.
    pub dictionary_id: Option<i32>,
    pub headers: Vec<u8>,
    pub body: Vec<u8>,
    /// The size of the body as it was received, in bytes.
    pub body_size: i64,
}

/// Why a stored payload cannot be read, as the end of a sentence that begins with "delivery 7 has".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error("a payload that needs dictionary {0}, which is missing or damaged in the table payload_dictionary")]
    MissingDictionary(i32),
    #[error("a damaged payload: {part}: {reason}")]
    Damaged { part: &'static str, reason: &'static str },
}

impl StoredPayload {
    /// Compresses the payload of a delivery with the dictionary of its vendor.
    pub fn encode(vendor: &str, headers: &str, body: &[u8]) -> StoredPayload {
        match VendorDictionary::of(vendor) {
            Some(dictionary) => dictionary.encode(headers, body),
            None => StoredPayload::uncompressed(headers, body),
        }
    }

    /// A payload as it was received.
    pub fn uncompressed(headers: &str, body: &[u8]) -> StoredPayload {
        StoredPayload { dictionary_id: None, headers: headers.into(), body: body.into(), body_size: size_of_body(body) }
    }

    /// The number of bytes that are stored.
    pub fn bytes(&self) -> usize {
        self.headers.len() + self.body.len()
    }
}

impl VendorDictionary {
    /// Compresses a payload, unless that makes it longer.
    pub fn encode(&'static self, headers: &str, body: &[u8]) -> StoredPayload {
        let compressed = || {
            let (headers, body_size) = (compress(headers.as_bytes(), self)?, size_of_body(body));
            Some(StoredPayload { dictionary_id: Some(self.id), headers, body: compress(body, self)?, body_size })
        };
        let is_shorter = |stored: &StoredPayload| stored.bytes() < headers.len() + body.len();
        compressed().filter(is_shorter).unwrap_or_else(|| StoredPayload::uncompressed(headers, body))
    }
}

fn size_of_body(body: &[u8]) -> i64 {
    i64::try_from(body.len()).unwrap_or(i64::MAX)
}
