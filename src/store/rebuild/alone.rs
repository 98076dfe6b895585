//! One rebuild of a database at a time: two would load the same fresh tables.

use crate::store::connect::Place;
use crate::store::{Database, StoreError};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use std::fs::{self, File};
use std::path::PathBuf;

/// Which advisory lock of PostgreSQL stands for a rebuild: "rebuild" as a number.
const LOCK: i64 = 32_199_620_896_058_468;

/// Held for as long as a rebuild takes.
#[derive(Debug)]
pub struct Alone {
    /// The connection that the rebuild works on, which holds PostgreSQL's lock.
    pub connection: DatabaseConnection,
    /// The file that stands for a SQLite database, which itself must not be opened by others than SQLite.
    file: Option<(File, PathBuf)>,
}

impl Alone {
    /// Connects, if no other rebuild is under way.
    ///
    /// # Errors
    /// If one is, or the database cannot be reached.
    pub async fn with(db: &Database) -> Result<Alone, StoreError> {
        let taken = || StoreError::Address(format!("another rebuild of {} is under way", db.shown()));
        let connection = db.long().await?;
        let Place::File(path) = &db.place else {
            let text = format!("SELECT pg_try_advisory_lock({LOCK}) AS got");
            let got = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await?;
            let got = got.map(|row| row.try_get("", "got")).transpose()?.unwrap_or(false);
            return if got { Ok(Alone { connection, file: None }) } else { Err(taken()) };
        };
        let path = PathBuf::from(format!("{path}-rebuild.lock"));
        let file = File::create(&path)
            .map_err(|error| StoreError::Address(format!("{} cannot be made: {error}", path.display())))?;
        file.try_lock().map_err(|_| taken())?;
        Ok(Alone { connection, file: Some((file, path)) })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some((_, path)) = self.file.take() {
            // It is empty: whether it stays matters to nobody.
            let _ = fs::remove_file(path);
        }
    }
}
