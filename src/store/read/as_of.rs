//! Entities as they were at a moment, by what was known then or by when it happened. One indexed look-up per entity;
//! by the received clock, and where steps do not stand together, it walks back through the history to the moment.

use super::page::padded;
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use entity::{Status, change, entity as thing, step};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect, QueryTrait,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The name of the table whose newest fitting row is looked for.
const PAST: &str = "past";

/// By which clock a moment is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// What the hub knew then.
    Received,
    /// What had happened by then, whenever the hub heard of it.
    Occurred,
}

/// An entity as it was.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Snapshot {
    pub entity: i64,
    pub state: Option<String>,
    pub status: Option<Status>,
    pub cycle: i32,
    /// The change that it had come to be by.
    pub position: i64,
    pub event: String,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
}

/// Entities as they were at a moment, by their numbers. Those not known then are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn as_of(
    db: &DatabaseConnection,
    at: DateTime<Utc>,
    clock: Clock,
    entities: &[i64],
) -> Result<HashMap<i64, Arc<Snapshot>>, StoreError> {
    let micros = at.timestamp_micros();
    let rows = match clock {
        Clock::Received => known_at(micros, entities),
        Clock::Occurred => happened_by(micros, entities).union(UnionType::All, retold_by(micros, entities)).take(),
    };
    let rows = Snapshot::find_by_statement(sea_orm::StatementBuilder::build(&rows, &db.get_database_backend()));
    Ok(rows.all(db).await?.into_iter().map(|row| (row.entity, Arc::new(row))).collect())
}

// Each change row keeps the state after it, whatever its verdict: the newest one received by then tells the state.
fn known_at(at: i64, entities: &[i64]) -> SelectStatement {
    newest_change(entities, past(change::Column::ReceivedAt).lte(at)).column(change::Column::OccurredAt).take()
}

// Where events came in the order in which they happened, the newest step of the history by then tells the state.
fn happened_by(at: i64, entities: &[i64]) -> SelectStatement {
    use change::Column;
    let happened = Func::coalesce([past(Column::OccurredAt), past(Column::ReceivedAt)]);
    let step = past(Column::NamedState).is_not_null().and(Expr::from(happened).lte(at));
    newest_change(entities, step.and(Expr::col((thing::Entity, thing::Column::Retold)).not()))
        .expr_as(Func::coalesce([Expr::col(Column::OccurredAt), Expr::col(Column::ReceivedAt)]), "occurred_at")
        .take()
}

fn past(column: change::Column) -> Expr {
    Expr::col((PAST, column))
}

// The newest change of each entity that fits.
fn newest_change(entities: &[i64], fits: Expr) -> SelectStatement {
    use change::Column;
    let newest = Query::select()
        .expr(past(Column::Position))
        .from_as(change::Entity, PAST)
        .and_where(past(Column::Entity).equals((thing::Entity, thing::Column::Number)))
        .and_where(fits)
        .order_by((PAST, Column::Position), Order::Desc)
        .limit(1)
        .take();
    change::Entity::find()
        .select_only()
        .columns([Column::Entity, Column::Cycle, Column::Position, Column::Event, Column::ReceivedAt])
        .column_as(Column::ToState, "state")
        .column_as(Column::ToStatus, "status")
        .filter(Column::Position.in_subquery(for_each(entities, newest)))
        .into_query()
}

// Where they did not, their steps stand in the order of the fold.
fn retold_by(at: i64, entities: &[i64]) -> SelectStatement {
    use step::Column;
    let newest = Query::select()
        .expr(Expr::col((PAST, Column::Position)))
        .from_as(step::Entity, PAST)
        .and_where(Expr::col((PAST, Column::Entity)).equals((thing::Entity, thing::Column::Number)))
        .and_where(Expr::col((PAST, Column::EffectiveAt)).lte(at))
        .order_by((PAST, Column::EffectiveAt), Order::Desc)
        .order_by((PAST, Column::Seq), Order::Desc)
        .limit(1)
        .take();
    let mut rows = change::Entity::find()
        .select_only()
        .column(change::Column::Entity)
        .column_as(Column::CycleAfter, "cycle")
        .columns([change::Column::Position, change::Column::Event, change::Column::ReceivedAt])
        .column_as(Column::StateAfter, "state")
        .column_as(Column::StatusAfter, "status")
        .column_as(Column::EffectiveAt, "occurred_at")
        .filter(change::Column::Position.in_subquery(for_each(entities, newest)))
        .into_query();
    let same = |one: change::Column, other: Column| Expr::col((change::Entity, one)).equals((step::Entity, other));
    let of_change = same(change::Column::Entity, Column::Entity).and(same(change::Column::Position, Column::Position));
    rows.join(JoinType::InnerJoin, step::Entity, of_change);
    rows
}

fn for_each(entities: &[i64], newest: SelectStatement) -> SelectStatement {
    Query::select()
        .expr(Expr::from(newest))
        .from(thing::Entity)
        .and_where(thing::Column::Number.is_in(padded(entities)))
        .take()
}
