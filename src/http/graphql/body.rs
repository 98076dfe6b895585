//! The body of a `POST`: JSON, uncompressed, within size and time.

use super::batch_size_error;
use super::response::RequestRejection;
use crate::graphql::ApiError;
use crate::http::media_type::MediaRange;
use crate::http::{AppState, content_encoding};
use crate::request::{Params, limits};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::value::RawValue;

/// What came.
pub enum GraphqlBody {
    Single(Params),
    Batch(Vec<Params>),
}

/// Reads a body.
pub async fn read(app: &AppState, headers: &HeaderMap, body: Body) -> Result<GraphqlBody, RequestRejection> {
    is_json(headers)?;
    let bytes = bytes(app, headers, body).await?;
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Ok(GraphqlBody::Single(Params::from_json(&bytes)?));
    }
    let batch: Vec<&RawValue> = serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::bad_request(format!("the body is no JSON: {error}"), "Send one request, a JSON object.")
    })?;
    if !app.limits.graphql_batching {
        return Err(ApiError::bad_request("batches are not taken here", "Send one request, a JSON object.").into());
    }
    if batch.is_empty() || batch.len() as u64 > limits::MAX_BATCH_REQUESTS {
        return Err(batch_size_error(batch.len()).into());
    }
    let batch: Result<_, ApiError> = batch.iter().map(|one| Params::from_json(one.get().as_bytes())).collect();
    Ok(GraphqlBody::Batch(batch?))
}

async fn bytes(app: &AppState, headers: &HeaderMap, body: Body) -> Result<Bytes, RequestRejection> {
    let limit = app.limits.graphql_body;
    let too_large = || {
        let text = format!("the body is over the limit of {limit} bytes");
        RequestRejection::closing_connection(
            StatusCode::PAYLOAD_TOO_LARGE,
            text,
            "Send a smaller document, or fewer variables.",
        )
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(app.limits.body_timeout, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(RequestRejection::closing_connection(
            StatusCode::BAD_REQUEST,
            "the body did not arrive whole",
            "Send it again.",
        )),
        Err(_) => Err(RequestRejection::closing_connection(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
            "Send it faster.",
        )),
    }
}

fn is_json(headers: &HeaderMap) -> Result<(), RequestRejection> {
    let unsupported =
        |text: &str, hint: &str| RequestRejection::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, text, hint);
    if let Some(coding) = content_encoding::content_coding(headers) {
        let text = format!("the body has the content encoding {coding}");
        return Err(unsupported(&text, "Send it uncompressed, without Content-Encoding."));
    }
    let media =
        MediaRange::from_header(headers, header::CONTENT_TYPE).filter(|media| media.name() == "application/json");
    let Some(media) = media else {
        let hint = "Send it with the header Content-Type: application/json.";
        return Err(unsupported("the body must be JSON", hint));
    };
    if media.is_utf8() {
        return Ok(());
    }
    Err(unsupported("JSON is UTF-8", "Send it with charset=utf-8, or without a charset."))
}
