//! A ring on a database: which keys it admits, and when their principals end.

use super::KeyRing;
use crate::access::{ApiKey, ApiKeyId, ApiKeyToken, Principal, Scopes, View};
use crate::database::TestDatabase;
use crate::store::{ApiKeyError, ApiKeyStore, Database, KeyRotation, OpenMode};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{Scope, access_version, api_key};
use proptest::prelude::*;
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static SECONDS: Cell<i64> = const { Cell::new(1_800_000_000) };
}

/// Each test is one thread, which has its own clock.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(SECONDS.get(), 0).expect("in range")
}

fn pass(time: TimeDelta) {
    SECONDS.set(SECONDS.get() + time.num_seconds());
}

struct RingFixture {
    _database: TestDatabase,
    db: Database,
    store: ApiKeyStore,
    ring: Arc<KeyRing>,
}

impl RingFixture {
    async fn new(settings_keys: Vec<ApiKey>) -> RingFixture {
        let database = TestDatabase::new().await;
        let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
        let store = ApiKeyStore::new(db.clone());
        let ring = KeyRing::open(store.clone(), settings_keys, Scopes::ALL, false, now).await.expect("a ring");
        RingFixture { _database: database, db, store, ring }
    }

    async fn create(&self, view: View, lifetime: Option<TimeDelta>) -> ApiKeyToken {
        let (key, token) = key(view, lifetime);
        self.store.create(key, "test", now()).await.expect("created");
        self.ring.refresh().await.expect("read");
        token
    }

    async fn rotate(&self, id: ApiKeyId, overlap: TimeDelta) -> ApiKeyToken {
        let created_by = "test".to_owned();
        let rotation = KeyRotation { overlap, expires_at: None, expires_by: None, created_by };
        let rotated = self.store.rotate(id, &View::everything(), rotation, now()).await.expect("rotated");
        self.ring.refresh().await.expect("read");
        rotated.token
    }

    async fn revoke(&self, id: ApiKeyId) {
        self.store.revoke(id, &View::everything(), now()).await.expect("revoked");
        self.ring.refresh().await.expect("read");
    }

    fn principal(&self, token: &ApiKeyToken) -> Option<Arc<Principal>> {
        self.ring.authenticate(&token.reveal())
    }
}

fn key(view: View, lifetime: Option<TimeDelta>) -> (ApiKey, ApiKeyToken) {
    ApiKey::generate("test".to_owned(), view, lifetime.map(|lifetime| now() + lifetime)).expect("random numbers")
}

#[tokio::test]
async fn the_api_is_open_until_there_is_a_key_and_never_again() {
    let hub = RingFixture::new(Vec::new()).await;
    let anyone = hub.ring.anyone().expect("open");
    assert!(!anyone.ended.is_cancelled() && &*anyone.subject == "anyone");
    let token = hub.create(View::everything(), None).await;
    assert!(hub.ring.anyone().is_none() && anyone.ended.is_cancelled());
    hub.revoke(token.id).await;
    assert!(hub.ring.anyone().is_none() && hub.principal(&token).is_none());
    let again = KeyRing::open(hub.store.clone(), Vec::new(), Scopes::ALL, false, now).await.expect("a ring");
    assert!(again.anyone().is_none(), "after a restart, too");
    let (key, token) = key(View::everything(), None);
    let hub = RingFixture::new(vec![key]).await;
    assert!(hub.ring.anyone().is_none() && hub.principal(&token).is_some());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_key_and_does_not_open_the_api() {
    let hub = RingFixture::new(Vec::new()).await;
    let token = hub.create(View::everything(), None).await;
    for broken in ["digest = 'x'", "sources = '{'", "created_at = 9223372036854775807", "id = 'x'"] {
        for statement in
            [format!("UPDATE api_key SET {broken}"), "UPDATE access_version SET version = version + 1".into()]
        {
            hub.db.write_pool.execute_unprepared(&statement).await.expect(broken);
        }
        hub.ring.refresh().await.expect("read");
        assert!(hub.ring.anyone().is_none() && hub.principal(&token).is_none(), "{broken}");
    }
}

#[tokio::test]
async fn a_scope_of_a_newer_version_allows_nothing() {
    let hub = RingFixture::new(Vec::new()).await;
    let token = hub.create(View::new([Scope::Read].into_iter().collect(), Some(vec!["lot".into()])), None).await;
    for statement in ["UPDATE api_key SET scopes = 'read fly metrics'", "UPDATE access_version SET version = 9"] {
        hub.db.write_pool.execute_unprepared(statement).await.expect(statement);
    }
    hub.ring.refresh().await.expect("read");
    let view = hub.principal(&token).expect("valid").view.clone();
    assert_eq!((view.scopes().to_string().as_str(), view.sources()), ("read metrics", Some(&["lot".to_owned()][..])));
}

#[tokio::test]
async fn requests_cost_no_statement() {
    let hub = RingFixture::new(Vec::new()).await;
    let token = hub.create(View::everything(), Some(TimeDelta::minutes(5))).await;
    let (_, other) = key(View::everything(), None);
    let forged = format!("{}_{}", &token.reveal()[..17], &other.reveal()[18..]);
    // There is no database any more.
    hub.db.read_pool.clone().close().await.expect("closed");
    hub.db.write_pool.clone().close().await.expect("closed");
    assert!(hub.ring.refresh().await.is_err());
    for invalid in ["", "x", "ihub_", &forged, &other.reveal(), &token.reveal().to_uppercase(), &token.reveal()[1..]] {
        assert!(hub.ring.authenticate(invalid).is_none(), "{invalid}");
    }
    let principal = hub.principal(&token).expect("the known keys stay valid");
    assert_eq!(*principal.subject, format!("key:{}", token.id));
    pass(TimeDelta::minutes(5));
    assert!(hub.principal(&token).is_none(), "but not longer than until they expire");
    assert!(!principal.ended.is_cancelled());
    hub.ring.end_expired();
    assert!(principal.ended.is_cancelled());
}

#[tokio::test]
async fn uses_are_saved_to_the_minute_and_never_go_back() {
    let hub = RingFixture::new(Vec::new()).await;
    let (one, other) = (hub.create(View::everything(), None).await, hub.create(View::everything(), None).await);
    let last_used = async || {
        let records = hub.store.all().await.expect("keys");
        [one.id, other.id].map(|id| records.iter().find(|record| record.key.id == id).expect("a key").last_used_at)
    };
    hub.ring.save_uses().await.expect("nothing to save");
    assert_eq!(last_used().await, [None, None]);
    assert!(hub.principal(&one).is_some());
    hub.ring.save_uses().await.expect("saved");
    let first = now();
    assert_eq!(first.timestamp() % 60, 0);
    assert_eq!(last_used().await, [Some(first), None]);
    pass(TimeDelta::seconds(119));
    assert!(hub.principal(&one).is_some() && hub.principal(&other).is_some());
    assert_eq!(last_used().await, [Some(first), None], "a request writes nothing");
    hub.ring.save_uses().await.expect("saved");
    let second = first + TimeDelta::minutes(1);
    assert_eq!(last_used().await, [Some(second), Some(second)]);
    // Another process was slower.
    hub.store.mark_used(&[(one.id, first), (other.id, second + TimeDelta::seconds(61))]).await.expect("saved");
    assert_eq!(last_used().await, [Some(second), Some(second + TimeDelta::minutes(1))]);
    assert_eq!(hub.store.version().await.expect("a version"), 2, "it is no change of a key");
}

#[tokio::test]
async fn keys_outside_of_a_view_do_not_exist() {
    let hub = RingFixture::new(Vec::new()).await;
    let view = |scopes: &str, sources: Option<&[&str]>| {
        let sources = sources.map(|sources| sources.iter().map(|source| (*source).to_owned()).collect());
        View::new(scopes.parse().expect("scopes"), sources)
    };
    let id = hub.create(view("read operate", Some(&["lot", "roof"])), None).await.id;
    let rotation = || KeyRotation {
        overlap: TimeDelta::hours(1),
        expires_at: None,
        expires_by: Some(now() + TimeDelta::hours(2)),
        created_by: "test".to_owned(),
    };
    let version = hub.store.version().await.expect("a version");
    for within in [view("read", None), view("read operate", Some(&["lot"])), view("", Some(&[]))] {
        let revoked = hub.store.revoke(id, &within, now()).await;
        assert!(matches!(revoked, Err(ApiKeyError::NotFound(_))), "{within:?}");
        let rotated = hub.store.rotate(id, &within, rotation(), now()).await;
        assert!(matches!(rotated, Err(ApiKeyError::NotFound(_))), "{within:?}");
    }
    assert_eq!(hub.store.version().await.expect("a version"), version);
    let rotated =
        hub.store.rotate(id, &view("read operate admin", Some(&["lot", "roof", "x"])), rotation(), now()).await;
    let rotated = rotated.expect("rotated");
    assert_eq!(rotated.new.key.expires_at, Some(now() + TimeDelta::hours(2)), "not longer than its maker's");
    assert_eq!(rotated.old.key.expires_at, Some(now() + TimeDelta::hours(1)));
    assert_eq!(rotated.new.key.view, rotated.old.key.view);
    hub.store.revoke(id, &View::everything(), now()).await.expect("revoked");
    let again = hub.store.rotate(id, &View::everything(), rotation(), now()).await;
    assert!(matches!(again, Err(ApiKeyError::Revoked(_))), "{again:?}");
    pass(TimeDelta::hours(2));
    let expired = hub.store.rotate(rotated.new.key.id, &View::everything(), rotation(), now()).await;
    assert!(matches!(expired, Err(ApiKeyError::Expired(_))), "{expired:?}");
}

#[tokio::test]
async fn the_tables_have_the_columns_of_the_entities() {
    let hub = RingFixture::new(Vec::new()).await;
    hub.create(View::everything(), None).await;
    let rows = api_key::Entity::find().all(&hub.db.write_pool).await.expect("rows");
    assert_eq!((rows.len(), rows[0].digest.len(), rows[0].created_by.as_str()), (1, 64, "test"));
    let versions = access_version::Entity::find()
        .order_by_asc(access_version::Column::Id)
        .all(&hub.db.write_pool)
        .await
        .expect("rows");
    let counted = |id, version| access_version::Model { id, version };
    assert_eq!(versions, [counted(access_version::API_KEYS, 1), counted(access_version::BROWSER_SESSIONS, 0)]);
}

#[derive(Clone, Debug)]
enum KeyEvent {
    Create(Option<u32>),
    Rotate(usize, u32),
    Revoke(usize),
    Pass(u32),
}

fn key_events() -> impl Strategy<Value = Vec<KeyEvent>> {
    let event = prop_oneof![
        prop::option::of(1..100_u32).prop_map(KeyEvent::Create),
        (any::<usize>(), 1..50_u32).prop_map(|(key, overlap)| KeyEvent::Rotate(key, overlap)),
        any::<usize>().prop_map(KeyEvent::Revoke),
        (1..40_u32).prop_map(KeyEvent::Pass),
    ];
    prop::collection::vec(event, 1..20)
}

/// What is known of a key: its end, and the principal that its first request got.
struct ModelKey {
    token: ApiKeyToken,
    created_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
    is_revoked: bool,
    principal: Arc<Principal>,
}

impl ModelKey {
    fn is_valid(&self) -> bool {
        !self.is_revoked && self.ends_at.is_none_or(|ends_at| ends_at > now())
    }
}

async fn check_events(events: Vec<KeyEvent>) {
    let hub = RingFixture::new(Vec::new()).await;
    let mut keys: Vec<ModelKey> = Vec::new();
    let add = |keys: &mut Vec<ModelKey>, token: ApiKeyToken, lifetime: Option<TimeDelta>| {
        let principal = hub.principal(&token).expect("a new key is valid");
        let ends_at = lifetime.map(|lifetime| now() + lifetime);
        keys.push(ModelKey { token, created_at: now(), ends_at, is_revoked: false, principal });
    };
    for event in events {
        match event {
            KeyEvent::Create(lifetime) => {
                let lifetime = lifetime.map(|minutes| TimeDelta::minutes(minutes.into()));
                let token = hub.create(View::everything(), lifetime).await;
                add(&mut keys, token, lifetime);
            }
            KeyEvent::Rotate(index, overlap) if !keys.is_empty() => {
                let index = index % keys.len();
                let overlap = TimeDelta::minutes(overlap.into());
                if keys[index].is_valid() {
                    let token = hub.rotate(keys[index].token.id, overlap).await;
                    let old = &mut keys[index];
                    let lifetime = old.ends_at.map(|ends_at| ends_at - old.created_at);
                    old.ends_at = Some(old.ends_at.map_or(now() + overlap, |ends_at| ends_at.min(now() + overlap)));
                    add(&mut keys, token, lifetime);
                }
            }
            KeyEvent::Revoke(index) if !keys.is_empty() => {
                let index = index % keys.len();
                hub.revoke(keys[index].token.id).await;
                keys[index].is_revoked = true;
            }
            KeyEvent::Pass(minutes) => pass(TimeDelta::minutes(minutes.into())),
            KeyEvent::Rotate(..) | KeyEvent::Revoke(_) => {}
        }
        hub.ring.end_expired();
        assert_eq!(hub.ring.anyone().is_some(), keys.is_empty());
        for key in &keys {
            assert_eq!(hub.principal(&key.token).is_some(), key.is_valid());
            assert_eq!(key.principal.ended.is_cancelled(), !key.is_valid(), "what runs with it ends when it does");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_is_valid_until_it_expires_or_is_revoked(events in key_events()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(check_events(events));
    }
}
