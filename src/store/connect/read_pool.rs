//! The connections that read. A statement on PostgreSQL that gets no answer at all, because the way there is cut, is given
//! up, and its connection with it; PostgreSQL's own limit would not be heard.

use super::PoolSettings;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, sqlx,
};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// What PostgreSQL may take over its own limit to say so.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);

/// A pool of connections that read.
#[derive(Clone, Debug)]
pub struct ReadPool {
    pool: DatabaseConnection,
    /// How long a statement may take, with the wait for a connection. SQLite's take as long as they take.
    timeout: Option<Duration>,
}

impl ReadPool {
    /// Those of a SQLite file.
    pub fn for_sqlite(pool: DatabaseConnection) -> ReadPool {
        ReadPool { pool, timeout: None }
    }

    /// Those of a PostgreSQL server.
    pub fn for_postgres(pool: DatabaseConnection, pools: PoolSettings) -> ReadPool {
        ReadPool { pool, timeout: Some(pools.acquire_timeout + pools.statement_timeout + TIMEOUT_GRACE) }
    }

    /// Closes the pool.
    ///
    /// # Errors
    /// If the driver does.
    pub async fn close(self) -> Result<(), DbErr> {
        self.pool.close().await
    }

    /// How long a statement may take; none for as long as it takes.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    async fn with_timeout<T>(&self, doing: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        with_timeout(self.timeout, doing).await
    }
}

/// What comes of it, unless it takes longer than that.
///
/// # Errors
/// If it does, or fails.
pub async fn with_timeout<T>(
    patience: Option<Duration>,
    doing: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let Some(patience) = patience else { return doing.await };
    tokio::time::timeout(patience, doing).await.unwrap_or_else(|_| {
        let lost = std::io::Error::from(std::io::ErrorKind::TimedOut);
        Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(lost)))))
    })
}

impl From<ReadPool> for DatabaseConnection {
    fn from(readers: ReadPool) -> DatabaseConnection {
        readers.pool
    }
}

/// For what a pool can do besides reading: to be closed, and to say what it is.
impl Deref for ReadPool {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.pool
    }
}

impl DerefMut for ReadPool {
    fn deref_mut(&mut self) -> &mut DatabaseConnection {
        &mut self.pool
    }
}

/// The form that `async_trait` gives its methods.
type DbFuture<'a, T> = BoxFuture<'a, Result<T, DbErr>>;

impl ConnectionTrait for ReadPool {
    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.pool)
    }

    fn execute_raw<'s, 'a>(&'s self, statement: Statement) -> DbFuture<'a, ExecResult>
    where
        's: 'a,
        Self: 'a,
    {
        self.with_timeout(self.pool.execute_raw(statement)).boxed()
    }

    fn execute_unprepared<'s, 't, 'a>(&'s self, text: &'t str) -> DbFuture<'a, ExecResult>
    where
        's: 'a,
        't: 'a,
        Self: 'a,
    {
        self.with_timeout(self.pool.execute_unprepared(text)).boxed()
    }

    fn query_one_raw<'s, 'a>(&'s self, statement: Statement) -> DbFuture<'a, Option<QueryResult>>
    where
        's: 'a,
        Self: 'a,
    {
        self.with_timeout(self.pool.query_one_raw(statement)).boxed()
    }

    fn query_all_raw<'s, 'a>(&'s self, statement: Statement) -> DbFuture<'a, Vec<QueryResult>>
    where
        's: 'a,
        Self: 'a,
    {
        self.with_timeout(self.pool.query_all_raw(statement)).boxed()
    }
}
