//! An answer as it is sent: its bytes, and what HTTP must know of it. Copying it copies no byte.

use crate::graphql::{ApiError, is_request_error};
use async_graphql::{Response as Answer, Value};
use async_graphql_axum::GraphQLResponse;
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;
use std::fmt::Display;

#[derive(Clone, Debug)]
pub struct SerializedResponse {
    pub json: Bytes,
    pub outcome: ResponseOutcome,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOutcome {
    Success,
    /// Some of its fields failed.
    Partial,
    /// Nothing was executed.
    RequestError,
    /// It took too long.
    TimedOut,
    /// It could not be printed.
    InternalError,
}

impl SerializedResponse {
    pub async fn of(answer: Answer) -> SerializedResponse {
        if is_request_error(&answer) {
            return SerializedResponse::request_error(&answer);
        }
        let standing = if answer.errors.is_empty() { ResponseOutcome::Success } else { ResponseOutcome::Partial };
        let body = GraphQLResponse::from(answer).into_response().into_body();
        // It is in memory already.
        match body.collect().await {
            Ok(body) => SerializedResponse { json: body.to_bytes(), outcome: standing },
            Err(error) => SerializedResponse::internal_error(&error),
        }
    }

    /// Nothing was executed: there is no `data`.
    pub fn request_error(answer: &Answer) -> SerializedResponse {
        let standing = if is_timeout(answer) { ResponseOutcome::TimedOut } else { ResponseOutcome::RequestError };
        match serde_json::to_vec(&json!({ "errors": answer.errors })) {
            Ok(json) => SerializedResponse { json: json.into(), outcome: standing },
            Err(error) => SerializedResponse::internal_error(&error),
        }
    }

    /// There is no answer for this reason, which stands in the log.
    pub fn internal_error(why: &impl Display) -> SerializedResponse {
        let fault = ApiError::internal(format!("no answer could be made: {why}"));
        let json = json!({ "errors": fault.into_graphql_response().errors }).to_string();
        SerializedResponse { json: json.into(), outcome: ResponseOutcome::InternalError }
    }
}

fn is_timeout(answer: &Answer) -> bool {
    let codes = answer.errors.iter().filter_map(|error| error.extensions.as_ref()?.get("code"));
    codes.into_iter().any(|code| *code == Value::from("TIMEOUT"))
}
