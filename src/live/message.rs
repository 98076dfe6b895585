//! What subscribers are told: answers, serialised once for all of them.

use crate::graphql::ApiError;
use async_graphql::{Response, ServerError};
use bytes::Bytes;
use std::sync::Arc;

/// News for one subscriber.
#[derive(Clone, Debug)]
pub enum StreamMessage {
    /// Answers, in order.
    Next(Payloads),
    /// It ends with errors: a JSON array of them.
    Error(Bytes),
}

/// Answers that stand together, from one of them on.
#[derive(Clone, Debug)]
pub struct Payloads {
    batch: Arc<MessageBatch>,
    start_index: usize,
    /// Those up to this position are left out.
    after: i64,
}

/// Answers that were ready at the same time.
#[derive(Debug, Default)]
pub struct MessageBatch {
    /// The number of the first one, counted from the beginning of its tail.
    pub first_index: u64,
    pub entries: Vec<BatchEntry>,
}

/// One answer.
#[derive(Debug)]
pub struct BatchEntry {
    /// The position of the change it is about.
    pub position: i64,
    /// JSON.
    pub payload: Bytes,
}

impl MessageBatch {
    /// The number that follows the last one.
    pub fn end_index(&self) -> u64 {
        self.first_index + self.entries.len() as u64
    }

    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.payload.len()).sum()
    }
}

impl Payloads {
    pub fn new(batch: Arc<MessageBatch>, start_index: usize, after: i64) -> Self {
        Payloads { batch, start_index, after }
    }

    /// Each answer, with the position of the change it is about; 0 if it is about none.
    pub fn entries(&self) -> impl Iterator<Item = &BatchEntry> {
        let entries = self.batch.entries.get(self.start_index..).unwrap_or_default();
        entries.iter().filter(|entry| entry.position > self.after)
    }

    /// Each answer as JSON: an object with `data`, `errors` or both.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.entries().map(|entry| &entry.payload)
    }

    /// How many there are, and their bytes together.
    pub fn count_and_bytes(&self) -> (usize, usize) {
        self.iter().fold((0, 0), |(count, bytes), payload| (count + 1, bytes + payload.len()))
    }

    /// The newest position.
    pub fn last_position(&self) -> Option<i64> {
        self.batch.entries.last().map(|entry| entry.position)
    }
}

/// An answer as JSON. What cannot be printed is our fault, and becomes an answer that says so.
pub fn serialize_response(answer: &Response) -> Bytes {
    serde_json::to_vec(answer).map(Bytes::from).unwrap_or_else(|error| {
        let fault = ApiError::internal(format!("an answer cannot be printed: {error}"));
        serde_json::to_vec(&fault.into_graphql_response()).unwrap_or_default().into()
    })
}

/// Errors as JSON.
pub fn serialize_errors(errors: &[ServerError]) -> Bytes {
    serde_json::to_vec(errors).map(Bytes::from).unwrap_or_else(|_| Bytes::from_static(b"[]"))
}

/// A fault of no field.
pub fn error_payload(fault: ApiError) -> Bytes {
    serialize_errors(&[fault.into_server_error()])
}
