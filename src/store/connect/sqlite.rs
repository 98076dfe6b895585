//! A SQLite file: one connection that writes, some that read.

use super::readers::Readers;
use super::{Mode, Pools};
use crate::store::StoreError;
use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{ConnectionTrait, DatabaseConnection, SqlxSqliteConnector};
use std::path::Path;

/// Opens the file for writing and for reading.
///
/// `synchronous=FULL`: a commit is on the disk before it is answered. `journal_mode=WAL`: readers never wait for the
/// writer.
///
/// # Errors
/// If the file cannot be opened.
pub async fn open(path: &str, mode: Mode, pools: Pools) -> Result<(DatabaseConnection, Readers), StoreError> {
    if Path::new(path).is_dir() {
        return Err(StoreError::Address(format!("{path} is a folder: name a file in it")));
    }
    let folder = Path::new(path).parent().filter(|f| !f.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|_| mode == Mode::Migrate) {
        std::fs::create_dir_all(folder).map_err(|error| {
            StoreError::Address(format!("the folder {} cannot be created: {error}", folder.display()))
        })?;
    }
    let options = options(path, pools).create_if_missing(mode == Mode::Migrate);
    let writer = connect(path, options.clone()).await?;
    if mode == Mode::Migrate {
        Migrator::up(&writer, None).await?;
        // SQLite opens a file that cannot be written without a word, to be read, and says so at the first write.
        let written = writer.execute_unprepared("UPDATE log_head SET id = id WHERE id = -1").await;
        if let Err(error) = written.map_err(StoreError::from)
            && error.is_read_only()
        {
            let why = "it cannot be written: see who owns the file and its folder, and whether the volume is read-only";
            return Err(StoreError::Address(format!("the database {path} cannot be opened: {why}")));
        }
    }
    let readers = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(pools.readers)
        .acquire_timeout(pools.wait)
        .connect_with(options.read_only(true).create_if_missing(false))
        .await
        .map_err(|error| cannot_open(path, &error))?;
    Ok((writer, Readers::of_file(SqlxSqliteConnector::from_sqlx_sqlite_pool(readers))))
}

/// One more connection, for what takes long. It does not wait for the lock by itself.
///
/// # Errors
/// If the file cannot be opened.
pub async fn long(path: &str, pools: Pools) -> Result<DatabaseConnection, StoreError> {
    let connection = connect(path, options(path, pools)).await?;
    connection.execute_unprepared("PRAGMA busy_timeout = 0").await?;
    Ok(connection)
}

/// One more connection, which only reads.
///
/// # Errors
/// If the file cannot be opened.
pub async fn reading(path: &str, pools: Pools) -> Result<DatabaseConnection, StoreError> {
    connect(path, options(path, pools).read_only(true)).await
}

async fn connect(path: &str, options: SqliteConnectOptions) -> Result<DatabaseConnection, StoreError> {
    let connection = only_one().connect_with(options).await.map_err(|error| cannot_open(path, &error))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(connection))
}

fn options(path: &str, pools: Pools) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(pools.wait)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .pragma("temp_store", "memory")
}

// The same to the end.
fn only_one() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None)
}

fn cannot_open(path: &str, error: &sqlx::Error) -> StoreError {
    StoreError::Address(format!("the database {path} cannot be opened: {error}"))
}
