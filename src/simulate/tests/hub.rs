//! The simulator against a hub, and against a server that misbehaves.

use crate::access::{ApiKey, View};
use crate::database::TestDatabase;
use crate::server::{Hub, install_tls};
use crate::settings::{SettingFlags, Settings};
use crate::simulate::ledger::LEDGER_COLUMNS;
use crate::simulate::{Amount, ChaosRates, SimulationError, SimulationPlan, SimulationReport, run};
use crate::vendor::Secret;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use entity::Scope;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Every scheme with which the simulator can sign.
const VERIFIED: &str = r#"
    [sources.truepic]
    public_url = "https://hub.example/webhooks/truepic"
    verify = [{ scheme = "signature", secrets = ["one"] }]
    [sources.pave]
    verify = [{ scheme = "jwt", algorithm = "HS256", secrets = ["a secret of at least thirty-two characters"] }]
    [sources.hover]
    verify = [{ scheme = "signature", secrets = ["two"] }, { scheme = "url_token", secrets = ["a&b"] }]
    [sources.truto]
    verify = [{ scheme = "signature", secrets = ["three"] }]
    [sources.record360]
    verify = [{ scheme = "basic", username = "hub", secrets = ["four"] }]
    [sources.yard]
    vendor = "record360"
    verify = [{ scheme = "bearer", secrets = ["five"] }]
    [sources.depot]
    vendor = "record360"
    verify = [{ scheme = "api_key", secrets = ["six"] }]
"#;

fn settings(text: &str) -> Settings {
    let read = |_: &std::path::Path| Ok(text.to_owned());
    Settings::load(&SettingFlags::default().with("config", "hub.toml"), [], &read)
        .unwrap_or_else(|why| panic!("{why}"))
        .0
}

fn plan(address: SocketAddr, settings: Settings, deliveries: u64) -> SimulationPlan {
    install_tls();
    SimulationPlan {
        hub: format!("http://{address}").parse().expect("a URL"),
        api_key: None,
        sources: settings.sources,
        amount: Amount::Count { deliveries, spread: TimeDelta::hours(24), until: Utc::now() },
        seed: 1,
        chaos: ChaosRates { duplicates: 0.05, reorder: 0.05, bad_signatures: 0.05, garbage: 0.05 },
        rate: None,
        connections: NonZeroUsize::new(8).expect("some"),
    }
}

fn sum(report: &SimulationReport, count: impl Fn(&crate::simulate::ledger::SourceTally) -> u64) -> u64 {
    report.tallies.iter().map(|(_, tally)| count(tally)).sum()
}

#[tokio::test]
async fn a_hub_takes_what_is_signed_refuses_what_is_forged_and_its_ledger_agrees() {
    let database = TestDatabase::new().await;
    let here = format!("listen = \"127.0.0.1:0\"\ndatabase = \"{}\"", database.address);
    let mut settings = settings(&format!("{here}\n{VERIFIED}"));
    let view = View::new([Scope::Read].into_iter().collect(), None);
    let (key, token) = ApiKey::generate("simulate".to_owned(), view, None).expect("random numbers");
    settings.api_keys.push(key);
    let hub = Hub::start(settings.clone()).await.expect("a hub");
    let plan = SimulationPlan { api_key: Some(Secret::new(token.reveal())), ..plan(hub.address(), settings, 600) };
    let report = run(plan, CancellationToken::new()).await.expect("a report");
    hub.stop().await;
    assert!(report.is_success(), "{report}");
    assert_eq!(report.tallies.len(), 7);
    assert_eq!(sum(&report, |tally| tally.sent), 600);
    for (share, count) in [
        ("refused", sum(&report, |tally| tally.not_authenticated)),
        ("quarantined", sum(&report, |tally| tally.quarantined)),
        ("duplicate", sum(&report, |tally| tally.counts[1].unsigned_abs())),
    ] {
        assert!((10..60).contains(&count), "{share}: {report}");
    }
}

/// Answers each first attempt with 429, and may report wrong counts.
#[derive(Debug, Default)]
struct FlakyHub {
    seen: Mutex<HashSet<Bytes>>,
    taken: Mutex<i64>,
    answer: Mutex<Option<StatusCode>>,
    hides: i64,
}

async fn graphql(State(hub): State<Arc<FlakyHub>>) -> String {
    let taken = *hub.taken.lock().expect("a count");
    let mut ledger: Map<String, Value> =
        LEDGER_COLUMNS.iter().map(|(_, name, _)| ((*name).to_owned(), 0.into())).collect();
    ledger.insert("received".to_owned(), (taken - hub.hides.min(taken)).into());
    ledger.insert("applied".to_owned(), taken.into());
    json!({ "data": { "sources": [{ "name": "pave", "ledger": ledger }] } }).to_string()
}

async fn webhook(State(hub): State<Arc<FlakyHub>>, body: Bytes) -> Response {
    if let Some(status) = *hub.answer.lock().expect("a status") {
        return status.into_response();
    }
    if hub.seen.lock().expect("bodies").insert(body) {
        let headers: HeaderMap =
            [("retry-after".parse().expect("a name"), "0".parse().expect("a value"))].into_iter().collect();
        return (StatusCode::TOO_MANY_REQUESTS, headers).into_response();
    }
    *hub.taken.lock().expect("a count") += 1;
    json!({ "status": "accepted", "verdict": "APPLIED" }).to_string().into_response()
}

async fn flaky_hub(hub: FlakyHub) -> (Arc<FlakyHub>, SimulationPlan) {
    let hub = Arc::new(hub);
    let app = Router::new().route("/graphql", post(graphql)).route("/webhooks/pave", post(webhook));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = app.with_state(hub.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let plan = plan(address, settings("[sources.pave]\nopen = true"), 40);
    (hub, SimulationPlan { chaos: ChaosRates::default(), ..plan })
}

#[tokio::test]
async fn what_is_to_be_sent_later_is_sent_later() {
    let (_, plan) = flaky_hub(FlakyHub::default()).await;
    let report = run(plan, CancellationToken::new()).await.expect("a report");
    assert!(report.is_success(), "{report}");
    assert_eq!((sum(&report, |tally| tally.retries), sum(&report, |tally| tally.accepted)), (40, 40));
}

#[tokio::test]
async fn a_ledger_that_hides_something_is_found_out() {
    let (_, plan) = flaky_hub(FlakyHub { hides: 2, ..FlakyHub::default() }).await;
    let report = run(plan, CancellationToken::new()).await.expect("a report");
    assert!(!report.is_success());
    let text = report.to_string();
    assert!(text.contains("pave, received: 40 by the answers, 38 by the ledger"), "{text}");
    assert!(!text.contains("another sender"), "{text}");
}

#[tokio::test]
async fn other_answers_are_reported() {
    let (_, plan) =
        flaky_hub(FlakyHub { answer: Mutex::new(Some(StatusCode::NOT_FOUND)), ..FlakyHub::default() }).await;
    let report = run(plan, CancellationToken::new()).await.expect("a report");
    assert!(!report.is_success() && report.to_string().contains("pave: 40 x HTTP 404 Not Found"), "{report}");
}

#[tokio::test]
async fn stopping_ends_the_waiting_and_still_reports() {
    let (_, plan) =
        flaky_hub(FlakyHub { answer: Mutex::new(Some(StatusCode::SERVICE_UNAVAILABLE)), ..FlakyHub::default() }).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(SimulationPlan { amount: Amount::Forever, ..plan }, stop.clone()));
    stop.cancel();
    let report = tokio::time::timeout(Duration::from_secs(60), running).await.expect("an end");
    let report = report.expect("no panic").expect("a report");
    assert!(sum(&report, |tally| tally.sent) <= 8, "{report}");
}

#[tokio::test]
async fn the_rate_is_not_exceeded() {
    let (_, plan) = flaky_hub(FlakyHub::default()).await;
    let report =
        run(SimulationPlan { rate: NonZeroU32::new(80), ..plan }, CancellationToken::new()).await.expect("a report");
    assert!(report.elapsed >= Duration::from_millis(480), "{report}");
}

#[tokio::test]
async fn without_a_hub_there_is_a_reason() {
    let (_, plan) = flaky_hub(FlakyHub::default()).await;
    let closed = SimulationPlan { hub: "http://127.0.0.1:1".parse().expect("a URL"), ..plan.clone() };
    let why = run(closed, CancellationToken::new()).await.expect_err("no hub").to_string();
    assert!(why.starts_with("no hub answers at http://127.0.0.1:1/") && why.contains("refused"), "{why}");
    let other = SimulationPlan { sources: settings("[sources.hover]\nopen = true").sources, ..plan };
    let why = run(other, CancellationToken::new()).await.expect_err("another hub");
    assert!(matches!(why, SimulationError::NoSource { name, .. } if name == "hover"));
}
