//! Live changes over WebSocket, and resuming without gap or repeat.

use crate::test_hub::TestHub;
use serde_json::{Value, json};

fn status(key: &str, status: &str, minute: u32) -> Value {
    json!({ "event": "SESSION:STATUS_CHANGE", "session_key": key, "status": status,
        "timestamp": format!("2026-01-01T00:{minute:02}:00Z") })
}

#[tokio::test]
async fn a_change_is_seen_as_it_happens() {
    let app = TestHub::start().await;
    let query = "subscription { inspectionChanged { position cursor verdict fromState toState toStatus
        inspection { externalId vendor status } } }";
    let mut live = app.subscribe(query, json!({})).await;
    // The acknowledgement of the socket does not mean that the subscription has begun: earlier changes may be missed.
    let started = std::time::Instant::now();
    let seen = loop {
        assert!(started.elapsed() < crate::test_hub::TIMEOUT, "no change arrives");
        app.post_json("pave", status("LIVE", "STARTED", 0)).await;
        app.post_json("pave", status(&uuid::Uuid::new_v4().to_string(), "STARTED", 0)).await;
        if let Ok(seen) = tokio::time::timeout(std::time::Duration::from_millis(500), live.next_data()).await {
            break seen;
        }
    };
    let change = &seen["inspectionChanged"];
    assert_eq!((&change["verdict"], &change["toState"]), (&json!("APPLIED"), &json!("STARTED")));
    assert_eq!(change["inspection"]["vendor"], "pave");
}

#[tokio::test]
async fn a_resumed_subscription_has_no_gap_and_no_repeat() {
    let app = TestHub::start().await;
    for minute in 0..30 {
        app.post_json(
            "pave",
            status(&format!("K{}", minute % 7), ["STARTED", "PROCESS"][(minute / 7) as usize % 2], minute),
        )
        .await;
    }
    let history = app.changes().await;
    let start = history[history.len() / 3]["cursor"].clone();
    let query = "subscription($after: String) { changes(after: $after) { position cursor } }";
    let mut resumed = app.subscribe(query, json!({ "after": start })).await;
    let mut seen = Vec::new();
    while seen.len() < history.len() - history.len() / 3 - 1 {
        seen.push(resumed.next_data().await["changes"]["position"].clone());
    }
    // From the past into the live tail, and over a restart of the server.
    for minute in 30..40 {
        app.post_json("pave", status(&format!("L{minute}"), "STARTED", minute)).await;
    }
    let mut cursor = Value::Null;
    for _ in 0..15 {
        let change = resumed.next_data().await["changes"].clone();
        cursor = change["cursor"].clone();
        seen.push(change["position"].clone());
    }
    let app = app.restart().await;
    for minute in 40..45 {
        app.post_json("pave", status(&format!("M{minute}"), "STARTED", minute)).await;
    }
    let all = app.changes().await;
    let expected: Vec<_> = all.iter().skip(history.len() / 3 + 1).map(|change| change["position"].clone()).collect();
    let mut resumed = app.subscribe(query, json!({ "after": cursor })).await;
    while seen.len() < expected.len() {
        seen.push(resumed.next_data().await["changes"]["position"].clone());
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_are_decided_on_the_change() {
    let app = TestHub::start().await;
    let start = app.query("{ head { cursor } }").await["head"]["cursor"].clone();
    for (key, state) in [("A", "STARTED"), ("B", "STARTED"), ("A", "PROCESS"), ("B", "PROCESS"), ("A", "EXPIRED")] {
        let minute = ["STARTED", "PROCESS", "EXPIRED"].iter().position(|known| *known == state).unwrap_or(0);
        app.post_json("pave", status(key, state, minute as u32)).await;
    }
    let query =
        "subscription($after: String) { inspectionChanged(after: $after, filter: { externalId: \"A\" }) { toState } }";
    let mut only = app.subscribe(query, json!({ "after": start })).await;
    for expected in ["STARTED", "PROCESS", "EXPIRED"] {
        assert_eq!(only.next_data().await["inspectionChanged"]["toState"], expected);
    }
    let query = "subscription($after: String) { sessionChanged(after: $after, filter: { status: [CAPTURING] }) { fromStatus toStatus } }";
    let mut only = app.subscribe(query, json!({ "after": start })).await;
    for expected in ["CAPTURING", "CAPTURING", "EXPIRED"] {
        assert_eq!(only.next_data().await["sessionChanged"]["toStatus"], expected);
    }
}

#[tokio::test]
async fn wrong_cursors_are_refused_with_a_code() {
    let app = TestHub::start().await;
    let query = "subscription($after: String) { changes(after: $after) { position } }";
    let elsewhere = TestHub::start().await;
    let foreign = elsewhere.query("{ head { cursor } }").await["head"]["cursor"].as_str().expect("a cursor").to_owned();
    for (wrong, code) in [("nonsense", "CURSOR_INVALID"), ("", "CURSOR_INVALID"), (&foreign, "CURSOR_INVALIDATED")] {
        let mut subscription = app.subscribe(query, json!({ "after": wrong })).await;
        let answer = subscription.next_message().await.to_string();
        assert!(answer.contains(code), "{wrong}: {answer}");
    }
}
