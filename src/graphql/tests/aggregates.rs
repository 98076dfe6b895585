//! Aggregates as callers see them. Whether their numbers are right is tested in `tests/hub/aggregates.rs`.

use super::*;

/// Two inspections of `lot` and one of `yard`: requested after 1, 2 and 3 seconds, the first started a minute later by the
/// vendor's clock and completed an hour after that, the second canceled.
async fn fixture() -> ApiFixture {
    let hub = ApiFixture::new().await;
    for number in 1..=3 {
        hub.entity(number, EntityType::Inspection, |row| {
            row.steps_materialized = false;
            row.status =
                [Some(Status::Completed), Some(Status::Canceled), None].get(number as usize - 1).copied().flatten();
            row.source = if number == 3 { "yard".into() } else { "lot".into() };
        })
        .await;
    }
    let steps = [
        (1, 1, Status::Requested, Some(1)),
        (2, 2, Status::Requested, None),
        (3, 1, Status::Started, Some(61)),
        (4, 1, Status::Completed, Some(3_661)),
        (5, 2, Status::Canceled, None),
    ];
    for (position, about, status, occurred) in steps {
        hub.change(position, Kind::Inspection, about, |row| {
            row.to_status = Some(status);
            row.to_state = Some(status.to_string());
            row.target_state = row.to_state.clone();
            row.occurred_at = occurred.map(|second| BEGIN + second * SECOND);
        })
        .await;
    }
    hub
}

#[tokio::test]
async fn inspections_are_counted_by_what_is_asked() {
    let hub = fixture().await;
    let data = hub
        .query(
            "{ all: inspectionCounts { count day status }
               some: inspectionCounts(groupBy: [SOURCE, STATUS]) { source status count }
               days: inspectionCounts(groupBy: [DAY, DAY], timeZone: \"-00:01\", filter: { reference: \"none\" }) { day }
               before: inspectionCounts(groupBy: [DAY], timeZone: \"-00:01\") { day count }
               none: inspectionCounts(until: \"2024-01-01T00:00:01Z\") { count } }",
        )
        .await;
    assert_eq!(data["all"], serde_json::json!([{ "count": 3, "day": null, "status": null }]));
    assert_eq!(
        data["some"],
        serde_json::json!([
            { "source": "lot", "status": "COMPLETED", "count": 1 },
            { "source": "lot", "status": "CANCELED", "count": 1 },
            { "source": "yard", "status": null, "count": 1 },
        ])
    );
    assert_eq!(data["days"], serde_json::json!([]));
    assert_eq!(data["before"], serde_json::json!([{ "day": "2023-12-31", "count": 3 }]));
    assert_eq!(data["none"], serde_json::json!([{ "count": 0 }]));
}

#[tokio::test]
async fn times_and_funnels_are_told() {
    let hub = fixture().await;
    let data = hub
        .query(
            "{ timeInStatus { vendor source status count medianSeconds p95Seconds }
               funnel(groupBy: SOURCE) { source inspections completed droppedOut stages { status reached open droppedOut } } }",
        )
        .await;
    let time = |status: &str, count: i32, median: f64, p95: f64| {
        serde_json::json!({ "vendor": "pave", "source": null, "status": status, "count": count,
            "medianSeconds": median, "p95Seconds": p95 })
    };
    assert_eq!(
        data["timeInStatus"],
        serde_json::json!([time("REQUESTED", 2, 3.0, 60.0), time("STARTED", 1, 3600.0, 3600.0)])
    );
    let lot = &data["funnel"][0];
    assert_eq!((&lot["inspections"], &lot["completed"], &lot["droppedOut"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(
        lot["stages"][0],
        serde_json::json!({ "status": "REQUESTED", "reached": 2, "open": 0, "droppedOut": 1 })
    );
    assert_eq!(texts(&data["funnel"], &["stages", "reached"])[..7].join(" "), "2 1 1 1 1 1 1");
    assert_eq!(texts(&data["funnel"][1], &["stages", "open"]).join(" "), "1 0 0 0 0 0 0");
}

#[tokio::test]
async fn the_stalled_and_the_busy_are_told() {
    let hub = fixture().await;
    let data = hub
        .query(
            "{ stalledInspections(ages: [\"1h\", \"86397s\", \"2d\"]) { minAge maxAge count statuses { status } }
               usual: stalledInspections { minAge }
               busiestHours(first: 1, timeZone: \"+01:00\") { weekday hour count } }",
        )
        .await;
    assert_eq!(texts(&data["stalledInspections"], &["count"]).join(" "), "0 0 1 0");
    assert_eq!(texts(&data["stalledInspections"], &["minAge"]).join(" "), "null 1h 86397s 2d");
    assert_eq!(texts(&data["stalledInspections"], &["maxAge"]).join(" "), "1h 86397s 2d null");
    assert_eq!(texts(&data["usual"], &["minAge"]).join(" "), "null 1h 24h 3d 7d 30d");
    assert_eq!(data["busiestHours"], serde_json::json!([{ "weekday": "MONDAY", "hour": 1, "count": 4 }]));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let hub = fixture().await;
    for (field, word) in [
        ("inspectionCounts(timeZone: \"Mars\") { count }", "timeZone"),
        ("busiestHours(timeZone: \"+15:00\") { count }", "timeZone"),
        ("busiestHours(first: 0) { count }", "`first` is 0"),
        ("busiestHours(first: 169) { count }", "`first` is 169"),
        ("timeInStatus(since: \"2024-01-03T00:00:00Z\") { count }", "begins at 2024-01-03"),
        ("funnel(since: \"2020-01-01T00:00:00Z\") { inspections }", "days long"),
        ("stalledInspections(ages: []) { count }", "0 ages"),
        ("stalledInspections(ages: [\"2h\", \"1h\"]) { count }", "ascending order"),
        ("stalledInspections(ages: [\"1h\", \"60m\"]) { count }", "ascending order"),
        ("stalledInspections(ages: [\"soon\"]) { count }", "not a duration"),
    ] {
        let (code, message, _) = hub.error_of(format!("{{ {field} }}")).await;
        assert_eq!(code, "BAD_USER_INPUT", "{field}");
        assert!(message.contains(word), "{field}: {message}");
    }
}

#[tokio::test]
async fn counts_follow_the_history() {
    let hub = fixture().await;
    let count = async || hub.query("{ inspections { totalCount } }").await["inspections"]["totalCount"].clone();
    assert_eq!(count().await, 3);
    hub.entity(4, EntityType::Inspection, |_| {}).await;
    hub.change(6, Kind::Inspection, 4, |_| {}).await;
    assert_eq!(count().await, 4);
    // Another history, with the same position.
    let rebuilt = "DELETE FROM entity WHERE row_id > 2; UPDATE log_head SET generation = generation + 1";
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, rebuilt).await.expect("rebuilt");
    assert_eq!(count().await, 2);
    // An older one.
    let set_back = "DELETE FROM entity WHERE row_id > 1; UPDATE log_head SET position = 1";
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, set_back).await.expect("set back");
    assert_eq!(count().await, 1);
}

#[tokio::test]
async fn counting_all_reads_nothing_twice() {
    let hub = fixture().await;
    hub.query("{ statusCounts { count } }").await;
    for query in [
        "{ inspections(first: 0) { totalCount } }",
        "{ statusCounts(filter: { vendor: [\"pave\"], source: [\"lot\"], status: [COMPLETED] }) { count } }",
        "{ inspectionCounts(groupBy: [DAY, VENDOR, SOURCE, STATUS]) { count } }",
    ] {
        hub.count_statements(query).await;
        let log = hub.statements.lock().expect("a log").join("\n");
        assert!(log.contains("log_head") && !log.contains("COUNT"), "{query}: {log}");
    }
}
