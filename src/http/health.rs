//! Endpoints for operators and tools: liveness, readiness, metrics, schema.

use super::{AppState, Problem};
use crate::access::scope_name;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header;
use axum::response::IntoResponse;
use entity::Scope;
use std::sync::Arc;
use std::time::Duration;

/// Time limit of a readiness check.
const READINESS_TIMEOUT: Duration = Duration::from_secs(3);

/// `GET /healthz`: liveness.
pub async fn healthz() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"alive"}"#)
}

/// `?check=read` or `?check=write`; without it, both are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadinessCheck {
    Read,
    Write,
}

#[derive(Debug, Default, serde::Deserialize)]
pub struct ReadinessQuery {
    check: Option<ReadinessCheck>,
}

/// `GET /readyz`: the database is migrated, readable and writable.
pub async fn readyz(
    State(app): State<Arc<AppState>>,
    query: Result<Query<ReadinessQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Query(ReadinessQuery { check }) = query.map_err(|_| Problem::InvalidCheck)?;
    let checked = tokio::time::timeout(READINESS_TIMEOUT, check_readiness(&app, check)).await;
    checked.unwrap_or(Err("the database did not respond in time")).map_err(Problem::NotReady)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ready"}"#))
}

async fn check_readiness(app: &AppState, check: Option<ReadinessCheck>) -> Result<(), &'static str> {
    if check != Some(ReadinessCheck::Write) {
        let migrated = app.db.is_ready().await.map_err(|error| {
            tracing::warn!(%error, "readiness check failed: database unavailable");
            error.outage_message()
        })?;
        if !migrated {
            return Err("the database is not migrated to this version");
        }
    }
    if check != Some(ReadinessCheck::Read) {
        app.ingest.probe().await?;
    }
    Ok(())
}

/// `GET /metrics`, in the Prometheus text format. Needs the scope `metrics`, for all sources.
pub async fn metrics(State(app): State<Arc<AppState>>, request: Request) -> Result<impl IntoResponse, Problem> {
    let (parts, _) = request.into_parts();
    let handle = app.metrics.as_ref().ok_or(Problem::RouteNotFound)?;
    let principal = app.auth.authenticate_with_new_keys(&parts.headers, &parts.extensions).await?;
    if !principal.view.has(Scope::Metrics) {
        return Err(Problem::MissingScope(scope_name(Scope::Metrics)));
    }
    if principal.view.sources().is_some() {
        return Err(Problem::MetricsOfAllSources);
    }
    metrics::gauge!("inspection_hub_subscriptions").set(app.subscriptions.subscribers() as f64);
    metrics::gauge!("inspection_hub_shared_executions").set(app.subscriptions.shared_executions() as f64);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()))
}

/// `GET /schema.graphql`: the schema as SDL.
pub async fn schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/graphql; charset=utf-8")], crate::graphql::sdl())
}
