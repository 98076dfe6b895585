//! Opening the database: which one an address means, its connections, and the tables brought up to date.

mod address;
mod file_identity;
mod postgres;
mod read_pool;
mod sqlite;

pub use file_identity::FileIdentity;
pub use postgres::{open_connection, timeout_settings};
pub use read_pool::ReadPool;
pub use sqlite::read_only_connection;

use super::StoreError;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::Query;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, EntityTrait};
use std::collections::BTreeSet;
use std::time::Duration;

/// After so long without an answer, it is looked for the reason.
const DIAGNOSE_AFTER: Duration = Duration::from_millis(500);

/// An open database.
#[derive(Clone, Debug)]
pub struct Database {
    /// For migrations, and for what is written beside deliveries.
    pub(crate) write_pool: DatabaseConnection,
    /// What the writer opens once more for itself.
    pub(crate) address: DatabaseAddress,
    pub(crate) pool_settings: PoolSettings,
    /// Connections that only read.
    pub read_pool: ReadPool,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub enum DatabaseAddress {
    /// A SQLite file.
    Sqlite(String),
    /// A PostgreSQL database: host, credentials, TLS.
    Postgres(Box<PgConnectOptions>),
}

/// How many connections there are, and how long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Connections that read at the same time.
    pub pool_size: u32,
    /// For a connection, and for what somebody else has locked.
    pub acquire_timeout: Duration,
    /// For a statement to end. SQLite's take as long as they take.
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

/// Whether the tables are brought up to date on opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    Migrate,
    SkipMigrations,
}

impl DatabaseAddress {
    /// What `sqlite://PATH`, the path of a file, or `postgres://…` means.
    ///
    /// # Errors
    /// If the address is of another form. It is not quoted: it may hold a password.
    pub fn parse(address: &str) -> Result<DatabaseAddress, StoreError> {
        address::parse(address)
    }

    /// The address without a password, to be shown.
    pub fn redacted(&self) -> String {
        match self {
            DatabaseAddress::Sqlite(path) => format!("sqlite://{path}"),
            DatabaseAddress::Postgres(options) => postgres::redacted_url(options),
        }
    }
}

impl Database {
    /// Opens a database with the pools that suffice for most.
    ///
    /// # Errors
    /// As [`Database::open_with`].
    pub fn open(address: &str, mode: OpenMode) -> BoxFuture<'_, Result<Self, StoreError>> {
        Database::open_with(address, mode, PoolSettings::default())
    }

    /// Opens `sqlite://PATH`, creating the file and its folder if need be, or `postgres://USER@HOST/DATABASE`.
    ///
    /// The future is boxed so that the drivers are compiled here, and not once more in each program that opens a database.
    ///
    /// # Errors
    /// If the address is of another form, or the database cannot be opened, or does not keep a lock.
    pub fn open_with(address: &str, mode: OpenMode, pools: PoolSettings) -> BoxFuture<'_, Result<Self, StoreError>> {
        Database::open_unboxed(address, mode, pools).boxed()
    }

    async fn open_unboxed(address: &str, mode: OpenMode, pools: PoolSettings) -> Result<Self, StoreError> {
        let place = DatabaseAddress::parse(address)?;
        match &place {
            DatabaseAddress::Sqlite(path) => {
                let (writer, readers) = sqlite::open(path, mode, pools).await?;
                Ok(Database { write_pool: writer, address: place, pool_settings: pools, read_pool: readers })
            }
            DatabaseAddress::Postgres(options) => {
                let (writer, readers) = postgres::open(options, mode, pools).await?;
                Ok(Database { write_pool: writer, address: place, pool_settings: pools, read_pool: readers })
            }
        }
    }

    /// The address without a password, to be shown.
    pub fn redacted_address(&self) -> String {
        self.address.redacted()
    }

    /// The connections of a PostgreSQL database, for what only it has.
    pub fn postgres_pool(&self) -> Option<PgPool> {
        matches!(self.address, DatabaseAddress::Postgres(_))
            .then(|| self.write_pool.get_postgres_connection_pool().clone())
    }

    /// One more connection for what takes long: without PostgreSQL's limits on how long a statement and a transaction take,
    /// and without waiting for SQLite's lock.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn maintenance_connection(&self) -> Result<DatabaseConnection, StoreError> {
        match &self.address {
            DatabaseAddress::Sqlite(path) => sqlite::maintenance_connection(path, self.pool_settings).await,
            DatabaseAddress::Postgres(options) => postgres::maintenance_connection(options, self.pool_settings).await,
        }
    }

    /// Whether the database answers and has all the tables this version needs.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn is_ready(&self) -> Result<bool, StoreError> {
        let DatabaseAddress::Postgres(options) = &self.address else { return self.is_migrated().await };
        // A pool tries again and again where a connection is refused, and cannot say why there is none.
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

    /// Makes the history one of its own, so that cursors of another are refused: to be done after a backup was put in
    /// place, whose positions will be given to other changes than before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn begin_new_generation(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        use entity::log_head::{Column, Entity};
        // As at the beginning: a moment is a number that no other history of this database has.
        let generation = Entity::update_many().col_expr(Column::Generation, now.timestamp_micros().into());
        self.with_timeout(generation.exec(&self.write_pool)).await?;
        Ok(())
    }

    /// Does something on the connections for what is written beside deliveries, unless it takes longer than it can: then the
    /// way to the database is cut.
    ///
    /// # Errors
    /// If it fails, or takes too long.
    pub(super) async fn with_timeout<T>(&self, doing: impl Future<Output = Result<T, DbErr>>) -> Result<T, StoreError> {
        Ok(read_pool::with_timeout(self.read_pool.timeout(), doing).await?)
    }

    async fn is_migrated(&self) -> Result<bool, StoreError> {
        let applied = Query::select().column("version").from("seaql_migrations").take();
        let applied = self.read_pool.query_all(&applied).await?;
        let applied: BTreeSet<String> =
            applied.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
        Ok(Migrator::migrations().iter().all(|step| applied.contains(step.name())))
    }
}
