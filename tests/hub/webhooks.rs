//! What the webhook endpoint answers, and that nothing an authenticated source sends is lost.

use crate::test_hub::{TestHub, sample_bytes, send_request};
use serde_json::{Value, json};

const STARTED: &str =
    r#"{"event":"SESSION:STATUS_CHANGE","session_key":"K","status":"STARTED","timestamp":"2026-01-01T00:00:00Z"}"#;

fn problem(answer: &crate::test_hub::TestResponse, code: u16) {
    assert_eq!(answer.status, code, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
    assert_eq!(answer.body["status"], code);
    assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{answer:?}");
}

#[tokio::test]
async fn a_new_delivery_is_accepted_and_the_same_again_is_a_duplicate() {
    let app = TestHub::start().await;
    let first = app.post("pave", STARTED).await;
    assert_eq!((first.status, &first.body["status"]), (200, &json!("accepted")));
    let again = app.post("pave", STARTED).await;
    assert_eq!((again.status, &again.body["status"]), (200, &json!("duplicate")));
    assert_eq!(first.body["delivery"], again.body["delivery"]);
    let query = "query($id: ID!) { node(id: $id) { ... on Delivery { duplicates verdict bodyText event } } }";
    let delivery = app.query_with(query, json!({ "id": first.body["delivery"] })).await;
    assert_eq!(delivery["node"]["duplicates"], 1);
    assert_eq!(delivery["node"]["bodyText"], STARTED);
    assert_eq!(app.ledger("pave").await["received"], 2);
}

#[tokio::test]
async fn put_is_taken_like_post() {
    let app = TestHub::start().await;
    let answer = send_request(app.client.put(app.url("/webhooks/pave")).body(STARTED)).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("accepted")));
}

#[tokio::test]
async fn errors_are_problems_and_store_nothing() {
    let app = TestHub::with("body_limit = \"64KiB\"").await;
    problem(&app.post("nobody", STARTED).await, 404);
    problem(&app.post("pave", "").await, 400);
    problem(&send_request(app.client.get(app.url("/webhooks/pave"))).await, 405);
    problem(&send_request(app.client.get(app.url("/no/such/page"))).await, 404);
    let gzip = app.client.post(app.url("/webhooks/pave")).header("content-encoding", "gzip").body(STARTED);
    problem(&send_request(gzip).await, 415);
    problem(&app.post("pave", vec![b' '; 65 * 1024]).await, 413);
    assert_eq!(app.ledger("pave").await["received"], 0);
    assert!(app.changes().await.is_empty());
}

#[tokio::test]
async fn six_megabytes_are_over_the_limit_announced_or_not() {
    let app = TestHub::start().await;
    problem(&app.post("pave", vec![b'x'; 6 << 20]).await, 413);
    let chunks = futures_util::stream::iter((0..96).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 64 << 10])));
    let chunked = app.client.post(app.url("/webhooks/pave")).body(reqwest::Body::wrap_stream(chunks));
    // The answer may overtake the body: then the connection is closed under the sender.
    if let Ok(response) = chunked.send().await {
        assert_eq!(response.status(), 413);
    }
    assert_eq!(app.ledger("pave").await["received"], 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let app = TestHub::with("body_timeout = \"100ms\"").await;
    let body = futures_util::StreamExt::chain(
        futures_util::stream::iter([Ok::<_, std::io::Error>("{\"a\":")]),
        futures_util::stream::pending(),
    );
    let slow = app.client.post(app.url("/webhooks/pave")).body(reqwest::Body::wrap_stream(body));
    problem(&send_request(slow).await, 408);
}

#[tokio::test]
async fn a_source_over_its_rate_is_told_when_to_come_back() {
    let app = TestHub::with("[sources.pave]\nopen = true\nrate_limit = 2").await;
    let mut codes = Vec::new();
    for number in 0..6 {
        let answer = app.post_json("pave", json!({ "event": "x", "session_key": number.to_string() })).await;
        if answer.status == 429 {
            problem(&answer, 429);
            let seconds = answer.headers["retry-after"].to_str().expect("text").parse::<u64>().expect("a number");
            assert!((1..=2).contains(&seconds));
        }
        codes.push(answer.status);
    }
    assert!(codes.contains(&200) && codes.contains(&429), "{codes:?}");
    let taken = codes.iter().filter(|code| **code == 200).count();
    assert_eq!(app.ledger("pave").await["received"], taken);
}

#[tokio::test]
async fn who_is_not_authenticated_learns_nothing_and_leaves_nothing() {
    let settings = "[sources.pave]\n[[sources.pave.verify]]\nscheme = \"bearer\"\nsecrets = [\"one\", \"two\"]";
    let app = TestHub::with(settings).await;
    let denied = app.post("pave", STARTED).await;
    problem(&denied, 401);
    assert_eq!(denied.body["detail"], "the request is not authenticated");
    for (token, code) in [("wrong", 401), ("one", 200), ("two", 200)] {
        let request = app.client.post(app.url("/webhooks/pave")).bearer_auth(token).body(STARTED);
        assert_eq!(send_request(request).await.status, code, "{token}");
    }
    assert_eq!(app.ledger("pave").await["received"], 2);
    let headers = app.query("{ deliveries { nodes { headers } } }").await;
    let headers = headers["deliveries"]["nodes"][0]["headers"].to_string();
    assert!(headers.contains("content-length") && !headers.contains("one"), "{headers}");
}

/// Every body of `tests/samples/bad`, posted to every vendor: never an error of ours, always kept byte by byte.
#[tokio::test]
async fn bad_bodies_are_kept_with_a_verdict_and_a_reason() {
    let app = TestHub::start().await;
    let folder = format!("{}/tests/samples/bad", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the folder").flatten().map(|f| f.file_name()).collect();
    files.sort();
    assert!(files.len() > 25, "{files:?}");
    let mut received = 0;
    for file in files {
        let file = file.into_string().expect("a name");
        let body = sample_bytes(&format!("bad/{file}"));
        for vendor in inspection_hub::vendor::names() {
            let answer = app.post(vendor, body.clone()).await;
            if body.is_empty() {
                problem(&answer, 400);
                continue;
            }
            received += 1;
            assert_eq!(answer.status, 200, "{vendor} {file}: {answer:?}");
            let (status, verdict) = (answer.body["status"].as_str(), answer.body["verdict"].as_str());
            assert!(matches!(status, Some("accepted" | "quarantined")), "{vendor} {file}: {answer:?}");
            assert_eq!(status == Some("quarantined"), verdict == Some("UNREADABLE"), "{vendor} {file}: {answer:?}");
            assert!(answer.body["reason"].as_str().is_some_and(|why| !why.is_empty()), "{vendor} {file}");
            let query = "query($id: ID!) { node(id: $id) { ... on Delivery { size verdict reason
                changes(first: 5) { nodes { verdict reason } } } } }";
            let kept = app.query_with(query, json!({ "id": answer.body["delivery"] })).await;
            assert_eq!(kept["node"]["size"], body.len(), "{vendor} {file}");
            assert_eq!(kept["node"]["verdict"], answer.body["verdict"], "{vendor} {file}");
            assert!(!kept["node"]["changes"]["nodes"].as_array().expect("changes").is_empty(), "{vendor} {file}");
        }
    }
    let mut counted = 0;
    for vendor in inspection_hub::vendor::names() {
        let ledger = app.ledger(vendor).await;
        let ledger = ledger.as_object().expect("counts");
        let sum: u64 = ledger.iter().filter(|(name, _)| *name != "received").filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(ledger["received"], sum, "{vendor}: {ledger:?}");
        counted += sum;
    }
    assert_eq!(counted, received);
}

#[tokio::test]
async fn odd_values_in_a_good_event_are_kept_and_do_no_harm() {
    let app = TestHub::start().await;
    for file in [
        "twenty-digit-id.json",
        "nul.json",
        "lone-surrogate.json",
        "huge-number.json",
        "duplicate-keys.json",
        "bom.json",
    ] {
        let answer = app.post_sample_as("hover", &format!("bad/{file}")).await;
        assert_eq!(answer.body["status"], "accepted", "{file}: {answer:?}");
        assert_ne!(answer.body["verdict"], "UNRECOGNIZED", "{file}: {answer:?}");
    }
    let inspection = app.inspection("hover", "98765432109876543210").await;
    assert_ne!(inspection, Value::Null, "an id keeps every digit");
    let all = app.query("{ inspections(first: 100) { nodes { externalId reference details items(first: 10) { nodes { details } } } } }").await;
    assert!(!all["inspections"]["nodes"].as_array().expect("inspections").is_empty());
}

#[tokio::test]
async fn the_other_pages_answer() {
    let app = TestHub::start().await;
    assert_eq!(send_request(app.client.get(app.url("/healthz"))).await.body["status"], "alive");
    assert_eq!(send_request(app.client.get(app.url("/readyz"))).await.body["status"], "ready");
    app.post("pave", STARTED).await;
    let metrics = send_request(app.client.get(app.url("/metrics"))).await;
    assert!(metrics.body.as_str().is_some_and(|text| text.contains("inspection_hub_deliveries_total")), "{metrics:?}");
    let schema = send_request(app.client.get(app.url("/schema.graphql"))).await;
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).expect("the file");
    assert_eq!(schema.body.as_str(), Some(file.as_str()), "run `make schema`");
}

#[tokio::test]
async fn a_character_that_databases_refuse_costs_nothing() {
    let app = TestHub::start().await;
    let nul = "\u{0}";
    let bodies = [
        (
            json!({ "event": "SESSION:STATUS_CHANGE", "session_key": format!("K{nul}1"), "status": "STARTED" }),
            "APPLIED",
        ),
        (
            json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "K2", "status": format!("NO{nul}") }),
            "UNRECOGNIZED",
        ),
        (json!({ "event": format!("SNEEZE{nul}"), "session_key": "K3" }), "UNRECOGNIZED"),
        (
            json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "K4", "status": "STARTED", "note": nul, nul: 1 }),
            "APPLIED",
        ),
    ];
    for (body, verdict) in bodies {
        let answer = app.post_json("pave", body.clone()).await;
        assert_eq!((answer.status, answer.body["verdict"].as_str()), (200, Some(verdict)), "{body}: {answer:?}");
    }
    let broken = app.post("hover", format!("{{\"event\": {nul}}}")).await;
    assert_eq!((broken.status, broken.body["status"].as_str()), (200, Some("quarantined")), "{broken:?}");
    // The vendor's id finds it, as it was sent and as it is shown.
    let found = app.inspection("pave", &format!("K{nul}1")).await;
    assert_eq!((found["status"].as_str(), &found), (Some("STARTED"), &app.inspection("pave", "K\u{FFFD}1").await));
    let query = "query($t: String!) { inspections(filter: { externalId: $t, state: [\"STARTED\"] }) { totalCount }
        changes(filter: { event: [$t], source: [$t] }) { totalCount } deliveries(filter: { vendor: [$t] }) { totalCount } }";
    let counts = app.query_with(query, json!({ "t": format!("K{nul}1") })).await;
    assert_eq!(counts["inspections"]["totalCount"], 1, "{counts}");
    // The body is what was sent.
    let deliveries = app.query("{ deliveries(first: 1) { nodes { bodyText } } }").await;
    assert!(deliveries.to_string().contains("K\\\\u00001"), "{deliveries}");
}
