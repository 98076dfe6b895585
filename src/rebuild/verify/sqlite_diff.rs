//! Finds the rows that differ between two SQLite files: SQLite compares them itself, and returns only the differing ones.

use super::derived_tables::DerivedTable;
use crate::store::StoreError;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, IdenStatic, Iterable, Statement};

/// The schema name of the second database.
pub const ATTACHED_SCHEMA: &str = "derived";

/// Attaches the file of the second database to a connection.
pub async fn attach<C: ConnectionTrait>(db: &C, path: &str) -> Result<(), StoreError> {
    let attach = format!("ATTACH DATABASE ? AS {ATTACHED_SCHEMA}");
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, attach, [path.into()])).await?;
    Ok(())
}

/// Detaches it. Fails while it is being read.
pub async fn detach<C: ConnectionTrait>(db: &C) -> Result<(), StoreError> {
    db.execute_unprepared(&format!("DETACH DATABASE {ATTACHED_SCHEMA}")).await?;
    Ok(())
}

/// The integer that a query returns, unless it is null.
pub async fn query_integer<C: ConnectionTrait>(db: &C, query: Statement) -> Result<Option<i64>, StoreError> {
    let row = db.query_one_raw(query).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.flatten())
}

/// The leading keys of the rows that differ, in order; and the number of rows in the second database.
pub async fn differing_keys<T: DerivedTable>(at: &DatabaseTransaction) -> Result<(Vec<i64>, u64), StoreError> {
    let (table, number) = (T::NAME, T::LEADING_KEY.as_str());
    let both = |columns: Vec<&str>| -> String {
        columns.iter().map(|column| format!("s.{column} IS d.{column}")).collect::<Vec<_>>().join(" AND ")
    };
    let key = both(T::PrimaryKey::iter().map(|column| column.as_str()).collect());
    let same =
        both(T::Column::iter().map(|column| column.as_str()).filter(|name| !T::NOT_DERIVED.contains(name)).collect());
    let text = format!(
        "SELECT s.{number} AS row_id FROM main.{table} s LEFT JOIN {ATTACHED_SCHEMA}.{table} d ON {key} \
         WHERE d.{number} IS NULL OR NOT ({same}) \
         UNION SELECT d.{number} FROM {ATTACHED_SCHEMA}.{table} d LEFT JOIN main.{table} s ON {key} WHERE s.{number} IS NULL \
         ORDER BY 1"
    );
    let rows = at.query_all_raw(Statement::from_string(DbBackend::Sqlite, text)).await?;
    let keys = rows.iter().map(|row| row.try_get("", "row_id")).collect::<Result<_, _>>()?;
    let count = format!("SELECT count(*) FROM {ATTACHED_SCHEMA}.{table}");
    let count = query_integer(at, Statement::from_string(DbBackend::Sqlite, count)).await?;
    Ok((keys, count.unwrap_or_default().unsigned_abs()))
}
