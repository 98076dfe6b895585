//! Runs the examples of `docs/clients`. Each lists all inspections page by page, reports an invalid cursor, and follows the
//! changes over two restarts of the hub, without gaps or duplicates.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{client, sample_bytes, samples};
use crate::vendor_client::{VendorClient, delivery_body, run_query};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Interpreters start slowly while other tests run.
const LINE_TIMEOUT: Duration = Duration::from_secs(180);

/// More than two pages of inspections, four deliveries of each.
const DELIVERIES: usize = 180;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apollo_client() {
    assert_follows_all_changes(node("apollo/example.js"), &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apollo_client_with_multipart_subscriptions() {
    assert_follows_all_changes(node("apollo/example.js"), &["multipart"], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urql() {
    assert_follows_all_changes(node("urql/example.js"), &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relay() {
    build("build:relay").await;
    assert_follows_all_changes(node("relay/example.mjs"), &[], &["again K0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typescript_with_generated_types() {
    build("build:typescript").await;
    assert_follows_all_changes(node("typescript/dist/example.js"), &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python() {
    assert_follows_all_changes(in_python("python/example.py"), &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_with_aiohttp() {
    assert_follows_all_changes(in_python("python/example.py"), &["aiohttp"], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_without_asyncio() {
    let (_database, server) = with_inspections().await;
    let board = run_query(&server.url, INSPECTIONS, Value::Null).await;
    let mut example = ClientProcess::start(in_python("python/script.py"), &server.url, &[]);
    example.assert_lists(&board).await;
    example.assert_exits().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rust() {
    let example = built().join("examples/client");
    assert!(example.exists(), "the Rust client is not built: `make test` does it, or `cargo build --example client`");
    assert_follows_all_changes(Command::new(example), &[], &[]).await;
}

/// A hub with more than two pages of inspections.
async fn with_inspections() -> (TestDatabase, HubProcess) {
    let database = TestDatabase::new().await;
    let server = HubProcess::start(&database).await;
    let (url, vendor) = (server.url.clone(), client());
    // The first inspection is the sender's, so that its id is known.
    post(&vendor, &url, "pave", delivery_body(0)).await;
    let sender = VendorClient::new(DELIVERIES);
    sender.send_unacknowledged(std::slice::from_ref(&url)).await;
    assert!(sender.is_done());
    for sample in samples("truepic") {
        post(&vendor, &url, "truepic", sample_bytes(&sample)).await;
    }
    (database, server)
}

/// Runs an example with the hub's URL and these arguments. It must print these lines after the list.
async fn assert_follows_all_changes(command: Command, arguments: &[&str], extra_lines: &[&str]) {
    let (database, server) = with_inspections().await;
    let (port, url, vendor) = (server.port, server.url.clone(), client());
    let board = run_query(&url, INSPECTIONS, Value::Null).await;
    let mut example = ClientProcess::start(command, &url, arguments);
    example.assert_lists(&board).await;
    for line in extra_lines {
        example.assert_next_line(line).await;
    }

    let mut cursor = board["head"]["cursor"].clone();
    post(&vendor, &url, "pave", delivery_body(DELIVERIES)).await;
    example.assert_follows(&url, &mut cursor, 1).await;

    // While it is disconnected: a change of a known inspection, a duplicate, a new inspection, and those of another vendor.
    server.kill();
    let other = HubProcess::start(&database).await;
    for number in [1, 0, 4] {
        post(&vendor, &other.url, "pave", delivery_body(DELIVERIES + number)).await;
    }
    for sample in samples("hover") {
        post(&vendor, &other.url, "hover", sample_bytes(&sample)).await;
    }
    other.kill();
    let server = HubProcess::at(port, &database, &[]).await;
    post(&vendor, &url, "pave", delivery_body(DELIVERIES + 2)).await;
    example.assert_follows(&url, &mut cursor, 10).await;

    server.stop().await;
    let server = HubProcess::at(port, &database, &[]).await;
    post(&vendor, &url, "pave", delivery_body(DELIVERIES + 3)).await;
    example.assert_follows(&url, &mut cursor, 1).await;
    server.kill();
}

const INSPECTIONS: &str = "{ head { cursor }
    inspections(first: 100, orderBy: { field: CREATED_AT, direction: ASC }) {
    totalCount nodes { vendor externalId status } } }";

const CHANGES: &str = "query($after: String!) {
    changes(first: 100, after: $after, filter: { kind: [INSPECTION], verdict: [APPLIED, SKIPPED_AHEAD, ORPHANED] }) {
        pageInfo { hasNextPage } nodes { cursor position toStatus inspection { vendor externalId } } } }";

/// A running example. Killed when it is dropped.
struct ClientProcess {
    process: Child,
    lines: UnboundedReceiver<String>,
}

impl ClientProcess {
    fn start(mut command: Command, url: &str, arguments: &[&str]) -> ClientProcess {
        let command = command.arg(url).args(arguments).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the example starts");
        let (sender, lines) = unbounded_channel();
        let output = BufReader::new(process.stdout.take().expect("a standard output"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        ClientProcess { process, lines }
    }

    /// Asserts that it prints all inspections in order, and an error for an invalid cursor.
    async fn assert_lists(&mut self, board: &Value) {
        let listed = board["inspections"]["nodes"].as_array().expect("inspections");
        assert!(listed.len() > 40 && board["inspections"]["totalCount"] == listed.len(), "{board:#}");
        for row in listed {
            self.assert_next_line(&format!("inspection {} {}", name(row), word(&row["status"]))).await;
        }
        self.assert_next_line("error CURSOR_INVALID").await;
    }

    /// Asserts that it exits successfully, without further lines.
    async fn assert_exits(mut self) {
        let more = tokio::time::timeout(LINE_TIMEOUT, self.lines.recv()).await.expect("its end in time");
        assert_eq!(more, None);
        assert!(self.process.wait().expect("its end").success(), "{}", self.failure_output());
    }

    async fn assert_next_line(&mut self, expected: &str) {
        match tokio::time::timeout(LINE_TIMEOUT, self.lines.recv()).await {
            Ok(Some(line)) => assert_eq!(line, expected),
            other => panic!("{other:?} instead of {expected:?}: {}", self.failure_output()),
        }
    }

    /// Asserts that it prints all changes of inspections after the cursor, in order and at least so many. Moves the cursor.
    async fn assert_follows(&mut self, url: &str, cursor: &mut Value, least: usize) {
        let page = run_query(url, CHANGES, json!({ "after": &*cursor })).await["changes"].take();
        let changes = page["nodes"].as_array().expect("changes");
        assert!(changes.len() >= least && page["pageInfo"]["hasNextPage"] == false, "{page:#}");
        for change in changes {
            let (name, status) = (name(&change["inspection"]), word(&change["toStatus"]));
            self.assert_next_line(&format!("change {} {name} {status}", change["position"])).await;
            *cursor = change["cursor"].clone();
        }
    }

    // Kills it, and returns its standard error.
    fn failure_output(&mut self) -> String {
        let _ = self.process.kill();
        let mut text = String::new();
        let _ = self.process.stderr.take().expect("a standard error").read_to_string(&mut text);
        text
    }
}

impl Drop for ClientProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn name(inspection: &Value) -> String {
    format!("{} {}", word(&inspection["vendor"]), word(&inspection["externalId"]))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} instead of a word"))
}

async fn post(client: &reqwest::Client, url: &str, source: &str, body: impl Into<reqwest::Body>) {
    let request = client.post(format!("{url}/webhooks/{source}")).header("content-type", "application/json");
    assert_eq!(request.body(body).send().await.expect("an answer").status(), 200);
}

fn node(example: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(example).current_dir(installed());
    command
}

fn in_python(example: &str) -> Command {
    let installed = built().with_file_name("python");
    assert!(installed.join("installed").exists(), "the Python clients are not installed: `make test` does it");
    let mut command = Command::new(installed.join("bin/python"));
    command.arg(example).current_dir(folder());
    command
}

/// Runs a script of the package `docs/clients`.
async fn build(script: &'static str) {
    let mut command = Command::new("npm");
    command.args(["run", "--silent", script]).current_dir(installed());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("npm starts");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
}

fn installed() -> PathBuf {
    let folder = folder();
    assert!(folder.join("node_modules").exists(), "the JavaScript clients are not installed: `make test` does it");
    folder
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients")
}

/// The build folder. This test is `target/debug/deps/hub-…`.
fn built() -> PathBuf {
    std::env::current_exe().expect("a path").ancestors().nth(2).expect("a folder").to_owned()
}
