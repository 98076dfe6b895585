//! Counts inspections by status, vendor, source and day.

use crate::graphql::ApiContext;
use crate::graphql::enums::InspectionStatus;
use crate::graphql::error::ApiError;
use crate::store::read::{EntityFilter, UtcOffsets, counts_by_day};
use crate::store::{InspectionIndex, Period};
use async_graphql::{Enum, SimpleObject};
use chrono::DateTime;
use std::collections::BTreeMap;

/// The most rows of a result.
const MAX_ROWS: usize = 10_000;

/// What inspections can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum InspectionDimension {
    /// The current status.
    Status,
    /// The vendor.
    Vendor,
    /// The configured connection.
    Source,
    /// The day of creation, which is when the hub received the first event.
    Day,
}

/// The number of inspections with the same values of the dimensions.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct InspectionCount {
    /// The current status; null if it is not a dimension, or if no status was reported yet.
    pub status: Option<InspectionStatus>,
    /// The vendor; null if it is not a dimension.
    pub vendor: Option<String>,
    /// The source; null if it is not a dimension.
    pub source: Option<String>,
    /// The day, as in `2024-05-01`; null if it is not a dimension.
    pub day: Option<String>,
    /// The number of inspections.
    pub count: i32,
}

/// Counts by some dimensions, in the order of day, vendor, source and status.
pub async fn count_inspections(
    api: &ApiContext,
    index: &InspectionIndex,
    by: &[InspectionDimension],
    (period, offsets): (Period, &UtcOffsets),
    filter: &EntityFilter,
) -> Result<Vec<InspectionCount>, ApiError> {
    use InspectionDimension::{Day, Source, Status, Vendor};
    let mut counts: BTreeMap<_, i64> = BTreeMap::new();
    if by.is_empty() {
        counts.insert((None, None, None, None), 0);
    }
    for ((group, day), count) in counts_by_day(&api.readers, index, filter, period, offsets).await? {
        let key = (
            by.contains(&Day).then_some(day),
            by.contains(&Vendor).then_some(group.vendor),
            by.contains(&Source).then_some(group.source),
            by.contains(&Status).then_some(group.status),
        );
        *counts.entry(key).or_default() += count;
    }
    if counts.len() > MAX_ROWS {
        return Err(ApiError::bad_user_input(
            format!("the result would have {} rows", counts.len()),
            format!("Ask for a shorter period, or fewer dimensions: a result has at most {MAX_ROWS} rows."),
        ));
    }
    let row = |((day, vendor, source, status), count): ((Option<i64>, _, _, Option<Option<_>>), i64)| {
        let status = status.flatten().and_then(InspectionStatus::of);
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        InspectionCount { status, vendor, source, day: day.and_then(iso_date), count }
    };
    Ok(counts.into_iter().map(row).collect())
}

// The date of a day counted from 1970-01-01.
fn iso_date(day: i64) -> Option<String> {
    Some(DateTime::from_timestamp(day.checked_mul(86_400)?, 0)?.date_naive().to_string())
}
