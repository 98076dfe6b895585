//! The driver: one hub per test, on its own database and port, used as vendors and frontends use it.
//! Webhooks go in, GraphQL shows the result. [`TestInspection`](crate::test_inspection::TestInspection) checks it.

use crate::database::TestDatabase;
use crate::test_inspection::TestInspection;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use inspection_hub::server::Hub;
use inspection_hub::settings::{SettingFlags, Settings};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for a condition that must become true. Long, because other tests run at the same time.
pub const TIMEOUT: Duration = Duration::from_secs(60);

pub struct TestHub {
    pub hub: Hub,
    pub client: reqwest::Client,
    pub database: Arc<TestDatabase>,
    settings: String,
}

/// A response of the hub.
#[derive(Debug)]
pub struct TestResponse {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl TestHub {
    /// A hub with the five open sources.
    pub async fn start() -> TestHub {
        TestHub::with("").await
    }

    /// A hub with these settings (the text of `inspection-hub.toml`).
    pub async fn with(settings: &str) -> TestHub {
        TestHub::on(Arc::new(TestDatabase::new().await), settings).await
    }

    /// A hub on this database.
    pub async fn on(database: Arc<TestDatabase>, settings: &str) -> TestHub {
        let text = format!("database = \"{}\"\n{settings}", database.address);
        let read = move |_: &Path| Ok(text.clone());
        let flags = SettingFlags::default().with("config", "inspection-hub.toml").with("listen", "127.0.0.1:0");
        let (loaded, _) = Settings::load(&flags, [], &read).unwrap_or_else(|problems| panic!("{problems}"));
        let hub = Hub::start(loaded).await.expect("a hub");
        TestHub { hub, client: client(), database, settings: settings.to_owned() }
    }

    /// Another hub on the same database.
    pub async fn second_hub(&self) -> TestHub {
        TestHub::on(self.database.clone(), &self.settings).await
    }

    /// Ends the hub and starts another on the same database.
    pub async fn restart(self) -> TestHub {
        let TestHub { hub, database, settings, .. } = self;
        hub.stop().await;
        TestHub::on(database, &settings).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.hub.address())
    }

    /// Posts a sample, e.g. `hover/job-state-changed-working.json`, which the hub must accept.
    pub async fn receive(&self, sample: &str) -> TestResponse {
        let response = self.post_sample(sample).await;
        assert_eq!(response.status, 200, "{sample}: {response:?}");
        response
    }

    /// Posts a sample to the source named after its vendor.
    pub async fn post_sample(&self, sample: &str) -> TestResponse {
        let (vendor, _) = sample.split_once('/').expect("vendor/file");
        let body = sample_bytes(sample);
        match sample.ends_with(".multipart") {
            true => self.post_as(vendor, "multipart/form-data; boundary=hub-boundary", body).await,
            false => self.post_as(vendor, "application/json", body).await,
        }
    }

    /// Posts a sample to the source of another vendor.
    pub async fn post_sample_as(&self, source: &str, sample: &str) -> TestResponse {
        self.post(source, sample_bytes(sample)).await
    }

    /// Posts a body to a source.
    pub async fn post(&self, source: &str, body: impl Into<reqwest::Body>) -> TestResponse {
        self.post_as(source, "application/json", body).await
    }

    pub async fn post_json(&self, source: &str, body: Value) -> TestResponse {
        self.post(source, body.to_string()).await
    }

    async fn post_as(&self, source: &str, content_type: &str, body: impl Into<reqwest::Body>) -> TestResponse {
        let url = self.url(&format!("/webhooks/{source}"));
        let request = self.client.post(url).header("content-type", content_type).body(body);
        send_request(request).await
    }

    /// The data of a query, which must have no errors.
    pub async fn query(&self, query: &str) -> Value {
        self.query_with(query, json!({})).await
    }

    pub async fn query_with(&self, query: &str, variables: Value) -> Value {
        let answer = self.graphql(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].clone()
    }

    /// The whole response to a query.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let answer = self.client.post(self.url("/graphql")).json(&body).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// The inspection with a vendor's id, or null.
    pub async fn inspection(&self, source: &str, external_id: &str) -> TestInspection {
        let query = "query($s: String!, $e: String!) { inspectionByExternalId(source: $s, externalId: $e) {
            id state status cycle reference position createdAt updatedAt occurredAt details
            subject { vehicle { vin make year odometer } asset { externalId } location { city name latitude longitude } }
            sessions(first: 50) { nodes { id externalId state status cycle } }
            jobs(first: 50) { nodes { id externalId kind state status cycle } }
            items(first: 100) { nodes { id externalId kind state } }
            nextStates { state reopening }
            history(first: 100) { nodes { position verdict reason event fromState toState fromStatus toStatus cycle } } } }";
        let data = self.query_with(query, json!({ "s": source, "e": external_id })).await;
        TestInspection(data["inspectionByExternalId"].clone())
    }

    /// The ledger of a source.
    pub async fn ledger(&self, source: &str) -> Value {
        let query =
            "{ sources { name ledger { received duplicates applied skippedAhead unexpected stale refused noChange
            unrecognized unreadable orphaned } } }";
        let data = self.query(query).await;
        let sources = data["sources"].as_array().expect("sources");
        sources.iter().find(|known| known["name"] == source).expect("the source")["ledger"].clone()
    }

    /// Every change, oldest first.
    pub async fn changes(&self) -> Vec<Value> {
        let query = "query($after: String) { changes(first: 100, after: $after) { pageInfo { hasNextPage endCursor }
            nodes { position cursor kind verdict reason event source fromState toState fromStatus toStatus cycle
            delivery { id } } } }";
        let mut changes = Vec::new();
        let mut after = Value::Null;
        loop {
            let page = self.query_with(query, json!({ "after": after })).await;
            let page = &page["changes"];
            changes.extend(page["nodes"].as_array().expect("changes").iter().cloned());
            if page["pageInfo"]["hasNextPage"] == false {
                return changes;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }

    /// Opens a WebSocket without `connection_init`.
    pub async fn socket(&self) -> Socket {
        let url = self.url("/graphql").replace("http://", "ws://");
        let mut request = url.into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
        let (socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
        socket
    }

    /// Opens a WebSocket for operations.
    pub async fn open_socket(&self) -> Subscription {
        Subscription::opened(self.socket().await).await
    }

    /// Subscribes over WebSocket.
    pub async fn subscribe(&self, query: &str, variables: Value) -> Subscription {
        Subscription::on(self.socket().await, query, variables).await
    }
}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One subscription on a socket of its own.
pub struct Subscription {
    socket: Socket,
}

impl Subscription {
    /// Subscribes on a socket.
    pub async fn on(socket: Socket, query: &str, variables: Value) -> Subscription {
        let mut subscription = Subscription::opened(socket).await;
        let payload = json!({ "query": query, "variables": variables });
        subscription.send(json!({ "id": "1", "type": "subscribe", "payload": payload })).await;
        subscription
    }

    /// An acknowledged socket without an operation.
    pub async fn opened(socket: Socket) -> Subscription {
        Subscription::opened_with(socket, Value::Null).await
    }

    /// The same, with a payload of `connection_init`.
    pub async fn opened_with(socket: Socket, payload: Value) -> Subscription {
        let mut subscription = Subscription { socket };
        subscription.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(subscription.receive_message().await["type"], "connection_ack");
        subscription
    }

    /// The sending and the receiving half.
    pub fn split(self) -> (SplitSink<Socket, Message>, SplitStream<Socket>) {
        self.socket.split()
    }

    pub async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    async fn receive_message(&mut self) -> Value {
        self.next_message_or_end().await.expect("no error")
    }

    /// The next message, or why the connection has ended.
    pub async fn next_message_or_end(&mut self) -> Result<Value, tungstenite::Error> {
        loop {
            let message = tokio::time::timeout(TIMEOUT, self.socket.next()).await.expect("in time");
            match message.expect("a message")? {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The data of the next event.
    pub async fn next_data(&mut self) -> Value {
        let message = self.receive_message().await;
        assert_eq!(message["type"], "next", "{message:#}");
        assert!(message["payload"].get("errors").is_none(), "{message:#}");
        message["payload"]["data"].clone()
    }

    /// The next message, which may be an error.
    pub async fn next_message(&mut self) -> Value {
        self.receive_message().await
    }
}

pub async fn send_request(request: reqwest::RequestBuilder) -> TestResponse {
    let response = request.send().await.expect("an answer");
    let (code, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    TestResponse { status: code, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), headers }
}

/// A client that uses no proxy.
pub fn client() -> reqwest::Client {
    inspection_hub::server::install_tls();
    reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a client")
}

/// A sample's bytes.
pub fn sample_bytes(sample: &str) -> Vec<u8> {
    let path = format!("{}/tests/samples/{sample}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The samples of a vendor, in a plausible order (`ORDER`).
pub fn samples(vendor: &str) -> Vec<String> {
    let order = String::from_utf8(sample_bytes(&format!("{vendor}/ORDER"))).expect("text");
    let files = order.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    files.map(|file| format!("{vendor}/{file}")).collect()
}

/// Polls a condition until it holds. Fails after [`TIMEOUT`] and names what it waited for.
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < TIMEOUT, "after {TIMEOUT:?}, not yet: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
