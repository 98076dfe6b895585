//! Counts unfinished inspections by the time since their last change.

use super::filter::{EntityFilter, FINAL_STATUSES};
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::sea_query::{CaseStatement, Expr, UnionType};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait};

#[derive(FromQueryResult)]
struct AgeCountRow {
    status: Option<Status>,
    span: i64,
    count: i64,
}

/// The number of unfinished entities that a filter accepts, by status and by the span of their last change. The moments, from
/// the newest to the oldest, separate the spans: span 0 is after the first moment.
pub async fn counts_by_age(
    db: &ReadPool,
    filter: &EntityFilter,
    moments: &[DateTime<Utc>],
) -> Result<Vec<(Option<Status>, usize, i64)>, StoreError> {
    // The oldest span first: the first case that matches counts.
    let mut span = CaseStatement::new();
    for (index, moment) in moments.iter().enumerate().rev() {
        let number = i64::try_from(index + 1).unwrap_or(i64::MAX);
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
    // Selects open statuses, and entities without a status apart, so that the index is used: most entities are finished.
    let open = Status::ALL.iter().copied().filter(|status| !FINAL_STATUSES.contains(status));
    let mut rows = counted(Column::Status.is_in(open));
    rows.union(UnionType::All, counted(Column::Status.is_null()));
    let rows: Vec<AgeCountRow> = db.fetch(&rows).await?;
    let read = |AgeCountRow { status, span, count }| (status, usize::try_from(span).unwrap_or(usize::MAX), count);
    Ok(rows.into_iter().map(read).collect())
}
