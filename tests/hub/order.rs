//! Any order and any repetition of deliveries end in the same state: whole scenarios, shuffled and repeated, applied to a database.

use crate::as_of::RecordedHistory;
use crate::database::{self, TestDatabase, write};
use crate::generators::{UNDECLARED_TRANSITIONS, at, incoming_at, scenario, undeclared_transitions};
use entity::{change, entity as thing, step};
use inspection_hub::ingest::{LogRecord, Writer};
use inspection_hub::store::read::{TimeAxis, as_of};
use inspection_hub::store::{Database, OpenMode};
use inspection_hub::vendor;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::OnceCell;

/// Moments that each schedule's past is asked for, at most.
const MOMENTS: usize = 3;

/// What must not depend on the order: everything but numbers, positions and the time of arrival.
type Outcome = BTreeMap<String, Value>;

// Each batch goes to the next of these writers, as if each were the hub of a process of its own.
fn apply_in_batches(vendor_name: &'static str, deliveries: &[Value], batch: usize, to: &[usize]) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let database = with_tables().await;
        let db = Database::open(&database.address, OpenMode::SkipMigrations).await.expect("a database");
        let mut writers = [(); 2].map(|()| Writer::open(&db).expect("a writer"));
        let vendor = vendor::by_name(vendor_name).expect("a vendor");
        for (group, to) in deliveries.chunks(batch).zip(to.iter().cycle()) {
            let batch: Vec<_> = group.iter().map(|body| incoming(vendor, body)).collect();
            write(&mut writers[*to], &batch);
        }
        the_past_is_the_fold_of_the_history(&db).await;
        outcome(&db).await
    })
}

// To make the tables takes longer than many a schedule does: a file that has them is copied.
async fn with_tables() -> TestDatabase {
    static TABLES: OnceCell<Vec<u8>> = OnceCell::const_new();
    let database = TestDatabase::new().await;
    let file = database.folder.path().join("hub.db");
    if !database.address.starts_with("sqlite:") {
        Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
        return database;
    }
    let tables = TABLES.get_or_init(async || {
        let template = TestDatabase::file();
        let db = Database::open(&template.address, OpenMode::Migrate).await.expect("a database");
        // Leaves all of it in the file.
        drop(Writer::open(&db).expect("a writer"));
        std::fs::read(template.folder.path().join("hub.db")).expect("a file")
    });
    std::fs::write(file, tables.await).expect("a copy");
    database
}

fn incoming(vendor: &'static vendor::Vendor, body: &Value) -> LogRecord {
    incoming_at(vendor.name, vendor.name, body, chrono::Utc::now())
}

/// Asks for the past of all entities at many moments.
async fn the_past_is_the_fold_of_the_history(db: &Database) {
    let history = RecordedHistory::read(db).await;
    let moments = history.boundary_times();
    for at in moments.iter().copied().step_by(moments.len() / MOMENTS + 1) {
        for clock in [TimeAxis::Received, TimeAxis::Occurred] {
            history.assert_as_of(db, at, clock).await;
        }
    }
}

async fn outcome(db: &Database) -> Outcome {
    let things = thing::Entity::find().all(&db.read_pool).await.expect("entities");
    let names: BTreeMap<i64, String> = things
        .iter()
        .map(|thing| (thing.row_id, format!("{} {} {}", thing.kind, thing.subkind, thing.external_id)))
        .collect();
    let mut outcome: Outcome = things
        .into_iter()
        .map(|thing| {
            let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            let state = json!({
                "state": thing.state, "status": thing.status.map(|status| status.as_str()), "cycle": thing.cycle,
                "facts": parse(&thing.facts), "details": parse(&thing.details),
                "reference": thing.reference, "group": thing.group_key, "occurred": thing.occurred_at,
                "parent": thing.parent_row_id.map(|number| &names[&number]),
                "inspection": thing.inspection_row_id.map(|number| &names[&number]),
            });
            (names[&thing.row_id].clone(), state)
        })
        .collect();
    // The course of each life by the vendor's clock: a step that changed nothing is no part of it.
    for (entity, life) in timelines(db).await {
        if life.iter().all(|(_, timed, _)| *timed) {
            let mut course: Vec<Value> = life.into_iter().map(|(_, _, after)| after).collect();
            course.dedup_by(|b, a| (&a[1], &a[2]) == (&b[1], &b[2]));
            outcome.insert(format!("{}, its course", names[&entity]), course.into());
        }
    }
    outcome
}

/// The steps of each entity in the order of the fold: their place, whether the vendor gave a time, and what came of them.
async fn timelines(db: &Database) -> BTreeMap<i64, Vec<(i64, bool, Value)>> {
    let steps_materialized = thing::Entity::find()
        .filter(thing::Column::StepsMaterialized.eq(true))
        .all(&db.read_pool)
        .await
        .expect("entities");
    let steps_materialized: Vec<i64> = steps_materialized.into_iter().map(|thing| thing.row_id).collect();
    let mut courses = BTreeMap::<i64, Vec<_>>::new();
    for step in step::Entity::find().all(&db.read_pool).await.expect("steps") {
        assert!(steps_materialized.contains(&step.entity_row_id), "steps of an entity whose history is in fold order");
        let after = json!([step.effective_at, step.state_after, step.cycle_after]);
        courses.entry(step.entity_row_id).or_default().push((step.seq.into(), step.occurred_at.is_some(), after));
    }
    for change in change::Entity::find().all(&db.read_pool).await.expect("history") {
        let (Some(entity), Some(_)) = (change.entity_row_id, change.target_state) else { continue };
        if !steps_materialized.contains(&entity) {
            let after = json!([change.occurred_at.unwrap_or(change.received_at), change.to_state, change.cycle]);
            courses.entry(entity).or_default().push((change.position, change.occurred_at.is_some(), after));
        }
    }
    courses.values_mut().for_each(|course| course.sort_by_key(|(place, _, _)| *place));
    courses
}

/// A scenario in order, and shuffled with repetitions; the size of a batch; the writer of each batch, one of two.
type Schedule = (Vec<Value>, Vec<Value>, usize, Vec<usize>);

fn schedules(lives: impl Strategy<Value = Vec<Value>>) -> impl Strategy<Value = Schedule> {
    lives.prop_flat_map(|life| {
        let repeated = proptest::collection::vec(1..=5usize, life.len()).prop_map({
            let life = life.clone();
            move |times| life.iter().zip(times).flat_map(|(one, times)| vec![one.clone(); times]).collect::<Vec<_>>()
        });
        (Just(life), repeated.prop_shuffle(), 1..20usize, proptest::collection::vec(0..2usize, 1..8))
    })
}

/// The number of cases: few, or `SOAK` (`make soak`).
fn cases() -> u32 {
    std::env::var("SOAK").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

fn assert_any_order(vendor: &'static str, scenarios: impl Strategy<Value = Vec<Value>>) {
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&schedules(scenarios), |(bodies, shuffled, batch, to)| {
        let in_order = apply_in_batches(vendor, &bodies, 1, &[0]);
        prop_assert!(!in_order.is_empty());
        prop_assert_eq!(in_order, apply_in_batches(vendor, &shuffled, batch, &to));
        Ok(())
    });
    result.unwrap_or_else(|why| panic!("{vendor}: {why}"));
}

#[test]
fn every_vendor_ends_alike_in_any_order() {
    vendor::names().for_each(|vendor| assert_any_order(vendor, scenario(vendor)));
}

#[test]
fn undeclared_transitions_end_alike_in_any_order() {
    UNDECLARED_TRANSITIONS.into_iter().for_each(|of| assert_any_order(of.0, undeclared_transitions(of)));
}

#[tokio::test]
async fn the_same_news_is_known_to_every_later_writer() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
    let pave = vendor::by_name("pave").expect("a vendor");
    let started =
        json!({ "event": "SESSION:STATUS_CHANGE", "status": "STARTED", "session_key": "K-1", "timestamp": at(1) });
    // About an entity, about nothing that is known, and not about anything at all.
    let deliveries = [started, json!({ "event": "SESSION:SNEEZED", "session_key": "K-1" }), json!([1])];
    let write = |body: &Value| write(&mut Writer::open(&db).expect("a writer"), &[incoming(pave, body)]);
    for (number, body) in (1..).zip(&deliveries) {
        let first = write(body).receipts.remove(0);
        assert_eq!((first.delivery, first.duplicate), (number, false), "{body}");
    }
    for (number, body) in (1..).zip(&deliveries) {
        let again = write(body).receipts.remove(0);
        assert_eq!((again.delivery, again.duplicate), (number, true), "{body}");
    }
    // Twice in one batch, too.
    let other = incoming(pave, &json!([2]));
    let twice = database::write(&mut Writer::open(&db).expect("a writer"), &[other, incoming(pave, &json!([2]))]);
    assert_eq!(twice.receipts.iter().map(|receipt| receipt.duplicate).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_long_history_is_materialized_as_steps() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
    let pave = vendor::by_name("pave").expect("a vendor");
    let mut writer = Writer::open(&db).expect("a writer");
    let status = |minute: usize| {
        let status = if minute.is_multiple_of(2) { "STARTED" } else { "PROCESS" };
        json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": "K-1", "timestamp": at(minute) })
    };
    for minute in 0..60 {
        write(&mut writer, &[incoming(pave, &status(minute))]);
    }
    let steps = || async { step::Entity::find().all(&db.read_pool).await.expect("steps").len() };
    assert_eq!(steps().await, 0, "all in order, and not many yet");
    let before = timelines(&db).await;
    for minute in 60..100 {
        write(&mut writer, &[incoming(pave, &status(minute))]);
    }
    let after = timelines(&db).await;
    assert_eq!(steps().await, after.values().map(Vec::len).sum::<usize>());
    for (entity, course) in after {
        assert_eq!(course.len(), 100);
        let values =
            |course: &[(i64, bool, Value)]| course.iter().map(|(_, _, after)| after.clone()).collect::<Vec<_>>();
        assert_eq!(values(&course[..60]), values(&before[&entity]), "the earlier history");
    }
}

#[tokio::test]
async fn an_event_without_a_time_happened_before_what_follows_it() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
    let pave = vendor::by_name("pave").expect("a vendor");
    let mut writer = Writer::open(&db).expect("a writer");
    let untimed = |status: &str| json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": "K-1" });
    let timed = |status: &str, minute: usize| {
        let mut body = untimed(status);
        body["timestamp"] = at(minute).into();
        body
    };
    // The second is late; the last happened long before the one without a time was received.
    for body in [timed("PROCESS", 5), timed("STARTED", 1), untimed("QC_PASSED"), timed("CONFIRM", 9)] {
        write(&mut writer, &[incoming(pave, &body)]);
    }
    the_past_is_the_fold_of_the_history(&db).await;
    let moment = "2026-03-01T00:10:00Z".parse().expect("a moment");
    let then = as_of(&db.read_pool, moment, TimeAxis::Occurred, &[1]).await.expect("the past");
    assert_eq!(then.get(&1).and_then(|was| was.state.as_deref()), Some("CONFIRM"));
    let now = as_of(&db.read_pool, chrono::Utc::now(), TimeAxis::Occurred, &[1]).await.expect("the past");
    assert_eq!(now.get(&1).and_then(|was| was.state.as_deref()), Some("CONFIRM"));
}

#[tokio::test]
async fn a_writer_sees_what_another_has_written_meanwhile() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
    let pave = vendor::by_name("pave").expect("a vendor");
    let mut writers = [(); 2].map(|()| Writer::open(&db).expect("a writer"));
    let mut send = |writer: usize, minute: usize| {
        let status = ["STARTED", "PROCESS"][minute % 2];
        let body = json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": "K-1", "timestamp": at(minute) });
        write(&mut writers[writer], &[incoming(pave, &body)]).receipts.remove(0)
    };
    // In turns, until each knows that it is not alone, and has cached the session.
    for minute in 0..8 {
        assert!(!send(minute % 2, minute).duplicate);
    }
    for minute in 8..12 {
        assert!(!send(minute % 2, minute).duplicate);
        assert!(send((minute + 1) % 2, minute).duplicate, "what the other wrote at {minute} is known");
    }
}

// The rule that finds out what is late is broken, and the test of it must fail, with a case made as small as can be.
#[cfg(feature = "failpoints")]
#[test]
fn a_broken_rule_of_order_would_be_noticed() {
    let text = failure_with_rule_disabled("order", "order::every_vendor_ends_alike_in_any_order");
    assert!(text.contains("minimal failing input"), "{text}");
}

// A writer that trusts its cache ignores what another writer has written.
#[cfg(feature = "failpoints")]
#[test]
fn a_writer_that_does_not_see_what_others_touch_would_be_noticed() {
    if std::env::var(database::URL).is_err() {
        return crate::skip::skip("needs PostgreSQL: a SQLite file has no invalidation log");
    }
    let text =
        failure_with_rule_disabled("invalidation_log", "order::a_writer_sees_what_another_has_written_meanwhile");
    assert!(text.contains("is known"), "{text}");
}

#[cfg(feature = "failpoints")]
fn failure_with_rule_disabled(broken: &str, test: &str) -> String {
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test])
        .env("FAILPOINT_DISABLED_RULE", broken)
        .output()
        .expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{text}");
    text
}
