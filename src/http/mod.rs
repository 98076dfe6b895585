//! The HTTP surface. Routes on one page; what each does stands in its file.

mod graphql;
mod playground;
mod problem;
mod serve;
mod socket;
mod status;
mod stream;
mod webhook;

pub use problem::Problem;
pub use serve::{Connections, serve};
pub use stream::Reservations;
pub use webhook::Inlet;

use crate::graphql::Graph;
use crate::ingest::Ingest;
use crate::live::Live;
use crate::store::Database;
use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the handlers need.
pub struct App {
    pub inlets: HashMap<String, Inlet>,
    pub ingest: Ingest,
    pub limits: Limits,
    pub clock: fn() -> DateTime<Utc>,
    pub db: Database,
    pub graph: Graph,
    pub live: Arc<Live>,
    pub streams: stream::Reservations,
    /// None if metrics are switched off.
    pub metrics: Option<PrometheusHandle>,
    pub stop: CancellationToken,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a webhook's body.
    pub body: usize,
    pub body_timeout: Duration,
    /// Bytes of a GraphQL request's body.
    pub graphql_body: usize,
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/webhooks/{source}", post(webhook::receive).put(webhook::receive))
        .route("/graphql", get(socket::open).post(graphql::execute))
        .route("/", get(async || Redirect::to("/graphiql")))
        .route("/graphiql", get(playground::page))
        .route("/graphiql/{*path}", get(playground::asset))
        .route("/schema.graphql", get(status::schema))
        .route("/healthz", get(status::alive))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(status::metrics))
        .fallback(async || Problem::NoSuchRoute)
        .method_not_allowed_fallback(async || Problem::Method)
        .with_state(app)
}
