//! Counts of inspections by status, vendor, source and day.

use crate::graphql::ApiContext;
use crate::graphql::enums::InspectionStatus;
use crate::graphql::error::ApiError;
use crate::store::read::{EntityFilter, InspectionIndex, Period, UtcOffsets, counts_by_day};
use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, SecondsFormat};
use std::collections::BTreeMap;

/// Rows of one answer.
const MAX_ROWS: usize = 10_000;

/// What inspections can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum InspectionDimension {
    /// The present status.
    Status,
    /// The vendor.
    Vendor,
    /// The configured connection.
    Source,
    /// The day on which the hub first heard of them.
    Day,
}

/// How many inspections have what they were counted by in common.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct InspectionCount {
    /// The present status; none if it was not counted by, and of inspections that have none yet.
    pub status: Option<InspectionStatus>,
    /// The vendor; none if it was not counted by.
    pub vendor: Option<String>,
    /// The source; none if it was not counted by.
    pub source: Option<String>,
    /// The day, as in `2024-05-01`; none if it was not counted by.
    pub day: Option<String>,
    /// How many there are.
    pub count: i32,
}

/// Counts by some dimensions, in the order of day, vendor, source and status.
pub async fn count_inspections(
    api: &ApiContext,
    census: &InspectionIndex,
    by: &[InspectionDimension],
    (period, offsets): (Period, &UtcOffsets),
    filter: &EntityFilter,
) -> Result<Vec<InspectionCount>, ApiError> {
    use InspectionDimension::{Day, Source, Status, Vendor};
    let mut counts: BTreeMap<_, i64> = BTreeMap::new();
    if by.is_empty() {
        counts.insert((None, None, None, None), 0);
    }
    for ((group, day), count) in counts_by_day(&api.readers, census, filter, period, offsets).await? {
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
            format!("these would be {} rows", counts.len()),
            format!("Ask for a shorter period, or count by less: an answer has at most {MAX_ROWS} rows."),
        ));
    }
    let row = |((day, vendor, source, status), count): ((Option<i64>, _, _, Option<Option<_>>), i64)| {
        let status = status.flatten().and_then(InspectionStatus::of);
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        InspectionCount { status, vendor, source, day: day.and_then(iso_date), count }
    };
    Ok(counts.into_iter().map(row).collect())
}

// A day counted from 1970-01-01.
fn iso_date(day: i64) -> Option<String> {
    let begin = DateTime::from_timestamp(day.checked_mul(86_400)?, 0)?;
    Some(begin.to_rfc3339_opts(SecondsFormat::Secs, true).split('T').next()?.to_owned())
}
