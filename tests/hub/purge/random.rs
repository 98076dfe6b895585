//! Random inspections of all vendors, some of them purged at times.

use super::{discrepancies, purge, retry_while_locked, start};
use crate::database::{TestDatabase, write};
use crate::generators::{TestAct, command_at, incoming_at, link_at, scenario, test_act};
use chrono::{DateTime, TimeDelta, Utc};
use inspection_hub::ingest::{LogRecord, Writer};
use inspection_hub::machine::{EntityType, JobKind};
use inspection_hub::rebuild::Rebuild;
use inspection_hub::retention::PurgeMode;
use inspection_hub::store::{Database, OpenMode};
use inspection_hub::vendor;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A record: when, of which vendor, and what it is.
type Sent = (DateTime<Utc>, &'static str, Sending);

#[derive(Clone, Debug)]
enum Sending {
    /// Its body.
    Delivery(Value),
    /// About the inspection with this id of the vendor's.
    Act(String, TestAct),
    /// Of a job of Hover's, to the inspection with this id or to none.
    Link(String, Option<String>),
}

impl Sending {
    fn record(&self, vendor: &str, at: DateTime<Utc>) -> LogRecord {
        match self {
            Sending::Delivery(body) => incoming_at(vendor, vendor, body, at),
            Sending::Act(external_id, act) => command_at(vendor, external_id, *act, at),
            Sending::Link(job, inspection) => {
                link_at(vendor, (EntityType::Job(JobKind::DeliverableChange), job), inspection.as_deref(), at)
            }
        }
    }
}

/// The vendor's id of the inspection with this number, if its vendor has inspections.
fn inspection_id(vendor: &str, number: usize) -> Option<String> {
    match vendor {
        "pave" => Some(format!("K-9{number}")),
        "truepic" => Some(format!("9{number}")),
        _ => None,
    }
}

/// The deliveries of an inspection under ids of its own, except for ids that inspections of this vendor share.
fn named(vendor: &str, number: usize, life: Vec<Value>, shares: bool) -> Vec<Value> {
    let own = format!("9{number}");
    let mut names: Vec<(String, String)> = match vendor {
        "pave" => vec![("\"K-1\"".into(), format!("\"K-{own}\""))],
        "truepic" => vec![("\"inspection_id\":7".into(), format!("\"inspection_id\":{own}"))],
        "hover" => vec![("\"job_id\":11".into(), format!("\"job_id\":{own}"))],
        "truto" => vec![("run-1".into(), format!("run-{own}")), ("evt-".into(), format!("evt-{own}-"))],
        _ => vec![("\"transaction\":{".into(), format!("\"transaction\":{{\"number\":\"{own}\","))],
    };
    if vendor == "record360" {
        names.push(("\"id\":\"0\"".into(), format!("\"id\":\"{own}\"")));
    }
    if !shares {
        names.extend(match vendor {
            "hover" => vec![
                ("\"capture_request_id\":5".into(), format!("\"capture_request_id\":{own}")),
                ("\"model_id\":9".into(), format!("\"model_id\":{own}")),
                ("_request_id\":3".into(), format!("_request_id\":{own}")),
            ],
            "truto" => vec![("acc-1".into(), format!("acc-{own}"))],
            "record360" => vec![("\"42\"".into(), format!("\"{own}\""))],
            _ => Vec::new(),
        });
    }
    let renamed = |body: Value| {
        let text = names.iter().fold(body.to_string(), |text, (from, to)| text.replace(from, to));
        serde_json::from_str(&text).expect("JSON")
    };
    life.into_iter().map(renamed).collect()
}

/// Deliveries of all vendors whose inspections begin within days of each other and take hours, with invalid bodies between,
/// in the order of receipt, and acts on some of the inspections.
fn traffic() -> impl Strategy<Value = Vec<Sent>> {
    let unknown = Just(("pave", vec![json!([1]), json!({ "event": "SESSION:SNEEZED" })])).boxed();
    let scenarios = vendor::names().map(|vendor| scenario(vendor).prop_map(move |bodies| (vendor, bodies)).boxed());
    let life = proptest::strategy::Union::new(scenarios.chain([unknown]));
    let one = (life, any::<bool>(), 0..200_i64, proptest::collection::vec((0..90_i64, 1..3_usize), 40), any::<bool>());
    let acts = proptest::collection::vec(proptest::option::weighted(0.3, test_act()), 40);
    let one = (one, acts);
    proptest::collection::vec(one, 2..9).prop_map(|lives| {
        let mut sent = Vec::new();
        for (number, (((vendor, life), shares, begins, pauses, backwards), acts)) in lives.into_iter().enumerate() {
            let mut at = start() + TimeDelta::hours(begins);
            let mut life = named(vendor, number, life, shares);
            if backwards {
                life.reverse();
            }
            let acted_on = inspection_id(vendor, number);
            for ((body, (pause, times)), act) in life.into_iter().zip(pauses.into_iter().cycle()).zip(acts) {
                if let (Some(external_id), Some(act)) = (&acted_on, act) {
                    at += TimeDelta::minutes(pause);
                    sent.push((at, vendor, Sending::Act(external_id.clone(), act)));
                }
                for _ in 0..times {
                    at += TimeDelta::minutes(pause);
                    sent.push((at, vendor, Sending::Delivery(body.clone())));
                }
                if let ("hover", Some(TestAct::Register(other) | TestAct::Annotate(other))) = (vendor, act) {
                    let job = if shares { "3".to_owned() } else { format!("9{number}") };
                    let inspection = (other % 4 > 0).then(|| format!("9{}", usize::from(other) % 9));
                    sent.push((at, vendor, Sending::Link(job, inspection)));
                }
            }
        }
        sent.sort_by_key(|(at, ..)| *at);
        sent
    })
}

fn cases() -> u32 {
    std::env::var("SOAK").or_else(|_| std::env::var("PROPTEST_CASES")).ok().and_then(|n| n.parse().ok()).unwrap_or(16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_left_derives_and_goes_on_as_before(
        sent in traffic(), rounds in proptest::collection::vec(0..100_i64, 1..4), batch in 1..20_usize
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let complaints: Vec<String> = runtime.block_on(async {
            let database = TestDatabase::new().await;
            let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
            let mut writer = Writer::open(&db).expect("a writer");
            for (part, age) in sent.chunks(sent.len().div_ceil(rounds.len())).zip(&rounds) {
                for part in part.chunks(batch) {
                    let incoming = part.iter().map(|(at, vendor, sending)| sending.record(vendor, *at));
                    write(&mut writer, &incoming.collect::<Vec<_>>());
                }
                let Some((now, ..)) = part.last() else { continue };
                let before = *now - TimeDelta::hours(*age);
                let would = purge(&db, before, PurgeMode::DryRun).await;
                let unchanged = discrepancies(&db).await;
                if !unchanged.is_empty() {
                    return unchanged;
                }
                let done = purge(&db, before, PurgeMode::Delete).await;
                assert_eq!(would, done, "a dry run counts what a purge deletes");
                let left = discrepancies(&db).await;
                if !left.is_empty() {
                    return left;
                }
                let again = purge(&db, before, PurgeMode::Delete).await;
                assert_eq!((again.units, again.deliveries), (0, 0), "all at once");
            }
            let folder = database.folder.path().join("scratch");
            let mut rebuild =
                retry_while_locked(async || Rebuild::open(db.clone(), &folder, CancellationToken::new()).await).await;
            let found = rebuild.replay_and_diff(|_| {}).await.expect("derived");
            let few = rebuild.replace(&found, |_| {}).await.expect("replaced");
            let all = rebuild.replace_all(&found, |_| {}).await.expect("replaced");
            rebuild.finish().await;
            assert_eq!((few.rows_replaced, all.rows_replaced), (Some(0), None));
            assert!(!few.is_new_generation && !all.is_new_generation, "it is the same history");
            discrepancies(&db).await
        });
        prop_assert_eq!(complaints, Vec::<String>::new());
    }
}
