//! Payloads that integrators report, as the adapters parse them: read over GraphQL, in every order of arrival.

use crate::test_hub::TestHub;
use entity::Status;
use serde_json::{Value, json};

const ITEMS: &str = "query($kind: ItemKind!) { items(first: 100, filter: { kind: [$kind] }) { nodes {
    externalId state reference details parent { ... on Item { externalId } ... on Job { externalId } }
    record { recordId data } account { tenantId } } } }";

async fn items(app: &TestHub, kind: &str) -> Vec<Value> {
    let mut items = app.query_with(ITEMS, json!({ "kind": kind })).await["items"]["nodes"].take();
    let items = items.as_array_mut().expect("items");
    items.sort_by_key(|item| item["externalId"].to_string());
    std::mem::take(items)
}

fn truto(id: &str, event: &str, payload: Value) -> Value {
    json!({ "id": id, "event": event, "payload": payload, "environment_id": "e1", "created_at": "2024-09-10 12:00:00" })
}

/// All orders of few bodies.
fn orders(bodies: &[Value]) -> Vec<Vec<Value>> {
    if bodies.len() < 2 {
        return vec![bodies.to_vec()];
    }
    let mut all = Vec::new();
    for first in 0..bodies.len() {
        let mut rest = bodies.to_vec();
        let head = rest.remove(first);
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, head.clone());
            order
        }));
    }
    all
}

#[tokio::test]
async fn records_of_two_accounts_are_distinct_and_belong_to_their_accounts() {
    let app = TestHub::start().await;
    for (id, account, name) in [("c1", "acc-A", "of A"), ("c2", "acc-B", "of B")] {
        let payload = json!({ "resource": "crm/contacts", "args": { "integrated_account_id": account },
            "records": [{ "id": "7", "name": name }] });
        app.post_json("truto", truto(id, "sync_job_run:record", payload)).await;
    }
    let records = items(&app, "RECORD").await;
    let seen: Vec<_> = records
        .iter()
        .map(|record| json!([record["externalId"], record["parent"]["externalId"], record["record"]["data"]["name"]]))
        .collect();
    let expected = [json!(["acc-A/crm/contacts/7", "acc-A", "of A"]), json!(["acc-B/crm/contacts/7", "acc-B", "of B"])];
    assert_eq!(seen, expected);
    // The same records once more: no third one.
    let again = json!({ "resource": "crm/contacts", "args": "{\"integrated_account_id\":\"acc-A\"}",
        "records": [{ "id": 7, "name": "of A" }] });
    app.post_json("truto", truto("c3", "sync_job_run:record", again)).await;
    assert_eq!(items(&app, "RECORD").await.len(), 2);
}

#[tokio::test]
async fn a_run_belongs_to_the_account_that_its_args_name() {
    let app = TestHub::start().await;
    let payload = json!({ "id": "r1", "sync_job_id": "j1", "status": "running",
        "args": { "integrated_account_id": "a1" }, "tenant_id": "cust-6" });
    app.post_json("truto", truto("c1", "sync_job_run:started", payload)).await;
    let query = "{ jobs { nodes { state reference run { accountId } parent { ... on Item { externalId } } } } }";
    let job = app.query(query).await["jobs"]["nodes"][0].clone();
    let expected = json!({ "state": "running", "reference": "cust-6", "run": { "accountId": "a1" },
        "parent": { "externalId": "a1" } });
    assert_eq!(job, expected);
}

#[tokio::test]
async fn an_account_that_was_created_and_connected_at_once_is_active_in_every_order() {
    let bodies = [
        truto("1", "integrated_account:created", json!({ "id": "a1", "status": "connecting" })),
        truto("2", "integrated_account:active", json!({ "id": "a1", "status": "active" })),
        truto("3", "integrated_account:updated", json!({ "id": "a1", "status": "connecting" })),
    ];
    for order in orders(&bodies) {
        let app = TestHub::start().await;
        for body in &order {
            app.post_json("truto", body.clone()).await;
        }
        assert_eq!(items(&app, "ACCOUNT").await[0]["state"], "active", "{order:?}");
    }
}

#[tokio::test]
async fn the_facts_of_an_account_come_from_its_payload() {
    let app = TestHub::start().await;
    let forbidden = json!({ "id": "a1", "status": "active", "last_error": "Missing scope." });
    app.post_json("truto", truto("1", "integrated_account:forbidden_error", forbidden)).await;
    let mut active = truto("2", "integrated_account:active", json!({ "id": "a6", "status": "odd" }));
    active["tenant_id"] = json!("cust-6");
    app.post_json("truto", active).await;
    let accounts = items(&app, "ACCOUNT").await;
    assert_eq!((&accounts[0]["state"], &accounts[0]["details"]["status"]), (&json!("active"), &json!("active")));
    assert_eq!((&accounts[1]["state"], &accounts[1]["details"]["status"]), (&json!("active"), &json!("odd")));
    // The envelope's tenant is the reference, and no fact of the account: there it would displace the payload's.
    assert_eq!((&accounts[1]["reference"], &accounts[1]["account"]["tenantId"]), (&json!("cust-6"), &Value::Null));
}

#[tokio::test]
async fn every_state_of_a_model_is_recognized_and_a_late_one_is_stale() {
    let app = TestHub::start().await;
    let post = async |state: &str, id: i64| {
        let body = json!({ "event": "model-state-changed", "model_id": id, "job_id": 77, "state": state });
        app.post_json("hover", body).await.body["verdict"].as_str().expect("a verdict").to_owned()
    };
    assert_eq!(post("processing", 501).await, "SKIPPED_AHEAD");
    assert_eq!(post("Completed", 501).await, "APPLIED");
    assert_eq!(post("uploading", 501).await, "STALE");
    assert_eq!(post("failed", 501).await, "APPLIED");
    assert_eq!(post("vanished", 502).await, "UNRECOGNIZED");
    let models = items(&app, "MODEL").await;
    assert_eq!((&models[0]["state"], &models[0]["details"]["state.complete"]), (&json!("failed"), &json!("Completed")));
    assert_eq!((&models[1]["state"], &models[1]["details"]["state"]), (&Value::Null, &json!("vanished")));
}

#[tokio::test]
async fn the_states_of_hover_are_recognized_in_other_spellings() {
    let app = TestHub::start().await;
    for (job, words, state, status) in [
        (78, ["canceled"].as_slice(), "cancelled", Status::Canceled),
        (79, &["In Progress"], "in_progress", Status::Processing),
        (80, &["in_progress", "completed"], "completed", Status::Completed),
        (81, &["completed", "in_progress"], "completed", Status::Completed),
        (82, &["PROCESSING-UPLOAD"], "processing_upload", Status::Submitted),
    ] {
        for word in words {
            app.post_json("hover", json!({ "event": "job-state-changed-v2", "job_id": job, "state": word })).await;
        }
        app.inspection("hover", &job.to_string()).await.is(state, status);
    }
    assert_eq!(app.inspection("hover", "78").await["details"]["state.cancelled"], "canceled");
}

#[tokio::test]
async fn an_entry_of_truepics_timeline_is_one_message() {
    let app = TestHub::start().await;
    let entry = |id: Value, second: &str| {
        json!({ "id": id, "inspection_id": 1880, "timeline_action_type_id": 12, "data": {}, "message": "Please",
            "action_type": { "id_internal": "ACTION_MESSAGE_REMINDER_TEXT" },
            "created_at": "2020-05-01T21:44:40.000Z", "updated_at": format!("2020-05-01T21:44:{second}.000Z") })
    };
    for body in [entry(json!(1), "40"), entry(json!(1), "41"), entry(json!(" 1"), "42")] {
        assert_eq!(app.post_json("truepic", body).await.status, 200);
    }
    assert_eq!(items(&app, "MESSAGE").await.len(), 1);
    app.post_json("truepic", entry(json!(2), "40")).await;
    assert_eq!(items(&app, "MESSAGE").await.len(), 2);
}
