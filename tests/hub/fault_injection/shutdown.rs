//! SIGTERM in every state: the process ends, whatever its clients and its database do.

use super::postgres::PostgresCluster;
use super::proxy::{Proxy, port_of};
use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{client, wait_until};
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than any test waits.
const LONG_TIMEOUT: &str = "1h";

async fn sent(server: &HubProcess, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

async fn post(url: &str, session: &str) -> u16 {
    let body = json!({ "event": "SESSION:STATUS_CHANGE", "session_key": session, "status": "STARTED" });
    let sent = client().post(format!("{url}/webhooks/pave")).json(&body).send().await;
    sent.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_finish_are_cut_off() {
    let database = TestDatabase::new().await;
    let port = HubProcess::free_port();
    let mut command = HubProcess::command(port, &database.address);
    command.args(["--body-timeout", LONG_TIMEOUT, "--header-timeout", LONG_TIMEOUT, "--shutdown-grace", "1s"]);
    command.args(["--graphql-timeout", LONG_TIMEOUT]);
    let mut server = HubProcess::ready(port, command).await;
    assert_eq!(post(&server.url, "A").await, 200);
    let mut clients = Vec::new();
    let head = "HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n";
    for text in [
        format!("POST /webhooks/pave {head}\r\n{{\"e"),
        format!("POST /graphql {head}\r\n{{\"query\":"),
        format!("POST /graphql {head}"),
        "POST /webh".to_owned(),
        String::new(),
        // A client that never answers a close frame, and one that reads nothing.
        "GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n"
            .to_owned(),
        "GET /graphql?query=subscription%7Bchanges%7Bposition%7D%7D HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         \r\n"
        .to_owned(),
    ] {
        clients.push(sent(&server, &text).await);
    }
    // The last two got a response, so all connections are accepted.
    for client in clients.iter_mut().skip(5) {
        assert!(client.read(&mut [0; 16]).await.is_ok_and(|bytes| bytes > 0));
    }
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await, Some(0), "{}", server.log());
    assert!(server.log().contains("shutdown grace period expired"), "{}", server.log());
    drop(clients);
    let server = HubProcess::start(&database).await;
    let found = crate::vendor_client::run_query(&server.url, "{ inspections { totalCount } }", json!({})).await;
    assert_eq!(found["inspections"]["totalCount"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_keeps_nobody() {
    let cluster = PostgresCluster::start();
    let database = TestDatabase::on(cluster.url.clone()).await;
    let proxy = Proxy::to(port_of(&database.address)).await;
    let port = HubProcess::free_port();
    let mut command = HubProcess::command(port, &proxy.address(&database.address));
    command.args([
        "--database-acquire-timeout",
        LONG_TIMEOUT,
        "--database-statement-timeout",
        LONG_TIMEOUT,
        "--shutdown-grace",
        "1s",
    ]);
    let mut server = HubProcess::ready(port, command).await;
    assert_eq!(post(&server.url, "A").await, 200);
    proxy.cut_for_good();
    let url = server.url.clone();
    let waiting = tokio::spawn(async move { client().get(format!("{url}/readyz?check=write")).send().await });
    let url = server.url.clone();
    let answer = tokio::spawn(async move { client().get(format!("{url}/readyz")).send().await });
    assert_eq!(answer.await.expect("no panic").expect("an answer").status(), 503);
    let _delivery =
        sent(&server, "POST /webhooks/pave HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}").await;
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await, Some(0), "{}", server.log());
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_before_it_is_ready() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("postgres://hub@{}/hub", silent.local_addr().expect("an address"));
    let port = HubProcess::free_port();
    let mut command = HubProcess::command(port, &address);
    command.args(["--database-acquire-timeout", LONG_TIMEOUT]);
    let mut server = HubProcess::spawn(port, command);
    let _connection = silent.accept().await.expect("it connects");
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await, Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_that_it_waits_for_another_process_and_ends() {
    const WAITING: &str = "waiting for another process that migrates the database";
    let cluster = PostgresCluster::start();
    let database = TestDatabase::on(cluster.url.clone()).await;
    let other = Database::connect(&database.address).await.expect("PostgreSQL");
    let pinned = sea_orm::TransactionTrait::begin(&other).await.expect("a connection");
    pinned.execute_unprepared("SELECT pg_advisory_lock(7597136547995153513)").await.expect("locked");
    let start = |port| HubProcess::spawn(port, HubProcess::command(port, &database.address));
    let mut server = start(HubProcess::free_port());
    server.wait_for_log(WAITING).await;
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await, Some(0), "{}", server.log());
    let server = start(HubProcess::free_port());
    server.wait_for_log(WAITING).await;
    pinned.execute_unprepared("SELECT pg_advisory_unlock(7597136547995153513)").await.expect("unlocked");
    pinned.rollback().await.expect("ended");
    let url = format!("{}/readyz", server.url);
    let is_ready = async || client().get(&url).send().await.is_ok_and(|response| response.status() == 200);
    wait_until("the hub is ready", is_ready).await;
    other.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_and_a_log_that_nobody_reads_change_nothing() {
    let database = TestDatabase::new().await;
    let server = HubProcess::start(&database).await;
    server.signal("HUP");
    server.wait_for_log("SIGHUP is ignored").await;
    assert_eq!(post(&server.url, "A").await, 200);
    // As when a terminal is closed: a failing write to the log does not end the process.
    let database = TestDatabase::new().await;
    let port = HubProcess::free_port();
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "exec \"$@\" 2> >(true)", "bash", env!("CARGO_BIN_EXE_inspection-hub")]);
    HubProcess::arguments(&mut command, port, &database.address);
    let server = HubProcess::ready(port, command).await;
    for session in ["A", "B", "C"] {
        server.signal("HUP");
        let readiness = client().get(format!("{}/readyz", server.url)).send().await;
        assert_eq!(readiness.expect("an answer").status(), 200);
        assert_eq!(post(&server.url, session).await, 200);
    }
}
