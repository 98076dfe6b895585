//! The HTTP surface. Routes on one page; what each does stands in its file.

mod access;
mod encoding;
mod graphql;
mod media;
mod normalize;
mod origins;
mod playground;
mod problem;
mod serve;
mod socket;
mod status;
mod stream;
mod webhook;

pub use access::Access;
pub use origins::Origins;
pub use problem::Problem;
pub use serve::{Connections, serve};
pub use stream::Reservations;
pub use webhook::Inlet;

use crate::ingest::Ingest;
use crate::live::Live;
use crate::request::Pipeline;
use crate::store::Database;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get, put};
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
    /// To `/graphql`.
    pub access: Access,
    /// Of pages that may use it from a browser.
    pub origins: Origins,
    pub limits: Limits,
    pub clock: fn() -> DateTime<Utc>,
    pub db: Database,
    pub pipeline: Arc<Pipeline>,
    pub together: graphql::Together,
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
    /// Whether several requests may come in one body.
    pub graphql_batching: bool,
}

fn on_graphql(app: Arc<App>) -> MethodRouter<Arc<App>> {
    let streams = put(stream::reserve).delete(stream::close);
    let all = streams.get(graphql::get).post(graphql::post).fallback(graphql::other);
    let origins = app.origins.clone();
    origins.open(all.layer(from_fn_with_state(app, graphql::admit)))
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        // Any method: an address that is no source's is not found, whatever is done with it.
        .route("/webhooks/{source}", any(webhook::receive))
        .route("/graphql", on_graphql(app.clone()))
        .route("/", get(playground::redirect))
        .route("/graphiql", get(playground::page))
        .route("/graphiql/{*path}", get(playground::asset))
        .route("/schema.graphql", app.origins.open(get(status::schema).fallback(async || Problem::Method)))
        .route("/healthz", get(status::alive))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(status::metrics))
        .fallback(webhook::not_found)
        .method_not_allowed_fallback(async || Problem::Method)
        .with_state(app);
    normalize::layered(routes)
}
