//! The database, and the SQL of everything but maintenance (`rebuild`, `retention`). One connection writes, a pool reads.

mod access_version;
mod api_keys;
mod begin_writing;
mod browser_sessions;
mod connect;
mod idempotency;
mod inspection_index;
mod maintenance_lock;
mod outage;
mod payload;
pub mod read;
mod rejections;
mod replicas;
mod write;

pub use api_keys::{ApiKeyError, ApiKeyRecord, ApiKeyStore, KeyRotation, RotatedKey};
pub use begin_writing::begin_writing;
pub use browser_sessions::{BrowserSessionStore, LoginDigest};
pub use connect::{Database, DatabaseAddress, OpenMode, PoolSettings, ReadPool, read_only_connection, with_timeout};
pub use idempotency::delete_idempotency_keys;
pub use inspection_index::{Cohort, CountGroup, InspectionIndex, Period};
pub use maintenance_lock::MaintenanceLock;
pub use payload::{DictionaryCache, PayloadError, StoredPayload, VendorDictionary};
pub use rejections::{MAX_REJECTIONS, RejectionStore, delete_rejections_before};
pub use replicas::{HOUR_SECONDS, MINUTE_SECONDS, ReplicaReport, ReplicaStore};
#[cfg(test)]
pub use write::insert_change;
pub use write::{
    BatchRows, BegunTransaction, DuplicateCount, HandshakeRequest, HandshakeStore, OriginalRow, WriteConnection,
};

use std::io;
use std::path::{Path, PathBuf};

/// Why the database did not do what was asked. The variant says whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused a statement, or cannot be reached.
    #[error("the database failed: {0}")]
    Database(sea_orm::DbErr),
    /// The same, on the writing connection to SQLite.
    #[error("the database failed: {0}")]
    Sqlite(rusqlite::Error),
    /// The same, on a connection to PostgreSQL that is used directly.
    #[error("the database failed: {0}")]
    Postgres(sea_orm::sqlx::Error),
    /// The operator's to fix: an address, the layout of the database, or a server that the hub cannot work with.
    #[error("{0}")]
    Configuration(String),
    /// The database cannot be opened at the moment.
    #[error("{0}")]
    Unavailable(String),
    /// A file or a folder beside the database cannot be used.
    #[error("{} cannot be used: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    /// A task or thread of this process ended before its work was done.
    #[error("{task} ended early: {reason}")]
    Task { task: &'static str, reason: String },
    /// A stored value is invalid: another version wrote it, or a person.
    #[error("a stored row is invalid: {0}")]
    Corrupt(String),
    /// The caller cancelled the work.
    #[error("cancelled")]
    Cancelled,
    /// A rebuild replaced the history: positions of the previous one are invalid.
    #[error("the history was rebuilt")]
    GenerationChanged,
    /// Another process wrote although the batch assumed that none does. Nothing was written; an immediate retry may succeed.
    #[error("another process has written")]
    Conflict,
    /// Another rebuild or purge holds the lock.
    #[error("another rebuild or purge is using {0}: try again when it has finished")]
    Locked(String),
    /// A purge removed changes after the requested position.
    #[error("the history is retained from after position {retained_from}")]
    Expired {
        /// The oldest position that can be followed from.
        retained_from: i64,
        generation: i64,
    },
    /// The SQLite file at the path is not the open one: what is written would be lost.
    #[error(
        "the database {database} is no longer the one that is open: {file} was removed or replaced, or its volume was \
         unmounted. No delivery is accepted until it is back; to use another file, restart the hub"
    )]
    FileReplaced { database: String, file: String },
}

// A value that its column cannot have is an invalid row, not a failure of the database.
impl From<sea_orm::DbErr> for StoreError {
    fn from(error: sea_orm::DbErr) -> Self {
        match error {
            sea_orm::DbErr::Type(what) => StoreError::Corrupt(what),
            error => StoreError::Database(error),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        match error {
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
                StoreError::Corrupt(error.to_string())
            }
            error => StoreError::Sqlite(error),
        }
    }
}

impl From<sea_orm::sqlx::Error> for StoreError {
    fn from(error: sea_orm::sqlx::Error) -> Self {
        match error {
            sea_orm::sqlx::Error::ColumnDecode { .. } => StoreError::Corrupt(error.to_string()),
            error => StoreError::Postgres(error),
        }
    }
}

impl StoreError {
    /// Wraps an I/O error of this path.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::Io { path: path.clone(), error }
    }

    /// Wraps the reason why a task or thread ended early.
    pub(crate) fn task(task: &'static str, reason: impl ToString) -> StoreError {
        StoreError::Task { task, reason: reason.to_string() }
    }

    /// Whether the state of the database is the cause, not the request: unreachable, full, busy, or shutting down.
    pub fn is_unavailable(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly, SystemIoFailure};
        match self {
            StoreError::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(CannotOpen | DatabaseBusy | DatabaseLocked | DiskFull | ReadOnly | SystemIoFailure)
            ),
            StoreError::Postgres(_) => {
                self.is_lost_connection() || self.has_sqlstate_class(&["25", "40", "53", "55", "57", "58"])
            }
            StoreError::FileReplaced { .. } | StoreError::Unavailable(_) => true,
            _ => false,
        }
    }

    /// Whether the connection is lost, so that another one may succeed.
    pub fn is_lost_connection(&self) -> bool {
        use sea_orm::sqlx::Error::{Io, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        match self {
            StoreError::Postgres(Io(_) | Protocol(_) | Tls(_) | WorkerCrashed | PoolTimedOut) => true,
            // A session that froze in a transaction is ended (25P03, 25P04). A read-only one (25006) is connected to a
            // server that is no longer the primary.
            StoreError::Postgres(_) => self.has_sqlstate_class(&["08", "57P", "25P03", "25P04", "25006"]),
            _ => false,
        }
    }

    /// Whether the wait for a lock timed out.
    pub fn is_lock_timeout(&self) -> bool {
        let code = self.sqlx_error().and_then(|error| error.as_database_error()?.code());
        // PostgreSQL's `lock_not_available`; SQLite's `SQLITE_BUSY` and its variants (<https://sqlite.org/rescode.html>).
        code.is_some_and(|code| ["55P03", "5", "261", "517"].contains(&code.as_ref()))
    }

    /// Whether an immediate retry may succeed: the database ended one of two conflicting transactions.
    pub fn is_transaction_rollback(&self) -> bool {
        self.has_sqlstate_class(&["40"])
    }

    // By prefixes of SQLSTATE codes (https://www.postgresql.org/docs/current/errcodes-appendix.html).
    fn has_sqlstate_class(&self, classes: &[&str]) -> bool {
        let StoreError::Postgres(sea_orm::sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
    }
}
