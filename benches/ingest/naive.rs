//! A handwritten endpoint: verify, parse, and one sea-orm transaction per webhook that checks for a duplicate, stores the raw
//! body, overwrites the status of the inspection and adds a row of history. As durable as the hub (WAL,
//! `synchronous=FULL`), with sea-orm's pools as they come: one connection for SQLite, because with more of them
//! transactions that read before they write fail (`database is locked`), ten for PostgreSQL.

mod pick;
mod tables;

use super::bare::serve;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::Utc;
use inspection_hub::settings::Settings;
use inspection_hub::vendor::verify::{Verifier, WebhookRequest};
use pick::pick;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectOptions, Database, DatabaseConnection, DbErr, EntityTrait,
    PaginatorTrait, QueryFilter, Set, SqlErr, TransactionTrait,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tables::{history, inspection, raw};

#[derive(Clone)]
pub struct Naive {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    db: DatabaseConnection,
    verifiers: HashMap<String, Verifier>,
    duplicates: AtomicU64,
}

impl Naive {
    /// On this database, with the sources of these settings.
    pub async fn start(database: &str, settings: &Settings) -> anyhow::Result<Naive> {
        let mut options = ConnectOptions::new(database);
        options.sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
            options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
        });
        let db = Database::connect(options).await?;
        tables::create(&db).await?;
        let verifiers = settings.sources.iter().map(|source| (source.name.clone(), source.verifier.clone())).collect();
        let shared = Arc::new(Shared { db, verifiers, duplicates: AtomicU64::new(0) });
        let router = Router::new().route("/webhooks/{source}", post(receive)).with_state(shared.clone());
        Ok(Naive { address: serve(router).await?, shared })
    }

    /// Closes its connections.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.shared.db.clone().close().await?)
    }

    /// Webhooks that it stored or recognized as duplicates.
    pub async fn taken(&self) -> anyhow::Result<u64> {
        let stored = raw::Entity::find().count(&self.shared.db).await?;
        Ok(stored + self.shared.duplicates.load(Ordering::Relaxed))
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    Path(source): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(verifier) = shared.verifiers.get(&source) else { return StatusCode::NOT_FOUND.into_response() };
    let request =
        WebhookRequest { headers: &headers, path: uri.path(), query: uri.query(), body: &body, now: Utc::now() };
    if verifier.verify(&request).is_err() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(json) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let stored = match shared.store(&source, &body, &json).await {
        // Two duplicates, or two deliveries of a new inspection, arrived at once, and each read before the other wrote.
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            shared.store(&source, &body, &json).await
        }
        stored => stored,
    };
    match stored {
        Ok(status) => {
            ([(header::CONTENT_TYPE, "application/json")], json!({ "status": status }).to_string()).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl Shared {
    async fn store(&self, source: &str, body: &[u8], json: &Value) -> Result<&'static str, DbErr> {
        let hash = hex::encode(Sha256::digest(body));
        let now = Utc::now().timestamp_micros();
        let tx = self.db.begin().await?;
        if raw::Entity::find().filter(raw::Column::Hash.eq(&hash)).one(&tx).await?.is_some() {
            tx.commit().await?;
            self.duplicates.fetch_add(1, Ordering::Relaxed);
            return Ok("duplicate");
        }
        let raw = raw::ActiveModel {
            id: ActiveValue::NotSet,
            source: Set(source.to_owned()),
            hash: Set(hash),
            received_at: Set(now),
            body: Set(body.to_vec()),
        };
        let raw = raw.insert(&tx).await?;
        if let Some((id, status)) = pick(source, json) {
            let external_id = format!("{source}/{id}");
            let known =
                inspection::Entity::find().filter(inspection::Column::ExternalId.eq(&external_id)).one(&tx).await?;
            let inspection = match known {
                Some(known) => {
                    let mut row = inspection::ActiveModel::from(known);
                    row.status = Set(status.clone());
                    row.updated_at = Set(now);
                    row.update(&tx).await?
                }
                None => {
                    let row = inspection::ActiveModel {
                        id: ActiveValue::NotSet,
                        external_id: Set(external_id),
                        status: Set(status.clone()),
                        updated_at: Set(now),
                    };
                    row.insert(&tx).await?
                }
            };
            let row = history::ActiveModel {
                id: ActiveValue::NotSet,
                inspection_id: Set(inspection.id),
                raw_id: Set(raw.id),
                status: Set(status),
                received_at: Set(now),
            };
            row.insert(&tx).await?;
        }
        tx.commit().await?;
        Ok("accepted")
    }
}
