//! The writing connection: all statements of the writer, one implementation for each database. A new column is declared in
//! `entity/src/`, created in `migration/src/`, and written and read by the list of its table in `columns.rs`.

mod change_type;
mod checkpoint;
mod columns;
mod connection;
mod dictionaries;
mod handshake;
mod postgres;
mod row_mapping;
mod sql;
mod sqlite;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub use change_type::insert_change;
pub use columns::{DuplicateCount, OriginalRow};
pub use connection::{BatchRows, BegunTransaction, HandshakeRequest, WriteConnection};
pub use handshake::HandshakeStore;

use super::connect::DatabaseAddress;
use super::{Database, StoreError};
use postgres::PostgresWriteConnection;
use sqlite::{Durability, SqliteWriteConnection};

impl Database {
    /// Opens the connection of the writer. A commit on it survives a power failure. Fails if the database cannot be opened.
    pub fn open_write_connection(&self) -> Result<Box<dyn WriteConnection>, StoreError> {
        Ok(match &self.address {
            DatabaseAddress::Sqlite(path) => {
                Box::new(SqliteWriteConnection::open(path, self.pool_settings.acquire_timeout, Durability::SyncFull)?)
            }
            DatabaseAddress::Postgres(options) => Box::new(PostgresWriteConnection::open(options, self.pool_settings)?),
        })
    }

    /// Opens the writing connection of a shadow database, which can be built again: a commit does not wait for the disk.
    /// Fails if the database is not a SQLite file, or cannot be opened.
    pub fn open_shadow_write_connection(&self) -> Result<Box<dyn WriteConnection>, StoreError> {
        let DatabaseAddress::Sqlite(path) = &self.address else {
            return Err(StoreError::Configuration("a shadow database is a SQLite file".into()));
        };
        let connection = SqliteWriteConnection::open(path, self.pool_settings.acquire_timeout, Durability::SyncOff)?;
        Ok(Box::new(connection))
    }
}
