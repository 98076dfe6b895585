//! Many subscribers on two hubs, disconnected again and again, while the hubs are killed and started and half of all hints are
//! dropped: each subscriber receives every change once, in order.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::vendor_client::{VendorClient, all_nodes};
use futures_util::{SinkExt, StreamExt};
use rand::Rng;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The URLs of the running hubs.
type Urls = Arc<Mutex<Vec<String>>>;

/// The changes that one subscriber received.
#[derive(Default)]
struct ReceivedChanges {
    positions: Vec<i64>,
    cursor: Value,
}

// Reads until the connection is lost, this many changes arrived, or the history ends. The caller checks the result.
async fn listen(url: &str, received: &mut ReceivedChanges, most: usize, ended: impl Fn(usize) -> bool) -> Option<()> {
    let mut request = format!("{}/graphql", url.replace("http", "ws")).into_client_request().ok()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().ok()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.ok()?;
    let query = "subscription($after: String) { changes(after: $after) { position cursor } }";
    let payload = json!({ "query": query, "variables": { "after": received.cursor } });
    for message in [json!({ "type": "connection_init" }), json!({ "id": "1", "type": "subscribe", "payload": payload })]
    {
        socket.send(Message::text(message.to_string())).await.ok()?;
    }
    let mut taken = 0;
    while taken < most {
        // With many subscribers on few cores, the next message may take long. The loop ends with the history, not by this time.
        let Ok(message) = tokio::time::timeout(Duration::from_millis(500), socket.next()).await else {
            if ended(received.positions.len()) {
                break;
            }
            continue;
        };
        let Message::Text(text) = message?.ok()? else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert_ne!(message["type"], "error", "{message:#}");
        if message["type"] == "next" {
            let change = &message["payload"]["data"]["changes"];
            received.positions.push(change["position"].as_i64().expect("a position"));
            received.cursor = change["cursor"].clone();
            taken += 1;
        }
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_misses_anything_whatever_is_cut() {
    let many = std::env::var("SOAK_SUBSCRIBERS").ok().and_then(|many| many.parse().ok()).unwrap_or(24);
    // The limit of the whole test.
    let patience = Duration::from_secs(300 + many);
    let deliveries = 600;
    let database = Arc::new(TestDatabase::new().await);
    let lossy = [("FAILPOINT_DISABLED_RULE", "hints".to_owned())];
    let mut servers = vec![HubProcess::with(&database, &lossy).await, HubProcess::with(&database, &lossy).await];
    let urls: Urls = Arc::new(Mutex::new(servers.iter().map(|server| server.url.clone()).collect()));
    let client = crate::test_hub::client();
    let head = json!({ "query": "{ head { cursor } }" });
    let head: Value = client
        .post(format!("{}/graphql", servers[0].url))
        .json(&head)
        .send()
        .await
        .expect("sent")
        .json()
        .await
        .expect("JSON");
    let start = head["data"]["head"]["cursor"].clone();
    let sender = VendorClient::new(deliveries);
    // The length of the final history.
    let length = Arc::new(AtomicUsize::new(usize::MAX));
    let begun = Instant::now();
    let subscribers: Vec<_> = (0..many)
        .map(|_| {
            let (urls, length, start) = (urls.clone(), length.clone(), start.clone());
            tokio::spawn(async move {
                let mut received = ReceivedChanges { positions: Vec::new(), cursor: start };
                let ended = |count| begun.elapsed() > patience || count >= length.load(Ordering::Relaxed);
                while !ended(received.positions.len()) {
                    let (url, most) = {
                        let urls = urls.lock().expect("lock");
                        let mut chance = rand::rng();
                        (urls[chance.random_range(0..urls.len())].clone(), chance.random_range(1..150))
                    };
                    if listen(&url, &mut received, most, ended).await.is_none() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                received.positions
            })
        })
        .collect();
    for round in 0..4 {
        let sending = sender.start_sending(&urls.lock().expect("lock"));
        sender.wait_for_more_acknowledged(deliveries / 5).await;
        let old = servers.remove(0);
        old.kill();
        let new = HubProcess::with(&database, &lossy).await;
        servers.push(new);
        *urls.lock().expect("lock") = servers.iter().map(|server| server.url.clone()).collect();
        sending.await.unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    while !sender.is_done() {
        let urls = urls.lock().expect("lock").clone();
        sender.send_unacknowledged(&urls).await;
    }
    let history = all_nodes(&servers[0].url, "changes", "position").await;
    let history: Vec<i64> = history.iter().map(|change| change["position"].as_i64().expect("a position")).collect();
    length.store(history.len(), Ordering::Relaxed);
    for (number, subscriber) in subscribers.into_iter().enumerate() {
        assert_eq!(subscriber.await.expect("no panic"), history, "subscriber {number}");
    }
    assert_eq!(sender.discrepancies(&servers[0].url).await, Vec::<String>::new());
}
