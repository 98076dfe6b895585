//! A vendor that resends until it gets 200, and that knows afterwards which deliveries the hub must have.

use crate::test_hub::{client, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Requests in flight at once.
const CONCURRENCY: usize = 16;

/// What it has to send, and what was acknowledged.
pub struct VendorClient {
    deliveries: usize,
    /// The ids of deliveries, by number.
    acknowledged: Mutex<BTreeMap<usize, String>>,
    /// Runs of [`VendorClient::start_sending`] that have not ended.
    running: AtomicUsize,
}

/// The body of the delivery with this number.
pub fn delivery_body(number: usize) -> String {
    json!({ "event": "SESSION:STATUS_CHANGE", "session_key": format!("K{}", number / 4),
        "status": (["STARTED", "PROCESS", "QC_PASSED", "CONFIRM"][number % 4]),
        "timestamp": format!("2026-01-01T00:00:{:02}Z", number % 4) })
    .to_string()
}

impl VendorClient {
    /// With so many deliveries, four of each inspection.
    pub fn new(deliveries: usize) -> Arc<VendorClient> {
        Arc::new(VendorClient { deliveries, acknowledged: Mutex::default(), running: AtomicUsize::default() })
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("lock").len()
    }

    pub fn is_done(&self) -> bool {
        self.acknowledged() == self.deliveries
    }

    fn is_acknowledged(&self, number: usize) -> bool {
        self.acknowledged.lock().expect("lock").contains_key(&number)
    }

    /// Sends all deliveries that are not acknowledged yet, once each, to these hubs in turn. A delivery that gets no response,
    /// or 503, is left for the next call.
    pub async fn send_unacknowledged(self: &Arc<Self>, urls: &[String]) {
        let lanes: Vec<_> = (0..CONCURRENCY)
            .map(|lane| {
                let (sender, url, client) = (self.clone(), urls[lane % urls.len()].clone(), client());
                tokio::spawn(async move {
                    for number in
                        (lane..sender.deliveries).step_by(CONCURRENCY).filter(|number| !sender.is_acknowledged(*number))
                    {
                        let sent = client.post(format!("{url}/webhooks/pave")).body(delivery_body(number)).send().await;
                        let Ok(response) = sent else { return };
                        if response.status() != 200 {
                            assert_eq!(response.status(), 503);
                            assert!(response.headers().contains_key("retry-after"));
                            continue;
                        }
                        let Ok(answer) = response.json::<Value>().await else { return };
                        let delivery = answer["delivery"].as_str().expect("an id").to_owned();
                        sender.acknowledged.lock().expect("lock").insert(number, delivery);
                    }
                })
            })
            .collect();
        for lane in lanes {
            lane.await.expect("a lane");
        }
    }

    /// Calls [`VendorClient::send_unacknowledged`] in the background.
    pub fn start_sending(self: &Arc<Self>, urls: &[String]) -> JoinHandle<()> {
        self.running.fetch_add(1, Ordering::Relaxed);
        let (client, urls) = (self.clone(), urls.to_vec());
        tokio::spawn(async move {
            client.send_unacknowledged(&urls).await;
            client.running.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Waits until so many more are acknowledged, or nothing is being sent any more.
    pub async fn wait_for_more_acknowledged(&self, more: usize) {
        let enough = (self.acknowledged() + more).min(self.deliveries);
        let what = format!("{enough} deliveries are acknowledged");
        wait_until(&what, async || self.acknowledged() >= enough || self.running.load(Ordering::Relaxed) == 0).await;
    }

    /// Discrepancies between what was acknowledged and what a hub has: each delivery must be there once, positions must have
    /// no hole, and the ledger must add up.
    pub async fn discrepancies(&self, url: &str) -> Vec<String> {
        let mut found = Vec::new();
        let history = all_nodes(url, "changes", "position").await;
        for (expected, change) in (1..).zip(&history) {
            if change["position"] != expected {
                found.push(format!("position {} where {expected} should be", change["position"]));
                break;
            }
        }
        let mut numbers = HashMap::new();
        for delivery in all_nodes(url, "deliveries", "id bodyText").await {
            let text = delivery["bodyText"].as_str().expect("a body").to_owned();
            if let Some(other) = numbers.insert(text.clone(), delivery["id"].clone()) {
                found.push(format!("{text} is there as {other} and as {}", delivery["id"]));
            }
        }
        let acknowledged = self.acknowledged.lock().expect("lock").clone();
        for (number, id) in &acknowledged {
            match numbers.get(&delivery_body(*number)) {
                None => found.push(format!("{} was acknowledged as {id} and is not there", delivery_body(*number))),
                Some(stored) if stored != id => {
                    found.push(format!("{} was acknowledged as {id} and is {stored}", delivery_body(*number)));
                }
                Some(_) => {}
            }
        }
        if acknowledged.values().collect::<BTreeSet<_>>().len() != acknowledged.len() {
            found.push("two different deliveries have the same id".to_owned());
        }
        found.extend(ledger_discrepancies(url, numbers.len() as u64).await);
        found
    }
}

/// The number of deliveries in a ledger, which must be the sum of its verdicts.
pub fn assert_ledger_sums(ledger: &Value) -> u64 {
    let of = |name: &str| ledger[name].as_u64().expect("a count");
    let verdicts = [
        "applied",
        "stale",
        "skippedAhead",
        "unexpected",
        "refused",
        "noChange",
        "unrecognized",
        "unreadable",
        "orphaned",
    ];
    let sum = verdicts.iter().map(|name| of(name)).sum::<u64>();
    assert_eq!(of("received") - of("duplicates"), sum, "{ledger}");
    sum
}

async fn ledger_discrepancies(url: &str, stored: u64) -> Vec<String> {
    let query = "{ sources { name ledger { received duplicates applied stale skippedAhead unexpected refused noChange unrecognized
        unreadable orphaned } } }";
    let data = run_query(url, query, Value::Null).await;
    let mut found = Vec::new();
    for source in data["sources"].as_array().expect("sources") {
        let ledger = source["ledger"].as_object().expect("a ledger");
        let sum: u64 = ledger.iter().filter(|(name, _)| *name != "received").filter_map(|(_, n)| n.as_u64()).sum();
        if ledger["received"] != sum {
            found.push(format!("the ledger does not add up: {source}"));
        }
        let once = ledger["received"].as_u64().unwrap_or(0) - ledger["duplicates"].as_u64().unwrap_or(0);
        if source["name"] == "pave" && once != stored {
            found.push(format!("{stored} deliveries are stored, and the ledger says {source}"));
        }
    }
    found
}

/// All nodes of a list of the hub.
pub async fn all_nodes(url: &str, list: &str, fields: &str) -> Vec<Value> {
    // Bodies cost more.
    let first = if fields.contains("bodyText") { 20 } else { 100 };
    let query = format!(
        "query($after: String) {{ {list}(first: {first}, after: $after) {{ pageInfo {{ hasNextPage endCursor }}
            nodes {{ {fields} }} }} }}"
    );
    let (mut nodes, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = run_query(url, &query, json!({ "after": after })).await[list].take();
        nodes.extend(page["nodes"].as_array().expect("nodes").iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// The data of a query, which must have no errors.
pub async fn run_query(url: &str, query: &str, variables: Value) -> Value {
    let request = json!({ "query": query, "variables": variables });
    let answer = client().post(format!("{url}/graphql")).json(&request).send().await.expect("an answer");
    let mut answer: Value = answer.json().await.expect("JSON");
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"].take()
}
