//! What deliveries add to the write-ahead log, exactly: pages on SQLite, bytes on PostgreSQL.

use anyhow::Context;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Connection as _};
use std::fs::File;
use std::os::unix::fs::FileExt;
use tokio::runtime::Runtime;

/// Where the header of SQLite's WAL index has the number of valid frames, and the salts of the log's present generation
/// (<https://www.sqlite.org/walformat.html>, section 2.1). The numbers have the byte order of the machine.
const MAX_FRAME: u64 = 16;
const SALTS: u64 = 32;

pub enum LogVolume {
    Sqlite { database: String, index: Option<File>, last: LogEnd, frames: u64 },
    Postgres { server: Box<PgConnection>, before: (i64, i64) },
}

/// The end of SQLite's log. A log that restarts at its beginning has other salts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    frames: u32,
    salts: u64,
}

impl LogVolume {
    pub fn open(runtime: &Runtime, address: &str) -> anyhow::Result<LogVolume> {
        Ok(match address.strip_prefix("sqlite://") {
            Some(path) => {
                LogVolume::Sqlite { database: path.to_owned(), index: None, last: LogEnd::default(), frames: 0 }
            }
            None => LogVolume::Postgres {
                server: Box::new(runtime.block_on(PgConnection::connect(address))?),
                before: (0, 0),
            },
        })
    }

    pub fn unit(&self) -> &'static str {
        match self {
            LogVolume::Sqlite { .. } => "log: pages of 4 KiB",
            LogVolume::Postgres { .. } => "log: bytes, with full images of pages after a checkpoint",
        }
    }

    pub fn begin(&mut self, runtime: &Runtime) -> anyhow::Result<()> {
        match self {
            LogVolume::Sqlite { database, index, last, frames } => {
                // Opened once and not closed: to close a file releases all locks of the process on it, those of SQLite included.
                let index = match index {
                    Some(index) => index,
                    None => index.insert(File::open(format!("{database}-shm"))?),
                };
                (*last, *frames) = (LogEnd::read(index)?, 0);
            }
            LogVolume::Postgres { server, before } => *before = runtime.block_on(written(server))?,
        }
        Ok(())
    }

    /// Counts the pages of a batch. Called before another one begins, and before the log can restart.
    pub fn after_batch(&mut self) -> anyhow::Result<()> {
        if let LogVolume::Sqlite { index, last, frames, .. } = self {
            let end = LogEnd::read(index.as_ref().context("a log")?)?;
            let before = if end.salts == last.salts { last.frames } else { 0 };
            *frames += u64::from(end.frames.saturating_sub(before));
            *last = end;
        }
        Ok(())
    }

    /// Pages or bytes since the beginning, and how many full images of pages are among the bytes.
    pub fn end(&mut self, runtime: &Runtime) -> anyhow::Result<(u64, u64)> {
        Ok(match self {
            LogVolume::Sqlite { frames, .. } => (*frames, 0),
            LogVolume::Postgres { server, before } => {
                let after = runtime.block_on(written(server))?;
                (u64::try_from(after.0 - before.0)?, u64::try_from(after.1 - before.1)?)
            }
        })
    }
}

impl LogEnd {
    fn read(index: &File) -> anyhow::Result<LogEnd> {
        let (mut frames, mut salts) = ([0; 4], [0; 8]);
        index.read_exact_at(&mut frames, MAX_FRAME)?;
        index.read_exact_at(&mut salts, SALTS)?;
        Ok(LogEnd { frames: u32::from_ne_bytes(frames), salts: u64::from_ne_bytes(salts) })
    }
}

/// The end of the log, and the full images of pages so far. The server's statistics are late by up to a second.
async fn written(server: &mut PgConnection) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, (SELECT wal_fpi FROM pg_stat_wal)")
        .fetch_one(server)
        .await
}
