//! With an API key, every transport of the API requires one; without, the API is open.

use crate::test_hub::{Socket, TIMEOUT, TestHub, TestResponse, send_request};
use crate::test_keys::settings_key;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const QUERY: &str = "{ head { position } }";

async fn assert_unauthenticated(request: reqwest::RequestBuilder, what: &str) {
    let TestResponse { status: code, body, headers } = send_request(request).await;
    assert_eq!((code, headers["www-authenticate"].as_bytes()), (401, &b"Bearer"[..]), "{what}: {body}");
    assert_eq!(body["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{what}: {body}");
    assert!(body.get("data").is_none(), "{what}: {body}");
}

fn post(app: &TestHub, accept: &str) -> reqwest::RequestBuilder {
    app.client.post(app.url("/graphql")).header("accept", accept).json(&json!({ "query": QUERY }))
}

/// A hub with two keys that allow everything.
async fn guarded_hub() -> (TestHub, [String; 2]) {
    let all = "read read:personal operate erase admin metrics";
    let ((one, first), (other, second)) = (settings_key(all, ""), settings_key(all, ""));
    (TestHub::with(&[first, second].concat()).await, [one, other])
}

#[tokio::test]
async fn requests_without_a_key_are_unauthenticated() {
    let (app, [key, other]) = guarded_hub().await;
    for accept in ["application/json", "application/graphql-response+json", "text/event-stream", "text/html", "*/*"] {
        assert_unauthenticated(post(&app, accept), accept).await;
    }
    let json = || post(&app, "application/json");
    let (id, secret) = key.rsplit_once('_').expect("a key");
    let (_, other_secret) = other.rsplit_once('_').expect("a key");
    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {}", &key[..key.len() - 1]),
        format!("Bearer {key}0"),
        format!("Bearer {key}, {other}"),
        format!("Bearer {}", key.to_uppercase()),
        format!("Bearer {id}_{other_secret}"),
        format!("Bearer ihub_000000000000_{secret}"),
        format!("Bearer {secret}"),
        format!("Bearer {id}_"),
        format!("Basic {key}"),
        key.clone(),
    ] {
        assert_unauthenticated(json().header("authorization", &authorization), &authorization).await;
    }
    let bearer = format!("Bearer {key}");
    let twice = json().header("authorization", &bearer).header("authorization", &bearer);
    assert_unauthenticated(twice, "two headers").await;
    // Only a socket may send its key later.
    assert_unauthenticated(json().header("upgrade", "websocket").header("connection", "upgrade"), "no socket").await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let url = app.url("/graphql?query=%7B__typename%7D");
        assert_unauthenticated(app.client.request(method.clone(), url), method.as_str()).await;
    }
    // Other routes need no key.
    for path in ["/healthz", "/readyz", "/schema.graphql"] {
        assert_eq!(send_request(app.client.get(app.url(path))).await.status, 200, "{path}");
    }
    assert_eq!(app.post_sample("pave/session-status-change-started.json").await.status, 200);
}

#[tokio::test]
async fn each_key_is_valid_on_every_transport() {
    let (app, [key, other]) = guarded_hub().await;
    for authorization in [format!("Bearer {key}"), format!("bearer  {other}")] {
        let authorization = authorization.as_str();
        let without = authorization.split_once(' ').expect("a scheme").1.trim();
        let response = send_request(post(&app, "application/json").header("authorization", authorization)).await;
        assert_eq!(response.body, json!({ "data": { "head": { "position": 0 } } }), "{authorization}");
        let url = app.url("/graphql?query=%7B__typename%7D");
        assert_eq!(
            send_request(app.client.get(&url).header("authorization", authorization)).await.status,
            200,
            "{authorization}"
        );
        let reserved = send_request(app.client.put(&url).header("authorization", authorization)).await;
        assert_eq!(reserved.status, 201, "{authorization}");
        for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0, application/json"] {
            let body = json!({ "query": "subscription { changes { position } }" });
            let request =
                app.client.post(&url).header("accept", accept).header("authorization", authorization).json(&body);
            let response = request.send().await.expect("an answer");
            let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
            assert_eq!((response.status().as_u16(), &kind[..9]), (200, &accept[..9]), "{authorization}");
        }
        for (header, payload) in [
            (Some(authorization), Value::Null),
            (Some("Bearer wrong"), json!({ "Authorization": authorization })),
            (None, json!({ "Authorization": authorization })),
            (None, json!({ "authorization": authorization, "more": 1 })),
            (None, json!({ "AUTHORIZATION": authorization })),
            (None, json!({ "headers": { "Authorization": authorization, "x": 1 } })),
            (None, json!({ "Headers": { "authorization": authorization } })),
            (None, json!({ "authToken": authorization })),
            (None, json!({ "authToken": without })),
            (None, json!({ "token": without })),
            (None, json!({ "Authorization": null, "token": without })),
            (None, json!({ "Authorization": null, "headers": null, "authToken": authorization })),
        ] {
            let mut socket = socket(&app, header).await;
            send(&mut socket, init(&payload)).await;
            assert_eq!(receive(&mut socket).await, Ok(json!({ "type": "connection_ack" })), "{header:?} {payload}");
            send(&mut socket, json!({ "id": "1", "type": "subscribe", "payload": { "query": QUERY } })).await;
            assert_eq!(receive(&mut socket).await.expect("an answer")["payload"]["data"]["head"]["position"], 0);
        }
    }
}

#[tokio::test]
async fn a_socket_without_a_valid_key_is_closed() {
    let (app, [key, other]) = guarded_hub().await;
    let bearer = format!("Bearer {key}");
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": QUERY } });
    const NONE: &str = "no credential: send {\"Authorization\": \"Bearer …\"}";
    const UNKNOWN: &str = "the credential is unknown, expired or revoked: send {\"Authorization\": \"Bearer …\"}";
    for (header, message, code, why) in [
        (None, init(&Value::Null), 4403, NONE),
        (None, init(&json!({})), 4403, NONE),
        (None, init(&json!({ "Authorization": "Bearer sesame" })), 4403, UNKNOWN),
        (None, init(&json!({ "Authorization": &key })), 4403, NONE),
        (None, init(&json!({ "Authorization": format!("Basic {key}") })), 4403, NONE),
        (None, init(&json!({ "Authorization": [&bearer] })), 4403, NONE),
        (None, init(&json!({ "Authorization": "", "token": &key })), 4403, NONE),
        (None, init(&json!({ "Authorization": "Bearer sesame", "token": &key })), 4403, UNKNOWN),
        (None, init(&json!({ "headers": { "Authorization": "Bearer sesame" } })), 4403, UNKNOWN),
        (None, init(&json!({ "headers": { "Authorization": &key } })), 4403, NONE),
        (None, init(&json!({ "headers": ["Authorization", &bearer] })), 4403, NONE),
        (None, init(&json!({ "headers": { "headers": { "Authorization": bearer.as_str() } } })), 4403, NONE),
        (None, init(&json!({ "authToken": "sesame" })), 4403, UNKNOWN),
        (None, init(&json!({ "authToken": "" })), 4403, NONE),
        (None, init(&json!({ "token": { "token": &key } })), 4403, NONE),
        (None, init(&json!({ "token": 5 })), 4403, NONE),
        (Some("Bearer sesame"), init(&Value::Null), 4403, NONE),
        (None, subscribe.clone(), 4401, "Unauthorized"),
        (Some(bearer.as_str()), subscribe, 4401, "Unauthorized"),
    ] {
        let mut socket = socket(&app, header).await;
        send(&mut socket, message.clone()).await;
        let (closed, reason) = receive_or_close(&mut socket).await.expect_err("closed");
        assert_eq!(closed, code, "{header:?} {message}");
        assert!(reason.contains(why) && reason.len() <= 123, "{header:?} {message}: {reason}");
        assert!(!reason.contains("sesame") && !reason.contains(&key) && !reason.contains(&other), "{reason}");
    }
}

fn init(payload: &Value) -> Value {
    match payload {
        Value::Null => json!({ "type": "connection_init" }),
        payload => json!({ "type": "connection_init", "payload": payload }),
    }
}

async fn socket(app: &TestHub, authorization: Option<&str>) -> Socket {
    let mut request = app.url("/graphql").replace("http://", "ws://").into_client_request().expect("a request");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    if let Some(authorization) = authorization {
        headers.insert("authorization", authorization.parse().expect("a header"));
    }
    tokio_tungstenite::connect_async(request).await.expect("a socket").0
}

async fn send(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.expect("sent");
}

/// The next message, or the close code.
async fn receive(socket: &mut Socket) -> Result<Value, u16> {
    receive_or_close(socket).await.map_err(|(code, _)| code)
}

/// The next message, or the close code and reason.
async fn receive_or_close(socket: &mut Socket) -> Result<Value, (u16, String)> {
    loop {
        let message = tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message");
        match message.expect("no error") {
            Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
            Message::Close(Some(frame)) => return Err((frame.code.into(), frame.reason.to_string())),
            _ => {}
        }
    }
}
