//! Opening the database: pragmas, pools and migrations.

use super::StoreError;
use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{DatabaseConnection, SqlxSqliteConnector};
use std::path::Path;
use std::time::Duration;

/// Connections that read at the same time.
const READERS: u32 = 4;
/// How long a statement waits for another process's lock.
const BUSY: Duration = Duration::from_secs(5);

/// An open database.
#[derive(Clone, Debug)]
pub struct Database {
    /// For migrations, and for what is written beside deliveries.
    pub(super) writer: DatabaseConnection,
    /// The file.
    pub(super) path: String,
    /// Connections that only read.
    pub readers: DatabaseConnection,
}

/// Whether the tables are brought up to date on opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Migrate,
    AsItIs,
}

impl Database {
    /// The file that `sqlite://PATH` names.
    ///
    /// # Errors
    /// If the address is of another form.
    pub(super) fn path_of(address: &str) -> Result<&str, StoreError> {
        let path = address.strip_prefix("sqlite://").ok_or_else(|| {
            StoreError::Address("the database's address must begin with sqlite://, e.g. sqlite://data/hub.db".into())
        })?;
        Ok(path.split('?').next().unwrap_or(path))
    }

    /// Opens `sqlite://PATH`, creating the file and its folder if need be.
    ///
    /// `synchronous=FULL`: a commit is on the disk before it is answered. `journal_mode=WAL`: readers never wait for
    /// the writer.
    ///
    /// # Errors
    /// If the address is of another form, or the file cannot be opened.
    pub async fn open(address: &str, mode: Mode) -> Result<Self, StoreError> {
        let path = Database::path_of(address)?;
        let folder = Path::new(path).parent().filter(|f| !f.as_os_str().is_empty());
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|error| {
                StoreError::Address(format!("the folder {} cannot be created: {error}", folder.display()))
            })?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .pragma("temp_store", "memory");
        let cannot_open = |error| StoreError::Address(format!("the database {path} cannot be opened: {error}"));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(cannot_open)?;
        let writer = SqlxSqliteConnector::from_sqlx_sqlite_pool(writer);
        if mode == Mode::Migrate {
            Migrator::up(&writer, None).await?;
        }
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(READERS)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(cannot_open)?;
        Ok(Database { writer, path: path.to_owned(), readers: SqlxSqliteConnector::from_sqlx_sqlite_pool(readers) })
    }

    /// Whether the database answers and has all the tables this version needs.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn is_ready(&self) -> Result<bool, StoreError> {
        Ok(Migrator::get_pending_migrations(&self.readers).await?.is_empty())
    }
}
