//! Durations as clients write them.

use super::error::ApiError;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

const DATE_UNITS: &[(char, i64)] = &[('W', 7 * 86_400), ('D', 86_400)];
const TIME_UNITS: &[(char, i64)] = &[('H', 3_600), ('M', 60), ('S', 1)];
const SHORT_UNITS: &[(char, i64)] = &[('w', 7 * 86_400), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The time that is a duration before another: an ISO 8601 duration without years and months, which have no fixed
/// length (`PT24H`, `P3D`, `P1DT12H`), or whole numbers with units (`90s`, `15m`, `24h`, `3d`, `2w`).
pub fn before(now: DateTime<Utc>, text: &str) -> Result<DateTime<Utc>, ApiError> {
    let length = seconds(text).and_then(TimeDelta::try_seconds);
    length.and_then(|length| now.checked_sub_signed(length)).ok_or_else(|| {
        ApiError::bad_user_input(
            "this is not a duration",
            "Write it like `PT24H`, `P3D`, `P1DT12H`, or like `90s`, `15m`, `24h`, `3d`.",
        )
    })
}

/// The length of such a duration.
pub fn length(text: &str) -> Result<TimeDelta, ApiError> {
    let begin = DateTime::UNIX_EPOCH;
    before(begin, text).map(|end| begin - end)
}

/// A length as an ISO 8601 duration, in whole seconds.
pub fn to_iso8601(length: Duration) -> String {
    let mut rest = length.as_secs();
    let mut part = |seconds: u64, unit: char| {
        let number = rest / seconds;
        rest %= seconds;
        if number > 0 { format!("{number}{unit}") } else { String::new() }
    };
    let days = part(86_400, 'D');
    let time = [part(3_600, 'H'), part(60, 'M'), part(1, 'S')].concat();
    match (days.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".to_owned(),
        (false, true) => format!("P{days}"),
        (_, false) => format!("P{days}T{time}"),
    }
}

fn seconds(text: &str) -> Option<i64> {
    let Some(iso) = text.strip_prefix('P') else { return sum(text, SHORT_UNITS) };
    match iso.split_once('T') {
        None => sum(iso, DATE_UNITS),
        Some(("", time)) => sum(time, TIME_UNITS),
        Some((date, time)) => sum(date, DATE_UNITS)?.checked_add(sum(time, TIME_UNITS)?),
    }
}

// One number with its unit or several, larger units first, each unit at most once.
fn sum(mut text: &str, mut units: &[(char, i64)]) -> Option<i64> {
    let mut seconds = 0i64;
    loop {
        let end = text.find(|character: char| !character.is_ascii_digit())?;
        let (number, rest) = text.split_at(end);
        let unit = rest.chars().next()?;
        let place = units.iter().position(|(name, _)| *name == unit)?;
        let (_, length) = units.get(place)?;
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(*length)?)?;
        units = units.get(place + 1..)?;
        text = rest.get(unit.len_utf8()..)?;
        if text.is_empty() {
            return Some(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed_seconds(text: &str) -> Option<i64> {
        let now = DateTime::from_timestamp(2_000_000_000, 0).expect("a moment");
        before(now, text).ok().map(|then| (now - then).num_seconds())
    }

    #[test]
    fn both_formats_are_parsed() {
        for (text, expected) in [
            ("PT24H", 86_400),
            ("P3D", 259_200),
            ("P1DT12H", 129_600),
            ("PT1H30M5S", 5_405),
            ("P2W", 1_209_600),
            ("PT0S", 0),
            ("90s", 90),
            ("15m", 900),
            ("24h", 86_400),
            ("3d", 259_200),
            ("2w", 1_209_600),
            ("1h30m", 5_400),
        ] {
            assert_eq!(parsed_seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "P1Y",
            "P1M",
            "PT1D",
            "P1H",
            "PT1M1H",
            "5",
            "h",
            "-5m",
            "1.5h",
            "15 m",
            "5m5m",
            "15ä",
            "99999999999999999999s",
            "9223372036854775807w",
            "9223372036854775s",
        ] {
            assert_eq!(parsed_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_length_is_written_as_it_is_read() {
        for (seconds, text) in [
            (0, "PT0S"),
            (1, "PT1S"),
            (5_405, "PT1H30M5S"),
            (86_400, "P1D"),
            (90 * 86_400, "P90D"),
            (129_600, "P1DT12H"),
            (86_460, "P1DT1M"),
        ] {
            assert_eq!(to_iso8601(Duration::from_secs(seconds)), text);
            assert_eq!(parsed_seconds(text), i64::try_from(seconds).ok());
        }
    }
}
