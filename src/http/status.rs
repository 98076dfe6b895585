//! What operators and machines ask: alive, ready, metrics, schema.

use super::{App, Problem};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// `GET /healthz`: the process answers.
pub async fn alive() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"alive"}"#).into_response()
}

/// `GET /readyz`: the database answers and is migrated.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let (code, status) = match app.db.is_ready().await {
        Ok(true) => (StatusCode::OK, "ready"),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "the database is not migrated to this version"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    };
    (code, [(header::CONTENT_TYPE, "application/json")], json!({ "status": status }).to_string()).into_response()
}

/// `GET /metrics`: the Prometheus text format.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let Some(handle) = &app.metrics else { return Problem::NoSuchRoute.into_response() };
    metrics::gauge!("inspection_hub_subscriptions").set(app.live.followers() as f64);
    metrics::gauge!("inspection_hub_shared_executions").set(app.live.shared() as f64);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response()
}

/// `GET /schema.graphql`: the schema in its definition language.
pub async fn schema() -> Response {
    ([(header::CONTENT_TYPE, "application/graphql; charset=utf-8")], crate::graphql::sdl()).into_response()
}
