//! Deliveries as they came, and what each of them changed.

use super::filter::DeliveryRowFilter;
use super::history::position_range;
use super::pagination::{KeyRange, PageRequest, Slice, SortDirection, padded_keys, top_n_per_group};
use crate::store::{ReadPool, StoreError};
use entity::delivery::{Column, Entity};
use entity::{ReasonCode, Verdict, change};
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
    pub row_id: i64,
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
    pub reason_code: ReasonCode,
    pub reason_params: Option<String>,
    pub warnings: Option<String>,
    pub first_position: i64,
    pub change_count: i32,
    pub duplicates: i64,
    pub last_duplicate_at: Option<i64>,
}

/// Which of the large columns are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryProjection {
    pub headers: bool,
    pub body: bool,
}

/// A page of the deliveries that a filter lets through, in the order of arrival or against it.
///
/// # Errors
/// If the database does not answer.
pub async fn deliveries(
    db: &ReadPool,
    projection: DeliveryProjection,
    filter: &DeliveryRowFilter,
    direction: SortDirection,
    page: &PageRequest<i64>,
) -> Result<Slice<Arc<DeliveryRow>>, StoreError> {
    let KeyRange { order, above, below } = page.key_range(direction);
    let range = Condition::all()
        .add_option(above.map(|number| Column::RowId.gt(number)))
        .add_option(below.map(|number| Column::RowId.lt(number)));
    let rows = select_columns(projection)
        .filter(filter.condition())
        .filter(range)
        .order_by(Column::RowId, order)
        .limit(page.fetch_limit());
    let rows = rows.into_model::<DeliveryRow>().all(db).await?;
    Ok(page.to_slice(rows.into_iter().map(Arc::new).collect()))
}

/// How many deliveries a filter lets through.
///
/// # Errors
/// If the database does not answer.
pub async fn count_deliveries(db: &ReadPool, filter: &DeliveryRowFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition()).count(db).await?)
}

/// Deliveries by their numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn deliveries_by_row_id(
    db: &ReadPool,
    projection: DeliveryProjection,
    numbers: &[i64],
) -> Result<HashMap<i64, Arc<DeliveryRow>>, StoreError> {
    let rows = select_columns(projection).filter(Column::RowId.is_in(padded_keys(numbers)));
    let rows = rows.into_model::<DeliveryRow>().all(db).await?;
    Ok(rows.into_iter().map(|row| (row.row_id, Arc::new(row))).collect())
}

/// A page of what each delivery changed, by the deliveries' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn changes_of_deliveries(
    db: &ReadPool,
    page: &PageRequest<i64>,
    deliveries: &[i64],
) -> Result<HashMap<i64, Slice<Arc<change::Model>>>, StoreError> {
    let position = || Expr::col((change::Entity, change::Column::Position));
    let first = Expr::col((Entity, Column::FirstPosition));
    let within = position().gte(first.clone()).and(position().lt(first.add(Expr::col((Entity, Column::ChangeCount)))));
    let mut all = Entity::find()
        .select_only()
        .filter(Column::RowId.is_in(padded_keys(deliveries)))
        .filter(position_range(page))
        .into_query();
    all.join(JoinType::InnerJoin, change::Entity, within);
    let (key, group) = ((change::Entity, change::Column::Position), (Entity, Column::RowId));
    let keys = top_n_per_group(all, key, group, page.order(), page.fetch_limit());
    let rows = change::Entity::find()
        .filter(change::Column::Position.in_subquery(keys))
        .order_by(change::Column::Position, page.order());
    let mut of_each: HashMap<i64, Vec<Arc<change::Model>>> = HashMap::new();
    for row in rows.all(db).await? {
        let Some(delivery) = row.delivery_row_id else { continue };
        of_each.entry(delivery).or_default().push(Arc::new(row));
    }
    Ok(of_each.into_iter().map(|(delivery, rows)| (delivery, page.to_slice(rows))).collect())
}

fn select_columns(projection: DeliveryProjection) -> Select<Entity> {
    let rows = Entity::find().select_only().columns([
        Column::RowId,
        Column::Source,
        Column::Vendor,
        Column::ReceivedAt,
        Column::Method,
        Column::Event,
        Column::OccurredAt,
        Column::Verdict,
        Column::ReasonCode,
        Column::ReasonParams,
        Column::Warnings,
        Column::FirstPosition,
        Column::ChangeCount,
        Column::Duplicates,
        Column::LastDuplicateAt,
    ]);
    let large = |wanted: bool, column: Column| if wanted { Expr::col(column) } else { Expr::null() };
    rows.expr_as(large(projection.headers, Column::Headers), "headers")
        .expr_as(large(projection.body, Column::Body), "body")
        // LENGTH counts a blob's bytes on SQLite and PostgreSQL alike; its type differs.
        .expr_as(Expr::cust("CAST(LENGTH(body) AS BIGINT)"), "size")
}
