//! The new tables on SQLite: in the same file, under other names. Readers stay in the old tables until their transaction
//! ends. SQLite prepares statements again by itself, because the schema's version changes.

use super::shadow_tables::{SHADOWED_TABLES, ShadowTables};
use super::throttle::LoadThrottle;
use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::rebuild::verify::sqlite_diff::{ATTACHED_SCHEMA, attach, detach};
use crate::store::StoreError;
use entity::{change, entity as entities, step};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, IdenStatic, Iterable, Statement};
use std::time::Instant;

/// Suffixes of the names of new and of replaced tables and indexes.
pub const NEW_SUFFIX: &str = "_new";
const OLD_SUFFIX: &str = "_old";

/// Creates the tables like those in use, with their indexes: creating an index on a full table would hold the writer's lock
/// for long.
pub async fn create(db: &DatabaseConnection, tables: &ShadowTables) -> Result<(), StoreError> {
    for (table, _) in SHADOWED_TABLES {
        // The table comes first.
        let definitions = format!(
            "SELECT name, sql FROM sqlite_schema WHERE tbl_name = '{table}' AND sql IS NOT NULL ORDER BY type DESC"
        );
        for row in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, definitions)).await? {
            let (name, text): (String, String) = (row.try_get("", "name")?, row.try_get("", "sql")?);
            let renamed = |name: &str| format!("\"{name}{NEW_SUFFIX}\"");
            let text = text.replacen(&format!("\"{name}\""), &renamed(&name), 1);
            let of = format!(" ON \"{table}\"");
            tables.execute_ddl(db, &text.replacen(&of, &format!(" ON {}", renamed(table)), 1)).await?;
        }
    }
    Ok(())
}

/// Copies all rows from the file of the second database, inside SQLite. Calls `on_progress` repeatedly with a number of rows.
pub async fn load(
    db: &DatabaseConnection,
    tables: &ShadowTables,
    derived: &str,
    on_progress: &impl Fn(u64),
) -> Result<(), StoreError> {
    attach(db, derived).await?;
    let mut throttle = LoadThrottle::new();
    copy_table::<change::Entity>(db, tables, change::Column::Position, &mut throttle, on_progress).await?;
    copy_table::<entities::Entity>(db, tables, entities::Column::RowId, &mut throttle, on_progress).await?;
    copy_table::<step::Entity>(db, tables, step::Column::EntityRowId, &mut throttle, on_progress).await?;
    detach(db).await
}

async fn copy_table<T: DerivedTable>(
    db: &DatabaseConnection,
    tables: &ShadowTables,
    number: T::Column,
    throttle: &mut LoadThrottle,
    on_progress: &impl Fn(u64),
) -> Result<(), StoreError> {
    let (table, number) = (T::NAME, number.as_str());
    let columns = T::Column::iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ");
    let statement = |text: String, numbers: &[i64]| {
        Statement::from_sql_and_values(DbBackend::Sqlite, text, numbers.iter().map(|number| (*number).into()))
    };
    let next = format!("SELECT min({number}) AS next FROM {ATTACHED_SCHEMA}.{table} WHERE {number} > ?");
    let part = format!(
        "INSERT INTO {} ({columns}) SELECT {columns} FROM {ATTACHED_SCHEMA}.{table} WHERE {number} BETWEEN ? AND ?",
        tables.sql_name(table)
    );
    let mut last = i64::MIN;
    loop {
        let first = db.query_one_raw(statement(next.clone(), &[last])).await?;
        let first: Option<i64> = first.map(|row| row.try_get("", "next")).transpose()?.flatten();
        let Some(first) = first else { return Ok(()) };
        last = first + throttle.chunk_rows() - 1;
        let tried = Instant::now();
        let (txn, begun) = (tables.begin(db).await?, Instant::now());
        let loaded = txn.execute_raw(statement(part.clone(), &[first, last])).await?;
        txn.commit().await?;
        on_progress(loaded.rows_affected());
        throttle.pause(db, begun - tried, begun.elapsed()).await?;
    }
}

/// Exchanges the names. SQLite has no statement that renames an index, but documents how its schema may be edited
/// (<https://www.sqlite.org/lang_altertable.html>, <https://www.sqlite.org/pragma.html#pragma_writable_schema>).
pub async fn swap<C: ConnectionTrait>(txn: &C) -> Result<(), StoreError> {
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
    Ok(())
}

/// Drops new and replaced tables, if there are any, in small chunks so that others can write.
pub async fn drop_leftovers(db: &DatabaseConnection, tables: &ShadowTables) -> Result<(), StoreError> {
    let mut throttle = LoadThrottle::new();
    for suffix in [NEW_SUFFIX, OLD_SUFFIX] {
        for (table, key) in SHADOWED_TABLES {
            let name = format!("{table}{suffix}");
            let definitions =
                format!("SELECT name FROM sqlite_schema WHERE tbl_name = '{name}' AND sql IS NOT NULL ORDER BY type");
            let definitions = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, definitions)).await?;
            let names: Vec<String> = definitions.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?;
            let Some((_, indexes)) = names.split_last() else { continue };
            for index in indexes {
                tables.execute_ddl(db, &format!("DROP INDEX \"{index}\"")).await?;
            }
            delete_in_chunks(db, tables, (&name, key), &mut throttle).await?;
            tables.execute_ddl(db, &format!("DROP TABLE \"{name}\"")).await?;
        }
    }
    tables.execute_ddl(db, &format!("DROP TABLE IF EXISTS \"delivery{NEW_SUFFIX}\"")).await
}

async fn delete_in_chunks(
    db: &DatabaseConnection,
    tables: &ShadowTables,
    (table, key): (&str, &str),
    throttle: &mut LoadThrottle,
) -> Result<(), StoreError> {
    loop {
        let least = format!("SELECT min({key}) AS least FROM \"{table}\"");
        let least = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, least)).await?;
        let least: Option<i64> = least.map(|row| row.try_get("", "least")).transpose()?.flatten();
        let Some(least) = least else { return Ok(()) };
        let tried = Instant::now();
        let (txn, begun) = (tables.begin(db).await?, Instant::now());
        let part = format!("DELETE FROM \"{table}\" WHERE {key} < {}", least + throttle.chunk_rows());
        txn.execute_unprepared(&part).await?;
        txn.commit().await?;
        throttle.pause(db, begun - tried, begun.elapsed()).await?;
    }
}
