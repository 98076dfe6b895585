//! A disk that is full: what is answered then, and what afterwards.

use super::postgres::{Cluster, IMPATIENT, all_is_well, hub_on, is_told_to_come_back, readiness, until_ready};
use crate::database::TestDatabase;
use crate::driver::{App, client};
use crate::sender::Sender;
use crate::server::Server;
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

async fn status(server: &Server, path: &str) -> u16 {
    client().get(format!("{}{path}", server.url)).send().await.expect("an answer").status().as_u16()
}

// No file may grow further, as on a disk without room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_answered_503_and_costs_nothing() {
    let database = TestDatabase::file();
    let server = Server::start(&database).await;
    let sender = Sender::new(2_000);
    let limit = |bytes: &str| {
        let limited =
            Command::new("prlimit").args([format!("--pid={}", server.pid()), format!("--fsize={bytes}")]).status();
        assert!(limited.expect("prlimit (util-linux)").success());
    };
    limit("1000000:unlimited");
    sender.send(std::slice::from_ref(&server.url)).await;
    assert!(!sender.is_done(), "the disk was full before all were stored");
    // The limit is one of each file. As long as the log can be brought into the main file there is room again, and then what is
    // sent is taken.
    while status(&server, "/readyz").await == 200 {
        let before = sender.acknowledged();
        sender.send(std::slice::from_ref(&server.url)).await;
        assert!(before < sender.acknowledged(), "ready, and nothing is taken");
        assert!(!sender.is_done(), "the disk was full before all were stored");
    }
    assert_eq!((status(&server, "/healthz").await, status(&server, "/readyz").await), (200, 503));
    let before = sender.acknowledged();
    assert_eq!(sender.complaints(&server.url).await, Vec::<String>::new(), "while it is full");
    limit("unlimited:unlimited");
    while status(&server, "/readyz").await != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sender.send(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done() && before < sender.acknowledged());
    assert_eq!(sender.complaints(&server.url).await, Vec::<String>::new());
}

/// What PostgreSQL has for its data. It takes some 80 MB with the hub's tables in it.
const DISK: (&str, &str) = ("TEST_POSTGRES_DISK", "160M");

/// Fills the disk while much is sent.
async fn fill(cluster: &mut Cluster, app: &App, sender: &Arc<Sender>) {
    let sending = tokio::spawn({
        let (sender, url) = (sender.clone(), app.url(""));
        async move { sender.send(&[url]).await }
    });
    sender.more(100).await;
    cluster.tell("fill");
    sending.await.expect("sent");
    assert!(!sender.is_done(), "the disk was full before all were stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgresql_is_answered_503_and_costs_nothing() {
    let mut cluster = Cluster::with(&[DISK]);
    let app = hub_on(&cluster, "").await;
    let sender = Sender::new(1_200);
    fill(&mut cluster, &app, &sender).await;
    // A small one may still fit into a page that is there. This takes new ones, compressed, too.
    let long: Vec<u64> = (0..20_000).map(|_| rand::random()).collect();
    let refused = app.post_json("hover", json!({ "event": "job-state-changed", "job_id": 1, "more": long })).await;
    assert_eq!(refused.code, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(readiness(&app).await, 503);
    // What is there can be read.
    assert_eq!(sender.complaints(&app.url("")).await, Vec::<String>::new(), "while it is full");
    cluster.tell("free");
    until_ready(&app).await;
    all_is_well(&app, &sender).await;
    assert_eq!(app.ledger("hover").await["received"], 0);
}

// Where no table can grow, PostgreSQL says so and stays. Where its log cannot, it goes down, and must be started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_that_ends_postgresql_costs_nothing() {
    let mut cluster = Cluster::with(&[DISK]);
    let app = hub_on(&cluster, IMPATIENT).await;
    let sender = Sender::new(1_200);
    fill(&mut cluster, &app, &sender).await;
    let operator = Database::connect(&cluster.url).await.expect("PostgreSQL");
    let next_file = "SELECT pg_logical_emit_message(true, 'test', 'filling'), pg_switch_wal()";
    let mut files = 0;
    while operator.execute_unprepared(next_file).await.is_ok() {
        files += 1;
        assert!(files < 20, "the log grows on a full disk");
    }
    is_told_to_come_back(&app).await;
    // As far as it still runs.
    cluster.tell("kill");
    cluster.tell("free");
    cluster.tell("start");
    all_is_well(&app, &sender).await;
}
