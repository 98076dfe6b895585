//! The HTTP surface: all routes, and the state of their handlers.

mod auth;
mod body;
mod cookie;
mod cors;
mod graphql;
mod health;
mod login;
mod media_type;
mod normalize;
mod playground;
mod problem;
mod refused_webhook;
mod serve;
mod socket;
mod stream;
mod trusted_proxies;
mod webhook;

pub use auth::ApiAuth;
pub use cors::AllowedOrigins;
pub use problem::Problem;
pub use serve::{ConnectionLimits, serve};
pub use stream::StreamReservations;
pub use trusted_proxies::TrustedProxies;
pub use webhook::Endpoint;

use crate::clock::TimeSource;
use crate::ingest::IngestQueue;
use crate::live::SubscriptionManager;
use crate::rejection::RejectionLog;
use crate::request::Pipeline;
use crate::settings::Settings;
use crate::store::Database;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get, put};
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub struct AppState {
    pub endpoints: HashMap<String, Endpoint>,
    pub ingest: IngestQueue,
    pub rejections: Arc<RejectionLog>,
    pub auth: ApiAuth,
    pub allowed_origins: AllowedOrigins,
    /// Without its sources, which are in `endpoints`.
    pub settings: Settings,
    pub clock: TimeSource,
    pub db: Database,
    pub pipeline: Arc<Pipeline>,
    /// Responses depend on settings, too.
    pub settings_digest: String,
    pub coalescer: graphql::Coalescer,
    pub subscriptions: Arc<SubscriptionManager>,
    pub stream_reservations: stream::StreamReservations,
    /// `None` if metrics are disabled.
    pub metrics: Option<PrometheusHandle>,
    pub shutdown: CancellationToken,
}

fn graphql_routes(app: Arc<AppState>) -> MethodRouter<Arc<AppState>> {
    let streams = put(stream::reserve).delete(stream::stop_operation);
    let all = streams.get(graphql::get).post(graphql::post).fallback(graphql::method_not_allowed);
    let origins = app.allowed_origins.clone();
    origins.with_cors(all.layer(from_fn_with_state(app, graphql::authenticate)))
}

pub fn router(app: Arc<AppState>) -> Router {
    let rejections = app.rejections.clone();
    let routes = Router::new()
        // Any method: an unknown source is 404, not 405.
        .route("/webhooks/{source}", any(webhook::receive))
        .route("/graphql", graphql_routes(app.clone()))
        .route("/login", get(login::begin))
        .route("/login/callback", get(login::finish))
        .route("/logout", get(login::ended).post(login::end))
        .route("/", get(playground::redirect))
        .route("/graphiql", get(playground::page))
        .route("/graphiql/{*path}", get(playground::asset))
        .route(
            "/schema.graphql",
            app.allowed_origins.with_cors(get(health::schema).fallback(async || Problem::MethodNotAllowed)),
        )
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(webhook::not_found)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .with_state(app);
    normalize::with_middleware(routes, rejections)
}
