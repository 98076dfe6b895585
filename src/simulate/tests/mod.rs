//! Promises of the simulator that need no hub; `hub` has the others.

mod dictionaries;
mod hub;

use crate::database::{TestDatabase, write};
use crate::event::NoEffect;
use crate::ingest::{LogRecord, Writer};
use crate::rebuild::{DatabaseSnapshot, ShadowDb};
use crate::simulate::chaos::{Chaos, ChaosRates, SendMode};
use crate::simulate::patch::TimeMapping;
use crate::simulate::sample::SampleBody;
use crate::simulate::traffic::{Traffic, TrafficClock};
use crate::store::{Database, OpenMode};
use crate::vendor::verify::{UnverifiedDelivery, Verifier};
use crate::vendor::{self, DeliveryBody, Vendor};
use axum::http::header::{self, HeaderMap};
use chrono::{DateTime, TimeDelta, Utc};
use entity::Verdict;
use std::collections::{HashMap, HashSet};
use tokio_util::sync::CancellationToken;

fn all_vendors() -> Vec<&'static str> {
    vendor::names().collect()
}

fn clock() -> TrafficClock {
    let at = DateTime::from_timestamp(1_750_000_000, 0).expect("a moment");
    TrafficClock::Fixed(TimeMapping { anchor: TimeDelta::zero(), at, scale: 1.0 })
}

fn traffic(seed: u32, vendors: &[&str]) -> Traffic {
    Traffic::new(seed, vendors, clock(), Some((2000, TimeDelta::hours(24))))
}

fn chaos(seed: u32, shares: ChaosRates) -> Chaos {
    Chaos::new(seed, traffic(seed, &all_vendors()), shares, vec![true; vendor::ALL.len()])
}

fn bodies(seed: u32) -> Vec<Vec<u8>> {
    let shares = ChaosRates { duplicates: 0.05, reorder: 0.05, ..ChaosRates::default() };
    let body = |request: crate::simulate::SimulatedRequest| request.delivery.body().expect("a body").bytes.to_vec();
    chaos(seed, shares).take(2000).map(body).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, two) = (bodies(7), bodies(7));
    assert_eq!(one, two);
    let other = bodies(8);
    assert_eq!(other.iter().filter(|body| one.contains(body)).count(), 0);
}

#[test]
fn every_adapter_parses_all_scenarios_of_its_vendor() {
    for vendor in vendor::ALL {
        let mut seen = HashMap::new();
        for post in traffic(1, &[vendor.name]).take(3000) {
            let body = post.body().unwrap_or_else(|bad| panic!("{bad}"));
            let delivery = DeliveryBody { content_type: Some(body.content_type), body: &body.bytes };
            let parsed = (vendor.parse)(&delivery).unwrap_or_else(|why| panic!("{}: {why}", vendor.name));
            let text = String::from_utf8_lossy(&body.bytes);
            assert!(!matches!(parsed.no_effect, Some(NoEffect::Unrecognized(_))), "{:?}: {text}", parsed.no_effect);
            *seen.entry(parsed.event).or_insert(0) += 1;
        }
        assert!(seen.len() > 1, "{}: {seen:?}", vendor.name);
    }
}

#[test]
fn every_vendor_sends_its_share_and_scenarios_have_the_assumed_length() {
    let mut counts = [0; vendor::ALL.len()];
    let mut scenarios = HashSet::new();
    for post in traffic(1, &all_vendors()).take(10_000) {
        counts[post.source] += 1;
        scenarios.insert(post.scenario);
    }
    assert!(counts.iter().all(|count| *count > 700), "{counts:?}");
    assert!((8..16).contains(&(10_000 / scenarios.len())), "{} scenarios", scenarios.len());
}

#[test]
fn the_shares_are_about_right() {
    let shares = ChaosRates { duplicates: 0.05, reorder: 0.1, bad_signatures: 0.02, garbage: 0.03 };
    let mut counts: HashMap<_, i32> = HashMap::new();
    for request in chaos(1, shares).take(20_000) {
        let manner = match request.mode {
            SendMode::Genuine => "genuine",
            SendMode::Reordered => "late",
            SendMode::Duplicate => "again",
            SendMode::Forged(_) => "forged",
            SendMode::Garbage(_) => "garbage",
        };
        *counts.entry(manner).or_default() += 1;
    }
    for (manner, about) in [("again", 1000), ("garbage", 600), ("forged", 400), ("late", 1700)] {
        assert!((counts[manner] - about).abs() < about / 4, "{manner}: {counts:?}");
    }
}

#[test]
fn late_deliveries_are_overtaken_within_their_scenario_and_none_is_lost() {
    let plain: Vec<_> = traffic(3, &all_vendors()).take(5000).collect();
    let shares = ChaosRates { reorder: 0.1, ..ChaosRates::default() };
    let mixed: Vec<_> = chaos(3, shares).take(5500).map(|request| request.delivery).collect();
    let overtaken =
        |pair: &[std::sync::Arc<crate::simulate::traffic::SimulatedDelivery>]| pair[0].step.at > pair[1].step.at;
    assert!(!plain.windows(2).any(overtaken));
    let mut scenarios: HashMap<u64, Vec<TimeDelta>> = HashMap::new();
    mixed.iter().for_each(|post| scenarios.entry(post.scenario).or_default().push(post.step.at));
    let disordered = scenarios.values().filter(|times| !times.is_sorted()).count();
    assert!(disordered > scenarios.len() / 10, "{disordered} of {} scenarios", scenarios.len());
    for post in plain {
        assert!(mixed.iter().any(|other| (other.scenario, other.step.at) == (post.scenario, post.step.at)));
    }
}

#[test]
fn forgeries_are_for_sources_that_verify() {
    let shares = ChaosRates { bad_signatures: 0.5, ..ChaosRates::default() };
    let mut verifies = vec![false; vendor::ALL.len()];
    verifies[1] = true;
    let forged: Vec<_> = Chaos::new(1, traffic(1, &all_vendors()), shares, verifies)
        .take(2000)
        .filter(|request| matches!(request.mode, SendMode::Forged(_)))
        .collect();
    assert!(forged.len() > 100 && forged.iter().all(|request| request.delivery.source == 1));
}

fn incoming(vendor: &'static Vendor, body: SampleBody) -> LogRecord {
    let content_type = body.content_type.parse().expect("a header's value");
    let delivery = UnverifiedDelivery {
        source: vendor.name.into(),
        vendor,
        received_at: Utc::now(),
        method: "POST",
        path: "/",
        query: None,
        headers: &HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]),
        body: body.bytes,
    };
    LogRecord::prepare(Verifier::open().check(delivery).expect("an open source"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_equal_without_comparing_values() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    let shares = ChaosRates { reorder: 0.2, duplicates: 0.1, ..ChaosRates::default() };
    let batch: Vec<_> = Chaos::new(3, traffic(3, &all_vendors()), shares, vec![false; vendor::ALL.len()])
        .take(500)
        .map(|request| incoming(vendor::ALL[request.delivery.source], request.delivery.body().expect("a body")))
        .collect();
    write(&mut writer, &batch);
    let stored = DatabaseSnapshot::open(&db).await.expect("a moment");
    let mut scratch = ShadowDb::open(&database.folder.path().join("scratch"), "a test").await.expect("a folder");
    stored.replay_into(&mut scratch, &CancellationToken::new(), |_| {}).await.expect("derived");
    let derived = DatabaseSnapshot::open(&scratch.db).await.expect("a moment");
    let found = stored.diff(&derived).await.expect("compared");
    assert_eq!((found.total, found.rows_compared > 1500), (0, true), "{found:?}");
    // The ledger and the counters.
    assert!(found.rows_compared_by_value <= 6, "{} rows were read", found.rows_compared_by_value);
    let edit = "UPDATE entity SET state = 'NOWHERE' WHERE row_id IN (3, 5)";
    let writer = sea_orm::Database::connect(&database.address).await.expect("a connection");
    sea_orm::ConnectionTrait::execute_unprepared(&writer, edit).await.expect("an edit");
    let found = DatabaseSnapshot::open(&db).await.expect("a moment").diff(&derived).await.expect("compared");
    assert_eq!((found.total, found.patchable_rows()), (2, Some(2)), "{found:?}");
}

#[tokio::test]
async fn what_comes_in_order_is_never_refused_nor_stale() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    let posts: Vec<_> = traffic(5, &all_vendors()).take(1500).collect();
    let mut verdicts: HashMap<Verdict, Vec<String>> = HashMap::new();
    for posts in posts.chunks(50) {
        let bodies: Vec<_> = posts.iter().map(|post| post.body().expect("a body")).collect();
        let batch: Vec<_> =
            posts.iter().zip(&bodies).map(|(post, body)| incoming(vendor::ALL[post.source], body.clone())).collect();
        let receipts = write(&mut writer, &batch).receipts;
        for (receipt, body) in receipts.into_iter().zip(bodies) {
            let text = String::from_utf8_lossy(&body.bytes).chars().take(300).collect::<String>();
            assert!(!receipt.duplicate, "{text}");
            verdicts.entry(receipt.verdict).or_default().push(format!("{}: {text}", receipt.explanation));
        }
    }
    for bad in [Verdict::Refused, Verdict::Unexpected, Verdict::Stale, Verdict::Unrecognized, Verdict::Unreadable] {
        assert!(!verdicts.contains_key(&bad), "{bad}: {:#?}", verdicts[&bad]);
    }
    let few = |verdict, most| verdicts.get(&verdict).is_none_or(|which| which.len() < most);
    assert!(few(Verdict::SkippedAhead, 60) && few(Verdict::NoChange, 60), "{verdicts:#?}");
}
