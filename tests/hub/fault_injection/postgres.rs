//! PostgreSQL is stopped, locked, slow, or read-only. The hub responds with 503, loses nothing, reports it at `/readyz`, and
//! recovers by itself.

use super::proxy::{Proxy, port_of};
use crate::database::TestDatabase;
use crate::test_hub::{TestHub, send_request, wait_until};
use crate::vendor_client::VendorClient;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

/// A PostgreSQL server for one test, which can be stopped and started. It ends when this is dropped.
pub struct PostgresCluster {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub url: String,
}

impl PostgresCluster {
    pub fn start() -> PostgresCluster {
        PostgresCluster::with(&[])
    }

    /// With these variables, which `tests/postgres.sh` explains.
    pub fn with(variables: &[(&str, &str)]) -> PostgresCluster {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres.sh");
        let mut process = Command::new(script)
            .arg("--control")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/postgres.sh starts");
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("an output"));
        let mut cluster = PostgresCluster { process, commands, answers, url: String::new() };
        cluster.url = cluster.line();
        assert!(cluster.url.starts_with("postgres://"), "there is no server: see what tests/postgres.sh says above");
        cluster
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    pub(super) fn send_command(&mut self, word: &str) {
        writeln!(self.commands.as_ref().expect("an input"), "{word}").expect("sent");
        assert_eq!(self.line(), word);
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        // The end of its input ends the script and its server.
        drop(self.commands.take());
        let _ = self.process.wait();
    }
}

pub(super) const SHORT_TIMEOUTS: &str = "database_acquire_timeout = \"2s\"\ndatabase_statement_timeout = \"2s\"";

pub(super) async fn start_hub(cluster: &PostgresCluster, settings: &str) -> TestHub {
    TestHub::on(Arc::new(TestDatabase::on(cluster.url.clone()).await), settings).await
}

pub(super) async fn readiness(app: &TestHub) -> u16 {
    send_request(app.client.get(app.url("/readyz"))).await.status
}

pub(super) async fn until_ready(app: &TestHub) {
    wait_until("the hub is ready again", async || readiness(app).await == 200).await;
}

/// A delivery is refused so that the vendor retries.
pub(super) async fn assert_unavailable_with_retry_after(app: &TestHub) {
    let refused = app.post_json("pave", json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "X" })).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(readiness(app).await, 503);
    assert_eq!(send_request(app.client.get(app.url("/healthz"))).await.status, 200);
}

pub(super) async fn assert_recovered(app: &TestHub, sender: &Arc<VendorClient>) {
    until_ready(app).await;
    while !sender.is_done() {
        sender.send_unacknowledged(&[app.url("")]).await;
    }
    assert_eq!(sender.discrepancies(&app.url("")).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_stopped_and_started_costs_nothing() {
    let mut cluster = PostgresCluster::start();
    let app = start_hub(&cluster, SHORT_TIMEOUTS).await;
    let start = app.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let query = "subscription($after: String) { changes(after: $after) { position } }";
    let mut live = app.subscribe(query, json!({ "after": start })).await;
    let sender = VendorClient::new(600);
    for word in ["stop", "kill"] {
        let sending = sender.start_sending(&[app.url("")]);
        sender.wait_for_more_acknowledged(150).await;
        cluster.send_command(word);
        sending.await.expect("sent");
        assert_unavailable_with_retry_after(&app).await;
        cluster.send_command("start");
        until_ready(&app).await;
    }
    assert_recovered(&app, &sender).await;
    // The subscriber received every change once.
    for change in app.changes().await {
        assert_eq!(live.next_data().await["changes"]["position"], change["position"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_are_opened_again() {
    let cluster = PostgresCluster::start();
    let app = start_hub(&cluster, "").await;
    let operator = Database::connect(&cluster.url).await.expect("PostgreSQL");
    let sender = VendorClient::new(800);
    let sending = sender.start_sending(&[app.url("")]);
    for _ in 0..5 {
        sender.wait_for_more_acknowledged(100).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'inspection-hub'";
        operator.execute_unprepared(cut).await.expect("cut");
    }
    sending.await.expect("sent");
    assert_recovered(&app, &sender).await;
    operator.close().await.expect("closed");
}

pub(super) async fn hold_lock(address: &str, lock: &str) -> DatabaseConnection {
    let somebody = Database::connect(address).await.expect("PostgreSQL");
    somebody.execute_unprepared(&format!("BEGIN; {lock}")).await.expect("locked");
    somebody
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_somebody_else_is_not_waited_for_for_ever() {
    let cluster = PostgresCluster::start();
    // The first by the limit on waiting for locks, the second by the limit on statements.
    for (settings, lock) in [
        ("database_acquire_timeout = \"2s\"", "SELECT * FROM log_head FOR UPDATE"),
        (
            "database_acquire_timeout = \"20s\"\ndatabase_statement_timeout = \"2s\"",
            "LOCK TABLE change IN EXCLUSIVE MODE",
        ),
    ] {
        let app = start_hub(&cluster, settings).await;
        let sender = VendorClient::new(100);
        sender.send_unacknowledged(&[app.url("")]).await;
        let somebody = hold_lock(&app.database.address, lock).await;
        let answer =
            app.post_json("hover", json!({ "event": "job-state-changed", "job_id": 1, "state": "working" })).await;
        assert_eq!(answer.status, 503, "{lock}: {answer:?}");
        assert!(answer.headers.contains_key("retry-after"));
        somebody.execute_unprepared("ROLLBACK").await.expect("unlocked");
        somebody.close().await.expect("closed");
        assert_recovered(&app, &sender).await;
        assert_eq!(app.ledger("hover").await["received"], 0);
    }
}

pub(super) fn migrate(address: &str) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_inspection-hub"))
        .args([
            "migrate",
            "--log",
            "warn",
            "--config",
            "/dev/null",
            "--database-acquire-timeout",
            "2s",
            "--database",
            address,
        ])
        .output()
        .expect("it runs");
    (status.code(), String::from_utf8([stdout, stderr].concat()).expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_by_one_process_at_a_time() {
    let cluster = PostgresCluster::start();
    let database = TestDatabase::on(cluster.url.clone()).await;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let address = database.address.clone();
            std::thread::spawn(move || migrate(&address))
        })
        .collect();
    for thread in threads {
        let (code, text) = thread.join().expect("no panic");
        assert_eq!(code, Some(0), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_does_not_exclude_is_found_out() {
    let cluster = PostgresCluster::start();
    let database = TestDatabase::on(cluster.url.clone()).await;
    // As in a database that accepts advisory locks and does not hold them.
    let operator = Database::connect(&database.address).await.expect("PostgreSQL");
    let keeps_none =
        "CREATE FUNCTION public.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'";
    operator.execute_unprepared(keeps_none).await.expect("made");
    operator.close().await.expect("closed");
    let (code, text) = migrate(&format!("{}?options=-c%20search_path%3Dpublic,pg_catalog", database.address));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("does not keep advisory locks"), "{text}");
    let (_, text) = migrate(&database.address);
    assert!(!text.contains("advisory"), "{text}");
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let (code, text) = migrate("postgres://hub:hunter2@127.0.0.1:1/hub");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("postgres://hub@127.0.0.1:1/hub") && !text.contains("hunter2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_a_server_that_only_reads_and_back_heals() {
    let cluster = PostgresCluster::start();
    let app = start_hub(&cluster, "").await;
    let name = app.database.address.rsplit('/').next().expect("a name").to_owned();
    let operator = Database::connect(&cluster.url).await.expect("PostgreSQL");
    let sender = VendorClient::new(200);
    let sending = sender.start_sending(&[app.url("")]);
    sender.wait_for_more_acknowledged(50).await;
    let only_reads = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    operator.execute_unprepared(&only_reads).await.expect("altered");
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'inspection-hub'";
    operator.execute_unprepared(cut).await.expect("cut");
    sending.await.expect("sent");
    assert_unavailable_with_retry_after(&app).await;
    let answer = send_request(app.client.get(app.url("/readyz"))).await;
    assert_eq!(answer.body["detail"], "the database is read-only");
    operator
        .execute_unprepared(&format!("ALTER DATABASE {name} RESET default_transaction_read_only"))
        .await
        .expect("back");
    assert_recovered(&app, &sender).await;
    operator.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_heal_after_connections_vanish_while_statements_run() {
    let cluster = PostgresCluster::start();
    let mut database = TestDatabase::on(cluster.url.clone()).await;
    let direct = database.address.clone();
    let proxy = Proxy::to(port_of(&direct)).await;
    database.address = proxy.address(&direct);
    let settings = "database_acquire_timeout = \"10s\"\ndatabase_statement_timeout = \"10s\"\ngraphql_timeout = \"2s\"";
    let app = TestHub::on(Arc::new(database), settings).await;
    let query = "{ inspections(first: 50) { nodes { id history(first: 20) { nodes { position reason } } } } }";
    let start = app.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let changes = "subscription($after: String) { changes(after: $after) { position } }";
    let mut live = app.subscribe(changes, json!({ "after": start })).await;
    let sender = VendorClient::new(40);
    sender.send_unacknowledged(&[app.url("")]).await;
    let operator = Database::connect(&direct).await.expect("PostgreSQL");
    let lock = sea_orm::TransactionTrait::begin(&operator).await.expect("begun");
    lock.execute_unprepared("LOCK TABLE entity; LOCK TABLE change").await.expect("locked");
    let asked: Vec<_> = (0..20)
        .map(|number| {
            // Equal ones would share one execution.
            let query = query.replace("first: 50", &format!("first: {}", 50 - number));
            let request = app.client.post(app.url("/graphql")).json(&json!({ "query": query }));
            tokio::spawn(async move { send_request(request).await })
        })
        .collect();
    let waiting = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'inspection-hub' \
                   AND wait_event_type = 'Lock'";
    wait_until("all readers wait for the lock", async || {
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, waiting);
        let row = lock.query_one_raw(statement).await.expect("a response").expect("a row");
        // As many as the pool has.
        row.try_get::<i64>("", "n").expect("a number") >= 4
    })
    .await;
    proxy.cut();
    lock.rollback().await.expect("unlocked");
    for asked in asked {
        let _ = asked.await.expect("no panic");
    }
    wait_until("reads succeed again", async || app.graphql(query, json!({})).await.get("errors").is_none()).await;
    // The writer's connection was cut as well. It recovers after the statement timeout.
    assert_recovered(&app, &sender).await;
    let more = json!({ "event": "job-state-changed", "job_id": 1, "state": "working" });
    assert_eq!(app.post_json("hover", more).await.status, 200);
    for change in app.changes().await {
        assert_eq!(live.next_data().await["changes"]["position"], change["position"]);
    }
    operator.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_says_what_happened() {
    let mut cluster = PostgresCluster::start();
    let app = start_hub(&cluster, "").await;
    let status = async || {
        let body = send_request(app.client.get(app.url("/readyz"))).await.body;
        body.get("detail").unwrap_or(&body["status"]).clone()
    };
    assert_eq!(status().await, "ready");
    cluster.send_command("stop");
    let refuses = async || status().await == "the database refuses the connection";
    wait_until("readiness reports that the connection is refused", refuses).await;
    cluster.send_command("start");
    until_ready(&app).await;
    // Reads continue while only writes wait.
    let somebody = hold_lock(&app.database.address, "SELECT * FROM log_head FOR UPDATE").await;
    for (check, code) in [("read", 200), ("write", 503)] {
        assert_eq!(
            send_request(app.client.get(app.url(&format!("/readyz?check={check}")))).await.status,
            code,
            "{check}"
        );
    }
    somebody.close().await.expect("closed");
}

#[test]
fn no_part_of_a_password_is_logged_and_an_error_is_reported_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let passwords = folder.path().join("pgpass");
    std::fs::write(&passwords, "127.0.0.1:1:hub:hub\\\nSEKRET without colons\n*:*:*:hub:SEKRET\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&passwords, mode).expect("permissions");
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "no database at all ".repeat(1_000)).expect("a file");
    let garbage = format!("sqlite://{}", garbage.display());
    for (address, expected) in [
        ("postgres://hub@127.0.0.1:1/hub", "refused"),
        ("postgres://hub:SEKRET@127.0.0.1:1/hub?passwd=SEKRET", "is called password"),
        ("postgres://hub:SEK#RET@127.0.0.1:1/hub", "percent-encode the password's `@ # ? / %`"),
        (&garbage, "file is not a database"),
    ] {
        for command in ["migrate", "serve"] {
            let output = Command::new(env!("CARGO_BIN_EXE_inspection-hub"))
                .args([command, "--log", "trace", "--config", "/dev/null", "--database-acquire-timeout", "2s"])
                .args(["--listen", "127.0.0.1:0", "--database", address])
                .env("PGPASSFILE", &passwords)
                .output()
                .expect("it runs");
            let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(!text.contains("SEK") && !text.contains("RET"), "{text}");
            // Two lines at most; a thread of the driver may still log behind them.
            let error: String = text.lines().skip_while(|line| !line.starts_with("inspection-hub: ")).take(2).collect();
            assert_eq!(error.matches(expected).count(), 1, "{text}");
        }
    }
}
