//! The lives of many inspections: which statuses each went through, and when, in the order of the fold. One statement and
//! one row for each inspection, because rows are what costs: the database writes a life as one text, read here.

use super::census::Cohort;
use super::filter::EntityFilter;
use crate::store::{Readers, StoreError};
use entity::{Status, change, entity as thing, step};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{ColumnTrait, FromQueryResult, JoinType, StatementBuilder};

/// The steps of an inspection whose history tells them, in the order of the fold: status, cycle, and when it happened.
/// An event without a time counts as having happened when it was received.
const TOLD: &str = r#"STRING_AGG(COALESCE("change"."to_status", '') || ' ' || "change"."cycle" || ' ' ||
    COALESCE("change"."occurred_at", "change"."received_at"), ';' ORDER BY "change"."position")"#;
/// The steps of an inspection whose steps stand together.
const TOGETHER: &str = r#"STRING_AGG(COALESCE("step"."status_after", '') || ' ' || "step"."cycle_after" || ' ' ||
    "step"."effective_at", ';' ORDER BY "step"."seq")"#;

/// An inspection, and what it went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub number: i64,
    pub source: String,
    pub vendor: String,
    /// The present one.
    pub status: Option<Status>,
    pub phases: Vec<Phase>,
}

/// A time without a change of status. A reopening begins another, even in the same status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// None before the vendor reported one.
    pub status: Option<Status>,
    pub cycle: i32,
    /// When it began, in microseconds since the Unix epoch: by the vendor's clock, or when it was received where the vendor
    /// gives no time, and never later than what followed.
    pub since: i64,
}

#[derive(FromQueryResult)]
struct Row {
    number: i64,
    source: String,
    vendor: String,
    status: Option<Status>,
    steps: Option<String>,
}

/// The lives of a cohort, by number.
///
/// # Errors
/// If the database does not answer.
pub async fn lives(db: &Readers, cohort: &Cohort) -> Result<Vec<Life>, StoreError> {
    if cohort.size == 0 {
        return Ok(Vec::new());
    }
    let mut told = members(cohort);
    let step_of = change::Column::Entity.into_expr().equals((thing::Entity, thing::Column::Number));
    told.expr_as(Expr::cust(TOLD), "steps")
        .join(JoinType::LeftJoin, change::Entity, step_of.and(change::Column::NamedState.is_not_null()))
        .and_where(thing::Column::Retold.eq(false));
    let mut together = members(cohort);
    let step_of = Expr::col((step::Entity, step::Column::Entity)).equals((thing::Entity, thing::Column::Number));
    together
        .expr_as(Expr::cust(TOGETHER), "steps")
        .join(JoinType::LeftJoin, step::Entity, step_of)
        .and_where(thing::Column::Retold.eq(true));
    let all = told.union(UnionType::All, together);
    let rows = Row::find_by_statement(StatementBuilder::build(&*all, &db.get_database_backend())).all(db).await?;
    // There can be many: who else is served by this thread does not wait for it.
    let reading = tokio::task::spawn_blocking(|| {
        let mut lives = rows.into_iter().map(Life::read).collect::<Result<Vec<_>, _>>()?;
        lives.sort_unstable_by_key(|life| life.number);
        Ok(lives)
    });
    reading.await.map_err(|error| StoreError::Corrupt(format!("the lives could not be read: {error}")))?
}

fn members(cohort: &Cohort) -> SelectStatement {
    use thing::Column;
    let filter: &EntityFilter = &cohort.filter;
    let mut rows = Query::select();
    for (column, name) in
        [(Column::Number, "number"), (Column::Source, "source"), (Column::Vendor, "vendor"), (Column::Status, "status")]
    {
        rows.expr_as(column.into_expr(), name);
    }
    rows.from(thing::Entity)
        .cond_where(filter.condition())
        .cond_where(cohort.period.condition())
        .and_where(Column::Number.between(*cohort.numbers.start(), *cohort.numbers.end()))
        .group_by_col((thing::Entity, Column::Number));
    rows
}

impl Life {
    fn read(row: Row) -> Result<Life, StoreError> {
        let Row { number, source, vendor, status, steps } = row;
        let corrupt = || StoreError::Corrupt(format!("the steps of inspection {number}"));
        let steps = steps.as_deref().unwrap_or_default().split(';').filter(|step| !step.is_empty());
        let mut phases = steps.map(|step| Phase::read(step).ok_or_else(corrupt)).collect::<Result<Vec<_>, _>>()?;
        // Nothing happened later than what followed it.
        let mut next = i64::MAX;
        for phase in phases.iter_mut().rev() {
            next = Ord::min(phase.since, next);
            phase.since = next;
        }
        phases.dedup_by(|later, earlier| (later.status, later.cycle) == (earlier.status, earlier.cycle));
        Ok(Life { number, source, vendor, status, phases })
    }

    /// Each status that it left, and how long it had been in it, in microseconds.
    pub fn stays(&self) -> impl Iterator<Item = (Status, i64)> {
        let left = self.phases.iter().zip(self.phases.iter().skip(1));
        left.filter_map(|(phase, next)| Some((phase.status?, next.since - phase.since)))
    }
}

impl Phase {
    fn read(step: &str) -> Option<Phase> {
        let mut parts = step.split(' ');
        let status = match parts.next()? {
            "" => None,
            word => Some(Status::parse(word)?),
        };
        Some(Phase { status, cycle: parts.next()?.parse().ok()?, since: parts.next()?.parse().ok()? })
    }
}
