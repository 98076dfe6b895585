//! Describes a database failure in a few words that name no host, file or person, for readiness checks.

use super::StoreError;
use rusqlite::ErrorCode;
use sea_orm::{DbErr, RuntimeErr, sqlx};
use std::io::ErrorKind;

/// By prefixes of SQLSTATE codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), longer ones first.
const SQLSTATES: &[(&str, &str)] = &[
    ("25006", READ_ONLY),
    ("28", "the database refuses the credentials"),
    ("3D000", "there is no such database"),
    ("42501", "the hub lacks a privilege in the database"),
    ("53100", DISK_FULL),
    ("53300", "the database accepts no more connections"),
    ("55P03", LOCKED),
    ("57014", TIMED_OUT),
    ("57P", "the database is starting or shutting down"),
];
const READ_ONLY: &str = "the database is read-only";
const DISK_FULL: &str = "the database's disk is full";
const LOCKED: &str = "the database is locked by another process";
const TIMED_OUT: &str = "the database does not answer in time";
const UNKNOWN_FAILURE: &str = "the database fails";

impl StoreError {
    /// The failure, in words that may be shown to any client of `/readyz`.
    pub fn outage_message(&self) -> &'static str {
        match (self, self.sqlx_error()) {
            (StoreError::Configuration(_), _) => "the database was made by another version of the hub",
            (StoreError::FileReplaced { .. }, _) => "the database file was removed or replaced",
            (StoreError::Sqlite(error), _) => error.sqlite_error_code().map_or(UNKNOWN_FAILURE, sqlite_message),
            (_, Some(error)) => sqlx_message(error),
            _ => UNKNOWN_FAILURE,
        }
    }

    /// Whether the database can be read but not written.
    pub fn is_read_only(&self) -> bool {
        self.outage_message() == READ_ONLY
    }

    pub(super) fn sqlx_error(&self) -> Option<&sqlx::Error> {
        match self {
            StoreError::Postgres(error) => Some(error),
            StoreError::Database(
                DbErr::Conn(RuntimeErr::SqlxError(error))
                | DbErr::Exec(RuntimeErr::SqlxError(error))
                | DbErr::Query(RuntimeErr::SqlxError(error)),
            ) => Some(error),
            _ => None,
        }
    }
}

fn sqlite_message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::ReadOnly => READ_ONLY,
        ErrorCode::DiskFull => DISK_FULL,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => LOCKED,
        ErrorCode::CannotOpen => "the database file cannot be opened",
        ErrorCode::SystemIoFailure => "the database file cannot be read or written: the disk is full or fails",
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => "the database file is damaged",
        _ => UNKNOWN_FAILURE,
    }
}

fn sqlx_message(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::PoolTimedOut => TIMED_OUT,
        sqlx::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => "the database refuses the connection",
            ErrorKind::TimedOut => TIMED_OUT,
            _ => "the database cannot be reached",
        },
        sqlx::Error::Tls(_) => "no encrypted connection to the database can be made",
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            // SQLite's codes have at most four digits; the last byte is the primary code.
            if let Some(number) = code.parse::<i32>().ok().filter(|_| code.len() < 5) {
                return sqlite_message(rusqlite::ffi::Error::new(number).code);
            }
            SQLSTATES.iter().find(|(start, _)| code.starts_with(start)).map_or(UNKNOWN_FAILURE, |(_, what)| *what)
        }
        _ => UNKNOWN_FAILURE,
    }
}
