//! What the vendors' events do: samples go in, GraphQL shows states, verdicts and histories.

use crate::test_hub::{TestHub, samples};
use entity::Status::{Completed, InProgress, Processing, Submitted};
use entity::Verdict::{SkippedAhead, Stale};
use inspection_hub::vendor;
use serde_json::{Value, json};

/// Every sample of every vendor is recognized, is no duplicate, and has a verdict; the ledger adds up.
#[tokio::test]
async fn every_sample_of_every_vendor_is_understood() {
    let app = TestHub::start().await;
    for vendor in vendor::ALL {
        let samples = samples(vendor.name);
        assert!(samples.len() >= 6, "{}", vendor.name);
        for sample in &samples {
            let answer = app.post_sample(sample).await;
            assert_eq!((answer.status, &answer.body["status"]), (200, &json!("accepted")), "{sample}: {answer:?}");
            let known = answer.body["verdict"] != "UNRECOGNIZED" || sample.contains("lens-captures");
            assert!(known, "{sample}: {answer:?}");
        }
        let ledger = app.ledger(vendor.name).await;
        assert_eq!(ledger["received"], samples.len(), "{ledger}");
        assert_eq!((&ledger["duplicates"], &ledger["unreadable"]), (&json!(0), &json!(0)), "{ledger}");
    }
    // Positions are contiguous over all vendors.
    let positions: Vec<_> = app.changes().await.iter().map(|change| change["position"].clone()).collect();
    let expected: Vec<Value> = (1..=positions.len()).map(|position| json!(position)).collect();
    assert_eq!(positions.iter().map(number).collect::<Vec<_>>(), expected.iter().map(number).collect::<Vec<_>>());
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_pave_session_runs_from_started_to_complete() {
    let app = TestHub::start().await;
    for step in ["status-change-started", "status-change-process", "stage-change", "status-change-qc-passed"] {
        app.receive(&format!("pave/session-{step}.json")).await;
    }
    let inspection = app.inspection("pave", "SWP-7LQUT*9BHE").await;
    inspection.is("QC_PASSED", Submitted).next_states(&["CONFIRM", "INVALID"]);
    assert_eq!(inspection["sessions"]["nodes"][0]["status"], "CAPTURED");
    app.receive("pave/session-status-change-confirm.json").await;
    app.receive("pave/session-complete.json").await;
    let query = "{ inspections { nodes { externalId state status cycle subject { vehicle { vin make year odometer } }
        sessions { nodes { state status } } jobs { nodes { kind state status } }
        items(first: 100) { nodes { kind externalId state } }
        history { nodes { event verdict fromState toState fromStatus toStatus cycle } } } } }";
    insta::assert_json_snapshot!(app.query(query).await);
}

#[tokio::test]
async fn a_late_delivery_is_stale_and_skipped_states_are_named() {
    let app = TestHub::start().await;
    app.receive("pave/session-status-change-confirm.json").await;
    app.receive("pave/session-status-change-process.json").await;
    let inspection = app.inspection("pave", "SWP-7LQUT*9BHE").await;
    inspection.verdicts(&[SkippedAhead, Stale]).states(&["CONFIRM", "CONFIRM"]);
    let reason = inspection["history"]["nodes"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("PROCESS, QC_PASSED"), "{reason}");
}

#[tokio::test]
async fn truepic_goes_back_after_a_request_for_more_and_the_cycle_rises() {
    let app = TestHub::start().await;
    let receive = async |action: &str| {
        let answer = app.post_json("truepic", json!({ "action": action, "inspection_id": 9, "n": action })).await;
        answer.body["verdict"].as_str().expect("a verdict").to_owned()
    };
    receive("ACTION_STATUS_STARTED").await;
    receive("ACTION_STATUS_IN_PROGRESS").await;
    receive("ACTION_STATUS_READY_FOR_REVIEW").await;
    // Without a time and without a request it may be a retry of the old delivery with other bytes.
    let late = json!({ "action": "ACTION_STATUS_IN_PROGRESS", "inspection_id": 9, "n": "late" });
    assert_eq!(app.post_json("truepic", late).await.body["verdict"], "STALE");
    receive("ACTION_MESSAGE_REQUEST_TEXT").await;
    let again = json!({ "action": "ACTION_STATUS_IN_PROGRESS", "inspection_id": 9, "n": "again" });
    assert_eq!(app.post_json("truepic", again).await.body["verdict"], "APPLIED");
    app.inspection("truepic", "9").await.is("In Progress", InProgress).cycle(1);
}

#[tokio::test]
async fn a_hover_job_completes_twice_with_the_same_bytes() {
    let app = TestHub::start().await;
    let job = async |state: &str| {
        let body = json!({ "event": "job-state-changed", "job_id": 5, "state": state }).to_string();
        app.post("hover", body).await.body
    };
    for state in ["uploading", "processing_upload", "submitting", "working", "retrieving", "processing", "paying"] {
        assert_eq!(job(state).await["verdict"], "APPLIED", "{state}");
    }
    assert_eq!(job("complete").await["verdict"], "APPLIED");
    assert_eq!(job("complete").await["status"], "duplicate");
    assert_eq!(job("requesting_corrections").await["verdict"], "APPLIED");
    assert_eq!(job("requesting_corrections").await["status"], "duplicate");
    assert_eq!(job("submitting").await["status"], "accepted");
    assert_eq!(job("working").await["status"], "accepted");
    assert_eq!(job("complete").await["status"], "accepted", "the same bytes are new in the next cycle");
    let inspection = app.inspection("hover", "5").await;
    inspection.is("complete", Completed).cycle(1);
    assert_eq!(inspection["jobs"]["nodes"][0]["cycle"], 1);
}

#[tokio::test]
async fn a_reopening_that_overtakes_the_end_waits_for_it() {
    let app = TestHub::start().await;
    let job = async |state: &str| {
        app.post_json("hover", json!({ "event": "job-state-changed", "job_id": 6, "state": state })).await.body
    };
    job("working").await;
    assert_eq!(job("requesting_corrections").await["verdict"], "SKIPPED_AHEAD");
    assert_eq!(job("complete").await["verdict"], "STALE", "the end of the cycle before");
    app.inspection("hover", "6").await.is("requesting_corrections", Processing).cycle(1);
    job("working").await;
    job("complete").await;
    app.inspection("hover", "6").await.is("complete", Completed).cycle(1);
}

#[tokio::test]
async fn orphans_are_stored_and_linked_when_the_parent_is_named() {
    let app = TestHub::start().await;
    let orphan = app.post_sample("hover/estimation-estimate-group-state-changed.json").await;
    assert_eq!(orphan.body["verdict"], "ORPHANED");
    let job = "{ jobs(filter: { kind: [ESTIMATE_GROUP] }) { nodes { status inspection { externalId } } } }";
    let before = app.query(job).await;
    assert_eq!(before["jobs"]["nodes"][0], json!({ "status": "SUCCEEDED", "inspection": null }));
    app.post_sample("hover/estimation-estimate-group-updated.json").await;
    let after = app.query(job).await;
    assert!(after["jobs"]["nodes"][0]["inspection"]["externalId"].is_string(), "{after}");
}

#[tokio::test]
async fn a_record360_pair_shares_its_group() {
    let app = TestHub::start().await;
    app.post_sample("record360/create-check-out.json").await;
    app.post_sample("record360/create-check-in.json").await;
    let board = app
        .query("{ inspections(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { status group reference } } }")
        .await;
    let nodes = board["inspections"]["nodes"].as_array().expect("inspections");
    assert_eq!(nodes.len(), 2);
    assert!(nodes[0]["group"].is_string() && nodes[0]["group"] == nodes[1]["group"], "{board}");
    assert_eq!(nodes[0]["status"], "COMPLETED");
    let query = "query($g: String) { inspections(filter: { group: $g }) { totalCount } }";
    let count = app.query_with(query, json!({ "g": nodes[0]["group"] })).await;
    assert_eq!(count["inspections"]["totalCount"], 2);
}

#[tokio::test]
async fn a_truto_run_brings_records_and_needs_no_inspection() {
    let app = TestHub::start().await;
    for sample in samples("truto") {
        app.post_sample(&sample).await;
    }
    let data = app
        .query(
            "{ jobs(filter: { kind: [SYNC_RUN] }) { nodes { status inspection { id } } }
        items(filter: { kind: [ACCOUNT] }) { nodes { state account { tenantId } } }
        records: items(first: 100, filter: { kind: [RECORD] }) { totalCount nodes { record { resource recordId } } } }",
        )
        .await;
    assert!(
        data["jobs"]["nodes"]
            .as_array()
            .is_some_and(|jobs| !jobs.is_empty() && jobs.iter().all(|j| j["inspection"].is_null()))
    );
    assert!(!data["items"]["nodes"].as_array().expect("accounts").is_empty());
    assert!(data["records"]["totalCount"].as_i64().is_some_and(|count| count >= 4), "{data:#}");
}

#[tokio::test]
async fn a_delivery_that_cannot_be_applied_does_not_disturb_its_neighbours() {
    let app = TestHub::start().await;
    let bodies = (0..60).map(|number| match number % 3 {
        0 => json!({ "event": "SESSION:STATUS_CHANGE", "session_key": format!("K{number}"), "status": "STARTED",
            "timestamp": "2026-01-01T00:00:00Z" })
        .to_string(),
        1 => format!("not json {number}"),
        _ => json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "K0", "status": format!("ODD{number}") })
            .to_string(),
    });
    let answers = futures_util::future::join_all(bodies.map(|body| app.post("pave", body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let ledger = app.ledger("pave").await;
    assert_eq!((&ledger["received"], &ledger["applied"]), (&json!(60), &json!(20)), "{ledger}");
    assert_eq!((&ledger["unreadable"], &ledger["unrecognized"]), (&json!(20), &json!(20)), "{ledger}");
}
