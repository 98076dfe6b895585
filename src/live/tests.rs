//! Many subscribers of one operation.

use super::*;
use crate::graphql::tests::{ApiFixture, cursor_of};
use crate::request::tests::prepared;
use entity::{Kind, Verdict};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

const ALL: &str = "subscription($after: String) { changes(after: $after) { position cursor } }";
const STALE: &str =
    "subscription($after: String) { changes(after: $after, filter: { verdict: [STALE] }) { position cursor
    inspection { state } delivery { id } } }";

/// A hub with an inspection, the delivery of all changes, and a running feed.
async fn hub(limits: BufferLimits) -> (Arc<ApiFixture>, Arc<SubscriptionManager>, DropGuard) {
    let hub = Arc::new(ApiFixture::new().await);
    hub.inspection(1).await;
    hub.delivery(1, 1, 1, |_| {}).await;
    let stop = CancellationToken::new();
    tokio::spawn(hub.feed.clone().run(stop.clone()));
    let live = SubscriptionManager::with_buffer_limits(hub.pipeline(), hub.feed.clone(), limits);
    (hub, live, stop.drop_guard())
}

/// Writes and publishes changes; every third is stale.
async fn write(hub: &ApiFixture, positions: impl Iterator<Item = i64>) {
    for position in positions {
        let verdict = if position % 3 == 0 { Verdict::Stale } else { Verdict::Applied };
        hub.change(position, Kind::Inspection, 1, |row| row.verdict = verdict).await;
        hub.feed.publish(position);
    }
}

fn after(position: i64) -> Value {
    json!({ "after": cursor_of(position) })
}

fn operation(query: &str, variables: Value) -> Params {
    serde_json::from_value(json!({ "query": query, "variables": variables })).expect("a request")
}

async fn next_message(answers: &mut SubscriptionStream) -> Option<StreamMessage> {
    tokio::time::timeout(Duration::from_secs(20), answers.next()).await.expect("a message in time")
}

/// The next changes, each with its position.
async fn next_changes(answers: &mut SubscriptionStream) -> Vec<(i64, Value)> {
    match next_message(answers).await {
        Some(StreamMessage::Next(payloads)) => payloads.entries().map(|entry| change(&entry.payload)).collect(),
        other => panic!("{other:?}"),
    }
}

fn change(payload: &[u8]) -> (i64, Value) {
    let payload: Value = serde_json::from_slice(payload).expect("JSON");
    let change = payload["data"]["changes"].clone();
    (change["position"].as_i64().unwrap_or_else(|| panic!("{payload}")), change)
}

async fn error(answers: &mut SubscriptionStream) -> Value {
    loop {
        match next_message(answers).await {
            Some(StreamMessage::Next(_)) => {}
            Some(StreamMessage::Error(errors)) => {
                assert!(answers.next().await.is_none(), "it has ended");
                return serde_json::from_slice::<Value>(&errors).expect("JSON")[0].clone();
            }
            None => panic!("it ended without an error"),
        }
    }
}

/// Reads positions until one is reached.
async fn until(answers: &mut SubscriptionStream, end: i64) -> Vec<i64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&end) {
        seen.extend(next_changes(answers).await.into_iter().map(|(position, _)| position));
    }
    seen
}

#[tokio::test]
async fn subscribers_of_the_same_operation_share_one_execution() {
    let (hub, live, _run) = hub(BufferLimits::default()).await;
    let query = "subscription($after: String) { changes(after: $after) { position inspection { state } } }";
    let mut first = live.execute(operation(query, json!({})), &Caller::unlimited(None));
    let mut second = live.execute(operation(query, after(0)), &Caller::unlimited(None));
    let mut other = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    // They start when they are first polled.
    assert!([&mut first, &mut second, &mut other].into_iter().all(|answers| answers.next().now_or_never().is_none()));
    write(&hub, 1..=1).await;
    for answers in [&mut first, &mut second, &mut other] {
        assert_eq!(next_changes(answers).await[0].0, 1);
    }
    assert_eq!((live.subscribers(), live.shared_executions(), live.executions_started()), (3, 2, 2));
    hub.statements.lock().expect("a log").clear();
    write(&hub, 2..=2).await;
    let payload = |message: Option<StreamMessage>| match message {
        Some(StreamMessage::Next(payloads)) => payloads.entries().next().expect("a payload").payload.clone(),
        other => panic!("{other:?}"),
    };
    let (one, two) = (payload(next_message(&mut first).await), payload(next_message(&mut second).await));
    assert_eq!(one.as_ptr(), two.as_ptr(), "serialised once");
    // The feed reads the change and what names its entity; the execution reads the inspection.
    let statements = hub.statements.lock().expect("a log").clone();
    let of_the_inspection = statements.iter().filter(|statement| statement.contains("\"entity\".\"state\"")).count();
    assert_eq!(of_the_inspection, 1, "{statements:?}");
    drop((first, second));
    assert_eq!((live.subscribers(), live.shared_executions()), (1, 1));
    drop(other);
    assert_eq!((live.subscribers(), live.shared_executions()), (0, 0));
}

#[tokio::test]
async fn a_position_belongs_to_its_payload() {
    let (hub, _, _run) = hub(BufferLimits::default()).await;
    write(&hub, 1..=60).await;
    for (query, count) in [(ALL, 60), (STALE, 20)] {
        let progress = SubscriptionProgress::new(StartPosition::Position(0), Some(60));
        let mut answers = hub.pipeline().subscribe(&prepared(query, json!({})), &progress);
        let mut seen = 0;
        while let Some(answer) = answers.next().await {
            let payload = message::serialize_response(&answer);
            let position = progress.ack().expect("the response is about a change");
            assert_eq!(change(&payload).0, position);
            assert_eq!(progress.scanned_to(), position);
            seen += 1;
        }
        assert_eq!((seen, progress.scanned_to()), (count, 60));
    }
    // Without acknowledgements there is no second response.
    let progress = SubscriptionProgress::new(StartPosition::Position(0), Some(60));
    let answers: Vec<_> = hub.pipeline().subscribe(&prepared(ALL, json!({})), &progress).collect().await;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1].errors.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_subscription_has_no_gap_and_no_repeat() {
    const END: i64 = 600;
    let (hub, live, _run) = hub(BufferLimits::default()).await;
    write(&hub, 1..=20).await;
    let writer = hub.clone();
    let writing = tokio::spawn(async move {
        for position in 21..=END {
            write(&writer, position..=position).await;
            if position % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let mut subscribers = tokio::task::JoinSet::new();
    for number in 0..24_u64 {
        let live = live.clone();
        subscribers.spawn(async move {
            let query = if number % 2 == 0 { ALL } else { STALE };
            let (mut seen, mut random) = (Vec::new(), number);
            while seen.last() != Some(&END) {
                let last = seen.last().copied().unwrap_or(i64::try_from(number % 5).expect("small"));
                let mut answers = live.execute(operation(query, after(last)), &Caller::unlimited(None));
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let cut = (random >> 33) % 40 + 1;
                for _ in 0..cut {
                    if seen.last() == Some(&END) {
                        break;
                    }
                    let mut positions: Vec<i64> =
                        next_changes(&mut answers).await.into_iter().map(|(it, _)| it).collect();
                    if positions.len() > 1 && cut % 3 == 0 {
                        // Disconnected within a batch.
                        positions.truncate(positions.len() / 2);
                        seen.extend(positions);
                        break;
                    }
                    seen.extend(positions);
                }
            }
            (number, seen)
        });
    }
    writing.await.expect("written");
    while let Some(subscriber) = subscribers.join_next().await {
        let (number, seen) = subscriber.expect("it ended well");
        let begin = i64::try_from(number % 5).expect("small");
        let expected: Vec<i64> = (begin + 1..=END).filter(|position| number % 2 == 0 || position % 3 == 0).collect();
        assert_eq!(seen, expected, "subscriber {number}");
    }
    assert_eq!((live.subscribers(), live.shared_executions()), (0, 0));
}

#[tokio::test]
async fn a_slow_subscriber_is_disconnected_and_can_resume() {
    let (hub, live, _run) = hub(BufferLimits { messages: 8, ..BufferLimits::default() }).await;
    let mut slow = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    let mut fast = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    write(&hub, 1..=3).await;
    assert_eq!(until(&mut fast, 3).await, [1, 2, 3]);
    let first = next_changes(&mut slow).await;
    let last = first.last().expect("one").0;
    for position in 4..=40 {
        write(&hub, position..=position).await;
        assert_eq!(until(&mut fast, position).await, [position]);
    }
    let error = error(&mut slow).await;
    assert_eq!(error["extensions"]["code"], "SLOW_CONSUMER");
    assert_eq!(error["extensions"]["cursor"], after(last)["after"]);
    assert_eq!(live.subscribers(), 1, "it does not delay others any more");
    let mut resumed = live.execute(operation(ALL, after(last)), &Caller::unlimited(None));
    assert_eq!(until(&mut resumed, 40).await, (last + 1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_execution_waits_for_its_only_subscriber() {
    let limits = BufferLimits { messages: 8, stall_timeout: Duration::from_secs(60), ..BufferLimits::default() };
    let (hub, live, _run) = hub(limits).await;
    let mut only = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    let writer = hub.clone();
    tokio::spawn(async move { write(&writer, 1..=30).await });
    let mut seen = Vec::new();
    while seen.last() != Some(&30) {
        seen.extend(next_changes(&mut only).await.into_iter().map(|(position, _)| position));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_execution_does_not_wait_for_ever() {
    let limits = BufferLimits { messages: 8, stall_timeout: Duration::from_millis(50), ..BufferLimits::default() };
    let (hub, live, _run) = hub(limits).await;
    let mut only = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    write(&hub, 1..=1).await;
    assert_eq!(until(&mut only, 1).await, [1]);
    // It reads nothing more.
    for position in 2..=120 {
        write(&hub, position..=position).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let begun = std::time::Instant::now();
    while live.shared_executions() > 0 && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = error(&mut only).await;
    assert_eq!(
        (&error["extensions"]["code"], &error["extensions"]["cursor"]),
        (&json!("SLOW_CONSUMER"), &after(1)["after"])
    );
}

#[tokio::test]
async fn an_execution_fails_for_all_subscribers_and_can_start_again() {
    let (hub, live, _run) = hub(BufferLimits::default()).await;
    let wrong = "subscription { inspectionChanged(id: \"x\") { position } }";
    for mut answers in [
        live.execute(operation(wrong, json!({})), &Caller::unlimited(None)),
        live.execute(operation(wrong, json!({})), &Caller::unlimited(None)),
    ] {
        assert_eq!(error(&mut answers).await["extensions"]["code"], "BAD_USER_INPUT");
    }
    assert_eq!((live.subscribers(), live.shared_executions()), (0, 0));
    let mut begun = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    write(&hub, 1..=1).await;
    assert_eq!(next_changes(&mut begun).await[0].0, 1);
    for (query, variables, code) in [
        (ALL, after(7), "CURSOR_OUT_OF_RANGE"),
        (ALL, json!({ "after": "nonsense" }), "CURSOR_INVALID"),
        ("subscription { changes { position } jobChanged { position } }", json!({}), "BAD_USER_INPUT"),
    ] {
        let mut answers = live.execute(operation(query, variables), &Caller::unlimited(None));
        assert_eq!(error(&mut answers).await["extensions"]["code"], code, "{query}");
    }
    for query in ["{ nothing }", "subscription { nothing }", "nonsense", "subscription { changes { nothing } }"] {
        let mut answers = live.execute(operation(query, json!({})), &Caller::unlimited(None));
        assert!(error(&mut answers).await["message"].is_string(), "{query}");
    }
    let mut once = live
        .execute(operation("{ head { position } inspection(id: \"x\") { id } }", json!({})), &Caller::unlimited(None));
    assert!(
        matches!(next_message(&mut once).await, Some(StreamMessage::Next(_))),
        "the error of a field comes with the data"
    );
    assert!(next_message(&mut once).await.is_none());
}

#[tokio::test]
async fn without_a_cursor_a_subscription_begins_now() {
    let (hub, live, _run) = hub(BufferLimits::default()).await;
    let mut early = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    write(&hub, 1..=5).await;
    let mut late = live.execute(operation(ALL, json!({})), &Caller::unlimited(None));
    write(&hub, 6..=6).await;
    assert_eq!(until(&mut late, 6).await, [6]);
    assert_eq!(until(&mut early, 6).await, [1, 2, 3, 4, 5, 6]);
}
