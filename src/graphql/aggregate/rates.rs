//! How many inspections entered each status, by minute.

use crate::graphql::enums::InspectionStatus;
use crate::store::read::datetime_from_micros;
use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use entity::Status;

/// The inspections that entered a status within a minute.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct StatusRate {
    /// The beginning of the minute.
    pub at: DateTime<Utc>,
    /// The status.
    pub status: InspectionStatus,
    /// How many entered it. One that left it and came back within the minute counts twice.
    pub count: i32,
}

/// In the order of minutes, then of statuses.
pub fn status_rates(rows: Vec<(i64, Status, i64)>) -> Vec<StatusRate> {
    let rate = |(at, status, count): (i64, Status, i64)| {
        let (status, count) = (InspectionStatus::of(status)?, i32::try_from(count).unwrap_or(i32::MAX));
        Some(StatusRate { at: datetime_from_micros(at), status, count })
    };
    let mut rates: Vec<StatusRate> = rows.into_iter().filter_map(rate).collect();
    let place = |status| InspectionStatus::ALL.iter().position(|one| *one == status);
    rates.sort_by_key(|rate| (rate.at, place(rate.status)));
    rates
}
