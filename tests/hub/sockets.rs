//! `graphql-transport-ws` on the wire: the handshake, the official client, slow clients, and the shutdown.

use crate::test_hub::{TIMEOUT, TestHub};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const FOLLOW: &str =
    "subscription($after: String) { changes(after: $after) { position cursor delivery { bodyText } } }";

fn status(key: &str, note: &str) -> Value {
    json!({ "event": "SESSION:STATUS_CHANGE", "session_key": key, "status": "STARTED", "note": note })
}

/// The status line and the headers of the response to a handshake.
async fn handshake(app: &TestHub, headers: &[&str]) -> String {
    let mut stream = TcpStream::connect(app.hub.address()).await.expect("a connection");
    let head = format!("GET /graphql HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", headers.join("\r\n"));
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = tokio::time::timeout(TIMEOUT, stream.read_buf(&mut answer)).await.expect("in time");
        assert!(read.expect("an answer") > 0, "closed");
    }
    String::from_utf8_lossy(&answer).to_lowercase()
}

#[tokio::test]
async fn the_handshake_names_what_is_spoken() {
    let app = TestHub::start().await;
    let upgrade = [
        "connection: keep-alive, Upgrade",
        "upgrade: WebSocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    for offered in ["graphql-transport-ws", "graphql-ws, graphql-transport-ws", "soap,graphql-transport-ws , x"] {
        let protocol = format!("sec-websocket-protocol: {offered}");
        let answer = handshake(&app, &[&upgrade[..], &[protocol.as_str()]].concat()).await;
        assert!(answer.starts_with("http/1.1 101"), "{answer}");
        assert!(answer.contains("sec-websocket-protocol: graphql-transport-ws\r\n"), "{answer}");
        // The key and its answer of RFC 6455, section 1.3.
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
    }
    let old = ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 8", upgrade[3]];
    assert!(handshake(&app, &old).await.starts_with("http/1.1 405"));
    // What asks for no upgrade is a query, here one that is missing.
    assert!(handshake(&app, &[]).await.starts_with("http/1.1 400"));
}

/// A browser does not show a refused handshake, but it shows the code and the reason of a closed socket.
#[tokio::test]
async fn a_client_that_offers_another_protocol_reads_which_one_is_supported() {
    let app = TestHub::start().await;
    for (offered, named) in [
        (Some("graphql-ws"), Some("graphql-ws")),
        (Some("subscriptions-transport-ws"), Some("subscriptions-transport-ws")),
        (Some("soap, graphql-ws"), Some("soap")),
        (Some("GRAPHQL-TRANSPORT-WS"), Some("GRAPHQL-TRANSPORT-WS")),
        (None, None),
    ] {
        let mut request = app.url("/graphql").replace("http://", "ws://").into_client_request().expect("a request");
        if let Some(offered) = offered {
            request.headers_mut().insert("sec-websocket-protocol", offered.parse().expect("a header"));
        }
        let (mut socket, answer) = tokio_tungstenite::connect_async(request).await.expect("a socket");
        let protocol = answer.headers().get("sec-websocket-protocol").map(|value| value.to_str().expect("text"));
        assert_eq!(protocol, named, "{offered:?}");
        let message = tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message");
        let Ok(Message::Close(Some(frame))) = message else { panic!("{offered:?}: {message:?}") };
        assert_eq!(u16::from(frame.code), 4406, "{offered:?}");
        assert!(frame.reason.contains("graphql-transport-ws"), "{}", frame.reason);
    }
}

#[tokio::test]
async fn a_socket_counts_as_a_connection_and_hears_of_the_end() {
    let app = TestHub::with("max_connections = 1").await;
    let mut socket = app.socket().await;
    let further = handshake(&app, &["connection: close"]);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), further).await.is_err(), "there is no room");
    let TestHub { hub, .. } = app;
    let stopped = tokio::spawn(hub.stop());
    let message = tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message");
    match message.expect("no error") {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1001),
        other => panic!("{other:?}"),
    }
    assert!(socket.next().await.is_none());
    stopped.await.expect("the hub has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_slow_is_cut_off_and_goes_on_from_its_cursor() {
    let app = TestHub::start().await;
    let start = app.query("{ head { cursor } }").await["head"]["cursor"].clone();
    // Most are fast, so that nobody waits for the slow one.
    let mut fast = Vec::new();
    for _ in 0..3 {
        fast.push(app.subscribe(FOLLOW, json!({ "after": start })).await);
    }
    // One that takes nothing. (With a smaller receive buffer TCP itself would take minutes for what is on its way.)
    let mut slow = app.subscribe(FOLLOW, json!({ "after": start })).await;

    let mut readers = tokio::task::JoinSet::new();
    for mut one in fast {
        readers.spawn(async move {
            loop {
                let body = one.next_data().await["changes"]["delivery"]["bodyText"].to_string();
                if body.contains("the last one") {
                    return;
                }
            }
        });
    }
    // More than the sockets' buffers and the hub have room for.
    let note = "x".repeat(200_000);
    for number in 0..120 {
        app.post_json("pave", status(&format!("K{number}"), &note)).await;
    }
    app.post_json("pave", status("LAST", "the last one")).await;
    while let Some(reader) = readers.join_next().await {
        reader.expect("the fast ones got all");
    }
    let all = app.changes().await;

    let mut seen: Vec<Value> = Vec::new();
    // If the machine is so busy that the client has taken nothing for the write timeout, the connection ends without an error.
    while let Ok(message) = slow.next_message_or_end().await {
        if message["type"] == "error" {
            let error = &message["payload"][0]["extensions"];
            assert_eq!(error["code"], "SLOW_CONSUMER", "{error}");
            assert_eq!(error["cursor"], seen.last().expect("some")["cursor"]);
            break;
        }
        seen.push(message["payload"]["data"]["changes"].clone());
    }
    assert!(seen.len() < all.len());
    let after = seen.last().map_or(&start, |last| &last["cursor"]);
    let mut resumed = app.subscribe(FOLLOW, json!({ "after": after })).await;
    while seen.len() < all.len() {
        seen.push(resumed.next_data().await["changes"].clone());
    }
    let positions = |changes: &[Value]| changes.iter().map(|change| change["position"].clone()).collect::<Vec<_>>();
    assert_eq!(positions(&seen), positions(&all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_resume_while_it_is_written_and_miss_nothing() {
    let app = TestHub::start().await;
    let start = app.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let stop = tokio_util::sync::CancellationToken::new();
    let (client, url, writing) = (app.client.clone(), app.url("/webhooks/pave"), stop.clone());
    let writer = tokio::spawn(async move {
        let mut number = 0;
        while !writing.is_cancelled() && number < 5000 {
            let body = status(&format!("K{number}"), "").to_string();
            let request = client.post(&url).header("content-type", "application/json").body(body);
            assert_eq!(request.send().await.expect("an answer").status(), 200);
            number += 1;
        }
    });
    let query = "subscription($after: String) { changes(after: $after) { position cursor } }";
    let one = async |number: usize| {
        let (mut seen, mut after) = (Vec::new(), start.clone());
        for round in 0..6 {
            let mut subscription = app.subscribe(query, json!({ "after": after })).await;
            for _ in 0..(number * 7 + round * 13) % 29 + 1 {
                let change = subscription.next_data().await["changes"].clone();
                after = change["cursor"].clone();
                seen.push(change["position"].clone());
            }
        }
        seen
    };
    let seen = futures_util::future::join_all((0..16).map(one)).await;
    stop.cancel();
    writer.await.expect("written");
    let all: Vec<_> = app.changes().await.into_iter().map(|change| change["position"].clone()).collect();
    for (number, seen) in seen.iter().enumerate() {
        assert_eq!(seen, &all[..seen.len()], "subscriber {number}");
    }
}

#[tokio::test]
async fn mistakes_close_the_socket() {
    let app = TestHub::start().await;
    for (said, code) in
        [("{}", 4400), (r#"{"id":"1","type":"subscribe","payload":{"query":"{ head { position } }"}}"#, 4401)]
    {
        let mut socket = app.socket().await;
        socket.send(Message::text(said)).await.expect("sent");
        match tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message") {
            Ok(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), code, "{said}"),
            other => panic!("{said}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_understands_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("web/node_modules/graphql-ws").exists() {
        return crate::skip::skip("needs the package graphql-ws in web/node_modules: `make test` installs it");
    }
    let app = TestHub::start().await;
    let url = app.url("");
    let run = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .args(["--experimental-websocket", "tests/browser/protocol.mjs"])
            .arg(url)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
    });
    let output = run.await.expect("it ran").expect("node starts");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
}
