//! Rows of the second database, put into a table of the first one: into one that is in use, or into a fresh one.

use crate::store::StoreError;
use crate::store::verify::tables::Table;
use entity::{delivery, entity as entities};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoTableRef, Query, TableRef};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IdenStatic, IntoActiveModel,
    Iterable, ModelTrait, QueryFilter, QueryTrait,
};
use std::collections::HashMap;

/// Rows in one statement.
pub const MANY: usize = 1000;
/// Numbers in one statement.
const NUMBERS: usize = 100;
/// The derived columns of a delivery; all others are the raw log.
const DERIVED: [&str; 7] = ["event", "occurred_at", "news", "verdict", "reason", "first_position", "changes"];

/// Replaces the rows with these numbers by what the second database has of them.
///
/// # Errors
/// If a database fails.
pub async fn renew<T: Table, C: ConnectionTrait>(
    db: &C,
    table: TableRef,
    derived: &DatabaseConnection,
    numbers: &[i64],
) -> Result<(), StoreError>
where
    T::Model: IntoActiveModel<T::ActiveModel>,
    T::ActiveModel: Send,
{
    let Some(number) = T::NUMBER else { return Ok(()) };
    // All first: a row may come under another number, and what is unique in it with it.
    for numbers in numbers.chunks(NUMBERS) {
        let mut delete = Query::delete();
        let which = Expr::col(number.as_str()).is_in(numbers.iter().copied());
        delete.from_table(table.clone()).and_where(which);
        db.execute(&delete).await?;
    }
    for numbers in numbers.chunks(NUMBERS) {
        let rows = T::find().filter(number.is_in(numbers.iter().copied())).all(derived).await?;
        for rows in rows.chunks(MANY) {
            add(db, table.clone(), rows.to_vec()).await?;
        }
    }
    Ok(())
}

/// The same of entities in use, of which only the values that differ are written: a whole row would be written into all
/// their indexes once more, each time far from the others.
///
/// # Errors
/// If a database fails.
pub async fn renew_entities<C: ConnectionTrait>(
    db: &C,
    derived: &DatabaseConnection,
    numbers: &[i64],
) -> Result<(), StoreError> {
    use entities::Column::Number;
    let mut whole = Vec::new();
    for numbers in numbers.chunks(NUMBERS) {
        let rows = || entities::Entity::find().filter(Number.is_in(numbers.iter().copied()));
        let (stored, derived) = (by_number(rows().all(db).await?), by_number(rows().all(derived).await?));
        for number in numbers {
            match (stored.get(number), derived.get(number)) {
                (Some(stored), Some(derived)) if stored.id == derived.id => {
                    let values = differing(stored, derived);
                    if values.is_changed() {
                        entities::Entity::update_many().set(values).filter(Number.eq(*number)).exec(db).await?;
                    }
                }
                _ => whole.push(*number),
            }
        }
    }
    renew::<entities::Entity, _>(db, Alias::new("entity").into_table_ref(), derived, &whole).await
}

fn by_number(rows: Vec<entities::Model>) -> HashMap<i64, entities::Model> {
    rows.into_iter().map(|row| (row.number, row)).collect()
}

// The values of the second that the first does not have.
fn differing(stored: &entities::Model, derived: &entities::Model) -> entities::ActiveModel {
    let mut values = <entities::ActiveModel as ActiveModelTrait>::default();
    for column in entities::Column::iter().filter(|column| stored.get(*column) != derived.get(*column)) {
        values.set(column, derived.get(column));
    }
    values
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

/// What makes the table in which derived columns of deliveries wait; `kind` is `TABLE` or `TEMPORARY TABLE`.
pub fn waiting_deliveries(kind: &str, name: &str) -> String {
    format!("CREATE {kind} {name} AS SELECT number, {} FROM delivery WHERE number IS NULL", DERIVED.join(", "))
}

/// Adds deliveries there.
///
/// # Errors
/// If the database fails.
pub async fn add_deliveries<C: ConnectionTrait>(
    db: &C,
    table: impl IntoTableRef,
    rows: Vec<delivery::Model>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = Query::insert();
    insert.into_table(table).columns(["number"].into_iter().chain(DERIVED));
    for row in rows {
        insert.values_panic([
            row.number.into(),
            row.event.into(),
            row.occurred_at.into(),
            row.news.into(),
            row.verdict.as_str().into(),
            row.reason.into(),
            row.first_position.into(),
            row.changes.into(),
        ]);
    }
    db.execute(&insert).await?;
    Ok(())
}

/// Brings them from there into the raw log's table.
///
/// # Errors
/// If the database fails.
pub async fn update_deliveries<C: ConnectionTrait>(txn: &C, name: &str) -> Result<(), StoreError> {
    let set: Vec<String> = DERIVED.iter().map(|column| format!("{column} = new.{column}")).collect();
    let text = format!("UPDATE delivery SET {} FROM {name} AS new WHERE delivery.number = new.number", set.join(", "));
    txn.execute_unprepared(&text).await?;
    Ok(())
}
