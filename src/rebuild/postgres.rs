//! The new tables on PostgreSQL: in a schema of their own, under the names that tables and indexes will keep.

use super::shadow_tables::SHADOWED_TABLES;
use super::throttle::LoadThrottle;
use crate::rebuild::copy_format::{CopyChunk, send_copy_text};
use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::store::StoreError;
use entity::{change_row, entity as entities, step};
use sea_orm::sqlx::postgres::PgPoolCopyExt;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, IdenStatic, Iterable, Statement};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The schema of the new tables.
pub const SHADOW_SCHEMA: &str = "hub_rebuild";
/// Chunks that are read ahead of the server.
const CHUNKS_AHEAD: usize = 2;
/// For the loading session: a commit need not wait for the disk, and one process creates the indexes, not all available ones.
const SESSION_SETTINGS: &str =
    "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0";
/// How long to wait for readers, in milliseconds. Other sessions queue behind this lock, so a retry is better than a long wait.
const READER_LOCK_TIMEOUT_MS: u32 = 1000;
/// Keeps other processes from writing until the transaction ends: a writer needs the row of counters. Readers continue. The
/// commit waits for the disk.
pub const LOCK_WRITERS: &str =
    "SET LOCAL synchronous_commit TO DEFAULT; SELECT id FROM log_head WHERE id = 1 FOR UPDATE";
/// Locks the tables against writing, before [`LOCK_WRITERS`].
///
/// Some writers hold the row of counters when they need the tables, others the reverse. So each wait ends, after 50 ms, long
/// before PostgreSQL's deadlock detection would end one of the two: `deadlock_timeout` is a second.
pub const LOCK_TABLES: &str =
    "SET LOCAL lock_timeout = 50; LOCK TABLE change_row, entity, step, update_order IN EXCLUSIVE MODE; ";

/// Creates the tables without indexes: these are faster to create once all rows are there. Needs the privilege to create a
/// schema.
pub async fn create(db: &DatabaseConnection) -> Result<(), StoreError> {
    db.execute_unprepared(SESSION_SETTINGS).await?;
    db.execute_unprepared(&format!("CREATE SCHEMA {SHADOW_SCHEMA}")).await?;
    for (table, _) in SHADOWED_TABLES {
        db.execute_unprepared(&format!("CREATE TABLE {SHADOW_SCHEMA}.{table} (LIKE {table} INCLUDING DEFAULTS)"))
            .await?;
        let options = format!(
            "SELECT array_to_string(reloptions, ', ') AS options FROM pg_class \
             WHERE oid = '{table}'::regclass AND reloptions IS NOT NULL"
        );
        if let Some(row) = db.query_one_raw(Statement::from_string(DbBackend::Postgres, options)).await? {
            let options: String = row.try_get("", "options")?;
            db.execute_unprepared(&format!("ALTER TABLE {SHADOW_SCHEMA}.{table} SET ({options})")).await?;
        }
    }
    Ok(())
}

/// Copies all rows from the file of the second database, and creates the indexes. Calls `on_progress` repeatedly with a
/// number of rows.
pub async fn load(db: &DatabaseConnection, derived: &str, on_progress: &impl Fn(u64)) -> Result<(), StoreError> {
    let mut throttle = LoadThrottle::new();
    copy_table::<change_row::Entity>(db, derived, &mut throttle, on_progress).await?;
    copy_table::<entities::Entity>(db, derived, &mut throttle, on_progress).await?;
    copy_table::<step::Entity>(db, derived, &mut throttle, on_progress).await?;
    create_indexes(db).await
}

// A thread reads and formats rows while the server receives. Each chunk is a transaction: a long one would hold back vacuum.
async fn copy_table<T: DerivedTable>(
    db: &DatabaseConnection,
    derived: &str,
    throttle: &mut LoadThrottle,
    on_progress: &impl Fn(u64),
) -> Result<(), StoreError> {
    let (table, derived) = (T::NAME, derived.to_owned());
    let columns = T::Column::iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ");
    let query = format!("SELECT {columns} FROM {table}");
    let copy = format!("COPY {SHADOW_SCHEMA}.{table} ({columns}) FROM STDIN");
    let (send, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
    let reader = tokio::task::spawn_blocking(move || send_copy_text(&derived, &query, &send));
    let pool = db.get_postgres_connection_pool();
    while let Some(CopyChunk { text, rows }) = chunks.recv().await {
        let begun = Instant::now();
        let mut copying = pool.copy_in_raw(&copy).await?;
        copying.send(text).await?;
        copying.finish().await?;
        on_progress(rows);
        throttle.pause(db, Duration::ZERO, begun.elapsed()).await?;
    }
    reader.await.map_err(|error| StoreError::task("reading the second database", error))?
}

// Creates the indexes that the tables in use have.
async fn create_indexes(db: &DatabaseConnection) -> Result<(), StoreError> {
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
                return Err(StoreError::Corrupt(format!("the index {name} has an unexpected definition: {text}")));
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

/// Replaces the tables in use by the new ones. Waits a little for readers.
pub async fn swap<C: ConnectionTrait>(txn: &C) -> Result<(), StoreError> {
    let schema = Statement::from_string(DbBackend::Postgres, "SELECT current_schema()::text AS schema");
    let schema = txn.query_one_raw(schema).await?;
    let schema: String =
        schema.ok_or_else(|| StoreError::Corrupt("there is no schema".into()))?.try_get("", "schema")?;
    txn.execute_unprepared(&format!("SET LOCAL lock_timeout = {READER_LOCK_TIMEOUT_MS}")).await?;
    // The view first, and its tables with it, in the order in which a reader locks them.
    txn.execute_unprepared("LOCK TABLE change, entity, step, update_order IN ACCESS EXCLUSIVE MODE").await?;
    let view = view_definition(txn).await?;
    txn.execute_unprepared("DROP VIEW change").await?;
    for (table, _) in SHADOWED_TABLES {
        txn.execute_unprepared(&format!("DROP TABLE {table}")).await?;
        txn.execute_unprepared(&format!("ALTER TABLE {SHADOW_SCHEMA}.{table} SET SCHEMA {schema}")).await?;
    }
    txn.execute_unprepared(&view).await?;
    Ok(())
}

// The view depends on a table that is dropped.
async fn view_definition<C: ConnectionTrait>(txn: &C) -> Result<String, StoreError> {
    let text = "SELECT 'CREATE VIEW change AS ' || pg_get_viewdef('change'::regclass) AS sql";
    let view = txn.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await?;
    Ok(view.ok_or_else(|| StoreError::Corrupt("there is no view `change`".into()))?.try_get("", "sql")?)
}

/// Drops the schema.
pub async fn drop_leftovers(db: &DatabaseConnection) -> Result<(), StoreError> {
    db.execute_unprepared(&format!("DROP SCHEMA IF EXISTS {SHADOW_SCHEMA} CASCADE")).await?;
    Ok(())
}
