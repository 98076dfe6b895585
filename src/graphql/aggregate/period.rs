//! Periods and time zones as callers write them.

use crate::graphql::error::Fault;
use crate::store::read::Period;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// How long a period is where the caller says nothing.
const USUAL: TimeDelta = TimeDelta::days(30);
/// How long it may be.
const LONGEST: TimeDelta = TimeDelta::days(366);
/// Seconds. There is no place further from Greenwich than UTC+14:00.
const FURTHEST: i32 = 14 * 3_600;

/// From a moment on, before another: the last 30 days, unless said otherwise.
pub fn period(now: DateTime<Utc>, since: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Result<Period, Fault> {
    let until = until.unwrap_or(now);
    let since = since.or_else(|| until.checked_sub_signed(USUAL)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let spelled = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    if since >= until {
        return Err(Fault::input(
            format!("the period begins at {} and ends at {}", spelled(since), spelled(until)),
            "`since` must be before `until`, which is now if you do not say otherwise.",
        ));
    }
    if until.signed_duration_since(since) > LONGEST {
        return Err(Fault::input(
            format!("the period is {} days long", until.signed_duration_since(since).num_days()),
            "Ask for at most 366 days at a time.",
        ));
    }
    Ok(Period { since, until })
}

/// How many seconds a time zone is ahead of UTC: `UTC`, `Z`, `+02:00`, `-05:30`.
pub fn offset(zone: &str) -> Result<i32, Fault> {
    let offset = match zone {
        "UTC" | "Z" => Some(0),
        zone => fixed(zone),
    };
    offset.filter(|offset| offset.abs() <= FURTHEST).ok_or_else(|| {
        Fault::input(
            "`timeZone` is not a distance from UTC",
            "Write `UTC`, or a fixed distance like `+02:00` or `-05:30`. Names of places are not known here.",
        )
    })
}

fn fixed(zone: &str) -> Option<i32> {
    let sign = match zone.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |digits: &str| -> Option<i32> {
        let both = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        both.then(|| digits.parse().ok()).flatten()
    };
    let minutes = number(minutes).filter(|minutes| *minutes < 60)?;
    Some(sign * (number(hours)? * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_from_utc_are_read() {
        for (zone, seconds) in [
            ("UTC", Some(0)),
            ("Z", Some(0)),
            ("+00:00", Some(0)),
            ("+02:00", Some(7_200)),
            ("-05:30", Some(-19_800)),
            ("+14:00", Some(50_400)),
            ("+14:01", None),
            ("+02:60", None),
            ("+2:00", None),
            ("02:00", None),
            ("+0200", None),
            ("+-2:00", None),
            ("Europe/Berlin", None),
            ("", None),
            ("ü1:00", None),
        ] {
            assert_eq!(offset(zone).ok(), seconds, "{zone}");
        }
    }

    #[test]
    fn a_period_is_the_last_thirty_days_and_no_longer_than_a_leap_year() {
        let now = DateTime::from_timestamp(2_000_000_000, 0).expect("a moment");
        let days = |days| Some(now - TimeDelta::days(days));
        let usual = period(now, None, None).expect("a period");
        assert_eq!((usual.since, usual.until), (now - TimeDelta::days(30), now));
        assert_eq!(period(now, None, days(5)).map(|period| Some(period.since)), Ok(days(35)));
        for (since, until, possible) in [
            (days(366), None, true),
            (days(367), None, false),
            (days(0), None, false),
            (days(1), days(2), false),
            (Some(DateTime::<Utc>::MIN_UTC), Some(DateTime::<Utc>::MAX_UTC), false),
            (None, Some(DateTime::<Utc>::MIN_UTC), false),
        ] {
            assert_eq!(period(now, since, until).is_ok(), possible, "{since:?} {until:?}");
        }
    }
}
