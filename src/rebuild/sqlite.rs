//! The new tables on SQLite: in the same file, under other names. Readers stay in the old tables until their transaction
//! ends. SQLite prepares statements again by itself, because the schema's version changes.

use super::shadow_tables::{SHADOWED_TABLES, ShadowTables};
use super::throttle::LoadThrottle;
use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::rebuild::verify::sqlite_diff::{ATTACHED_SCHEMA, attach, detach, query_integer};
use crate::store::StoreError;
use entity::{change_row, entity as entities, step};
use sea_orm::{ConnectionTrait, DbBackend, IdenStatic, Iterable, Statement};
use std::time::Instant;

/// Suffixes of the names of new and of replaced tables and indexes.
pub const NEW_SUFFIX: &str = "_new";
const OLD_SUFFIX: &str = "_old";

/// Creates the tables like those in use, with their indexes: creating an index on a full table would hold the writer's lock
/// for long.
pub async fn create(tables: &ShadowTables) -> Result<(), StoreError> {
    for (table, _) in SHADOWED_TABLES {
        // The table comes first.
        let definitions = format!(
            "SELECT name, sql FROM sqlite_schema WHERE tbl_name = '{table}' AND sql IS NOT NULL ORDER BY type DESC"
        );
        for row in tables.connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, definitions)).await? {
            let (name, text): (String, String) = (row.try_get("", "name")?, row.try_get("", "sql")?);
            let renamed = |name: &str| format!("\"{name}{NEW_SUFFIX}\"");
            let text = text.replacen(&format!("\"{name}\""), &renamed(&name), 1);
            let of = format!(" ON \"{table}\"");
            tables.execute_ddl(&text.replacen(&of, &format!(" ON {}", renamed(table)), 1)).await?;
        }
    }
    Ok(())
}

/// Copies all rows from the file of the second database, inside SQLite. Calls `on_progress` repeatedly with a number of rows.
pub async fn load(tables: &ShadowTables, derived: &str, on_progress: &impl Fn(u64)) -> Result<(), StoreError> {
    attach(&tables.connection, derived).await?;
    let mut throttle = LoadThrottle::new();
    copy_table::<change_row::Entity>(tables, &mut throttle, on_progress).await?;
    copy_table::<entities::Entity>(tables, &mut throttle, on_progress).await?;
    copy_table::<step::Entity>(tables, &mut throttle, on_progress).await?;
    detach(&tables.connection).await
}

async fn copy_table<T: DerivedTable>(
    tables: &ShadowTables,
    throttle: &mut LoadThrottle,
    on_progress: &impl Fn(u64),
) -> Result<(), StoreError> {
    let (db, table, number) = (&tables.connection, T::NAME, T::LEADING_KEY.as_str());
    let columns = T::Column::iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ");
    let statement = |text: String, numbers: &[i64]| {
        Statement::from_sql_and_values(DbBackend::Sqlite, text, numbers.iter().map(|number| (*number).into()))
    };
    let next = format!("SELECT min({number}) FROM {ATTACHED_SCHEMA}.{table} WHERE {number} > ?");
    let part = format!(
        "INSERT INTO {} ({columns}) SELECT {columns} FROM {ATTACHED_SCHEMA}.{table} WHERE {number} BETWEEN ? AND ?",
        tables.sql_name(table)
    );
    let mut last = i64::MIN;
    loop {
        let Some(first) = query_integer(db, statement(next.clone(), &[last])).await? else { return Ok(()) };
        last = first + throttle.chunk_rows() - 1;
        let tried = Instant::now();
        let (txn, begun) = (tables.begin().await?, Instant::now());
        let loaded = txn.execute_raw(statement(part.clone(), &[first, last])).await?;
        txn.commit().await?;
        on_progress(loaded.rows_affected());
        throttle.pause(db, begun - tried, begun.elapsed()).await?;
    }
}

/// Exchanges the names. SQLite has no statement that renames an index, but documents how its schema may be edited
/// (<https://www.sqlite.org/lang_altertable.html>, <https://www.sqlite.org/pragma.html#pragma_writable_schema>).
pub async fn swap<C: ConnectionTrait>(txn: &C) -> Result<(), StoreError> {
    // SQLite would rename the table in the definition of the view, too.
    let view = "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = 'change'";
    let view = txn.query_one_raw(Statement::from_string(DbBackend::Sqlite, view)).await?;
    let view: String =
        view.ok_or_else(|| StoreError::Corrupt("there is no view `change`".into()))?.try_get("", "sql")?;
    txn.execute_unprepared("DROP VIEW change").await?;
    for (table, _) in SHADOWED_TABLES {
        txn.execute_unprepared(&format!("ALTER TABLE \"{table}\" RENAME TO \"{table}{OLD_SUFFIX}\"")).await?;
        txn.execute_unprepared(&format!("ALTER TABLE \"{table}{NEW_SUFFIX}\" RENAME TO \"{table}\"")).await?;
    }
    txn.execute_unprepared("PRAGMA writable_schema = ON").await?;
    for (table, _) in SHADOWED_TABLES {
        let rename = |of: String, to: String| {
            format!(
                "UPDATE sqlite_schema SET sql = replace(sql, '\"' || name || '\"', '\"' || {to} || '\"'), name = {to} \
                 WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = '{of}'"
            )
        };
        txn.execute_unprepared(&rename(format!("{table}{OLD_SUFFIX}"), format!("name || '{OLD_SUFFIX}'"))).await?;
        let without = format!("substr(name, 1, length(name) - {})", NEW_SUFFIX.len());
        txn.execute_unprepared(&rename(table.to_owned(), without)).await?;
    }
    txn.execute_unprepared("PRAGMA writable_schema = RESET").await?;
    txn.execute_unprepared(&view).await?;
    Ok(())
}

/// Drops new and replaced tables, if there are any, in small chunks so that others can write.
pub async fn drop_leftovers(tables: &ShadowTables) -> Result<(), StoreError> {
    let mut throttle = LoadThrottle::new();
    for suffix in [NEW_SUFFIX, OLD_SUFFIX] {
        for (table, key) in SHADOWED_TABLES {
            let name = format!("{table}{suffix}");
            let definitions =
                format!("SELECT name FROM sqlite_schema WHERE tbl_name = '{name}' AND sql IS NOT NULL ORDER BY type");
            let definitions =
                tables.connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, definitions)).await?;
            let names: Vec<String> = definitions.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?;
            let Some((_, indexes)) = names.split_last() else { continue };
            for index in indexes {
                tables.execute_ddl(&format!("DROP INDEX \"{index}\"")).await?;
            }
            if !key.is_empty() {
                delete_in_chunks(tables, (&name, key), &mut throttle).await?;
            }
            tables.execute_ddl(&format!("DROP TABLE \"{name}\"")).await?;
        }
    }
    for table in ["delivery", "command"] {
        tables.execute_ddl(&format!("DROP TABLE IF EXISTS \"{table}{NEW_SUFFIX}\"")).await?;
    }
    Ok(())
}

async fn delete_in_chunks(
    tables: &ShadowTables,
    (table, key): (&str, &str),
    throttle: &mut LoadThrottle,
) -> Result<(), StoreError> {
    let db = &tables.connection;
    loop {
        let least = Statement::from_string(DbBackend::Sqlite, format!("SELECT min({key}) FROM \"{table}\""));
        let Some(least) = query_integer(db, least).await? else { return Ok(()) };
        let tried = Instant::now();
        let (txn, begun) = (tables.begin().await?, Instant::now());
        let part = format!("DELETE FROM \"{table}\" WHERE {key} < {}", least + throttle.chunk_rows());
        txn.execute_unprepared(&part).await?;
        txn.commit().await?;
        throttle.pause(db, begun - tried, begun.elapsed()).await?;
    }
}
