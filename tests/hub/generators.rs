//! Generated scenarios of each vendor, of any length and with any end.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use chrono::{DateTime, TimeDelta, Utc};
use inspection_hub::command::{Act, Annotation, EntityLink, NewCommand, NewComment, Registration};
use inspection_hub::event::{AnnotationChange, EntityRef};
use inspection_hub::ingest::LogRecord;
use inspection_hub::machine::EntityType;
use inspection_hub::vendor;
use inspection_hub::vendor::verify::{UnverifiedDelivery, Verifier};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A delivery with this time of receipt.
pub fn incoming_at(source: &str, vendor: &str, body: &Value, received_at: DateTime<Utc>) -> LogRecord {
    let delivery = UnverifiedDelivery {
        source: source.into(),
        vendor: vendor::by_name(vendor).expect("a vendor"),
        received_at,
        method: "POST",
        path: "/",
        query: None,
        headers: &HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        body: body.to_string().into(),
    };
    LogRecord::prepare(Verifier::open().check(delivery).expect("an open source"))
}

/// A command about an inspection of this source and vendor's id, without an idempotency key.
pub fn command_at(vendor: &str, external_id: &str, act: TestAct, received_at: DateTime<Utc>) -> LogRecord {
    let inspection = EntityRef::new(EntityType::Inspection, external_id).id(vendor);
    let annotation = |number: u8| AnnotationChange {
        reference: number.is_multiple_of(2).then(|| (!number.is_multiple_of(3)).then(|| format!("claim {number}"))),
        labels: (!number.is_multiple_of(5))
            .then(|| (!number.is_multiple_of(7)).then(|| [label(number), label(number / 2)].into())),
        due_at: (number % 4 == 1)
            .then(|| (!number.is_multiple_of(3)).then(|| received_at + TimeDelta::days(number.into()))),
    };
    let act = match act {
        TestAct::Register(number) => {
            Act::Register(Registration { external_id: external_id.to_owned(), annotation: annotation(number) })
        }
        TestAct::Annotate(number) => Act::Annotate(Annotation { inspection, annotation: annotation(number) }),
        TestAct::Comment(number) => Act::Comment(NewComment { inspection, text: format!("comment {number}") }),
    };
    command(vendor, act, received_at)
}

/// A link by hand of an entity of this source, or what undoes it.
pub fn link_at(
    vendor: &str,
    entity: (EntityType, &str),
    inspection: Option<&str>,
    received_at: DateTime<Utc>,
) -> LogRecord {
    let id = |of: EntityType, external_id: &str| EntityRef::new(of, external_id).id(vendor);
    let inspection = inspection.map(|external_id| id(EntityType::Inspection, external_id));
    command(vendor, Act::Link(EntityLink { entity: id(entity.0, entity.1), inspection }), received_at)
}

fn command(vendor: &str, act: Act, received_at: DateTime<Utc>) -> LogRecord {
    LogRecord::command(NewCommand {
        act,
        source: vendor.to_owned(),
        vendor: vendor::by_name(vendor).expect("a vendor"),
        received_at,
        actor: "anyone".to_owned(),
        reason: None,
        idempotency: None,
    })
}

/// An act, with a number that its input follows from.
#[derive(Clone, Copy, Debug)]
pub enum TestAct {
    Register(u8),
    Annotate(u8),
    Comment(u8),
}

pub fn test_act() -> impl Strategy<Value = TestAct> {
    prop_oneof![
        any::<u8>().prop_map(TestAct::Register),
        any::<u8>().prop_map(TestAct::Annotate),
        any::<u8>().prop_map(TestAct::Comment),
    ]
}

fn label(number: u8) -> (String, Option<String>) {
    (format!("key{}", number % 4), (!number.is_multiple_of(3)).then(|| format!("value \" {}", number % 11)))
}

pub fn at(minute: usize) -> String {
    format!("2026-03-01T{:02}:{:02}:00+00:00", minute / 60, minute % 60)
}

/// Scenarios of a vendor: the bodies of its deliveries, in order.
pub fn scenario(vendor: &str) -> BoxedStrategy<Vec<Value>> {
    match vendor {
        "truepic" => truepic_scenario().boxed(),
        "pave" => pave_scenario().boxed(),
        "hover" => hover_scenario().boxed(),
        "truto" => truto_scenario().boxed(),
        "record360" => record360_scenario().boxed(),
        other => panic!("a generator of {other}'s scenarios is needed"),
    }
}

/// One scenario of each vendor.
pub fn scenario_per_vendor() -> impl Strategy<Value = Vec<(&'static str, Vec<Value>)>> {
    vendor::names().map(|vendor| scenario(vendor).prop_map(move |bodies| (vendor, bodies))).collect::<Vec<_>>()
}

fn pave_scenario() -> impl Strategy<Value = Vec<Value>> {
    let photos = proptest::collection::vec((1..14i32, any::<bool>()), 0..8);
    let end = prop_oneof![Just("COMPLETE"), Just("EXPIRED"), Just("CONFIRM")];
    (photos, end, any::<bool>()).prop_map(|(photos, end, note)| {
        let mut bodies = Vec::new();
        let mut minute = 0;
        let mut report = |mut body: Value| {
            minute += 1;
            body["session_key"] = "K-1".into();
            body["timestamp"] = at(minute).into();
            bodies.push(body);
        };
        let status = |status: &str| json!({ "event": "SESSION:STATUS_CHANGE", "status": status });
        report(status("STARTED"));
        report(status("PROCESS"));
        for (code, accepted) in photos {
            let status = if accepted { "accepted" } else { "rejected" };
            report(json!({ "event": "SESSION:STAGE_CHANGE", "photo_code": code, "photo_status": status,
                "photo_url": format!("https://example.com/{code}") }));
        }
        if note {
            report(json!({ "event": "SESSION:NOTE_INSERT", "title": "t", "description": "d", "user": "guest" }));
        }
        match end {
            "EXPIRED" => report(status("EXPIRED")),
            _ => {
                report(status("QC_PASSED"));
                report(status("CONFIRM"));
            }
        }
        if end == "COMPLETE" {
            bodies.push(json!({ "event": "SESSION:COMPLETE", "session": { "session_key": "K-1", "status": "COMPLETE",
                "updated_at": at(100), "vehicle": { "vin": "1FTFW1ET1EFA00000", "make": "Ford" } },
                "photos": [{ "photo_code": 4, "approved": true, "url": "https://example.com/final" }] }));
        }
        bodies
    })
}

fn truepic_scenario() -> impl Strategy<Value = Vec<Value>> {
    let photos = proptest::collection::vec((1..6i32, 0..3usize), 1..6);
    (photos, 0..3usize, any::<bool>()).prop_map(|(photos, reworks, closed)| {
        let mut bodies = Vec::new();
        let mut minute = 0;
        let mut report = |mut body: Value| {
            minute += 1;
            body["inspection_id"] = 7.into();
            body["created_at"] = at(minute).into();
            bodies.push(body);
        };
        report(json!({ "action": "ACTION_MESSAGE_WELCOME_TEXT", "message_id": "m1" }));
        report(json!({ "action": "ACTION_STATUS_STARTED" }));
        for round in 0..=reworks {
            report(json!({ "action": "ACTION_STATUS_IN_PROGRESS" }));
            for (photo, verdict) in &photos {
                let action = ["PASSED", "WARN", "FAILED"][*verdict];
                report(json!({ "action": format!("ACTION_PHOTO_VERIFICATION_{action}"), "truepic_id": photo }));
            }
            report(json!({ "action": "ACTION_STATUS_READY_FOR_REVIEW" }));
            if round < reworks {
                report(json!({ "action": "ACTION_MESSAGE_REQUEST_TEXT", "message_id": format!("r{round}") }));
            }
        }
        if closed {
            report(json!({ "action": "ACTION_INSPECTION_CLOSED" }));
            report(json!({ "action": "ACTION_PDF_READY" }));
        }
        bodies
    })
}

/// A generator of scenarios whose states come in an order that no machine declares, each at a minute of its own.
pub type UndeclaredTransitions = (&'static str, &'static [&'static str], fn(&str, usize) -> Value);

/// By vendor: the words, and the body that reports one of them.
pub const UNDECLARED_TRANSITIONS: [UndeclaredTransitions; 3] = [
    (
        "pave",
        &["IDLE", "STARTED", "PROCESS", "QC_PASSED", "CONFIRM", "COMPLETE", "EXPIRED", "INVALID", "photo"],
        |word, minute| match word {
            "photo" => json!({ "event": "SESSION:STAGE_CHANGE", "session_key": "K-1", "timestamp": at(minute),
                "photo_code": 4, "photo_status": "accepted" }),
            word => {
                json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "K-1", "timestamp": at(minute), "status": word })
            }
        },
    ),
    (
        "truepic",
        &[
            "INSPECTION_CREATED",
            "STATUS_STARTED",
            "STATUS_IN_PROGRESS",
            "STATUS_READY_FOR_REVIEW",
            "INSPECTION_CLOSED",
            "INSPECTION_CANCELED",
            "PHOTO_VERIFICATION_PASSED",
        ],
        |word, minute| json!({ "action": format!("ACTION_{word}"), "inspection_id": 7, "created_at": at(minute), "truepic_id": 3 }),
    ),
    (
        "truto",
        &[
            "sync_job_run:created",
            "sync_job_run:started",
            "sync_job_run:rate_limited",
            "sync_job_run:completed",
            "sync_job_run:failed",
            "sync_job_run:deleted",
            "integrated_account:active",
            "integrated_account:authentication_error",
            "integrated_account:deleted",
            "integrated_account:created",
        ],
        |word, minute| {
            let id = if word.starts_with("sync") { "run-1" } else { "acc-1" };
            json!({ "id": format!("evt-{minute}"), "event": word, "created_at": at(minute),
                "payload": { "id": id, "integrated_account_id": "acc-1" } })
        },
    ),
];

pub fn undeclared_transitions((_, words, body): UndeclaredTransitions) -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(0..words.len(), 1..9)
        .prop_map(move |drawn| drawn.into_iter().enumerate().map(|(minute, word)| body(words[word], minute)).collect())
}

// Hover sends neither times nor ids. Without a reopening, ranks order its events, so that any order and any repetition end in
// the same state.
fn hover_scenario() -> impl Strategy<Value = Vec<Value>> {
    let end = prop_oneof![Just("complete"), Just("failed"), Just("cancelled"), Just("Canceled"), Just("paying")];
    (end, any::<bool>(), any::<bool>()).prop_map(|(end, waitlisted, capture)| {
        let job = |state: &str| json!({ "event": "job-state-changed", "job_id": 11, "state": state });
        let mut bodies = Vec::new();
        if capture {
            for state in ["new", "connected", "complete"] {
                bodies.push(json!({ "event": "capture-request-state-changed", "capture_request_id": 5, "job_id": 11,
                    "state": state, "job_external_identifier": "order-1" }));
            }
        }
        let side = waitlisted.then_some("waitlisted");
        let states = ["uploading", "processing_upload"].into_iter().chain(side);
        bodies.extend(states.chain(["submitting", "working", "retrieving", "processing", "paying"]).map(job));
        if end != "paying" {
            bodies.push(job(end));
        }
        bodies.push(json!({ "event": "model-created", "model_id": 9, "job_id": 11 }));
        for state in ["uploading", "processing", "complete"] {
            bodies.push(json!({ "event": "model-state-changed", "model_id": 9, "job_id": 11, "state": state }));
        }
        bodies.push(json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3,
            "job_id": 11, "state": "first_attempt" }));
        bodies.push(json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3,
            "job_id": 11, "state": "complete" }));
        bodies
    })
}

fn truto_scenario() -> impl Strategy<Value = Vec<Value>> {
    let end = prop_oneof![Just("completed"), Just("failed"), Just("rate_limited")];
    (1..5usize, end, any::<bool>(), any::<bool>()).prop_map(|(records, end, reauth, at_once)| {
        let mut bodies = Vec::new();
        let (mut number, mut minute) = (0, 0);
        let mut report_after = |minutes: usize, event: &str, payload: Value| {
            number += 1;
            minute += minutes;
            bodies.push(json!({ "id": format!("evt-{number}"), "event": event, "payload": payload,
                "created_at": at(minute) }));
        };
        let account = |status: &str| json!({ "id": "acc-1", "tenant_id": "t-1", "status": status });
        report_after(1, "integrated_account:created", account("connecting"));
        // Truto's times are whole seconds: an account can be created and connected at once.
        report_after(usize::from(!at_once), "integrated_account:active", account("active"));
        let mut report = |event: &str, payload: Value| report_after(1, event, payload);
        report("integrated_account:forbidden_error", account("active"));
        if reauth {
            report("integrated_account:authentication_error", account("needs_reauth"));
            report("integrated_account:reactivated", account("active"));
        }
        let run = |status: &str| json!({ "id": "run-1", "integrated_account_id": "acc-1", "status": status });
        report("sync_job_run:created", run("created"));
        report("sync_job_run:started", run("running"));
        for record in 0..records {
            report(
                "sync_job_run:record",
                json!({ "sync_job_run_id": "run-1", "resource": "contacts",
                "records": [{ "id": format!("r{record}"), "name": "n" }] }),
            );
        }
        for account in ["acc-1", "acc-2"] {
            report(
                "sync_job_run:record",
                json!({ "resource": "contacts", "args": { "integrated_account_id": account },
                "records": [{ "id": "7", "name": format!("of {account}") }] }),
            );
        }
        report(&format!("sync_job_run:{end}"), run(end));
        bodies
    })
}

fn record360_scenario() -> impl Strategy<Value = Vec<Value>> {
    (1..4usize, any::<bool>()).prop_map(|(transactions, task)| {
        let mut bodies: Vec<Value> = (0..transactions)
            .map(|number| {
                json!({ "event": "create", "transaction": { "id": number.to_string(), "draft": false,
                    "created_at": at(number), "group_id": "g", "check_in": number % 2 == 0, "task_id": "42",
                    "asset": { "id": "1", "external_id": "A-1" },
                    "photos": [{ "id": "p", "url": "https://example.com/p", "created_at": at(number) }] } })
            })
            .take(1)
            .collect();
        if task {
            bodies.push(json!({ "event": "completed", "task": { "id": "42", "name": "n", "status": "completed",
                "updated_at": at(50) } }));
        }
        bodies
    })
}
