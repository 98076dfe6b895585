//! Fresh tables of PostgreSQL: in a schema of their own, where tables and indexes already have the names that they keep.

use super::shadow_tables::SHADOWED_TABLES;
use super::throttle::LoadThrottle;
use crate::rebuild::copy_format::{CopyChunk, send_copy_text};
use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::store::StoreError;
use entity::{change, entity as entities, step};
use sea_orm::sqlx::postgres::PgPoolCopyExt;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, IdenStatic, Iterable, Statement};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The schema.
pub const SHADOW_SCHEMA: &str = "hub_rebuild";
/// Parts that are read ahead of the server.
const CHUNKS_AHEAD: usize = 2;
/// For the session that loads: nobody waits for its rows, and indexes are made by one process, not by all there are.
const SESSION_SETTINGS: &str =
    "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0";
/// How long readers are waited for, in milliseconds. Others wait behind us meanwhile, so it is tried again rather.
const READER_LOCK_TIMEOUT_MS: u32 = 1000;
/// The same for writers. Much less than `deadlock_timeout`, which is a second.
const WRITER_LOCK_TIMEOUT_MS: u32 = 50;

/// Makes them, without indexes: those are made quicker when all rows are there.
///
/// # Errors
/// If the database refuses; it takes the right to make a schema.
pub async fn create(db: &DatabaseConnection) -> Result<(), StoreError> {
    db.execute_unprepared(SESSION_SETTINGS).await?;
    db.execute_unprepared(&format!("CREATE SCHEMA {SHADOW_SCHEMA}")).await?;
    for (table, _) in SHADOWED_TABLES {
        db.execute_unprepared(&format!("CREATE TABLE {SHADOW_SCHEMA}.{table} (LIKE {table} INCLUDING DEFAULTS)"))
            .await?;
    }
    Ok(())
}

/// Copies everything from the file of the second database. Calls `done` with how many rows, again and again.
///
/// # Errors
/// If a database fails.
pub async fn load(db: &DatabaseConnection, derived: &str, done: &impl Fn(u64)) -> Result<(), StoreError> {
    let mut pace = LoadThrottle::new();
    copy_table::<change::Entity>(db, derived, &mut pace, done).await?;
    copy_table::<entities::Entity>(db, derived, &mut pace, done).await?;
    copy_table::<step::Entity>(db, derived, &mut pace, done).await
}

// A thread reads and prints while the server takes. Each part is a transaction: a long one would hold back what a database
// does to keep itself small.
async fn copy_table<T: DerivedTable>(
    db: &DatabaseConnection,
    derived: &str,
    pace: &mut LoadThrottle,
    done: &impl Fn(u64),
) -> Result<(), StoreError> {
    let (table, derived) = (T::NAME, derived.to_owned());
    let columns = T::Column::iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ");
    let query = format!("SELECT {columns} FROM {table}");
    let copy = format!("COPY {SHADOW_SCHEMA}.{table} ({columns}) FROM STDIN");
    let (send, mut parts) = mpsc::channel(CHUNKS_AHEAD);
    let printing = tokio::task::spawn_blocking(move || send_copy_text(&derived, &query, &send));
    let pool = db.get_postgres_connection_pool();
    while let Some(CopyChunk { text, rows }) = parts.recv().await {
        let begun = Instant::now();
        let mut taking = pool.copy_in_raw(&copy).await?;
        taking.send(text).await?;
        taking.finish().await?;
        done(rows);
        pace.pause(db, Duration::ZERO, begun.elapsed()).await?;
    }
    printing.await.map_err(|error| StoreError::OpenFailed(format!("reading the second database ended: {error}")))?
}

/// Makes the indexes that the tables in use have.
///
/// # Errors
/// If the database refuses.
pub async fn create_indexes(db: &DatabaseConnection) -> Result<(), StoreError> {
    for (table, _) in SHADOWED_TABLES {
        let all = format!(
            "SELECT pg_get_indexdef(indexrelid) AS def, relname::text AS name, indisprimary AS is_key, \
             indrelid::regclass::text AS of, current_schema()::text AS schema \
             FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = '{table}'::regclass"
        );
        for row in db.query_all_raw(Statement::from_string(DbBackend::Postgres, all)).await? {
            let (text, name): (String, String) = (row.try_get("", "def")?, row.try_get("", "name")?);
            let schema: String = row.try_get("", "schema")?;
            let (old, new) = (format!(" ON {schema}.{table} "), format!(" ON {SHADOW_SCHEMA}.{table} "));
            if !text.contains(&old) {
                return Err(StoreError::Corrupt(format!("the index {name} is made otherwise than expected: {text}")));
            }
            db.execute_unprepared(&text.replacen(&old, &new, 1)).await?;
            if row.try_get("", "is_key")? {
                let text =
                    format!("ALTER TABLE {SHADOW_SCHEMA}.{table} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {name}");
                db.execute_unprepared(&text).await?;
            }
        }
        db.execute_unprepared(&format!("ANALYZE {SHADOW_SCHEMA}.{table}")).await?;
    }
    Ok(())
}

/// Keeps all others from writing until the transaction ends, whose commit is on the disk: nobody writes to a table who does
/// not hold the counters' row. Readers go on.
///
/// # Errors
/// If somebody writes for too long.
pub async fn lock_writers<C: ConnectionTrait>(txn: &C) -> Result<(), StoreError> {
    txn.execute_unprepared("SET LOCAL synchronous_commit TO DEFAULT").await?;
    txn.execute_unprepared("SELECT id FROM log_head WHERE id = 1 FOR UPDATE").await?;
    Ok(())
}

/// The same, and nobody even begins to write to a table.
///
/// Some writers hold the counters' row when they come to the tables, others hold the tables when they come to the row. So
/// neither is waited for as long as PostgreSQL waits until it ends one of two who wait for each other.
///
/// # Errors
/// If somebody writes just now.
pub async fn lock_tables<C: ConnectionTrait>(txn: &C) -> Result<(), StoreError> {
    txn.execute_unprepared(&format!("SET LOCAL lock_timeout = {WRITER_LOCK_TIMEOUT_MS}")).await?;
    txn.execute_unprepared("LOCK TABLE change, entity, step IN EXCLUSIVE MODE").await?;
    lock_writers(txn).await
}

/// Puts them in place of those in use, which go. Who reads those is waited for, a little.
///
/// # Errors
/// If somebody reads for longer.
pub async fn swap<C: ConnectionTrait>(txn: &C) -> Result<(), StoreError> {
    let schema = Statement::from_string(DbBackend::Postgres, "SELECT current_schema()::text AS schema");
    let schema = txn.query_one_raw(schema).await?;
    let schema: String =
        schema.ok_or_else(|| StoreError::Corrupt("there is no schema".into()))?.try_get("", "schema")?;
    txn.execute_unprepared(&format!("SET LOCAL lock_timeout = {READER_LOCK_TIMEOUT_MS}")).await?;
    txn.execute_unprepared("LOCK TABLE change, entity, step IN ACCESS EXCLUSIVE MODE").await?;
    for (table, _) in SHADOWED_TABLES {
        txn.execute_unprepared(&format!("DROP TABLE {table}")).await?;
        txn.execute_unprepared(&format!("ALTER TABLE {SHADOW_SCHEMA}.{table} SET SCHEMA {schema}")).await?;
    }
    Ok(())
}

/// Removes the schema.
///
/// # Errors
/// If the database refuses.
pub async fn drop_leftovers(db: &DatabaseConnection) -> Result<(), StoreError> {
    db.execute_unprepared(&format!("DROP SCHEMA IF EXISTS {SHADOW_SCHEMA} CASCADE")).await?;
    Ok(())
}
