//! GraphQL over HTTP, as a client sees it.

use crate::test_hub::{TestHub, TestResponse, samples, send_request};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const RESPONSE: &str = "application/graphql-response+json";

/// Posts JSON, accepting the newer media type.
async fn post(app: &TestHub, body: Value) -> TestResponse {
    send_request(app.client.post(app.url("/graphql")).header("accept", RESPONSE).json(&body)).await
}

async fn get(app: &TestHub, parameters: &[(&str, &str)], headers: &[(&str, &str)]) -> TestResponse {
    let url = reqwest::Url::parse_with_params(&app.url("/graphql"), parameters).expect("a URL");
    let request = headers.iter().fold(app.client.get(url), |request, (name, value)| request.header(*name, *value));
    send_request(request).await
}

fn code(answer: &TestResponse) -> &str {
    assert!(answer.body.get("data").is_none(), "{answer:?}");
    answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("a code: {answer:?}"))
}

fn header<'a>(answer: &'a TestResponse, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

/// All server audits of npm's `graphql-http`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_audit_of_graphql_over_http_is_passed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    assert!(folder.join("node_modules").exists(), "the audits are not installed: `make test` does it");
    let app = TestHub::start().await;
    let url = app.url("/graphql");
    let run = tokio::task::spawn_blocking(move || {
        Command::new("node").arg("audits.mjs").arg(url).current_dir(folder).output()
    });
    let output = run.await.expect("it ran").expect("node starts");
    let output_text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && output_text.contains("61 of 61 audits passed"), "{output_text}");
}

#[tokio::test]
async fn a_query_goes_by_get_and_anything_else_does_not() {
    let app = TestHub::start().await;
    let query = "query One { head { position } } query Two($n: Int) { inspections(first: $n) { totalCount } }";
    let asked = [("query", query), ("operationName", "Two"), ("variables", "{\"n\":1}")];
    let good = get(&app, &asked, &[]).await;
    assert_eq!((good.status, &good.body), (200, &json!({ "data": { "inspections": { "totalCount": 0 } } })));
    assert_eq!((header(&good, "content-type"), header(&good, "vary")), ("application/json", "accept"));
    for document in ["mutation { a }", "subscription { changes { position } }"] {
        let refused = get(&app, &[("query", document)], &[]).await;
        assert_eq!((refused.status, header(&refused, "allow"), code(&refused)), (405, "POST", "BAD_REQUEST"));
    }
    let missing = get(&app, &[], &[]).await;
    assert_eq!((missing.status, code(&missing)), (400, "BAD_REQUEST"));
}

#[tokio::test]
async fn what_is_no_request_is_answered_in_json_with_its_status() {
    let app = TestHub::with("graphql_body_limit = \"64KiB\"\nbody_timeout = \"2s\"").await;
    let post = || app.client.post(app.url("/graphql"));
    let query = "{\"query\":\"{ __typename }\"}";
    let typed = |content_type: &str| post().header("content-type", content_type.to_owned()).body(query);
    let slow = futures_util::StreamExt::chain(
        futures_util::stream::iter([Ok::<_, std::io::Error>("{\"a\":")]),
        futures_util::stream::pending(),
    );
    for (request, status) in [
        (app.client.patch(app.url("/graphql")), 405),
        (typed("application/json").header("accept", "text/html"), 406),
        (typed("text/plain"), 415),
        (typed("application/x-www-form-urlencoded"), 415),
        (typed("multipart/form-data; boundary=x"), 415),
        (typed("application/json; charset=latin1"), 415),
        (typed("application/json").header("content-encoding", "gzip"), 415),
        (post().json(&"x".repeat(70_000)), 413),
        (post().header("content-type", "application/json").body(reqwest::Body::wrap_stream(slow)), 408),
        (post().header("content-type", "application/json").body("{\"query\":\"\u{0}\""), 400),
        (post().header("content-type", "application/json").body(b"{\"query\":\"\xff\"}".to_vec()), 400),
        (post().json(&json!([{ "query": "{ __typename }" }])), 400),
    ] {
        let refused = send_request(request).await;
        assert_eq!((refused.status, code(&refused)), (status, "BAD_REQUEST"), "{refused:?}");
        assert!(header(&refused, "content-type").ends_with("json"), "{refused:?}");
        assert!(refused.body["errors"][0]["extensions"]["hint"].as_str().is_some_and(|hint| hint.len() > 10));
    }
    let method = send_request(app.client.patch(app.url("/graphql"))).await;
    assert_eq!(method.headers["allow"], "GET, POST, PUT, DELETE");
    for good in [
        "application/JSON; charset=UTF-8",
        "application/json; charset=utf8",
        "application/json;Charset=UTF8",
        "application/json; CHARSET=\"utf-8\"",
        "application/json;charset=unicode-1-1-utf-8; version=1",
    ] {
        assert_eq!(send_request(typed(good)).await.status, 200, "{good}");
    }
}

#[tokio::test]
async fn the_older_media_type_says_what_is_wrong_in_the_body_alone() {
    let app = TestHub::start().await;
    for (body, expected) in [
        (json!({ "query": "{" }), "GRAPHQL_PARSE_FAILED"),
        (json!({ "query": "{ nothing }" }), "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "{ inspections { nodes } }" }), "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "{ head { position } }", "operationName": "X" }), "BAD_USER_INPUT"),
        (json!({ "query": "query($n: Int!) { inspections(first: $n) { totalCount } }" }), "BAD_USER_INPUT"),
        (json!({ "query": "subscription { changes { position } }" }), "BAD_REQUEST"),
    ] {
        let newer = post(&app, body.clone()).await;
        assert_eq!((newer.status, code(&newer), header(&newer, "content-type")), (400, expected, RESPONSE), "{body}");
        let older = send_request(app.client.post(app.url("/graphql")).json(&body)).await;
        let status = if expected == "BAD_REQUEST" { 400 } else { 200 };
        assert_eq!((older.status, code(&older)), (status, expected), "{body}");
        assert!(!older.body.to_string().contains("Did you mean"), "{older:?}");
    }
    // A field's error leaves the rest of the response, and is not an error of the request.
    let partly = post(&app, json!({ "query": "{ head { position } inspection(id: \"x\") { id } }" })).await;
    assert_eq!((partly.status, &partly.body["data"]["head"]["position"]), (200, &json!(0)), "{partly:?}");
    assert_eq!(partly.body["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
}

#[tokio::test]
async fn suggestions_are_for_development() {
    let app = TestHub::with("graphql_suggestions = true").await;
    let misspelt = post(&app, json!({ "query": "{ inspectionz { totalCount } }" })).await;
    assert!(misspelt.body.to_string().contains("Did you mean"), "{misspelt:?}");
}

#[tokio::test]
async fn a_batch_is_taken_where_it_is_allowed() {
    let app = TestHub::with("graphql_batching = true").await;
    let one = json!({ "query": "{ __typename }" });
    let two = post(&app, json!([one, { "query": "{" }])).await;
    assert_eq!(two.status, 200);
    assert_eq!(two.body[0], json!({ "data": { "__typename": "Query" } }));
    assert_eq!(two.body[1]["errors"][0]["extensions"]["code"], "GRAPHQL_PARSE_FAILED");
    assert!(two.body[1].get("data").is_none());
    assert_eq!(post(&app, json!(vec![one.clone(); 10])).await.body.as_array().expect("answers").len(), 10);
    for bad in [json!([]), json!(vec![one.clone(); 11]), json!([1])] {
        let refused = post(&app, bad).await;
        assert_eq!((refused.status, code(&refused)), (400, "BAD_REQUEST"));
    }
}

#[tokio::test]
async fn a_budget_that_is_used_up_says_when_to_come_back() {
    let app = TestHub::with("graphql_rate_limit = 100").await;
    let query = json!({ "query": "{ inspections(first: 30) { nodes { id } } }" });
    let first = post(&app, query.clone()).await;
    assert_eq!((first.status, header(&first, "ratelimit-policy")), (200, "\"cost\";q=100;w=60"));
    assert_eq!(header(&first, "ratelimit"), "\"cost\";r=39;t=37");
    let second = post(&app, query).await;
    assert_eq!((second.status, code(&second)), (429, "RATE_LIMITED"));
    let seconds: u64 = header(&second, "retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(second.body["errors"][0]["extensions"]["retryAfter"], seconds);
    // Over a WebSocket it is the same rate limit.
    let mut socket = app.subscribe("{ inspections(first: 30) { nodes { id } } }", json!({})).await;
    assert_eq!(socket.next_message().await["payload"][0]["extensions"]["code"], "RATE_LIMITED");
}

#[tokio::test]
async fn a_document_is_known_by_its_hash_on_every_transport() {
    let app = TestHub::start().await;
    // printf '{ head { position } }' | sha256sum
    let hash = "f6cae3d864104c07012185b070c6891d6e4fa425db6cf3fc17d2d8d9f490171d";
    let text = "{ head { position } }";
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let unknown = post(&app, json!({ "extensions": extensions })).await;
    assert_eq!(
        (code(&unknown), &unknown.body["errors"][0]["message"]),
        ("PERSISTED_QUERY_NOT_FOUND", &json!("PersistedQueryNotFound"))
    );
    let taught = post(&app, json!({ "query": text, "extensions": extensions })).await;
    assert_eq!(taught.body["data"]["head"]["position"], 0);
    assert_eq!(post(&app, json!({ "extensions": extensions })).await.body, taught.body);
    assert_eq!(get(&app, &[("extensions", &extensions.to_string())], &[]).await.body, taught.body);
    let mut socket = app.open_socket().await;
    socket.send(json!({ "id": "1", "type": "subscribe", "payload": { "extensions": extensions } })).await;
    assert_eq!(socket.next_message().await["payload"], taught.body);
    let wrong = post(&app, json!({ "query": "{ head { time } }", "extensions": extensions })).await;
    assert_eq!((wrong.status, code(&wrong)), (400, "BAD_REQUEST"));
}

#[tokio::test]
async fn a_hub_may_take_only_the_documents_that_it_trusts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trusted.json");
    std::fs::write(&file, "{\"Head\": \"query Head { head { position } }\"}").expect("written");
    let app = TestHub::with(&format!("trusted_documents = {file:?}\ntrusted_documents_only = true")).await;
    for body in [json!({ "documentId": "Head" }), json!({ "query": "query Head { head { position } }" })] {
        assert_eq!(post(&app, body).await.body["data"]["head"]["position"], 0);
    }
    assert_eq!(get(&app, &[("documentId", "Head")], &[]).await.body["data"]["head"]["position"], 0);
    let unknown = post(&app, json!({ "documentId": "Tail" })).await;
    assert_eq!(code(&unknown), "PERSISTED_QUERY_NOT_FOUND");
    let other = post(&app, json!({ "query": "{ __typename }" })).await;
    assert_eq!((other.status, code(&other)), (403, "FORBIDDEN"));
    let mut socket = app.subscribe("{ __typename }", json!({})).await;
    assert_eq!(socket.next_message().await["payload"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn an_answer_stands_as_long_as_the_history_does() {
    let app = TestHub::start().await;
    let files = samples("pave");
    let asked = [("query", "{ inspections { totalCount nodes { id status } } head { position } }")];
    let first = get(&app, &asked, &[]).await;
    let tag = header(&first, "etag").to_owned();
    assert!(tag.starts_with("W/\"") && header(&first, "cache-control") == "private, no-cache", "{first:?}");
    let again = get(&app, &asked, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, header(&again, "etag"), &again.body), (304, tag.as_str(), &json!("")));
    let several = get(&app, &asked, &[("if-none-match", &format!("\"x\", {tag}"))]).await;
    assert_eq!(several.status, 304);
    let newer = get(&app, &asked, &[("if-none-match", &tag), ("accept", RESPONSE)]).await;
    assert_eq!(newer.status, 200, "another media type is another answer");
    app.post_sample(&files[0]).await;
    let moved = get(&app, &asked, &[("if-none-match", &tag)]).await;
    assert_eq!((moved.status, moved.body["data"]["inspections"]["totalCount"] == 1), (200, true), "{moved:?}");
    assert_ne!(header(&moved, "etag"), tag);
    let failed = get(&app, &[("query", "{ inspection(id: \"x\") { id } }")], &[]).await;
    assert_eq!((header(&failed, "etag"), header(&failed, "cache-control")), ("", "no-store"));
}

/// Data that changes without a change in the history is compared by the response.
#[tokio::test]
async fn what_the_history_does_not_decide_is_never_said_to_stand() {
    let app = TestHub::start().await;
    let files = samples("pave");
    app.post_sample(&files[0]).await;
    let ledger = [("query", "{ sources { name ledger { received duplicates } } }")];
    let first = get(&app, &ledger, &[]).await;
    let tag = header(&first, "etag").to_owned();
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    assert_eq!(get(&app, &ledger, &[("if-none-match", &tag)]).await.status, 304);
    app.post_sample(&files[0]).await;
    assert_eq!(get(&app, &ledger, &[("if-none-match", &tag)]).await.status, 200, "a duplicate was counted");
    // Nothing changes, and yet the inspection is stalled after a moment.
    let stalled = [("query", "{ inspections(filter: { stalledFor: \"1s\" }) { totalCount } }")];
    let by_variable = [
        ("query", "query($f: InspectionFilter) { inspections(filter: $f) { totalCount } }"),
        ("variables", "{\"f\":{\"stalledFor\":\"1s\"}}"),
    ];
    for asked in [&stalled[..], &by_variable] {
        app.post_sample(&files[1]).await;
        let mut tag = String::new();
        let seen = tokio::time::timeout(crate::test_hub::TIMEOUT, async {
            let mut counts = Vec::new();
            while !counts.contains(&json!(1)) {
                let now = get(&app, asked, &[("if-none-match", &tag)]).await;
                if now.status == 200 {
                    counts.push(now.body["data"]["inspections"]["totalCount"].clone());
                    tag = header(&now, "etag").to_owned();
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            counts
        });
        assert!(seen.await.expect("it stalls in time").contains(&json!(1)));
    }
}
