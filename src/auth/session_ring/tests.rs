//! Browser sessions on a database, by a clock of the test: when they end, and which process knows them.

use super::{SessionNotBegun, SessionRing};
use crate::access::{SESSION_IDLE_LIMIT, SESSION_LIMIT, Scopes, SessionToken, View};
use crate::database::TestDatabase;
use crate::store::{BrowserSessionStore, Database, LoginDigest, OpenMode};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{access_version, browser_session};
use sea_orm::{ConnectionTrait, EntityTrait};
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

struct SessionFixture {
    _database: TestDatabase,
    db: Database,
    ring: Arc<SessionRing>,
}

impl SessionFixture {
    async fn new() -> SessionFixture {
        let database = TestDatabase::new().await;
        let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
        let ring = ring_of(&db, "grants").await;
        SessionFixture { _database: database, db, ring }
    }

    /// Another process on the database.
    async fn other(&self) -> Arc<SessionRing> {
        ring_of(&self.db, "grants").await
    }

    async fn begin(&self, login: u8) -> Result<SessionToken, SessionNotBegun> {
        let view = View::new("read operate".parse().expect("scopes"), Some(vec!["lot".to_owned()]));
        self.ring.begin("https://login.example#ada".to_owned(), view, LoginDigest([login; 32])).await
    }

    async fn rows(&self) -> Vec<browser_session::Model> {
        browser_session::Entity::find().all(&self.db.write_pool).await.expect("rows")
    }
}

async fn ring_of(db: &Database, grants: &str) -> Arc<SessionRing> {
    SessionRing::open(BrowserSessionStore::new(db.clone(), grants.to_owned()), now).await.expect("a ring")
}

#[tokio::test]
async fn a_session_counts_in_every_process_with_the_same_grants() {
    let hub = SessionFixture::new().await;
    let other = hub.other().await;
    let token = hub.begin(1).await.expect("a session");
    let person = hub.ring.authenticate(&token).expect("a person");
    assert_eq!((&*person.subject, person.expires_at), ("https://login.example#ada", Some(now() + SESSION_LIMIT)));
    assert!(other.authenticate(&token).is_none());
    other.refresh().await.expect("read");
    assert_eq!(other.authenticate(&token).expect("a person").view, person.view);
    // After a restart with other grants, people log in again.
    assert!(ring_of(&hub.db, "other grants").await.authenticate(&token).is_none());
    let rows = hub.rows().await;
    assert!(rows.iter().all(|row| row.digest == token.digest().to_string() && !row.digest.contains(&token.reveal())));
    for forged in
        [SessionToken::generate().expect("random numbers"), token.digest().to_string().parse().expect("a secret")]
    {
        assert!(hub.ring.authenticate(&forged).is_none());
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_for_eight_hours() {
    let hub = SessionFixture::new().await;
    let other = hub.other().await;
    let token = hub.begin(1).await.expect("a session");
    other.refresh().await.expect("read");
    let person = hub.ring.authenticate(&token).expect("a person");
    pass(SESSION_IDLE_LIMIT - TimeDelta::minutes(1));
    // It is used in the other process alone. This one learns that when both save.
    assert!(other.authenticate(&token).is_some());
    other.save_uses().await.expect("saved");
    hub.ring.save_uses().await.expect("saved");
    pass(TimeDelta::hours(7));
    hub.ring.end_expired();
    assert!(!person.ended.is_cancelled());
    pass(TimeDelta::hours(1));
    assert!(hub.ring.authenticate(&token).is_none() && !person.ended.is_cancelled());
    hub.ring.end_expired();
    assert!(person.ended.is_cancelled());
    assert!(hub.other().await.authenticate(&token).is_none(), "after a restart, too");
}

#[tokio::test]
async fn a_session_ends_after_a_day_however_often_it_is_used() {
    let hub = SessionFixture::new().await;
    let token = hub.begin(1).await.expect("a session");
    let person = hub.ring.authenticate(&token).expect("a person");
    let end = now() + SESSION_LIMIT;
    while now() + TimeDelta::hours(1) < end {
        pass(TimeDelta::hours(1));
        assert!(hub.ring.authenticate(&token).is_some(), "{}", now());
        hub.ring.save_uses().await.expect("saved");
        hub.ring.end_expired();
    }
    assert!(!person.ended.is_cancelled());
    pass(TimeDelta::hours(1));
    assert!(hub.ring.authenticate(&token).is_none() && hub.other().await.authenticate(&token).is_none());
    hub.ring.end_expired();
    assert!(person.ended.is_cancelled());
    // The next login deletes what is left of it.
    let next = hub.begin(2).await.expect("a session");
    assert_eq!(hub.rows().await.iter().map(|row| row.digest.clone()).collect::<Vec<_>>(), [next.digest().to_string()]);
}

#[tokio::test]
async fn a_logout_ends_the_session_everywhere_and_its_login_begins_no_other() {
    let hub = SessionFixture::new().await;
    let other = hub.other().await;
    let (token, kept) = (hub.begin(1).await.expect("a session"), hub.begin(2).await.expect("a session"));
    other.refresh().await.expect("read");
    let (person, there) =
        (hub.ring.authenticate(&token).expect("a person"), other.authenticate(&token).expect("a person"));
    other.end(&token).await.expect("ended");
    assert!(there.ended.is_cancelled() && other.authenticate(&token).is_none());
    hub.ring.refresh().await.expect("read");
    assert!(person.ended.is_cancelled() && hub.ring.authenticate(&token).is_none());
    assert!(hub.ring.authenticate(&kept).is_some_and(|kept| !kept.ended.is_cancelled()));
    let rows = hub.rows().await;
    let ended = rows.iter().find(|row| row.digest == token.digest().to_string()).expect("its row");
    assert!(ended.ended_at.is_some() && ended.subject.is_empty(), "{ended:?}");
    for login in [1, 2] {
        assert!(matches!(hub.begin(login).await, Err(SessionNotBegun::LoginUsed)), "{login}");
    }
    // One that is not open costs no statement.
    let version = async || {
        let rows = access_version::Entity::find().all(&hub.db.write_pool).await.expect("rows");
        rows.into_iter().map(|row| row.version).collect::<Vec<_>>()
    };
    let before = version().await;
    for token in [&token, &SessionToken::generate().expect("random numbers")] {
        hub.ring.end(token).await.expect("nothing to do");
    }
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn requests_cost_no_statement_and_sessions_stay_while_the_database_is_away() {
    let hub = SessionFixture::new().await;
    let token = hub.begin(1).await.expect("a session");
    hub.db.read_pool.clone().close().await.expect("closed");
    hub.db.write_pool.clone().close().await.expect("closed");
    assert!(hub.ring.refresh().await.is_err());
    assert!(hub.ring.authenticate(&token).is_some());
    assert!(hub.ring.authenticate(&SessionToken::generate().expect("random numbers")).is_none());
    pass(SESSION_IDLE_LIMIT);
    assert!(hub.ring.authenticate(&token).is_none(), "but not longer than they last");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_session() {
    let hub = SessionFixture::new().await;
    let token = hub.begin(1).await.expect("a session");
    for broken in ["digest = 'x'", "sources = '{'", "expires_at = 9223372036854775807"] {
        let other = hub.begin(u8::try_from(broken.len()).expect("small")).await.expect("a session");
        let statement = format!("UPDATE browser_session SET {broken} WHERE digest = '{}'", other.digest());
        hub.db.write_pool.execute_unprepared(&statement).await.expect(broken);
        let again = hub.other().await;
        assert!(again.authenticate(&other).is_none() && again.authenticate(&token).is_some(), "{broken}");
        hub.db.write_pool.execute_unprepared("DELETE FROM browser_session WHERE digest = 'x'").await.expect("deleted");
    }
    let statement = format!("UPDATE browser_session SET scopes = 'read fly' WHERE digest = '{}'", token.digest());
    hub.db.write_pool.execute_unprepared(&statement).await.expect("updated");
    let view = hub.other().await.authenticate(&token).expect("a person").view.clone();
    assert_eq!(view.scopes(), "read".parse::<Scopes>().expect("scopes"), "a scope of a newer version allows nothing");
}

#[tokio::test]
async fn the_key_of_logins_is_one_for_all_processes() {
    let hub = SessionFixture::new().await;
    let store = BrowserSessionStore::new(hub.db.clone(), "grants".to_owned());
    assert_eq!(store.login_key([1; 32]).await.expect("a key"), [1; 32]);
    assert_eq!(store.login_key([2; 32]).await.expect("a key"), [1; 32]);
}
