//! Records are bounded, equal requests share one, and nothing is written for a request.

use super::{RefusedRequest, RejectionLog, RejectionTask};
use crate::access::View;
use crate::database::TestDatabase;
use crate::store::read::{PageRequest, PagingDirection, RejectionFilter, count_rejections, rejections};
use crate::store::{Database, MAX_REJECTIONS, OpenMode, RejectionStore, delete_rejections_before};
use crate::vendor::Secret;
use crate::vendor::verify::{Scheme, Verifier};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use chrono::{DateTime, Utc};
use entity::rejection::Model;
use entity::{RejectionCause, Scope};
use futures_util::FutureExt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio_util::sync::CancellationToken;

/// A second passes with each reading of the clock.
fn clock() -> DateTime<Utc> {
    static SECONDS: AtomicI64 = AtomicI64::new(1_772_400_000);
    DateTime::from_timestamp(SECONDS.fetch_add(1, Ordering::Relaxed), 0).expect("a moment")
}

struct Sent<'a> {
    source: Option<&'a str>,
    cause: RejectionCause,
    path: &'a str,
    address: &'a str,
    body: Option<Bytes>,
}

const USUAL: Sent<'_> = Sent {
    source: Some("lot"),
    cause: RejectionCause::WrongSecret,
    path: "/webhooks/lot",
    address: "192.0.2.1",
    body: None,
};

fn record(log: &RejectionLog, sent: Sent<'_>) {
    let headers: HeaderMap = [("authorization", "Bearer canary"), ("x-b", "canary"), ("x-a", "canary")]
        .into_iter()
        .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
        .collect();
    let address: IpAddr = sent.address.parse().expect("an address");
    log.record(RefusedRequest {
        source: sent.source,
        cause: sent.cause,
        scheme: Some("bearer"),
        http_status: 401,
        method: &Method::POST,
        uri: &Uri::from_static("/webhooks/lot?token=canary"),
        path: sent.path,
        headers: &headers,
        bytes: 7,
        address: Some(address),
        reason: &"no active secret matches",
        unverified_body: sent.body,
    });
}

async fn open() -> (TestDatabase, Database) {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
    (database, db)
}

fn task(db: &Database, log: &Arc<RejectionLog>) -> RejectionTask {
    let secret = |value: &str| vec![Secret::new(value)];
    let verifiers = [("lot", "own-secret"), ("yard", "canary")]
        .map(|(name, value)| (name.to_owned(), Verifier::new(Scheme::Bearer { tokens: secret(value) }, [])));
    RejectionTask { log: log.clone(), store: RejectionStore::new(db.clone()), verifiers: verifiers.into(), clock }
}

async fn stored(db: &Database) -> Vec<Model> {
    let page = PageRequest { after: None, before: None, limit: 10_000, paging: PagingDirection::Forward };
    rejections(&db.read_pool, &RejectionFilter::default(), &page).await.expect("rows").rows
}

#[tokio::test]
async fn equal_requests_share_a_record() {
    let ((_folder, db), log) = (open().await, Arc::new(RejectionLog::new(clock)));
    for _ in 0..3 {
        record(&log, USUAL);
        record(&log, Sent { path: "/webhooks/lot/", ..USUAL });
    }
    record(&log, Sent { address: "192.0.2.2", ..USUAL });
    record(&log, Sent { cause: RejectionCause::ClockSkew, ..USUAL });
    record(&log, Sent { source: Some("yard"), ..USUAL });
    record(&log, Sent { source: None, cause: RejectionCause::UnknownSource, address: "2001:db8:1:2::", ..USUAL });
    task(&db, &log).save().await.expect("saved");
    let rows = stored(&db).await;
    let mut counts: Vec<i64> = rows.iter().map(|row| row.count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 1, 1, 3, 3]);
    assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row.at)), "the newest first");
    let first = &rows[0];
    assert_eq!((first.source.as_str(), first.address.as_deref()), ("", Some("2001:db8:1:2::/64")));
    assert_eq!(first.header_names, r#"["authorization","x-a","x-b"]"#);
    let counted = rows.iter().find(|row| row.count == 3).expect("one");
    assert!(counted.first_at < counted.at);
    // Counted further in the same record.
    record(&log, USUAL);
    task(&db, &log).save().await.expect("saved");
    let again = stored(&db).await;
    assert_eq!((again.len(), again[0].count), (rows.len(), 4));
    assert!(rows.iter().any(|row| row.id == again[0].id));
    assert!(!format!("{again:?}").contains("canary"));
}

#[tokio::test]
async fn a_flood_is_flat_and_writes_nothing_for_a_request() {
    let ((_folder, db), log) = (open().await, Arc::new(RejectionLog::new(clock)));
    let (made_up, body) = ("x".repeat(500), Bytes::from(vec![b'x'; 60 << 10]));
    const REQUESTS: i64 = 50_000;
    for number in 0..REQUESTS {
        let path = format!("/webhooks/{number}-{made_up}/{made_up}/{made_up}/{made_up}/{made_up}");
        record(&log, Sent { source: None, cause: RejectionCause::UnknownSource, path: &path, ..USUAL });
        record(&log, USUAL);
        let address = format!("192.0.{}.{}", number / 256 % 256, number % 256);
        record(
            &log,
            Sent { address: &address, cause: RejectionCause::MissingCredential, body: Some(body.clone()), ..USUAL },
        );
    }
    let (records, sample_bytes) = log.sizes();
    assert_eq!(records, 2 * MAX_REJECTIONS + 1);
    assert!((1..=1 << 20).contains(&sample_bytes), "{sample_bytes}");
    assert_eq!(stored(&db).await.len(), 0, "nothing is written before it is saved");
    task(&db, &log).save().await.expect("saved");
    let rows = stored(&db).await;
    assert!(rows.len() <= 2 * MAX_REJECTIONS + 1 && rows.len() > MAX_REJECTIONS, "{}", rows.len());
    assert!(rows.iter().any(|row| row.count == REQUESTS));
    assert!(rows.iter().all(|row| row.path.chars().count() <= 256));
    let unknown = rows.iter().find(|row| row.cause == RejectionCause::UnknownSource).expect("one");
    assert!(unknown.path.split('/').all(|part| part.len() <= 64), "{}", unknown.path);
}

#[tokio::test]
async fn the_newest_of_all_replicas_are_kept() {
    let (_folder, db) = open().await;
    for replica in 0..3 {
        let log = Arc::new(RejectionLog::new(clock));
        for number in 0..60 {
            record(&log, Sent { path: &format!("/webhooks/lot/{replica}/{number}"), ..USUAL });
            record(&log, Sent { path: &format!("/webhooks/lot/{number}"), cause: RejectionCause::ClockSkew, ..USUAL });
        }
        task(&db, &log).save().await.expect("saved");
    }
    let rows = stored(&db).await;
    for cause in [RejectionCause::WrongSecret, RejectionCause::ClockSkew] {
        assert_eq!(rows.iter().filter(|row| row.cause == cause).count(), MAX_REJECTIONS);
    }
    let is_of =
        |replica: u32| rows.iter().filter(|row| row.path.starts_with(&format!("/webhooks/lot/{replica}/"))).count();
    assert_eq!((is_of(0), is_of(1), is_of(2)), (0, 40, 60));
    // The purge of what is old.
    let middle = rows[100].at;
    delete_rejections_before(&db.write_pool, middle).await.expect("deleted");
    let left = stored(&db).await;
    assert_eq!(left, rows[..=100]);
}

#[tokio::test]
async fn what_was_not_saved_is_saved_later() {
    let ((_folder, db), log) = (open().await, Arc::new(RejectionLog::new(clock)));
    record(&log, USUAL);
    let task = task(&db, &log);
    assert!(task.save().now_or_never().is_none(), "cancelled");
    task.save().await.expect("saved");
    assert_eq!(stored(&db).await.len(), 1);
    record(&log, USUAL);
    let stop = CancellationToken::new();
    stop.cancel();
    task.run(stop).await;
    assert_eq!(stored(&db).await[0].count, 2, "saved at the end");
}

#[tokio::test]
async fn a_record_is_published_once_it_is_examined() {
    let ((_folder, db), log) = (open().await, Arc::new(RejectionLog::new(clock)));
    let task = task(&db, &log);
    record(&log, Sent { body: Some(Bytes::from_static(b"canary")), ..USUAL });
    assert_eq!(log.take_unpublished(), []);
    task.examine_next().await;
    let published = log.take_unpublished();
    assert_eq!(published.len(), 1);
    assert!(published[0].would_fit.contains("the secret of the source `yard`"), "{published:?}");
    assert_eq!(log.take_unpublished(), []);
    record(&log, USUAL);
    assert_eq!(log.take_unpublished()[0].count, 2);
    assert_eq!(log.sizes().1, 0, "the sample is gone");
}

#[tokio::test]
async fn only_operators_see_rejections_and_only_of_their_sources() {
    let ((_folder, db), log) = (open().await, Arc::new(RejectionLog::new(clock)));
    for source in [None, Some("lot"), Some("yard")] {
        record(&log, Sent { source, ..USUAL });
    }
    task(&db, &log).save().await.expect("saved");
    let all = crate::access::Scopes::ALL;
    for (scopes, sources, filter, expected) in [
        (all, None, None, 3),
        (all, None, Some(""), 1),
        (all, Some(vec!["lot"]), None, 1),
        (all, Some(vec!["lot"]), Some("yard"), 0),
        (all, Some(vec!["lot", ""]), Some(""), 0),
        (all, Some(vec![]), None, 0),
        (all.without(Scope::Operate), None, None, 0),
    ] {
        let view = View::new(scopes, sources.map(|sources| sources.into_iter().map(str::to_owned).collect()));
        let filter = RejectionFilter { source: filter.map(str::to_owned), causes: None };
        let pool = db.read_pool.limited_to(view.clone());
        assert_eq!(count_rejections(&pool, &filter).await.expect("a count"), expected, "{view:?} {filter:?}");
    }
}
