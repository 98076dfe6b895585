//! Admits one rebuild or purge per database at a time. Two rebuilds would load the same shadow tables, and a rebuild would
//! restore what a purge deletes after the raw log was read.

use crate::store::connect::DatabaseAddress;
use crate::store::{Database, StoreError};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The key of PostgreSQL's advisory lock: "rebuild" as a number.
const ADVISORY_LOCK_KEY: i64 = 32_199_620_896_058_468;
/// How long to try for the writer's lock.
const WRITER_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The lock; released when dropped.
#[derive(Debug)]
pub struct MaintenanceLock {
    /// The connection to work on. On PostgreSQL it holds the lock.
    pub connection: DatabaseConnection,
    /// The lock file beside a SQLite database, which only SQLite itself may open.
    file: Option<(File, PathBuf)>,
}

impl MaintenanceLock {
    /// Connects and takes the lock. Fails with [`StoreError::Locked`] if another process holds it.
    pub async fn acquire(db: &Database) -> Result<MaintenanceLock, StoreError> {
        let locked = || StoreError::Locked(db.redacted_address());
        let connection = db.maintenance_connection().await?;
        let DatabaseAddress::Sqlite(path) = &db.address else {
            let text = format!("SELECT pg_try_advisory_lock({ADVISORY_LOCK_KEY}) AS acquired");
            let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await?;
            let acquired = row.map(|row| row.try_get("", "acquired")).transpose()?.unwrap_or(false);
            return if acquired { Ok(MaintenanceLock { connection, file: None }) } else { Err(locked()) };
        };
        let path = PathBuf::from(format!("{path}-rebuild.lock"));
        let file = File::create(&path).map_err(StoreError::io(&path))?;
        file.try_lock().map_err(|_| locked())?;
        // The previous holder may have removed the file between the two calls: this lock would then be of a removed file.
        let inode = |file: std::io::Result<Metadata>| file.map(|file| file.ino()).ok();
        if inode(fs::metadata(&path)) != inode(file.metadata()) {
            return Err(locked());
        }
        Ok(MaintenanceLock { connection, file: Some((file, path)) })
    }
}

/// Begins a transaction that can write. On PostgreSQL, `locks` are its first statements. A busy writer releases SQLite's lock
/// only for a moment, and SQLite's own waits become longer and longer: it is tried again and again, with `wait` in between.
pub async fn begin_writing<W: Future<Output = ()>>(
    db: &DatabaseConnection,
    locks: &str,
    wait: impl Fn() -> W,
) -> Result<DatabaseTransaction, StoreError> {
    let is_postgres = db.get_database_backend() == DbBackend::Postgres;
    let options = TransactionOptions {
        isolation_level: is_postgres.then_some(IsolationLevel::ReadCommitted),
        // Immediate: SQLite refuses a write after a read if another process wrote in between.
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let begun = Instant::now();
    loop {
        let attempt = async {
            let txn = db.begin_with_options(options).await?;
            if is_postgres && !locks.is_empty() {
                txn.execute_unprepared(locks).await?;
            }
            Ok::<_, StoreError>(txn)
        };
        match attempt.await {
            Err(error) if error.is_lock_timeout() && begun.elapsed() < WRITER_LOCK_TIMEOUT => wait().await,
            txn => return txn,
        }
    }
}

impl Drop for MaintenanceLock {
    fn drop(&mut self) {
        if let Some((_, path)) = self.file.take() {
            // It is empty, and a file that is left behind locks nothing.
            let _ = fs::remove_file(path);
        }
    }
}
