//! Fresh tables of SQLite: in the same file, under other names. Readers go on in the old tables until their transaction
//! ends; prepared statements are made anew by SQLite itself, since the schema's number has changed.

use super::shadow_tables::{SHADOWED_TABLES, ShadowTables};
use super::throttle::LoadThrottle;
use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::rebuild::verify::sqlite_diff::{ATTACHED_SCHEMA, attach, detach};
use crate::store::StoreError;
use entity::{change, entity as entities, step};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, IdenStatic, Iterable, Statement};
use std::time::Instant;

/// What the names of fresh and of replaced tables and indexes end with.
pub const NEW_SUFFIX: &str = "_new";
const OLD_SUFFIX: &str = "_old";

/// Makes them as those in use are made, with their indexes: making an index of a full table would take the writer's lock
/// for long.
///
/// # Errors
/// If the database refuses.
pub async fn create(db: &DatabaseConnection, all: &ShadowTables) -> Result<(), StoreError> {
    for (table, _) in SHADOWED_TABLES {
        // The table itself comes first.
        let made = format!(
            "SELECT name, sql FROM sqlite_schema WHERE tbl_name = '{table}' AND sql IS NOT NULL ORDER BY type DESC"
        );
        for row in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, made)).await? {
            let (name, text): (String, String) = (row.try_get("", "name")?, row.try_get("", "sql")?);
            let fresh = |name: &str| format!("\"{name}{NEW_SUFFIX}\"");
            let text = text.replacen(&format!("\"{name}\""), &fresh(&name), 1);
            let of = format!(" ON \"{table}\"");
            all.execute_ddl(db, &text.replacen(&of, &format!(" ON {}", fresh(table)), 1)).await?;
        }
    }
    Ok(())
}

/// Copies everything from the file of the second database; no row passes through this process's hands. Calls `done` with
/// how many rows, again and again.
///
/// # Errors
/// If a database fails.
pub async fn load(
    db: &DatabaseConnection,
    fresh: &ShadowTables,
    derived: &str,
    done: &impl Fn(u64),
) -> Result<(), StoreError> {
    attach(db, derived).await?;
    let mut pace = LoadThrottle::new();
    copy_table::<change::Entity>(db, fresh, change::Column::Position, &mut pace, done).await?;
    copy_table::<entities::Entity>(db, fresh, entities::Column::RowId, &mut pace, done).await?;
    copy_table::<step::Entity>(db, fresh, step::Column::EntityRowId, &mut pace, done).await?;
    detach(db).await
}

async fn copy_table<T: DerivedTable>(
    db: &DatabaseConnection,
    fresh: &ShadowTables,
    number: T::Column,
    pace: &mut LoadThrottle,
    done: &impl Fn(u64),
) -> Result<(), StoreError> {
    let (table, number) = (T::NAME, number.as_str());
    let columns = T::Column::iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ");
    let statement = |text: String, numbers: &[i64]| {
        Statement::from_sql_and_values(DbBackend::Sqlite, text, numbers.iter().map(|number| (*number).into()))
    };
    let next = format!("SELECT min({number}) AS next FROM {ATTACHED_SCHEMA}.{table} WHERE {number} > ?");
    let part = format!(
        "INSERT INTO {} ({columns}) SELECT {columns} FROM {ATTACHED_SCHEMA}.{table} WHERE {number} BETWEEN ? AND ?",
        fresh.sql_name(table)
    );
    let mut last = i64::MIN;
    loop {
        let first = db.query_one_raw(statement(next.clone(), &[last])).await?;
        let first: Option<i64> = first.map(|row| row.try_get("", "next")).transpose()?.flatten();
        let Some(first) = first else { return Ok(()) };
        last = first + pace.chunk_rows() - 1;
        let tried = Instant::now();
        let (txn, begun) = (fresh.begin(db).await?, Instant::now());
        let loaded = txn.execute_raw(statement(part.clone(), &[first, last])).await?;
        txn.commit().await?;
        done(loaded.rows_affected());
        pace.pause(db, begun - tried, begun.elapsed()).await?;
    }
}

/// Gives them the names of those in use, and those other names. SQLite has no statement that renames an index, but says how
/// its schema is edited (<https://www.sqlite.org/lang_altertable.html>, <https://www.sqlite.org/pragma.html#pragma_writable_schema>).
///
/// # Errors
/// If the database refuses.
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

/// Removes fresh and replaced tables, if there are any, in small parts: others want to write meanwhile.
///
/// # Errors
/// If the database refuses.
pub async fn drop_leftovers(db: &DatabaseConnection, fresh: &ShadowTables) -> Result<(), StoreError> {
    let mut pace = LoadThrottle::new();
    for suffix in [NEW_SUFFIX, OLD_SUFFIX] {
        for (table, key) in SHADOWED_TABLES {
            let name = format!("{table}{suffix}");
            let made =
                format!("SELECT name FROM sqlite_schema WHERE tbl_name = '{name}' AND sql IS NOT NULL ORDER BY type");
            let made = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, made)).await?;
            let names: Vec<String> = made.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?;
            let Some((_, indexes)) = names.split_last() else { continue };
            for index in indexes {
                fresh.execute_ddl(db, &format!("DROP INDEX \"{index}\"")).await?;
            }
            delete_in_chunks(db, fresh, (&name, key), &mut pace).await?;
            fresh.execute_ddl(db, &format!("DROP TABLE \"{name}\"")).await?;
        }
    }
    fresh.execute_ddl(db, &format!("DROP TABLE IF EXISTS \"delivery{NEW_SUFFIX}\"")).await
}

async fn delete_in_chunks(
    db: &DatabaseConnection,
    fresh: &ShadowTables,
    (table, key): (&str, &str),
    pace: &mut LoadThrottle,
) -> Result<(), StoreError> {
    loop {
        let least = format!("SELECT min({key}) AS least FROM \"{table}\"");
        let least = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, least)).await?;
        let least: Option<i64> = least.map(|row| row.try_get("", "least")).transpose()?.flatten();
        let Some(least) = least else { return Ok(()) };
        let tried = Instant::now();
        let (txn, begun) = (fresh.begin(db).await?, Instant::now());
        let part = format!("DELETE FROM \"{table}\" WHERE {key} < {}", least + pace.chunk_rows());
        txn.execute_unprepared(&part).await?;
        txn.commit().await?;
        pace.pause(db, begun - tried, begun.elapsed()).await?;
    }
}
