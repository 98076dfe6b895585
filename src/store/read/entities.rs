//! Reads the current inspections, sessions, jobs and items.

use super::count_by;
use super::filter::{EntityFilter, in_sources};
use super::pagination::{PageRequest, Slice, SortDirection, padded_keys};
use super::projection::{EntityProjection, EntityRow, fetch_rows, select_columns};
use super::update_order::UpdateOrder;
use crate::store::{ReadPool, StoreError};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The orders of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityOrder {
    /// By the position of the newest change, with which its time ascends.
    Updated(SortDirection),
    /// By row id, which is the order of creation. The time of creation ascends with it.
    Created(SortDirection),
}

/// A page of the entities that a filter accepts. The key is the position of the newest change, or by creation the row id.
pub async fn entities(
    db: &ReadPool,
    projection: EntityProjection,
    filter: &EntityFilter,
    order: EntityOrder,
    page: &PageRequest<i64>,
) -> Result<Slice<Arc<EntityRow>>, StoreError> {
    let (EntityOrder::Updated(direction) | EntityOrder::Created(direction)) = order;
    let range = page.key_range(direction);
    let filter = filter.resolve(db).await?;
    let (key, update_order) = match order {
        EntityOrder::Updated(_) => (Column::Position, UpdateOrder::of(db, &filter).await?),
        EntityOrder::Created(_) => (Column::RowId, None),
    };
    let projection = match order {
        EntityOrder::Updated(_) => projection | EntityProjection::POSITION,
        EntityOrder::Created(_) => projection,
    };
    let rows = select_columns(projection);
    let rows = match update_order {
        Some(update_order) => match update_order.row_ids(&range, page.fetch_limit()) {
            Some(row_ids) => rows.filter(Column::RowId.in_subquery(row_ids)),
            None => return Ok(Slice::default()),
        },
        None => rows.filter(filter.condition(db.view())).filter(range.condition(key)).limit(page.fetch_limit()),
    };
    let rows = fetch_rows(db, rows.order_by(key, range.order), projection).await?;
    Ok(page.to_slice(rows.into_iter().map(Arc::new).collect()))
}

/// The number of entities that a filter accepts.
pub async fn count_entities(db: &ReadPool, filter: &EntityFilter) -> Result<u64, StoreError> {
    let filter = filter.resolve(db).await?;
    if let Some(count) = UpdateOrder::of(db, &filter).await?.and_then(|order| order.count()) {
        let count = db.query_one(&count).await?.map(|row| row.try_get::<i64>("", "count")).transpose()?;
        return Ok(count.and_then(|count| count.try_into().ok()).unwrap_or_default());
    }
    Ok(Entity::find().filter(filter.condition(db.view())).count(db).await?)
}

/// The number of entities that a filter accepts, by status. Entities without a status are left out.
pub async fn status_counts(db: &ReadPool, filter: &EntityFilter) -> Result<Vec<(Status, i64)>, StoreError> {
    let filter = filter.resolve(db).await?;
    let rows = Entity::find().filter(filter.condition(db.view())).filter(Column::Status.is_not_null());
    count_by(db, rows, Column::Status).await
}

/// Entities by row id.
pub async fn entities_by_row_id(
    db: &ReadPool,
    projection: EntityProjection,
    row_ids: &[i64],
) -> Result<HashMap<i64, Arc<EntityRow>>, StoreError> {
    let rows = select_columns(projection).filter(Column::RowId.is_in(padded_keys(row_ids)));
    let rows = fetch_rows(db, rows.filter(in_view(db)), projection).await?;
    Ok(rows.into_iter().map(|row| (row.row_id, Arc::new(row))).collect())
}

/// Entities by public id.
pub async fn entities_by_id(
    db: &ReadPool,
    projection: EntityProjection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Arc<EntityRow>>, StoreError> {
    let rows = select_columns(projection).filter(Column::Id.is_in(ids.iter().copied()));
    let rows = fetch_rows(db, rows.filter(in_view(db)), projection).await?;
    Ok(rows.into_iter().map(|row| (row.id, Arc::new(row))).collect())
}

fn in_view(db: &ReadPool) -> Condition {
    Condition::all().add_option(in_sources(Column::Source, db.view(), None))
}
