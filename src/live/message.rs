//! Messages for subscribers: responses, serialised once for all of them.

use crate::graphql::ApiError;
use async_graphql::{Response, ServerError};
use bytes::Bytes;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum StreamMessage {
    /// Responses, in order.
    Next(Payloads),
    /// The operation ends with errors: a JSON array of them.
    Error(Bytes),
}

/// The responses of a batch, from one of them on.
#[derive(Clone, Debug)]
pub struct Payloads {
    batch: Arc<MessageBatch>,
    start_index: usize,
    /// Responses about changes up to this position are left out.
    after: i64,
}

/// Responses that were ready at the same time.
#[derive(Debug, Default)]
pub struct MessageBatch {
    /// The index of the first one, counted from the start of its execution.
    pub first_index: u64,
    pub entries: Vec<BatchEntry>,
}

#[derive(Debug)]
pub struct BatchEntry {
    /// The position of the change that it is about; 0 if it is about none.
    pub position: i64,
    /// A JSON object with `data`, `errors` or both.
    pub payload: Bytes,
}

impl MessageBatch {
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

    pub fn single(entry: BatchEntry) -> Self {
        Payloads::new(Arc::new(MessageBatch { first_index: 0, entries: vec![entry] }), 0, i64::MIN)
    }

    pub fn entries(&self) -> impl Iterator<Item = &BatchEntry> {
        let entries = self.batch.entries.get(self.start_index..).unwrap_or_default();
        entries.iter().filter(|entry| entry.position > self.after)
    }

    /// How many there are, and the sum of their bytes.
    pub fn count_and_bytes(&self) -> (usize, usize) {
        self.entries().fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.payload.len()))
    }

    /// The newest position of the batch.
    pub fn last_position(&self) -> Option<i64> {
        self.batch.entries.last().map(|entry| entry.position)
    }
}

/// A response as JSON. One that cannot be serialised becomes a response that says so.
pub fn serialize_response(response: &Response) -> Bytes {
    serde_json::to_vec(response).map(Bytes::from).unwrap_or_else(|error| {
        let error = ApiError::internal(format!("a response cannot be serialised: {error}"));
        serde_json::to_vec(&error.into_graphql_response()).unwrap_or_default().into()
    })
}

pub fn serialize_errors(errors: &[ServerError]) -> Bytes {
    serde_json::to_vec(errors).map(Bytes::from).unwrap_or_else(|_| Bytes::from_static(b"[]"))
}

/// One error that belongs to no field.
pub fn error_payload(error: ApiError) -> Bytes {
    serialize_errors(&[error.into_server_error()])
}
