//! Reads commands, and what each of them changed.

use super::count_by;
use super::filter::in_sources;
use super::pagination::{PageRequest, Slice, SortDirection, padded_keys, top_n_per_group};
use crate::store::{ReadPool, StoreError};
use entity::CommandKind;
use entity::command::{Column, Entity, Model};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select};
use std::collections::HashMap;
use std::sync::Arc;

/// Commands by row id.
pub async fn commands_by_row_id(db: &ReadPool, row_ids: &[i64]) -> Result<HashMap<i64, Arc<Model>>, StoreError> {
    let rows = Entity::find().filter(Column::RowId.is_in(padded_keys(row_ids))).filter(in_view(db));
    Ok(rows.all(db).await?.into_iter().map(|row| (row.row_id, Arc::new(row))).collect())
}

/// A page of the comments on each inspection, oldest first, by the inspections' row ids.
pub async fn comments(
    db: &ReadPool,
    page: &PageRequest<i64>,
    inspections: &[i64],
) -> Result<HashMap<i64, Slice<Arc<Model>>>, StoreError> {
    let range = page.key_range(SortDirection::Asc);
    let all = comments_on(inspections).select_only().filter(range.condition(Column::RowId));
    let (order, limit) = (range.order.clone(), page.fetch_limit());
    let keys = top_n_per_group(all.into_query(), Column::RowId, Column::EntityRowId, order, limit);
    let rows = Entity::find().filter(Column::RowId.in_subquery(keys)).order_by(Column::RowId, range.order);
    Ok(page.to_slices(rows.all(db).await?.into_iter().map(|row| (row.entity_row_id, row))))
}

/// The number of comments on each inspection, by the inspections' row ids.
pub async fn count_comments(db: &ReadPool, inspections: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    count_by(db, comments_on(inspections), Column::EntityRowId).await
}

fn comments_on(inspections: &[i64]) -> Select<Entity> {
    let rows = Entity::find().filter(Column::EntityRowId.is_in(padded_keys(inspections)));
    rows.filter(Column::Kind.eq(CommandKind::Comment))
}

fn in_view(db: &ReadPool) -> Condition {
    Condition::all().add_option(in_sources(Column::Source, db.view(), None))
}
