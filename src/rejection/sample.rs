//! Requests that wait to be examined. Bodies and headers are kept in memory until then, and bounded in bytes.

use super::log::RecordPlace;
use crate::vendor::verify::WebhookRequest;
use axum::body::Bytes;
use axum::http::HeaderMap;
use chrono::DateTime;
use std::collections::VecDeque;

/// Requests that wait, and their bytes.
const MAX_SAMPLES: usize = 32;
const MAX_SAMPLE_BYTES: usize = 1 << 20;
/// A larger body is not examined: each attempt reads all of it.
const MAX_BODY_BYTES: usize = 64 << 10;

/// A refused request. It holds credentials: it is neither printed nor stored.
pub struct Sample {
    pub place: RecordPlace,
    pub source: String,
    pub headers: HeaderMap,
    pub path: String,
    pub query: Option<String>,
    pub body: Bytes,
    /// In microseconds.
    pub received_at: i64,
}

#[derive(Default)]
pub struct SampleQueue {
    samples: VecDeque<Sample>,
    bytes: usize,
}

impl Sample {
    pub fn request(&self) -> WebhookRequest<'_> {
        let Sample { headers, path, query, body, received_at, .. } = self;
        let now = DateTime::from_timestamp_micros(*received_at).unwrap_or_default();
        WebhookRequest { headers, path, query: query.as_deref(), body, now }
    }

    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        headers + self.path.len() + self.query.as_ref().map_or(0, String::len) + self.body.len()
    }
}

impl SampleQueue {
    /// Adds a request with this body if there is room. Returns whether there was.
    pub fn push(&mut self, body: &Bytes, sample: impl FnOnce(&Bytes) -> Sample) -> bool {
        if self.samples.len() >= MAX_SAMPLES || body.len() > MAX_BODY_BYTES || self.bytes >= MAX_SAMPLE_BYTES {
            return false;
        }
        let sample = sample(body);
        let bytes = self.bytes + sample.bytes();
        if bytes > MAX_SAMPLE_BYTES {
            return false;
        }
        self.bytes = bytes;
        self.samples.push_back(sample);
        true
    }

    pub fn pop(&mut self) -> Option<Sample> {
        let sample = self.samples.pop_front()?;
        self.bytes -= sample.bytes();
        Some(sample)
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl std::fmt::Debug for SampleQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleQueue").field("samples", &self.samples.len()).field("bytes", &self.bytes).finish()
    }
}
