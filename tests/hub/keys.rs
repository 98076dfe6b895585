//! API keys at a running hub: what they allow, and what ends with them, on every transport and on every process.

use crate::test_hub::{Socket, TIMEOUT, TestHub, send_request, wait_until};
use crate::test_keys::{create_key, is_accepted, keys, new_key, query_with_key, settings_key};
use futures_util::{SinkExt, StreamExt};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const CHANGES: &str = "subscription { changes { position } }";
const STREAM_TOKEN: &str = "X-GraphQL-Event-Stream-Token";

/// Waits until a hub knows the key. An open one accepts any.
async fn wait_until_accepted(app: &TestHub, token: &str) {
    const NO_KEY: &str = "ihub_000000000000_0";
    wait_until("the key is known", async || !is_accepted(app, NO_KEY).await && is_accepted(app, token).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_key_closes_an_open_hub_for_good() {
    let app = TestHub::start().await;
    let other = app.second_hub().await;
    let mut open = app.subscribe(CHANGES, json!({})).await;
    let (key, id) = create_key(&app.database, &["--scope", "read"]).await;
    for hub in [&app, &other] {
        wait_until_accepted(hub, &key).await;
        assert_eq!(send_request(hub.client.get(hub.url("/graphql?query=%7B__typename%7D"))).await.status, 401);
        assert_eq!(send_request(hub.client.get(hub.url("/metrics"))).await.status, 401);
        assert_eq!(hub.post_sample("pave/session-status-change-started.json").await.status, 200);
    }
    let ended = open.next_message().await;
    assert_eq!(
        (&ended["type"], &ended["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("UNAUTHENTICATED"))
    );
    assert!(keys(&app.database, &["revoke", &id]).await.status.success());
    wait_until("the key is refused", async || !is_accepted(&app, &key).await).await;
    drop(open);
    let app = app.restart().await;
    assert_eq!(query_with_key(&app, &key, "{ __typename }").await.status, 401);
    assert_eq!(send_request(app.client.get(app.url("/graphql?query=%7B__typename%7D"))).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_key_is_replaced_both_are_valid_and_subscriptions_continue() {
    let app = TestHub::start().await;
    let (old, id) = create_key(&app.database, &["--scope", "read"]).await;
    wait_until_accepted(&app, &old).await;
    let mut running = events(subscribe(&app, &old, "text/event-stream", CHANGES)).await;
    let (new, new_id) = new_key(&keys(&app.database, &["rotate", &id]).await);
    wait_until_accepted(&app, &new).await;
    assert!(is_accepted(&app, &old).await && id != new_id);
    app.receive("pave/session-status-change-started.json").await;
    until(&mut running, "\"position\":1").await;
    let listed = String::from_utf8(keys(&app.database, &["list"]).await.stdout).expect("text");
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(keys(&app.database, &["revoke", &id]).await.status.success());
    until(&mut running, "UNAUTHENTICATED").await;
    assert!(is_accepted(&app, &new).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_ends_everything_that_uses_it_on_all_hubs() {
    let app = TestHub::start().await;
    let other = app.second_hub().await;
    let (key, id) = create_key(&app.database, &["--scope", "read"]).await;
    let (kept, _) = create_key(&app.database, &["--scope", "read"]).await;
    for hub in [&app, &other] {
        wait_until_accepted(hub, &key).await;
        wait_until_accepted(hub, &kept).await;
    }
    // A stream may begin after its operation was accepted, so all begin at the same place.
    let head = query_with_key(&app, &key, "{ head { cursor } }").await.body["data"]["head"]["cursor"].clone();
    let query = format!("subscription {{ changes(after: {head}) {{ position }} }}");
    let (mut sockets, mut bodies) = (Vec::new(), Vec::new());
    for hub in [&app, &other] {
        let mut socket = open_socket(hub, &key).await;
        for id in ["one", "two"] {
            send(&mut socket, json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
        }
        sockets.push(socket);
        // A socket without a subscription.
        sockets.push(open_socket(hub, &key).await);
        for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0, application/json"] {
            bodies.push(events(subscribe(hub, &key, accept, &query)).await);
        }
        bodies.push(single_connection(hub, &key, &query).await);
    }
    let mut survivor = events(subscribe(&app, &kept, "text/event-stream", CHANGES)).await;
    app.receive("pave/session-status-change-started.json").await;
    for body in &mut bodies {
        until(body, "\"position\":1").await;
    }
    assert!(keys(&app.database, &["revoke", &id]).await.status.success());
    for body in &mut bodies {
        let rest = until_end(body).await;
        assert!(rest.contains("UNAUTHENTICATED") && rest.contains("\"cursor\":\""), "{rest}");
    }
    // The newest position that each subscription received, and the cursor with which it ended.
    let mut ends = Vec::new();
    for socket in &mut sockets {
        let (messages, (code, reason)) = until_closed(socket).await;
        assert_eq!(code, 4403, "{reason}");
        assert!(reason.contains("credential has ended"), "{reason}");
        for error in messages.iter().filter(|message| message["type"] == "error") {
            let extensions = &error["payload"][0]["extensions"];
            assert_eq!(extensions["code"], "UNAUTHENTICATED");
            let of_same = messages.iter().filter(|message| message["id"] == error["id"] && message["type"] == "next");
            let positions =
                of_same.map(|next| next["payload"]["data"]["changes"]["position"].as_i64().expect("a position"));
            ends.push((positions.max().unwrap_or(0), extensions["cursor"].as_str().expect("a cursor").to_owned()));
        }
    }
    assert_eq!(ends.len(), 4, "one for each subscription");
    // Another key resumes where it ended.
    app.receive("pave/session-status-change-qc-passed.json").await;
    for (position, cursor) in ends {
        let resume = format!("subscription {{ changes(after: \"{cursor}\") {{ position }} }}");
        let mut resumed = events(subscribe(&app, &kept, "text/event-stream", &resume)).await;
        let next = format!("\"position\":{}}}", position + 1);
        let text = until(&mut resumed, &next).await;
        assert_eq!(text.find("\"position\":"), text.find(&next), "without a gap and a repeat: {text}");
    }
    let newest = query_with_key(&app, &kept, "{ head { position } }").await.body["data"]["head"]["position"].clone();
    until(&mut survivor, &format!("\"position\":{newest}}}")).await;
    for hub in [&app, &other] {
        assert!(!is_accepted(hub, &key).await && is_accepted(hub, &kept).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_key_ends_what_uses_it() {
    let app = TestHub::start().await;
    let (key, id) = create_key(&app.database, &["--scope", "read"]).await;
    wait_until_accepted(&app, &key).await;
    let mut running = events(subscribe(&app, &key, "text/event-stream", CHANGES)).await;
    let (new, _) = new_key(&keys(&app.database, &["rotate", &id, "--overlap", "500ms"]).await);
    let rest = until_end(&mut running).await;
    assert!(rest.contains("UNAUTHENTICATED") && rest.contains("\"cursor\":\""), "{rest}");
    wait_until_accepted(&app, &new).await;
    assert!(!is_accepted(&app, &key).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_by_a_mutation_and_revoked_everywhere() {
    let ((admin, first), (reader, second)) = (settings_key("read admin", ""), settings_key("read operate", ""));
    let app = TestHub::with(&[first, second].concat()).await;
    let other = app.second_hub().await;
    let mutation = "mutation { createApiKey(input: { name: \"n\", scopes: [READ] }) { secret apiKey { id } } }";
    let forbidden = query_with_key(&app, &reader, mutation).await.body;
    assert_eq!(forbidden["errors"][0]["extensions"]["scope"], "admin", "{forbidden}");
    let by_get = app.client.get(app.url("/graphql?query=mutation%7B__typename%7D")).bearer_auth(&admin);
    assert_eq!(send_request(by_get).await.status, 405);
    let mut created = query_with_key(&app, &admin, mutation).await.body["data"]["createApiKey"].take();
    let key = created["secret"].as_str().expect("a secret").to_owned();
    assert!(is_accepted(&app, &key).await, "at once, where it was made");
    wait_until_accepted(&other, &key).await;
    let mut running = events(subscribe(&other, &key, "text/event-stream", CHANGES)).await;
    let revoke = format!(
        "mutation {{ revokeApiKey(input: {{ id: {} }}) {{ apiKey {{ id }} }} }}",
        created["apiKey"]["id"].take()
    );
    assert!(query_with_key(&app, &admin, &revoke).await.body.get("errors").is_none());
    assert!(!is_accepted(&app, &key).await, "at once, where it was revoked");
    assert!(until_end(&mut running).await.contains("UNAUTHENTICATED"));
    let viewer = query_with_key(&app, &reader, "{ viewer { subject scopes sources expiresAt } }").await.body;
    assert_eq!(viewer["data"]["viewer"]["scopes"], json!(["READ", "OPERATE"]), "{viewer}");
    assert!(viewer["data"]["viewer"]["subject"].as_str().expect("text").starts_with("key:"), "{viewer}");
}

#[tokio::test]
async fn an_event_stream_exists_for_its_subject_alone() {
    let ((one, first), (other, second)) = (settings_key("read", ""), settings_key("read", ""));
    let app = TestHub::with(&[first, second].concat()).await;
    let url = app.url("/graphql");
    let reserved = send_request(app.client.put(&url).bearer_auth(&one)).await;
    let token = reserved.body.as_str().expect("a token").to_owned();
    let open = |key: &str| {
        let request = app.client.get(&url).header("accept", "text/event-stream").bearer_auth(key);
        request.header(STREAM_TOKEN, &token)
    };
    assert_eq!(send_request(open(&other)).await.status, 404);
    let _stream = events(open(&one)).await;
    let start = |key: &str| {
        let body = json!({ "query": CHANGES, "extensions": { "operationId": "1" } });
        app.client.post(&url).bearer_auth(key).header(STREAM_TOKEN, &token).json(&body)
    };
    let stop = |key: &str| {
        let stop = app.client.delete(app.url("/graphql?operationId=1"));
        stop.bearer_auth(key).header(STREAM_TOKEN, &token)
    };
    assert_eq!(send_request(start(&other)).await.status, 404);
    assert_eq!(send_request(start(&one)).await.status, 202);
    assert_eq!(send_request(stop(&other)).await.status, 404);
    assert_eq!(send_request(stop(&one)).await.status, 200);
}

#[tokio::test]
async fn metrics_need_their_scope_and_reading_needs_its_own() {
    let ((reader, first), (scraper, second)) = (settings_key("read", ""), settings_key("metrics", ""));
    let app = TestHub::with(&[first, second].concat()).await;
    let metrics = |key: Option<&str>| {
        let request = app.client.get(app.url("/metrics"));
        send_request(match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    };
    for (key, status, detail) in [
        (None, 401, "valid credential"),
        (Some("ihub_000000000000_0"), 401, "valid credential"),
        (Some(reader.as_str()), 403, "the scope `metrics`"),
        (Some(scraper.as_str()), 200, ""),
    ] {
        let response = metrics(key).await;
        assert_eq!(response.status, status, "{response:?}");
        if status != 200 {
            assert_eq!(response.headers["content-type"], "application/problem+json");
            assert!(response.body["detail"].as_str().expect("text").contains(detail), "{response:?}");
            assert_eq!(response.headers.contains_key("www-authenticate"), status == 401);
        }
    }
    let query = "{ head { position } }";
    let forbidden = query_with_key(&app, &scraper, query).await.body;
    assert_eq!(forbidden["errors"][0]["extensions"]["code"], "FORBIDDEN", "{forbidden}");
    assert_eq!(forbidden["errors"][0]["extensions"]["scope"], "read", "{forbidden}");
    assert_eq!(query_with_key(&app, &reader, query).await.body["data"]["head"]["position"], 0);
}

fn subscribe(app: &TestHub, key: &str, accept: &str, query: &str) -> RequestBuilder {
    let request = app.client.post(app.url("/graphql")).bearer_auth(key).header("accept", accept);
    request.json(&json!({ "query": query }))
}

async fn single_connection(app: &TestHub, key: &str, query: &str) -> Response {
    let url = app.url("/graphql");
    let reserved = send_request(app.client.put(&url).bearer_auth(key)).await;
    let token = reserved.body.as_str().expect("a token").to_owned();
    let open = app.client.get(&url).bearer_auth(key).header("accept", "text/event-stream");
    let stream = events(open.header(STREAM_TOKEN, &token)).await;
    let body = json!({ "query": query, "extensions": { "operationId": "1" } });
    let start = app.client.post(&url).bearer_auth(key).header(STREAM_TOKEN, &token).json(&body);
    assert_eq!(send_request(start).await.status, 202);
    stream
}

async fn events(request: RequestBuilder) -> Response {
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200, "{response:?}");
    response
}

/// Reads a body until it contains a text.
pub async fn until(body: &mut Response, expected: &str) -> String {
    let mut text = String::new();
    while !text.contains(expected) {
        let chunk = tokio::time::timeout(TIMEOUT, body.chunk()).await.expect("in time").expect("a body");
        text += &String::from_utf8_lossy(&chunk.unwrap_or_else(|| panic!("ended without {expected}: {text}")));
    }
    text
}

/// Reads a body until it ends.
pub async fn until_end(body: &mut Response) -> String {
    let mut text = String::new();
    while let Some(chunk) = tokio::time::timeout(TIMEOUT, body.chunk()).await.expect("in time").expect("a body") {
        text += &String::from_utf8_lossy(&chunk);
    }
    text
}

async fn open_socket(app: &TestHub, key: &str) -> Socket {
    let mut socket = app.socket().await;
    send(&mut socket, json!({ "type": "connection_init", "payload": { "token": key } })).await;
    let ack =
        tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message").expect("no error");
    assert!(ack.to_string().contains("connection_ack"), "{ack:?}");
    socket
}

async fn send(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.expect("sent");
}

/// All messages until the socket is closed, with the code and the reason.
pub async fn until_closed(socket: &mut Socket) -> (Vec<Value>, (u16, String)) {
    let mut messages = Vec::new();
    loop {
        let message = tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message");
        match message.expect("no error") {
            Message::Text(text) => messages.push(serde_json::from_str(&text).expect("JSON")),
            Message::Close(Some(frame)) => return (messages, (frame.code.into(), frame.reason.to_string())),
            _ => {}
        }
    }
}
