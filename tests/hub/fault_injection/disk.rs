//! A full disk: responses while it is full, and recovery afterwards.

use super::postgres::{
    PostgresCluster, SHORT_TIMEOUTS, assert_recovered, assert_unavailable_with_retry_after, readiness, start_hub,
    until_ready,
};
use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{TestHub, client, wait_until};
use crate::vendor_client::VendorClient;
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;
use std::process::Command;
use std::sync::Arc;

async fn status(server: &HubProcess, path: &str) -> u16 {
    client().get(format!("{}{path}", server.url)).send().await.expect("an answer").status().as_u16()
}

// No file may grow further, as on a full disk.
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
    // The limit is per file. A checkpoint of the WAL into the main file frees space, and then deliveries are accepted again.
    while status(&server, "/readyz").await == 200 {
        let before = sender.acknowledged();
        sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
        assert!(before < sender.acknowledged(), "ready, and nothing is accepted");
        assert!(!sender.is_done(), "the disk was full before all were stored");
    }
    assert_eq!((status(&server, "/healthz").await, status(&server, "/readyz").await), (200, 503));
    let before = sender.acknowledged();
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new(), "while it is full");
    limit("unlimited:unlimited");
    wait_until("the hub is ready again", async || status(&server, "/readyz").await == 200).await;
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done() && before < sender.acknowledged());
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new());
}

/// The size of the disk of PostgreSQL. A new cluster with the hub's tables takes about 80 MB.
const DISK: (&str, &str) = ("TEST_POSTGRES_DISK", "160M");

/// Fills the disk under load.
async fn fill(cluster: &mut PostgresCluster, app: &TestHub, sender: &Arc<VendorClient>) {
    let sending = sender.start_sending(&[app.url("")]);
    sender.wait_for_more_acknowledged(100).await;
    cluster.send_command("fill");
    sending.await.expect("sent");
    assert!(!sender.is_done(), "the disk was full before all were stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgresql_is_answered_503_and_costs_nothing() {
    if !super::is_root() {
        return crate::skip::skip("needs root: it mounts a file system");
    }
    let mut cluster = PostgresCluster::with(&[DISK]);
    let app = start_hub(&cluster, "").await;
    let sender = VendorClient::new(1_200);
    fill(&mut cluster, &app, &sender).await;
    // A small delivery may fit into an existing page. This one needs new pages even when it is compressed.
    let long: Vec<u64> = (0..20_000).map(|_| rand::random()).collect();
    let refused = app.post_json("hover", json!({ "event": "job-state-changed", "job_id": 1, "more": long })).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(readiness(&app).await, 503);
    // Reads succeed.
    assert_eq!(sender.discrepancies(&app.url("")).await, Vec::<String>::new(), "while it is full");
    cluster.send_command("free");
    until_ready(&app).await;
    assert_recovered(&app, &sender).await;
    assert_eq!(app.ledger("hover").await["received"], 0);
}

// PostgreSQL survives when a table cannot grow. When its WAL cannot grow, it stops and must be started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_that_ends_postgresql_costs_nothing() {
    if !super::is_root() {
        return crate::skip::skip("needs root: it mounts a file system");
    }
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
    // Ends what still runs of it.
    cluster.send_command("kill");
    cluster.send_command("free");
    cluster.send_command("start");
    assert_recovered(&app, &sender).await;
}
