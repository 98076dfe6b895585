//! How many inspections were first seen on each day, by source, vendor and status.

use super::census::{Census, Group, Period};
use super::filter::EntityFilter;
use crate::store::{Readers, StoreError};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{EntityTrait, QueryFilter, QuerySelect};
use std::collections::BTreeMap;

/// Microseconds.
pub(super) const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How many of the inspections first seen in a period, that a filter lets through, are in each group, by the day on which
/// they were first seen: counted from 1970-01-01, `offset` seconds east of Greenwich. The census tells if it can; else each
/// of them is looked at.
///
/// # Errors
/// If the database does not answer.
pub async fn counts_by_day(
    db: &Readers,
    census: &Census,
    filter: &EntityFilter,
    period: Period,
    offset: i32,
) -> Result<BTreeMap<(Group, i64), i64>, StoreError> {
    if let Some(counts) = census.counts_by_day(db, filter, period, offset).await? {
        return Ok(counts);
    }
    let day = Expr::col(Column::CreatedAt).add(i64::from(offset) * SECOND).div(DAY);
    let rows = Entity::find()
        .select_only()
        .columns([Column::Source, Column::Vendor, Column::Status])
        .expr_as(day, "day")
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .filter(filter.condition())
        .filter(period.condition())
        .group_by(Column::Source)
        .group_by(Column::Vendor)
        .group_by(Column::Status)
        .group_by(Expr::cust("4"));
    let rows: Vec<(String, String, Option<Status>, i64, i64)> = rows.into_tuple().all(db).await?;
    let named = |(source, vendor, status, day, count)| ((Group { source, vendor, status }, day), count);
    Ok(rows.into_iter().map(named).collect())
}

/// The day of a moment in microseconds since the Unix epoch, counted from 1970-01-01.
pub(super) fn day(at: i64, offset: i32) -> i64 {
    (at + i64::from(offset) * SECOND).div_euclid(DAY)
}
