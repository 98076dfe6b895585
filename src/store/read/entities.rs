//! Inspections, sessions, jobs and items as they stand now.

use super::columns::{EntityRow, Wants, read, select};
use super::filter::EntityFilter;
use super::page::{Direction, Page, Part, Range, padded};
use crate::store::{Readers, StoreError};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::{self, Expr, ExprTrait, Func, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use std::sync::Arc;

/// The name of the table in which a key of the order of first sight is looked up.
const EDGE: &str = "edge";

/// What entities can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the newest news that changed them, then by their number.
    Updated(Direction),
    /// By their number: the order of first sight. The time of first sight goes up with it.
    Created(Direction),
}

/// Where an entity stands in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub updated_at: i64,
    pub number: i64,
}

/// A page of the entities that a filter lets through.
///
/// # Errors
/// If the database does not answer.
pub async fn entities(
    db: &Readers,
    wants: Wants,
    filter: &EntityFilter,
    order: Order,
    page: &Page<Key>,
) -> Result<Part<Arc<EntityRow>>, StoreError> {
    let (Order::Updated(direction) | Order::Created(direction)) = order;
    let Range { order: ordered, above, below } = page.range(direction);
    let key = |key: Key| match order {
        Order::Updated(_) => Expr::tuple([Expr::value(key.updated_at), Expr::value(key.number)]),
        Order::Created(_) => seen(key.number),
    };
    let mut rows = select(wants).filter(filter.condition());
    let place = match order {
        Order::Updated(_) => {
            rows = rows.order_by(Column::UpdatedAt, ordered.clone());
            Expr::tuple([Expr::col(Column::UpdatedAt), Expr::col(Column::Number)])
        }
        Order::Created(_) => {
            rows = rows.order_by(Column::CreatedAt, ordered.clone());
            place_of_first_sight()
        }
    };
    let range = Condition::all()
        .add_option(above.map(|bound| place.clone().gt(key(bound))))
        .add_option(below.map(|bound| place.clone().lt(key(bound))));
    let rows = rows.filter(range).order_by(Column::Number, ordered).limit(page.reads());
    let rows = read(db, rows, wants).await?;
    Ok(page.cut(rows.into_iter().map(Arc::new).collect()))
}

/// An entity's place in the order of first sight: in the words of the index that has them so.
pub(super) fn place_of_first_sight() -> Expr {
    Expr::tuple([Column::CreatedAt, Column::Number].map(|column| Expr::col((Entity, column))))
}

/// The place of the entity with this number; if it was removed, behind the one that came before it.
pub(super) fn seen(number: i64) -> Expr {
    let edge = Query::select()
        .expr(Expr::col((EDGE, Column::CreatedAt)))
        .from_as(Entity, EDGE)
        .and_where(Expr::col((EDGE, Column::Number)).lte(number))
        .order_by((EDGE, Column::Number), sea_query::Order::Desc)
        .limit(1)
        .take();
    let created_at = Func::coalesce([Expr::from(edge), Expr::value(0_i64)]);
    Expr::tuple([Expr::from(created_at), Expr::value(number)])
}

/// How many entities a filter lets through.
///
/// # Errors
/// If the database does not answer.
pub async fn count_entities(db: &Readers, filter: &EntityFilter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(filter.condition()).count(db).await?)
}

/// How many of the entities that a filter lets through have each status. Statuses of none are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn status_counts(db: &Readers, filter: &EntityFilter) -> Result<Vec<(Status, i64)>, StoreError> {
    let rows = Entity::find()
        .select_only()
        .column(Column::Status)
        .column_as(Column::Number.count(), "count")
        .filter(filter.condition())
        .filter(Column::Status.is_not_null())
        .group_by(Column::Status);
    Ok(rows.into_tuple().all(db).await?)
}

/// Entities by their numbers.
///
/// # Errors
/// If the database does not answer.
pub async fn entities_by_number(
    db: &Readers,
    wants: Wants,
    numbers: &[i64],
) -> Result<HashMap<i64, Arc<EntityRow>>, StoreError> {
    let rows = select(wants).filter(Column::Number.is_in(padded(numbers)));
    let rows = read(db, rows, wants).await?;
    Ok(rows.into_iter().map(|row| (row.number, Arc::new(row))).collect())
}

/// Entities by their public ids.
///
/// # Errors
/// If the database does not answer.
pub async fn entities_by_id(
    db: &Readers,
    wants: Wants,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Arc<EntityRow>>, StoreError> {
    let rows = select(wants).filter(Column::Id.is_in(ids.iter().copied()));
    let rows = read(db, rows, wants).await?;
    Ok(rows.into_iter().map(|row| (row.id, Arc::new(row))).collect())
}
