//! A SQLite file: one connection that writes, some that read.

use super::{Mode, Pools};
use crate::store::StoreError;
use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{DatabaseConnection, SqlxSqliteConnector};
use std::path::Path;

/// Opens the file for writing and for reading.
///
/// `synchronous=FULL`: a commit is on the disk before it is answered. `journal_mode=WAL`: readers never wait for the
/// writer.
///
/// # Errors
/// If the file cannot be opened.
pub async fn open(
    path: &str,
    mode: Mode,
    pools: Pools,
) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    let folder = Path::new(path).parent().filter(|f| !f.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|_| mode == Mode::Migrate) {
        std::fs::create_dir_all(folder).map_err(|error| {
            StoreError::Address(format!("the folder {} cannot be created: {error}", folder.display()))
        })?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(mode == Mode::Migrate)
        .busy_timeout(pools.wait)
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
        .max_connections(pools.readers)
        .acquire_timeout(pools.wait)
        .connect_with(options.read_only(true).create_if_missing(false))
        .await
        .map_err(cannot_open)?;
    Ok((writer, SqlxSqliteConnector::from_sqlx_sqlite_pool(readers)))
}
