//! What `sources` reports beside the ledger: rates by answer, over replicas and restarts, alarms, limits, and the age of secrets.

use crate::test_hub::{TestHub, send_request, wait_until};
use crate::test_keys::{query_with_key, settings_key};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

const ANSWERS: [&str; 7] =
    ["accepted", "duplicates", "quarantined", "notAuthenticated", "rateLimited", "unavailable", "rejected"];
const SETTINGS: &str = "body_limit = '64KiB'
[sources.pave]
open = true
[sources.limited]
vendor = 'pave'
open = true
rate_limit = 1
[sources.yard]
vendor = 'pave'
[[sources.yard.verify]]
scheme = 'bearer'
secrets = [{ value = 'the-secret', since = 2026-01-15 }, 'the-other-secret']
";

/// The sums of the last minutes, by answer.
async fn sums(app: &TestHub, source: &str) -> Vec<u64> {
    let query = format!("{{ sources {{ name rates(minutes: 10) {{ {} }} }} }}", ANSWERS.join(" "));
    let data = app.query(&query).await;
    let sources = data["sources"].as_array().expect("sources");
    let rates = sources.iter().find(|of| of["name"] == source).expect("a source")["rates"].as_array().expect("rates");
    let sum = |answer: &&str| rates.iter().filter_map(|rate| rate[*answer].as_u64()).sum();
    ANSWERS.iter().map(sum).collect()
}

async fn wait_for(app: &TestHub, source: &str, expected: [u64; 7]) {
    wait_until(&format!("{source} has {expected:?}"), async || sums(app, source).await == expected).await;
}

async fn post_to_yard(app: &TestHub, token: &str) -> u16 {
    let body = json!({ "event": "SESSION:STATUS_CHANGE", "session_key": token, "status": "STARTED" }).to_string();
    send_request(app.client.post(app.url("/webhooks/yard")).bearer_auth(token).body(body)).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_counted_by_answer_over_replicas_and_restarts() {
    let one = TestHub::with(SETTINGS).await;
    let other = one.second_hub().await;
    for (app, body, status) in [
        (&one, "{\"event\": \"A\"}", 200),
        (&other, "{\"event\": \"B\"}", 200),
        (&other, "{\"event\": \"B\"}", 200),
        (&one, "no JSON", 200),
        (&one, "", 400),
    ] {
        assert_eq!(app.post("pave", body).await.status, status, "{body}");
    }
    assert_eq!(one.post("pave", vec![b' '; 65 << 10]).await.status, 413);
    assert_eq!(send_request(one.client.get(one.url("/webhooks/pave"))).await.status, 405, "not counted");
    let tokens = ["the-secret", "the-other-secret", "wrong", "wrong"];
    let mut statuses = Vec::new();
    for token in tokens {
        statuses.push(post_to_yard(&one, token).await);
    }
    assert_eq!(statuses, [200, 200, 401, 401]);
    let mut limited = [0; 7];
    while limited[4] == 0 {
        let answer =
            if one.post("limited", format!("{{\"event\": \"{}\"}}", limited[0])).await.status == 429 { 4 } else { 0 };
        limited[answer] += 1;
    }
    for app in [&one, &other] {
        wait_for(app, "pave", [2, 1, 1, 0, 0, 0, 2]).await;
        wait_for(app, "yard", [2, 0, 0, 2, 0, 0, 0]).await;
        wait_for(app, "limited", limited).await;
    }
    assert_eq!(post_to_yard(&other, "wrong").await, 401);
    other.hub.stop().await;
    let app = one.restart().await;
    wait_for(&app, "yard", [2, 0, 0, 3, 0, 0, 0]).await;
    let (code, text) = crate::verify::verify(&app.database);
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_silent_for_too_long_has_an_alarm() {
    let source = |name: &str, expected: &str| format!("[sources.{name}]\nvendor = 'pave'\nopen = true\n{expected}\n");
    let settings = [
        source("unwatched", ""),
        source("busy", "expect_every = '36h'"),
        source("silent", "expect_every = '1ms'"),
        source("new", "expect_every = '36h'"),
        source("never", "expect_every = '1ms'"),
    ];
    let app = TestHub::with(&settings.concat()).await;
    for name in ["unwatched", "busy", "silent"] {
        assert_eq!(app.post(name, "{\"event\": \"A\"}").await.status, 200);
    }
    let query = "{ sources { name alarm expectEvery silentSince lastReceivedAt } hub { replicas { startedAt } } }";
    wait_until("it has started", async || app.query(query).await["hub"]["replicas"][0].is_object()).await;
    let data = app.query(query).await;
    let of =
        |name: &str| data["sources"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name)).expect(name);
    for (name, alarm, expected, since) in [
        ("unwatched", "OFF", Value::Null, Value::Null),
        ("busy", "OK", json!("P1DT12H"), Value::Null),
        ("silent", "SILENT", json!("PT0S"), of("silent")["lastReceivedAt"].clone()),
        ("new", "OK", json!("P1DT12H"), Value::Null),
        ("never", "SILENT", json!("PT0S"), data["hub"]["replicas"][0]["startedAt"].clone()),
    ] {
        let source = of(name);
        assert_eq!(
            [&source["alarm"], &source["expectEvery"], &source["silentSince"]],
            [&json!(alarm), &expected, &since],
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_of_a_secret_is_shown_and_nothing_of_the_secret() {
    let (token, table) = settings_key("read", "sources = ['yard', 'limited']");
    let app = TestHub::with(&format!("{SETTINGS}{table}")).await;
    let query = "{ sources { name verification deliveriesPerSecondLimit secrets { scheme number since days } } }";
    let response = query_with_key(&app, &token, query).await;
    let sources = response.body["data"]["sources"].as_array().expect("sources").clone();
    let names: Vec<&str> = sources.iter().filter_map(|source| source["name"].as_str()).collect();
    assert_eq!(names, ["limited", "yard"], "only those in view");
    assert_eq!((&sources[0]["deliveriesPerSecondLimit"], &sources[0]["secrets"]), (&json!(1), &json!([])));
    assert_eq!(sources[1]["deliveriesPerSecondLimit"], Value::Null);
    let since: DateTime<Utc> = "2026-01-15T00:00:00Z".parse().expect("a time");
    let secrets = sources[1]["secrets"].as_array().expect("secrets");
    assert_eq!((&secrets[0]["scheme"], &secrets[0]["number"]), (&json!("bearer"), &json!(1)));
    assert_eq!(secrets[0]["since"].as_str().and_then(|at| at.parse().ok()), Some(since));
    let days = TimeDelta::days(secrets[0]["days"].as_i64().expect("a number"));
    assert!((Utc::now() - since - days) < TimeDelta::days(2), "{secrets:?}");
    assert_eq!(secrets[1], json!({ "scheme": "bearer", "number": 2, "since": null, "days": null }));
    assert!(!response.body.to_string().contains("secret\""), "{response:?}");
}
