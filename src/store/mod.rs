//! The database, and all SQL. One connection writes, a pool reads.

mod connect;
pub mod read;
mod verify;
mod write;

pub use connect::{Database, Mode};
pub use verify::{Difference, Differences, Stored};
pub use write::{Handshakes, Incoming, Post, Receipt, Writer, Written};

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or cannot be reached.
    #[error("the database failed: {0}")]
    Database(#[from] sea_orm::DbErr),
    /// The same, of the writing connection.
    #[error("the database failed: {0}")]
    Writing(#[from] rusqlite::Error),
    /// A stored row cannot be understood: it was written by another version, or by hand.
    #[error("a stored row cannot be understood: {0}")]
    Corrupt(String),
    /// The address of the database is wrong; says how.
    #[error("{0}")]
    Address(String),
}
