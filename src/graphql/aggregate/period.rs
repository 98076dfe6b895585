//! The period of an aggregate, as clients write it.

use crate::graphql::error::ApiError;
use crate::store::Period;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// The length of a period without `since`.
const DEFAULT_LENGTH: TimeDelta = TimeDelta::days(30);
/// The longest period.
const MAX_LENGTH: TimeDelta = TimeDelta::days(366);

/// The period between two moments. Default: the last 30 days.
pub fn parse_period(
    now: DateTime<Utc>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Result<Period, ApiError> {
    let until = until.unwrap_or(now);
    let since = since.or_else(|| until.checked_sub_signed(DEFAULT_LENGTH)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let spelled = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    if since >= until {
        return Err(ApiError::bad_user_input(
            format!("the period begins at {} and ends at {}", spelled(since), spelled(until)),
            "`since` must be before `until`, which is now by default.",
        ));
    }
    if until.signed_duration_since(since) > MAX_LENGTH {
        return Err(ApiError::bad_user_input(
            format!("the period is {} days long", until.signed_duration_since(since).num_days()),
            "Ask for at most 366 days at a time.",
        ));
    }
    Ok(Period { since, until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_the_last_thirty_days_and_no_longer_than_a_leap_year() {
        let now = DateTime::from_timestamp(2_000_000_000, 0).expect("a moment");
        let days = |days| Some(now - TimeDelta::days(days));
        let usual = parse_period(now, None, None).expect("a period");
        assert_eq!((usual.since, usual.until), (now - TimeDelta::days(30), now));
        assert_eq!(parse_period(now, None, days(5)).map(|period| Some(period.since)), Ok(days(35)));
        for (since, until, possible) in [
            (days(366), None, true),
            (days(367), None, false),
            (days(0), None, false),
            (days(1), days(2), false),
            (Some(DateTime::<Utc>::MIN_UTC), Some(DateTime::<Utc>::MAX_UTC), false),
            (None, Some(DateTime::<Utc>::MIN_UTC), false),
        ] {
            assert_eq!(parse_period(now, since, until).is_ok(), possible, "{since:?} {until:?}");
        }
    }
}
