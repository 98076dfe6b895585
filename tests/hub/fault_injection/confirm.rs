//! Handshakes while the database is unavailable: each confirmation is sent once, and recorded when the database is back.

use super::postgres::PostgresCluster;
use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{client, send_request, wait_until};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const CODE: &str = "22222222-8b86-4d01-b42d-00cf4fc964ff";

/// A stand-in for Hover's API: its next responses, then 200, and the calls it received.
#[derive(Clone, Default)]
struct Hover {
    answers: Arc<Mutex<VecDeque<u16>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

async fn verify(State(hover): State<Hover>, Path(code): Path<String>) -> StatusCode {
    hover.calls.lock().expect("lock").push(code);
    let next = hover.answers.lock().expect("lock").pop_front().unwrap_or(200);
    StatusCode::from_u16(next).expect("a status")
}

impl Hover {
    async fn serve(&self) -> String {
        let router = Router::new().route("/api/v2/webhooks/{code}/verify", put(verify)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("lock").clone()
    }
}

async fn server(database: &TestDatabase, hover: &Hover) -> HubProcess {
    let url = hover.serve().await;
    let settings = format!("[sources.hover]\nopen = true\napi_token = \"token\"\napi_url = \"{url}\"\n");
    std::fs::write(database.folder.path().join("inspection-hub.toml"), settings).expect("the settings");
    HubProcess::with(database, &[("INSPECTION_HUB_DATABASE_ACQUIRE_TIMEOUT", "2s".to_owned())]).await
}

async fn post(server: &HubProcess, body: Value) -> u16 {
    send_request(client().post(format!("{}/webhooks/hover", server.url)).json(&body)).await.status
}

async fn confirmation(server: &HubProcess, until: impl Fn(&Value) -> bool) -> Value {
    let mut found = Value::Null;
    wait_until("the handshake is as expected", async || {
        let query = "{ sources { handshake { confirmedAt attempts lastError } } }";
        // A query may fail while connections are cut.
        let asked = client().post(format!("{}/graphql", server.url)).json(&json!({ "query": query }));
        found = send_request(asked).await.body["data"]["sources"][0]["handshake"].take();
        until(&found)
    })
    .await;
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_that_was_given_is_noted_however_long_the_database_is_away() {
    let database = TestDatabase::file();
    let hover = Hover::default();
    hover.answers.lock().expect("lock").push_back(503);
    let server = server(&database, &hover).await;
    assert_eq!(post(&server, json!({ "event": "webhook-verification-code", "code": CODE })).await, 200);
    let failed = confirmation(&server, |found| found["attempts"] == 1).await;
    assert!(failed["confirmedAt"].is_null());
    let somebody = rusqlite::Connection::open(database.folder.path().join("hub.db")).expect("the database");
    somebody.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    server.wait_for_log("a confirmation could not be recorded").await;
    assert_eq!(hover.calls().len(), 2);
    somebody.execute_batch("ROLLBACK").expect("unlocked");
    let noted = confirmation(&server, |found| !found["confirmedAt"].is_null()).await;
    assert_eq!((&noted["attempts"], &noted["lastError"]), (&Value::from(2), &Value::Null));
    // A code that was confirmed is not sent again when another one arrives.
    let other = "33333333-8b86-4d01-b42d-00cf4fc964ff";
    assert_eq!(post(&server, json!({ "event": "webhook-verification-code", "code": other })).await, 200);
    confirmation(&server, |found| found["attempts"] == 1 && !found["confirmedAt"].is_null()).await;
    assert_eq!(hover.calls(), [CODE, CODE, other]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_while_the_database_takes_no_connections_is_confirmed_later() {
    let cluster = PostgresCluster::start();
    let database = TestDatabase::on(cluster.url.clone()).await;
    let hover = Hover::default();
    let server = server(&database, &hover).await;
    assert_eq!(post(&server, json!({ "event": "job-state-changed", "job_id": 1, "state": "working" })).await, 200);
    let name = database.address.rsplit('/').next().expect("a name");
    let operator = Database::connect(&cluster.url).await.expect("PostgreSQL");
    let run = async |text: &str| _ = operator.execute_unprepared(text).await.expect("done");
    run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    run(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND query NOT LIKE '%COMMIT%'"
    ))
    .await;
    assert_eq!(post(&server, json!({ "event": "webhook-verification-code", "code": CODE })).await, 200);
    server.wait_for_log("pending confirmations could not be read").await;
    run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    confirmation(&server, |found| !found["confirmedAt"].is_null()).await;
    assert_eq!(hover.calls(), [CODE]);
    operator.close().await.expect("closed");
}
