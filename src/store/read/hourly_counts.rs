//! Counts changes by the hour in which they happened.

use super::as_of_join::position_as_of;
use super::daily_counts::SECOND;
use super::filter::ChangeRowFilter;
use crate::store::Period;
use crate::store::{ReadPool, StoreError};
use entity::change_row::{Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{EntityTrait, QueryFilter, QuerySelect};

const HOUR: i64 = 3_600 * SECOND;
/// Weeks that are added before the division, so that it rounds down for times before 1970 on both databases. Vendors' clocks
/// may report any time.
const EPOCH_SHIFT_WEEKS: i64 = 102_738;
const HOURS_PER_WEEK: i64 = 7 * 24;

/// The number of changes received in a period, and accepted by a filter, that happened in each hour, counted from Thursday,
/// 1970-01-01 00:00, at `offset` seconds from UTC. A change happened at its vendor's time, or when it was received if the
/// vendor reported none. Times of receipt ascend with positions, so the period is one range of the history.
pub async fn counts_by_hour(
    db: &ReadPool,
    filter: &ChangeRowFilter,
    period: Period,
    offset: i32,
) -> Result<Vec<(i64, i64)>, StoreError> {
    counts_by_interval(db, filter, period, HOUR, i64::from(offset) * SECOND).await
}

/// As [`counts_by_hour`], for each quarter of an hour in UTC: all offsets of today's time zones are multiples of a quarter.
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
    let happened_at = Func::coalesce([Expr::col(Column::OccurredAt), Expr::col(Column::ReceivedAt)]);
    let epoch_shift = EPOCH_SHIFT_WEEKS * HOURS_PER_WEEK * HOUR;
    let interval = Expr::from(happened_at).add(shift + epoch_shift).div(length);
    let before = |moment: chrono::DateTime<chrono::Utc>| Expr::from(position_as_of(moment.timestamp_micros() - 1));
    let rows = Entity::find()
        .select_only()
        .expr_as(interval, "interval")
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .filter(Expr::col((Entity, Column::Position)).gt(before(period.since)))
        .filter(Expr::col((Entity, Column::Position)).lte(before(period.until)))
        .filter(filter.condition(db.view()))
        .group_by(Expr::cust("1"));
    let rows: Vec<(i64, i64)> = rows.into_tuple().all(db).await?;
    Ok(rows.into_iter().map(|(interval, count)| (interval - epoch_shift / length, count)).collect())
}
