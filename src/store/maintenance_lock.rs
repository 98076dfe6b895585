//! Admits one rebuild or purge per database at a time. Two rebuilds would load the same shadow tables, and a rebuild would
//! restore what a purge deletes after the raw log was read.

use crate::store::connect::DatabaseAddress;
use crate::store::{Database, StoreError};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The key of PostgreSQL's advisory lock: "rebuild" as a number.
const ADVISORY_LOCK_KEY: i64 = 32_199_620_896_058_468;

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

impl Drop for MaintenanceLock {
    fn drop(&mut self) {
        if let Some((_, path)) = self.file.take() {
            // It is empty, and a file that is left behind locks nothing.
            let _ = fs::remove_file(path);
        }
    }
}
