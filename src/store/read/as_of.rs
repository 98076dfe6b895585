//! Reads entities as of a moment.

use super::as_of_join::AsOfJoin;
use super::filter::in_sources;
use super::pagination::padded_keys;
use crate::store::{ReadPool, StoreError};
use async_graphql::Enum;
use chrono::{DateTime, Utc};
use entity::{Status, entity as thing};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, FromQueryResult};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The clocks that a time in the past can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
#[graphql(name = "Clock")]
pub enum TimeAxis {
    /// What the hub knew at that time.
    Received,
    /// What had happened by that time, even if the hub learned of it only later. If the vendor gives no time, an event
    /// counts as having happened when it was received, and never later than the events that followed it.
    Occurred,
}

/// An entity as it was.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SnapshotRow {
    pub entity: i64,
    pub state: Option<String>,
    pub status: Option<Status>,
    pub cycle: i32,
    /// The change that led to this state.
    pub position: i64,
    pub event: String,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
}

/// Entities as of a moment, by row id. Those that did not exist yet are left out.
pub async fn as_of(
    db: &ReadPool,
    at: DateTime<Utc>,
    clock: TimeAxis,
    entities: &[i64],
) -> Result<HashMap<i64, Arc<SnapshotRow>>, StoreError> {
    let rows = SnapshotRow::load(db, at, clock, thing::Column::RowId.is_in(padded_keys(entities))).await?;
    Ok(rows.into_iter().map(|row| (row.entity, Arc::new(row))).collect())
}

/// As [`as_of`], for one entity by its public id.
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
        rows.and_where_option(in_sources(thing::Column::Source, db.view(), None));
        past.join(&mut rows);
        past.select(&mut rows, "");
        Ok(db.fetch(&rows).await?)
    }
}
