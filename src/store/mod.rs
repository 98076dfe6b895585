//! The database, and all SQL. One connection writes, a pool reads.

mod connect;
mod maintenance_lock;
mod outage;
pub mod read;
mod write;

pub use connect::{Database, DatabaseAddress, OpenMode, PoolSettings, ReadPool, read_only_connection};
pub use maintenance_lock::MaintenanceLock;
pub use write::{
    BatchRows, BegunTransaction, DuplicateCount, HandshakeRequest, HandshakeStore, OriginalRow, WriteConnection,
};

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or cannot be reached.
    #[error("the database failed: {0}")]
    Database(#[from] sea_orm::DbErr),
    /// The same, of the writing connection to SQLite.
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The same, of the writing connection to PostgreSQL.
    #[error("the database failed: {0}")]
    Postgres(#[from] sea_orm::sqlx::Error),
    /// A stored row cannot be understood: it was written by another version, or by hand.
    #[error("a stored row cannot be understood: {0}")]
    Corrupt(String),
    /// What was asked takes long, and was ended at the caller's wish.
    #[error("it was stopped")]
    Cancelled,
    /// The history was replaced by another, so that the position somebody followed means nothing any more.
    #[error("the history was rebuilt")]
    GenerationChanged,
    /// Somebody else wrote, when it was taken for granted that nobody does: nothing was written, and the same may succeed
    /// at once.
    #[error("another process has written")]
    Conflict,
    /// Somebody else is at this database with what only one may do at a time.
    #[error("a rebuild of {0} is under way, or old lives are being forgotten there: try again when that is done")]
    Locked(String),
    /// What follows a position is not all there any more.
    #[error("the history is kept from after position {retained_from}")]
    Expired {
        /// The oldest position that can be followed from.
        retained_from: i64,
        generation: i64,
    },
    /// The SQLite file at the path is not the one that is open: what is written would be lost.
    #[error(
        "the database {database} is not the one that is open any more: {file} was removed or replaced, or its volume \
         was unmounted. Nothing is taken in until it is back; to use another file, restart the hub"
    )]
    FileReplaced { database: String, file: String },
    /// The address of the database is wrong; says how.
    #[error("{0}")]
    OpenFailed(String),
}

impl StoreError {
    /// Whether nothing about what was asked could be the cause: the database cannot be reached, is full, is busy, or was
    /// told to stop.
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
            StoreError::FileReplaced { .. } => true,
            _ => false,
        }
    }

    /// Whether the connection is gone, so that another one may do better.
    pub fn is_lost_connection(&self) -> bool {
        use sea_orm::sqlx::Error::{Io, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        match self {
            StoreError::Postgres(Io(_) | Protocol(_) | Tls(_) | WorkerCrashed | PoolTimedOut) => true,
            // A session that was frozen for too long in a transaction is ended, too (25P03, 25P04). One that only reads
            // (25006) leads to a server that has handed its place to another.
            StoreError::Postgres(_) => self.has_sqlstate_class(&["08", "57P", "25P03", "25P04", "25006"]),
            _ => false,
        }
    }

    /// Whether somebody else held a lock for longer than was waited.
    pub fn is_lock_timeout(&self) -> bool {
        use sea_orm::{DbErr, RuntimeErr};
        let StoreError::Database(
            DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
        ) = self
        else {
            return false;
        };
        let code = error.as_database_error().and_then(|error| error.code());
        // PostgreSQL's `lock_not_available`, SQLite's `SQLITE_BUSY` and its kinds (<https://sqlite.org/rescode.html>).
        code.is_some_and(|code| ["55P03", "5", "261", "517"].contains(&code.as_ref()))
    }

    /// Whether the same may succeed at once: the database has ended one of two transactions that were in each other's way.
    pub fn is_transaction_rollback(&self) -> bool {
        self.has_sqlstate_class(&["40"])
    }

    // By the beginnings of PostgreSQL's codes (https://www.postgresql.org/docs/current/errcodes-appendix.html).
    fn has_sqlstate_class(&self, classes: &[&str]) -> bool {
        let StoreError::Postgres(sea_orm::sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
    }
}
