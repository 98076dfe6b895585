//! A PostgreSQL database: its address, its connections, and whether its locks are locks.

use super::{Mode, Pools};
use crate::store::StoreError;
use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, Connection, Executor, Row};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use std::str::FromStr;
use std::time::Duration;

/// What the process is called in PostgreSQL's list of connections.
const NAME: &str = "inspection-hub";
/// Which advisory lock stands for the making of tables: "inspecti" as a number.
const MIGRATION_LOCK: &str = "7597136547995153513";
/// A transaction in which nothing happens for so long is ended by PostgreSQL: its process is frozen, or cut off, and must
/// not keep the others from writing.
const FROZEN: Duration = Duration::from_secs(10);
/// Connections for what is written beside deliveries: notifications, the listener to them, and answers to vendors.
const WRITERS: u32 = 3;
/// `lock_not_available` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const LOCKED: &str = "55P03";

/// What an address says.
///
/// # Errors
/// If it is none of PostgreSQL's.
pub fn options(address: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(address)
        .map_err(|error| StoreError::Address(format!("the database's address cannot be understood: {error}")))?;
    let named = options.get_application_name().is_some();
    Ok(if named { options } else { options.application_name(NAME) })
}

/// The address without a password.
pub fn shown(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    format!("postgres://{}@{host}/{}", options.get_username(), options.get_database().unwrap_or_default())
}

/// With PostgreSQL's own limits on how long a statement runs, waits for a lock, or holds one.
pub fn limited(options: &PgConnectOptions, pools: Pools) -> PgConnectOptions {
    options.clone().options([
        ("statement_timeout", pools.statement.as_millis().to_string()),
        ("lock_timeout", pools.wait.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", FROZEN.as_millis().to_string()),
    ])
}

/// Opens the database for writing and for reading. Tables are made by one process at a time.
///
/// # Errors
/// If it cannot be reached, or its locks do not exclude.
pub async fn open(
    options: &PgConnectOptions,
    mode: Mode,
    pools: Pools,
) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    if mode == Mode::Migrate {
        let connecting =
            async { Ok((PgConnection::connect_with(options).await?, PgConnection::connect_with(options).await?)) };
        let (mut one, mut other) = match tokio::time::timeout(pools.wait, connecting).await {
            Ok(connections) => connections.map_err(|error| cannot_open(options, &error))?,
            Err(_) => return Err(cannot_open(options, &sqlx::Error::PoolTimedOut)),
        };
        migrate(options, &mut one, &mut other).await?;
        row_locks_exclude(&mut one, &mut other, pools).await?;
        is_durable(&mut one).await?;
    }
    let pool = |most: u32| PgPoolOptions::new().max_connections(most).acquire_timeout(pools.wait);
    let limited = limited(options, pools);
    let writer = pool(WRITERS).min_connections(1).connect_with(limited.clone()).await;
    let writer = writer.map_err(|error| cannot_open(options, &error))?;
    let reading = limited.options([("default_transaction_read_only", "on")]);
    let readers = pool(pools.readers).min_connections(1).connect_with(reading).await;
    let readers = readers.map_err(|error| cannot_open(options, &error))?;
    Ok((
        SqlxPostgresConnector::from_sqlx_postgres_pool(writer),
        SqlxPostgresConnector::from_sqlx_postgres_pool(readers),
    ))
}

/// One connection without limits, except on how long it waits for a lock.
///
/// # Errors
/// If the database cannot be reached.
pub async fn long(options: &PgConnectOptions, pools: Pools) -> Result<DatabaseConnection, StoreError> {
    let options = options.clone().options([
        ("statement_timeout", "0".to_owned()),
        ("idle_in_transaction_session_timeout", "0".to_owned()),
        ("lock_timeout", pools.wait.as_millis().to_string()),
    ]);
    // The same connection to the end: it may hold locks.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(pools.wait)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await;
    let pool = pool.map_err(|error| cannot_open(&options, &error))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
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
    one.execute(sqlx::AssertSqlSafe(format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))).await?;
    let second = sqlx::AssertSqlSafe(format!("SELECT pg_try_advisory_lock({MIGRATION_LOCK})"));
    if other.fetch_one(second).await?.try_get(0)? {
        tracing::warn!(
            "this database does not keep advisory locks: let one process alone bring the tables up to date, with \
             `inspection-hub migrate`, before others start"
        );
    }
    // One connection, without limits: making an index takes as long as it takes.
    let quiet = options.clone().options([("client_min_messages", "warning")]);
    let pool = PgPoolOptions::new().max_connections(1).connect_with(quiet).await?;
    let migrated = Migrator::up(&SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone()), None).await;
    pool.close().await;
    one.execute(sqlx::AssertSqlSafe(format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))).await?;
    Ok(migrated?)
}

// Positions are contiguous because only one transaction at a time can hold the counters.
async fn row_locks_exclude(one: &mut PgConnection, other: &mut PgConnection, pools: Pools) -> Result<(), StoreError> {
    one.execute(sqlx::AssertSqlSafe(format!("SET lock_timeout = {}", pools.wait.as_millis()))).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let options =
            options("postgres://hub:hunter2@db.example:5433/inspections?sslmode=require").expect("an address");
        assert_eq!(shown(&options), "postgres://hub@db.example:5433/inspections");
        let options =
            self::options("postgres://hub:hunter2@localhost/inspections?host=/run/postgresql").expect("an address");
        assert_eq!(shown(&options), "postgres://hub@/run/postgresql/inspections");
    }

    #[test]
    fn a_wrong_address_is_refused_without_its_password() {
        for address in ["postgres://hub:hunter2@db:port/x", "postgres://hub:hunter2@db/x?sslmode=perhaps"] {
            let error = options(address).expect_err("refused").to_string();
            assert!(error.contains("cannot be understood") && !error.contains("hunter2"), "{error}");
        }
    }
}
