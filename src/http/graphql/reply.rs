//! An answer as it is sent: its bytes, and what HTTP must know of it. Copying it copies no byte.

use crate::graphql::{Fault, is_request_error};
use async_graphql::{Response as Answer, Value};
use async_graphql_axum::GraphQLResponse;
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;
use std::fmt::Display;

#[derive(Clone, Debug)]
pub struct Reply {
    pub json: Bytes,
    pub standing: Standing,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Good,
    /// Some of its fields failed.
    Partial,
    /// Nothing was executed.
    Refused,
    /// It took too long.
    Late,
    /// It could not be printed.
    Failed,
}

impl Reply {
    pub async fn of(answer: Answer) -> Reply {
        if is_request_error(&answer) {
            return Reply::refused(&answer);
        }
        let standing = if answer.errors.is_empty() { Standing::Good } else { Standing::Partial };
        let body = GraphQLResponse::from(answer).into_response().into_body();
        // It is in memory already.
        match body.collect().await {
            Ok(body) => Reply { json: body.to_bytes(), standing },
            Err(error) => Reply::failed(&error),
        }
    }

    /// Nothing was executed: there is no `data`.
    pub fn refused(answer: &Answer) -> Reply {
        let standing = if is_timeout(answer) { Standing::Late } else { Standing::Refused };
        match serde_json::to_vec(&json!({ "errors": answer.errors })) {
            Ok(json) => Reply { json: json.into(), standing },
            Err(error) => Reply::failed(&error),
        }
    }

    /// There is no answer for this reason, which stands in the log.
    pub fn failed(why: &impl Display) -> Reply {
        let fault = Fault::corrupt(format!("no answer could be made: {why}"));
        let json = json!({ "errors": fault.answer().errors }).to_string();
        Reply { json: json.into(), standing: Standing::Failed }
    }
}

fn is_timeout(answer: &Answer) -> bool {
    let codes = answer.errors.iter().filter_map(|error| error.extensions.as_ref()?.get("code"));
    codes.into_iter().any(|code| *code == Value::from("TIMEOUT"))
}
