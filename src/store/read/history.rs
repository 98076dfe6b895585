//! Reads the history: all of it through a filter, or that of entities.

use super::count_by;
use super::filter::ChangeRowFilter;
use super::pagination::{PageRequest, Slice, SortDirection, padded_keys, top_n_per_group};
use crate::store::{ReadPool, StoreError};
use entity::change::{Column, Entity, Model};
use entity::{change_row, log_head};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::collections::HashMap;
use std::sync::Arc;

/// A page of the changes that a filter accepts, by position. Without a lower bound, it begins after the last purged change;
/// with one, the caller checks that nothing after it was purged ([`super::ensure_retained_after`]).
pub async fn changes(
    db: &ReadPool,
    filter: &ChangeRowFilter,
    page: &PageRequest<i64>,
) -> Result<Slice<Arc<Model>>, StoreError> {
    let range = page.key_range(SortDirection::Asc);
    let rows = Entity::find()
        .filter(filter.condition(db.view()))
        // One lower bound: of two, SQLite may start at the lower one.
        .filter(Condition::all().add_option(page.after.is_none().then(is_retained)))
        .filter(range.condition(Column::Position))
        .order_by(Column::Position, range.order)
        .limit(page.fetch_limit());
    Ok(page.to_slice(rows.all(db).await?.into_iter().map(Arc::new).collect()))
}

/// The number of changes that a filter accepts.
pub async fn count_changes(db: &ReadPool, filter: &ChangeRowFilter) -> Result<u64, StoreError> {
    // Not of the view: no type is looked up.
    Ok(change_row::Entity::find().filter(filter.condition(db.view())).filter(is_retained()).count(db).await?)
}

/// A page of the history of each entity, by the entities' row ids.
pub async fn histories(
    db: &ReadPool,
    page: &PageRequest<i64>,
    entities: &[i64],
) -> Result<HashMap<i64, Slice<Arc<Model>>>, StoreError> {
    let range = page.key_range(SortDirection::Asc);
    let all = change_row::Entity::find()
        .select_only()
        .filter(change_row::Column::EntityRowId.is_in(padded_keys(entities)))
        .filter(range.condition(change_row::Column::Position));
    let order = range.order.clone();
    let (key, group) = (change_row::Column::Position, change_row::Column::EntityRowId);
    let keys = top_n_per_group(all.into_query(), key, group, order, page.fetch_limit());
    let rows = Entity::find().filter(Column::Position.in_subquery(keys)).order_by(Column::Position, range.order);
    Ok(page.to_slices(rows.all(db).await?.into_iter().map(|row| (row.entity_row_id, row))))
}

/// The length of the history of each entity, by the entities' row ids.
pub async fn count_histories(db: &ReadPool, entities: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    use change_row::Column::EntityRowId;
    count_by(db, change_row::Entity::find().filter(EntityRowId.is_in(padded_keys(entities))), EntityRowId).await
}

/// Changes by position. Purged ones are left out.
pub async fn changes_by_position(db: &ReadPool, positions: &[i64]) -> Result<HashMap<i64, Arc<Model>>, StoreError> {
    let rows = Entity::find()
        .filter(Column::Position.is_in(padded_keys(positions)))
        .filter(ChangeRowFilter::default().condition(db.view()))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.position, Arc::new(row))).collect())
}

// Below this position the history has gaps: only changes of retained entities are left.
fn is_retained() -> Expr {
    let retained_from = log_head::Entity::find_by_id(1).select_only().column(log_head::Column::RetainedFrom);
    Expr::col(Column::Position).gt(Expr::from(retained_from.into_query()))
}
