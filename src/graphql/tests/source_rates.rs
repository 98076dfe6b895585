//! What a source received over time, at a fixed time.

use super::*;
use async_graphql::ServerError;
use entity::source_rate;
use sea_orm::IntoActiveModel;
use serde_json::json;

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// The time of the fixture's clock.
const NOW: i64 = BEGIN + 24 * HOUR;

impl ApiFixture {
    async fn rate(&self, source: &str, seconds: i32, begins_at: i64, edit: impl FnOnce(&mut source_rate::Model)) {
        let mut row = source_rate::Model { seconds, begins_at, source: source.into(), ..Default::default() };
        edit(&mut row);
        let row = row.into_active_model().reset_all();
        source_rate::Entity::insert(row).exec_without_returning(&self.writer).await.expect("inserted");
    }

    async fn source(&self, name: &str, fields: &str) -> Value {
        let data = self.query(format!("{{ sources {{ name {fields} }} }}")).await;
        let sources = data["sources"].as_array().expect("sources");
        sources.iter().find(|source| source["name"] == name).expect("a source").clone()
    }
}

fn begin(at: i64, length: i64) -> i64 {
    at - at.rem_euclid(length)
}

#[tokio::test]
async fn each_minute_has_its_counts_and_the_current_one_is_last() {
    let hub = ApiFixture::new().await;
    let current = begin(NOW, MINUTE);
    hub.rate("lot", 60, current, |row| row.accepted = 1).await;
    hub.rate("lot", 60, current - 2 * MINUTE, |row| (row.duplicates, row.rejected, row.quarantined) = (2, 3, 4)).await;
    hub.rate("lot", 60, current - 3 * MINUTE, |row| row.accepted = 99).await;
    hub.rate("lot", 60, current - 59 * MINUTE, |row| (row.not_authenticated, row.rate_limited) = (5, 6)).await;
    hub.rate("lot", 60, current - 60 * MINUTE, |row| row.unavailable = 1_000).await;
    hub.rate("lot", 3_600, begin(NOW, HOUR), |row| row.accepted = 1_000).await;
    hub.rate("yard", 60, current, |row| row.unavailable = 7).await;
    let lot = hub
        .source("lot", "rejectedLastHour rates(minutes: 3) { at accepted duplicates quarantined notAuthenticated rateLimited unavailable rejected }")
        .await;
    let at = |ago: i64| crate::store::read::datetime_from_micros(current - ago * MINUTE).to_rfc3339();
    let row = |ago: i64, counts: [i64; 3]| {
        let [accepted, duplicates, quarantined] = counts;
        json!({ "at": at(ago), "accepted": accepted, "duplicates": duplicates, "quarantined": quarantined, "notAuthenticated": 0,
            "rateLimited": 0, "unavailable": 0, "rejected": if ago == 2 { 3 } else { 0 } })
    };
    assert_eq!(lot["rates"], json!([row(2, [0, 2, 4]), row(1, [0, 0, 0]), row(0, [1, 0, 0])]));
    assert_eq!(lot["rejectedLastHour"], 3 + 5 + 6);
    let yard = hub.source("yard", "rejectedLastHour rates { at unavailable }").await;
    assert_eq!((yard["rates"].as_array().map(Vec::len), &yard["rates"][59]["unavailable"]), (Some(60), &json!(7)));
    assert_eq!(yard["rejectedLastHour"], 7);
    for minutes in [0, -1, 1_441, i32::MIN] {
        let query = format!("{{ sources {{ rates(minutes: {minutes}) {{ at }} }} }}");
        let response = hub.graph.execute(Request::new(query)).await;
        let is_refused = |error: &ServerError| error.message.contains("minutes are too few or too many");
        assert!(response.is_err() && response.errors.iter().all(is_refused), "{minutes}: {response:?}");
    }
    // All sources, and fields with the same period, share one statement.
    let statements = hub.count_statements("{ sources { rates { at } rejectedLastHour } }").await;
    assert_eq!(statements, 1);
}

#[tokio::test]
async fn the_usual_rate_is_that_of_a_week() {
    // Deliveries by hours before the current one, and the average.
    for (hours, expected) in [
        (vec![], Value::Null),
        (vec![(0, 50)], Value::Null),
        (vec![(0, 50), (23, 50)], Value::Null),
        (vec![(24, 12)], json!(0.5)),
        (vec![(0, 1_000), (1, 12), (48, 12)], json!(0.5)),
        (vec![(1, 168), (168, 168)], json!(2.0)),
        // The eighth day does not count, but it shows that the source was there.
        (vec![(1, 168), (170, 1_000)], json!(1.0)),
    ] {
        let hub = ApiFixture::new().await;
        for (ago, deliveries) in &hours {
            let edit = |row: &mut source_rate::Model| (row.accepted, row.not_authenticated) = (*deliveries, 9);
            hub.rate("lot", 3_600, begin(NOW, HOUR) - ago * HOUR, edit).await;
        }
        assert_eq!(hub.source("lot", "usualPerHour").await["usualPerHour"], expected, "{hours:?}");
    }
}
