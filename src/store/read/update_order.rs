//! Reads lists in the order of updates. The table `update_order` has one ascending list for each kind, and one for each kind and
//! status; for several statuses, their lists are merged row by row until the page is full.

use super::as_of_join::position_as_of;
use super::filter::{EntityFilter, FINAL_STATUSES};
use super::pagination::KeyRange;
use crate::access::View;
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::entity::{Column, Entity};
use entity::update_order::{self, kind_list, status_list, statuses};
use entity::{Kind, Status, log_head};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, JoinType};

/// The entities that a filter accepts, by the positions of their newest changes.
pub struct UpdateOrder {
    backend: DbBackend,
    kind: Kind,
    statuses: Option<Vec<Status>>,
    /// What else the entities must match.
    filter: EntityFilter,
    view: View,
    /// Positions that the filter's times exclude, as far as its rows need not be read: only those above, and only those below.
    above: Option<i64>,
    below: Option<i64>,
    /// Whether to leave out entities in a final status.
    unfinished: bool,
}

impl UpdateOrder {
    /// The order for a filter; none if another index finds its few rows, or it has no kind.
    pub async fn of(db: &ReadPool, filter: &EntityFilter) -> Result<Option<UpdateOrder>, StoreError> {
        let Some(kind) = filter.kind.filter(|_| !filter.is_narrow()) else { return Ok(None) };
        let above = newest_position(db, filter.updated_after).await?.map(|(position, _)| position);
        let below = [filter.updated_before, filter.stalled_since].into_iter().flatten().min();
        // Not if an entity may yet change by then: its old place becomes obsolete, and the new one is above.
        let below = newest_position(db, below).await?.filter(|(_, is_past)| *is_past).map(|(position, _)| position + 1);
        let backend = db.get_database_backend();
        let (statuses, unfinished) = (filter.status.clone(), filter.stalled_since.is_some());
        let filter = EntityFilter { kind: None, status: None, ..filter.clone() };
        Ok(Some(UpdateOrder { backend, kind, statuses, filter, view: db.view().clone(), above, below, unfinished }))
    }

    /// The same without entities in a final status.
    pub fn unfinished(self) -> Self {
        UpdateOrder { unfinished: true, ..self }
    }

    /// The row ids of the entities in a range of positions, at most `limit`; none if the filter accepts no status.
    pub fn row_ids(&self, range: &KeyRange<i64>, limit: u64) -> Option<SelectStatement> {
        use update_order::Column::{EntityRowId, Position};
        let mut all = self.union(|mut list| {
            list.expr_as(place(EntityRowId), "entity_row_id")
                .expr_as(place(Position), "position")
                .and_where_option(range.above.map(|above| place(Position).gt(above)))
                .and_where_option(range.below.map(|below| place(Position).lt(below)));
            // PostgreSQL merges lists only if each is ordered by itself. SQLite orders them for the merge.
            if self.backend == DbBackend::Postgres {
                list.order_by("position", range.order.clone()).limit(limit);
                list = Query::select().columns(["entity_row_id", "position"]).from_subquery(list, "list").take();
            }
            list
        })?;
        all.order_by("position", range.order.clone()).limit(limit);
        Some(Query::select().column("entity_row_id").from_subquery(all, "listed").take())
    }

    /// The list of the kind; or the union of the lists of each status that the filter accepts, if it does not accept all. `select`
    /// adds the columns to each, and may narrow it.
    pub fn union(&self, select: impl Fn(SelectStatement) -> SelectStatement) -> Option<SelectStatement> {
        if self.statuses.is_none() && !self.unfinished {
            return Some(select(self.list(kind_list(self.kind))));
        }
        let lists = self.statuses().map(|status| {
            let has_status = status.map_or_else(|| Column::Status.is_null(), |status| Column::Status.eq(status));
            select(self.list(status_list(self.kind, status)).and_where(has_status).take())
        });
        lists.reduce(|mut all, list| all.union(UnionType::All, list).take())
    }

    // The entities of one list, joined with their places; without columns.
    fn list(&self, number: i32) -> SelectStatement {
        use update_order::Column::{EntityRowId, List, Position};
        let row_id = Expr::col((Entity, Column::RowId)).eq(place(EntityRowId));
        let mut list = Query::select();
        list.from(update_order::Entity);
        match self.backend {
            // Row by row: the planner takes the two conditions for independent, expects next to no rows, and would join whole tables.
            DbBackend::Postgres => {
                let row = Query::select().column(Asterisk).from(Entity).and_where(row_id).offset(0).take();
                list.join_lateral(JoinType::InnerJoin, row, Entity, Expr::value(true));
            }
            // In this order: the rows are then read as they are listed.
            _ => _ = list.cross_join(Entity).and_where(row_id),
        }
        list.and_where(place(Position).equals((Entity, Column::Position)))
            .and_where(place(List).eq(number))
            .and_where_option(self.above.map(|above| place(Position).gt(above)))
            .and_where_option(self.below.map(|below| place(Position).lt(below)))
            .cond_where(self.filter.condition(&self.view))
            .take()
    }

    /// The number of the entities, as a statement; none if an index of entities counts them as well.
    pub fn count(&self) -> Option<SelectStatement> {
        let is_narrowed = self.statuses.is_some() || self.unfinished || self.above.is_some() || self.below.is_some();
        let all = self.union(|mut list| list.expr_as(Expr::val(1), "one").take()).filter(|_| is_narrowed)?;
        Some(Query::select().expr_as(Expr::cust("COUNT(*)"), "count").from_subquery(all, "listed").take())
    }

    // The statuses that the filter accepts.
    fn statuses(&self) -> impl Iterator<Item = Option<Status>> {
        let accepted = |status: &Option<Status>| match (&self.statuses, status) {
            (Some(accepted), Some(status)) => accepted.contains(status),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let is_final = |status: &Option<Status>| status.is_some_and(|status| FINAL_STATUSES.contains(&status));
        let all = statuses(self.kind).iter().copied().filter(accepted);
        all.filter(move |status| !(self.unfinished && is_final(status)))
    }
}

fn place(column: update_order::Column) -> Expr {
    Expr::col((update_order::Entity, column))
}

// The newest position that was received by a moment, and whether nothing more can be received by then.
async fn newest_position(db: &ReadPool, at: Option<DateTime<Utc>>) -> Result<Option<(i64, bool)>, StoreError> {
    use log_head::Column::{Id, ReceivedAt};
    let Some(at) = at.map(|at| at.timestamp_micros()) else { return Ok(None) };
    let newest = Query::select().column(ReceivedAt).from(log_head::Entity).and_where(Id.eq(1)).take();
    let both = Query::select().expr(Expr::from(position_as_of(at))).expr(Expr::from(newest)).take();
    let Some(row) = db.query_one(&both).await? else { return Ok(None) };
    Ok(Some((row.try_get_by_index(0)?, at < row.try_get_by_index(1)?)))
}
