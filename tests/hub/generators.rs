//! Generated scenarios of each vendor, of any length, with any end.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use chrono::{DateTime, Utc};
use inspection_hub::ingest::PreparedDelivery;
use inspection_hub::vendor;
use inspection_hub::vendor::verify::{UnverifiedDelivery, Verifier};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A delivery received at this time by the receiver's clock.
pub fn incoming_at(source: &str, vendor: &str, body: &Value, received_at: DateTime<Utc>) -> PreparedDelivery {
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
    PreparedDelivery::prepare(Verifier::open().check(delivery).expect("an open source"))
}

pub fn at(minute: usize) -> String {
    format!("2026-03-01T{:02}:{:02}:00+00:00", minute / 60, minute % 60)
}

pub fn pave_scenario() -> impl Strategy<Value = Vec<Value>> {
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

pub fn truepic_scenario() -> impl Strategy<Value = Vec<Value>> {
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

/// A PAVE session whose statuses come as no table expects them, each at a minute of its own, with pictures between them.
pub fn pave_undeclared_transitions() -> impl Strategy<Value = Vec<Value>> {
    let words = ["IDLE", "STARTED", "PROCESS", "QC_PASSED", "CONFIRM", "COMPLETE", "EXPIRED", "INVALID", "photo"];
    proptest::collection::vec(0..words.len(), 1..9).prop_map(move |life| {
        let tell = |(minute, word): (usize, usize)| match words[word] {
            "photo" => json!({ "event": "SESSION:STAGE_CHANGE", "session_key": "K-1", "timestamp": at(minute),
                "photo_code": 4, "photo_status": "accepted" }),
            word => json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "K-1", "timestamp": at(minute), "status": word }),
        };
        life.into_iter().enumerate().map(tell).collect()
    })
}

/// A Truepic inspection, likewise.
pub fn truepic_undeclared_transitions() -> impl Strategy<Value = Vec<Value>> {
    let words = [
        "INSPECTION_CREATED",
        "STATUS_STARTED",
        "STATUS_IN_PROGRESS",
        "STATUS_READY_FOR_REVIEW",
        "INSPECTION_CLOSED",
        "INSPECTION_CANCELED",
        "PHOTO_VERIFICATION_PASSED",
    ];
    proptest::collection::vec(0..words.len(), 1..9).prop_map(move |life| {
        let tell = |(minute, word): (usize, usize)| {
            json!({ "action": format!("ACTION_{}", words[word]),
            "inspection_id": 7, "created_at": at(minute), "truepic_id": 3 })
        };
        life.into_iter().enumerate().map(tell).collect()
    })
}

/// A Truto sync run and its account, likewise.
pub fn truto_undeclared_transitions() -> impl Strategy<Value = Vec<Value>> {
    let words = [
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
    ];
    proptest::collection::vec(0..words.len(), 1..9).prop_map(move |life| {
        let tell = |(minute, word): (usize, usize)| {
            let id = if words[word].starts_with("sync") { "run-1" } else { "acc-1" };
            json!({ "id": format!("evt-{minute}"), "event": words[word], "created_at": at(minute),
                "payload": { "id": id, "integrated_account_id": "acc-1" } })
        };
        life.into_iter().enumerate().map(tell).collect()
    })
}

// Hover gives no time and no id: without a reopening its ranks are the order; repetitions and any order end alike.
pub fn hover_scenario() -> impl Strategy<Value = Vec<Value>> {
    let end = prop_oneof![Just("complete"), Just("failed"), Just("cancelled"), Just("Canceled"), Just("paying")];
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
        for state in ["uploading", "processing", "complete"] {
            life.push(json!({ "event": "model-state-changed", "model_id": 9, "job_id": 11, "state": state }));
        }
        life.push(json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3,
            "job_id": 11, "state": "first_attempt" }));
        life.push(json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3,
            "job_id": 11, "state": "complete" }));
        life
    })
}

pub fn truto_scenario() -> impl Strategy<Value = Vec<Value>> {
    let end = prop_oneof![Just("completed"), Just("failed"), Just("rate_limited")];
    (1..5usize, end, any::<bool>(), any::<bool>()).prop_map(|(records, end, reauth, at_once)| {
        let mut life = Vec::new();
        let (mut number, mut minute) = (0, 0);
        let mut tell_after = |minutes: usize, event: &str, payload: Value| {
            number += 1;
            minute += minutes;
            life.push(json!({ "id": format!("evt-{number}"), "event": event, "payload": payload,
                "created_at": at(minute) }));
        };
        let account = |status: &str| json!({ "id": "acc-1", "tenant_id": "t-1", "status": status });
        tell_after(1, "integrated_account:created", account("connecting"));
        // Truto's times are whole seconds: an account can be created and connected at once.
        tell_after(usize::from(!at_once), "integrated_account:active", account("active"));
        let mut tell = |event: &str, payload: Value| tell_after(1, event, payload);
        tell("integrated_account:forbidden_error", account("active"));
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
        for account in ["acc-1", "acc-2"] {
            tell(
                "sync_job_run:record",
                json!({ "resource": "contacts", "args": { "integrated_account_id": account },
                "records": [{ "id": "7", "name": format!("of {account}") }] }),
            );
        }
        tell(&format!("sync_job_run:{end}"), run(end));
        life
    })
}

pub fn record360_scenario() -> impl Strategy<Value = Vec<Value>> {
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
