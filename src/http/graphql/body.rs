//! The body of a `POST`: JSON in UTF-8, one request or a batch.

use super::response::RequestRejection;
use crate::graphql::ApiError;
use crate::http::body::read_body;
use crate::http::media_type::MediaRange;
use crate::http::{AppState, Problem};
use crate::request::{Params, limits};
use crate::settings::Settings;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::value::RawValue;

pub enum GraphqlBody {
    Single(Params),
    Batch(Vec<Params>),
}

pub async fn read(app: &AppState, headers: &HeaderMap, body: Body) -> Result<GraphqlBody, RequestRejection> {
    check_media_type(headers)?;
    let Settings { graphql_body_limit, body_timeout, graphql_batching, .. } = app.settings;
    let bytes = read_body(headers, body, graphql_body_limit, body_timeout).await.map_err(rejection)?;
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Ok(GraphqlBody::Single(Params::from_json(&bytes)?));
    }
    let batch: Vec<&RawValue> = serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::bad_request(format!("the body is no JSON: {error}"), "Send one request, a JSON object.")
    })?;
    if !graphql_batching {
        return Err(ApiError::bad_request("batches are not taken here", "Send one request, a JSON object.").into());
    }
    let (count, max) = (batch.len(), limits::MAX_BATCH_REQUESTS);
    if count == 0 || count as u64 > max {
        let error = ApiError::bad_request(
            format!("a batch has 1 to {max} requests, and this one has {count}"),
            "Send them in several batches, or one by one.",
        );
        return Err(error.into());
    }
    let batch: Result<_, ApiError> = batch.iter().map(|one| Params::from_json(one.get().as_bytes())).collect();
    Ok(GraphqlBody::Batch(batch?))
}

fn rejection(problem: Problem) -> RequestRejection {
    let (message, hint) = match &problem {
        Problem::UnsupportedContentEncoding(coding) => {
            let message = format!("the body has the content encoding {coding}");
            let hint = "Send it uncompressed, without Content-Encoding.";
            return RequestRejection::with_status(problem.status(), message, hint);
        }
        Problem::BodyTooLarge(_) => (problem.to_string(), "Send a smaller document, or fewer variables."),
        Problem::BodyTimeout => (problem.to_string(), "Send it faster."),
        _ => (problem.to_string(), "Send it again."),
    };
    // The rest of the body is not read, so the connection cannot be used again.
    let rejection = RequestRejection::with_status(problem.status(), message, hint);
    RequestRejection { header: Some(&("connection", "close")), ..rejection }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), RequestRejection> {
    let unsupported = |text, hint| RequestRejection::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, text, hint);
    match MediaRange::from_header(headers, header::CONTENT_TYPE) {
        Some(media) if media.name() == "application/json" && media.is_utf8() => Ok(()),
        Some(media) if media.name() == "application/json" => {
            Err(unsupported("JSON is UTF-8", "Send it with charset=utf-8, or without a charset."))
        }
        _ => Err(unsupported("the body must be JSON", "Send it with the header Content-Type: application/json.")),
    }
}
