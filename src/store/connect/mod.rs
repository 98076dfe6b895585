//! Opening the database: which one an address means, its connections, and the tables brought up to date.

mod address;
mod files;
mod postgres;
mod readers;
mod sqlite;

pub use files::OpenFiles;
pub use postgres::{connected, limits};
pub use readers::Readers;
pub use sqlite::reading;

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
const SUSPICIOUS: Duration = Duration::from_millis(500);

/// An open database.
#[derive(Clone, Debug)]
pub struct Database {
    /// For migrations, and for what is written beside deliveries.
    pub(super) writer: DatabaseConnection,
    /// What the writer opens once more for itself.
    pub(super) place: Place,
    pub(super) pools: Pools,
    /// Connections that only read.
    pub readers: Readers,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A SQLite file.
    File(String),
    /// A PostgreSQL database: host, credentials, TLS.
    Server(Box<PgConnectOptions>),
}

/// How many connections there are, and how long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pools {
    /// Connections that read at the same time.
    pub readers: u32,
    /// For a connection, and for what somebody else has locked.
    pub wait: Duration,
    /// For a statement to end. SQLite's take as long as they take.
    pub statement: Duration,
}

impl Default for Pools {
    fn default() -> Self {
        Pools { readers: 4, wait: Duration::from_secs(5), statement: Duration::from_secs(10) }
    }
}

/// Whether the tables are brought up to date on opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Migrate,
    AsItIs,
}

impl Place {
    /// What `sqlite://PATH`, the path of a file, or `postgres://…` means.
    ///
    /// # Errors
    /// If the address is of another form. It is not quoted: it may hold a password.
    pub fn of(address: &str) -> Result<Place, StoreError> {
        address::place(address)
    }

    /// The address without a password, to be shown.
    pub fn shown(&self) -> String {
        match self {
            Place::File(path) => format!("sqlite://{path}"),
            Place::Server(options) => postgres::shown(options),
        }
    }
}

impl Database {
    /// Opens a database with the pools that suffice for most.
    ///
    /// # Errors
    /// As [`Database::open_with`].
    pub fn open(address: &str, mode: Mode) -> BoxFuture<'_, Result<Self, StoreError>> {
        Database::open_with(address, mode, Pools::default())
    }

    /// Opens `sqlite://PATH`, creating the file and its folder if need be, or `postgres://USER@HOST/DATABASE`.
    ///
    /// The future is boxed so that the drivers are compiled here, and not once more in each program that opens a database.
    ///
    /// # Errors
    /// If the address is of another form, or the database cannot be opened, or does not keep a lock.
    pub fn open_with(address: &str, mode: Mode, pools: Pools) -> BoxFuture<'_, Result<Self, StoreError>> {
        Database::opened(address, mode, pools).boxed()
    }

    async fn opened(address: &str, mode: Mode, pools: Pools) -> Result<Self, StoreError> {
        let place = Place::of(address)?;
        match &place {
            Place::File(path) => {
                let (writer, readers) = sqlite::open(path, mode, pools).await?;
                Ok(Database { writer, place, pools, readers })
            }
            Place::Server(options) => {
                let (writer, readers) = postgres::open(options, mode, pools).await?;
                Ok(Database { writer, place, pools, readers })
            }
        }
    }

    /// The address without a password, to be shown.
    pub fn shown(&self) -> String {
        self.place.shown()
    }

    /// The connections of a PostgreSQL database, for what only it has.
    pub fn postgres(&self) -> Option<PgPool> {
        matches!(self.place, Place::Server(_)).then(|| self.writer.get_postgres_connection_pool().clone())
    }

    /// One more connection for what takes long: without PostgreSQL's limits on how long a statement and a transaction take,
    /// and without waiting for SQLite's lock.
    ///
    /// # Errors
    /// If there is none.
    pub(super) async fn long(&self) -> Result<DatabaseConnection, StoreError> {
        match &self.place {
            Place::File(path) => sqlite::long(path, self.pools).await,
            Place::Server(options) => postgres::long(options, self.pools).await,
        }
    }

    /// Whether the database answers and has all the tables this version needs.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn is_ready(&self) -> Result<bool, StoreError> {
        let Place::Server(options) = &self.place else { return self.is_migrated().await };
        // A pool tries again and again where a connection is refused, and cannot say why there is none.
        let why_not = async {
            tokio::time::sleep(SUSPICIOUS).await;
            match postgres::reachable(options).await {
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
    pub async fn begin_new_history(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        use entity::log_head::{Column, Entity};
        // As at the beginning: a moment is a number that no other history of this database has.
        let generation = Entity::update_many().col_expr(Column::Generation, now.timestamp_micros().into());
        self.in_time(generation.exec(&self.writer)).await?;
        Ok(())
    }

    /// Does something on the connections for what is written beside deliveries, unless it takes longer than it can: then the
    /// way to the database is cut.
    ///
    /// # Errors
    /// If it fails, or takes too long.
    pub(super) async fn in_time<T>(&self, doing: impl Future<Output = Result<T, DbErr>>) -> Result<T, StoreError> {
        Ok(readers::in_time(self.readers.patience(), doing).await?)
    }

    async fn is_migrated(&self) -> Result<bool, StoreError> {
        let applied = Query::select().column("version").from("seaql_migrations").take();
        let applied = self.readers.query_all(&applied).await?;
        let applied: BTreeSet<String> =
            applied.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
        Ok(Migrator::migrations().iter().all(|step| applied.contains(step.name())))
    }
}
