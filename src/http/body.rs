//! Reading a request's body: one function with the limits of encoding, size and time, for webhooks and GraphQL.

use super::{Problem, content_encoding};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// # Errors
/// If the body is compressed, larger than `limit` bytes, announced or sent, does not arrive within `timeout`, or breaks off.
pub async fn read_body(headers: &HeaderMap, body: Body, limit: usize, timeout: Duration) -> Result<Bytes, Problem> {
    if let Some(coding) = content_encoding::content_coding(headers) {
        return Err(Problem::UnsupportedContentEncoding(coding));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::BodyTooLarge(limit));
    }
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Err(_) => Err(Problem::BodyTimeout),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::BodyTooLarge(limit)),
        Ok(Err(_)) => Err(Problem::IncompleteBody),
    }
}
