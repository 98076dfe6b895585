//! CORS: which origins may use the API from a browser.

use crate::test_hub::{TIMEOUT, TestHub, send_request};
use crate::test_keys::settings_key;
use futures_util::StreamExt;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const ALLOWED: &str = "allowed_origins = \"https://app.example, http://localhost:3000\"";
const APP: &str = "http://localhost:3000";

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().expect("text"))
}

fn vary(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("vary").iter().map(|value| value.to_str().expect("text").to_lowercase());
    values.flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()).collect()
}

fn preflight(app: &TestHub, path: &str, origin: &str) -> RequestBuilder {
    let request = app.client.request(Method::OPTIONS, app.url(path)).header("origin", origin);
    request
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,last-event-id")
}

#[tokio::test]
async fn an_allowed_origin_may_use_the_api() {
    let (key, table) = settings_key("read", "");
    let app = TestHub::with(&format!("{ALLOWED}{table}")).await;
    let bearer = format!("Bearer {key}");
    for path in ["/graphql", "/schema.graphql"] {
        // Browsers send a preflight without a token.
        let response = send_request(preflight(&app, path, APP)).await;
        assert_eq!((response.status, response.body.as_str()), (204, Some("")), "{path}");
        assert_eq!(header(&response.headers, "access-control-allow-origin"), Some(APP));
        let headers = header(&response.headers, "access-control-allow-headers").expect("headers");
        for wanted in ["authorization", "content-type", "last-event-id"] {
            assert!(headers.contains(wanted), "{headers}");
        }
        let methods = header(&response.headers, "access-control-allow-methods").expect("methods");
        assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
        assert_eq!(header(&response.headers, "access-control-max-age"), Some("7200"));
        assert!(vary(&response.headers).contains(&"origin".to_owned()), "{:?}", response.headers);
        // Browsers must not send credentials of their own, such as cookies.
        assert_eq!(header(&response.headers, "access-control-allow-credentials"), None);
    }
    let query = json!({ "query": "{ head { position } }" });
    let post = |accept: &str, token: &str| {
        let request = app.client.post(app.url("/graphql")).header("origin", APP).header("accept", accept);
        request.header("authorization", token)
    };
    let get = app.client.get(app.url("/graphql?query=%7B__typename%7D")).header("origin", APP).bearer_auth(&key);
    let schema = app.client.get(app.url("/schema.graphql")).header("origin", APP);
    let subscription = json!({ "query": "subscription { changes { position } }" });
    let reserve = app.client.put(app.url("/graphql")).header("origin", APP).bearer_auth(&key);
    for (request, code) in [
        (post("application/json", &bearer).json(&query), 200),
        (post("application/json", "Bearer wrong").json(&query), 401),
        (post("text/html", &bearer).json(&query), 406),
        (post("application/json", &bearer).body("{"), 415),
        (post("text/event-stream", &bearer).json(&subscription), 200),
        (post("multipart/mixed;subscriptionSpec=1.0", &bearer).json(&subscription), 200),
        (get, 200),
        (schema, 200),
        (reserve, 201),
    ] {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), code, "{response:?}");
        assert_eq!(header(response.headers(), "access-control-allow-origin"), Some(APP), "{response:?}");
        assert!(vary(response.headers()).contains(&"origin".to_owned()), "{response:?}");
        let exposed = header(response.headers(), "access-control-expose-headers").expect("headers");
        assert!(["etag", "retry-after", "ratelimit"].iter().all(|name| exposed.contains(name)), "{exposed}");
    }
    // `Vary` still has its other values.
    let both = send_request(post("application/json", &bearer).json(&query)).await;
    assert!(vary(&both.headers).contains(&"accept".to_owned()), "{:?}", both.headers);
}

#[tokio::test]
async fn other_origins_may_not() {
    let app = TestHub::with(ALLOWED).await;
    for origin in ["https://evil.example", "http://localhost:3001", "https://app.example.evil.example", "null", "*"] {
        let response = send_request(preflight(&app, "/graphql", origin)).await;
        assert_eq!(response.status, 204, "{origin}");
        assert_eq!(header(&response.headers, "access-control-allow-origin"), None, "{origin}");
        assert!(vary(&response.headers).contains(&"origin".to_owned()), "{origin}");
    }
    // Web pages do not send webhooks.
    let webhook = send_request(app.client.post(app.url("/webhooks/pave")).header("origin", APP).json(&json!({}))).await;
    assert_eq!(header(&webhook.headers, "access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_the_setting_there_are_no_cors_headers() {
    let app = TestHub::start().await;
    for (path, status) in [("/graphql", 403), ("/schema.graphql", 405)] {
        let response = send_request(preflight(&app, path, APP)).await;
        assert_eq!(response.status, status, "{path}: {response:?}");
        assert!(!response.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{response:?}");
    }
    let get = |app: &TestHub| app.client.get(app.url("/graphql?query=%7B__typename%7D")).header("origin", APP);
    // The open API is for no page of another site, which would act as the person at this machine.
    let response = send_request(get(&app)).await;
    assert_eq!((response.status, header(&response.headers, "access-control-allow-origin")), (403, None));
    assert_eq!(close_reason(&app, Some(APP)).await.map(|(code, _)| code), Some(4403));
    // A client that has a key may use it, whatever its origin.
    let (key, table) = settings_key("read", "");
    let app = TestHub::with(&table).await;
    let response = send_request(preflight(&app, "/graphql", APP).bearer_auth(&key)).await;
    assert_eq!(response.status, 405, "{response:?}");
    assert!(!response.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{response:?}");
    let response = send_request(get(&app).bearer_auth(key)).await;
    assert_eq!((response.status, vary(&response.headers)), (200, vec!["accept".to_owned()]));
    assert_eq!(close_reason(&app, Some(APP)).await, None);
}

#[tokio::test]
async fn a_star_allows_any_origin() {
    let app = TestHub::with("allowed_origins = \"*\"").await;
    let response = send_request(preflight(&app, "/graphql", "https://any.example")).await;
    assert_eq!((response.status, header(&response.headers, "access-control-allow-origin")), (204, Some("*")));
    assert_eq!(header(&response.headers, "access-control-allow-credentials"), None);
    assert_eq!(close_reason(&app, Some("https://any.example")).await, None);
}

#[tokio::test]
async fn a_socket_of_another_origin_is_closed_with_a_reason() {
    let app = TestHub::with(ALLOWED).await;
    let own = app.url("");
    for origin in [None, Some(APP), Some("https://app.example"), Some(own.as_str())] {
        assert_eq!(close_reason(&app, origin).await, None, "{origin:?}");
    }
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let (code, reason) = close_reason(&app, Some(origin)).await.expect("closed");
        assert_eq!(code, 4403, "{origin}");
        assert!(reason.contains("allowed_origins"), "{reason}");
    }
}

/// Opens a socket. Returns the close code and reason if the hub closes it.
async fn close_reason(app: &TestHub, origin: Option<&str>) -> Option<(u16, String)> {
    let mut request = app.url("/graphql").replace("http://", "ws://").into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().expect("a header"));
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
    let ping = Message::text(json!({ "type": "ping" }).to_string());
    // A socket that is being closed may reject it.
    let _ = futures_util::SinkExt::send(&mut socket, ping).await;
    match tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message").expect("no error") {
        Message::Close(Some(frame)) => Some((frame.code.into(), frame.reason.to_string())),
        Message::Text(_) => None,
        other => panic!("{other:?}"),
    }
}
