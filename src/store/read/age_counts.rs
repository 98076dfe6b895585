//! Counts unfinished inspections by the time since their last change.

use super::filter::{EntityFilter, is_unfinished};
use super::update_order::UpdateOrder;
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::sea_query::{CaseStatement, Expr, Query, SelectStatement};
use sea_orm::{ColumnTrait, FromQueryResult};

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
    let select = |rows: &mut SelectStatement| {
        rows.column((Entity, Column::Status))
            .expr_as(span.clone(), "span")
            .expr_as(Expr::cust("COUNT(*)"), "count")
            .group_by_col((Entity, Column::Status))
            .add_group_by([Expr::cust("2")]);
    };
    let filter = filter.resolve(db).await?;
    let rows = match UpdateOrder::of(db, &filter).await?.map(UpdateOrder::unfinished) {
        // Most entities are finished: only the lists of the others are read.
        Some(order) => order.union(|mut rows| {
            select(&mut rows);
            rows
        }),
        None => {
            let mut rows =
                Query::select().from(Entity).cond_where(filter.condition(db.view())).and_where(is_unfinished()).take();
            select(&mut rows);
            Some(rows)
        }
    };
    let Some(rows) = rows else { return Ok(Vec::new()) };
    let rows: Vec<AgeCountRow> = db.fetch(&rows).await?;
    let read = |AgeCountRow { status, span, count }| (status, usize::try_from(span).unwrap_or(usize::MAX), count);
    Ok(rows.into_iter().map(read).collect())
}
