//! Writes rows of the second database into a table of the first one: one in use, or a new one.

use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::store::StoreError;
use entity::{command, delivery};
use sea_orm::sea_query::{Expr, ExprTrait, IntoTableRef, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IdenStatic, IntoActiveModel,
    ModelTrait, QueryFilter, QueryTrait,
};

/// Rows in one statement.
pub const ROWS_PER_STATEMENT: usize = 1000;
/// Keys in one statement.
const KEYS_PER_STATEMENT: usize = 100;
/// A table of the raw log.
pub trait LogTable: DerivedTable {
    /// The columns that are derived; all others are the raw log.
    const DERIVED_COLUMNS: &'static [Self::Column];
}

impl LogTable for delivery::Entity {
    const DERIVED_COLUMNS: &'static [delivery::Column] = {
        use delivery::Column::{
            ChangeCount, DedupKey, DuplicateOf, Event, FirstPosition, OccurredAt, ReasonCode, ReasonParams, Verdict,
            Warnings,
        };
        &[
            Event,
            OccurredAt,
            DedupKey,
            Verdict,
            ReasonCode,
            ReasonParams,
            Warnings,
            DuplicateOf,
            FirstPosition,
            ChangeCount,
        ]
    };
}

impl LogTable for command::Entity {
    const DERIVED_COLUMNS: &'static [command::Column] = {
        use command::Column::{ChangeCount, EntityRowId, FirstPosition, TargetRowId};
        &[EntityRowId, TargetRowId, FirstPosition, ChangeCount]
    };
}

/// A staging table that exists for the length of a transaction.
const STAGING_TABLE: &str = "patched";

/// Replaces the rows with these leading keys by those of the second database.
pub async fn replace_rows<T: DerivedTable>(
    db: &impl ConnectionTrait,
    table: impl IntoTableRef,
    derived: &DatabaseConnection,
    keys: &[i64],
) -> Result<(), StoreError> {
    let table = table.into_table_ref();
    // Deletes all before inserting any: a row may return under another key, with the same unique values.
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        let mut delete = Query::delete();
        let which = Expr::col(T::LEADING_KEY.as_str()).is_in(keys.iter().copied());
        delete.from_table(table.clone()).and_where(which);
        db.execute(&delete).await?;
    }
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        insert_rows(db, table.clone(), rows_by_key::<T>(derived, keys).await?).await?;
    }
    Ok(())
}

/// Inserts rows.
pub async fn insert_rows<M: IntoActiveModel<A> + Clone, A: ActiveModelTrait>(
    db: &impl ConnectionTrait,
    table: impl IntoTableRef,
    rows: Vec<M>,
) -> Result<(), StoreError> {
    let table = table.into_table_ref();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let rows = rows.iter().map(|row| row.clone().into_active_model().reset_all());
        let mut insert = A::Entity::insert_many(rows).into_query();
        insert.into_table(table.clone());
        db.execute(&insert).await?;
    }
    Ok(())
}

/// The statement that creates a staging table for some columns; `kind` is `TABLE` or `TEMPORARY TABLE`.
pub fn staging_table_sql<T: DerivedTable>(kind: &str, name: &str, columns: &[T::Column]) -> String {
    let (key, columns) = (T::LEADING_KEY.as_str(), column_names(columns).join(", "));
    format!("CREATE {kind} {name} AS SELECT {key}, {columns} FROM {} WHERE {key} IS NULL", T::NAME)
}

/// Inserts values into a staging table.
pub async fn insert_staged<T: DerivedTable>(
    db: &impl ConnectionTrait,
    table: impl IntoTableRef,
    columns: &[T::Column],
    rows: &[T::Model],
) -> Result<(), StoreError> {
    let table = table.into_table_ref();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let mut insert = Query::insert();
        insert.into_table(table.clone()).columns([T::LEADING_KEY.as_str()].into_iter().chain(column_names(columns)));
        for row in rows {
            let key = Expr::value(T::leading_key(row));
            insert.values_panic([key].into_iter().chain(columns.iter().map(|column| Expr::value(row.get(*column)))));
        }
        db.execute(&insert).await?;
    }
    Ok(())
}

/// Copies the values of a staging table into the table in use.
pub async fn update_from_staging<T: DerivedTable>(
    txn: &impl ConnectionTrait,
    name: &str,
    columns: &[T::Column],
) -> Result<(), StoreError> {
    let set: Vec<String> = column_names(columns).iter().map(|column| format!("{column} = new.{column}")).collect();
    let (table, key) = (T::NAME, T::LEADING_KEY.as_str());
    let text = format!("UPDATE {table} SET {} FROM {name} AS new WHERE {table}.{key} = new.{key}", set.join(", "));
    txn.execute_unprepared(&text).await?;
    Ok(())
}

/// Updates some columns and no others: writing a whole row would touch all its indexes, each in a distant place.
pub async fn update_columns<T: DerivedTable>(
    txn: &impl ConnectionTrait,
    columns: &[T::Column],
    rows: &[T::Model],
) -> Result<(), StoreError> {
    if rows.is_empty() || columns.is_empty() {
        return Ok(());
    }
    txn.execute_unprepared(&staging_table_sql::<T>("TEMPORARY TABLE", STAGING_TABLE, columns)).await?;
    insert_staged::<T>(txn, STAGING_TABLE, columns, rows).await?;
    // Otherwise PostgreSQL's planner does not know how few rows there are.
    txn.execute_unprepared(&format!("ANALYZE {STAGING_TABLE}")).await?;
    update_from_staging::<T>(txn, STAGING_TABLE, columns).await?;
    txn.execute_unprepared(&format!("DROP TABLE {STAGING_TABLE}")).await?;
    Ok(())
}

/// The rows with these leading keys, in their order.
pub async fn rows_by_key<T: DerivedTable>(
    db: &impl ConnectionTrait,
    keys: &[i64],
) -> Result<Vec<T::Model>, StoreError> {
    let mut all = Vec::with_capacity(keys.len());
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        all.extend(T::find().filter(T::LEADING_KEY.is_in(keys.iter().copied())).all(db).await?);
    }
    all.sort_by_cached_key(T::key);
    Ok(all)
}

fn column_names<C: ColumnTrait>(columns: &[C]) -> Vec<&'static str> {
    columns.iter().map(|column| column.as_str()).collect()
}
