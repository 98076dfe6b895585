//! Stalled inspections by how long.

use crate::graphql::duration;
use crate::graphql::error::ApiError;
use crate::graphql::query::StatusCount;
use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use entity::Status;

/// Cuts at most.
const MAX_CUTS: usize = 20;

/// Inspections that are not at an end, without a change for about as long.
#[derive(Clone, Debug, SimpleObject)]
pub struct AgeBucket {
    /// Without a change for at least so long, as it was asked; none for the youngest.
    pub min_age: Option<String>,
    /// And for less than this; none for the oldest.
    pub max_age: Option<String>,
    /// How many there are.
    pub count: i32,
    /// How many of them are in each status. Those without a status are counted in `count` alone.
    pub statuses: Vec<StatusCount>,
}

/// Where buckets are cut, unless said otherwise.
pub fn default_ages() -> Vec<String> {
    ["1h", "24h", "3d", "7d", "30d"].map(str::to_owned).into()
}

/// The moments that lie so long ago, from the newest to the oldest.
pub fn cutoffs(now: DateTime<Utc>, ages: &[String]) -> Result<Vec<DateTime<Utc>>, ApiError> {
    if ages.is_empty() || ages.len() > MAX_CUTS {
        return Err(ApiError::bad_user_input(
            format!("{} ages were given", ages.len()),
            format!("Give 1 to {MAX_CUTS}, from the shortest up."),
        ));
    }
    let moments = ages.iter().map(|age| duration::before(now, age)).collect::<Result<Vec<_>, _>>()?;
    if !moments.is_sorted_by(|one, next| one > next) {
        return Err(ApiError::bad_user_input(
            "the ages are not in order",
            "Give them from the shortest up, each one once.",
        ));
    }
    Ok(moments)
}

/// Counts by span as buckets.
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
            statuses: StatusCount::all(statuses).into_iter().filter(StatusCount::is_some).collect(),
        }
    };
    (0..=ages.len()).map(bucket).collect()
}
