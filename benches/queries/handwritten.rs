//! The same responses, handwritten: typed rows from sqlx, serialized by serde, behind bare axum, as a team would write it that
//! needs only these three responses.

use anyhow::Context;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use chrono::DateTime;
use entity::{Kind, ReasonCode, Status, Verdict};
use sea_orm::sqlx::postgres::{PgPool, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sea_orm::sqlx::types::Uuid;
use sea_orm::sqlx::{self, Row};
use serde::Serialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Rows of the list.
pub const LISTED: usize = 50;
/// Rows of the lists under one inspection, and connections to the database: as many as the hub's.
const ROWS: i64 = 25;
const READERS: u32 = 4;

const LIST: &str = "SELECT id, vendor, external_id, state, status, updated_at FROM entity \
    WHERE kind = 1 AND kind <> 4 ORDER BY updated_at DESC, row_id DESC LIMIT $1";
const ONE: &str = "SELECT id, vendor, external_id, state, status, updated_at, row_id FROM entity WHERE id = $1";
const HISTORY: &str = "SELECT position, verdict, reason_code, event, to_state, received_at FROM change \
    WHERE entity_row_id = $1 ORDER BY position LIMIT $2";
const MEMBERS: &str = "SELECT id, external_id, state, status, subkind FROM entity \
    WHERE inspection_row_id = $1 AND kind = $2 ORDER BY row_id LIMIT $3";
const LARGEST: &str = "SELECT id FROM entity WHERE row_id = (SELECT inspection_row_id FROM entity \
    WHERE inspection_row_id IS NOT NULL GROUP BY inspection_row_id \
    ORDER BY COUNT(*) DESC, inspection_row_id LIMIT 1)";

pub struct HandwrittenServer {
    pub address: SocketAddr,
    pool: Pool,
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// All rows of a statement, each read by a function of the row.
macro_rules! rows {
    ($pool:expr, $sql:expr, [$($value:expr),*], $row:ident => $read:expr) => {
        match $pool {
            Pool::Sqlite(pool) => {
                let rows = sqlx::query($sql)$(.bind($value))*.fetch_all(pool).await?;
                rows.iter().map(|$row| Ok($read)).collect::<Result<Vec<_>, sqlx::Error>>()
            }
            Pool::Postgres(pool) => {
                let rows = sqlx::query($sql)$(.bind($value))*.fetch_all(pool).await?;
                rows.iter().map(|$row| Ok($read)).collect::<Result<Vec<_>, sqlx::Error>>()
            }
        }
    };
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspection {
    id: Uuid,
    vendor: String,
    external_id: String,
    state: Option<String>,
    status: Option<&'static str>,
    updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    position: i64,
    verdict: Option<&'static str>,
    reason_code: Option<&'static str>,
    event: String,
    to_state: Option<String>,
    received_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    id: Uuid,
    external_id: String,
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Option<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

#[derive(Serialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

#[derive(Serialize)]
struct One {
    #[serde(flatten)]
    inspection: Inspection,
    history: Nodes<Change>,
    sessions: Nodes<Member>,
    jobs: Nodes<Member>,
    items: Nodes<Member>,
}

#[derive(Serialize)]
struct Answer<T> {
    data: T,
}

impl HandwrittenServer {
    /// On the hub's database, with as many connections.
    pub async fn start(database: &str) -> anyhow::Result<HandwrittenServer> {
        let pool = match database.strip_prefix("sqlite://") {
            Some(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true).pragma("temp_store", "memory");
                Pool::Sqlite(SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?)
            }
            None => Pool::Postgres(PgPoolOptions::new().max_connections(READERS).connect(database).await?),
        };
        let router = Router::new()
            .route("/list", post(list))
            .route("/one/{id}", post(one))
            .route("/typename", post(typename))
            .with_state(pool.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // As the hub does.
            let _ = stream.set_nodelay(true);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(HandwrittenServer { address, pool })
    }

    /// The inspection with the most rows below it.
    pub async fn largest(&self) -> anyhow::Result<Uuid> {
        let ids: Vec<Uuid> = self.ids().await?;
        ids.first().copied().context("no inspection")
    }

    async fn ids(&self) -> Result<Vec<Uuid>, sqlx::Error> {
        rows!(&self.pool, LARGEST, [], row => row.try_get(0)?)
    }

    /// Closes its connections.
    pub async fn close(self) {
        match self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

async fn typename(Json(_): Json<Value>) -> Json<Value> {
    Json(json!({ "data": { "__typename": "Query" } }))
}

async fn list(State(pool): State<Pool>, Json(_): Json<Value>) -> Result<Json<Answer<Listed>>, StatusCode> {
    let nodes = inspections(&pool).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(Answer { data: Listed { inspections: Nodes { nodes } } }))
}

#[derive(Serialize)]
struct Listed {
    inspections: Nodes<Inspection>,
}

async fn inspections(pool: &Pool) -> Result<Vec<Inspection>, sqlx::Error> {
    rows!(pool, LIST, [LISTED as i64], row => Inspection {
        id: row.try_get(0)?,
        vendor: row.try_get(1)?,
        external_id: row.try_get(2)?,
        state: row.try_get(3)?,
        status: status(row.try_get(4)?),
        updated_at: spelled(row.try_get(5)?),
    })
}

#[derive(Serialize)]
struct Found {
    inspection: One,
}

async fn one(
    State(pool): State<Pool>,
    Path(id): Path<Uuid>,
    Json(_): Json<Value>,
) -> Result<Json<Answer<Found>>, StatusCode> {
    let found = all_of(&pool, id).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(Answer { data: Found { inspection: found.ok_or(StatusCode::NOT_FOUND)? } }))
}

async fn all_of(pool: &Pool, id: Uuid) -> Result<Option<One>, sqlx::Error> {
    let found: Vec<(Inspection, i64)> = rows!(pool, ONE, [id], row => (
        Inspection {
            id: row.try_get(0)?,
            vendor: row.try_get(1)?,
            external_id: row.try_get(2)?,
            state: row.try_get(3)?,
            status: status(row.try_get(4)?),
            updated_at: spelled(row.try_get(5)?),
        },
        row.try_get(6)?,
    ))?;
    let Some((inspection, number)) = found.into_iter().next() else { return Ok(None) };
    let (history, sessions, jobs, items) = tokio::try_join!(
        history(pool, number),
        members(pool, number, Kind::Session),
        members(pool, number, Kind::Job),
        members(pool, number, Kind::Item),
    )?;
    Ok(Some(One { inspection, history, sessions, jobs, items }))
}

async fn history(pool: &Pool, number: i64) -> Result<Nodes<Change>, sqlx::Error> {
    let nodes = rows!(pool, HISTORY, [number, ROWS], row => Change {
        position: row.try_get(0)?,
        verdict: Verdict::from_number(row.try_get(1)?).map(Verdict::as_str),
        reason_code: ReasonCode::from_number(row.try_get(2)?).map(ReasonCode::as_str),
        event: row.try_get(3)?,
        to_state: row.try_get(4)?,
        received_at: spelled(row.try_get(5)?),
    })?;
    Ok(Nodes { nodes })
}

async fn members(pool: &Pool, number: i64, kind: Kind) -> Result<Nodes<Member>, sqlx::Error> {
    let is_item = kind == Kind::Item;
    let nodes = rows!(pool, MEMBERS, [number, kind.number(), ROWS], row => Member {
        id: row.try_get(0)?,
        external_id: row.try_get(1)?,
        state: row.try_get(2)?,
        status: if is_item { None } else { Some(status(row.try_get(3)?)) },
        kind: if is_item { Some(row.try_get(4)?) } else { None },
    })?;
    Ok(Nodes { nodes })
}

// The word of a stored number.
fn status(number: Option<i16>) -> Option<&'static str> {
    Status::from_number(number?).map(Status::as_str)
}

// Microseconds since the Unix epoch, as the hub's API spells them.
fn spelled(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339()
}
