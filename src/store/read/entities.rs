//! Reads the current inspections, sessions, jobs and items.

use super::count_by;
use super::filter::EntityFilter;
use super::pagination::{KeyRange, PageRequest, Slice, SortDirection, padded_keys};
use super::projection::{EntityProjection, EntityRow, fetch_rows, select_columns};
use crate::store::{ReadPool, StoreError};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::{self, Expr, ExprTrait, Func, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use std::sync::Arc;

/// The alias of the table in which a key of the order of creation is looked up.
const BOUNDARY_ALIAS: &str = "edge";

/// The orders of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityOrder {
    /// By the time of the newest change, then by row id.
    Updated(SortDirection),
    /// By row id, which is the order of creation. The time of creation ascends with it.
    Created(SortDirection),
}

/// The position of an entity in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntitySortKey {
    pub updated_at: i64,
    pub row_id: i64,
}

/// A page of the entities that a filter accepts.
pub async fn entities(
    db: &ReadPool,
    projection: EntityProjection,
    filter: &EntityFilter,
    order: EntityOrder,
    page: &PageRequest<EntitySortKey>,
) -> Result<Slice<Arc<EntityRow>>, StoreError> {
    let (EntityOrder::Updated(direction) | EntityOrder::Created(direction)) = order;
    let KeyRange { order: ordered, above, below } = page.key_range(direction);
    let key = |key: EntitySortKey| match order {
        EntityOrder::Updated(_) => Expr::tuple([Expr::value(key.updated_at), Expr::value(key.row_id)]),
        EntityOrder::Created(_) => creation_key_of(key.row_id),
    };
    let mut rows = select_columns(projection).filter(filter.condition());
    let sort_key = match order {
        EntityOrder::Updated(_) => {
            rows = rows.order_by(Column::UpdatedAt, ordered.clone());
            Expr::tuple([Expr::col(Column::UpdatedAt), Expr::col(Column::RowId)])
        }
        EntityOrder::Created(_) => {
            rows = rows.order_by(Column::CreatedAt, ordered.clone());
            creation_key()
        }
    };
    let range = Condition::all()
        .add_option(above.map(|bound| sort_key.clone().gt(key(bound))))
        .add_option(below.map(|bound| sort_key.clone().lt(key(bound))));
    let rows = rows.filter(range).order_by(Column::RowId, ordered).limit(page.fetch_limit());
    let rows = fetch_rows(db, rows, projection).await?;
    Ok(page.to_slice(rows.into_iter().map(Arc::new).collect()))
}

/// The sort key of the order of creation, as the index has it.
pub(super) fn creation_key() -> Expr {
    Expr::tuple([Column::CreatedAt, Column::RowId].map(|column| Expr::col((Entity, column))))
}

/// The sort key of the entity with this row id. If it was purged: the key just after the entity before it.
pub(super) fn creation_key_of(row_id: i64) -> Expr {
    let edge = Query::select()
        .expr(Expr::col((BOUNDARY_ALIAS, Column::CreatedAt)))
        .from_as(Entity, BOUNDARY_ALIAS)
        .and_where(Expr::col((BOUNDARY_ALIAS, Column::RowId)).lte(row_id))
        .order_by((BOUNDARY_ALIAS, Column::RowId), sea_query::Order::Desc)
        .limit(1)
        .take();
    let created_at = Func::coalesce([Expr::from(edge), Expr::value(0_i64)]);
    Expr::tuple([Expr::from(created_at), Expr::value(row_id)])
}

/// The number of entities that a filter accepts.
pub async fn count_entities(db: &ReadPool, filter: &EntityFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition()).count(db).await?)
}

/// The number of entities that a filter accepts, by status. Entities without a status are left out.
pub async fn status_counts(db: &ReadPool, filter: &EntityFilter) -> Result<Vec<(Status, i64)>, StoreError> {
    let rows = Entity::find().filter(filter.condition()).filter(Column::Status.is_not_null());
    count_by(db, rows, Column::Status).await
}

/// Entities by row id.
pub async fn entities_by_row_id(
    db: &ReadPool,
    projection: EntityProjection,
    row_ids: &[i64],
) -> Result<HashMap<i64, Arc<EntityRow>>, StoreError> {
    let rows = select_columns(projection).filter(Column::RowId.is_in(padded_keys(row_ids)));
    let rows = fetch_rows(db, rows, projection).await?;
    Ok(rows.into_iter().map(|row| (row.row_id, Arc::new(row))).collect())
}

/// Entities by public id.
pub async fn entities_by_id(
    db: &ReadPool,
    projection: EntityProjection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Arc<EntityRow>>, StoreError> {
    let rows = select_columns(projection).filter(Column::Id.is_in(ids.iter().copied()));
    let rows = fetch_rows(db, rows, projection).await?;
    Ok(rows.into_iter().map(|row| (row.id, Arc::new(row))).collect())
}
