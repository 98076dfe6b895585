use super::parse_timestamp;
use chrono::{DateTime, Datelike, FixedOffset, TimeDelta, Timelike, Utc};
use proptest::prelude::*;

fn at(text: &str) -> Option<String> {
    parse_timestamp(text).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

#[test]
fn each_vendors_language_is_read() {
    for (text, expected) in [
        ("2021-05-29T03:45:27+05:00", "2021-05-28T22:45:27Z"),
        ("2024-05-01t10:00:00z", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00", "2024-05-01T10:00:00Z"),
        ("2024-05-01_10:00:00Z", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00.000001+00", "2024-05-01T10:00:00.000001Z"),
        ("2024-05-01 10:00:00+02", "2024-05-01T08:00:00Z"),
        ("2024-05-01 10:00:00-03:30", "2024-05-01T13:30:00Z"),
        ("2024-05-01 10:00:00+00:00:00", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00 +00:00", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00 +0200", "2024-05-01T08:00:00Z"),
        ("2024-05-01T10:00:00+0000", "2024-05-01T10:00:00Z"),
        ("2024-05-01T10:00Z", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00", "2024-05-01T10:00:00Z"),
        ("2024-05-01T10:00+02:00[Europe/Berlin]", "2024-05-01T08:00:00Z"),
        ("2024-05-01T10:00:00Z[UTC]", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00 UTC", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00 GMT", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00.25 +0200 CEST", "2024-05-01T08:00:00.250Z"),
        ("20240501T100000Z", "2024-05-01T10:00:00Z"),
        ("20240501T1000", "2024-05-01T10:00:00Z"),
        ("20240501T100000,25+0200", "2024-05-01T08:00:00.250Z"),
        ("2024-05-01T10:00:00,250Z", "2024-05-01T10:00:00.250Z"),
        ("2024-05-01T10:00:00.123456789123Z", "2024-05-01T10:00:00.123456789Z"),
        ("2024/05/01 10:00:00", "2024-05-01T10:00:00Z"),
        ("2024-W18-3T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("2024W183T100000Z", "2024-05-01T10:00:00Z"),
        ("2024-122T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("2024122T100000Z", "2024-05-01T10:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00-00:00", "2024-01-01T00:00:00Z"),
        ("Wed, 01 May 2024 10:00:00 GMT", "2024-05-01T10:00:00Z"),
        ("Wed, 1 May 2024 10:00:00 +0200", "2024-05-01T08:00:00Z"),
        ("Wed May 01 2024 10:00:00 GMT+0200 (Central European Summer Time)", "2024-05-01T08:00:00Z"),
        ("1714557600", "2024-05-01T10:00:00Z"),
        ("1714557600.25", "2024-05-01T10:00:00.250Z"),
        (" 1714557600000 ", "2024-05-01T10:00:00Z"),
        ("1714557600000.5", "2024-05-01T10:00:00.000500Z"),
        ("1714557600000001", "2024-05-01T10:00:00.000001Z"),
        ("1714557600000000001", "2024-05-01T10:00:00.000000001Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(at(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_states_no_moment_is_none() {
    for text in [
        "",
        " ",
        "now",
        "yesterday 10:00",
        "2024",
        "2024-05-01",
        "20240501",
        "20240501100000",
        "202405011000",
        "05/01/2024 10:00:00",
        "2024-05-01 10",
        "2024-05-01T",
        "2024-05-01T10:00:00 AM",
        "2024-05-01T10:00.5Z",
        "2024-05-01T10:00:00.Z",
        "2024-05-01T1000:00Z",
        "2024-05-01T10:00:00+",
        "2024-05-01T10:00:00+2",
        "2024-05-01T10:00:00+24",
        "2024-05-01T10:00:00+99:99",
        "2024-05-01T10:00:00[Europe/Berlin]",
        "2024-05-01T10:00:00CEST",
        "2024-5-1T10:00:00Z",
        "2024-02-30T00:00:00Z",
        "2023-02-29T12:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-366-1T00:00:00Z",
        "2023-366T00:00:00Z",
        "2024-W54-1T00:00:00Z",
        "2024-01-01T10:60:00Z",
        "2024-01-01T10:00:60Z",
        "0000-00-00 00:00:00",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "10000-01-01T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "-000001-01-01T00:00:00Z",
        "0",
        "1",
        "-1714557600",
        "+1714557600",
        "1714557600.",
        ".5",
        "253402300800",
        "9223372036854775807",
        "9223372036854775808",
        "2024-09-10T12:00:00\u{fffd}Z",
        "２０２４-05-01T10:00:00Z",
    ] {
        assert_eq!(at(text), None, "{text:?}");
    }
}

/// All ways in which a moment is printed here, each with how exact it is, in nanoseconds.
fn printed(at: DateTime<Utc>, minutes_east: i32) -> Vec<(String, i64)> {
    let zone = FixedOffset::east_opt(minutes_east * 60).expect("an offset");
    let local = at.with_timezone(&zone);
    let print = |format: &str| local.format(format).to_string();
    let utc = |format: &str| at.format(format).to_string();
    let mut printed = Vec::new();
    for date in ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%G-W%V-%u", "%GW%V%u", "%Y-%j", "%Y%j"] {
        for separator in ["T", "t", " ", "_"] {
            let times = [
                ("%H:%M:%S%.9f", 1),
                ("%H:%M:%S%.6f", 1_000),
                ("%H:%M:%S", 1_000_000_000),
                ("%H%M%S%.3f", 1_000_000),
                ("%H:%M", 60_000_000_000),
                ("%H%M", 60_000_000_000),
            ];
            for (time, exact) in times {
                for zone in ["%:z", "%z", "%::z", " %:z", " %z", "%z[Europe/Berlin]", " %z CEST"] {
                    let text = print(&format!("{date}{separator}{time}{zone}"));
                    printed.extend([(text.replace('.', ","), exact), (text, exact)]);
                }
                for zone in ["Z", "z", " UTC", " GMT", "", "+00", "-00:00", "Z[UTC]"] {
                    printed.push((utc(&format!("{date}{separator}{time}{zone}")), exact));
                }
            }
        }
    }
    printed.push((local.to_rfc2822(), 1_000_000_000));
    printed.push((print("%a %b %d %Y %H:%M:%S GMT%z (Somewhere)"), 1_000_000_000));
    printed
}

fn numbers(at: DateTime<Utc>) -> Vec<(String, i64)> {
    let (seconds, nanos) = (at.timestamp(), at.nanosecond());
    let mut printed = vec![(seconds.to_string(), 1_000_000_000), (format!("{seconds}.{nanos:09}"), 1)];
    if (1_000_000_000..9_200_000_000).contains(&seconds) {
        printed.push((at.timestamp_millis().to_string(), 1_000_000));
        printed.push((format!("{}.{:06}", at.timestamp_millis(), nanos % 1_000_000), 1));
        printed.push((at.timestamp_micros().to_string(), 1_000));
        printed.extend(at.timestamp_nanos_opt().map(|nanos| (nanos.to_string(), 1)));
    }
    printed
}

fn cut(at: DateTime<Utc>, exact: i64) -> DateTime<Utc> {
    let nanos = i64::from(at.nanosecond()) + at.timestamp() % 60 * 1_000_000_000;
    at - TimeDelta::nanoseconds(nanos % exact)
}

#[test]
fn what_few_print_is_read_too() {
    let ten = DateTime::from_timestamp(1_714_557_600, 0);
    for text in [
        "1.7145576e9",
        "1.7145576E+9",
        "17145576e2",
        "1.7145576e12",
        "2024-05-01 12:00:00 GMT+02:00",
        "2024-05-01T10:00:00 GMT+0000",
        "2024-05-01 10:00:00 +0000 UTC m=+0.0001",
        "Wed May  1 10:00:00 2024",
        "Wed May 01 10:00:00 UTC 2024",
        "Wed, 01-May-2024 10:00:00 GMT",
        "Wednesday, 01-May-2024 10:00:00 UTC",
        "Wednesday, 01-May-24 10:00:00 UTC",
    ] {
        assert_eq!(parse_timestamp(text), ten, "{text}");
    }
    assert_eq!(parse_timestamp("2024-05-01T24:00:00Z"), parse_timestamp("2024-05-02T00:00:00Z"));
    for text in ["2024-05-01T24:00:01Z", "Thu May  1 10:00:00 2024", "1e400", "1.5e", "e9", "1e-9", "1.7145576e+-9"] {
        assert_eq!(parse_timestamp(text), None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_moment_reads_back_as_itself_however_it_is_printed(
        seconds in 90_000i64..253_402_200_000,
        nanos in 0u32..1_000_000_000,
        minutes_east in -14 * 60..14 * 60,
    ) {
        let at = DateTime::from_timestamp(seconds, nanos).expect("a moment");
        prop_assume!(at.year() < 9999);
        for (text, exact) in printed(at, minutes_east) {
            prop_assert_eq!(parse_timestamp(&text), Some(cut(at, exact)), "{}", text);
        }
    }

    #[test]
    fn a_number_reads_back_as_itself(seconds in 100_000_000i64..10_000_000_000, nanos in 0u32..1_000_000_000) {
        let at = DateTime::from_timestamp(seconds, nanos).expect("a moment");
        for (text, exact) in numbers(at) {
            prop_assert_eq!(parse_timestamp(&text), Some(cut(at, exact)), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), near in "[0-9TtWZz:., +/_\\[\\]-]{0,40}") {
        for text in [text, near] {
            let at = parse_timestamp(&text);
            prop_assert!(at.is_none_or(|at| (1970..=9999).contains(&at.year())), "{:?}", text);
        }
    }
}
