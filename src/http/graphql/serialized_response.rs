//! A response as it is sent: its bytes, and what its HTTP status depends on. A clone shares the bytes.

use crate::graphql::{ApiError, is_request_error};
use async_graphql::{Response, Value};
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

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOutcome {
    Success,
    /// Some fields failed.
    Partial,
    /// Nothing was executed.
    RequestError,
    TimedOut,
    /// The response could not be made.
    InternalError,
}

impl SerializedResponse {
    pub async fn of(response: Response) -> SerializedResponse {
        if is_request_error(&response) {
            return SerializedResponse::request_error(&response);
        }
        let outcome = if response.errors.is_empty() { ResponseOutcome::Success } else { ResponseOutcome::Partial };
        let body = GraphQLResponse::from(response).into_response().into_body();
        // The body is in memory.
        match body.collect().await {
            Ok(body) => SerializedResponse { json: body.to_bytes(), outcome },
            Err(error) => SerializedResponse::internal_error(&error),
        }
    }

    /// Nothing was executed: there is no `data`.
    pub fn request_error(response: &Response) -> SerializedResponse {
        let outcome = if is_timeout(response) { ResponseOutcome::TimedOut } else { ResponseOutcome::RequestError };
        match serde_json::to_vec(&json!({ "errors": response.errors })) {
            Ok(json) => SerializedResponse { json: json.into(), outcome },
            Err(error) => SerializedResponse::internal_error(&error),
        }
    }

    /// There is no response. The log has the reason.
    pub fn internal_error(why: &impl Display) -> SerializedResponse {
        let error = ApiError::internal(format!("no response could be made: {why}"));
        let json = json!({ "errors": error.into_graphql_response().errors }).to_string();
        SerializedResponse { json: json.into(), outcome: ResponseOutcome::InternalError }
    }
}

fn is_timeout(response: &Response) -> bool {
    let codes = response.errors.iter().filter_map(|error| error.extensions.as_ref()?.get("code"));
    codes.into_iter().any(|code| *code == Value::from("TIMEOUT"))
}
