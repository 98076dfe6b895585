//! Days and hours of places whose clocks are put forward and back. What is expected was computed by Python's
//! `zoneinfo`.

use super::*;
use chrono::TimeDelta;

type ExpectedDays = &'static [(&'static str, &'static str)];

/// Inspections are first seen every half hour from a moment on, before another: how many on each day of the year 2024,
/// by time zone.
const DAYS: &[(&str, &str, ExpectedDays)] = &[
    (
        "2024-03-29T22:00:00Z",
        "2024-04-02T02:00:00Z",
        &[
            ("Europe/Berlin", "03-29:2 03-30:48 03-31:46 04-01:48 04-02:8"),
            ("America/New_York", "03-29:12 03-30:48 03-31:48 04-01:44"),
            ("Asia/Kathmandu", "03-30:41 03-31:48 04-01:48 04-02:15"),
            ("Australia/Lord_Howe", "03-30:30 03-31:48 04-01:48 04-02:26"),
            ("America/St_Johns", "03-29:9 03-30:48 03-31:48 04-01:47"),
            ("+05:30", "03-30:41 03-31:48 04-01:48 04-02:15"),
        ],
    ),
    (
        "2024-04-05T10:00:00Z",
        "2024-04-08T16:00:00Z",
        &[
            ("Europe/Berlin", "04-05:24 04-06:48 04-07:48 04-08:36"),
            ("America/New_York", "04-05:36 04-06:48 04-07:48 04-08:24"),
            ("Asia/Kathmandu", "04-05:17 04-06:48 04-07:48 04-08:43"),
            ("Australia/Lord_Howe", "04-05:6 04-06:48 04-07:49 04-08:48 04-09:5"),
            ("America/St_Johns", "04-05:33 04-06:48 04-07:48 04-08:27"),
            ("+05:30", "04-05:17 04-06:48 04-07:48 04-08:43"),
        ],
    ),
    (
        "2024-10-25T20:00:00Z",
        "2024-10-29T04:00:00Z",
        &[
            ("Europe/Berlin", "10-25:4 10-26:48 10-27:50 10-28:48 10-29:10"),
            ("America/New_York", "10-25:16 10-26:48 10-27:48 10-28:48"),
            ("Asia/Kathmandu", "10-26:45 10-27:48 10-28:48 10-29:19"),
            ("Australia/Lord_Howe", "10-26:34 10-27:48 10-28:48 10-29:30"),
            ("America/St_Johns", "10-25:13 10-26:48 10-27:48 10-28:48 10-29:3"),
            ("+05:30", "10-26:45 10-27:48 10-28:48 10-29:19"),
        ],
    ),
    (
        "2024-11-02T02:00:00Z",
        "2024-11-05T08:00:00Z",
        &[
            ("Europe/Berlin", "11-02:42 11-03:48 11-04:48 11-05:18"),
            ("America/New_York", "11-01:4 11-02:48 11-03:50 11-04:48 11-05:6"),
            ("Asia/Kathmandu", "11-02:33 11-03:48 11-04:48 11-05:27"),
            ("Australia/Lord_Howe", "11-02:22 11-03:48 11-04:48 11-05:38"),
            ("America/St_Johns", "11-01:1 11-02:48 11-03:50 11-04:48 11-05:9"),
            ("+05:30", "11-02:33 11-03:48 11-04:48 11-05:27"),
        ],
    ),
];

/// Something happens every quarter of an hour from a moment on, before another, which is a Sunday in this time zone:
/// how much in each of its hours.
const HOURS: &[(&str, &str, &str, [i64; 24])] = &[
    ("2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z", "Europe/Berlin", hours(2, 0)),
    ("2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z", "Europe/Berlin", hours(2, 8)),
    ("2024-04-06T13:00:00Z", "2024-04-07T13:30:00Z", "Australia/Lord_Howe", hours(1, 6)),
    ("2024-05-04T18:15:00Z", "2024-05-05T18:15:00Z", "Asia/Kathmandu", hours(0, 4)),
];

/// Four in each hour but one.
const fn hours(odd: usize, count: i64) -> [i64; 24] {
    let mut hours = [4; 24];
    hours[odd] = count;
    hours
}

fn parsed(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

fn every(minutes: i64, since: &str, until: &str) -> impl Iterator<Item = i64> {
    let (since, until) = (parsed(since), parsed(until));
    let moments = std::iter::successors(Some(since), move |at| at.checked_add_signed(TimeDelta::minutes(minutes)));
    moments.take_while(move |at| *at < until).map(|at| at.timestamp_micros())
}

#[tokio::test]
async fn days_are_those_of_the_place() {
    let hub = ApiFixture::new().await;
    let moments = DAYS.iter().flat_map(|(since, until, _)| every(30, since, until));
    for (number, at) in (1..).zip(moments) {
        hub.entity(number, EntityType::Inspection, |row| row.created_at = at).await;
    }
    for (since, until, zones) in DAYS {
        for (zone, expected) in *zones {
            // The census counts, then the database does.
            for filter in ["{}", "{ state: [\"STARTED\"] }"] {
                for zone in [(*zone).to_owned(), zone.to_lowercase()] {
                    let query = format!(
                        "{{ inspectionCounts(groupBy: [DAY], since: \"{since}\", until: \"{until}\", timeZone: \"{zone}\",
                           filter: {filter}) {{ day count }} }}"
                    );
                    let data = hub.query(query).await;
                    let rows = data["inspectionCounts"].as_array().expect("rows");
                    let counted = rows
                        .iter()
                        .map(|row| format!("{}:{}", &row["day"].as_str().expect("a day")[5..], row["count"]));
                    assert_eq!(counted.collect::<Vec<_>>().join(" "), *expected, "{zone} {filter} {since}");
                }
            }
        }
    }
}

#[tokio::test]
async fn hours_are_those_of_the_place() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    // In the order of time, as positions go.
    let mut periods: Vec<_> = HOURS.to_vec();
    periods.sort_unstable_by_key(|(since, ..)| *since);
    let moments = periods.iter().flat_map(|(since, until, ..)| every(15, since, until));
    for (position, at) in (1..).zip(moments) {
        // What has no time of its own counts by when it was received.
        let occurred = (position % 2 == 0).then_some(at);
        let edit = |row: &mut entity::change::Model| (row.received_at, row.occurred_at) = (at, occurred);
        hub.change(position, Kind::Inspection, 1, edit).await;
    }
    for (since, until, zone, expected) in periods {
        let query = format!(
            "{{ busiestHours(first: 168, since: \"{since}\", until: \"{until}\", timeZone: \"{zone}\") {{ weekday hour count }} }}"
        );
        let data = hub.query(query).await;
        let mut counted = [0; 24];
        for row in data["busiestHours"].as_array().expect("rows") {
            assert_eq!(row["weekday"], "SUNDAY", "{zone}");
            counted[row["hour"].as_u64().expect("an hour") as usize] += row["count"].as_i64().expect("a count");
        }
        assert_eq!(counted, expected, "{zone} {since}");
    }
}
