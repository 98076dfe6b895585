//! Deliveries as they came, and what each of them changed.

use super::filter::DeliveryFilter;
use super::history::range;
use super::page::{Direction, Page, Part, Range, first_of_each, padded};
use crate::store::{Readers, StoreError};
use entity::delivery::{Column, Entity};
use entity::{Verdict, change};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
};
use std::collections::HashMap;
use std::sync::Arc;

/// A delivery's row.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DeliveryRow {
    pub number: i64,
    pub source: String,
    pub vendor: String,
    pub received_at: i64,
    pub method: String,
    /// None if it was not asked for.
    pub headers: Option<String>,
    /// None if it was not asked for.
    pub body: Option<Vec<u8>>,
    /// Of the body, in bytes.
    pub size: i64,
    pub event: String,
    pub occurred_at: Option<i64>,
    pub verdict: Verdict,
    pub reason: String,
    pub first_position: i64,
    pub changes: i32,
    pub duplicates: i64,
    pub duplicate_at: Option<i64>,
}

/// Which of the large columns are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryWants {
    pub headers: bool,
    pub body: bool,
}

/// A page of the deliveries that a filter lets through, in the order of arrival or against it.
///
/// # Errors
/// If the database does not answer.
pub async fn deliveries(
    db: &Readers,
    wants: DeliveryWants,
    filter: &DeliveryFilter,
    direction: Direction,
    page: &Page<i64>,
) -> Result<Part<Arc<DeliveryRow>>, StoreError> {
    let Range { order, above, below } = page.range(direction);
    let range = Condition::all()
        .add_option(above.map(|number| Column::Number.gt(number)))
        .add_option(below.map(|number| Column::Number.lt(number)));
    let rows =
        select(wants).filter(filter.condition()).filter(range).order_by(Column::Number, order).limit(page.reads());
    let rows = rows.into_model::<DeliveryRow>().all(db).await?;
    Ok(page.cut(rows.into_iter().map(Arc::new).collect()))
}

/// How many deliveries a filter lets through.
///
/// # Errors
/// If the database does not answer.
pub async fn count_deliveries(db: &Readers, filter: &DeliveryFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition()).count(db).await?)
}

/// Deliveries by their numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn deliveries_by_number(
    db: &Readers,
    wants: DeliveryWants,
    numbers: &[i64],
) -> Result<HashMap<i64, Arc<DeliveryRow>>, StoreError> {
    let rows = select(wants).filter(Column::Number.is_in(padded(numbers)));
    let rows = rows.into_model::<DeliveryRow>().all(db).await?;
    Ok(rows.into_iter().map(|row| (row.number, Arc::new(row))).collect())
}

/// A page of what each delivery changed, by the deliveries' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn changes_of_deliveries(
    db: &Readers,
    page: &Page<i64>,
    deliveries: &[i64],
) -> Result<HashMap<i64, Part<Arc<change::Model>>>, StoreError> {
    let position = || Expr::col((change::Entity, change::Column::Position));
    let first = Expr::col((Entity, Column::FirstPosition));
    let within = position().gte(first.clone()).and(position().lt(first.add(Expr::col((Entity, Column::Changes)))));
    let mut all =
        Entity::find().select_only().filter(Column::Number.is_in(padded(deliveries))).filter(range(page)).into_query();
    all.join(JoinType::InnerJoin, change::Entity, within);
    let (key, group) = ((change::Entity, change::Column::Position), (Entity, Column::Number));
    let keys = first_of_each(all, key, group, page.order(), page.reads());
    let rows = change::Entity::find()
        .filter(change::Column::Position.in_subquery(keys))
        .order_by(change::Column::Position, page.order());
    let mut of_each: HashMap<i64, Vec<Arc<change::Model>>> = HashMap::new();
    for row in rows.all(db).await? {
        of_each.entry(row.delivery).or_default().push(Arc::new(row));
    }
    Ok(of_each.into_iter().map(|(delivery, rows)| (delivery, page.cut(rows))).collect())
}

fn select(wants: DeliveryWants) -> Select<Entity> {
    let rows = Entity::find().select_only().columns([
        Column::Number,
        Column::Source,
        Column::Vendor,
        Column::ReceivedAt,
        Column::Method,
        Column::Event,
        Column::OccurredAt,
        Column::Verdict,
        Column::Reason,
        Column::FirstPosition,
        Column::Changes,
        Column::Duplicates,
        Column::DuplicateAt,
    ]);
    let large = |wanted: bool, column: Column| if wanted { Expr::col(column) } else { Expr::null() };
    rows.expr_as(large(wants.headers, Column::Headers), "headers")
        .expr_as(large(wants.body, Column::Body), "body")
        // LENGTH counts a blob's bytes on SQLite and PostgreSQL alike; its type differs.
        .expr_as(Expr::cust("CAST(LENGTH(body) AS BIGINT)"), "size")
}
