//! Rows of the second database, put into a table of the first one: into one that is in use, or into a fresh one.

use crate::rebuild::verify::derived_tables::IntegerKeyed;
use crate::store::StoreError;
use entity::delivery;
use sea_orm::sea_query::{Expr, ExprTrait, IntoTableRef, Query, TableRef};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IdenStatic, IntoActiveModel,
    ModelTrait, QueryFilter, QueryTrait,
};

/// Rows in one statement.
pub const ROWS_PER_STATEMENT: usize = 1000;
/// Numbers in one statement.
const KEYS_PER_STATEMENT: usize = 100;
/// The derived columns of a delivery; all others are the raw log.
pub const DERIVED_COLUMNS: [delivery::Column; 10] = {
    use delivery::Column::{
        ChangeCount, DedupKey, DuplicateOf, Event, FirstPosition, OccurredAt, ReasonCode, ReasonParams, Verdict,
        Warnings,
    };
    [Event, OccurredAt, DedupKey, Verdict, ReasonCode, ReasonParams, Warnings, DuplicateOf, FirstPosition, ChangeCount]
};
/// Where values wait, for the length of a transaction.
const STAGING_TABLE: &str = "patched";

/// Replaces the rows with these numbers by what the second database has of them.
///
/// # Errors
/// If a database fails.
pub async fn replace_rows<T: IntegerKeyed, C: ConnectionTrait>(
    db: &C,
    table: TableRef,
    derived: &DatabaseConnection,
    numbers: &[i64],
) -> Result<(), StoreError>
where
    T::Model: IntoActiveModel<T::ActiveModel>,
    T::ActiveModel: Send,
{
    // All first: a row may come under another number, and what is unique in it with it.
    for numbers in numbers.chunks(KEYS_PER_STATEMENT) {
        let mut delete = Query::delete();
        let which = Expr::col(T::LEADING_KEY.as_str()).is_in(numbers.iter().copied());
        delete.from_table(table.clone()).and_where(which);
        db.execute(&delete).await?;
    }
    for numbers in numbers.chunks(KEYS_PER_STATEMENT) {
        let rows = rows_by_key::<T, _>(derived, numbers).await?;
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            insert_rows(db, table.clone(), rows.to_vec()).await?;
        }
    }
    Ok(())
}

/// Adds rows.
///
/// # Errors
/// If the database fails.
pub async fn insert_rows<M, A, C: ConnectionTrait>(
    db: &C,
    table: impl IntoTableRef,
    rows: Vec<M>,
) -> Result<(), StoreError>
where
    M: IntoActiveModel<A>,
    A: ActiveModelTrait,
{
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
    let mut insert = A::Entity::insert_many(rows).into_query();
    insert.into_table(table);
    db.execute(&insert).await?;
    Ok(())
}

/// What makes a table in which values of some columns wait; `kind` is `TABLE` or `TEMPORARY TABLE`.
pub fn staging_table_sql<T: IntegerKeyed>(kind: &str, name: &str, columns: &[T::Column]) -> String {
    let (key, columns) = (T::LEADING_KEY.as_str(), column_names(columns).join(", "));
    format!("CREATE {kind} {name} AS SELECT {key}, {columns} FROM {} WHERE {key} IS NULL", T::NAME)
}

/// Adds values there.
///
/// # Errors
/// If the database fails.
pub async fn insert_staged<T: IntegerKeyed, C: ConnectionTrait>(
    db: &C,
    table: impl IntoTableRef,
    columns: &[T::Column],
    rows: &[T::Model],
) -> Result<(), StoreError>
where
    T::Model: ModelTrait<Entity = T>,
{
    let table = table.into_table_ref();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let mut insert = Query::insert();
        insert.into_table(table.clone()).columns([T::LEADING_KEY.as_str()].into_iter().chain(column_names(columns)));
        for row in rows {
            let number = Expr::value(T::leading_key(row));
            insert.values_panic([number].into_iter().chain(columns.iter().map(|column| Expr::value(row.get(*column)))));
        }
        db.execute(&insert).await?;
    }
    Ok(())
}

/// Brings them from there into the table in use.
///
/// # Errors
/// If the database fails.
pub async fn update_from_staging<T: IntegerKeyed, C: ConnectionTrait>(
    txn: &C,
    name: &str,
    columns: &[T::Column],
) -> Result<(), StoreError> {
    let set: Vec<String> = column_names(columns).iter().map(|column| format!("{column} = new.{column}")).collect();
    let (table, key) = (T::NAME, T::LEADING_KEY.as_str());
    let text = format!("UPDATE {table} SET {} FROM {name} AS new WHERE {table}.{key} = new.{key}", set.join(", "));
    txn.execute_unprepared(&text).await?;
    Ok(())
}

/// Writes some columns of rows in use and no others: a whole row would be written into all indexes once more, each time far
/// from the others.
///
/// # Errors
/// If the database fails.
pub async fn update_columns<T: IntegerKeyed, C: ConnectionTrait>(
    txn: &C,
    columns: &[T::Column],
    rows: &[T::Model],
) -> Result<(), StoreError>
where
    T::Model: ModelTrait<Entity = T>,
{
    if rows.is_empty() || columns.is_empty() {
        return Ok(());
    }
    txn.execute_unprepared(&staging_table_sql::<T>("TEMPORARY TABLE", STAGING_TABLE, columns)).await?;
    insert_staged::<T, _>(txn, STAGING_TABLE, columns, rows).await?;
    // Else PostgreSQL knows nothing of how few they are.
    txn.execute_unprepared(&format!("ANALYZE {STAGING_TABLE}")).await?;
    update_from_staging::<T, _>(txn, STAGING_TABLE, columns).await?;
    txn.execute_unprepared(&format!("DROP TABLE {STAGING_TABLE}")).await?;
    Ok(())
}

/// The rows with these numbers, in their order.
///
/// # Errors
/// If the database fails.
pub async fn rows_by_key<T: IntegerKeyed, C: ConnectionTrait>(
    db: &C,
    numbers: &[i64],
) -> Result<Vec<T::Model>, StoreError> {
    let mut all = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(KEYS_PER_STATEMENT) {
        all.extend(T::find().filter(T::LEADING_KEY.is_in(numbers.iter().copied())).all(db).await?);
    }
    all.sort_by_cached_key(T::key);
    Ok(all)
}

fn column_names<C: ColumnTrait>(columns: &[C]) -> Vec<&'static str> {
    columns.iter().map(|column| column.as_str()).collect()
}
