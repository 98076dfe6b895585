//! With `api_tokens`, every transport of the API requires one of them; without, the API is open.

use crate::test_hub::{Socket, TIMEOUT, TestHub, TestResponse, send_request};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const TOKENS: &str = "api_tokens = \"old-token, new-token\"";
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

#[tokio::test]
async fn requests_without_a_token_are_unauthenticated() {
    let app = TestHub::with(TOKENS).await;
    for accept in ["application/json", "application/graphql-response+json", "text/event-stream", "text/html", "*/*"] {
        assert_unauthenticated(post(&app, accept), accept).await;
    }
    let json = || post(&app, "application/json");
    for authorization in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer old-toke",
        "Bearer old-token2",
        "Bearer old-token, new-token",
        "Bearer OLD-TOKEN",
        "Basic b2xkLXRva2VuOg==",
        "old-token",
    ] {
        assert_unauthenticated(json().header("authorization", authorization), authorization).await;
    }
    let twice = json().header("authorization", "Bearer old-token").header("authorization", "Bearer old-token");
    assert_unauthenticated(twice, "two headers").await;
    // Only a socket may send its token later.
    assert_unauthenticated(json().header("upgrade", "websocket").header("connection", "upgrade"), "no socket").await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let url = app.url("/graphql?query=%7B__typename%7D");
        assert_unauthenticated(app.client.request(method.clone(), url), method.as_str()).await;
    }
    // Other routes need no token.
    for path in ["/healthz", "/readyz", "/schema.graphql", "/metrics"] {
        assert_eq!(send_request(app.client.get(app.url(path))).await.status, 200, "{path}");
    }
    assert_eq!(app.post_sample("pave/session-status-change-started.json").await.status, 200);
}

#[tokio::test]
async fn each_token_is_valid_on_every_transport() {
    let app = TestHub::with(TOKENS).await;
    for authorization in ["Bearer old-token", "bearer  new-token"] {
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
async fn a_socket_without_a_valid_token_is_closed() {
    let app = TestHub::with(TOKENS).await;
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": QUERY } });
    const NONE: &str = "no token: send {\"Authorization\": \"Bearer …\"}";
    const UNKNOWN: &str = "the token is unknown: send {\"Authorization\": \"Bearer …\"}";
    for (header, message, code, why) in [
        (None, init(&Value::Null), 4403, NONE),
        (None, init(&json!({})), 4403, NONE),
        (None, init(&json!({ "Authorization": "Bearer sesame" })), 4403, UNKNOWN),
        (None, init(&json!({ "Authorization": "old-token" })), 4403, NONE),
        (None, init(&json!({ "Authorization": "Basic old-token" })), 4403, NONE),
        (None, init(&json!({ "Authorization": ["Bearer old-token"] })), 4403, NONE),
        (None, init(&json!({ "Authorization": "", "token": "old-token" })), 4403, NONE),
        (None, init(&json!({ "Authorization": "Bearer sesame", "token": "old-token" })), 4403, UNKNOWN),
        (None, init(&json!({ "headers": { "Authorization": "Bearer sesame" } })), 4403, UNKNOWN),
        (None, init(&json!({ "headers": { "Authorization": "old-token" } })), 4403, NONE),
        (None, init(&json!({ "headers": ["Authorization", "Bearer old-token"] })), 4403, NONE),
        (None, init(&json!({ "headers": { "headers": { "Authorization": "Bearer old-token" } } })), 4403, NONE),
        (None, init(&json!({ "authToken": "sesame" })), 4403, UNKNOWN),
        (None, init(&json!({ "authToken": "" })), 4403, NONE),
        (None, init(&json!({ "token": { "token": "old-token" } })), 4403, NONE),
        (None, init(&json!({ "token": 5 })), 4403, NONE),
        (Some("Bearer sesame"), init(&Value::Null), 4403, NONE),
        (None, subscribe.clone(), 4401, "Unauthorized"),
        (Some("Bearer old-token"), subscribe, 4401, "Unauthorized"),
    ] {
        let mut socket = socket(&app, header).await;
        send(&mut socket, message.clone()).await;
        let (closed, reason) = receive_or_close(&mut socket).await.expect_err("closed");
        assert_eq!(closed, code, "{header:?} {message}");
        assert!(reason.contains(why) && reason.len() <= 123, "{header:?} {message}: {reason}");
        assert!(!reason.contains("sesame") && !reason.contains("old-token"), "{reason}");
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
