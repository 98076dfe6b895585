//! Entities as they were at a moment, by what was known then or by when it happened. One indexed look-up per entity,
//! however long its history is.

use super::page::padded;
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use entity::{Status, change, entity as thing, step};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect, QueryTrait,
};
use std::collections::HashMap;
use std::sync::Arc;

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
    let rows = match clock {
        Clock::Received => known_at(at.timestamp_micros(), entities),
        Clock::Occurred => happened_by(at.timestamp_micros(), entities),
    };
    let rows = Snapshot::find_by_statement(sea_orm::StatementBuilder::build(&rows, &db.get_database_backend()));
    Ok(rows.all(db).await?.into_iter().map(|row| (row.entity, Arc::new(row))).collect())
}

// Each change row keeps the state after it, whatever its verdict: the newest one received by then tells the state.
fn known_at(at: i64, entities: &[i64]) -> SelectStatement {
    use change::Column;
    let past = Alias::new("past");
    let newest = Query::select()
        .expr(Expr::col((past.clone(), Column::Position)))
        .from_as(change::Entity, past.clone())
        .and_where(Expr::col((past.clone(), Column::Entity)).equals((thing::Entity, thing::Column::Number)))
        .and_where(Expr::col((past.clone(), Column::ReceivedAt)).lte(at))
        .order_by((past, Column::Position), Order::Desc)
        .limit(1)
        .take();
    change::Entity::find()
        .select_only()
        .columns([Column::Entity, Column::Cycle, Column::Position, Column::Event])
        .columns([Column::OccurredAt, Column::ReceivedAt])
        .column_as(Column::ToState, "state")
        .column_as(Column::ToStatus, "status")
        .filter(Column::Position.in_subquery(for_each(entities, newest)))
        .into_query()
}

fn happened_by(at: i64, entities: &[i64]) -> SelectStatement {
    use step::Column;
    let past = Alias::new("past");
    let newest = Query::select()
        .expr(Expr::col((past.clone(), Column::Position)))
        .from_as(step::Entity, past.clone())
        .and_where(Expr::col((past.clone(), Column::Entity)).equals((thing::Entity, thing::Column::Number)))
        .and_where(Expr::col((past.clone(), Column::EffectiveAt)).lte(at))
        .order_by((past.clone(), Column::EffectiveAt), Order::Desc)
        .order_by((past, Column::Seq), Order::Desc)
        .limit(1)
        .take();
    let mut rows = change::Entity::find()
        .select_only()
        .columns([change::Column::Entity, change::Column::Position, change::Column::Event, change::Column::ReceivedAt])
        .column_as(Column::StateAfter, "state")
        .column_as(Column::StatusAfter, "status")
        .column_as(Column::CycleAfter, "cycle")
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
