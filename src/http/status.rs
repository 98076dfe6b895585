//! What operators and machines ask: alive, ready, metrics, schema.

use super::{App, Problem};
use crate::ingest::Unavailable;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;

/// Longer than that, nobody waits to hear whether it is ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /healthz`: the process answers.
pub async fn alive() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"alive"}"#).into_response()
}

/// `GET /readyz`: the database is migrated, can be read, and takes what is written.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    match tokio::time::timeout(PATIENCE, readiness(&app)).await {
        Ok(Ok(())) => ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ready"}"#).into_response(),
        Ok(Err(why)) => Problem::NotReady(why).into_response(),
        Err(_) => Problem::NotReady("the database does not answer in time").into_response(),
    }
}

async fn readiness(app: &App) -> Result<(), &'static str> {
    let migrated = app.db.is_ready().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        "the database does not answer"
    })?;
    if !migrated {
        return Err("the database is not migrated to this version");
    }
    app.ingest.probe().await.map_err(|unavailable| match unavailable {
        Unavailable::Overloaded => "too many deliveries are waiting",
        Unavailable::Storage => "nothing can be written to the database",
        Unavailable::ShuttingDown => "the server is shutting down",
    })
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
