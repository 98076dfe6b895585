//! All entities of a kind as they were at a moment: who was there, and how each stood.

use super::as_of::{Clock, Snapshot};
use super::columns::{EntityRow, Wants, select};
use super::entities::{place_of_first_sight, seen};
use super::filter::EntityFilter;
use super::page::{Direction, Page, Part, Range};
use super::past::Past;
use crate::store::{Readers, StoreError};
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
const THEN: &str = "then_";

/// Which entities, and at what moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    pub at: DateTime<Utc>,
    pub clock: Clock,
    /// `status` and `state` are those of then; all else is what is known now.
    pub filter: EntityFilter,
}

/// An entity as it is, and as it was.
#[derive(Clone, Debug)]
pub struct Then {
    pub now: Arc<EntityRow>,
    pub then: Arc<Snapshot>,
}

impl Board {
    /// A page of it in the order of first sight. The key is the entity's number.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn page(
        &self,
        db: &Readers,
        wants: Wants,
        direction: Direction,
        page: &Page<i64>,
    ) -> Result<Part<Then>, StoreError> {
        let Range { order, above, below } = page.range(direction);
        let mut rows = self.rows(select(wants), below);
        self.past().select(&mut rows, THEN);
        rows.and_where_option(above.map(|number| place_of_first_sight().gt(seen(number))))
            .order_by((Entity, Column::CreatedAt), order.clone())
            .order_by((Entity, Column::Number), order)
            .limit(page.reads());
        let rows = db.query_all_raw(StatementBuilder::build(&rows, &db.get_database_backend())).await?;
        let read = |row: &_| -> Result<Then, StoreError> {
            let now = Arc::new(EntityRow::of(row, wants)?);
            Ok(Then { now, then: Arc::new(Snapshot::from_query_result(row, THEN)?) })
        };
        Ok(page.cut(rows.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// How many there were.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self, db: &Readers) -> Result<i64, StoreError> {
        let mut rows = self.rows(Entity::find().select_only(), None);
        rows.expr_as(Func::count(Expr::col((Entity, Column::Number))), "count");
        let row = db.query_one_raw(StatementBuilder::build(&rows, &db.get_database_backend())).await?;
        Ok(row.map(|row| row.try_get("", "count")).transpose()?.unwrap_or_default())
    }

    /// How many there were in each status. Statuses of none are left out.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn status_counts(&self, db: &Readers) -> Result<Vec<(Status, i64)>, StoreError> {
        let mut rows = self.rows(Entity::find().select_only(), None);
        rows.expr_as(self.past().status(), "status")
            .expr_as(Func::count(Expr::col((Entity, Column::Number))), "count")
            .and_where(self.past().status().is_not_null())
            .add_group_by([self.past().status()]);
        let rows = db.query_all_raw(StatementBuilder::build(&rows, &db.get_database_backend())).await?;
        let read = |row: &sea_orm::QueryResult| Ok((row.try_get("", "status")?, row.try_get("", "count")?));
        rows.iter().map(read).collect()
    }

    fn past(&self) -> Past {
        Past { at: self.at.timestamp_micros(), clock: self.clock }
    }

    // Those that were there, joined with how they stood, below an edge if one is given.
    fn rows(&self, entities: Select<Entity>, below: Option<i64>) -> SelectStatement {
        let EntityFilter { status, state, .. } = &self.filter;
        let of_now = EntityFilter { status: None, state: None, ..self.filter.clone() };
        let mut rows = entities.filter(of_now.condition()).into_query();
        let past = self.past();
        past.join(&mut rows);
        let words = |status: &Vec<Status>| past.status().is_in(status.iter().map(|status| status.as_str()));
        rows.and_where_option(status.as_ref().map(words));
        rows.and_where_option(state.as_ref().map(|state| past.state().is_in(state.iter().map(String::as_str))));
        // Where the index may begin. The edge is one that was there; the moment says what the join says too.
        match (below, self.clock) {
            (Some(number), _) => rows.and_where(place_of_first_sight().lt(seen(number))),
            (None, Clock::Received) => rows.and_where(Column::CreatedAt.lte(past.at)),
            (None, Clock::Occurred) => &mut rows,
        };
        rows
    }
}
