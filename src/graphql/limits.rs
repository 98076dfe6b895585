//! Limits of one request that the fields apply, and the weights for its cost. `request::limits` has the limits that
//! apply before execution; `request::cost` computes the cost.

use super::error::ApiError;

/// Rows of a list by default.
pub const DEFAULT_PAGE_SIZE: i32 = 25;
/// Rows of a list, and ids of `nodes`.
pub const MAX_PAGE_SIZE: i32 = 100;
/// Minutes of rates by default, and at most: a day.
pub const DEFAULT_RATE_MINUTES: i32 = 60;
pub const MAX_RATE_MINUTES: i32 = 1_440;
/// Nested selection sets that the parser accepts.
pub const MAX_PARSER_RECURSION: usize = 32;

/// Fields that weigh more than one point: type, field, points. A body can be megabytes. An aggregate reads many rows,
/// or the rows of a table of counts.
pub const FIELD_WEIGHTS: &[(&str, &str, u64)] = &[
    ("Delivery", "bodyText", 4_000),
    ("Query", "busiestHours", 10_000),
    ("Query", "funnel", 10_000),
    ("Query", "inspectionCounts", 1_000),
    ("Query", "stalledInspections", 1_000),
    ("Query", "statusRates", 10_000),
    ("Query", "timeInStatus", 10_000),
];

/// Refuses more keys than a page has rows. `what`: the keys, in the plural.
pub fn check_key_count(keys: usize, what: &str) -> Result<(), ApiError> {
    if keys as u64 <= MAX_PAGE_SIZE.unsigned_abs().into() {
        return Ok(());
    }
    Err(ApiError::bad_user_input(format!("{keys} {what} are too many"), "Request at most 100 at a time."))
}

/// The number of minutes of rates, if they are few enough.
pub fn check_minutes(minutes: i32) -> Result<i64, ApiError> {
    match (1..=MAX_RATE_MINUTES).contains(&minutes) {
        true => Ok(minutes.into()),
        false => Err(ApiError::bad_user_input(
            format!("{minutes} minutes are too few or too many"),
            format!("Ask for 1 to {MAX_RATE_MINUTES} minutes."),
        )),
    }
}
