//! Several hubs on one database: one history, one order, and whoever listens to one hears what the others receive.

use crate::driver::App;
use crate::sender::Sender;
use serde_json::{Value, json};
use std::time::Duration;

const CHANGES: &str = "subscription($after: String) { changes(after: $after) { position cursor } }";

fn base(app: &App) -> String {
    app.url("")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hubs_write_one_history_without_holes() {
    let one = App::start().await;
    let other = one.beside().await;
    let sender = Sender::new(1_200);
    sender.send(&[base(&one), base(&other)]).await;
    assert!(sender.is_done());
    for hub in [&one, &other] {
        assert_eq!(sender.complaints(&base(hub)).await, Vec::<String>::new());
    }
    // Each has written, and each inspection has heard from both.
    assert_eq!(
        one.ask("{ statusCounts { status count } }").await,
        other.ask("{ statusCounts { status count } }").await
    );
    let (code, text) = crate::verify::verify(&one.database);
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_to_one_hears_what_another_receives_and_goes_on_at_a_third() {
    let one = App::start().await;
    let other = one.beside().await;
    let start = one.ask("{ head { cursor } }").await["head"]["cursor"].clone();
    let mut live = one.subscribe(CHANGES, json!({ "after": start })).await;
    let sender = Sender::new(60);
    sender.send(&[base(&other)]).await;
    let mut heard = Vec::new();
    let mut cursor = Value::Null;
    while heard.len() < 40 {
        let change = live.next().await["changes"].clone();
        cursor = change["cursor"].clone();
        heard.push(change["position"].clone());
    }
    drop(live);
    let third = other.restart().await;
    let mut live = third.subscribe(CHANGES, json!({ "after": cursor })).await;
    let history = one.changes().await;
    while heard.len() < history.len() {
        heard.push(live.next().await["changes"]["position"].clone());
    }
    assert_eq!(heard, history.iter().map(|change| change["position"].clone()).collect::<Vec<_>>());
}

// One after the other goes and comes back, and who sends and who listens need not care.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubs_are_replaced_one_by_one_under_traffic() {
    let mut hubs = vec![App::start().await];
    hubs.push(hubs[0].beside().await);
    let sender = Sender::new(900);
    let listener = hubs[0].beside().await;
    let start = listener.ask("{ head { cursor } }").await["head"]["cursor"].clone();
    let mut live = listener.subscribe(CHANGES, json!({ "after": start })).await;
    for _ in 0..4 {
        let sending = tokio::spawn({
            let (sender, urls) = (sender.clone(), hubs.iter().map(base).collect::<Vec<_>>());
            async move { sender.send(&urls).await }
        });
        sender.more(150).await;
        let old = hubs.remove(0);
        let new = old.beside().await;
        old.hub.stop().await;
        hubs.push(new);
        sending.await.expect("sent");
    }
    while !sender.is_done() {
        sender.send(&hubs.iter().map(base).collect::<Vec<_>>()).await;
    }
    assert_eq!(sender.complaints(&base(&hubs[0])).await, Vec::<String>::new());
    let history = listener.changes().await;
    let mut heard = Vec::new();
    while heard.len() < history.len() {
        let next = tokio::time::timeout(Duration::from_secs(20), live.next()).await.expect("in time");
        heard.push(next["changes"]["position"].clone());
    }
    assert_eq!(heard, history.iter().map(|change| change["position"].clone()).collect::<Vec<_>>());
}
