//! How much was reported in each hour.

use super::as_of_join::position_as_of;
use super::daily_counts::SECOND;
use super::filter::ChangeRowFilter;
use super::inspection_index::Period;
use crate::store::{ReadPool, StoreError};
use entity::change::{Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{EntityTrait, QueryFilter, QuerySelect};

const HOUR: i64 = 3_600 * SECOND;
/// Weeks before 1970 that are added, so that division rounds the times of our era down, in both databases. Vendors' clocks
/// can say anything.
const EPOCH_SHIFT_WEEKS: i64 = 102_738;
const HOURS_PER_WEEK: i64 = 7 * 24;

/// How many changes that were received in a period, and that a filter lets through, happened in each hour: counted from
/// Thursday, 1970-01-01 00:00, `offset` seconds east of Greenwich. By the vendor's clock, or when they were received where
/// the vendor gives no time. The times of receipt go up with the positions, so the period is one range of the history.
///
/// # Errors
/// If the database does not answer.
pub async fn counts_by_hour(
    db: &ReadPool,
    filter: &ChangeRowFilter,
    period: Period,
    offset: i32,
) -> Result<Vec<(i64, i64)>, StoreError> {
    counts_by_interval(db, filter, period, HOUR, i64::from(offset) * SECOND).await
}

/// The same, in each quarter of an hour, counted in UTC: no time zone of today is ahead of UTC by anything but quarters.
///
/// # Errors
/// If the database does not answer.
pub async fn counts_by_quarter(
    db: &ReadPool,
    filter: &ChangeRowFilter,
    period: Period,
) -> Result<Vec<(i64, i64)>, StoreError> {
    counts_by_interval(db, filter, period, HOUR / 4, 0).await
}

async fn counts_by_interval(
    db: &ReadPool,
    filter: &ChangeRowFilter,
    period: Period,
    length: i64,
    shift: i64,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let happened = Func::coalesce([Expr::col(Column::OccurredAt), Expr::col(Column::ReceivedAt)]);
    let earlier = EPOCH_SHIFT_WEEKS * HOURS_PER_WEEK * HOUR;
    let span = Expr::from(happened).add(shift + earlier).div(length);
    let before = |moment: chrono::DateTime<chrono::Utc>| Expr::from(position_as_of(moment.timestamp_micros() - 1));
    let rows = Entity::find()
        .select_only()
        .expr_as(span, "span")
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .filter(Expr::col((Entity, Column::Position)).gt(before(period.since)))
        .filter(Expr::col((Entity, Column::Position)).lte(before(period.until)))
        .filter(filter.condition())
        .group_by(Expr::cust("1"));
    let rows: Vec<(i64, i64)> = rows.into_tuple().all(db).await?;
    Ok(rows.into_iter().map(|(span, count)| (span - earlier / length, count)).collect())
}
