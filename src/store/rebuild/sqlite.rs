//! Fresh tables of SQLite: in the same file, under other names. Readers go on in the old tables until their transaction
//! ends; prepared statements are made anew by SQLite itself, since the schema's number has changed.

use super::fresh::{Fresh, TABLES};
use crate::store::StoreError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// What the names of fresh and of replaced tables and indexes end with.
pub const FRESH: &str = "_new";
const REPLACED: &str = "_old";
/// Keys whose rows are removed at once.
const KEYS: i64 = 2_000;

/// Makes them as those in use are made, with their indexes: making an index of a full table would take the writer's lock
/// for long.
///
/// # Errors
/// If the database refuses.
pub async fn make(db: &DatabaseConnection, all: &Fresh) -> Result<(), StoreError> {
    for (table, _) in TABLES {
        // The table itself comes first.
        let made = format!(
            "SELECT name, sql FROM sqlite_schema WHERE tbl_name = '{table}' AND sql IS NOT NULL ORDER BY type DESC"
        );
        for row in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, made)).await? {
            let (name, text): (String, String) = (row.try_get("", "name")?, row.try_get("", "sql")?);
            let fresh = |name: &str| format!("\"{name}{FRESH}\"");
            let text = text.replacen(&format!("\"{name}\""), &fresh(&name), 1);
            let of = format!(" ON \"{table}\"");
            all.run(db, &text.replacen(&of, &format!(" ON {}", fresh(table)), 1)).await?;
        }
    }
    Ok(())
}

/// Gives them the names of those in use, and those other names. SQLite has no statement that renames an index, but says how
/// its schema is edited (<https://www.sqlite.org/lang_altertable.html>, <https://www.sqlite.org/pragma.html#pragma_writable_schema>).
///
/// # Errors
/// If the database refuses.
pub async fn swap<C: ConnectionTrait>(txn: &C) -> Result<(), StoreError> {
    for (table, _) in TABLES {
        txn.execute_unprepared(&format!("ALTER TABLE \"{table}\" RENAME TO \"{table}{REPLACED}\"")).await?;
        txn.execute_unprepared(&format!("ALTER TABLE \"{table}{FRESH}\" RENAME TO \"{table}\"")).await?;
    }
    txn.execute_unprepared("PRAGMA writable_schema = ON").await?;
    for (table, _) in TABLES {
        let rename = |of: String, to: String| {
            format!(
                "UPDATE sqlite_schema SET sql = replace(sql, '\"' || name || '\"', '\"' || {to} || '\"'), name = {to} \
                 WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = '{of}'"
            )
        };
        txn.execute_unprepared(&rename(format!("{table}{REPLACED}"), format!("name || '{REPLACED}'"))).await?;
        let without = format!("substr(name, 1, length(name) - {})", FRESH.len());
        txn.execute_unprepared(&rename(table.to_owned(), without)).await?;
    }
    txn.execute_unprepared("PRAGMA writable_schema = RESET").await?;
    Ok(())
}

/// Removes fresh and replaced tables, if there are any, in small parts: others want to write meanwhile.
///
/// # Errors
/// If the database refuses.
pub async fn clear(db: &DatabaseConnection, fresh: &Fresh) -> Result<(), StoreError> {
    for suffix in [FRESH, REPLACED] {
        for (table, key) in TABLES {
            let name = format!("{table}{suffix}");
            let made =
                format!("SELECT name FROM sqlite_schema WHERE tbl_name = '{name}' AND sql IS NOT NULL ORDER BY type");
            let made = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, made)).await?;
            let names: Vec<String> = made.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?;
            let Some((_, indexes)) = names.split_last() else { continue };
            for index in indexes {
                fresh.run(db, &format!("DROP INDEX \"{index}\"")).await?;
            }
            empty(db, fresh, &name, key).await?;
            fresh.run(db, &format!("DROP TABLE \"{name}\"")).await?;
        }
    }
    fresh.run(db, &format!("DROP TABLE IF EXISTS \"delivery{FRESH}\"")).await
}

async fn empty(db: &DatabaseConnection, fresh: &Fresh, table: &str, key: &str) -> Result<(), StoreError> {
    loop {
        let least = format!("SELECT min({key}) AS least FROM \"{table}\"");
        let least = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, least)).await?;
        let least: Option<i64> = least.map(|row| row.try_get("", "least")).transpose()?.flatten();
        let Some(least) = least else { return Ok(()) };
        fresh.run(db, &format!("DELETE FROM \"{table}\" WHERE {key} < {}", least + KEYS)).await?;
    }
}
