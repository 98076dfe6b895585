//! Hover's handshake: the hub confirms its URL by a call to Hover's API, retries a failed call, and shows the progress.

use crate::test_hub::{TestHub, sample_bytes, wait_until};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::put;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A stand-in for Hover's API.
#[derive(Default)]
struct Hover {
    /// Code and `Authorization` of each call.
    calls: Mutex<Vec<(String, String)>>,
    /// It responds with 502 until then.
    is_up: AtomicBool,
}

async fn verify(State(hover): State<Arc<Hover>>, Path(code): Path<String>, headers: HeaderMap) -> StatusCode {
    let authorization = headers["authorization"].to_str().unwrap_or_default().to_owned();
    hover.calls.lock().expect("lock").push((code, authorization));
    if hover.is_up.load(Ordering::Relaxed) { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
}

async fn handshake(app: &TestHub, until: impl Fn(&Value) -> bool) -> Value {
    let mut handshake = Value::Null;
    wait_until("the handshake is as expected", async || {
        let data = app.query("{ sources { name handshake { requestedAt confirmedAt attempts lastError } } }").await;
        let sources = data["sources"].as_array().expect("sources").clone();
        handshake = sources.into_iter().find(|source| source["name"] == "hover").expect("hover")["handshake"].take();
        until(&handshake)
    })
    .await;
    handshake
}

#[tokio::test]
async fn the_hub_confirms_hovers_code_and_tries_again() {
    let hover = Arc::new(Hover::default());
    let router = Router::new().route("/api/v2/webhooks/{code}/verify", put(verify)).with_state(hover.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let settings = format!("[sources.hover]\nopen = true\napi_token = \"token-1\"\napi_url = \"{url}\"\n");
    let app = TestHub::with(&settings).await;
    assert_eq!(handshake(&app, |_| true).await, Value::Null);
    let answer = app.post_sample("hover/webhook-verification-code.json").await;
    assert_eq!((answer.status, answer.body["status"].as_str()), (200, Some("accepted")));

    let failed = handshake(&app, |handshake| !handshake["lastError"].is_null()).await;
    assert!(failed["lastError"].as_str().is_some_and(|why| why.contains("502")), "{failed}");
    hover.is_up.store(true, Ordering::Relaxed);
    let done = handshake(&app, |handshake| !handshake["confirmedAt"].is_null()).await;
    let calls = hover.calls.lock().expect("lock").clone();
    assert!(calls.len() >= 2, "{calls:?}");
    assert_eq!((&done["attempts"], &done["lastError"]), (&Value::from(calls.len()), &Value::Null));

    let body: Value = serde_json::from_slice(&sample_bytes("hover/webhook-verification-code.json")).expect("JSON");
    let code = body["code"].as_str().expect("a code").to_owned();
    assert!(calls.iter().all(|call| *call == (code.clone(), "Bearer token-1".to_owned())), "{calls:?}");
}

#[tokio::test]
async fn without_a_token_the_request_only_shows() {
    let app = TestHub::start().await;
    app.post_sample("hover/webhook-verification-code.json").await;
    let shown = handshake(&app, |handshake| !handshake.is_null()).await;
    assert_eq!((&shown["confirmedAt"], &shown["attempts"]), (&Value::Null, &Value::from(0)));
}
