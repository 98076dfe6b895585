//! Sockets without a network: messages byte by byte, and timeouts.

use super::*;
use crate::graphql::tests::ApiFixture;
use crate::live::SubscriptionManager;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

const SHORT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    hub: ApiFixture,
    live: Arc<SubscriptionManager>,
    limits: SocketLimits,
    stop: CancellationToken,
}

impl Server {
    async fn new(limits: SocketLimits) -> Server {
        let hub = ApiFixture::new().await;
        let live = SubscriptionManager::new(hub.pipeline(), hub.feed.clone());
        let stop = CancellationToken::new();
        tokio::spawn(hub.feed.clone().run(stop.clone()));
        Server { hub, live, limits, stop }
    }

    /// The other end of a socket, and its task.
    fn connect(&self, buffer: usize) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(buffer);
        let connection = SocketConnection::new(
            ours,
            self.live.clone(),
            Authentication::Done(Caller::unlimited(None)),
            self.limits,
            self.stop.clone(),
        );
        (theirs, tokio::spawn(connection.run()))
    }

    async fn client(&self) -> SocketClient {
        let (stream, _) = self.connect(64 << 10);
        SocketClient(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
    }

    async fn open(&self) -> SocketClient {
        let mut client = self.client().await;
        client.send_json(json!({ "type": "connection_init" })).await;
        assert_eq!(client.receive_json().await, json!({ "type": "connection_ack" }));
        client
    }
}

struct SocketClient(WebSocketStream<DuplexStream>);

impl SocketClient {
    async fn send_json(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    async fn send(&mut self, message: Message) {
        // A client whose socket was closed reads the reason.
        let _ = self.0.send(message).await;
    }

    async fn message(&mut self) -> Option<Message> {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("in time");
        message.map(|message| message.expect("a message"))
    }

    async fn receive_json(&mut self) -> Value {
        match self.message().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    /// The close code and reason. Messages before it are ignored.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.message().await {
                Some(Message::Close(Some(frame))) => {
                    assert!(self.message().await.is_none(), "nothing follows it");
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(_) => {}
                None => panic!("ended without being closed"),
            }
        }
    }
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({ "id": id, "type": "subscribe", "payload": { "query": query } })
}

#[tokio::test]
async fn each_mistake_has_its_code() {
    let server =
        Server::new(SocketLimits { max_message_bytes: 4096, init_timeout: PATIENCE, ..SocketLimits::default() }).await;
    let init = json!({ "type": "connection_init" });
    let changes = "subscription { changes { position } }";
    let long = "ä".repeat(120);
    for (messages, code, reason) in [
        (vec![init.clone(), init.clone()], 4429, "Too many initialisation requests"),
        (vec![subscribe("1", changes)], 4401, "Unauthorized"),
        (vec![init.clone(), subscribe("a", changes), subscribe("a", changes)], 4409, "Subscriber for a already exists"),
        (vec![init.clone(), subscribe(&long, changes), subscribe(&long, changes)], 4409, "Subscriber for ä"),
        (vec![json!({ "type": "start" })], 4400, "Invalid message"),
        (vec![json!({ "type": "next", "id": "1" })], 4400, "Invalid message"),
        (vec![json!({ "type": "connection_ack" })], 4400, "Invalid message"),
        (vec![json!({ "id": "1" })], 4400, "Invalid message"),
        (vec![json!("text")], 4400, "Invalid message"),
        (vec![json!({ "type": "connection_init", "payload": 1 })], 4400, "Invalid message"),
        (vec![json!({ "type": "ping", "payload": [] })], 4400, "Invalid message"),
        (vec![init.clone(), json!({ "type": "complete" })], 4400, "Invalid message"),
        (vec![init.clone(), json!({ "type": "subscribe", "payload": { "query": changes } })], 4400, "Invalid message"),
        (vec![init.clone(), subscribe("", changes)], 4400, "Invalid message"),
        (vec![init.clone(), json!({ "id": "1", "type": "subscribe" })], 4400, "Invalid message"),
        (vec![init.clone(), json!({ "id": "1", "type": "subscribe", "payload": {} })], 4400, "Invalid message"),
        (
            vec![init.clone(), json!({ "id": "1", "type": "subscribe", "payload": { "query": "", "variables": 1 } })],
            4400,
            "Inv",
        ),
        (vec![init.clone(), subscribe("1", &"x".repeat(5000))], 1009, "A message has at most 4096 bytes"),
    ] {
        let mut client = server.client().await;
        for message in &messages {
            client.send_json(message.clone()).await;
        }
        let closed = client.closed().await;
        assert_eq!(closed.0, code, "{messages:?}: {closed:?}");
        assert!(closed.1.starts_with(reason) && closed.1.len() <= 123, "{messages:?}: {closed:?}");
    }
    let mut client = server.client().await;
    client.send(Message::binary(init.to_string().into_bytes())).await;
    assert_eq!(client.closed().await.0, 4400);
    assert_eq!(server.live.subscribers(), 0);
}

#[tokio::test]
async fn bytes_that_are_no_websocket_are_refused() {
    let server = Server::new(SocketLimits { close_timeout: SHORT, ..SocketLimits::default() }).await;
    for (bytes, code) in [
        // Not masked; a reserved bit; an unknown kind; a ping of 126 bytes; masked text that is not UTF-8.
        (&[0x81, 0x02, b'{', b'}'][..], 1002_u16),
        (&[0xC1, 0x80, 0, 0, 0, 0], 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[[0x89, 0xFE, 0, 126, 0, 0, 0, 0].as_slice(), &[0; 126]].concat(), 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xFF], 1007),
    ] {
        let (mut stream, task) = server.connect(4096);
        stream.write_all(bytes).await.expect("written");
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time").expect("read");
        assert_eq!(answer[0], 0x88, "{bytes:?}");
        assert_eq!(u16::from_be_bytes([answer[2], answer[3]]), code, "{bytes:?}");
        assert_eq!(answer.len(), 2 + usize::from(answer[1]), "nothing follows it");
        task.await.expect("it ended well");
    }
}

#[tokio::test]
async fn a_silent_client_is_disconnected() {
    let server = Server::new(SocketLimits { init_timeout: SHORT, ..SocketLimits::default() }).await;
    let closed = server.client().await.closed().await;
    assert_eq!(closed, (4408, "Connection initialisation timeout".to_owned()));
    // Pings are none.
    let mut client = server.client().await;
    client.send_json(json!({ "type": "ping" })).await;
    assert_eq!(client.receive_json().await, json!({ "type": "pong" }));
    assert_eq!(client.closed().await.0, 4408);
}

#[tokio::test]
async fn an_idle_socket_is_pinged() {
    let limits = SocketLimits {
        ping_after: SHORT,
        ping_jitter: Duration::ZERO,
        pong_timeout: SHORT * 3,
        ..SocketLimits::default()
    };
    let server = Server::new(limits).await;
    // tungstenite replies to pings while it reads: this socket stays open.
    let mut client = server.open().await;
    for _ in 0..6 {
        assert!(matches!(client.message().await, Some(Message::Ping(_))));
    }
    client.send_json(json!({ "type": "ping", "payload": { "at": 1.0 } })).await;
    while let Some(message) = client.message().await {
        match message {
            Message::Text(text) => {
                assert_eq!(text.as_str(), r#"{"type":"pong","payload":{"at":1.0}}"#);
                break;
            }
            other => assert!(matches!(other, Message::Ping(_)), "{other:?}"),
        }
    }
    // This one never replies.
    let (mut stream, task) = server.connect(4096);
    let init = br#"{"type":"connection_init"}"#;
    stream.write_all(&[0x81, 0x80 | init.len() as u8, 0, 0, 0, 0]).await.expect("written");
    stream.write_all(init).await.expect("written");
    let mut received = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("in time").expect("read");
    assert_eq!(received, [&[0x81, 25][..], br#"{"type":"connection_ack"}"#, &[0x89, 0]].concat());
    task.await.expect("it ended well");
}

#[tokio::test]
async fn a_socket_that_only_sends_is_pinged_too() {
    let limits = SocketLimits {
        ping_after: SHORT,
        ping_jitter: Duration::ZERO,
        pong_timeout: PATIENCE,
        ..SocketLimits::default()
    };
    let server = Server::new(limits).await;
    let mut client = server.open().await;
    // Nothing is sent to it: a proxy would close the connection.
    let pinged = async {
        loop {
            client.send_json(json!({ "type": "pong" })).await;
            let message = tokio::time::timeout(SHORT / 6, client.message()).await;
            if matches!(message, Ok(Some(Message::Ping(_)))) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, pinged).await.expect("it is pinged");
}

#[test]
fn an_idle_socket_is_pinged_before_proxies_close_it() {
    let SocketLimits { ping_after, ping_jitter, .. } = SocketLimits::default();
    assert!(ping_after + ping_jitter < Duration::from_secs(30));
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed() {
    let server = Server::new(SocketLimits { write_timeout: SHORT, ..SocketLimits::default() }).await;
    let (mut stream, task) = server.connect(16);
    let ping = br#"{"type":"ping","payload":{"a":"bcdefgh"}}"#;
    for _ in 0..3 {
        stream.write_all(&[0x81, 0x80 | ping.len() as u8, 0, 0, 0, 0]).await.expect("written");
        stream.write_all(ping).await.expect("written");
    }
    tokio::time::timeout(PATIENCE, task).await.expect("in time").expect("it ended well");
}

#[tokio::test]
async fn a_shutdown_closes_the_socket_with_its_code() {
    let server = Server::new(SocketLimits::default()).await;
    let mut client = server.open().await;
    client.send_json(subscribe("1", "subscription { changes { position } }")).await;
    server.stop.cancel();
    assert_eq!(client.closed().await.0, 1001);
}

#[tokio::test]
async fn queries_and_subscriptions_share_a_socket() {
    let server = Server::new(SocketLimits { max_operations: 3, ..SocketLimits::default() }).await;
    let mut client = server.open().await;
    client.send_json(subscribe("q", "{ head { position } }")).await;
    let answer = json!({ "id": "q", "type": "next", "payload": { "data": { "head": { "position": 0 } } } });
    assert_eq!(client.receive_json().await, answer);
    assert_eq!(client.receive_json().await, json!({ "id": "q", "type": "complete" }));

    for (id, query) in [("p", "{"), ("v", "{ nothing }"), ("s", "subscription { changes(after: \"x\") { position } }")]
    {
        client.send_json(subscribe(id, query)).await;
        let error = client.receive_json().await;
        assert_eq!((&error["id"], &error["type"]), (&json!(id), &json!("error")));
        assert!(error["payload"][0]["message"].is_string(), "{error}");
    }

    // The id is free again, also after `complete`, which is not echoed.
    client.send_json(subscribe("s", "subscription { changes { position } }")).await;
    client.send_json(json!({ "id": "s", "type": "complete" })).await;
    client.send_json(json!({ "id": "unknown", "type": "complete" })).await;
    for id in ["s", "t", "u", "v"] {
        client.send_json(subscribe(id, "subscription { changes { position } }")).await;
    }
    let error = client.receive_json().await;
    assert_eq!((&error["id"], &error["type"]), (&json!("v"), &json!("error")), "one too many");
    assert_eq!((server.live.subscribers(), server.live.shared_executions()), (3, 1));

    server.hub.inspection(1).await;
    server.hub.change(1, entity::Kind::Inspection, 1, |_| {}).await;
    server.hub.feed.publish(1);
    for id in ["s", "t", "u"] {
        let next = json!({ "id": id, "type": "next", "payload": { "data": { "changes": { "position": 1 } } } });
        assert_eq!(client.receive_json().await, next);
    }
    client.send(Message::Close(None)).await;
    while client.message().await.is_some() {}
    assert_eq!(server.live.subscribers(), 0);
}
