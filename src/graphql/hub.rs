//! The hub itself: its version, replicas, database and retention.

use super::ApiContext;
use super::duration;
use super::error::ApiError;
use super::scalar::Long;
use crate::store::read::{self, DatabaseKind, datetime_from_micros};
use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::replica;

#[derive(Debug)]
pub struct HubInfo;

/// The hub: all processes that share this database.
#[Object(name = "Hub")]
impl HubInfo {
    /// The version of the process that answers.
    async fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// The processes on this database, the first started first. Each reports every five seconds. One that ends deletes its row;
    /// that of a killed one is deleted after an hour.
    async fn replicas(&self, ctx: &Context<'_>) -> Result<Vec<Replica>, ApiError> {
        let rows = read::replicas(&ApiContext::of(ctx)?.readers).await?;
        Ok(rows.into_iter().map(Replica::from).collect())
    }

    /// The database.
    async fn database(&self) -> DatabaseInfo {
        DatabaseInfo
    }

    /// How long a finished inspection is kept, as an ISO 8601 duration, e.g. `P90D`; null if nothing is deleted. By the setting
    /// `retention` of the process that answers.
    async fn retention(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(ApiContext::of(ctx)?.retention.map(duration::to_iso8601))
    }
}

#[derive(Debug)]
pub struct DatabaseInfo;

/// The database of a hub.
#[Object]
impl DatabaseInfo {
    /// Its kind.
    async fn kind(&self, ctx: &Context<'_>) -> Result<DatabaseKind, ApiError> {
        Ok(read::database_kind(&ApiContext::of(ctx)?.readers))
    }

    /// The version of SQLite or of the PostgreSQL server, e.g. `17.6`.
    async fn version(&self, ctx: &Context<'_>) -> Result<String, ApiError> {
        Ok(read::database_version(&ApiContext::of(ctx)?.readers).await?)
    }

    /// Its size in bytes: of SQLite's main file, or of everything in the PostgreSQL database. Null for a principal that is limited
    /// to sources.
    async fn bytes(&self, ctx: &Context<'_>) -> Result<Option<Long>, ApiError> {
        let api = ApiContext::of(ctx)?;
        match api.view().sources() {
            None => Ok(Some(Long(read::database_size(&api.readers).await?))),
            Some(_) => Ok(None),
        }
    }
}

/// A process of a hub.
#[derive(Debug, SimpleObject)]
pub struct Replica {
    /// The id of the process: another one after each start.
    id: ID,
    /// Its version.
    version: String,
    /// When it started.
    started_at: DateTime<Utc>,
    /// When it last reported, by its own clock. A process that has not reported for more than ten seconds has ended, or has lost
    /// the database.
    seen_at: DateTime<Utc>,
    /// A digest of its settings, without addresses and secrets. Replicas of the same version should have the same.
    settings_digest: String,
    /// When it reported: the number of changes in the database that it had yet to publish to its subscribers.
    feed_lag: i32,
}

impl From<replica::Model> for Replica {
    fn from(row: replica::Model) -> Self {
        Replica {
            id: row.id.into(),
            version: row.version,
            started_at: datetime_from_micros(row.started_at),
            seen_at: datetime_from_micros(row.seen_at),
            settings_digest: row.settings_digest,
            feed_lag: i32::try_from(row.feed_lag).unwrap_or(i32::MAX),
        }
    }
}
