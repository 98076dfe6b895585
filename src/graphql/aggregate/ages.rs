//! Stalled inspections by age.

use crate::graphql::duration;
use crate::graphql::error::ApiError;
use crate::graphql::query::StatusCount;
use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use entity::Status;

/// The most limits of buckets.
const MAX_CUTS: usize = 20;

/// Unfinished inspections whose last change is about equally long ago.
#[derive(Clone, Debug, SimpleObject)]
pub struct AgeBucket {
    /// The least time since the last change, as in the argument; null for the first bucket.
    pub min_age: Option<String>,
    /// The time since the last change is less than this; null for the last bucket.
    pub max_age: Option<String>,
    /// The number of inspections.
    pub count: i32,
    /// The number of inspections in each status. Those without a status are in `count` alone.
    pub statuses: Vec<StatusCount>,
}

pub fn default_ages() -> Vec<String> {
    ["1h", "24h", "3d", "7d", "30d"].map(str::to_owned).into()
}

/// The moments that are these ages ago, from the newest to the oldest.
pub fn cutoffs(now: DateTime<Utc>, ages: &[String]) -> Result<Vec<DateTime<Utc>>, ApiError> {
    if ages.is_empty() || ages.len() > MAX_CUTS {
        return Err(ApiError::bad_user_input(
            format!("{} ages were given", ages.len()),
            format!("Pass 1 to {MAX_CUTS}, in ascending order."),
        ));
    }
    let moments = ages.iter().map(|age| duration::before(now, age)).collect::<Result<Vec<_>, _>>()?;
    if !moments.is_sorted_by(|one, next| one > next) {
        return Err(ApiError::bad_user_input(
            "the ages are not in ascending order",
            "Pass them in ascending order, each one once.",
        ));
    }
    Ok(moments)
}

pub fn buckets(ages: &[String], counts: Vec<(Option<Status>, usize, i64)>) -> Vec<AgeBucket> {
    let bucket = |span: usize| {
        let mut statuses = Vec::new();
        let mut count = 0;
        for (status, _, number) in counts.iter().filter(|(_, of, _)| *of == span) {
            count += number;
            statuses.extend(status.map(|status| (status, *number)));
        }
        AgeBucket {
            min_age: span.checked_sub(1).and_then(|place| ages.get(place)).cloned(),
            max_age: ages.get(span).cloned(),
            count: i32::try_from(count).unwrap_or(i32::MAX),
            statuses: StatusCount::all(statuses).into_iter().filter(|status| status.count > 0).collect(),
        }
    };
    (0..=ages.len()).map(bucket).collect()
}
