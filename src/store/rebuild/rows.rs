//! Rows of the second database, put into a table of the first one: into one that is in use, or into a fresh one.

use crate::store::StoreError;
use crate::store::verify::tables::Numbered;
use entity::delivery;
use sea_orm::sea_query::{Expr, ExprTrait, IntoTableRef, Query, TableRef};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IdenStatic, IntoActiveModel,
    ModelTrait, QueryFilter, QueryTrait,
};

/// Rows in one statement.
pub const MANY: usize = 1000;
/// Numbers in one statement.
const NUMBERS: usize = 100;
/// The derived columns of a delivery; all others are the raw log.
pub const DERIVED: [delivery::Column; 7] = {
    use delivery::Column::{Changes, Event, FirstPosition, News, OccurredAt, Reason, Verdict};
    [Event, OccurredAt, News, Verdict, Reason, FirstPosition, Changes]
};
/// Where values wait, for the length of a transaction.
const MENDED: &str = "mended";

/// Replaces the rows with these numbers by what the second database has of them.
///
/// # Errors
/// If a database fails.
pub async fn renew<T: Numbered, C: ConnectionTrait>(
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
    for numbers in numbers.chunks(NUMBERS) {
        let mut delete = Query::delete();
        let which = Expr::col(T::NUMBER.as_str()).is_in(numbers.iter().copied());
        delete.from_table(table.clone()).and_where(which);
        db.execute(&delete).await?;
    }
    for numbers in numbers.chunks(NUMBERS) {
        let rows = of::<T, _>(derived, numbers).await?;
        for rows in rows.chunks(MANY) {
            add(db, table.clone(), rows.to_vec()).await?;
        }
    }
    Ok(())
}

/// Adds rows.
///
/// # Errors
/// If the database fails.
pub async fn add<M, A, C: ConnectionTrait>(db: &C, table: impl IntoTableRef, rows: Vec<M>) -> Result<(), StoreError>
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
pub fn waiting<T: Numbered>(kind: &str, name: &str, columns: &[T::Column]) -> String {
    let (key, columns) = (T::NUMBER.as_str(), names(columns).join(", "));
    format!("CREATE {kind} {name} AS SELECT {key}, {columns} FROM {} WHERE {key} IS NULL", T::NAME)
}

/// Adds values there.
///
/// # Errors
/// If the database fails.
pub async fn add_waiting<T: Numbered, C: ConnectionTrait>(
    db: &C,
    table: impl IntoTableRef,
    columns: &[T::Column],
    rows: &[T::Model],
) -> Result<(), StoreError>
where
    T::Model: ModelTrait<Entity = T>,
{
    let table = table.into_table_ref();
    for rows in rows.chunks(MANY) {
        let mut insert = Query::insert();
        insert.into_table(table.clone()).columns([T::NUMBER.as_str()].into_iter().chain(names(columns)));
        for row in rows {
            let number = Expr::value(T::number(row));
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
pub async fn take_over<T: Numbered, C: ConnectionTrait>(
    txn: &C,
    name: &str,
    columns: &[T::Column],
) -> Result<(), StoreError> {
    let set: Vec<String> = names(columns).iter().map(|column| format!("{column} = new.{column}")).collect();
    let (table, key) = (T::NAME, T::NUMBER.as_str());
    let text = format!("UPDATE {table} SET {} FROM {name} AS new WHERE {table}.{key} = new.{key}", set.join(", "));
    txn.execute_unprepared(&text).await?;
    Ok(())
}

/// Writes some columns of rows in use and no others: a whole row would be written into all indexes once more, each time far
/// from the others.
///
/// # Errors
/// If the database fails.
pub async fn update<T: Numbered, C: ConnectionTrait>(
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
    txn.execute_unprepared(&waiting::<T>("TEMPORARY TABLE", MENDED, columns)).await?;
    add_waiting::<T, _>(txn, MENDED, columns, rows).await?;
    // Else PostgreSQL knows nothing of how few they are.
    txn.execute_unprepared(&format!("ANALYZE {MENDED}")).await?;
    take_over::<T, _>(txn, MENDED, columns).await?;
    txn.execute_unprepared(&format!("DROP TABLE {MENDED}")).await?;
    Ok(())
}

/// The rows with these numbers, in their order.
///
/// # Errors
/// If the database fails.
pub async fn of<T: Numbered, C: ConnectionTrait>(db: &C, numbers: &[i64]) -> Result<Vec<T::Model>, StoreError> {
    let mut all = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(NUMBERS) {
        all.extend(T::find().filter(T::NUMBER.is_in(numbers.iter().copied())).all(db).await?);
    }
    all.sort_by_cached_key(T::key);
    Ok(all)
}

fn names<C: ColumnTrait>(columns: &[C]) -> Vec<&'static str> {
    columns.iter().map(|column| column.as_str()).collect()
}
