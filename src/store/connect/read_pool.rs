//! The pool of reading connections. On PostgreSQL a statement without any answer is given up together with its connection:
//! where the network is cut, the server's own timeout cannot arrive.

use super::PoolSettings;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, FromQueryResult, QueryResult, RuntimeErr,
    Statement, sqlx,
};
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// How much longer than its own limit PostgreSQL may take to report a timeout.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);

/// A pool of reading connections.
#[derive(Clone, Debug)]
pub struct ReadPool {
    pool: DatabaseConnection,
    /// For a statement, with the wait for a connection. SQLite's statements have no limit.
    timeout: Option<Duration>,
}

impl ReadPool {
    /// The pool of a SQLite file.
    pub fn for_sqlite(pool: DatabaseConnection) -> ReadPool {
        ReadPool { pool, timeout: None }
    }

    /// The pool of a PostgreSQL server.
    pub fn for_postgres(pool: DatabaseConnection, pools: PoolSettings) -> ReadPool {
        ReadPool { pool, timeout: Some(pools.acquire_timeout + pools.statement_timeout + TIMEOUT_GRACE) }
    }

    /// Closes the pool.
    pub async fn close(self) -> Result<(), DbErr> {
        self.pool.close().await
    }

    /// The rows of a query, each as an `M`.
    pub(crate) async fn fetch<M: FromQueryResult>(&self, query: &SelectStatement) -> Result<Vec<M>, DbErr> {
        self.query_all(query).await?.iter().map(|row| M::from_query_result(row, "")).collect()
    }

    /// Awaits `work` within the limit of a statement. If it takes longer, the connection counts as lost.
    pub(crate) async fn with_timeout<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let Some(limit) = self.timeout else { return work.await };
        let lost =
            |_| Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(io::Error::from(io::ErrorKind::TimedOut).into()))));
        tokio::time::timeout(limit, work).await.unwrap_or_else(lost)
    }
}

/// Awaits a call of the driver. If it takes longer than the limit, the connection counts as lost.
pub async fn with_timeout<T>(limit: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

impl From<ReadPool> for DatabaseConnection {
    fn from(readers: ReadPool) -> DatabaseConnection {
        readers.pool
    }
}

/// For what a pool does besides reading, such as reporting its backend.
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

/// What `async_trait` makes of an asynchronous method.
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
