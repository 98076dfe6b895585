//! The history: all of it through a filter, or that of entities.

use super::filter::ChangeFilter;
use super::page::{Page, Part, first_of_each, padded};
use crate::store::{Readers, StoreError};
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
pub async fn changes(db: &Readers, filter: &ChangeFilter, page: &Page<i64>) -> Result<Part<Arc<Model>>, StoreError> {
    let rows = Entity::find()
        .filter(filter.condition())
        // One lower bound: of two, SQLite might begin at the one that is further off.
        .filter(Condition::all().add_option(page.after.is_none().then(kept)))
        .filter(range(page))
        .order_by(Column::Position, page.order())
        .limit(page.reads());
    Ok(page.cut(rows.all(db).await?.into_iter().map(Arc::new).collect()))
}

/// How many changes a filter lets through.
///
/// # Errors
/// If the database does not answer.
pub async fn count_changes(db: &Readers, filter: &ChangeFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition()).filter(kept()).count(db).await?)
}

/// A page of the history of each entity, by the entities' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn histories(
    db: &Readers,
    page: &Page<i64>,
    entities: &[i64],
) -> Result<HashMap<i64, Part<Arc<Model>>>, StoreError> {
    let all = Entity::find().select_only().filter(Column::Entity.is_in(padded(entities))).filter(range(page));
    let keys = first_of_each(all.into_query(), Column::Position, Column::Entity, page.order(), page.reads());
    let rows = Entity::find().filter(Column::Position.in_subquery(keys)).order_by(Column::Position, page.order());
    let mut of_each: HashMap<i64, Vec<Arc<Model>>> = HashMap::new();
    for row in rows.all(db).await? {
        if let Some(entity) = row.entity {
            of_each.entry(entity).or_default().push(Arc::new(row));
        }
    }
    Ok(of_each.into_iter().map(|(entity, rows)| (entity, page.cut(rows))).collect())
}

/// How long the history of each entity is, by the entities' numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn count_histories(db: &Readers, entities: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    let rows = Entity::find()
        .select_only()
        .column(Column::Entity)
        .column_as(Column::Position.count(), "count")
        .filter(Column::Entity.is_in(padded(entities)))
        .group_by(Column::Entity);
    let counts: Vec<(i64, i64)> = rows.into_tuple().all(db).await?;
    Ok(counts.into_iter().collect())
}

/// Changes by their positions. Those that were removed are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn changes_by_position(db: &Readers, positions: &[i64]) -> Result<HashMap<i64, Arc<Model>>, StoreError> {
    let rows = Entity::find().filter(Column::Position.is_in(padded(positions))).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.position, Arc::new(row))).collect())
}

// What is older are parts of the history: of lives that are kept.
fn kept() -> Expr {
    let kept_from = log_head::Entity::find_by_id(1).select_only().column(log_head::Column::KeptFrom);
    Expr::col((Entity, Column::Position)).gt(Expr::from(kept_from.into_query()))
}

pub(super) fn range(page: &Page<i64>) -> Condition {
    Condition::all()
        .add_option(page.after.map(|position| Column::Position.gt(position)))
        .add_option(page.before.map(|position| Column::Position.lt(position)))
}
