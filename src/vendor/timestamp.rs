//! Parses timestamps as the languages and databases of vendors print them. A date without a time, words, and years outside
//! 1970 to 9999 are not accepted.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use std::ops::RangeInclusive;

/// Longer texts are not parsed.
const MAX_LENGTH: usize = 128;

/// Units of numeric timestamps: units per second, and the range of numbers. Nine digits of seconds begin in 1973; fewer could
/// be a year, a date or a counter. Ten digits reach to 2286; a date with an hour (`2024050110`) is indistinguishable. Thirteen
/// digits are milliseconds, sixteen microseconds, nineteen nanoseconds, each from 2001 on. The ranges do not overlap; a number
/// between them, such as `20240501100000`, is no timestamp.
const EPOCH_UNITS: [(i64, RangeInclusive<i64>); 4] = [
    (1, 100_000_000..=9_999_999_999),
    (1_000, 1_000_000_000_000..=9_999_999_999_999),
    (1_000_000, 1_000_000_000_000_000..=9_999_999_999_999_999),
    (1_000_000_000, 1_000_000_000_000_000_000..=9_223_372_036_854_775_806),
];

/// Parses a string, or the text of a number.
///
/// Accepts RFC 3339 and ISO 8601 (extended, basic, week and ordinal dates; `T`, `t`, `_` or a space before the time;
/// with or without seconds; `.` or `,` before a fraction), with the offsets of PostgreSQL (`+02`, `+00:00:00`), PHP
/// (`+0000`) and Java (`Z[UTC]`), with `Z`, `UTC` or `GMT`, or without a zone, which means UTC; RFC 2822; JavaScript's
/// `Date` as text; the formats of C, Ruby, Java and PHP with names of days and months; and seconds, milliseconds,
/// microseconds or nanoseconds since 1970, distinguished by their size.
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LENGTH || !text.is_ascii() {
        return None;
    }
    let at = parse_epoch(text).or_else(|| parse_epoch_exponent(text)).or_else(|| parse_date_time(text));
    let at = at.or_else(|| parse_named_with_offset(text)).or_else(|| parse_named_months(text))?;
    (at >= DateTime::UNIX_EPOCH && at.timestamp() < 253_402_300_800).then_some(at)
}

fn parse_epoch(text: &str) -> Option<DateTime<Utc>> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    if whole.is_empty() || !is_digits(whole) || fraction.is_empty() || !is_digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let (per_second, _) = EPOCH_UNITS.iter().find(|(_, range)| range.contains(&whole))?;
    let unit = 1_000_000_000 / per_second;
    let nanos = whole % per_second * unit + parse_nanoseconds(fraction)? / per_second;
    DateTime::from_timestamp(whole / per_second, u32::try_from(nanos).ok()?)
}

// `1.7145576e9`, as some JSON libraries print a double.
fn parse_epoch_exponent(text: &str) -> Option<DateTime<Utc>> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: usize = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok().filter(|places| *places <= 19)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let shifted = format!("{fraction:0<exponent$}");
    let (moved, rest) = shifted.split_at_checked(exponent)?;
    parse_epoch(&format!("{whole}{moved}.{}", if rest.is_empty() { "0" } else { rest }))
}

// A date, a time of day, and what follows it.
fn parse_date_time(text: &str) -> Option<DateTime<Utc>> {
    let at = text.find(['T', 't', ' ', '_'])?;
    let (day, rest) = text.split_at_checked(at)?;
    let rest = match rest.strip_prefix(['T', 't', '_']) {
        Some(rest) => rest,
        None => rest.trim_start(),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.' | ',')).unwrap_or(rest.len());
    let (time, zone) = rest.split_at_checked(end)?;
    let local = NaiveDateTime::new(parse_date(day)?, NaiveTime::MIN).checked_add_signed(parse_time_of_day(time)?)?;
    Some(local.checked_sub_signed(parse_utc_offset(zone.trim_start())?)?.and_utc())
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    /// Calendar, week and ordinal dates with their length, which leaves no digit out.
    const FORMS: [(usize, &str); 7] = [
        (10, "%Y-%m-%d"),
        (10, "%Y/%m/%d"),
        (8, "%Y%m%d"),
        (10, "%G-W%V-%u"),
        (8, "%GW%V%u"),
        (8, "%Y-%j"),
        (7, "%Y%j"),
    ];
    let mut forms =
        FORMS.iter().filter(|(length, _)| text.len() == *length && text.starts_with(|c: char| c.is_ascii_digit()));
    forms.find_map(|(_, form)| NaiveDate::parse_from_str(text, form).ok())
}

// Since midnight. A 60th second (RFC 3339, appendix D) is the first of the next minute.
fn parse_time_of_day(text: &str) -> Option<TimeDelta> {
    let (whole, fraction) = match text.find(['.', ',']) {
        Some(at) => (text.get(..at)?, Some(text.get(at + 1..)?)),
        None => (text, None),
    };
    let parts = parse_two_digit_groups(whole)?;
    let (hour, minute, second) = match (parts.as_slice(), fraction) {
        ([hour, minute], None) => (*hour, *minute, 0),
        ([hour, minute, second], _) => (*hour, *minute, *second),
        _ => return None,
    };
    let leap = minute == 59 && second == 60;
    // ISO 8601 lets a day end at 24:00.
    let end_of_day =
        (hour, minute, second) == (24, 0, 0) && fraction.is_none_or(|rest| rest.bytes().all(|b| b == b'0'));
    if !end_of_day && (hour > 23 || minute > 59 || (second > 59 && !leap)) {
        return None;
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(TimeDelta::seconds(seconds) + TimeDelta::nanoseconds(fraction.map_or(Some(0), parse_nanoseconds)?))
}

// East of Greenwich. After an offset there may be a zone's name, in words (Go) or in brackets (RFC 9557).
fn parse_utc_offset(text: &str) -> Option<TimeDelta> {
    let (text, named) = match text.strip_suffix(']') {
        Some(rest) => (rest.split_once('[')?.0, true),
        None => (text, false),
    };
    // Go prints its monotonic clock behind the offset, others the offset behind `GMT`.
    let text = text.split(" m=").next().unwrap_or_default().trim_end();
    let behind =
        ["GMT", "UTC"].iter().find_map(|word| text.strip_prefix(word)).filter(|text| text.starts_with(['+', '-']));
    let text = behind.unwrap_or(text);
    if text.is_empty() {
        return (!named).then_some(TimeDelta::zero());
    }
    if ["z", "utc", "gmt", "ut"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(TimeDelta::zero());
    }
    let (text, name) = text.split_once(' ').unwrap_or((text, "UTC"));
    if name.is_empty() || name.len() > 5 || !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let east = text.starts_with('+');
    let parts = parse_two_digit_groups(text.strip_prefix(['+', '-'])?)?;
    let part = |at: usize| i64::from(parts.get(at).copied().unwrap_or_default());
    if parts.is_empty() || part(0) > 23 || part(1) > 59 || part(2) > 59 {
        return None;
    }
    let distance = TimeDelta::seconds(part(0) * 3600 + part(1) * 60 + part(2));
    Some(if east { distance } else { -distance })
}

// RFC 2822, or as JavaScript: `Tue Sep 10 2024 12:00:00 GMT+0000 (Coordinated Universal Time)`.
fn parse_named_with_offset(text: &str) -> Option<DateTime<Utc>> {
    let javascript = |text: &str| DateTime::parse_from_str(text.split(" (").next()?, "%a %b %d %Y %H:%M:%S GMT%z").ok();
    let at = DateTime::parse_from_rfc2822(text).ok().or_else(|| javascript(text))?;
    Some(at.to_utc())
}

// With names of days and months, in UTC: as C and Ruby print it, Java's `Date`, and RFC 850 and cookies (PHP).
fn parse_named_months(text: &str) -> Option<DateTime<Utc>> {
    const FORMS: [&str; 5] = [
        "%a %b %e %H:%M:%S %Y",
        "%a %b %e %H:%M:%S UTC %Y",
        "%a %b %e %H:%M:%S GMT %Y",
        // Must come first: otherwise a year of two digits is parsed as a year of the first century.
        "%A, %d-%b-%y %H:%M:%S",
        "%A, %d-%b-%Y %H:%M:%S",
    ];
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).unwrap_or(text);
    FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|local| local.and_utc())
}

// One to three numbers of two digits, all with colons between them or all without.
fn parse_two_digit_groups(text: &str) -> Option<Vec<u32>> {
    let parts: Vec<&str> = match text.contains(':') {
        true => text.split(':').collect(),
        false => text.as_bytes().chunks(2).filter_map(|part| std::str::from_utf8(part).ok()).collect(),
    };
    if parts.len() > 3 || text.is_empty() {
        return None;
    }
    parts.into_iter().map(|text| if text.len() == 2 { parse_digits(text) } else { None }).collect()
}

fn parse_digits(text: &str) -> Option<u32> {
    if is_digits(text) { text.parse().ok() } else { None }
}

// Digits after the point, as billionths; further digits are cut.
fn parse_nanoseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !is_digits(fraction) {
        return None;
    }
    format!("{fraction:0<9}").get(..9)?.parse().ok()
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
