//! Known attacks on GraphQL servers. Each is refused or answered with a status below 500, and afterwards the hub answers a
//! small query as before.

use crate::test_hub::{Socket, TIMEOUT, TestHub, TestResponse, send_request};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

async fn assert_healthy(app: &TestHub) {
    assert_eq!(app.query("{ head { position } }").await["head"]["position"], 0);
}

async fn post(app: &TestHub, body: impl Into<reqwest::Body>) -> TestResponse {
    let request = app.client.post(app.url("/graphql")).header("content-type", "application/json").body(body);
    send_request(request.header("accept", "application/graphql-response+json")).await
}

async fn ask(app: &TestHub, query: &str) -> TestResponse {
    post(app, json!({ "query": query }).to_string()).await
}

/// The next message on a socket.
async fn next_message(socket: &mut SplitStream<Socket>) -> Value {
    loop {
        let message = tokio::time::timeout(TIMEOUT, socket.next()).await.expect("in time").expect("a message");
        if let Message::Text(text) = message.expect("no error") {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

fn code(answer: &TestResponse) -> &str {
    answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

/// Fragments that each spread the next one so many times.
fn bomb(levels: usize, times: usize, end: &str) -> String {
    let fragments = (0..levels).map(|level| {
        let spreads = format!("...F{} ", level + 1).repeat(times);
        format!("fragment F{level} on Query {{ {spreads} }} ")
    });
    let fragments: String = fragments.collect();
    format!("{{ ...F0 }} {fragments} fragment F{levels} on Query {{ {end} }}")
}

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{{ {}{inner}{} }}", open.repeat(times), close.repeat(times))
}

/// The documents, each with the code that refuses it.
fn documents() -> Vec<(&'static str, String, &'static str)> {
    let costly = "QUERY_TOO_COSTLY";
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    let circle: String =
        (0..20).map(|number| format!("fragment F{number} on Query {{ ...F{} }} ", (number + 1) % 20)).collect();
    let chain: String =
        (0..3_000).map(|number| format!("fragment F{number} on Query {{ ...F{} }} ", number + 1)).collect();
    let aliases: String = (0..1_000).map(|number| format!("a{number}: __typename ")).collect();
    let lists: String = (0..100).map(|number| format!("a{number}: inspections {{ totalCount }} ")).collect();
    let arguments: String = (0..500).map(|number| format!("a{number}: 1 ")).collect();
    vec![
        ("a bomb of pairs", bomb(22, 2, "__typename"), costly),
        ("a flat bomb", bomb(3, 150, "__typename"), costly),
        ("a wide bomb", bomb(2, 2_000, "__typename"), costly),
        ("a bomb of rows", bomb(8, 2, "inspections(first: 100) { nodes { id } }"), costly),
        ("a bomb that nobody uses", format!("{{ __typename }} {}", &bomb(20, 2, "__typename")[9..]), invalid),
        ("a bomb within a field", bomb(22, 2, "__typename").replace("...F1 ", "inspections { nodes { ...F1 } } "), costly),
        ("a circle", "{ ...F } fragment F on Query { ...F }".to_owned(), invalid),
        ("a wide circle", format!("{{ ...F0 }} {circle}"), invalid),
        ("a long chain", format!("{{ ...F0 }} {chain} fragment F3000 on Query {{ __typename }}"), costly),
        ("10,000 levels of fields", nested("inspections { nodes { ", "id", " } }", 5_000), costly),
        ("10,000 levels without an end", "{a".repeat(10_000), costly),
        ("10,000 levels of inline fragments", nested("... { ", "__typename", " }", 10_000), costly),
        ("10,000 levels of lists", format!("{{ nodes(ids: {}{}) {{ id }} }}", "[".repeat(10_000), "]".repeat(10_000)), costly),
        ("10,000 levels of objects", format!("{{ inspections(filter: {}1{}) {{ totalCount }} }}", "{a: ".repeat(10_000), "}".repeat(10_000)), costly),
        ("10,000 levels of types", format!("query($a: {}Int{}) {{ __typename }}", "[".repeat(10_000), "]".repeat(10_000)), costly),
        ("10,000 duplicate fields", format!("{{ {} }}", "__typename ".repeat(9_000)), costly),
        ("20,000 duplicate fields", format!("{{ {} }}", "a ".repeat(20_000)), costly),
        ("fields that cannot be merged", format!("{{ {} }}", "sources { ...{ ...{ ...{ name } } } } ".repeat(900)), costly),
        ("one name of two types", "{ node(id: \"x\") { ... on Inspection { status } ... on Job { status } } }".to_owned(), invalid),
        ("1,000 aliases", format!("{{ {aliases} }}"), costly),
        ("100 aliases of a list", format!("{{ {lists} }}"), costly),
        ("500 arguments", format!("{{ inspections({arguments}) {{ totalCount }} }}"), costly),
        ("1,000 directives", format!("{{ __typename {} }}", "@aa".repeat(1_000)), costly),
        ("10 directives", format!("{{ sources {{ name {} }} }}", "@aa".repeat(10)), invalid),
        ("1,000 operations", (0..1_000).map(|n| format!("query Q{n} {{ __typename }} ")).collect(), costly),
        ("circular introspection", "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }".to_owned(), costly),
        ("wide introspection", format!("{{ __schema {{ {} }} }}", "types { fields { type { fields { name } } } } ".repeat(90)), costly),
        ("all rows of all rows", "{ inspections(first: 100) { nodes { items(first: 100) { nodes { history(first: 100) { nodes { id: position } } } } } } }".to_owned(), costly),
        ("100,000 spaces", " ".repeat(200_000), costly),
        ("a long name", format!("{{ {} }}", "a".repeat(90_000)), invalid),
        ("a long string", format!("{{ inspection(id: \"{}\") {{ id }} }}", "x".repeat(90_000)), "BAD_USER_INPUT"),
        ("a string without an end", format!("{{ inspection(id: \"{}", "x".repeat(50_000)), "GRAPHQL_PARSE_FAILED"),
        ("a mutation", "mutation { a }".to_owned(), invalid),
        ("a NUL", "{ \0 }".to_owned(), "GRAPHQL_PARSE_FAILED"),
        ("nothing but a comment", "#".repeat(1_000), "GRAPHQL_PARSE_FAILED"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_ask_for_too_much_are_refused() {
    let app = TestHub::start().await;
    for (name, query, expected) in documents() {
        let refused = ask(&app, &query).await;
        // The error of a field comes with the data.
        let status = if expected == "BAD_USER_INPUT" { 200 } else { 400 };
        let start: String = refused.body.to_string().chars().take(300).collect();
        assert_eq!((refused.status, code(&refused)), (status, expected), "{name}: {start}");
        assert!(refused.body["errors"].as_array().is_some_and(|errors| errors.len() <= 10), "{name}: {start}");
        assert!(refused.body.to_string().len() < 100_000, "{name}: the answer is small");
        assert_healthy(&app).await;
    }
}

/// The same on a socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_refused_on_a_socket_too() {
    let app = TestHub::start().await;
    let mut socket = app.open_socket().await;
    for (name, query, expected) in documents().into_iter().filter(|(_, _, expected)| *expected != "BAD_USER_INPUT") {
        socket.send(json!({ "id": name, "type": "subscribe", "payload": { "query": query } })).await;
        let refused = socket.next_message().await;
        assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!(name)));
        assert_eq!(refused["payload"][0]["extensions"]["code"], expected, "{name}");
    }
    socket.send(json!({ "id": "well", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await;
    assert_eq!(socket.next_message().await["payload"]["data"]["__typename"], "Query");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_requests_are_refused() {
    let app = TestHub::start().await;
    let mut bodies: Vec<(String, Vec<u8>)> = [
        "",
        " ",
        "null",
        "true",
        "0",
        "\"\"",
        "[]",
        "[[]]",
        "[{}]",
        "{}",
        "{",
        "}",
        "{\"query\"",
        "{\"query\":}",
        "{\"query\":null}",
        "{\"query\":1}",
        "{\"query\":[]}",
        "{\"query\":{}}",
        "{\"query\":\"\"}",
        "{\"query\":\"{\"}",
        "{\"query\":\"{ __typename }\"}}",
        "{\"query\":\"{ __typename }\",}",
        "{\"query\":\"{ __typename }\",\"variables\":1}",
        "{\"query\":\"{ __typename }\",\"variables\":[1]}",
        "{\"query\":\"{ __typename }\",\"operationName\":{}}",
        "{\"query\":\"\\ud800\"}",
        "{\"query\":\"a\",\"query\":\"b\"}",
        "NaN",
        "'{}'",
        "query={__typename}",
        "\u{feff}{}",
    ]
    .iter()
    .map(|text| ((*text).to_owned(), text.as_bytes().to_vec()))
    .collect();
    bodies.extend([
        ("invalid UTF-8".to_owned(), b"{\"query\":\"{ \xff\xfe }\"}".to_vec()),
        ("UTF-16".to_owned(), "{\"query\":\"{ a }\"}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("100,000 levels of JSON".to_owned(), vec![b'['; 100_000]),
        ("100,000 levels of objects".to_owned(), "{\"a\":".repeat(100_000).into_bytes()),
        (
            "deep variables".to_owned(),
            format!("{{\"query\":\"{{a}}\",\"variables\":{{\"a\":{}}}}}", "[".repeat(5_000)).into_bytes(),
        ),
        ("a number of 100,000 digits".to_owned(), format!("{{\"query\":{}}}", "9".repeat(100_000)).into_bytes()),
    ]);
    for parameters in ["query=%7B%FF%FE%7D", "query=%7B__typename%7D&variables=%FF", "query=%00", "query", "%FF", "a&b"]
    {
        let request = app.client.get(format!("{}?{parameters}", app.url("/graphql")));
        let refused = send_request(request.header("accept", "application/graphql-response+json")).await;
        assert_eq!(refused.status, 400, "{parameters}: {refused:?}");
        assert!(!code(&refused).is_empty(), "{parameters}: {refused:?}");
    }
    for (name, body) in bodies {
        let refused = post(&app, body).await;
        assert_eq!(refused.status, 400, "{name}: {refused:?}");
        assert!(!code(&refused).is_empty() && refused.body.get("data").is_none(), "{name}: {refused:?}");
        assert!(refused.body.to_string().len() < 2_000, "{name}");
    }
    assert_healthy(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_huge_is_not_read_to_its_end() {
    let app = TestHub::start().await;
    // The answer may overtake the body: then the connection is closed under the sender.
    let query = json!({ "query": format!("{{ {} }}", "a ".repeat(2_500_000)) }).to_string();
    let request = app.client.post(app.url("/graphql")).header("content-type", "application/json").body(query);
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), 413);
    }
    let values =
        json!({ "query": "query($a: [ID!]!) { nodes(ids: $a) { id } }", "variables": { "a": vec!["x"; 100_000] } });
    let refused = post(&app, values.to_string()).await;
    assert_eq!((refused.status, code(&refused)), (400, "QUERY_TOO_COSTLY"));
    let ids = json!({ "query": "query($a: [ID!]!) { nodes(ids: $a) { id } }", "variables": { "a": vec!["x"; 9_000] } });
    let refused = post(&app, ids.to_string()).await;
    assert_eq!(code(&refused), "BAD_USER_INPUT", "at most 100 ids");
    // printf '%*s' 100000000 '' | gzip would be as small as this: it is not even looked at.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xed\xc1".repeat(1_000);
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let request = app.client.post(app.url("/graphql")).header("content-type", "application/json");
        let refused = send_request(request.header("content-encoding", encoding).body(gzip.clone())).await;
        assert_eq!((refused.status, code(&refused)), (415, "BAD_REQUEST"), "{encoding}");
    }
    let long = format!("{}?query={}", app.url("/graphql"), "a".repeat(60_000));
    if let Ok(response) = app.client.get(long).header("accept", "application/graphql-response+json").send().await {
        assert!(response.status().is_client_error(), "{response:?}");
    }
    assert_healthy(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_do_not_keep_others_waiting() {
    let app = TestHub::with("body_timeout = \"2s\"").await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = tokio::net::TcpStream::connect(app.hub.address()).await.expect("a connection");
        let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.expect("sent");
        slow.push(stream);
    }
    assert_healthy(&app).await;
    for mut stream in slow {
        let mut said = Vec::new();
        let read = tokio::time::timeout(crate::test_hub::TIMEOUT, stream.read_to_end(&mut said)).await;
        read.expect("in time").expect("an answer");
        assert!(said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
    }
    assert_healthy(&app).await;
}

/// The probes of graphql-cop that are about the server: <https://github.com/dolevf/graphql-cop>.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_probes_find_nothing() {
    let app = TestHub::start().await;
    // Suggestions, batches, aliases, directives and circles are refused; so is what a foreign page could send.
    assert!(!ask(&app, "{ inspectionz { totalCount } }").await.body.to_string().contains("Did you mean"));
    let batch: Vec<Value> = vec![json!({ "query": "{ __typename }" }); 10];
    assert_eq!(post(&app, json!(batch).to_string()).await.status, 400);
    let aliases: String = (0..101).map(|number| format!("alias{number}: __typename ")).collect();
    assert_eq!(code(&ask(&app, &format!("{{ {aliases} }}")).await), "QUERY_TOO_COSTLY");
    let url = app.url("/graphql");
    let mutation = app.client.get(format!("{url}?query=mutation%20%7B__typename%7D"));
    assert_eq!(send_request(mutation).await.status, 405);
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"] {
        let request = app.client.post(&url).header("content-type", content_type).body("query={__typename}");
        assert_eq!(send_request(request).await.status, 415, "{content_type}");
    }
    let request = app.client.post(&url).header("content-type", "application/json").body("query={__typename}");
    assert_eq!(send_request(request).await.status, 400);
    // What a form of a foreign page can send by GET is a query at most; it is refused, and its answer is not for that page.
    let form =
        send_request(app.client.get(format!("{url}?query=%7B__typename%7D")).header("origin", "https://evil.example"));
    let form = form.await;
    assert_eq!((form.status, form.body.get("data")), (403, None), "{form:?}");
    assert!(!form.headers.contains_key("access-control-allow-origin"), "{form:?}");
    // No traces and no stacks for any client, and no page of its own for browsers.
    for extensions in [json!({}), json!({ "tracing": true }), json!({ "debug": true })] {
        let traced = post(&app, json!({ "query": "{ __typename }", "extensions": extensions }).to_string()).await;
        assert_eq!(traced.body, json!({ "data": { "__typename": "Query" } }));
        let failed = post(&app, json!({ "query": "qwerty cop { abc }", "extensions": extensions }).to_string()).await;
        let extensions = failed.body["errors"][0]["extensions"].as_object().expect("extensions");
        assert!(extensions.keys().all(|name| name == "code" || name == "hint"), "{failed:?}");
    }
    let page = app.client.get(&url).header("accept", "text/html");
    assert_eq!(send_request(page).await.status, 406);
    // Introspection is what the API is described by.
    assert_eq!(ask(&app, "{ __schema { queryType { name } } }").await.status, 200);
    assert_healthy(&app).await;
}

/// One socket has a limited number of concurrent operations; its others, and other sockets, continue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_subscriptions_on_one_socket_are_a_hundred() {
    let app = TestHub::start().await;
    let (mut talk, mut hear) = app.open_socket().await.split();
    let asking = async {
        for number in 0..10_000 {
            let payload = json!({ "query": "subscription { changes { position } }" });
            let message = json!({ "id": number.to_string(), "type": "subscribe", "payload": payload });
            talk.send(Message::text(message.to_string())).await.expect("sent");
        }
        talk
    };
    let hearing = async {
        for number in 100..10_000 {
            let refused = next_message(&mut hear).await;
            assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!(number.to_string())));
            assert_eq!(refused["payload"][0]["extensions"]["code"], "BAD_USER_INPUT");
        }
        hear
    };
    let beside = async {
        for _ in 0..20 {
            assert_healthy(&app).await;
        }
    };
    let (mut talk, mut hear, ()) = tokio::join!(asking, hearing, beside);
    // Accepted operations receive changes, and completing one makes room for another.
    let body = json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "S", "status": "STARTED" });
    assert_eq!(app.post_json("pave", body).await.status, 200);
    let mut received = std::collections::HashSet::new();
    while received.len() < 100 {
        let next = next_message(&mut hear).await;
        assert_eq!(next["type"], "next", "{next}");
        received.insert(next["id"].to_string());
    }
    for message in [
        json!({ "id": "0", "type": "complete" }),
        json!({ "id": "again", "type": "subscribe", "payload": { "query": "{ __typename }" } }),
    ] {
        talk.send(Message::text(message.to_string())).await.expect("sent");
    }
    let again = async {
        loop {
            let message = next_message(&mut hear).await;
            if message["id"] == "again" {
                return message;
            }
        }
    };
    assert_eq!(again.await["payload"]["data"]["__typename"], "Query");
}

/// While bombs arrive, other requests are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_by_the_hundred_leave_room_for_others() {
    let app = TestHub::start().await;
    let bomb = bomb(22, 2, "__typename");
    let bombs = futures_util::future::join_all((0..300).map(|_| ask(&app, &bomb)));
    let small = async {
        for _ in 0..20 {
            assert_healthy(&app).await;
        }
    };
    let (refused, ()) = tokio::join!(bombs, small);
    assert!(refused.iter().all(|answer| code(answer) == "QUERY_TOO_COSTLY"));
}
