//! Entities as they were at a moment, by what was known then or by when it happened.

use super::as_of_join::AsOfJoin;
use super::pagination::padded_keys;
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::{Status, entity as thing};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, FromQueryResult, StatementBuilder};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// By which clock a moment is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeAxis {
    /// What the hub knew then.
    Received,
    /// What had happened by then, whenever the hub heard of it.
    Occurred,
}

/// An entity as it was.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SnapshotRow {
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
    db: &ReadPool,
    at: DateTime<Utc>,
    clock: TimeAxis,
    entities: &[i64],
) -> Result<HashMap<i64, Arc<SnapshotRow>>, StoreError> {
    let rows = SnapshotRow::load(db, at, clock, thing::Column::RowId.is_in(padded_keys(entities))).await?;
    Ok(rows.into_iter().map(|row| (row.entity, Arc::new(row))).collect())
}

/// The same of one entity, by its public id.
///
/// # Errors
/// If the database does not answer.
pub async fn as_of_by_id(
    db: &ReadPool,
    at: DateTime<Utc>,
    clock: TimeAxis,
    id: Uuid,
) -> Result<Option<Arc<SnapshotRow>>, StoreError> {
    Ok(SnapshotRow::load(db, at, clock, thing::Column::Id.eq(id)).await?.pop().map(Arc::new))
}

impl SnapshotRow {
    async fn load(db: &ReadPool, at: DateTime<Utc>, clock: TimeAxis, which: Expr) -> Result<Vec<Self>, StoreError> {
        let past = AsOfJoin { at: at.timestamp_micros(), axis: clock };
        let mut rows = Query::select();
        rows.from(thing::Entity).and_where(which);
        past.join(&mut rows);
        past.select(&mut rows, "");
        Ok(SnapshotRow::find_by_statement(StatementBuilder::build(&rows, &db.get_database_backend())).all(db).await?)
    }
}
