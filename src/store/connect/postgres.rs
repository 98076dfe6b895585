//! Connections to a PostgreSQL database, and checks that its locks exclude each other.

use super::read_pool::{ReadPool, with_timeout};
use super::{OpenMode, PoolSettings, layout};
use crate::store::StoreError;
use futures_util::future::BoxFuture;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor, Row};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use std::time::{Duration, Instant};

/// The key of the advisory lock for migrations: "inspecti" as a number.
const MIGRATION_LOCK: &str = "7597136547995153513";
/// PostgreSQL ends a transaction that is idle for this long: its process is frozen or disconnected, and must not block other
/// writers.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections for notifications, the listener to them, and answers to vendors.
const WRITE_POOL_SIZE: u32 = 3;
/// `lock_not_available` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// How long a pool waits for a connection's answer to a ping before it opens another.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// A reading connection that was used this recently is not pinged.
const SKIP_PING_WITHIN: Duration = Duration::from_millis(100);
/// The wait between two attempts to take the migration lock, and when a warning reports the wait, first and repeatedly.
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

/// Connects, with the server's time limits for statements, locks and idle transactions, and other session settings.
///
/// They are set by statements, not in the startup message: a pooler refuses that message, or drops it silently.
pub async fn open_connection(options: &PgConnectOptions, limits: &str) -> sqlx::Result<PgConnection> {
    let mut connection = PgConnection::connect_with(options).await?;
    apply_session_settings(&mut connection, limits).await?;
    Ok(connection)
}

async fn apply_session_settings(connection: &mut PgConnection, limits: &str) -> sqlx::Result<()> {
    connection.execute(AssertSqlSafe(limits)).await?;
    // To compile a statement takes 100 ms and more, longer than nearly all statements of the hub. PostgreSQL decides by the
    // estimated cost, which is far too high where a kind of plan is disabled, and for the lists of the past.
    connection.execute("SET jit = off").await?;
    // Ends a statement soon after its client has gone. Older servers, and systems other than Linux, do not have this
    // setting; the statement then runs into its time limit.
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

/// A pool that replaces connections without an answer within a second, when they are taken and when they are returned. The
/// driver itself would wait for ever, and the pool would run dry.
fn pool_options(most: u32, pools: PoolSettings, limits: String, use_of: PoolRole) -> PgPoolOptions {
    let patience = PING_TIMEOUT.min(pools.acquire_timeout);
    PgPoolOptions::new()
        .min_connections(1)
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PoolRole {
    Read,
    /// Also replaces a connection that became read-only: another one may lead to the primary.
    Write,
}

fn is_alive(connection: &mut PgConnection, patience: Duration, use_of: PoolRole) -> BoxFuture<'_, sqlx::Result<bool>> {
    const WRITES: &str = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'";
    Box::pin(async move {
        let probe = async {
            match use_of {
                PoolRole::Read => connection.ping().await.map(|()| true),
                PoolRole::Write => connection.fetch_one(WRITES).await?.try_get(0),
            }
        };
        with_timeout(patience, probe).await
    })
}

/// Opens the writing and the reading connections. One process at a time migrates. Fails if locks do not exclude each other.
pub async fn open(
    options: &PgConnectOptions,
    mode: OpenMode,
    pools: PoolSettings,
) -> Result<(DatabaseConnection, ReadPool), StoreError> {
    if mode == OpenMode::Migrate {
        let connecting =
            async { Ok((PgConnection::connect_with(options).await?, PgConnection::connect_with(options).await?)) };
        let connections = with_timeout(pools.acquire_timeout, connecting).await;
        let (mut one, mut other) = connections.map_err(|error| open_error(options, error))?;
        check_session_pooling(&mut one, &mut other).await?;
        migrate(options, &mut one, &mut other).await?;
        check_row_locks(&mut one, &mut other, pools).await?;
        warn_if_fsync_off(&mut one).await?;
    }
    let limits = timeout_settings(pools);
    let reading = format!("{limits}; SET default_transaction_read_only = on");
    let writer = connect(options, pool_options(WRITE_POOL_SIZE, pools, limits, PoolRole::Write)).await?;
    let readers = connect(options, pool_options(pools.pool_size, pools, reading, PoolRole::Read)).await?;
    Ok((writer, ReadPool::for_postgres(readers, pools)))
}

async fn connect(options: &PgConnectOptions, pool: PgPoolOptions) -> Result<DatabaseConnection, StoreError> {
    let pool = pool.connect_with(options.clone()).await.map_err(|error| open_error(options, error))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Opens a connection whose only time limit is the wait for a lock.
pub async fn maintenance_connection(
    options: &PgConnectOptions,
    pools: PoolSettings,
) -> Result<DatabaseConnection, StoreError> {
    let limits = format!(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = {}",
        pools.acquire_timeout.as_millis()
    );
    // A pool of one connection that is never replaced: it may hold locks.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(pools.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move { connection.execute(AssertSqlSafe(limits)).await.map(|_| ()) })
        });
    connect(options, pool).await
}

/// Connects and disconnects, to find out why a pool has no connection.
pub async fn check_reachable(options: &PgConnectOptions) -> Result<(), StoreError> {
    let connection = PgConnection::connect_with(options).await?;
    let _ = connection.close().await;
    Ok(())
}

// What SQLSTATE calls invalid authorization (28), an unknown database (3D000) or a missing privilege (42501) is the operator's
// to fix.
fn open_error(options: &PgConnectOptions, error: sqlx::Error) -> StoreError {
    let reason = match &error {
        sqlx::Error::PoolTimedOut => "it does not answer in time".to_owned(),
        other => other.to_string(),
    };
    let message = format!("the database {} cannot be opened: {reason}", redacted_url(options));
    match StoreError::Postgres(error).has_sqlstate_class(&["28", "3D000", "42501"]) {
        true => StoreError::Configuration(message),
        false => StoreError::Unavailable(message),
    }
}

// The migrator itself takes no lock: two processes that start at once would create the same tables.
async fn migrate(
    options: &PgConnectOptions,
    one: &mut PgConnection,
    other: &mut PgConnection,
) -> Result<(), StoreError> {
    acquire_migration_lock(one).await?;
    let second = AssertSqlSafe(format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK})"));
    if other.fetch_one(second).await?.try_get(0)? {
        tracing::warn!(
            "this database does not keep advisory locks: run `inspection-hub migrate` in one process before others \
             start"
        );
    }
    // One connection without time limits: creating an index may take long.
    let quiet = PgPoolOptions::new().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move { connection.execute("SET client_min_messages = warning").await.map(|_| ()) })
    });
    let pool = quiet.connect_with(options.clone()).await?;
    let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
    let migrated = layout::migrate(&connection, &redacted_url(options)).await;
    pool.close().await;
    one.execute(AssertSqlSafe(format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))).await?;
    migrated
}

// Polls rather than waits in the database: a process that is ended while it waits leaves no session in the queue.
async fn acquire_migration_lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    let (since, mut warned_at) = (Instant::now(), None::<Instant>);
    loop {
        let lock = AssertSqlSafe(format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK})"));
        if connection.fetch_one(lock).await?.try_get(0)? {
            return Ok(());
        }
        let due = warned_at.map_or(since.elapsed() >= LOCK_WARN_AFTER, |at| at.elapsed() >= LOCK_WARN_INTERVAL);
        if due {
            warned_at = Some(Instant::now());
            let seconds = since.elapsed().as_secs();
            tracing::warn!(seconds, "waiting for another process that migrates the database");
        }
        tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
    }
}

// With two open connections: if PostgreSQL sees one session, or a session loses its settings, a pooler assigns sessions per
// transaction or per statement.
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
                return Err(StoreError::Configuration(
                    "this is a pooler that shares sessions between connections (pool_mode transaction or statement), \
                     on which locks, notifications and prepared statements do not work. Use a pool in the mode \
                     `session`, or connect to PostgreSQL itself."
                        .into(),
                ));
            }
            pids.push(pid);
        }
    }
    Ok(())
}

// Positions are contiguous only because one transaction at a time can lock the counters.
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
        Ok(_) => Err(StoreError::Configuration(
            "this database does not keep row locks: two connections locked the same row, so the positions of two \
             writers would collide. Use PostgreSQL itself, without a pooler that shares transactions."
                .into(),
        )),
    }
}

async fn warn_if_fsync_off(connection: &mut PgConnection) -> Result<(), StoreError> {
    let fsync: String = connection.fetch_one("SHOW fsync").await?.try_get(0)?;
    if fsync == "off" {
        tracing::warn!("PostgreSQL runs with fsync = off: acknowledged deliveries may be lost if its machine fails");
    }
    Ok(())
}
