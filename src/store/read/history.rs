//! The history: all of it through a filter, or that of entities.

use super::filter::ChangeRowFilter;
use super::pagination::{PageRequest, Slice, padded_keys, top_n_per_group};
use crate::store::{ReadPool, StoreError};
use entity::change::{Column, Entity, Model};
use entity::log_head;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::collections::HashMap;
use std::sync::Arc;

/// A page of the changes that a filter lets through, by position. Where it is not said after which, it begins where nothing
/// was removed; else the caller looks whether all is there ([`super::kept_after`]).
///
/// # Errors
/// If the database does not answer.
pub async fn changes(
    db: &ReadPool,
    filter: &ChangeRowFilter,
    page: &PageRequest<i64>,
) -> Result<Slice<Arc<Model>>, StoreError> {
    let rows = Entity::find()
        .filter(filter.condition())
        // One lower bound: of two, SQLite might begin at the one that is further off.
        .filter(Condition::all().add_option(page.after.is_none().then(is_retained)))
        .filter(position_range(page))
        .order_by(Column::Position, page.order())
        .limit(page.fetch_limit());
    Ok(page.to_slice(rows.all(db).await?.into_iter().map(Arc::new).collect()))
}

/// How many changes a filter lets through.
///
/// # Errors
/// If the database does not answer.
pub async fn count_changes(db: &ReadPool, filter: &ChangeRowFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition()).filter(is_retained()).count(db).await?)
}

/// A page of the history of each entity, by the entities' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn histories(
    db: &ReadPool,
    page: &PageRequest<i64>,
    entities: &[i64],
) -> Result<HashMap<i64, Slice<Arc<Model>>>, StoreError> {
    let all = Entity::find()
        .select_only()
        .filter(Column::EntityRowId.is_in(padded_keys(entities)))
        .filter(position_range(page));
    let keys =
        top_n_per_group(all.into_query(), Column::Position, Column::EntityRowId, page.order(), page.fetch_limit());
    let rows = Entity::find().filter(Column::Position.in_subquery(keys)).order_by(Column::Position, page.order());
    let mut of_each: HashMap<i64, Vec<Arc<Model>>> = HashMap::new();
    for row in rows.all(db).await? {
        if let Some(entity) = row.entity_row_id {
            of_each.entry(entity).or_default().push(Arc::new(row));
        }
    }
    Ok(of_each.into_iter().map(|(entity, rows)| (entity, page.to_slice(rows))).collect())
}

/// How long the history of each entity is, by the entities' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn count_histories(db: &ReadPool, entities: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    let rows = Entity::find()
        .select_only()
        .column(Column::EntityRowId)
        .column_as(Column::Position.count(), "count")
        .filter(Column::EntityRowId.is_in(padded_keys(entities)))
        .group_by(Column::EntityRowId);
    let counts: Vec<(i64, i64)> = rows.into_tuple().all(db).await?;
    Ok(counts.into_iter().collect())
}

/// Changes by their positions. Those that were removed are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn changes_by_position(db: &ReadPool, positions: &[i64]) -> Result<HashMap<i64, Arc<Model>>, StoreError> {
    let rows = Entity::find().filter(Column::Position.is_in(padded_keys(positions))).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.position, Arc::new(row))).collect())
}

// What is older are parts of the history: of lives that are kept.
fn is_retained() -> Expr {
    let retained_from = log_head::Entity::find_by_id(1).select_only().column(log_head::Column::RetainedFrom);
    Expr::col((Entity, Column::Position)).gt(Expr::from(retained_from.into_query()))
}

pub(super) fn position_range(page: &PageRequest<i64>) -> Condition {
    Condition::all()
        .add_option(page.after.map(|position| Column::Position.gt(position)))
        .add_option(page.before.map(|position| Column::Position.lt(position)))
}
