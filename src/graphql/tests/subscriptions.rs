//! Subscriptions.

use super::*;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

type ResponseStream = BoxStream<'static, async_graphql::Response>;

fn subscribe(hub: &ApiFixture, subscription: &str) -> ResponseStream {
    hub.graph.execute_stream(Request::new(format!("subscription {{ {subscription} }}")))
}

async fn next(answers: &mut ResponseStream) -> Value {
    let answer = tokio::time::timeout(Duration::from_secs(60), answers.next()).await.expect("a message in time");
    let answer = answer.expect("another message");
    assert_eq!(answer.errors, []);
    answer.data.into_json().expect("JSON")
}

fn first_cursor() -> String {
    cursor_of(0)
}

#[tokio::test]
async fn what_passed_comes_first_and_joins_what_happens() {
    let hub = ApiFixture::new().await;
    let stop = CancellationToken::new();
    let run = tokio::spawn(hub.feed.clone().run(stop.clone()));
    let id = hub.inspection(1).await;
    hub.change(1, Kind::Inspection, 1, |_| {}).await;
    hub.change(2, Kind::Inspection, 1, |_| {}).await;
    let after = cursor_of(1);
    let fields = "{ position cursor entityId inspection { id state } }";
    let mut resumed = subscribe(&hub, &format!("changes(after: \"{after}\") {fields}"));
    let first = next(&mut resumed).await;
    assert_eq!(first["changes"]["position"], 2);
    assert_eq!(first["changes"]["cursor"], cursor_of(2));
    assert_eq!(first["changes"]["entityId"], id.to_string());
    assert_eq!(first["changes"]["inspection"], serde_json::json!({ "id": id.to_string(), "state": "STARTED" }));

    let mut fresh = subscribe(&hub, &format!("changes {fields}"));
    let waiting = tokio::time::timeout(Duration::from_millis(500), fresh.next()).await;
    assert!(waiting.is_err(), "it begins at the head");
    for position in 3..=5 {
        hub.change(position, Kind::Inspection, 1, |_| {}).await;
        hub.feed.publish(position);
    }
    for position in 3..=5 {
        assert_eq!(next(&mut resumed).await["changes"]["position"], position);
        assert_eq!(next(&mut fresh).await["changes"]["position"], position);
    }
    stop.cancel();
    run.await.expect("the feed stopped");
}

#[tokio::test]
async fn an_inspection_reads_as_it_is_when_the_change_is_told() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    hub.change(1, Kind::Inspection, 1, |_| {}).await;
    hub.change(2, Kind::Inspection, 1, |_| {}).await;
    let mut changes = subscribe(&hub, &format!("changes(after: \"{}\") {{ inspection {{ state }} }}", first_cursor()));
    assert_eq!(next(&mut changes).await["changes"]["inspection"]["state"], "STARTED");
    let row = entity::entity::ActiveModel { row_id: Set(1), state: Set(Some("PROCESS".into())), ..Default::default() };
    row.update(&hub.writer).await.expect("updated");
    assert_eq!(next(&mut changes).await["changes"]["inspection"]["state"], "PROCESS");
}

#[tokio::test]
async fn only_what_fits_and_had_an_effect_is_told() {
    let hub = ApiFixture::new().await;
    let id = hub.inspection(1).await;
    hub.inspection(2).await;
    hub.entity(3, REPORT, |row| row.inspection_row_id = Some(1)).await;
    hub.change(1, Kind::Inspection, 2, |row| row.inspection_row_id = Some(2)).await;
    hub.change(2, Kind::Inspection, 1, |row| row.verdict = Verdict::Stale).await;
    hub.change(3, Kind::Job, 3, |row| row.to_status = Some(Status::Running)).await;
    hub.change(4, Kind::Inspection, 1, |_| {}).await;
    hub.change(5, Kind::Inspection, 1, |row| {
        (row.from_status, row.to_status) = (Some(Status::Started), Some(Status::InProgress));
    })
    .await;
    let after = first_cursor();
    for (subscription, expected) in [
        ("changes(AFTER)", "1 2 3 4 5"),
        ("changes(AFTER, filter: { kind: [JOB] })", "3"),
        ("changes(AFTER, filter: { verdict: [STALE] })", "2"),
        ("changes(AFTER, filter: { inspection: \"ID\" })", "2 3 4 5"),
        ("changes(AFTER, filter: { entity: \"ID\", toStatus: [STARTED] })", "2 4"),
        ("inspectionChanged(AFTER)", "1 4 5"),
        ("inspectionChanged(id: \"ID\", AFTER)", "4 5"),
        ("inspectionChanged(AFTER, filter: { externalId: \"KEY-2\" })", "1"),
        ("inspectionChanged(AFTER, filter: { status: [REQUESTED] })", "1 leavesFilter 4 leavesFilter"),
        ("inspectionChanged(AFTER, filter: { status: [STARTED], source: [\"lot\"] })", "1 4 5 leavesFilter"),
        ("jobChanged(AFTER, filter: { kind: [CONDITION_REPORT], inspection: \"ID\", status: [RUNNING] })", "3"),
        ("jobChanged(AFTER, filter: { kind: [PDF] })", ""),
        ("sessionChanged(AFTER)", ""),
    ] {
        let field = subscription.replace("AFTER", &format!("after: \"{after}\"")).replace("ID", &id.to_string());
        let mut answers = subscribe(&hub, &format!("it: {field} {{ position leavesFilter }}"));
        let mut received = Vec::new();
        for _ in expected.split(' ').filter(|word| !matches!(*word, "leavesFilter" | "")) {
            let change = next(&mut answers).await;
            received.push(change["it"]["position"].to_string());
            if change["it"]["leavesFilter"] == true {
                received.push("leavesFilter".into());
            }
        }
        assert_eq!(received.join(" "), expected, "{subscription}");
        let more = tokio::time::timeout(Duration::from_millis(30), answers.next()).await;
        assert!(more.is_err(), "{subscription}: {more:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_listened_to_is_refused() {
    let hub = ApiFixture::new().await;
    hub.change(1, Kind::Inspection, 1, |_| {}).await;
    let beyond = cursor_of(2);
    let foreign = super::super::cursor::Cursor::Change { position: 1, generation: 8 }.encode();
    for (subscription, expected) in [
        (format!("changes(after: \"{beyond}\") {{ position }}"), "CURSOR_OUT_OF_RANGE"),
        (format!("changes(after: \"{foreign}\") {{ position }}"), "CURSOR_INVALIDATED"),
        ("changes(after: \"x\") { position }".into(), "CURSOR_INVALID"),
        ("inspectionChanged(id: \"x\") { position }".into(), "BAD_USER_INPUT"),
        ("jobChanged(filter: { stalledFor: \"1h\" }) { position }".into(), "BAD_USER_INPUT"),
    ] {
        let mut answers = subscribe(&hub, &subscription);
        let answer = answers.next().await.expect("an answer");
        assert_eq!(only_error(&answer).0, expected, "{subscription}");
        assert!(answers.next().await.is_none(), "{subscription}");
    }
}

#[tokio::test]
async fn who_is_overtaken_by_forgetting_is_told_so() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    // More than are read at once.
    for position in 1..=510 {
        hub.change(position, Kind::Inspection, 1, |_| {}).await;
    }
    let mut changes = subscribe(&hub, &format!("changes(after: \"{}\") {{ position }}", first_cursor()));
    assert_eq!(next(&mut changes).await["changes"]["position"], 1);
    for text in ["DELETE FROM change_row WHERE position <= 505", "UPDATE log_head SET retained_from = 505"] {
        sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, text).await.expect("purged");
    }
    // What it has read already it gets.
    for position in 2..=500 {
        assert_eq!(next(&mut changes).await["changes"]["position"], position);
    }
    let answer = changes.next().await.expect("an answer");
    assert_eq!(only_error(&answer).0, "CURSOR_EXPIRED");
    assert!(changes.next().await.is_none());
    let mut left = subscribe(&hub, &format!("changes(after: \"{}\") {{ position }}", cursor_of(505)));
    assert_eq!(next(&mut left).await["changes"]["position"], 506);
}

#[tokio::test]
async fn a_listener_that_fails_ends() {
    let hub = ApiFixture::new().await;
    let mut changes = subscribe(&hub, "changes { position }");
    // The subscription begins when it is first polled.
    assert!(tokio::time::timeout(Duration::from_millis(500), changes.next()).await.is_err());
    drop(changes);
    let mut changes = subscribe(&hub, "changes { inspection { id } position }");
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, "ALTER TABLE change_row RENAME TO gone")
        .await
        .expect("renamed");
    let answer = changes.next().await.expect("an answer");
    assert_eq!(only_error(&answer).0, "INTERNAL");
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn a_change_is_told_with_one_statement_per_type_asked_for() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    hub.delivery(1, 1, 3, |_| {}).await;
    for position in 1..=3 {
        hub.change(position, Kind::Inspection, 1, |_| {}).await;
    }
    let after = first_cursor();
    for (fields, expected) in [
        ("{ position entityId toStatus }", 0),
        ("{ inspection { id status } }", 1),
        ("{ inspection { id } session { id } job { id } delivery { id } }", 2),
    ] {
        let mut changes = subscribe(&hub, &format!("changes(after: \"{after}\") {fields}"));
        next(&mut changes).await;
        hub.statements.lock().expect("a log").clear();
        next(&mut changes).await;
        assert_eq!(hub.statements.lock().expect("a log").len(), expected, "{fields}");
    }
}
