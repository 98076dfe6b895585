//! Positions over NATS: other hubs receive them, and lose nothing while the server is unavailable.

use crate::test_hub::{TIMEOUT, TestHub};
use crate::vendor_client::VendorClient;
use futures_util::StreamExt;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const CHANGES: &str = "subscription($after: String) { changes(after: $after) { position cursor } }";

/// Ends when it is dropped: its input ends then.
struct NatsServer(Child);

impl NatsServer {
    fn start(port: u16) -> NatsServer {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nats.sh");
        let mut process = Command::new(script)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/nats.sh starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("an output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), "serving");
        NatsServer(process)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nats_loses_costs_nothing() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    // The hubs start before the server.
    let one = TestHub::with(&format!("nats = \"nats://127.0.0.1:{port}\"")).await;
    let other = one.second_hub().await;
    let start = one.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let mut live = one.subscribe(CHANGES, json!({ "after": start })).await;
    let mut received = Vec::new();
    let sender = VendorClient::new(120);
    for round in 0..3 {
        // Stopped in the first and in the last round.
        let server = (round == 1).then(|| NatsServer::start(port));
        if server.is_some() {
            let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
            let observer = options.connect(format!("127.0.0.1:{port}")).await.expect("NATS");
            let mut messages = observer.subscribe("inspection_hub.>").await.expect("a subscription");
            observer.flush().await.expect("subscribed");
            // Foreign messages on the subject do no harm.
            for text in ["9999999", "-1", "hello", ""] {
                observer.publish("inspection_hub.positions", text.into()).await.expect("published");
            }
            // A hub publishes its positions once it is connected to the server.
            let published = async {
                let mut number = 0;
                loop {
                    number += 1;
                    other
                        .post_json("hover", json!({ "event": "job-state-changed", "job_id": number, "state": "new" }))
                        .await;
                    let next = tokio::time::timeout(std::time::Duration::from_millis(200), messages.next()).await;
                    let Ok(Some(message)) = next else { continue };
                    let position = String::from_utf8_lossy(&message.payload).parse::<i64>().unwrap_or_default();
                    if position > 0 && position < 9_999_999 {
                        break;
                    }
                }
            };
            tokio::time::timeout(TIMEOUT, published).await.expect("published in time");
        }
        sender.send_unacknowledged(&[other.url("")]).await;
        let history = other.changes().await;
        while received.len() < history.len() {
            received.push(live.next_data().await["changes"]["position"].clone());
        }
        assert_eq!(received, history.iter().map(|change| change["position"].clone()).collect::<Vec<_>>());
        other.post_json("truto", json!({ "id": format!("e{round}"), "event": "x" })).await;
    }
    assert!(sender.is_done());
}
