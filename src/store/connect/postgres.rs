//! A PostgreSQL database: its connections, and whether its locks are locks.

use super::read_pool::ReadPool;
use super::{OpenMode, PoolSettings};
use crate::store::StoreError;
use futures_util::future::BoxFuture;
use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor, Row};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use std::time::{Duration, Instant};

/// Which advisory lock stands for the making of tables: "inspecti" as a number.
const MIGRATION_LOCK: &str = "7597136547995153513";
/// A transaction in which nothing happens for so long is ended by PostgreSQL: its process is frozen, or cut off, and must
/// not keep the others from writing.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections for what is written beside deliveries: notifications, the listener to them, and answers to vendors.
const WRITE_POOL_SIZE: u32 = 3;
/// `lock_not_available` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// How long a pool waits for a sign of life of a connection, before it makes another.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was used so short a time ago is not asked again.
const SKIP_PING_WITHIN: Duration = Duration::from_millis(100);
/// Between two tries to take the lock for migrations, and when it is said that it is waited for, first and again.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(100);
const LOCK_WARN_AFTER: Duration = Duration::from_secs(1);
const LOCK_WARN_INTERVAL: Duration = Duration::from_secs(30);

/// The address without a password.
pub fn redacted_url(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    format!("postgres://{}@{host}/{}", options.get_username(), options.get_database().unwrap_or_default())
}

/// One that is connected, with PostgreSQL's own limits on how long a statement runs, waits for a lock, or holds one, and
/// what else is to be set.
///
/// Set by statements, not in the startup message: a pooler refuses that, or drops it without a word.
///
/// # Errors
/// If it cannot be reached.
pub async fn open_connection(options: &PgConnectOptions, limits: &str) -> sqlx::Result<PgConnection> {
    let mut connection = PgConnection::connect_with(options).await?;
    apply_session_settings(&mut connection, limits).await?;
    Ok(connection)
}

async fn apply_session_settings(connection: &mut PgConnection, limits: &str) -> sqlx::Result<()> {
    connection.execute(AssertSqlSafe(limits)).await?;
    // So that a statement ends soon after the process that asked has gone. Older servers, and other systems than Linux,
    // do not have it, and then it runs into its limit.
    let _ = connection.execute("SET client_connection_check_interval = '1s'").await;
    Ok(())
}

/// The statements that set the limits.
pub fn timeout_settings(pools: PoolSettings) -> String {
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}",
        pools.statement_timeout.as_millis(),
        pools.acquire_timeout.as_millis(),
        IDLE_IN_TRANSACTION_TIMEOUT.as_millis()
    )
}

/// A pool whose connections answer: one that was lost, without a word, is given up after a second, whether it is taken or
/// given back. The driver itself would wait for ever, and the pool would run dry.
fn pool_options(most: u32, pools: PoolSettings, limits: String, use_of: PoolRole) -> PgPoolOptions {
    let patience = PING_TIMEOUT.min(pools.acquire_timeout);
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(pools.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move { apply_session_settings(connection, &limits).await })
        })
        .before_acquire(move |connection, meta| {
            let fresh = use_of == PoolRole::Read && meta.idle_for < SKIP_PING_WITHIN;
            if fresh { Box::pin(async { Ok(true) }) } else { is_alive(connection, patience, use_of) }
        })
        .after_release(move |connection, _| is_alive(connection, patience, PoolRole::Read))
}

/// What a pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PoolRole {
    Read,
    /// A connection that has become one that only reads is given up, too: another one may lead to the server that writes.
    Write,
}

fn is_alive(connection: &mut PgConnection, patience: Duration, use_of: PoolRole) -> BoxFuture<'_, sqlx::Result<bool>> {
    const WRITES: &str = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'";
    Box::pin(async move {
        let asked = async {
            match use_of {
                PoolRole::Read => connection.ping().await.map(|()| true),
                PoolRole::Write => connection.fetch_one(WRITES).await?.try_get(0),
            }
        };
        tokio::time::timeout(patience, asked).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    })
}

/// Opens the database for writing and for reading. Tables are made by one process at a time.
///
/// # Errors
/// If it cannot be reached, or its locks do not exclude.
pub async fn open(
    options: &PgConnectOptions,
    mode: OpenMode,
    pools: PoolSettings,
) -> Result<(DatabaseConnection, ReadPool), StoreError> {
    if mode == OpenMode::Migrate {
        let connecting =
            async { Ok((PgConnection::connect_with(options).await?, PgConnection::connect_with(options).await?)) };
        let (mut one, mut other) = match tokio::time::timeout(pools.acquire_timeout, connecting).await {
            Ok(connections) => connections.map_err(|error| open_error(options, &error))?,
            Err(_) => return Err(open_error(options, &sqlx::Error::PoolTimedOut)),
        };
        check_session_pooling(&mut one, &mut other).await?;
        migrate(options, &mut one, &mut other).await?;
        check_row_locks(&mut one, &mut other, pools).await?;
        warn_if_fsync_off(&mut one).await?;
    }
    let limits = timeout_settings(pools);
    let reading = format!("{limits}; SET default_transaction_read_only = on");
    let writer = pool_options(WRITE_POOL_SIZE, pools, limits, PoolRole::Write)
        .min_connections(1)
        .connect_with(options.clone())
        .await;
    let writer = writer.map_err(|error| open_error(options, &error))?;
    let readers = pool_options(pools.pool_size, pools, reading, PoolRole::Read).min_connections(1);
    let readers = readers.connect_with(options.clone()).await.map_err(|error| open_error(options, &error))?;
    Ok((
        SqlxPostgresConnector::from_sqlx_postgres_pool(writer),
        ReadPool::for_postgres(SqlxPostgresConnector::from_sqlx_postgres_pool(readers), pools),
    ))
}

/// One connection without limits, except on how long it waits for a lock.
///
/// # Errors
/// If the database cannot be reached.
pub async fn maintenance_connection(
    options: &PgConnectOptions,
    pools: PoolSettings,
) -> Result<DatabaseConnection, StoreError> {
    let limits = format!(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = {}",
        pools.acquire_timeout.as_millis()
    );
    // The same connection to the end: it may hold locks.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(pools.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move { connection.execute(AssertSqlSafe(limits)).await.map(|_| ()) })
        })
        .connect_with(options.clone())
        .await;
    let pool = pool.map_err(|error| open_error(options, &error))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Whether it can be connected to at all, and if not, why.
///
/// # Errors
/// Why not.
pub async fn check_reachable(options: &PgConnectOptions) -> Result<(), StoreError> {
    let connection = PgConnection::connect_with(options).await?;
    let _ = connection.close().await;
    Ok(())
}

fn open_error(options: &PgConnectOptions, error: &sqlx::Error) -> StoreError {
    let why = match error {
        sqlx::Error::PoolTimedOut => "it does not answer in time".to_owned(),
        other => other.to_string(),
    };
    StoreError::OpenFailed(format!("the database {} cannot be opened: {why}", redacted_url(options)))
}

// The migrator itself takes no lock: two processes that start together would make the same tables.
async fn migrate(
    options: &PgConnectOptions,
    one: &mut PgConnection,
    other: &mut PgConnection,
) -> Result<(), StoreError> {
    acquire_migration_lock(one).await?;
    let second = AssertSqlSafe(format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK})"));
    if other.fetch_one(second).await?.try_get(0)? {
        tracing::warn!(
            "this database does not keep advisory locks: let one process alone bring the tables up to date, with \
             `inspection-hub migrate`, before others start"
        );
    }
    // One connection, without limits: making an index takes as long as it takes.
    let quiet = PgPoolOptions::new().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move { connection.execute("SET client_min_messages = warning").await.map(|_| ()) })
    });
    let pool = quiet.connect_with(options.clone()).await?;
    let migrated = Migrator::up(&SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone()), None).await;
    pool.close().await;
    one.execute(AssertSqlSafe(format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))).await?;
    Ok(migrated?)
}

// Tried again and again rather than waited for in the database: a process that is ended meanwhile leaves nobody in line.
async fn acquire_migration_lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    let (since, mut said_at) = (Instant::now(), None::<Instant>);
    loop {
        let lock = AssertSqlSafe(format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK})"));
        if connection.fetch_one(lock).await?.try_get(0)? {
            return Ok(());
        }
        let due = said_at.map_or(since.elapsed() >= LOCK_WARN_AFTER, |at| at.elapsed() >= LOCK_WARN_INTERVAL);
        if due {
            said_at = Some(Instant::now());
            let seconds = since.elapsed().as_secs();
            tracing::warn!(seconds, "waiting for another process to bring the tables up to date");
        }
        tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
    }
}

// Both are open. If they are one session for PostgreSQL, or lose what they have set, a pooler hands out sessions by the
// transaction, or by the statement.
async fn check_session_pooling(one: &mut PgConnection, other: &mut PgConnection) -> Result<(), StoreError> {
    const SESSION: &str = "SELECT pg_backend_pid(), current_setting('inspection_hub.session', true)";
    for round in 0..3 {
        let mut pids = Vec::new();
        for (name, connection) in [("one", &mut *one), ("other", &mut *other)] {
            let set = format!("SELECT set_config('inspection_hub.session', '{name}{round}', false)");
            connection.execute(AssertSqlSafe(set)).await?;
        }
        for (name, connection) in [("one", &mut *one), ("other", &mut *other)] {
            let row = connection.fetch_one(SESSION).await?;
            let (pid, session): (i32, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            if session != Some(format!("{name}{round}")) || pids.contains(&pid) {
                return Err(transaction_pooling_error());
            }
            pids.push(pid);
        }
    }
    Ok(())
}

fn transaction_pooling_error() -> StoreError {
    StoreError::OpenFailed(
        "this is a pooler that shares sessions between connections (pool_mode transaction or statement), on which \
         locks, notifications and prepared statements do not hold. Use a pool in the mode `session`, or PostgreSQL \
         itself."
            .into(),
    )
}

// Positions are contiguous because only one transaction at a time can hold the counters.
async fn check_row_locks(
    one: &mut PgConnection,
    other: &mut PgConnection,
    pools: PoolSettings,
) -> Result<(), StoreError> {
    one.execute(AssertSqlSafe(format!("SET lock_timeout = {}", pools.acquire_timeout.as_millis()))).await?;
    one.execute("BEGIN").await?;
    one.execute("SELECT id FROM log_head WHERE id = 1 FOR UPDATE").await?;
    other.execute("BEGIN").await?;
    let second = other.execute("SELECT id FROM log_head WHERE id = 1 FOR UPDATE NOWAIT").await;
    other.execute("ROLLBACK").await?;
    one.execute("ROLLBACK").await?;
    match second {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(StoreError::OpenFailed(
            "this database does not keep row locks: two connections could lock the same row, so that the positions of \
             two writers would collide. Use PostgreSQL itself, without a pooler that shares transactions."
                .into(),
        )),
    }
}

async fn warn_if_fsync_off(connection: &mut PgConnection) -> Result<(), StoreError> {
    let fsync: String = connection.fetch_one("SHOW fsync").await?.try_get(0)?;
    if fsync == "off" {
        tracing::warn!("PostgreSQL runs with fsync = off: what is acknowledged may be lost when its machine fails");
    }
    Ok(())
}
