//! kill -9 in the middle of a burst: what was acknowledged is there once, nothing twice, and positions have no hole.

use crate::database::TestDatabase;
use crate::driver::{PATIENCE, client};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub struct Server {
    process: Child,
    pub url: String,
}

impl Server {
    pub async fn start(database: &TestDatabase) -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let process = Command::new(env!("CARGO_BIN_EXE_inspection-hub"))
            .args(["serve", "--log", "warn", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--database", &database.address])
            .current_dir(database.folder.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Server { process, url: format!("http://127.0.0.1:{port}") };
        let (client, started) = (client(), Instant::now());
        while client.get(format!("{}/readyz", server.url)).send().await.is_err() {
            assert!(started.elapsed() < PATIENCE, "the server is not ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server
    }

    fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn body(number: usize) -> String {
    json!({ "event": "SESSION:STATUS_CHANGE", "session_key": format!("K{}", number / 4),
        "status": (["STARTED", "PROCESS", "QC_PASSED", "CONFIRM"][number % 4]),
        "timestamp": format!("2026-01-01T00:00:{:02}Z", number % 4) })
    .to_string()
}

/// How many deliveries a ledger counts, which must be the sum of its verdicts.
pub fn ledger_adds_up(ledger: &Value) -> u64 {
    let of = |name: &str| ledger[name].as_u64().expect("a count");
    let verdicts =
        ["applied", "stale", "skippedAhead", "refused", "noChange", "unrecognized", "unreadable", "orphaned"];
    let sum = verdicts.iter().map(|name| of(name)).sum::<u64>();
    assert_eq!(of("received") - of("duplicates"), sum, "{ledger}");
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_deliveries_survive_a_kill() {
    const DELIVERIES: usize = 4_000;
    let database = TestDatabase::new().await;
    // What we were told, by delivery: the sender's own ledger.
    let acknowledged: Arc<Mutex<BTreeMap<usize, String>>> = Arc::default();
    let mut kills = 0;
    while acknowledged.lock().expect("lock").len() < DELIVERIES {
        let server = Server::start(&database).await;
        let started = Instant::now();
        let senders: Vec<_> = (0..16)
            .map(|lane| {
                let (acknowledged, url, client) = (acknowledged.clone(), server.url.clone(), client());
                tokio::spawn(async move {
                    for number in (lane..DELIVERIES).step_by(16) {
                        if acknowledged.lock().expect("lock").contains_key(&number) {
                            continue;
                        }
                        let sent = client.post(format!("{url}/webhooks/pave")).body(body(number)).send().await;
                        let Ok(response) = sent else { return };
                        if response.status() != 200 {
                            continue;
                        }
                        let Ok(answer) = response.json::<Value>().await else { return };
                        let delivery = answer["delivery"].as_str().expect("an id").to_owned();
                        acknowledged.lock().expect("lock").insert(number, delivery);
                    }
                })
            })
            .collect();
        if kills < 4 {
            let enough = acknowledged.lock().expect("lock").len() + DELIVERIES / 6;
            while acknowledged.lock().expect("lock").len() < enough && started.elapsed() < PATIENCE {
                tokio::task::yield_now().await;
            }
            server.kill();
            kills += 1;
        }
        for sender in senders {
            sender.await.expect("a sender");
        }
    }
    assert_eq!(kills, 4);
    let server = Server::start(&database).await;
    let acknowledged = acknowledged.lock().expect("lock").clone();
    let different: HashSet<_> = acknowledged.values().collect();
    assert_eq!(different.len(), DELIVERIES, "each was stored once");

    let query = "query($after: String) { changes(first: 100, after: $after) { pageInfo { hasNextPage endCursor }
        nodes { position kind } } inspections { totalCount } sources { name ledger { received duplicates applied stale
        skippedAhead refused noChange unrecognized unreadable orphaned } } }";
    let (mut after, mut next) = (Value::Null, 1);
    let data = loop {
        let request = json!({ "query": query, "variables": { "after": after } });
        let answer = client().post(format!("{}/graphql", server.url)).json(&request).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        let data = &answer["data"];
        for change in data["changes"]["nodes"].as_array().expect("changes") {
            assert_eq!(change["position"], next, "no hole");
            next += 1;
        }
        after = data["changes"]["pageInfo"]["endCursor"].clone();
        if data["changes"]["pageInfo"]["hasNextPage"] == false {
            break data.clone();
        }
    };
    assert_eq!(data["inspections"]["totalCount"], DELIVERIES / 4);
    let sources = data["sources"].as_array().expect("sources");
    let ledger = &sources.iter().find(|source| source["name"] == "pave").expect("pave")["ledger"];
    assert_eq!(ledger_adds_up(ledger), DELIVERIES as u64, "{ledger}");
    let (code, text) = crate::verify::verify(&database);
    assert_eq!(code, Some(0), "{text}");
}
