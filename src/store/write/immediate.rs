//! Transactions beside the writer's.

use crate::store::StoreError;
use sea_orm::{DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use std::time::{Duration, Instant};

/// How long to try for the writer's lock, and the wait between two attempts on SQLite. SQLite's own waits become longer and
/// longer, and never succeed beside a busy writer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Begins a transaction that can write. Immediate: SQLite refuses a write after a read if another process wrote in between.
///
/// # Errors
/// If the database fails, or SQLite's lock is not free for 30 seconds.
pub async fn begin_immediate(connection: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let begun = Instant::now();
    loop {
        match connection.begin_with_options(options).await.map_err(StoreError::from) {
            Err(error) if error.is_lock_timeout() && begun.elapsed() < LOCK_TIMEOUT => {
                tokio::time::sleep(LOCK_RETRY_INTERVAL).await
            }
            begun => return begun,
        }
    }
}
