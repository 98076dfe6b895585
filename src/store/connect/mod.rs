//! Opens the database: address, connections, and migrations.

mod address;
mod file_identity;
mod layout;
mod postgres;
mod read_pool;
mod sqlite;

pub use file_identity::FileIdentity;
pub use postgres::{open_connection, timeout_settings};
pub use read_pool::{ReadPool, with_timeout};
pub use sqlite::read_only_connection;

use super::StoreError;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool};
use sea_orm::{DatabaseConnection, DbErr, EntityTrait};
use std::time::Duration;

/// A readiness check that takes longer looks for the reason.
const DIAGNOSE_AFTER: Duration = Duration::from_millis(500);

/// An open database.
#[derive(Clone, Debug)]
pub struct Database {
    /// For migrations, and for everything that the writer does not write.
    pub(crate) write_pool: DatabaseConnection,
    /// The writer opens a connection of its own to it.
    pub(crate) address: DatabaseAddress,
    pub(crate) pool_settings: PoolSettings,
    /// Connections that only read.
    pub read_pool: ReadPool,
}

/// The location of a database.
#[derive(Clone, Debug)]
pub enum DatabaseAddress {
    /// A SQLite file.
    Sqlite(String),
    /// A PostgreSQL database, with credentials and TLS settings.
    Postgres(Box<PgConnectOptions>),
}

/// Sizes and time limits of the connection pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The number of reading connections.
    pub pool_size: u32,
    /// For getting a connection, and for getting a lock.
    pub acquire_timeout: Duration,
    /// For a statement. SQLite's statements have no limit.
    pub statement_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings {
            pool_size: 4,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
        }
    }
}

/// Whether opening runs migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    Migrate,
    SkipMigrations,
}

impl DatabaseAddress {
    /// Parses `sqlite://PATH`, the path of a file, or `postgres://…`. Errors do not quote the address: it may hold a password.
    pub fn parse(address: &str) -> Result<DatabaseAddress, StoreError> {
        address::parse(address)
    }

    /// The address without a password.
    pub fn redacted(&self) -> String {
        match self {
            DatabaseAddress::Sqlite(path) => format!("sqlite://{path}"),
            DatabaseAddress::Postgres(options) => postgres::redacted_url(options),
        }
    }
}

impl Database {
    /// Opens a database with the default pools.
    pub fn open(address: &str, mode: OpenMode) -> BoxFuture<'_, Result<Self, StoreError>> {
        Database::open_with(address, mode, PoolSettings::default())
    }

    /// Opens `sqlite://PATH`, or `postgres://USER@HOST/DATABASE`. With [`OpenMode::Migrate`], creates a missing file and its
    /// folder. Fails if the layout is of another version, or if the server does not keep locks.
    ///
    /// The future is boxed so that the drivers are compiled once, and not again in each program that opens a database.
    pub fn open_with(address: &str, mode: OpenMode, pools: PoolSettings) -> BoxFuture<'_, Result<Self, StoreError>> {
        Database::open_unboxed(address, mode, pools).boxed()
    }

    async fn open_unboxed(address: &str, mode: OpenMode, pools: PoolSettings) -> Result<Self, StoreError> {
        let address = DatabaseAddress::parse(address)?;
        let (write_pool, read_pool) = match &address {
            DatabaseAddress::Sqlite(path) => sqlite::open(path, mode, pools).await?,
            DatabaseAddress::Postgres(options) => postgres::open(options, mode, pools).await?,
        };
        let db = Database { write_pool, address, pool_settings: pools, read_pool };
        if mode == OpenMode::SkipMigrations
            && let Err(error @ StoreError::Configuration(_)) = db.is_migrated().await
        {
            return Err(error);
        }
        Ok(db)
    }

    /// The address without a password.
    pub fn redacted_address(&self) -> String {
        self.address.redacted()
    }

    /// The pool of a PostgreSQL database, for `LISTEN` and `NOTIFY`.
    pub fn postgres_pool(&self) -> Option<PgPool> {
        matches!(self.address, DatabaseAddress::Postgres(_))
            .then(|| self.write_pool.get_postgres_connection_pool().clone())
    }

    /// Opens a connection for long work: without PostgreSQL's time limits for statements and transactions, and without
    /// waiting for SQLite's lock.
    pub(crate) async fn maintenance_connection(&self) -> Result<DatabaseConnection, StoreError> {
        match &self.address {
            DatabaseAddress::Sqlite(path) => sqlite::maintenance_connection(path, self.pool_settings).await,
            DatabaseAddress::Postgres(options) => postgres::maintenance_connection(options, self.pool_settings).await,
        }
    }

    /// Whether the database answers and has all tables of this version. Fails with [`StoreError::Configuration`] if its
    /// layout is of another version.
    pub async fn is_ready(&self) -> Result<bool, StoreError> {
        let DatabaseAddress::Postgres(options) = &self.address else { return self.is_migrated().await };
        // A pool retries a refused connection until its timeout, and then cannot say why there is none.
        let why_not = async {
            tokio::time::sleep(DIAGNOSE_AFTER).await;
            match postgres::check_reachable(options).await {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        tokio::select! {
            ready = self.is_migrated() => ready,
            error = why_not => Err(error),
        }
    }

    /// Fails unless all tables are up to date.
    pub async fn ensure_migrated(&self) -> Result<(), StoreError> {
        if self.is_ready().await? {
            return Ok(());
        }
        let address = self.redacted_address();
        let why = format!("the tables of {address} are not up to date: run `inspection-hub migrate` first");
        Err(StoreError::Configuration(why))
    }

    /// Begins a new generation, so that cursors of the previous one are refused. Needed after a backup was restored: its
    /// positions will be given to other changes than before.
    pub async fn begin_new_generation(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        use entity::log_head::{Column, Entity};
        // As in a new database: no other history of this database has this moment as its generation.
        let generation = Entity::update_many().col_expr(Column::Generation, now.timestamp_micros().into());
        self.with_timeout(generation.exec(&self.write_pool)).await?;
        Ok(())
    }

    /// Awaits work on the connections of [`Self::write_pool`] within the limit of a statement.
    pub(super) async fn with_timeout<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, StoreError> {
        Ok(self.read_pool.with_timeout(work).await?)
    }

    async fn is_migrated(&self) -> Result<bool, StoreError> {
        layout::is_current(&self.read_pool, &self.redacted_address()).await
    }
}
