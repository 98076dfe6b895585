//! Several hubs on one database share one history. A subscriber of one receives the changes that the others write.

use crate::test_hub::TestHub;
use crate::vendor_client::VendorClient;
use serde_json::{Value, json};

const CHANGES: &str = "subscription($after: String) { changes(after: $after) { position cursor } }";

fn base(app: &TestHub) -> String {
    app.url("")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hubs_write_one_history_without_holes() {
    let one = TestHub::start().await;
    let other = one.second_hub().await;
    let sender = VendorClient::new(1_200);
    sender.send_unacknowledged(&[base(&one), base(&other)]).await;
    assert!(sender.is_done());
    for hub in [&one, &other] {
        assert_eq!(sender.discrepancies(&base(hub)).await, Vec::<String>::new());
    }
    assert_eq!(
        one.query("{ statusCounts { status count } }").await,
        other.query("{ statusCounts { status count } }").await
    );
    let (code, text) = crate::verify::verify(&one.database);
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_receives_changes_of_other_hubs_and_resumes_at_another() {
    let one = TestHub::start().await;
    let other = one.second_hub().await;
    let start = one.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let mut live = one.subscribe(CHANGES, json!({ "after": start })).await;
    let sender = VendorClient::new(60);
    sender.send_unacknowledged(&[base(&other)]).await;
    let mut received = Vec::new();
    let mut cursor = Value::Null;
    while received.len() < 40 {
        let change = live.next_data().await["changes"].clone();
        cursor = change["cursor"].clone();
        received.push(change["position"].clone());
    }
    drop(live);
    let third = other.restart().await;
    let mut live = third.subscribe(CHANGES, json!({ "after": cursor })).await;
    let history = one.changes().await;
    while received.len() < history.len() {
        received.push(live.next_data().await["changes"]["position"].clone());
    }
    assert_eq!(received, history.iter().map(|change| change["position"].clone()).collect::<Vec<_>>());
}

// A rolling restart, without an effect on senders and subscribers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubs_are_replaced_one_by_one_under_traffic() {
    let mut hubs = vec![TestHub::start().await];
    hubs.push(hubs[0].second_hub().await);
    let sender = VendorClient::new(900);
    let listener = hubs[0].second_hub().await;
    let start = listener.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let mut live = listener.subscribe(CHANGES, json!({ "after": start })).await;
    for _ in 0..4 {
        let sending = sender.start_sending(&hubs.iter().map(base).collect::<Vec<_>>());
        sender.wait_for_more_acknowledged(150).await;
        let old = hubs.remove(0);
        let new = old.second_hub().await;
        old.hub.stop().await;
        hubs.push(new);
        sending.await.expect("sent");
    }
    while !sender.is_done() {
        sender.send_unacknowledged(&hubs.iter().map(base).collect::<Vec<_>>()).await;
    }
    assert_eq!(sender.discrepancies(&base(&hubs[0])).await, Vec::<String>::new());
    let history = listener.changes().await;
    let mut received = Vec::new();
    while received.len() < history.len() {
        received.push(live.next_data().await["changes"]["position"].clone());
    }
    assert_eq!(received, history.iter().map(|change| change["position"].clone()).collect::<Vec<_>>());
}
