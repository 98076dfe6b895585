//! Why a vendor's webhooks are refused is in the API: each cause, for each scheme, on both databases, without anything that the
//! request contained.

use crate::test_hub::{TestHub, TestResponse, send_request, wait_until};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use inspection_hub::settings::{SettingFlags, Settings, SourceSettings};
use inspection_hub::simulate::Forgery;
use inspection_hub::store::{Database, OpenMode, RejectionStore};
use inspection_hub::vendor;
use inspection_hub::vendor::verify::WebhookRequest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const BODY: &str = r#"{"canary-1":"canary-2"}"#;
/// Parts of what is sent.
const CANARIES: [&str; 3] = ["canary", "the-secret", "the-other-secret"];
const FIELDS: &str =
    "id at firstAt source cause reason scheme httpStatus method path headerNames bytes address wouldFit count";

/// A source for each scheme of each vendor, and what limits need.
fn settings() -> String {
    let mut text = "body_limit = \"64KiB\"\nbody_timeout = \"200ms\"\n".to_owned();
    let mut source = |name: String, vendor: &str, verify: &str| {
        let url = format!("public_url = \"https://hub.example/webhooks/{name}\"\n");
        text += &format!("[sources.{name}]\nvendor = \"{vendor}\"\n{url}[[sources.{name}.verify]]\n{verify}\n");
    };
    for vendor in vendor::ALL {
        if vendor.signature.is_some() {
            source(
                format!("{}-signature", vendor.name),
                vendor.name,
                "scheme = \"signature\"\nsecrets = [\"the-secret\"]",
            );
        }
        for scheme in ["bearer", "basic\"\nusername = \"user", "api_key", "url_token", "jwt\"\nalgorithm = \"HS256"] {
            let name = scheme.split('"').next().unwrap_or_default().replace('_', "-");
            let secret = "secrets = [\"the-secret-that-has-32-characters\"]";
            source(format!("{}-{name}", vendor.name), vendor.name, &format!("scheme = \"{scheme}\"\n{secret}"));
        }
    }
    text + "[sources.limited]\nvendor = \"pave\"\nopen = true\nrate_limit = 1\n"
}

fn sources() -> Vec<SourceSettings> {
    let text = settings();
    let read = move |_: &Path| Ok(text.clone());
    let flags = SettingFlags::default().with("config", "inspection-hub.toml");
    Settings::load(&flags, [], &read).unwrap_or_else(|problems| panic!("{problems}")).0.sources
}

/// Sends a forged request to a source.
async fn forge(app: &TestHub, source: &SourceSettings, forgery: Option<Forgery>, now: DateTime<Utc>) -> TestResponse {
    let mut headers: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))].into_iter().collect();
    headers.insert("x-extra", HeaderValue::from_static("canary-3"));
    let (path, body) = (format!("/webhooks/{}", source.name), Bytes::from_static(BODY.as_bytes()));
    let query = source.verifier.credential_parameters().next().is_none().then_some("extra=canary-4");
    let genuine = WebhookRequest { headers: &headers, path: &path, query, body: &body, now };
    let (signed, body) = match forgery {
        Some(forgery) => forgery.forge(&source.verifier, &genuine, &body).expect("signed"),
        None => (source.verifier.sign(&genuine).expect("signed"), body),
    };
    headers.extend(signed.headers);
    let query = signed.query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut url = reqwest::Url::parse(&app.url("")).expect("a URL");
    url.set_path(&path);
    url.set_query(query.strip_prefix('?'));
    let headers = headers.iter().fold(reqwest::header::HeaderMap::new(), |mut all, (name, value)| {
        let name = reqwest::header::HeaderName::from_bytes(name.as_str().as_bytes()).expect("a name");
        all.append(name, reqwest::header::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        all
    });
    send_request(app.client.post(url).headers(headers).body(body)).await
}

async fn rejections(app: &TestHub, arguments: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = Value::Null;
    loop {
        let query = format!(
            "query($after: String) {{ rejections(first: 100, after: $after{arguments}) {{
                pageInfo {{ hasNextPage endCursor }} nodes {{ {FIELDS} }} }} }}"
        );
        let page = app.query_with(&query, json!({ "after": after })).await["rejections"].clone();
        all.extend(page["nodes"].as_array().expect("nodes").iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return all;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn sum(rows: &[Value]) -> u64 {
    rows.iter().filter_map(|row| row["count"].as_u64()).sum()
}

/// Waits until as many requests are counted.
async fn counted(app: &TestHub, arguments: &str, count: u64) -> Vec<Value> {
    wait_until(&format!("{count} requests are counted"), async || sum(&rejections(app, arguments).await) >= count)
        .await;
    let rows = rejections(app, arguments).await;
    assert_eq!(sum(&rows), count, "{rows:#?}");
    rows
}

async fn stored(app: &TestHub) -> String {
    let db = Database::open(&app.database.address, OpenMode::SkipMigrations).await.expect("opens");
    format!("{:?}", RejectionStore::new(db).recent(0).await.expect("rows"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_forgery_for_every_scheme_has_its_cause() {
    let app = TestHub::with(&settings()).await;
    let (all, now) = (sources(), Utc::now());
    let mut expected = BTreeSet::new();
    let mut sent = 0;
    for source in all.iter().filter(|source| !source.verifier.is_open()) {
        let scheme = source.verifier.schemes()[0];
        for forgery in Forgery::ALL {
            let response = forge(&app, source, Some(*forgery), now).await;
            assert_eq!(response.status, 401, "{} {forgery:?}: {response:?}", source.name);
            sent += 1;
        }
        expected.insert((source.name.clone(), "MISSING_CREDENTIAL"));
        // A garbled credential can have another form: Hover's has a digest of the body.
        let keeps_form = ["signature", "url_token", "api_key"].contains(&scheme);
        if keeps_form && source.name != "hover-signature" {
            expected.insert((source.name.clone(), "WRONG_SECRET"));
        }
        if source.name == "truepic-signature" || scheme == "jwt" {
            let late = forge(&app, source, None, now - TimeDelta::days(2)).await;
            assert_eq!(late.status, 401, "{}", source.name);
            expected.insert((source.name.clone(), "CLOCK_SKEW"));
            sent += 1;
        }
    }
    let rows = counted(&app, "", sent).await;
    let found: BTreeSet<(String, &str)> = rows
        .iter()
        .map(|row| (row["source"].as_str().expect("a source").to_owned(), row["cause"].as_str().expect("a cause")))
        .collect();
    let missing: Vec<_> = expected.iter().filter(|cause| !found.contains(cause)).collect();
    assert!(missing.is_empty(), "{missing:?}\n{rows:#?}");
    for row in &rows {
        assert_eq!((&row["httpStatus"], &row["method"]), (&json!(401), &json!("POST")), "{row}");
        assert_eq!(row["path"], format!("/webhooks/{}", row["source"].as_str().expect("a source")));
        assert_eq!(row["address"], "127.0.0.1");
        let names: Vec<&str> = row["headerNames"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
        assert!(names.contains(&"x-extra") && names.is_sorted(), "{row}");
        assert!(row["bytes"].as_u64().is_some_and(|bytes| bytes >= BODY.len() as u64), "{row}");
        assert!(row["scheme"].is_string() && row["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{row}");
    }
    let at: Vec<&str> = rows.iter().filter_map(|row| row["at"].as_str()).collect();
    assert!(at.iter().rev().is_sorted(), "the newest first: {at:?}");
    for text in [Value::from(rows.clone()).to_string(), stored(&app).await] {
        let text = text.replace("the secret", "");
        assert!(CANARIES.iter().all(|canary| !text.contains(canary)), "{text}");
    }
    // Filters and ids.
    let total = app.query("{ rejections(first: 1) { totalCount } }").await;
    assert_eq!(total["rejections"]["totalCount"], rows.len());
    let skewed = rejections(&app, ", source: \"truepic-signature\", cause: [CLOCK_SKEW]").await;
    assert_eq!(skewed.len(), 1, "{skewed:?}");
    let node = format!("query($id: ID!) {{ node(id: $id) {{ id ... on Rejection {{ {FIELDS} }} }} }}");
    assert_eq!(app.query_with(&node, json!({ "id": skewed[0]["id"] })).await["node"], skewed[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn causes_other_than_credentials_are_recorded_too() {
    let app = TestHub::with(&settings()).await;
    let big = vec![b' '; 65 << 10];
    assert_eq!(app.post("limited", big).await.status, 413);
    let body = futures_util::StreamExt::chain(
        futures_util::stream::iter([Ok::<_, std::io::Error>("{\"canary\":")]),
        futures_util::stream::pending(),
    );
    let slow = app.client.post(app.url("/webhooks/limited")).body(reqwest::Body::wrap_stream(body));
    assert_eq!(send_request(slow).await.status, 408);
    let compressed =
        app.client.post(app.url("/webhooks/limited?a=canary")).header("content-encoding", "canary").body(BODY);
    assert_eq!(send_request(compressed).await.status, 415);
    let mut limited = 0;
    while limited == 0 {
        limited = u64::from(app.post("limited", BODY).await.status == 429);
    }
    for path in ["/webhooks/limitd?canary=1", "/webhook/limited", "/webhooks/a/b", "/webhooks/%ff"] {
        assert!(matches!(send_request(app.client.post(app.url(path)).body(BODY)).await.status, 400 | 404), "{path}");
    }
    // Neither a vendor's mistake nor a secret's.
    assert_eq!(send_request(app.client.get(app.url("/webhooks/limited"))).await.status, 405);
    assert_eq!(send_request(app.client.get(app.url("/elsewhere"))).await.status, 404);
    let rows = counted(&app, "", 8).await;
    let mut causes: Vec<(&str, u64, &str)> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or("none");
            (text("cause"), row["httpStatus"].as_u64().unwrap_or_default(), text("source"))
        })
        .collect();
    causes.sort_unstable();
    let expected = [
        ("BODY_TOO_LARGE", 413, "limited"),
        ("BODY_TOO_SLOW", 408, "limited"),
        ("COMPRESSED", 415, "limited"),
        ("RATE_LIMITED", 429, "limited"),
        ("UNKNOWN_SOURCE", 400, "none"),
        ("UNKNOWN_SOURCE", 404, "none"),
        ("UNKNOWN_SOURCE", 404, "none"),
        ("UNKNOWN_SOURCE", 404, "none"),
    ];
    assert_eq!(causes, expected);
    let text = Value::from(rows).to_string() + &stored(&app).await;
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(rejections(&app, ", source: \"\"").await.len(), 4, "those of no known source");
    let metrics = send_request(app.client.get(app.url("/metrics"))).await.body.to_string();
    assert!(
        metrics.contains("inspection_hub_rejections_total{source=\\\"limited\\\",cause=\\\"COMPRESSED\\\"}"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_has_few_records_and_a_restart_keeps_them() {
    const REQUESTS: u64 = 400;
    let app = TestHub::with(&settings()).await;
    let source = sources().into_iter().find(|source| source.name == "truto-signature").expect("a source");
    for number in 0..REQUESTS {
        let path = if number % 2 == 0 { "/webhooks/nobody".to_owned() } else { format!("/webhooks/nobody-{number}") };
        send_request(app.client.post(app.url(&path)).body(BODY)).await;
        forge(&app, &source, Some(Forgery::Unsigned), Utc::now()).await;
    }
    let rows = counted(&app, ", source: \"truto-signature\"", REQUESTS).await;
    assert_eq!(rows.len(), 1);
    wait_until("the bucket is full", async || rejections(&app, ", source: \"\"").await.len() == 100).await;
    let most = rejections(&app, ", source: \"\"").await.iter().filter_map(|row| row["count"].as_u64()).max();
    assert_eq!(most, Some(REQUESTS / 2));
    forge(&app, &source, Some(Forgery::Unsigned), Utc::now()).await;
    let app = app.restart().await;
    let rows = rejections(&app, ", source: \"truto-signature\"").await;
    assert_eq!(sum(&rows), REQUESTS + 1, "{rows:?}");
    let (code, text) = crate::verify::verify(&app.database);
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_of_each_replica_receive_what_is_refused() {
    let one = TestHub::with(&settings()).await;
    let other = one.second_hub().await;
    let source = sources().into_iter().find(|source| source.name == "truepic-signature").expect("a source");
    let query = "subscription { rejected(source: \"truepic-signature\") { source cause wouldFit count } }";
    let mut own = one.subscribe(query, json!({})).await;
    let mut others = other.subscribe(query, json!({})).await;
    // A subscription has begun once a later operation on its socket is answered.
    let probe = json!({ "id": "2", "type": "subscribe", "payload": { "query": "{ head { position } }" } });
    for subscription in [&mut own, &mut others] {
        subscription.send(probe.clone()).await;
        assert_eq!(subscription.next_message().await["id"], "2");
        assert_eq!(subscription.next_message().await["type"], "complete");
    }
    send_request(one.client.post(one.url("/webhooks/nobody")).body(BODY)).await;
    let expected = |count: u64| json!({ "source": "truepic-signature", "cause": "CLOCK_SKEW", "wouldFit": ["the signature, at another time"], "count": count });
    let early = Utc::now() - TimeDelta::days(1);
    forge(&one, &source, None, early).await;
    assert_eq!(own.next_data().await["rejected"], expected(1));
    forge(&one, &source, None, early).await;
    assert_eq!(own.next_data().await["rejected"], expected(2));
    let mut received = others.next_data().await["rejected"].clone();
    while received != expected(2) {
        assert_eq!(received, expected(1));
        received = others.next_data().await["rejected"].clone();
    }
    assert_eq!(counted(&other, ", source: \"truepic-signature\"", 2).await.len(), 1);
    // It has no place in the history, so nothing can be resumed.
    let error = one.graphql("subscription { rejected(after: \"YzI6Nzo0Mg\") { id } }", json!({})).await;
    assert!(error["errors"][0]["message"].as_str().is_some(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_is_the_client_of_a_trusted_proxy_and_of_nobody_else() {
    let unknown = |app: &TestHub, client: &str| {
        send_request(
            app.client.post(app.url("/webhooks/nobody")).header("x-forwarded-for", client.to_owned()).body(BODY),
        )
    };
    for (trusted, client, shown) in [
        ("127.0.0.0/8", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.0/8", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.0/8", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("127.0.0.0/8", "canary", "127.0.0.1"),
        ("10.0.0.0/8", "203.0.113.9", "127.0.0.1"),
    ] {
        let app = TestHub::with(&format!("trusted_proxies = '{trusted}'\n{}", settings())).await;
        assert_eq!(unknown(&app, client).await.status, 404);
        let rows = counted(&app, "", 1).await;
        assert_eq!(rows[0]["address"], shown, "{client} by {trusted}");
    }
}
