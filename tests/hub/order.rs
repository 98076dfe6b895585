//! The same state whatever the order and however often: whole lives, shuffled and repeated, against the store itself.

use crate::database::{self, TestDatabase, write};
use crate::past::Told;
use chrono::{DateTime, Utc};
use entity::{change, entity as thing, step};
use inspection_hub::store::read::{Clock, as_of};
use inspection_hub::store::{Database, Incoming, Mode, Post, Writer};
use inspection_hub::vendor;
use inspection_hub::vendor::verify::{Request, Verifier};
use proptest::prelude::*;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::OnceCell;

/// Moments that each schedule's past is asked for, at most.
const MOMENTS: usize = 3;

/// What must not depend on the order: everything but numbers, positions and the time of arrival.
type Outcome = BTreeMap<String, Value>;

// Each batch goes to the next of these writers, as if each were the hub of a process of its own.
fn play(vendor_name: &'static str, deliveries: &[Value], batch: usize, to: &[usize]) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let database = with_tables().await;
        let db = Database::open(&database.address, Mode::AsItIs).await.expect("a database");
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
        Database::open(&database.address, Mode::Migrate).await.expect("a database");
        return database;
    }
    let tables = TABLES.get_or_init(async || {
        let template = TestDatabase::file();
        let db = Database::open(&template.address, Mode::Migrate).await.expect("a database");
        // Leaves all of it in the file.
        drop(Writer::open(&db).expect("a writer"));
        std::fs::read(template.folder.path().join("hub.db")).expect("a file")
    });
    std::fs::write(file, tables.await).expect("a copy");
    database
}

fn incoming(vendor: &'static vendor::Vendor, body: &Value) -> Incoming {
    incoming_at(vendor.name, vendor.name, body, chrono::Utc::now())
}

/// A delivery that was received at this moment by the clock of who received it.
pub fn incoming_at(source: &str, vendor: &str, body: &Value, received_at: DateTime<Utc>) -> Incoming {
    let body = body.to_string();
    let headers = Default::default();
    let request = Request { headers: &headers, path: "/", query: None, body: body.as_bytes(), now: received_at };
    let verified = Verifier::open().check(&request).expect("open");
    let post = Post {
        source: source.into(),
        vendor: vendor::by_name(vendor).expect("a vendor"),
        received_at,
        method: "POST",
        content_type: Some("application/json".into()),
        headers: "{}".into(),
        body: body.clone().into(),
    };
    Incoming::read(&verified, post)
}

/// Asks for the past of all entities at many moments.
async fn the_past_is_the_fold_of_the_history(db: &Database) {
    let told = Told::read(db).await;
    let moments = told.moments();
    for at in moments.iter().copied().step_by(moments.len() / MOMENTS + 1) {
        for clock in [Clock::Received, Clock::Occurred] {
            told.agrees(db, at, clock).await;
        }
    }
}

async fn outcome(db: &Database) -> Outcome {
    let things = thing::Entity::find().all(&db.readers).await.expect("entities");
    let names: BTreeMap<i64, String> = things
        .iter()
        .map(|thing| (thing.number, format!("{} {} {}", thing.kind, thing.subkind, thing.external_id)))
        .collect();
    let mut outcome: Outcome = things
        .into_iter()
        .map(|thing| {
            let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            let state = json!({
                "state": thing.state, "status": thing.status.map(|status| status.as_str()), "cycle": thing.cycle,
                "facts": parse(&thing.facts), "details": parse(&thing.details),
                "reference": thing.reference, "group": thing.group_key, "occurred": thing.occurred_at,
                "parent": thing.parent.map(|number| &names[&number]),
                "inspection": thing.inspection.map(|number| &names[&number]),
            });
            (names[&thing.number].clone(), state)
        })
        .collect();
    // The course of each life by the vendor's clock: a step that changed nothing is no part of it.
    for (entity, life) in courses(db).await {
        if life.iter().all(|(_, timed, _)| *timed) {
            let mut course: Vec<Value> = life.into_iter().map(|(_, _, after)| after).collect();
            course.dedup_by(|b, a| (&a[1], &a[2]) == (&b[1], &b[2]));
            outcome.insert(format!("{}, its course", names[&entity]), course.into());
        }
    }
    outcome
}

/// The steps of each entity in the order of the fold: their place, whether the vendor gave a time, and what came of them.
async fn courses(db: &Database) -> BTreeMap<i64, Vec<(i64, bool, Value)>> {
    let retold = thing::Entity::find().filter(thing::Column::Retold.eq(true)).all(&db.readers).await.expect("entities");
    let retold: Vec<i64> = retold.into_iter().map(|thing| thing.number).collect();
    let mut courses = BTreeMap::<i64, Vec<_>>::new();
    for step in step::Entity::find().all(&db.readers).await.expect("steps") {
        assert!(retold.contains(&step.entity), "steps of an entity whose history tells them");
        let after = json!([step.effective_at, step.state_after, step.cycle_after]);
        courses.entry(step.entity).or_default().push((step.seq.into(), step.time.is_some(), after));
    }
    for change in change::Entity::find().all(&db.readers).await.expect("history") {
        let (Some(entity), Some(_)) = (change.entity, change.named_state) else { continue };
        if !retold.contains(&entity) {
            let after = json!([change.occurred_at.unwrap_or(change.received_at), change.to_state, change.cycle]);
            courses.entry(entity).or_default().push((change.position, change.occurred_at.is_some(), after));
        }
    }
    courses.values_mut().for_each(|course| course.sort_by_key(|(place, _, _)| *place));
    courses
}

/// How one life is told anew: shuffled and repeated, in batches of a size, each to one of two writers.
type Schedule = (Vec<Value>, Vec<Value>, usize, Vec<usize>);

/// A life and its schedule.
fn schedules(lives: impl Strategy<Value = Vec<Value>>) -> impl Strategy<Value = Schedule> {
    lives.prop_flat_map(|life| {
        let repeated = proptest::collection::vec(1..=5usize, life.len()).prop_map({
            let life = life.clone();
            move |times| life.iter().zip(times).flat_map(|(one, times)| vec![one.clone(); times]).collect::<Vec<_>>()
        });
        (Just(life), repeated.prop_shuffle(), 1..20usize, proptest::collection::vec(0..2usize, 1..8))
    })
}

pub fn at(minute: usize) -> String {
    format!("2026-03-01T{:02}:{:02}:00+00:00", minute / 60, minute % 60)
}

pub fn pave_life() -> impl Strategy<Value = Vec<Value>> {
    let photos = proptest::collection::vec((1..14i32, any::<bool>()), 0..8);
    let end = prop_oneof![Just("COMPLETE"), Just("EXPIRED"), Just("CONFIRM")];
    (photos, end, any::<bool>()).prop_map(|(photos, end, note)| {
        let mut life = Vec::new();
        let mut minute = 0;
        let mut tell = |mut body: Value| {
            minute += 1;
            body["session_key"] = "K-1".into();
            body["timestamp"] = at(minute).into();
            life.push(body);
        };
        let status = |status: &str| json!({ "event": "SESSION:STATUS_CHANGE", "status": status });
        tell(status("STARTED"));
        tell(status("PROCESS"));
        for (code, accepted) in photos {
            let status = if accepted { "accepted" } else { "rejected" };
            tell(json!({ "event": "SESSION:STAGE_CHANGE", "photo_code": code, "photo_status": status,
                "photo_url": format!("https://example.com/{code}") }));
        }
        if note {
            tell(json!({ "event": "SESSION:NOTE_INSERT", "title": "t", "description": "d", "user": "guest" }));
        }
        match end {
            "EXPIRED" => tell(status("EXPIRED")),
            _ => {
                tell(status("QC_PASSED"));
                tell(status("CONFIRM"));
            }
        }
        if end == "COMPLETE" {
            life.push(json!({ "event": "SESSION:COMPLETE", "session": { "session_key": "K-1", "status": "COMPLETE",
                "updated_at": at(100), "vehicle": { "vin": "1FTFW1ET1EFA00000", "make": "Ford" } },
                "photos": [{ "photo_code": 4, "approved": true, "url": "https://example.com/final" }] }));
        }
        life
    })
}

pub fn truepic_life() -> impl Strategy<Value = Vec<Value>> {
    let photos = proptest::collection::vec((1..6i32, 0..3usize), 1..6);
    (photos, 0..3usize, any::<bool>()).prop_map(|(photos, reworks, closed)| {
        let mut life = Vec::new();
        let mut minute = 0;
        let mut tell = |mut body: Value| {
            minute += 1;
            body["inspection_id"] = 7.into();
            body["created_at"] = at(minute).into();
            life.push(body);
        };
        tell(json!({ "action": "ACTION_MESSAGE_WELCOME_TEXT", "message_id": "m1" }));
        tell(json!({ "action": "ACTION_STATUS_STARTED" }));
        for round in 0..=reworks {
            tell(json!({ "action": "ACTION_STATUS_IN_PROGRESS" }));
            for (photo, verdict) in &photos {
                let action = ["PASSED", "WARN", "FAILED"][*verdict];
                tell(json!({ "action": format!("ACTION_PHOTO_VERIFICATION_{action}"), "truepic_id": photo }));
            }
            tell(json!({ "action": "ACTION_STATUS_READY_FOR_REVIEW" }));
            if round < reworks {
                tell(json!({ "action": "ACTION_MESSAGE_REQUEST_TEXT", "message_id": format!("r{round}") }));
            }
        }
        if closed {
            tell(json!({ "action": "ACTION_INSPECTION_CLOSED" }));
            tell(json!({ "action": "ACTION_PDF_READY" }));
        }
        life
    })
}

// Hover gives no time and no id: without a reopening its ranks are the order; repetitions and any order end alike.
pub fn hover_life() -> impl Strategy<Value = Vec<Value>> {
    let end = prop_oneof![Just("complete"), Just("failed"), Just("cancelled"), Just("paying")];
    (end, any::<bool>(), any::<bool>()).prop_map(|(end, waitlisted, capture)| {
        let job = |state: &str| json!({ "event": "job-state-changed", "job_id": 11, "state": state });
        let mut life = Vec::new();
        if capture {
            for state in ["new", "connected", "complete"] {
                life.push(json!({ "event": "capture-request-state-changed", "capture_request_id": 5, "job_id": 11,
                    "state": state, "job_external_identifier": "order-1" }));
            }
        }
        let side = waitlisted.then_some("waitlisted");
        let states = ["uploading", "processing_upload"].into_iter().chain(side);
        life.extend(states.chain(["submitting", "working", "retrieving", "processing", "paying"]).map(job));
        if end != "paying" {
            life.push(job(end));
        }
        life.push(json!({ "event": "model-created", "model_id": 9, "job_id": 11 }));
        life.push(json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3,
            "job_id": 11, "state": "first_attempt" }));
        life.push(json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3,
            "job_id": 11, "state": "complete" }));
        life
    })
}

pub fn truto_life() -> impl Strategy<Value = Vec<Value>> {
    let end = prop_oneof![Just("completed"), Just("failed"), Just("rate_limited")];
    (1..5usize, end, any::<bool>()).prop_map(|(records, end, reauth)| {
        let mut life = Vec::new();
        let mut number = 0;
        let mut tell = |event: &str, payload: Value| {
            number += 1;
            life.push(json!({ "id": format!("evt-{number}"), "event": event, "payload": payload,
                "created_at": at(number) }));
        };
        let account = |status: &str| json!({ "id": "acc-1", "tenant_id": "t-1", "status": status });
        tell("integrated_account:created", account("connecting"));
        tell("integrated_account:active", account("active"));
        if reauth {
            tell("integrated_account:authentication_error", account("needs_reauth"));
            tell("integrated_account:reactivated", account("active"));
        }
        let run = |status: &str| json!({ "id": "run-1", "integrated_account_id": "acc-1", "status": status });
        tell("sync_job_run:created", run("created"));
        tell("sync_job_run:started", run("running"));
        for record in 0..records {
            tell(
                "sync_job_run:record",
                json!({ "sync_job_run_id": "run-1", "resource": "contacts",
                "records": [{ "id": format!("r{record}"), "name": "n" }] }),
            );
        }
        tell(&format!("sync_job_run:{end}"), run(end));
        life
    })
}

pub fn record360_life() -> impl Strategy<Value = Vec<Value>> {
    (1..4usize, any::<bool>()).prop_map(|(transactions, task)| {
        let mut life: Vec<Value> = (0..transactions)
            .map(|number| {
                json!({ "event": "create", "transaction": { "id": number.to_string(), "draft": false,
                    "created_at": at(number), "group_id": "g", "check_in": number % 2 == 0, "task_id": "42",
                    "asset": { "id": "1", "external_id": "A-1" },
                    "photos": [{ "id": "p", "url": "https://example.com/p", "created_at": at(number) }] } })
            })
            .take(1)
            .collect();
        if task {
            life.push(json!({ "event": "completed", "task": { "id": "42", "name": "n", "status": "completed",
                "updated_at": at(50) } }));
        }
        life
    })
}

/// Schedules of each vendor's lives: few, or as many as `SOAK` says (`make soak`).
fn cases() -> u32 {
    std::env::var("SOAK").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

macro_rules! any_order {
    ($($test:ident: $vendor:literal, $life:ident;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $test((life, shuffled, batch, to) in schedules($life())) {
                    let told = play($vendor, &life, 1, &[0]);
                    prop_assert!(!told.is_empty());
                    prop_assert_eq!(told, play($vendor, &shuffled, batch, &to));
                }
            )+
        }
    };
}

any_order! {
    pave_ends_alike_in_any_order: "pave", pave_life;
    truepic_ends_alike_in_any_order: "truepic", truepic_life;
    hover_ends_alike_in_any_order: "hover", hover_life;
    truto_ends_alike_in_any_order: "truto", truto_life;
    record360_ends_alike_in_any_order: "record360", record360_life;
}

#[tokio::test]
async fn the_same_news_is_known_to_every_later_writer() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("opens");
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
async fn a_long_history_is_told_by_its_steps() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("opens");
    let pave = vendor::by_name("pave").expect("a vendor");
    let mut writer = Writer::open(&db).expect("a writer");
    let status = |minute: usize| {
        let status = if minute.is_multiple_of(2) { "STARTED" } else { "PROCESS" };
        json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": "K-1", "timestamp": at(minute) })
    };
    for minute in 0..60 {
        write(&mut writer, &[incoming(pave, &status(minute))]);
    }
    let steps = || async { step::Entity::find().all(&db.readers).await.expect("steps").len() };
    assert_eq!(steps().await, 0, "all in order, and not many yet");
    let before = courses(&db).await;
    for minute in 60..100 {
        write(&mut writer, &[incoming(pave, &status(minute))]);
    }
    let after = courses(&db).await;
    assert_eq!(steps().await, after.values().map(Vec::len).sum::<usize>());
    for (entity, course) in after {
        assert_eq!(course.len(), 100);
        let told = |course: &[(i64, bool, Value)]| course.iter().map(|(_, _, after)| after.clone()).collect::<Vec<_>>();
        assert_eq!(told(&course[..60]), told(&before[&entity]), "what was told before");
    }
}

#[tokio::test]
async fn what_is_told_without_a_time_happened_before_what_follows_it() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("opens");
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
    let then = as_of(&db.readers, moment, Clock::Occurred, &[1]).await.expect("the past");
    assert_eq!(then.get(&1).and_then(|was| was.state.as_deref()), Some("CONFIRM"));
    let now = as_of(&db.readers, chrono::Utc::now(), Clock::Occurred, &[1]).await.expect("the past");
    assert_eq!(now.get(&1).and_then(|was| was.state.as_deref()), Some("CONFIRM"));
}

#[tokio::test]
async fn a_writer_sees_what_another_has_written_meanwhile() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("opens");
    let pave = vendor::by_name("pave").expect("a vendor");
    let mut writers = [(); 2].map(|()| Writer::open(&db).expect("a writer"));
    let mut send = |writer: usize, minute: usize| {
        let status = ["STARTED", "PROCESS"][minute % 2];
        let body = json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": "K-1", "timestamp": at(minute) });
        write(&mut writers[writer], &[incoming(pave, &body)]).receipts.remove(0)
    };
    // In turns, until each knows that it is not alone, and has the session at hand.
    for minute in 0..8 {
        assert!(!send(minute % 2, minute).duplicate);
    }
    for minute in 8..12 {
        assert!(!send(minute % 2, minute).duplicate);
        assert!(send((minute + 1) % 2, minute).duplicate, "what the other wrote at {minute} is known");
    }
}

// The rule that finds out what is late is broken, and the test of it must fail, with a case made as small as can be.
#[cfg(feature = "faults")]
#[test]
fn a_broken_rule_of_order_would_be_noticed() {
    let text = noticed("order", "order::pave_ends_alike_in_any_order");
    assert!(text.contains("minimal failing input"), "{text}");
}

// A writer believes that what it has at hand is as it was, whatever another has written meanwhile.
#[cfg(feature = "faults")]
#[test]
fn a_writer_that_does_not_see_what_others_touch_would_be_noticed() {
    // A SQLite file leaves no trace to be seen.
    if std::env::var(database::URL).is_ok() {
        let text = noticed("trace", "order::a_writer_sees_what_another_has_written_meanwhile");
        assert!(text.contains("is known"), "{text}");
    }
}

#[cfg(feature = "faults")]
fn noticed(broken: &str, test: &str) -> String {
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test])
        .env("FAULT_BROKEN", broken)
        .output()
        .expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{text}");
    text
}
