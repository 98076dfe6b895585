//! As-of queries in SQL: joins each entity with the row of history that has its state at a moment. The cost does not depend
//! on the length of the history.
//!
//! - By time of receipt, which ascends with positions: one binary search finds the newest position at the moment; one look-up
//!   per entity in the index finds its newest change up to there.
//! - By time of occurrence: one look-up by time where steps are materialized in `step`; otherwise a walk from step to
//!   previous step, of which there are few.

use super::as_of::TimeAxis;
use entity::{change, change_row, entity as thing, log_head, step};
use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait, Func, IntoIden, Order, Query, SelectStatement, UnionType, WithClause,
};
use sea_orm::{ColumnTrait, EntityTrait, JoinType};

/// The alias of the history of an entity.
const HISTORY_ALIAS: &str = "past";
/// The names of the computed tables.
const BEFORE: &str = "before";
const SEARCH: &str = "search";
const WALK: &str = "walk";

/// A moment on a time axis.
#[derive(Clone, Copy, Debug)]
pub struct AsOfJoin {
    /// In microseconds since the Unix epoch.
    pub at: i64,
    pub axis: TimeAxis,
}

impl AsOfJoin {
    /// Joins entities with their past. Those that did not exist yet are left out.
    pub fn join(self, entities: &mut SelectStatement) {
        use change::Column::Position;
        let position = match self.axis {
            TimeAxis::Received => Expr::from(newest_change(Some(Expr::from(position_as_of(self.at))))),
            TimeAxis::Occurred => {
                let of_step = |column: step::Column| Expr::col((step::Entity, column));
                let is_step = of_step(step::Column::EntityRowId)
                    .equals((thing::Entity, thing::Column::RowId))
                    .and(steps_materialized())
                    .and(of_step(step::Column::EffectiveAt).eq(materialized_step_as_of(self.at, "effective_at")))
                    .and(of_step(step::Column::Seq).eq(materialized_step_as_of(self.at, "seq")));
                entities.join(JoinType::LeftJoin, step::Entity, is_step);
                Expr::case(steps_materialized(), of_step(step::Column::Position))
                    .finally(Expr::from(step_position_as_of(self.at)))
                    .into()
            }
        };
        entities.join(JoinType::InnerJoin, change::Entity, Expr::col((change::Entity, Position)).eq(position));
    }

    /// Selects the past, each column with a prefix.
    pub fn select(self, entities: &mut SelectStatement, prefix: &str) {
        let of_change = |column: change::Column| Expr::col((change::Entity, column));
        for (name, value) in [
            ("entity", of_change(change::Column::EntityRowId)),
            ("state", self.state()),
            ("status", self.status()),
            ("cycle", self.step_or_change(step::Column::CycleAfter, change::Column::Cycle)),
            ("position", of_change(change::Column::Position)),
            ("event", of_change(change::Column::Event)),
            ("occurred_at", self.occurred_at()),
            ("received_at", of_change(change::Column::ReceivedAt)),
        ] {
            entities.expr_as(value, format!("{prefix}{name}"));
        }
    }

    /// The state at the moment.
    pub fn state(self) -> Expr {
        self.step_or_change(step::Column::StateAfter, change::Column::ToState)
    }

    /// The status at the moment.
    pub fn status(self) -> Expr {
        self.step_or_change(step::Column::StatusAfter, change::Column::ToStatus)
    }

    fn occurred_at(self) -> Expr {
        let of_change = Expr::col((change::Entity, change::Column::OccurredAt));
        match self.axis {
            TimeAxis::Received => of_change,
            TimeAxis::Occurred => {
                let received = Expr::col((change::Entity, change::Column::ReceivedAt));
                let of_step = Expr::col((step::Entity, step::Column::EffectiveAt));
                Func::coalesce([of_step, of_change, received]).into()
            }
        }
    }

    // From the materialized steps, if the entity has them.
    fn step_or_change(self, of_step: step::Column, of_change: change::Column) -> Expr {
        let of_change = Expr::col((change::Entity, of_change));
        match self.axis {
            TimeAxis::Received => of_change,
            TimeAxis::Occurred => {
                Expr::case(steps_materialized(), Expr::col((step::Entity, of_step))).finally(of_change).into()
            }
        }
    }
}

fn steps_materialized() -> Expr {
    Expr::col((thing::Entity, thing::Column::StepsMaterialized))
}

fn history_column(column: change_row::Column) -> Expr {
    Expr::col((HISTORY_ALIAS, column))
}

// The position of an entity's newest change, up to a position if one is given. Each change has the state after it.
fn newest_change(up_to: Option<Expr>) -> SelectStatement {
    use change_row::Column;
    Query::select()
        .expr(history_column(Column::Position))
        .from_as(change_row::Entity, HISTORY_ALIAS)
        .and_where(history_column(Column::EntityRowId).equals((thing::Entity, thing::Column::RowId)))
        .and_where_option(up_to.map(|position| history_column(Column::Position).lte(position)))
        .order_by((HISTORY_ALIAS, Column::Position), Order::Desc)
        .limit(1)
        .take()
}

// The newest position that was received by a moment, by binary search: some twenty steps for a million changes. For a purged
// position, the newest one before it is compared.
pub(super) fn position_as_of(at: i64) -> SelectStatement {
    newest_key_as_of(
        change_row::Entity,
        change_row::Column::Position,
        change_row::Column::ReceivedAt,
        log_head::Column::Position,
        at,
    )
}

/// The row id of the newest entity that was created by a moment in microseconds since the Unix epoch, by binary search.
pub fn row_id_as_of(at: i64) -> SelectStatement {
    use thing::Column::{CreatedAt, RowId};
    newest_key_as_of(thing::Entity, RowId, CreatedAt, log_head::Column::LastEntityRowId, at)
}

// The greatest key whose time is not after a moment. Times ascend with keys; `newest` is a key that none exceeds.
fn newest_key_as_of<E: EntityTrait>(
    table: E,
    key: E::Column,
    time: E::Column,
    newest: log_head::Column,
    at: i64,
) -> SelectStatement {
    let (low, high) = (|| Expr::col("low"), || Expr::col("high"));
    let half = || low().add(high()).add(1).div(2);
    let of_row = |column: E::Column| Expr::col((HISTORY_ALIAS, column));
    let known = || of_row(key).is_null().or(of_row(time).lte(at));
    let mut all = Query::select();
    all.expr_as(Expr::cust("CAST(0 AS bigint)"), "low")
        .expr_as(Expr::col(newest), "high")
        .from(log_head::Entity)
        .and_where(log_head::Column::Id.eq(1));
    let nearest = Query::select()
        .expr(Expr::col((BEFORE, key)))
        .from_as(table, BEFORE)
        .and_where(Expr::col((BEFORE, key)).lte(half()))
        .order_by((BEFORE, key), Order::Desc)
        .limit(1)
        .take();
    let half = Query::select()
        .expr(Expr::case(known(), half()).finally(low()))
        .expr(Expr::case(known(), high()).finally(of_row(key).sub(1)))
        .from(SEARCH)
        .join_as(JoinType::LeftJoin, table, HISTORY_ALIAS, of_row(key).eq(Expr::from(nearest)))
        .and_where(low().lt(high()))
        .take();
    let search = recursive_cte(SEARCH, ["low", "high"], all.union(UnionType::All, half).take());
    Query::select().expr(Func::max(low())).from(SEARCH).with_cte(search).take()
}

// The position of the newest step that had happened by a moment: walks from an entity's newest change to previous steps.
fn step_position_as_of(at: i64) -> SelectStatement {
    use change_row::Column;
    let columns = || {
        let happened = Func::coalesce([history_column(Column::OccurredAt), history_column(Column::ReceivedAt)]);
        let fits = history_column(Column::OrderCycle).is_not_null().and(Expr::from(happened).lte(at));
        [
            (history_column(Column::Position), "position"),
            (fits, "fits"),
            (history_column(Column::PreviousStep), "before"),
        ]
    };
    let mut newest = Query::select();
    newest
        .from_as(change_row::Entity, HISTORY_ALIAS)
        .and_where(history_column(Column::Position).eq(Expr::from(newest_change(None))));
    let mut before = Query::select();
    before
        .from(WALK)
        .join_as(
            JoinType::InnerJoin,
            change_row::Entity,
            HISTORY_ALIAS,
            history_column(Column::Position).eq(Expr::col((WALK, "before"))),
        )
        .and_where(Expr::col((WALK, "fits")).not());
    for (value, name) in columns() {
        newest.expr_as(value.clone(), name);
        before.expr_as(value, name);
    }
    let walk = recursive_cte(WALK, ["position", "fits", "before"], newest.union(UnionType::All, before).take());
    Query::select().column("position").from(WALK).and_where(Expr::col("fits")).with_cte(walk).take()
}

// A column of the newest materialized step that had happened by a moment. Their order is that of the fold.
fn materialized_step_as_of(at: i64, column: &'static str) -> SelectStatement {
    use step::Column;
    let past = |column: Column| Expr::col((HISTORY_ALIAS, column));
    Query::select()
        .expr(Expr::col((HISTORY_ALIAS, column)))
        .from_as(step::Entity, HISTORY_ALIAS)
        .and_where(past(Column::EntityRowId).equals((thing::Entity, thing::Column::RowId)))
        .and_where(past(Column::EffectiveAt).lte(at))
        .order_by((HISTORY_ALIAS, Column::EffectiveAt), Order::Desc)
        .order_by((HISTORY_ALIAS, Column::Seq), Order::Desc)
        .limit(1)
        .take()
}

fn recursive_cte<const N: usize>(name: &'static str, columns: [&'static str; N], query: SelectStatement) -> WithClause {
    let columns = columns.map(IntoIden::into_iden);
    let table = CommonTableExpression::new().table_name(name).columns(columns).query(query).to_owned();
    WithClause::new().recursive(true).cte(table).to_owned()
}
