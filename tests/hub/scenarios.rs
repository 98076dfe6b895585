//! What the vendors' events do: every sample posted, the state and history seen through GraphQL.

use crate::test_hub::{TestHub, samples};
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

fn verdicts(entity: &Value) -> Vec<(&str, &str)> {
    let history = entity["history"]["nodes"].as_array().expect("history");
    history.iter().map(|c| (c["verdict"].as_str().unwrap_or(""), c["toState"].as_str().unwrap_or(""))).collect()
}

#[tokio::test]
async fn a_pave_session_runs_from_started_to_complete() {
    let app = TestHub::start().await;
    for step in ["status-change-started", "status-change-process", "stage-change", "status-change-qc-passed"] {
        app.post_sample(&format!("pave/session-{step}.json")).await;
    }
    let inspection = app.inspection("pave", "SWP-7LQUT*9BHE").await;
    assert_eq!((&inspection["state"], &inspection["status"]), (&json!("QC_PASSED"), &json!("SUBMITTED")));
    assert_eq!(inspection["sessions"]["nodes"][0]["status"], "CAPTURED");
    let next = inspection["nextStates"].as_array().expect("states").iter().map(|next| next["state"].as_str());
    assert_eq!(next.collect::<Vec<_>>(), [Some("CONFIRM"), Some("INVALID")]);
    app.post_sample("pave/session-status-change-confirm.json").await;
    app.post_sample("pave/session-complete.json").await;
    let inspection = app.inspection("pave", "SWP-7LQUT*9BHE").await;
    assert_eq!((&inspection["state"], &inspection["status"]), (&json!("COMPLETE"), &json!("COMPLETED")));
    assert_eq!(inspection["jobs"]["nodes"][0]["kind"], "CONDITION_REPORT");
    assert_eq!(inspection["jobs"]["nodes"][0]["status"], "SUCCEEDED");
    assert!(inspection["subject"]["vehicle"]["vin"].is_string(), "{inspection:#}");
    let kinds: Vec<_> =
        inspection["items"]["nodes"].as_array().expect("items").iter().map(|i| i["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "PHOTO").count(), 13, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "DAMAGE").count(), 3, "{kinds:?}");
}

#[tokio::test]
async fn late_news_is_stale_and_skipped_states_are_named() {
    let app = TestHub::start().await;
    app.post_sample("pave/session-status-change-confirm.json").await;
    app.post_sample("pave/session-status-change-process.json").await;
    let inspection = app.inspection("pave", "SWP-7LQUT*9BHE").await;
    assert_eq!(verdicts(&inspection), [("SKIPPED_AHEAD", "CONFIRM"), ("STALE", "CONFIRM")]);
    let reason = inspection["history"]["nodes"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("PROCESS, QC_PASSED"), "{reason}");
}

#[tokio::test]
async fn truepic_goes_back_after_a_request_for_more_and_the_cycle_rises() {
    let app = TestHub::start().await;
    let tell = async |action: &str| {
        let answer = app.post_json("truepic", json!({ "action": action, "inspection_id": 9, "n": action })).await;
        answer.body["verdict"].as_str().expect("a verdict").to_owned()
    };
    tell("ACTION_STATUS_STARTED").await;
    tell("ACTION_STATUS_IN_PROGRESS").await;
    tell("ACTION_STATUS_READY_FOR_REVIEW").await;
    // Without a time and without a request it may be an old one, retried with other bytes.
    let late = json!({ "action": "ACTION_STATUS_IN_PROGRESS", "inspection_id": 9, "n": "late" });
    assert_eq!(app.post_json("truepic", late).await.body["verdict"], "STALE");
    tell("ACTION_MESSAGE_REQUEST_TEXT").await;
    let again = json!({ "action": "ACTION_STATUS_IN_PROGRESS", "inspection_id": 9, "n": "again" });
    assert_eq!(app.post_json("truepic", again).await.body["verdict"], "APPLIED");
    let inspection = app.inspection("truepic", "9").await;
    assert_eq!((&inspection["status"], &inspection["cycle"]), (&json!("IN_PROGRESS"), &json!(1)));
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
    assert_eq!(job("complete").await["status"], "accepted", "new news in the next cycle");
    let inspection = app.inspection("hover", "5").await;
    assert_eq!((&inspection["status"], &inspection["cycle"]), (&json!("COMPLETED"), &json!(1)));
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
    let inspection = app.inspection("hover", "6").await;
    assert_eq!((&inspection["state"], &inspection["cycle"]), (&json!("requesting_corrections"), &json!(1)));
    job("working").await;
    job("complete").await;
    assert_eq!(app.inspection("hover", "6").await["status"], "COMPLETED");
}

#[tokio::test]
async fn orphans_are_kept_and_linked_when_the_parent_is_named() {
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
