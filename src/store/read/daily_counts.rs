//! Counts inspections by the day of their creation, source, vendor and status.

use super::filter::EntityFilter;
use crate::store::{CountGroup, InspectionIndex, Period};
use crate::store::{ReadPool, StoreError};
use entity::Status;
use entity::entity::{Column, Entity};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};
use std::collections::BTreeMap;

/// Microseconds.
pub(super) const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The offsets from UTC that a time zone has in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UtcOffsets {
    /// The first offset, in seconds.
    initial: i32,
    /// Later offsets: from when on, in microseconds since the Unix epoch and ascending, and seconds.
    transitions: Vec<(i64, i32)>,
}

impl UtcOffsets {
    /// A single offset, in seconds.
    pub fn fixed(offset: i32) -> Self {
        UtcOffsets { initial: offset, transitions: Vec::new() }
    }

    /// An initial offset in seconds, and later ones: ascending microseconds since the Unix epoch, and seconds.
    pub fn with_transitions(initial: i32, transitions: Vec<(i64, i32)>) -> Self {
        UtcOffsets { initial, transitions }
    }

    /// The local day of a moment in microseconds since the Unix epoch, counted from 1970-01-01.
    pub fn local_day(&self, at: i64) -> i64 {
        let past = self.transitions.partition_point(|(from, _)| *from <= at);
        let offset =
            past.checked_sub(1).and_then(|newest| self.transitions.get(newest)).map_or(self.initial, |(_, of)| *of);
        (at + i64::from(offset) * SECOND).div_euclid(DAY)
    }

    // The same, computed by the database. Division rounds down only from 1970 on, and no row is older.
    fn local_day_expr(&self, column: Column) -> Expr {
        let shift = |offset: i32| i64::from(offset) * SECOND;
        let mut before = self.initial;
        let mut cases = CaseStatement::new();
        for (from, offset) in &self.transitions {
            cases = cases.case(Expr::col(column).lt(*from), shift(before));
            before = *offset;
        }
        let shift = match self.transitions.is_empty() {
            true => Expr::value(shift(before)),
            false => cases.finally(shift(before)).into(),
        };
        Expr::col(column).add(shift).div(DAY)
    }
}

/// The number of the inspections created in a period, and accepted by a filter, in each group, by the local day of their
/// creation, counted from 1970-01-01. The index answers if it supports the filter; otherwise the database reads each row.
pub async fn counts_by_day(
    db: &ReadPool,
    index: &InspectionIndex,
    filter: &EntityFilter,
    period: Period,
    offsets: &UtcOffsets,
) -> Result<BTreeMap<(CountGroup, i64), i64>, StoreError> {
    if let Some(counts) = index.counts_by_day(db, filter, period, offsets).await? {
        return Ok(counts);
    }
    let row_ids = match filter.is_narrow() {
        true => None,
        false => Some(index.cohort(db, filter.clone(), period).await?.row_ids),
    };
    let in_range = row_ids.map(|row_ids| Column::RowId.between(*row_ids.start(), *row_ids.end()));
    let day = offsets.local_day_expr(Column::CreatedAt);
    let rows = Entity::find()
        .select_only()
        .columns([Column::Source, Column::Vendor, Column::Status])
        .expr_as(day, "day")
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .filter(filter.condition(db.view()))
        .filter(period.condition())
        .filter(Condition::all().add_option(in_range))
        .group_by(Column::Source)
        .group_by(Column::Vendor)
        .group_by(Column::Status)
        .group_by(Expr::cust("4"));
    let rows: Vec<(String, String, Option<Status>, i64, i64)> = rows.into_tuple().all(db).await?;
    let named = |(source, vendor, status, day, count)| ((CountGroup { source, vendor, status }, day), count);
    Ok(rows.into_iter().map(named).collect())
}
