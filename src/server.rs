//! A running hub: starts the database, the writer, the feed, the background tasks and the listener, and stops them in order.

mod sources;

use crate::access::Principal;
use crate::auth::{BrowserLogin, KeyRing, TokenIssuers};
use crate::clock;
use crate::feed::{self, Feed};
use crate::file_limit;
use crate::graphql::{ApiContext, ApiSchema};
use crate::http::{self, AllowedOrigins, ApiAuth, AppState, ConnectionLimits, Endpoint, TrustedProxies};
use crate::ingest::{self, BatchWriter, HandshakeConfirmer, IngestQueue, Writer};
use crate::live::SubscriptionManager;
use crate::rejection::{RejectionLog, RejectionTask};
use crate::replica::ReplicaTask;
use crate::request::{ClientRateLimiter, Pipeline, PipelineConfig, TrustedDocuments, TrustedDocumentsError};
use crate::retention::{IdempotencyExpiryTask, RetentionTask};
use crate::settings::{Settings, SourceSettings};
use crate::store::read::head;
use crate::store::{
    ApiKeyStore, Database, HandshakeStore, InspectionIndex, OpenMode, RejectionStore, ReplicaStore, StoreError,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// The first retry of a confirmation at a vendor.
const HANDSHAKE_RETRY_DELAY: Duration = Duration::from_secs(2);
/// The first purge after the start, and the time between two.
const FIRST_PURGE_DELAY: Duration = Duration::from_secs(10);
const PURGE_INTERVAL: Duration = Duration::from_secs(3600);
/// The time until old idempotency keys are deleted first, and between two times.
const IDEMPOTENCY_EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);
/// Histogram buckets, in seconds.
const DURATION_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Histogram buckets of batch sizes.
const BATCH_SIZE_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// How long the queued deliveries may take to be written after the last request, and the other tasks to end.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long closing the database may take after that.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// Opens the writer of a hub.
pub type WriterFactory = fn(&Database) -> Result<Box<dyn BatchWriter>, StoreError>;

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    address: SocketAddr,
    stop: CancellationToken,
    ingest: IngestQueue,
    // In the order in which they are stopped.
    listener: JoinHandle<()>,
    writer: JoinHandle<()>,
    background_tasks: Vec<JoinHandle<()>>,
    db: Database,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the trusted documents in {0} cannot be read: {1}")]
    TrustedDocumentsUnreadable(PathBuf, io::Error),
    #[error("the trusted documents in {0} are invalid: {1}")]
    TrustedDocumentsInvalid(PathBuf, TrustedDocumentsError),
    #[error(
        "{0} is not loopback and there is no API key, so anyone could use the API: create one with \
         `inspection-hub keys create --name NAME --scope read`, or set allow_open_api = true"
    )]
    OpenApi(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

impl Hub {
    /// Opens and migrates the database, and serves. The future is boxed, so that it is compiled here and not again in each
    /// program that starts a hub.
    ///
    /// # Errors
    /// If the database or the trusted documents cannot be opened, or the address is in use.
    pub fn start(settings: Settings) -> BoxFuture<'static, Result<Hub, StartError>> {
        Hub::start_with_writer(settings, |db| Ok(Box::new(Writer::open(db)?)))
    }

    /// As [`start`](Self::start), with another writer: benchmarks measure the rest of a hub with one that stores nothing.
    ///
    /// # Errors
    /// As for `start`, or if the writer cannot be opened.
    pub fn start_with_writer(
        settings: Settings,
        open_writer: WriterFactory,
    ) -> BoxFuture<'static, Result<Hub, StartError>> {
        Hub::start_unboxed(settings, open_writer).boxed()
    }

    async fn start_unboxed(mut settings: Settings, open_writer: WriterFactory) -> Result<Hub, StartError> {
        install_tls();
        let limits = ConnectionLimits {
            max_connections: file_limit::max_connections(&settings),
            header_timeout: settings.header_timeout,
            shutdown_grace: settings.shutdown_grace,
        };
        let db = Database::open_with(&settings.database, OpenMode::Migrate, settings.pools()).await?;
        let cannot_listen = |error| StartError::Listen(settings.listen, error);
        let listener = TcpListener::bind(settings.listen).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let stop = CancellationToken::new();
        let keys = open_key_ring(&settings, &db, address).await?;
        let feed = Feed::new(db.read_pool.clone(), &head(&db.read_pool).await?);
        let handshakes = Arc::new(Notify::new());
        let (ingest, writer) = ingest::channel(open_writer(&db)?, feed.clone(), handshakes.clone());
        let handshake_target = |source: &SourceSettings| Some((source.name.clone(), source.handshake.clone()?));
        let confirmer = HandshakeConfirmer {
            handshakes: HandshakeStore::new(db.clone()),
            targets: settings.sources.iter().filter_map(handshake_target).collect(),
            wake: handshakes,
            initial_backoff: HANDSHAKE_RETRY_DELAY,
        };
        let mut tasks = vec![tokio::spawn(feed.clone().run(stop.clone())), tokio::spawn(confirmer.run(stop.clone()))];
        tasks.push(tokio::spawn(keys.clone().run(stop.clone())));
        let issuers = TokenIssuers::new(settings.token_issuers.clone(), clock::now);
        tasks.push(tokio::spawn(issuers.clone().run(stop.clone())));
        let login = match settings.oidc.clone() {
            Some(provider) => Some(Arc::new(BrowserLogin::open(provider, db.clone(), clock::now).await?)),
            None => None,
        };
        tasks.extend(login.clone().map(|login| tokio::spawn(login.run(stop.clone()))));
        let proxies = Arc::new(TrustedProxies {
            networks: settings.trusted_proxies.clone(),
            user_header: settings.proxy_user_header.clone(),
            groups_header: settings.proxy_groups_header.clone(),
            grants: settings.proxy_grants.clone(),
        });
        let expiry = IdempotencyExpiryTask { db: db.clone(), interval: IDEMPOTENCY_EXPIRY_INTERVAL, clock: clock::now };
        tasks.push(tokio::spawn(expiry.run(stop.clone())));
        if let Some(max_age) = settings.retention {
            let retention = RetentionTask {
                db: db.clone(),
                max_age,
                initial_delay: FIRST_PURGE_DELAY,
                interval: PURGE_INTERVAL,
                clock: clock::now,
            };
            tasks.push(tokio::spawn(retention.run(stop.clone())));
        }
        if let Some(address) = &settings.nats {
            let client = feed::nats::connect(address).await?;
            tasks.push(tokio::spawn(feed::nats::run(client, feed.clone(), stop.clone())));
        } else if let Some(pool) = db.postgres_pool() {
            tasks.push(tokio::spawn(feed::postgres::run(pool, feed.clone(), stop.clone())));
        }
        let index = Arc::new(InspectionIndex::default());
        let keep_saved = (index.clone(), db.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { keep_saved.0.run(&keep_saved.1, &keep_saved.2).await }));
        let rejections = Arc::new(RejectionLog::new(clock::now));
        let verifier = |source: &SourceSettings| (source.name.clone(), source.verifier.clone());
        let rejection_task = RejectionTask {
            log: rejections.clone(),
            store: RejectionStore::new(db.clone()),
            verifiers: settings.sources.iter().map(verifier).collect(),
            clock: clock::now,
        };
        tasks.push(tokio::spawn(rejection_task.run(stop.clone())));
        let settings_digest = settings.digest();
        let api = ApiContext {
            readers: db.read_pool.clone(),
            principal: Principal::unlimited(),
            inspection_index: index,
            feed: feed.clone(),
            rejections: rejections.clone(),
            sources: settings.sources.iter().map(sources::info).collect(),
            keys: keys.clone(),
            ingest: ingest.clone(),
            retention: settings.retention,
            clock: clock::now,
        };
        let schema = if settings.graphql_suggestions { ApiSchema::with_suggestions(api) } else { ApiSchema::new(api) };
        let config = PipelineConfig {
            timeout: Some(settings.graphql_timeout),
            rate_limiter: settings.graphql_rate_limit.map(ClientRateLimiter::new),
            trusted_documents: load_trusted_documents(&settings)?,
        };
        let pipeline = Pipeline::new(schema, config);
        let endpoints: HashMap<String, Endpoint> =
            std::mem::take(&mut settings.sources).into_iter().map(sources::endpoint).collect();
        let counters = endpoints.values().map(|endpoint| (endpoint.source.name.clone(), endpoint.traffic.clone()));
        let (readers, replicas, counters) = (db.read_pool.clone(), ReplicaStore::new(db.clone()), counters.collect());
        let replica = ReplicaTask::new(replicas, readers, feed.clone(), counters, settings_digest.clone(), clock::now);
        tasks.push(tokio::spawn(replica.run(stop.clone())));
        let allowed_origins = AllowedOrigins::new(&settings.allowed_origins);
        let closed_at_end = db.clone();
        let app = AppState {
            ingest: ingest.clone(),
            rejections,
            auth: ApiAuth::new(keys, issuers, !settings.allow_open_api, allowed_origins.clone()).with_login(login),
            allowed_origins,
            clock: clock::now,
            subscriptions: SubscriptionManager::new(pipeline.clone(), feed.clone()),
            stream_reservations: Default::default(),
            pipeline,
            settings_digest,
            coalescer: Default::default(),
            db,
            metrics: settings.metrics.then(metrics_handle),
            shutdown: stop.clone(),
            endpoints,
            settings,
        };
        let runtime = Handle::current();
        Ok(Hub {
            address,
            db: closed_at_end,
            ingest,
            writer: tokio::task::spawn_blocking(move || writer.run(&runtime)),
            background_tasks: tasks,
            listener: tokio::spawn(http::serve(listener, http::router(Arc::new(app)), limits, proxies, stop.clone())),
            stop,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more requests, finishes the open ones, writes the queued deliveries and ends. What exceeds its timeout ends with
    /// the process.
    pub async fn stop(self) {
        self.stop.cancel();
        // Ends within the grace period.
        log_task_failure(self.listener.await);
        let rest = async {
            self.ingest.close().await;
            log_task_failure(self.writer.await);
            for task in self.background_tasks {
                log_task_failure(task.await);
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, rest).await.is_err() {
            tracing::error!("shutdown timed out: queued deliveries were not written and not acknowledged");
        }
        // Some tasks write at their end, after the writer has emptied SQLite's write-ahead log: the last connection that is closed
        // leaves one file, if it can write. Otherwise a backup that takes its place would be read with that log.
        let close = async { (self.db.read_pool.close().await, self.db.write_pool.close().await) };
        if tokio::time::timeout(CLOSE_TIMEOUT, close).await.is_err() {
            tracing::warn!("the database was not closed in time");
        }
    }
}

fn log_task_failure(task: Result<(), JoinError>) {
    if let Err(error) = task {
        tracing::error!(%error, "background task failed");
    }
}

/// Selects the TLS implementation of outgoing connections.
pub fn install_tls() {
    // An error means that one is already selected.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The API keys. Without any, the API is open: on loopback, or where the settings say so.
async fn open_key_ring(settings: &Settings, db: &Database, address: SocketAddr) -> Result<Arc<KeyRing>, StartError> {
    let (keys, scopes) = (settings.api_keys.clone(), settings.open_api_scopes);
    let has_other_ways =
        !settings.token_issuers.is_empty() || settings.oidc.is_some() || settings.proxy_user_header.is_some();
    let ring = KeyRing::open(ApiKeyStore::new(db.clone()), keys, scopes, has_other_ways, clock::now).await?;
    if ring.anyone().is_some() {
        if !address.ip().to_canonical().is_loopback() && !settings.allow_open_api {
            return Err(StartError::OpenApi(address));
        }
        tracing::warn!(%address, %scopes, "there is no API key: anyone who can reach this address may use the API");
    }
    Ok(ring)
}

fn load_trusted_documents(settings: &Settings) -> Result<TrustedDocuments, StartError> {
    let Some(path) = &settings.trusted_documents else { return Ok(TrustedDocuments::default()) };
    let json =
        std::fs::read_to_string(path).map_err(|error| StartError::TrustedDocumentsUnreadable(path.clone(), error))?;
    let trusted = TrustedDocuments::from_json(&json, settings.trusted_documents_only);
    trusted.map_err(|error| StartError::TrustedDocumentsInvalid(path.clone(), error))
}

// The recorder belongs to the process: tests start several hubs.
fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install_metrics).clone()
}

fn install_metrics() -> PrometheusHandle {
    let batches = Matcher::Suffix("_deliveries".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(batches, BATCH_SIZE_BUCKETS))
        .unwrap_or_default();
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("metrics disabled: another recorder is installed in this process");
    }
    metrics::describe_counter!("inspection_hub_deliveries_total", "Webhooks by source and outcome");
    metrics::describe_counter!("inspection_hub_rejections_total", "Refused webhooks by source and cause");
    metrics::describe_histogram!(
        "inspection_hub_webhook_duration_seconds",
        "Time from a webhook's headers to its response"
    );
    metrics::describe_histogram!("inspection_hub_batch_deliveries", "Deliveries per transaction");
    metrics::describe_counter!("inspection_hub_purged_rows_total", "Rows deleted by a purge, by table");
    metrics::describe_gauge!("inspection_hub_subscriptions", "Subscriptions that share an execution, or are about to");
    metrics::describe_gauge!("inspection_hub_shared_executions", "Executions that the open subscriptions share");
    handle
}
