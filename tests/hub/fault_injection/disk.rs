//! A disk that is full: what is answered then, and what afterwards.

use super::postgres::{
    PostgresCluster, SHORT_TIMEOUTS, assert_recovered, assert_unavailable_with_retry_after, readiness, start_hub,
    until_ready,
};
use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{TestHub, client};
use crate::vendor_client::VendorClient;
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

async fn status(server: &HubProcess, path: &str) -> u16 {
    client().get(format!("{}{path}", server.url)).send().await.expect("an answer").status().as_u16()
}

// No file may grow further, as on a disk without room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_answered_503_and_costs_nothing() {
    let database = TestDatabase::file();
    let server = HubProcess::start(&database).await;
    let sender = VendorClient::new(2_000);
    let limit = |bytes: &str| {
        let limited =
            Command::new("prlimit").args([format!("--pid={}", server.pid()), format!("--fsize={bytes}")]).status();
        assert!(limited.expect("prlimit (util-linux)").success());
    };
    limit("1000000:unlimited");
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(!sender.is_done(), "the disk was full before all were stored");
    // The limit is one of each file. As long as the log can be brought into the main file there is room again, and then what is
    // sent is taken.
    while status(&server, "/readyz").await == 200 {
        let before = sender.acknowledged();
        sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
        assert!(before < sender.acknowledged(), "ready, and nothing is taken");
        assert!(!sender.is_done(), "the disk was full before all were stored");
    }
    assert_eq!((status(&server, "/healthz").await, status(&server, "/readyz").await), (200, 503));
    let before = sender.acknowledged();
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new(), "while it is full");
    limit("unlimited:unlimited");
    while status(&server, "/readyz").await != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done() && before < sender.acknowledged());
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new());
}

/// What PostgreSQL has for its data. It takes some 80 MB with the hub's tables in it.
const DISK: (&str, &str) = ("TEST_POSTGRES_DISK", "160M");

/// Fills the disk while much is sent.
async fn fill(cluster: &mut PostgresCluster, app: &TestHub, sender: &Arc<VendorClient>) {
    let sending = tokio::spawn({
        let (sender, url) = (sender.clone(), app.url(""));
        async move { sender.send_unacknowledged(&[url]).await }
    });
    sender.wait_for_more_acknowledged(100).await;
    cluster.send_command("fill");
    sending.await.expect("sent");
    assert!(!sender.is_done(), "the disk was full before all were stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgresql_is_answered_503_and_costs_nothing() {
    let mut cluster = PostgresCluster::with(&[DISK]);
    let app = start_hub(&cluster, "").await;
    let sender = VendorClient::new(1_200);
    fill(&mut cluster, &app, &sender).await;
    // A small one may still fit into a page that is there. This takes new ones, compressed, too.
    let long: Vec<u64> = (0..20_000).map(|_| rand::random()).collect();
    let refused = app.post_json("hover", json!({ "event": "job-state-changed", "job_id": 1, "more": long })).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(readiness(&app).await, 503);
    // What is there can be read.
    assert_eq!(sender.discrepancies(&app.url("")).await, Vec::<String>::new(), "while it is full");
    cluster.send_command("free");
    until_ready(&app).await;
    assert_recovered(&app, &sender).await;
    assert_eq!(app.ledger("hover").await["received"], 0);
}

// Where no table can grow, PostgreSQL says so and stays. Where its log cannot, it goes down, and must be started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_that_ends_postgresql_costs_nothing() {
    let mut cluster = PostgresCluster::with(&[DISK]);
    let app = start_hub(&cluster, SHORT_TIMEOUTS).await;
    let sender = VendorClient::new(1_200);
    fill(&mut cluster, &app, &sender).await;
    let operator = Database::connect(&cluster.url).await.expect("PostgreSQL");
    let next_file = "SELECT pg_logical_emit_message(true, 'test', 'filling'), pg_switch_wal()";
    let mut files = 0;
    while operator.execute_unprepared(next_file).await.is_ok() {
        files += 1;
        assert!(files < 20, "the log grows on a full disk");
    }
    assert_unavailable_with_retry_after(&app).await;
    // As far as it still runs.
    cluster.send_command("kill");
    cluster.send_command("free");
    cluster.send_command("start");
    assert_recovered(&app, &sender).await;
}
