//! Reads deliveries, and what each of them changed.

use super::filter::DeliveryRowFilter;
use super::pagination::{PageRequest, Slice, SortDirection, padded_keys, top_n_per_group};
use crate::store::{PayloadError, ReadPool, StoreError};
use entity::delivery::{Column, Entity};
use entity::{ReasonCode, Verdict, change, change_row};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, Iterable, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
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
    /// None if they were not selected.
    #[sea_orm(skip)]
    pub headers: Option<Result<String, PayloadError>>,
    /// None if it was not selected.
    #[sea_orm(skip)]
    pub body: Option<Result<Vec<u8>, PayloadError>>,
    dictionary_id: Option<i32>,
    stored_headers: Option<Vec<u8>>,
    stored_body: Option<Vec<u8>>,
    /// Bytes of the body as it was received.
    pub body_size: i64,
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

/// Which of the large columns are selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryProjection {
    pub headers: bool,
    pub body: bool,
}

/// A page of the deliveries that a filter accepts, by row id.
pub async fn deliveries(
    db: &ReadPool,
    projection: DeliveryProjection,
    filter: &DeliveryRowFilter,
    direction: SortDirection,
    page: &PageRequest<i64>,
) -> Result<Slice<Arc<DeliveryRow>>, StoreError> {
    let range = page.key_range(direction);
    let rows = select_columns(projection)
        .filter(filter.condition(db.view()))
        .filter(range.condition(Column::RowId))
        .order_by(Column::RowId, range.order)
        .limit(page.fetch_limit());
    let rows = decode_payloads(db, rows.into_model().all(db).await?).await?;
    Ok(page.to_slice(rows.into_iter().map(Arc::new).collect()))
}

/// The number of deliveries that a filter accepts.
pub async fn count_deliveries(db: &ReadPool, filter: &DeliveryRowFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition(db.view())).count(db).await?)
}

/// Deliveries by row id.
pub async fn deliveries_by_row_id(
    db: &ReadPool,
    projection: DeliveryProjection,
    row_ids: &[i64],
) -> Result<HashMap<i64, Arc<DeliveryRow>>, StoreError> {
    let rows = select_columns(projection)
        .filter(Column::RowId.is_in(padded_keys(row_ids)))
        .filter(DeliveryRowFilter::default().condition(db.view()));
    let rows = decode_payloads(db, rows.into_model().all(db).await?).await?;
    Ok(rows.into_iter().map(|row| (row.row_id, Arc::new(row))).collect())
}

// Decodes what was selected of the payloads. One that is damaged is an error of its row.
async fn decode_payloads(db: &ReadPool, mut rows: Vec<DeliveryRow>) -> Result<Vec<DeliveryRow>, StoreError> {
    let is_selected = |row: &&DeliveryRow| row.stored_headers.is_some() || row.stored_body.is_some();
    let needed = rows.iter().filter(is_selected).filter_map(|row| row.dictionary_id);
    db.dictionaries.load(db, needed).await?;
    for row in &mut rows {
        let (headers, body) = (row.stored_headers.take(), row.stored_body.take());
        row.headers = headers.map(|stored| db.dictionaries.decode_headers(row.dictionary_id, stored));
        row.body = body.map(|stored| db.dictionaries.decode_body(row.dictionary_id, stored, row.body_size));
    }
    Ok(rows)
}

/// A page of the changes of each record of a table of the raw log, by the records' row ids.
pub async fn changes_of_records(
    db: &ReadPool,
    table: LogTableName,
    page: &PageRequest<i64>,
    records: &[i64],
) -> Result<HashMap<i64, Slice<Arc<change::Model>>>, StoreError> {
    let table = table.as_str();
    let position = || Expr::col((change_row::Entity, change_row::Column::Position));
    let first = Expr::col((table, "first_position"));
    let within = position().gte(first.clone()).and(position().lt(first.add(Expr::col((table, "change_count")))));
    let range = page.key_range(SortDirection::Asc);
    let mut all = Query::select();
    all.from(table)
        .and_where(Expr::col((table, "row_id")).is_in(padded_keys(records)))
        .cond_where(range.condition(change_row::Column::Position))
        .join(JoinType::InnerJoin, change_row::Entity, within);
    let (key, group) = ((change_row::Entity, change_row::Column::Position), (table, "row_id"));
    let keys = top_n_per_group(all, key, group, range.order.clone(), page.fetch_limit());
    let rows = change::Entity::find()
        .filter(change::Column::Position.in_subquery(keys))
        .order_by(change::Column::Position, range.order);
    let record = |row: &change::Model| row.delivery_row_id.or(row.command_row_id);
    Ok(page.to_slices(rows.all(db).await?.into_iter().map(|row| (record(&row), row))))
}

/// The tables of the raw log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogTableName {
    Delivery,
    Command,
}

impl LogTableName {
    fn as_str(self) -> &'static str {
        match self {
            LogTableName::Delivery => "delivery",
            LogTableName::Command => "command",
        }
    }
}

fn select_columns(projection: DeliveryProjection) -> Select<Entity> {
    use Column::{Body, DedupKey, DuplicateOf, Headers};
    let small = Column::iter().filter(|column| !matches!(column, Headers | Body | DedupKey | DuplicateOf));
    let large = |is_selected: bool, column: Column| if is_selected { Expr::col(column) } else { Expr::null() };
    Entity::find()
        .select_only()
        .columns(small)
        .expr_as(large(projection.headers, Headers), "stored_headers")
        .expr_as(large(projection.body, Body), "stored_body")
}
