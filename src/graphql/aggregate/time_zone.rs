//! Time zones as clients write them: `UTC`, an offset from it, or a name of the IANA time zone database
//! (<https://www.iana.org/time-zones>), with its daylight saving time.

use crate::graphql::error::ApiError;
use crate::graphql::node::truncated;
use crate::store::Period;
use crate::store::read::{ChangeRowFilter, UtcOffsets, counts_by_hour, counts_by_quarter};
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, FixedOffset, Offset};
use chrono_tz::{TZ_VARIANTS, Tz};

/// Seconds. No place has a larger offset than UTC+14:00.
const MAX_OFFSET: i32 = 14 * 3_600;
/// Seconds. No place has ever changed its offset twice within so short a time.
const PROBE_STEP: i64 = 6 * 3_600;
const HOUR: i64 = 3_600;
const QUARTER: i64 = HOUR / 4;
const MICROS: i64 = 1_000_000;
/// The most names that an error suggests.
const MAX_SUGGESTIONS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Seconds ahead of UTC.
    Fixed(i32),
    Iana(Tz),
}

/// Parses a time zone: `UTC`, `Z`, `+02:00`, `-05:30`, `Europe/Berlin`. Letter case does not matter.
pub fn parse_time_zone(text: &str) -> Result<Zone, ApiError> {
    if let Some(offset) = parse_offset(text) {
        return Ok(Zone::Fixed(offset));
    }
    let named = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text));
    named.map(|zone| Zone::Iana(*zone)).ok_or_else(|| unknown_time_zone(text))
}

fn parse_offset(zone: &str) -> Option<i32> {
    if zone.eq_ignore_ascii_case("UTC") || zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    // Of what chrono parses, only the form `+02:00`.
    let offset: FixedOffset = zone.parse().ok().filter(|_| zone.len() == 6 && zone.as_bytes()[3] == b':')?;
    Some(offset.local_minus_utc()).filter(|seconds| seconds.abs() <= MAX_OFFSET)
}

fn unknown_time_zone(text: &str) -> ApiError {
    const FORMS: &str = "Write `UTC`, a name of the IANA time zone database like `Europe/Berlin`, or an offset from UTC like \
                         `+02:00` or `-05:30`.";
    let place = |name: &str| name.rsplit('/').next().unwrap_or_default().replace(' ', "_").to_ascii_lowercase();
    let wanted = place(text.trim());
    let similar = TZ_VARIANTS.iter().map(|zone| zone.name()).filter(|name| place(name) == wanted);
    let similar: Vec<_> = similar.take(MAX_SUGGESTIONS).map(|name| format!("`{name}`")).collect();
    let hint = match similar.is_empty() {
        true => FORMS.to_owned(),
        false => format!("Did you mean {}? {FORMS}", similar.join(" or ")),
    };
    ApiError::bad_user_input(format!("`timeZone` is not a known time zone: `{}`", truncated(text)), hint)
}

impl Zone {
    /// Its offsets from UTC in a period.
    pub fn offsets(self, period: Period) -> UtcOffsets {
        let (mut at, end) = (period.since.timestamp(), period.until.timestamp() + 1);
        let first = self.offset(at);
        let (mut offset, mut transitions) = (first, Vec::new());
        while at < end && matches!(self, Zone::Iana(_)) {
            let next = end.min(at + PROBE_STEP);
            if self.offset(next) == offset {
                at = next;
                continue;
            }
            let (mut last, mut changed) = (at, next);
            while changed - last > 1 {
                let middle = last + (changed - last) / 2;
                let bound = if self.offset(middle) == offset { &mut last } else { &mut changed };
                *bound = middle;
            }
            (at, offset) = (changed, self.offset(changed));
            transitions.push((changed * MICROS, offset));
        }
        UtcOffsets::with_transitions(first, transitions)
    }

    /// The number of changes received in a period, and accepted by a filter, in each local hour, counted from Thursday,
    /// 1970-01-01 00:00. The hour that occurs twice when clocks are set back counts as one.
    pub async fn counts_by_hour(
        self,
        db: &ReadPool,
        filter: &ChangeRowFilter,
        period: Period,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        if let Zone::Fixed(offset) = self {
            return counts_by_hour(db, filter, period, offset).await;
        }
        let hour = |quarter: i64| {
            let second = quarter.saturating_mul(QUARTER);
            second.saturating_add(self.offset(second).into()).div_euclid(HOUR)
        };
        let counts = counts_by_quarter(db, filter, period).await?;
        Ok(counts.into_iter().map(|(quarter, count)| (hour(quarter), count)).collect())
    }

    // At a second since the Unix epoch; 0 outside of the calendar's range.
    fn offset(self, second: i64) -> i32 {
        match self {
            Zone::Fixed(offset) => offset,
            Zone::Iana(zone) => DateTime::from_timestamp(second, 0)
                .map_or(0, |at| at.with_timezone(&zone).offset().fix().local_minus_utc()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::ApiErrorCode;
    use chrono::Utc;

    fn period(since: &str, until: &str) -> Period {
        let moment = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
        Period { since: moment(since), until: moment(until) }
    }

    #[test]
    fn offsets_and_names_are_parsed() {
        for (text, seconds) in [
            ("UTC", Some(0)),
            ("utc", Some(0)),
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
            ("", None),
            ("ü1:00", None),
            ("Europe/Nowhere", None),
            ("Berlin", None),
            ("Europe/Berlin ", None),
        ] {
            assert_eq!(parse_time_zone(text).ok(), seconds.map(Zone::Fixed), "{text}");
        }
        for (text, named) in [
            ("Europe/Berlin", Tz::Europe__Berlin),
            ("europe/berlin", Tz::Europe__Berlin),
            ("AMERICA/ARGENTINA/BUENOS_AIRES", Tz::America__Argentina__Buenos_Aires),
            ("Etc/GMT+5", Tz::Etc__GMTPlus5),
            ("EST5EDT", Tz::EST5EDT),
        ] {
            assert_eq!(parse_time_zone(text), Ok(Zone::Iana(named)), "{text}");
        }
    }

    #[test]
    fn an_unknown_zone_gets_suggestions() {
        for (text, wanted) in [
            ("Berlin", "Did you mean `Europe/Berlin`?"),
            ("new york", "Did you mean `America/New_York`?"),
            ("Europe/Nowhere", "Write `UTC`, a name of the IANA time zone database like `Europe/Berlin`"),
        ] {
            let ApiError { code, message, hint, .. } = parse_time_zone(text).expect_err("unknown");
            assert_eq!(code, ApiErrorCode::BadUserInput);
            assert!(message.contains(text) && hint.starts_with(wanted), "{message}: {hint}");
        }
    }

    // From Python's zoneinfo: transitions in seconds since the Unix epoch, with the new offset.
    #[test]
    fn transitions_are_found() {
        for (name, since, until, expected) in [
            (
                "Europe/Berlin",
                "2024-01-01T00:00:00Z",
                "2025-01-01T00:00:00Z",
                (3_600, vec![(1_711_846_800, 7_200), (1_729_990_800, 3_600)]),
            ),
            (
                "America/New_York",
                "2024-06-01T00:00:00Z",
                "2025-06-01T00:00:00Z",
                (-14_400, vec![(1_730_613_600, -18_000), (1_741_503_600, -14_400)]),
            ),
            (
                "Australia/Lord_Howe",
                "2024-01-01T00:00:00Z",
                "2025-01-01T00:00:00Z",
                (39_600, vec![(1_712_415_600, 37_800), (1_728_142_200, 39_600)]),
            ),
            (
                "Africa/Casablanca",
                "2024-01-01T00:00:00Z",
                "2025-01-01T00:00:00Z",
                (3_600, vec![(1_710_036_000, 0), (1_713_060_000, 3_600)]),
            ),
            ("Asia/Kathmandu", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z", (20_700, vec![])),
            ("Pacific/Apia", "2011-12-01T00:00:00Z", "2012-01-31T00:00:00Z", (-36_000, vec![(1_325_239_200, 50_400)])),
            ("+05:30", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z", (19_800, vec![])),
        ] {
            let (first, then) = expected;
            let then = then.into_iter().map(|(second, offset)| (second * MICROS, offset)).collect();
            let offsets = parse_time_zone(name).expect(name).offsets(period(since, until));
            assert_eq!(offsets, UtcOffsets::with_transitions(first, then), "{name}");
        }
    }

    #[test]
    fn the_documentation_names_the_release() {
        let page = include_str!("../../../docs/aggregates.md");
        assert!(page.contains(chrono_tz::IANA_TZDB_VERSION), "{}", chrono_tz::IANA_TZDB_VERSION);
    }
}
