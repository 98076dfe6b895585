//! All entities of a kind as they were at a moment: who was there, and how each stood.

use super::as_of::{SnapshotRow, TimeAxis};
use super::as_of_join::AsOfJoin;
use super::entities::{creation_key, creation_key_of};
use super::filter::EntityFilter;
use super::pagination::{KeyRange, PageRequest, Slice, SortDirection};
use super::projection::{EntityProjection, EntityRow, select_columns};
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait, Func, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait, Select,
    StatementBuilder,
};
use std::sync::Arc;

/// What stands before the names of the columns that tell the past.
const SNAPSHOT_PREFIX: &str = "then_";

/// Which entities, and at what moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOfList {
    pub at: DateTime<Utc>,
    pub axis: TimeAxis,
    /// `status` and `state` are those of then; all else is what is known now.
    pub filter: EntityFilter,
}

/// An entity as it is, and as it was.
#[derive(Clone, Debug)]
pub struct EntityAsOf {
    pub current: Arc<EntityRow>,
    pub snapshot: Arc<SnapshotRow>,
}

impl AsOfList {
    /// A page of it in the order of first sight. The key is the entity's number.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn page(
        &self,
        db: &ReadPool,
        projection: EntityProjection,
        direction: SortDirection,
        page: &PageRequest<i64>,
    ) -> Result<Slice<EntityAsOf>, StoreError> {
        let KeyRange { order, above, below } = page.key_range(direction);
        let mut rows = self.rows(select_columns(projection), below);
        self.as_of_join().select(&mut rows, SNAPSHOT_PREFIX);
        rows.and_where_option(above.map(|number| creation_key().gt(creation_key_of(number))))
            .order_by((Entity, Column::CreatedAt), order.clone())
            .order_by((Entity, Column::RowId), order)
            .limit(page.fetch_limit());
        let rows = db.query_all_raw(StatementBuilder::build(&rows, &db.get_database_backend())).await?;
        let read = |row: &_| -> Result<EntityAsOf, StoreError> {
            let now = Arc::new(EntityRow::from_row(row, projection)?);
            Ok(EntityAsOf { current: now, snapshot: Arc::new(SnapshotRow::from_query_result(row, SNAPSHOT_PREFIX)?) })
        };
        Ok(page.to_slice(rows.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// How many there were.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self, db: &ReadPool) -> Result<i64, StoreError> {
        let mut rows = self.rows(Entity::find().select_only(), None);
        rows.expr_as(Func::count(Expr::col((Entity, Column::RowId))), "count");
        let row = db.query_one_raw(StatementBuilder::build(&rows, &db.get_database_backend())).await?;
        Ok(row.map(|row| row.try_get("", "count")).transpose()?.unwrap_or_default())
    }

    /// How many there were in each status. Statuses of none are left out.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn status_counts(&self, db: &ReadPool) -> Result<Vec<(Status, i64)>, StoreError> {
        let mut rows = self.rows(Entity::find().select_only(), None);
        rows.expr_as(self.as_of_join().status(), "status")
            .expr_as(Func::count(Expr::col((Entity, Column::RowId))), "count")
            .and_where(self.as_of_join().status().is_not_null())
            .add_group_by([self.as_of_join().status()]);
        let rows = db.query_all_raw(StatementBuilder::build(&rows, &db.get_database_backend())).await?;
        let read = |row: &sea_orm::QueryResult| Ok((row.try_get("", "status")?, row.try_get("", "count")?));
        rows.iter().map(read).collect()
    }

    fn as_of_join(&self) -> AsOfJoin {
        AsOfJoin { at: self.at.timestamp_micros(), axis: self.axis }
    }

    // Those that were there, joined with how they stood, below an edge if one is given.
    fn rows(&self, entities: Select<Entity>, below: Option<i64>) -> SelectStatement {
        let EntityFilter { status, state, .. } = &self.filter;
        let of_now = EntityFilter { status: None, state: None, ..self.filter.clone() };
        let mut rows = entities.filter(of_now.condition()).into_query();
        let past = self.as_of_join();
        past.join(&mut rows);
        let words = |status: &Vec<Status>| past.status().is_in(status.iter().map(|status| status.as_str()));
        rows.and_where_option(status.as_ref().map(words));
        rows.and_where_option(state.as_ref().map(|state| past.state().is_in(state.iter().map(String::as_str))));
        // Where the index may begin. The edge is one that was there; the moment says what the join says too.
        match (below, self.axis) {
            (Some(number), _) => rows.and_where(creation_key().lt(creation_key_of(number))),
            (None, TimeAxis::Received) => rows.and_where(Column::CreatedAt.lte(past.at)),
            (None, TimeAxis::Occurred) => &mut rows,
        };
        rows
    }
}
