//! The time that inspections spend in each status.

use super::lifecycle::GroupingKey;
use crate::graphql::enums::InspectionStatus;
use crate::store::read::StatusTimeline;
use async_graphql::SimpleObject;
use entity::Status;
use std::collections::HashMap;

/// The lengths of the stays in a status.
#[derive(Clone, Debug, PartialEq, SimpleObject)]
pub struct TimeInStatus {
    /// The vendor; null if the row is of all vendors.
    pub vendor: Option<String>,
    /// The source; null unless rows are grouped by source.
    pub source: Option<String>,
    /// The status.
    pub status: InspectionStatus,
    /// The number of stays that have ended.
    pub count: i32,
    /// Seconds that half of the stays did not exceed. One stay had this length.
    pub median_seconds: f64,
    /// Seconds that 95 % of the stays did not exceed. One stay had this length.
    pub p95_seconds: f64,
}

/// The lengths of stays in microseconds, by status.
#[derive(Debug, Default)]
pub struct StayDurations(HashMap<Status, Vec<i64>>);

impl StayDurations {
    pub fn add(&mut self, timeline: &StatusTimeline) {
        for (status, length) in timeline.time_in_status() {
            self.0.entry(status).or_default().push(length);
        }
    }

    /// The rows in the order of the statuses.
    pub fn into_rows(mut self, key: &GroupingKey) -> Vec<TimeInStatus> {
        let row = |status: &InspectionStatus| {
            let lengths = self.0.get_mut(&Status::from(*status))?;
            Some(TimeInStatus {
                vendor: key.vendor.clone(),
                source: key.source.clone(),
                status: *status,
                count: i32::try_from(lengths.len()).unwrap_or(i32::MAX),
                median_seconds: seconds(nearest_rank(lengths, 50)?),
                p95_seconds: seconds(nearest_rank(lengths, 95)?),
            })
        };
        InspectionStatus::ALL.iter().filter_map(row).collect()
    }
}

/// The smallest number that this percentage of the numbers does not exceed; none without numbers.
fn nearest_rank(numbers: &mut [i64], percent: usize) -> Option<i64> {
    let rank = (numbers.len() * percent).div_ceil(100);
    let index = rank.checked_sub(1)?;
    Some(*numbers.select_nth_unstable(index).1)
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_numbers() {
        for (numbers, median, p95) in [
            (vec![], None, None),
            (vec![7], Some(7), Some(7)),
            (vec![9, 1], Some(1), Some(9)),
            (vec![3, 1, 2], Some(2), Some(3)),
            ((1..=20).rev().collect(), Some(10), Some(19)),
            ((1..=21).collect(), Some(11), Some(20)),
            ((1..=100).collect(), Some(50), Some(95)),
        ] {
            assert_eq!(nearest_rank(&mut numbers.clone(), 50), median, "{numbers:?}");
            assert_eq!(nearest_rank(&mut numbers.clone(), 95), p95, "{numbers:?}");
        }
    }
}
