//! Connections to a SQLite file: one that writes, several that read.

use super::read_pool::ReadPool;
use super::{OpenMode, PoolSettings, layout};
use crate::store::StoreError;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{self, Executor};
use sea_orm::{ConnectionTrait, DatabaseConnection, SqlxSqliteConnector};
use std::path::Path;

/// Opens the writing and the reading connections.
///
/// `synchronous=FULL`: a commit is on the disk before it is answered. `journal_mode=WAL`: readers never wait for the
/// writer.
pub async fn open(
    path: &str,
    mode: OpenMode,
    pools: PoolSettings,
) -> Result<(DatabaseConnection, ReadPool), StoreError> {
    if Path::new(path).is_dir() {
        return Err(StoreError::Configuration(format!("{path} is a folder: name a file in it")));
    }
    let folder = Path::new(path).parent().filter(|f| !f.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|_| mode == OpenMode::Migrate) {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    }
    let options = connect_options(path, pools).create_if_missing(mode == OpenMode::Migrate);
    let writer = connect(path, options.clone()).await?;
    if mode == OpenMode::Migrate {
        layout::migrate(&writer, &format!("sqlite://{path}")).await?;
        // SQLite silently opens a file without write permission for reading, and fails at the first write.
        let written = writer.execute_unprepared("UPDATE log_head SET id = id WHERE id = -1").await;
        if let Err(error) = written.map_err(StoreError::from)
            && error.is_read_only()
        {
            let why = "it cannot be written: see who owns the file and its folder, and whether the volume is read-only";
            return Err(StoreError::Configuration(format!("the database {path} cannot be opened: {why}")));
        }
    }
    let readers = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(pools.pool_size)
        .acquire_timeout(pools.acquire_timeout)
        .connect_with(options.read_only(true).create_if_missing(false))
        .await
        .map_err(|error| open_error(path, &error))?;
    Ok((writer, ReadPool::for_sqlite(SqlxSqliteConnector::from_sqlx_sqlite_pool(readers))))
}

/// Opens a connection for long work. It does not wait for the lock by itself.
pub async fn maintenance_connection(path: &str, pools: PoolSettings) -> Result<DatabaseConnection, StoreError> {
    let connection = connect(path, connect_options(path, pools)).await?;
    connection.execute_unprepared("PRAGMA busy_timeout = 0").await?;
    Ok(connection)
}

/// Opens another connection, for reading only.
pub async fn read_only_connection(path: &str, pools: PoolSettings) -> Result<DatabaseConnection, StoreError> {
    connect(path, connect_options(path, pools).read_only(true)).await
}

async fn connect(path: &str, options: SqliteConnectOptions) -> Result<DatabaseConnection, StoreError> {
    // Keeps its one connection until it is closed.
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    // A COMMIT that fails, as on a full disk, leaves its transaction open, and with it SQLite's lock: sea-orm takes it to be ended. If
    // there is one to roll back, the connection is closed, because sqlx still counts it.
    let pool =
        pool.after_release(|connection, _| Box::pin(async move { Ok(connection.execute("ROLLBACK").await.is_err()) }));
    let connection = pool.connect_with(options).await.map_err(|error| open_error(path, &error))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(connection))
}

fn connect_options(path: &str, pools: PoolSettings) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(pools.acquire_timeout)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .pragma("temp_store", "memory")
}

fn open_error(path: &str, error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(format!("the database {path} cannot be opened: {error}"))
}
