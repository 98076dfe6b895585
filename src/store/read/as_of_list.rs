//! Lists all entities of a kind as of a moment.

use super::as_of::{SnapshotRow, TimeAxis};
use super::as_of_join::{AsOfJoin, row_id_as_of};
use super::filter::{EntityFilter, in_state_groups};
use super::pagination::{KeyRange, PageRequest, Slice, SortDirection};
use super::projection::{EntityProjection, EntityRow, select_columns};
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait, Func, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait, Select,
};
use std::sync::Arc;

/// The prefix of the columns that describe the past.
const SNAPSHOT_PREFIX: &str = "then_";

/// Which entities, and at what moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOfList {
    pub at: DateTime<Utc>,
    pub axis: TimeAxis,
    /// `status` and `state` are as of the moment; all other fields are current.
    pub filter: EntityFilter,
}

/// An entity as it is now, and as it was.
#[derive(Clone, Debug)]
pub struct EntityAsOf {
    pub current: Arc<EntityRow>,
    pub snapshot: Arc<SnapshotRow>,
}

impl AsOfList {
    /// A page of the list in the order of creation. The key is the row id.
    pub async fn page(
        &self,
        db: &ReadPool,
        projection: EntityProjection,
        direction: SortDirection,
        page: &PageRequest<i64>,
    ) -> Result<Slice<EntityAsOf>, StoreError> {
        let KeyRange { order, above, below } = page.key_range(direction);
        let mut rows = self.rows(db, select_columns(projection), below).await?;
        self.as_of_join().select(&mut rows, SNAPSHOT_PREFIX);
        rows.and_where_option(above.map(|row_id| Column::RowId.gt(row_id)))
            .order_by((Entity, Column::RowId), order)
            .limit(page.fetch_limit());
        let read = |row: &_| -> Result<EntityAsOf, StoreError> {
            let current = Arc::new(EntityRow::from_row(row, projection)?);
            Ok(EntityAsOf { current, snapshot: Arc::new(SnapshotRow::from_query_result(row, SNAPSHOT_PREFIX)?) })
        };
        let rows = db.query_all(&rows).await?;
        Ok(page.to_slice(rows.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// The number of entities.
    pub async fn count(&self, db: &ReadPool) -> Result<i64, StoreError> {
        let mut rows = self.rows(db, Entity::find().select_only(), None).await?;
        rows.expr_as(Func::count(Expr::col((Entity, Column::RowId))), "count");
        let row = db.query_one(&rows).await?;
        Ok(row.map(|row| row.try_get("", "count")).transpose()?.unwrap_or_default())
    }

    /// The number of entities in each status. Entities without a status are left out.
    pub async fn status_counts(&self, db: &ReadPool) -> Result<Vec<(Status, i64)>, StoreError> {
        let mut rows = self.rows(db, Entity::find().select_only(), None).await?;
        rows.expr_as(self.as_of_join().status(), "status")
            .expr_as(Func::count(Expr::col((Entity, Column::RowId))), "count")
            .and_where(self.as_of_join().status().is_not_null())
            .add_group_by([self.as_of_join().status()]);
        let rows = db.query_all(&rows).await?;
        let read = |row: &sea_orm::QueryResult| Ok((row.try_get("", "status")?, row.try_get("", "count")?));
        rows.iter().map(read).collect()
    }

    fn as_of_join(&self) -> AsOfJoin {
        AsOfJoin { at: self.at.timestamp_micros(), axis: self.axis }
    }

    // The entities that existed, joined with their past, and below a key if one is given.
    async fn rows(
        &self,
        db: &ReadPool,
        entities: Select<Entity>,
        below: Option<i64>,
    ) -> Result<SelectStatement, StoreError> {
        let EntityFilter { status, state, state_groups, .. } = &self.filter;
        let current = EntityFilter { status: None, state: None, state_groups: None, ..self.filter.clone() };
        let current = current.resolve(db).await?;
        let mut rows = entities.filter(current.condition(db.view())).into_query();
        let past = self.as_of_join();
        past.join(&mut rows);
        let in_status = |status: &Vec<Status>| past.status().is_in(status.iter().map(|status| status.number()));
        rows.and_where_option(status.as_ref().map(in_status));
        rows.and_where_option(state.as_ref().map(|state| past.state().is_in(state.iter().map(String::as_str))));
        rows.and_where_option(state_groups.as_deref().map(|groups| in_state_groups(groups, past.state())));
        let row_id = || Expr::col((Entity, Column::RowId));
        // The join excludes later entities anyway; here they are not even read. A key given by the client existed then.
        match (below, self.axis) {
            (Some(row_id), _) => rows.and_where(Column::RowId.lt(row_id)),
            (None, TimeAxis::Received) if !current.is_narrow() => {
                rows.and_where(row_id().lte(Expr::from(row_id_as_of(past.at))))
            }
            (None, _) => &mut rows,
        };
        Ok(rows)
    }
}
