//! The pool of reading connections. On PostgreSQL a statement without any answer is given up together with its connection:
//! where the network is cut, the server's own timeout cannot arrive.

use super::PoolSettings;
use crate::access::View;
use crate::store::payload::DictionaryCache;
use sea_orm::entity::prelude::async_trait;
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
    /// For the payloads that are read.
    pub(crate) dictionaries: DictionaryCache,
    /// Rows of other sources are not read.
    view: View,
}

impl ReadPool {
    /// The pool of a SQLite file.
    pub fn for_sqlite(pool: DatabaseConnection) -> ReadPool {
        ReadPool { pool, timeout: None, dictionaries: DictionaryCache::default(), view: View::everything() }
    }

    /// The pool of a PostgreSQL server.
    pub fn for_postgres(pool: DatabaseConnection, pools: PoolSettings) -> ReadPool {
        let timeout = Some(pools.acquire_timeout + pools.statement_timeout + TIMEOUT_GRACE);
        ReadPool { pool, timeout, dictionaries: DictionaryCache::default(), view: View::everything() }
    }

    /// The same pool for a reader with this view.
    pub fn limited_to(&self, view: View) -> ReadPool {
        ReadPool { view, ..self.clone() }
    }

    /// What its reader may see. The reads of `store::read` that find rows by anything but a row that was read before apply it.
    pub fn view(&self) -> &View {
        &self.view
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

#[async_trait::async_trait]
impl ConnectionTrait for ReadPool {
    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.pool)
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.with_timeout(self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        self.with_timeout(self.pool.execute_unprepared(text)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.with_timeout(self.pool.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.with_timeout(self.pool.query_all_raw(statement)).await
    }
}
