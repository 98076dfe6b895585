//! The status timelines of many inspections, in the order of the fold. The cost is in the number of rows: one statement
//! returns one row for each inspection, whose steps the database concatenates into a text.

use crate::access::View;
use crate::store::Cohort;
use crate::store::{ReadPool, StoreError};
use entity::{Status, change_row, change_type, entity as thing, step};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{ColumnTrait, FromQueryResult, JoinType};

/// The steps of an inspection from its history, in the order of the fold: the number of the status, or 0, then cycle and time.
/// An event without a time counts as having happened when it was received. A step without its type gets a number that no status has.
const STEPS_FROM_HISTORY: &str = r#"STRING_AGG(
    COALESCE("change_type"."to_status", CASE WHEN "change_type"."id" IS NULL THEN -1 ELSE 0 END) || ' ' ||
    "change_row"."cycle" || ' ' || COALESCE("change_row"."occurred_at", "change_row"."received_at"),
    ';' ORDER BY "change_row"."position")"#;
/// The materialized steps of an inspection.
const STEPS_FROM_TABLE: &str = r#"STRING_AGG(COALESCE("step"."status_after", 0) || ' ' || "step"."cycle_after" || ' ' ||
    "step"."effective_at", ';' ORDER BY "step"."seq")"#;

/// An inspection, and its statuses over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusTimeline {
    pub row_id: i64,
    pub source: String,
    pub vendor: String,
    /// The current status.
    pub status: Option<Status>,
    pub intervals: Vec<StatusInterval>,
}

/// A time without a change of status. A reopening begins another interval, even in the same status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusInterval {
    /// None before the first reported status.
    pub status: Option<Status>,
    pub cycle: i32,
    /// Its beginning, in microseconds since the Unix epoch: the vendor's time, or when it was received if the vendor reported
    /// none, and never later than what followed.
    pub since: i64,
}

#[derive(FromQueryResult)]
struct TimelineRow {
    row_id: i64,
    source: String,
    vendor: String,
    status: Option<Status>,
    steps: Option<String>,
}

/// The timelines of a cohort, by row id.
pub async fn status_timelines(db: &ReadPool, cohort: &Cohort) -> Result<Vec<StatusTimeline>, StoreError> {
    if cohort.size == 0 {
        return Ok(Vec::new());
    }
    let mut from_history = select_cohort(cohort, db.view());
    let step_of = change_row::Column::EntityRowId.into_expr().equals((thing::Entity, thing::Column::RowId));
    let type_of = change_type::Column::Id.into_expr().equals((change_row::Entity, change_row::Column::TypeId));
    // Not the view, to which SQLite cannot apply an outer join without computing all of it.
    from_history
        .expr_as(Expr::cust(STEPS_FROM_HISTORY), "steps")
        .join(JoinType::LeftJoin, change_row::Entity, step_of.and(change_row::Column::OrderCycle.is_not_null()))
        .join(JoinType::LeftJoin, change_type::Entity, type_of)
        .and_where(thing::Column::StepsMaterialized.eq(false));
    let mut from_steps = select_cohort(cohort, db.view());
    let step_of = Expr::col((step::Entity, step::Column::EntityRowId)).equals((thing::Entity, thing::Column::RowId));
    from_steps
        .expr_as(Expr::cust(STEPS_FROM_TABLE), "steps")
        .join(JoinType::LeftJoin, step::Entity, step_of)
        .and_where(thing::Column::StepsMaterialized.eq(true));
    let all = from_history.union(UnionType::All, from_steps);
    let rows: Vec<TimelineRow> = db.fetch(&*all).await?;
    // In another thread: parsing many rows would block other queries of this one.
    let parsing = tokio::task::spawn_blocking(|| {
        let mut timelines = rows.into_iter().map(StatusTimeline::from_row).collect::<Result<Vec<_>, _>>()?;
        timelines.sort_unstable_by_key(|timeline| timeline.row_id);
        Ok(timelines)
    });
    parsing.await.map_err(|error| StoreError::task("parsing status timelines", error))?
}

fn select_cohort(cohort: &Cohort, view: &View) -> SelectStatement {
    use thing::Column;
    Query::select()
        .columns([Column::RowId, Column::Source, Column::Vendor, Column::Status].map(|column| (thing::Entity, column)))
        .from(thing::Entity)
        .cond_where(cohort.filter.condition(view))
        .cond_where(cohort.period.condition())
        .and_where(Column::RowId.between(*cohort.row_ids.start(), *cohort.row_ids.end()))
        .group_by_col((thing::Entity, Column::RowId))
        .take()
}

impl StatusTimeline {
    fn from_row(row: TimelineRow) -> Result<StatusTimeline, StoreError> {
        let TimelineRow { row_id, source, vendor, status, steps } = row;
        let corrupt = || StoreError::Corrupt(format!("the steps of inspection {row_id}"));
        let steps = steps.as_deref().unwrap_or_default().split(';').filter(|step| !step.is_empty());
        let mut intervals =
            steps.map(|step| StatusInterval::parse(step).ok_or_else(corrupt)).collect::<Result<Vec<_>, _>>()?;
        // No interval begins later than the next one.
        let mut next = i64::MAX;
        for interval in intervals.iter_mut().rev() {
            next = Ord::min(interval.since, next);
            interval.since = next;
        }
        intervals.dedup_by(|later, earlier| (later.status, later.cycle) == (earlier.status, earlier.cycle));
        Ok(StatusTimeline { row_id, source, vendor, status, intervals })
    }

    /// Each status that it left, with the time spent in it in microseconds.
    pub fn time_in_status(&self) -> impl Iterator<Item = (Status, i64)> {
        let left = self.intervals.iter().zip(self.intervals.iter().skip(1));
        left.filter_map(|(interval, next)| Some((interval.status?, next.since - interval.since)))
    }
}

impl StatusInterval {
    fn parse(step: &str) -> Option<StatusInterval> {
        let mut parts = step.split(' ');
        let status = match parts.next()? {
            "0" => None,
            number => Some(Status::from_number(number.parse().ok()?)?),
        };
        Some(StatusInterval { status, cycle: parts.next()?.parse().ok()?, since: parts.next()?.parse().ok()? })
    }
}
