//! Opening the database: which one an address means, its connections, and the tables brought up to date.

mod postgres;
mod sqlite;

pub use postgres::limited;
pub use sqlite::reading;

use super::StoreError;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::Query;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use std::collections::BTreeSet;
use std::time::Duration;

/// An open database.
#[derive(Clone, Debug)]
pub struct Database {
    /// For migrations, and for what is written beside deliveries.
    pub(super) writer: DatabaseConnection,
    /// What the writer opens once more for itself.
    pub(super) place: Place,
    pub(super) pools: Pools,
    /// Connections that only read.
    pub readers: DatabaseConnection,
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
    /// What `sqlite://PATH` or `postgres://…` means.
    ///
    /// # Errors
    /// If the address is of another form. It is not quoted: it may hold a password.
    pub fn of(address: &str) -> Result<Place, StoreError> {
        match address.split_once("://") {
            Some(("sqlite", path)) => Ok(Place::File(path.split('?').next().unwrap_or(path).to_owned())),
            Some(("postgres" | "postgresql", _)) => Ok(Place::Server(Box::new(postgres::options(address)?))),
            _ => Err(StoreError::Address(
                "the database's address must begin with sqlite:// or postgres://, e.g. sqlite://data/hub.db".into(),
            )),
        }
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
        let applied = Query::select().column("version").from("seaql_migrations").take();
        let applied = self.readers.query_all(&applied).await?;
        let applied: BTreeSet<String> =
            applied.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
        Ok(Migrator::migrations().iter().all(|step| applied.contains(step.name())))
    }
}
