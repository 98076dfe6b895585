//! One at a time, for a database: a rebuild, or forgetting. Two rebuilds would load the same fresh tables; and what is
//! forgotten while the raw log is read would be put back.

use crate::store::connect::DatabaseAddress;
use crate::store::{Database, StoreError};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Which advisory lock of PostgreSQL stands for it: "rebuild" as a number.
const ADVISORY_LOCK_KEY: i64 = 32_199_620_896_058_468;

/// Held for as long as it takes.
#[derive(Debug)]
pub struct MaintenanceLock {
    /// The connection to work on, which holds PostgreSQL's lock.
    pub connection: DatabaseConnection,
    /// The file that stands for a SQLite database, which itself must not be opened by others than SQLite.
    file: Option<(File, PathBuf)>,
}

impl MaintenanceLock {
    /// Connects, if nobody else is at it.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if somebody is; or if the database cannot be reached.
    pub async fn acquire(db: &Database) -> Result<MaintenanceLock, StoreError> {
        let taken = || StoreError::Locked(db.redacted_address());
        let connection = db.maintenance_connection().await?;
        let DatabaseAddress::Sqlite(path) = &db.address else {
            let text = format!("SELECT pg_try_advisory_lock({ADVISORY_LOCK_KEY}) AS got");
            let got = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await?;
            let got = got.map(|row| row.try_get("", "got")).transpose()?.unwrap_or(false);
            return if got { Ok(MaintenanceLock { connection, file: None }) } else { Err(taken()) };
        };
        let path = PathBuf::from(format!("{path}-rebuild.lock"));
        let cannot = |error| StoreError::OpenFailed(format!("{} cannot be made: {error}", path.display()));
        let file = File::create(&path).map_err(cannot)?;
        file.try_lock().map_err(|_| taken())?;
        // Whoever had it may have removed the file in between: then the next one would lock another.
        let inode = |file: std::io::Result<Metadata>| file.map(|file| file.ino()).ok();
        if inode(fs::metadata(&path)) != inode(file.metadata()) {
            return Err(taken());
        }
        Ok(MaintenanceLock { connection, file: Some((file, path)) })
    }
}

impl Drop for MaintenanceLock {
    fn drop(&mut self) {
        if let Some((_, path)) = self.file.take() {
            // It is empty: whether it stays matters to nobody.
            let _ = fs::remove_file(path);
        }
    }
}
