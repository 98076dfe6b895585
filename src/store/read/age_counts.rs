//! How long inspections that are not at an end have been without a change.

use super::filter::{EntityFilter, FINAL_STATUSES};
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::sea_query::{CaseStatement, Expr, UnionType};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait, StatementBuilder};

#[derive(FromQueryResult)]
struct AgeCountRow {
    status: Option<Status>,
    span: i64,
    count: i64,
}

/// How many entities that a filter lets through are in each status and last changed in each of the spans that moments cut
/// time into, which come from the newest to the oldest: span 0 is what changed after the first of them. Those at an end are
/// left out.
///
/// # Errors
/// If the database does not answer.
pub async fn counts_by_age(
    db: &ReadPool,
    filter: &EntityFilter,
    moments: &[DateTime<Utc>],
) -> Result<Vec<(Option<Status>, usize, i64)>, StoreError> {
    // The oldest span first: the first that fits counts.
    let mut span = CaseStatement::new();
    for (place, moment) in moments.iter().enumerate().rev() {
        let number = i64::try_from(place + 1).unwrap_or(i64::MAX);
        span = span.case(Column::UpdatedAt.lte(moment.timestamp_micros()), Expr::value(number));
    }
    let span: Expr = span.finally(Expr::value(0i64)).into();
    let counted = |which: Expr| {
        let rows = Entity::find()
            .select_only()
            .column(Column::Status)
            .expr_as(span.clone(), "span")
            .expr_as(Expr::cust("COUNT(*)"), "count")
            .filter(filter.condition())
            .filter(which)
            .group_by(Column::Status)
            .group_by(Expr::cust("2"));
        rows.into_query()
    };
    // Said of the open ones rather than of the others, and of those without a status apart, so that the index finds them:
    // most are at an end.
    let open = Status::ALL.iter().copied().filter(|status| !FINAL_STATUSES.contains(status));
    let mut rows = counted(Column::Status.is_in(open));
    rows.union(UnionType::All, counted(Column::Status.is_null()));
    let rows =
        AgeCountRow::find_by_statement(StatementBuilder::build(&rows, &db.get_database_backend())).all(db).await?;
    let read = |AgeCountRow { status, span, count }| (status, usize::try_from(span).unwrap_or(usize::MAX), count);
    Ok(rows.into_iter().map(read).collect())
}
