//! The busiest hours of the week.

use crate::graphql::error::ApiError;
use crate::graphql::scalar::Long;
use async_graphql::resolver_utils::EnumType;
use async_graphql::{Enum, SimpleObject};

const HOURS_PER_WEEK: usize = 168;
/// 1970-01-01 was a Thursday.
const EPOCH_HOUR_OF_WEEK: i64 = 3 * 24;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Weekday {
    /// The first day of the working week in most places.
    Monday,
    /// The day after Monday.
    Tuesday,
    /// The middle of the working week.
    Wednesday,
    /// The day after Wednesday.
    Thursday,
    /// The last day of the working week in most places.
    Friday,
    /// The first day of the weekend in most places.
    Saturday,
    /// The day before Monday.
    Sunday,
}

/// The changes in an hour of the week.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct BusyHour {
    /// The day, in the requested time zone.
    pub weekday: Weekday,
    /// The hour of that day, from 0 to 23.
    pub hour: i32,
    /// The number of changes in this hour, over all weeks of the period.
    pub count: Long,
}

pub fn checked_first(first: i32) -> Result<usize, ApiError> {
    let hours = usize::try_from(first).ok().filter(|first| (1..=HOURS_PER_WEEK).contains(first));
    hours.ok_or_else(|| ApiError::bad_user_input(format!("`first` is {first}"), "Pass a number from 1 to 168."))
}

/// Turns counts by hour since 1970-01-01 into hours of the week: the busiest first, then in the order of the week.
pub fn busiest_hours_of_week(counts: Vec<(i64, i64)>) -> Vec<BusyHour> {
    let mut week = [0i64; HOURS_PER_WEEK];
    for (hour, count) in counts {
        let index = usize::try_from((hour + EPOCH_HOUR_OF_WEEK).rem_euclid(HOURS_PER_WEEK as i64)).unwrap_or_default();
        if let Some(sum) = week.get_mut(index) {
            *sum += count;
        }
    }
    let mut busy: Vec<BusyHour> = Weekday::items()
        .iter()
        .flat_map(|weekday| (0..24).map(move |hour| (weekday.value, hour)))
        .zip(week)
        .map(|((weekday, hour), count)| BusyHour { weekday, hour, count: Long(count) })
        .filter(|hour| hour.count.0 > 0)
        .collect();
    busy.sort_by_key(|hour| std::cmp::Reverse(hour.count.0));
    busy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_count_from_a_thursday() {
        // 2024-01-01 00:00 was a Monday: 473,352 hours later.
        let busy = busiest_hours_of_week(vec![(473_352, 2), (473_352 + 168, 3), (473_351, 7), (0, 1), (-1, 1)]);
        let counts: Vec<_> = busy.iter().map(|hour| (hour.weekday, hour.hour, hour.count.0)).collect();
        assert_eq!(
            counts,
            [(Weekday::Sunday, 23, 7), (Weekday::Monday, 0, 5), (Weekday::Wednesday, 23, 1), (Weekday::Thursday, 0, 1),]
        );
    }
}
