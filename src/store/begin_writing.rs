//! Transactions beside the writer's.

use super::StoreError;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use std::time::{Duration, Instant};

/// How long to try for the writer's lock.
const WRITER_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Begins a transaction that can write. On PostgreSQL, `locks` are its first statements. A busy writer releases SQLite's lock
/// only for a moment, and SQLite's own waits become longer and longer: it is tried again and again, with `wait` in between.
pub async fn begin_writing<W: Future<Output = ()>>(
    db: &DatabaseConnection,
    locks: &str,
    wait: impl Fn() -> W,
) -> Result<DatabaseTransaction, StoreError> {
    let is_postgres = db.get_database_backend() == DbBackend::Postgres;
    let options = TransactionOptions {
        isolation_level: is_postgres.then_some(IsolationLevel::ReadCommitted),
        // Immediate: SQLite refuses a write after a read if another process wrote in between.
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let begun = Instant::now();
    loop {
        let attempt = async {
            let txn = db.begin_with_options(options).await?;
            if is_postgres && !locks.is_empty() {
                txn.execute_unprepared(locks).await?;
            }
            Ok::<_, StoreError>(txn)
        };
        match attempt.await {
            Err(error) if error.is_lock_timeout() && begun.elapsed() < WRITER_LOCK_TIMEOUT => wait().await,
            txn => return txn,
        }
    }
}
