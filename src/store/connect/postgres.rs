//! A PostgreSQL database: its connections, and whether its locks are locks.

use super::readers::Readers;
use super::{Mode, Pools};
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
const FROZEN: Duration = Duration::from_secs(10);
/// Connections for what is written beside deliveries: notifications, the listener to them, and answers to vendors.
const WRITERS: u32 = 3;
/// `lock_not_available` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const LOCKED: &str = "55P03";
/// How long a pool waits for a sign of life of a connection, before it makes another.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// A connection that was used so short a time ago is not asked again.
const FRESH: Duration = Duration::from_millis(100);
/// Between two tries to take the lock for migrations, and when it is said that it is waited for, first and again.
const TRY_LOCK: Duration = Duration::from_millis(100);
const SAY_LOCKED: Duration = Duration::from_secs(1);
const SAY_LOCKED_AGAIN: Duration = Duration::from_secs(30);

/// The address without a password.
pub fn shown(options: &PgConnectOptions) -> String {
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
pub async fn connected(options: &PgConnectOptions, limits: &str) -> sqlx::Result<PgConnection> {
    let mut connection = PgConnection::connect_with(options).await?;
    set(&mut connection, limits).await?;
    Ok(connection)
}

async fn set(connection: &mut PgConnection, limits: &str) -> sqlx::Result<()> {
    connection.execute(AssertSqlSafe(limits)).await?;
    // So that a statement ends soon after the process that asked has gone. Older servers, and other systems than Linux,
    // do not have it, and then it runs into its limit.
    let _ = connection.execute("SET client_connection_check_interval = '1s'").await;
    Ok(())
}

/// The statements that set the limits.
pub fn limits(pools: Pools) -> String {
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}",
        pools.statement.as_millis(),
        pools.wait.as_millis(),
        FROZEN.as_millis()
    )
}

/// A pool whose connections answer: one that was lost, without a word, is given up after a second, whether it is taken or
/// given back. The driver itself would wait for ever, and the pool would run dry.
fn pool(most: u32, pools: Pools, limits: String, use_of: Use) -> PgPoolOptions {
    let patience = SIGN_OF_LIFE.min(pools.wait);
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(pools.wait)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move { set(connection, &limits).await })
        })
        .before_acquire(move |connection, meta| {
            let fresh = use_of == Use::Reading && meta.idle_for < FRESH;
            if fresh { Box::pin(async { Ok(true) }) } else { lives(connection, patience, use_of) }
        })
        .after_release(move |connection, _| lives(connection, patience, Use::Reading))
}

/// What a pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Reading,
    /// A connection that has become one that only reads is given up, too: another one may lead to the server that writes.
    Writing,
}

fn lives(connection: &mut PgConnection, patience: Duration, use_of: Use) -> BoxFuture<'_, sqlx::Result<bool>> {
    const WRITES: &str = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'";
    Box::pin(async move {
        let asked = async {
            match use_of {
                Use::Reading => connection.ping().await.map(|()| true),
                Use::Writing => connection.fetch_one(WRITES).await?.try_get(0),
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
    mode: Mode,
    pools: Pools,
) -> Result<(DatabaseConnection, Readers), StoreError> {
    if mode == Mode::Migrate {
        let connecting =
            async { Ok((PgConnection::connect_with(options).await?, PgConnection::connect_with(options).await?)) };
        let (mut one, mut other) = match tokio::time::timeout(pools.wait, connecting).await {
            Ok(connections) => connections.map_err(|error| cannot_open(options, &error))?,
            Err(_) => return Err(cannot_open(options, &sqlx::Error::PoolTimedOut)),
        };
        is_no_shared_session(&mut one, &mut other).await?;
        migrate(options, &mut one, &mut other).await?;
        row_locks_exclude(&mut one, &mut other, pools).await?;
        is_durable(&mut one).await?;
    }
    let limits = limits(pools);
    let reading = format!("{limits}; SET default_transaction_read_only = on");
    let writer = pool(WRITERS, pools, limits, Use::Writing).min_connections(1).connect_with(options.clone()).await;
    let writer = writer.map_err(|error| cannot_open(options, &error))?;
    let readers = pool(pools.readers, pools, reading, Use::Reading).min_connections(1);
    let readers = readers.connect_with(options.clone()).await.map_err(|error| cannot_open(options, &error))?;
    Ok((
        SqlxPostgresConnector::from_sqlx_postgres_pool(writer),
        Readers::of_server(SqlxPostgresConnector::from_sqlx_postgres_pool(readers), pools),
    ))
}

/// One connection without limits, except on how long it waits for a lock.
///
/// # Errors
/// If the database cannot be reached.
pub async fn long(options: &PgConnectOptions, pools: Pools) -> Result<DatabaseConnection, StoreError> {
    let limits = format!(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = {}",
        pools.wait.as_millis()
    );
    // The same connection to the end: it may hold locks.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(pools.wait)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let limits = limits.clone();
            Box::pin(async move { connection.execute(AssertSqlSafe(limits)).await.map(|_| ()) })
        })
        .connect_with(options.clone())
        .await;
    let pool = pool.map_err(|error| cannot_open(options, &error))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Whether it can be connected to at all, and if not, why.
///
/// # Errors
/// Why not.
pub async fn reachable(options: &PgConnectOptions) -> Result<(), StoreError> {
    let connection = PgConnection::connect_with(options).await?;
    let _ = connection.close().await;
    Ok(())
}

fn cannot_open(options: &PgConnectOptions, error: &sqlx::Error) -> StoreError {
    let why = match error {
        sqlx::Error::PoolTimedOut => "it does not answer in time".to_owned(),
        other => other.to_string(),
    };
    StoreError::Address(format!("the database {} cannot be opened: {why}", shown(options)))
}

// The migrator itself takes no lock: two processes that start together would make the same tables.
async fn migrate(
    options: &PgConnectOptions,
    one: &mut PgConnection,
    other: &mut PgConnection,
) -> Result<(), StoreError> {
    wait_for_lock(one).await?;
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
async fn wait_for_lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    let (since, mut said_at) = (Instant::now(), None::<Instant>);
    loop {
        let lock = AssertSqlSafe(format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK})"));
        if connection.fetch_one(lock).await?.try_get(0)? {
            return Ok(());
        }
        let due = said_at.map_or(since.elapsed() >= SAY_LOCKED, |at| at.elapsed() >= SAY_LOCKED_AGAIN);
        if due {
            said_at = Some(Instant::now());
            let seconds = since.elapsed().as_secs();
            tracing::warn!(seconds, "waiting for another process to bring the tables up to date");
        }
        tokio::time::sleep(TRY_LOCK).await;
    }
}

// Both are open. If they are one session for PostgreSQL, or lose what they have set, a pooler hands out sessions by the
// transaction, or by the statement.
async fn is_no_shared_session(one: &mut PgConnection, other: &mut PgConnection) -> Result<(), StoreError> {
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
                return Err(shares_transactions());
            }
            pids.push(pid);
        }
    }
    Ok(())
}

fn shares_transactions() -> StoreError {
    StoreError::Address(
        "this is a pooler that shares sessions between connections (pool_mode transaction or statement), on which \
         locks, notifications and prepared statements do not hold. Use a pool in the mode `session`, or PostgreSQL \
         itself."
            .into(),
    )
}

// Positions are contiguous because only one transaction at a time can hold the counters.
async fn row_locks_exclude(one: &mut PgConnection, other: &mut PgConnection, pools: Pools) -> Result<(), StoreError> {
    one.execute(AssertSqlSafe(format!("SET lock_timeout = {}", pools.wait.as_millis()))).await?;
    one.execute("BEGIN").await?;
    one.execute("SELECT id FROM log_head WHERE id = 1 FOR UPDATE").await?;
    other.execute("BEGIN").await?;
    let second = other.execute("SELECT id FROM log_head WHERE id = 1 FOR UPDATE NOWAIT").await;
    other.execute("ROLLBACK").await?;
    one.execute("ROLLBACK").await?;
    match second {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCKED) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(StoreError::Address(
            "this database does not keep row locks: two connections could lock the same row, so that the positions of \
             two writers would collide. Use PostgreSQL itself, without a pooler that shares transactions."
                .into(),
        )),
    }
}

async fn is_durable(connection: &mut PgConnection) -> Result<(), StoreError> {
    let fsync: String = connection.fetch_one("SHOW fsync").await?.try_get(0)?;
    if fsync == "off" {
        tracing::warn!("PostgreSQL runs with fsync = off: what is acknowledged may be lost when its machine fails");
    }
    Ok(())
}
