//! Payloads from the field: what integrators of these vendors report, sent over HTTP and read over GraphQL.

use crate::test_hub::TestHub;
use chrono::{DateTime, Utc};
use entity::Status;
use serde_json::{Map, Value, json};

/// All entities of a source by kind and the vendor's id, e.g. `PHOTO K3/4`.
async fn view(app: &TestHub, source: &str) -> Map<String, Value> {
    let query = "query($source: [String!]!) {
        inspections(first: 100, filter: { source: $source }) { nodes { ...inspection } }
        sessions(first: 100, filter: { source: $source }) { nodes { externalId state status cycle reference details } }
        jobs(first: 100, filter: { source: $source }) { nodes { kind externalId state status cycle reference details
            run { accountId } parent { ...parent } } }
        items(first: 100, filter: { source: $source }) { nodes { kind externalId state reference details
            parent { ...parent } photo { code url label verdict takenAt } damage { name component photoCode }
            message { text } record { data } account { tenantId } } } }
        fragment inspection on Inspection { externalId state status cycle reference occurredAt details
            summary { damaged damageCount } subject { vehicle { vin odometer } } }
        fragment parent on Node { ... on Session { externalId } ... on Job { externalId } ... on Item { externalId }
            ... on Inspection { externalId } }";
    let data = app.query_with(query, json!({ "source": [source] })).await;
    let mut view = Map::new();
    for (list, kind) in [("inspections", "INSPECTION"), ("sessions", "SESSION"), ("jobs", ""), ("items", "")] {
        for node in data[list]["nodes"].as_array().expect("nodes") {
            let kind = node["kind"].as_str().unwrap_or(kind);
            let id = node["externalId"].as_str().expect("an id");
            view.insert(format!("{kind} {id}"), node.clone());
        }
    }
    view
}

async fn post(app: &TestHub, source: &str, bodies: &[Value]) -> Vec<(String, String)> {
    let mut verdicts = Vec::new();
    for body in bodies {
        let answer = app.post_json(source, body.clone()).await;
        assert_eq!(answer.status, 200, "{body}");
        let word = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
        verdicts.push((word("verdict"), word("reason")));
    }
    verdicts
}

fn moment(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str().map(|text| text.parse().expect("a moment"))
}

// Each of these pairs is 10:00 and 11:00 of one day.
const TRUEPIC_TIMES: &[(&str, &str)] = &[
    (r#""2024-05-01 10:00:00.000001+00""#, r#""2024-05-01 11:00:00.000001+00""#),
    (r#""2024-05-01 12:00:00+02""#, r#""2024-05-01 13:00:00+02""#),
    (r#""2024-05-01 10:00:00+00:00:00""#, r#""2024-05-01 11:00:00+00:00:00""#),
    (r#""2024-05-01 10:00:00 +00:00""#, r#""2024-05-01 11:00:00 +00:00""#),
    (r#""2024-05-01 10:00:00 UTC""#, r#""2024-05-01 11:00:00 UTC""#),
    (r#""2024-05-01T10:00Z""#, r#""2024-05-01T11:00Z""#),
    (r#""20240501T100000Z""#, r#""20240501T110000Z""#),
    (r#""2024-05-01T10:00:00,250Z""#, r#""2024-05-01T11:00:00,250Z""#),
    (r#""2024-05-01T10:00:00+0000""#, r#""2024-05-01T11:00:00+0000""#),
    (r#""2024-05-01t10:00:00z""#, r#""2024-05-01t11:00:00z""#),
    ("1714557600000", "1714561200000"),
    (r#""1714557600000""#, r#""1714561200000""#),
    ("1714557600.25", "1714561200.25"),
    (r#""1714557600.25""#, r#""1714561200.25""#),
    ("1714557600", "1714561200"),
];

#[tokio::test]
async fn times_are_read_however_they_are_written() {
    let app = TestHub::start().await;
    for (number, (first, second)) in TRUEPIC_TIMES.iter().enumerate() {
        let id = 1_800 + number;
        for (action, at) in [("READY_FOR_REVIEW", first), ("IN_PROGRESS", second)] {
            let body = format!(r#"{{"action":"ACTION_STATUS_{action}","inspection_id":{id},"created_at":{at}}}"#);
            assert_eq!(app.post("truepic", body).await.status, 200);
        }
        let inspection = app.inspection("truepic", &id.to_string()).await;
        assert_eq!((&inspection["state"], &inspection["cycle"]), (&json!("In Progress"), &json!(1)), "{second}");
        let at = moment(&inspection["occurredAt"]).expect("a time").timestamp();
        assert_eq!(at, 1_714_561_200, "{second}");
    }
    let pave = |status: &str, at: &str| json!({ "event": "SESSION:STATUS_CHANGE", "session_key": "K1", "status": status, "timestamp": at });
    let said = post(
        &app,
        "pave",
        &[pave("QC_PASSED", "2024-05-01T10:00:00+0000"), pave("PROCESS", "2024-05-01T09:00:00+0000")],
    )
    .await;
    assert_eq!(said[1].0, "STALE");
    assert!(said[1].1.contains("by the vendor's time"), "{}", said[1].1);
    assert_eq!(moment(&app.inspection("pave", "K1").await["occurredAt"]).map(|at| at.timestamp()), Some(1_714_557_600));
}

#[tokio::test]
async fn an_invalid_time_stays_visible_with_a_warning() {
    let app = TestHub::start().await;
    let wrong = [
        json!("2024-05-01"),
        json!("yesterday"),
        json!("1969-12-31T23:59:59Z"),
        json!("12024-05-01T10:00:00Z"),
        json!("2024-02-30T10:00:00Z"),
        json!({ "at": 1 }),
    ];
    for (number, at) in wrong.into_iter().enumerate() {
        let id = 1_900 + number;
        let body = json!({ "action": "ACTION_STATUS_STARTED", "inspection_id": id, "created_at": at });
        let said = post(&app, "truepic", &[body]).await;
        assert!(said[0].1.ends_with("the vendor's time (created_at) is not understood"), "{}", said[0].1);
        let inspection = app.inspection("truepic", &id.to_string()).await;
        assert_eq!(inspection["details"]["created_at"], at, "{inspection}");
        assert_eq!(inspection["occurredAt"], Value::Null);
    }
}

#[tokio::test]
async fn a_time_far_ahead_does_not_hold_what_comes_later() {
    let app = TestHub::start().await;
    let photo = |status: &str, at: &str| json!({ "event": "SESSION:STAGE_CHANGE", "session_key": "K1", "photo_code": 4, "photo_status": status, "timestamp": at });
    let now = Utc::now() + chrono::TimeDelta::hours(1);
    let said =
        post(&app, "pave", &[photo("accepted", "2999-01-01T00:00:00Z"), photo("rejected", &now.to_rfc3339())]).await;
    assert!(said[0].1.contains("more than a day after the receipt"), "{}", said[0].1);
    let pave = view(&app, "pave").await;
    assert_eq!(pave["PHOTO K1/4"]["state"], "rejected");
    assert_eq!(pave["PHOTO K1/4"]["details"]["timestamp"], "2999-01-01T00:00:00Z");
    let account = |event: &str, at: &str| json!({ "id": event, "event": format!("integrated_account:{event}"), "payload": { "id": "a1" }, "created_at": at });
    post(
        &app,
        "truto",
        &[account("active", "2999-01-01T00:00:00Z"), account("authentication_error", &now.to_rfc3339())],
    )
    .await;
    assert_eq!(view(&app, "truto").await["ACCOUNT a1"]["state"], "needs_reauth");
}

#[tokio::test]
async fn a_field_of_lower_precedence_does_not_replace_the_reference() {
    let app = TestHub::start().await;
    let uuid = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
    let job = |id: i32, state: &str, external: Value| json!({ "event": "job-state-changed", "job_id": id, "state": state, "job_external_identifier": external, "job_client_identifier": uuid });
    for (id, external) in [(77, json!("")), (78, Value::Null), (79, json!("  "))] {
        post(&app, "hover", &[job(id, "working", json!("PO-1")), job(id, "retrieving", external)]).await;
    }
    let mut without = job(80, "retrieving", Value::Null);
    without.as_object_mut().expect("an object").remove("job_external_identifier");
    post(&app, "hover", &[job(80, "working", json!("PO-1")), without.clone()]).await;
    let hover = view(&app, "hover").await;
    for id in [77, 78, 79, 80] {
        assert_eq!(hover[&format!("INSPECTION {id}")]["reference"], "PO-1", "{id}");
        assert_eq!(hover[&format!("HOVER_JOB {id}")]["reference"], "PO-1", "{id}");
    }
    // The field of lower precedence counts until the other one arrives, whichever is newer.
    without["job_id"] = 81.into();
    post(&app, "hover", std::slice::from_ref(&without)).await;
    assert_eq!(app.inspection("hover", "81").await["reference"], uuid);
    post(&app, "hover", &[job(81, "working", json!("PO-1")), job(81, "processing", json!("PO-2"))]).await;
    assert_eq!(app.inspection("hover", "81").await["reference"], "PO-2");

    let transaction = |event: &str, asset: Value, at: &str| json!({ "event": event, "transaction": { "id": "1", "asset": asset, "external_id": "X-1", "created_at": "2024-05-01T10:00:00.000Z", "updated_at": at } });
    post(
        &app,
        "record360",
        &[
            transaction("create", json!({ "external_id": "VIN-1" }), "2024-05-01T10:00:00.000Z"),
            transaction("update", json!({}), "2024-05-01T11:00:00.000Z"),
        ],
    )
    .await;
    assert_eq!(app.inspection("record360", "1").await["reference"], "VIN-1");

    post(&app, "pave", &[json!({ "event": "SESSION:COMPLETE", "session": { "session_key": "K2", "status": "COMPLETE", "updated_at": "2024-05-01T10:00:00Z", "vehicle": { "vin": "VIN-IN" } }, "vehicle": { "vin": "VIN-BESIDE" } })]).await;
    let inspection = app.inspection("pave", "K2").await;
    assert_eq!(
        (&inspection["reference"], &inspection["subject"]["vehicle"]["vin"]),
        (&json!("VIN-BESIDE"), &json!("VIN-BESIDE"))
    );
}

#[tokio::test]
async fn states_of_hover_that_integrators_report_are_recognized() {
    let app = TestHub::start().await;
    let model = |state: &str| json!({ "event": "model-state-changed", "model_id": 501, "job_id": 77, "state": state });
    for (verdict, reason) in post(&app, "hover", &["created", "uploading", "processing", "complete"].map(model)).await {
        assert!(["APPLIED", "SKIPPED_AHEAD"].contains(&verdict.as_str()), "{verdict}: {reason}");
    }
    let job = |id: i32, state: &str| json!({ "event": "job-state-changed-v2", "job_id": id, "state": state });
    post(&app, "hover", &[job(78, "canceled"), job(79, "in_progress")]).await;
    app.inspection("hover", "78").await.is("cancelled", Status::Canceled);
    app.inspection("hover", "79").await.is("in_progress", Status::Processing);
    post(&app, "hover", &[job(79, "completed")]).await;
    app.inspection("hover", "79").await.is("completed", Status::Completed);
}

#[tokio::test]
async fn lists_of_pave_are_read_in_every_shape() {
    let app = TestHub::start().await;
    let complete = |key: &str, more: Value| {
        let mut body = json!({ "event": "SESSION:COMPLETE", "session": { "session_key": key, "status": "COMPLETE", "updated_at": "2024-05-01T10:00:00Z" } });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let gaps = json!({ "photos": { "0": { "photo_code": 4, "url": "https://x/a.jpg" }, "2": { "photo_code": 6, "url": "https://x/b.jpg" } },
        "inspection": { "detected_damages": { "1": { "uuid": "d-1", "component": "door" }, "3": { "uuid": "d-2", "component": "hood" } } } });
    let single = json!({ "photos": { "photo_code": 4 }, "inspection": { "detected_damages": { "uuid": "d-1", "photo": { "code": "04" } } } });
    let unnamed = json!({ "photos": [{ "url": "https://x/a.jpg", "photo_label": "Extra" }, "https://x/b.jpg"], "inspection": { "detected_damages": ["dent"] } });
    let odd = json!({ "vehicle": { "vin": "V1", "odom_reading": "12,345" } });
    let flags = json!({ "photos": [{ "photo_code": "1", "approved": "1" }, { "photo_code": "02", "approved": 1 }, { "photo_code": 3, "approved": "0" }, { "photo_code": 4, "approved": "false" }] });
    post(
        &app,
        "pave",
        &[
            complete("K3", gaps),
            complete("K4", single),
            complete("K5", unnamed),
            complete("K6", json!({})),
            complete("K7", odd),
            complete("K8", flags),
        ],
    )
    .await;
    let pave = view(&app, "pave").await;
    for item in ["PHOTO K3/4", "PHOTO K3/6", "DAMAGE K3/d-1", "DAMAGE K3/d-2", "PHOTO K4/4", "DAMAGE K4/d-1"] {
        assert!(pave.contains_key(item), "{item}: {:?}", pave.keys());
    }
    assert_eq!(pave["INSPECTION K3"]["summary"], json!({ "damaged": true, "damageCount": 2 }));
    assert_eq!(pave["DAMAGE K4/d-1"]["damage"]["photoCode"], "4", "as the photo's own code");
    let everything = serde_json::to_string(&pave).expect("JSON");
    for leaf in ["https://x/b.jpg", "Extra", "dent", "12,345"] {
        assert!(everything.contains(leaf), "{leaf} is nowhere");
    }
    assert_eq!(pave["INSPECTION K6"]["summary"]["damaged"], Value::Null, "nobody said so");
    assert_eq!(pave["INSPECTION K6"]["summary"]["damageCount"], Value::Null);
    assert_eq!(pave["INSPECTION K7"]["subject"]["vehicle"]["odometer"], Value::Null);
    let states = ["1", "2", "3", "4"].map(|code| pave[&format!("PHOTO K8/{code}")]["state"].clone());
    assert_eq!(states, ["accepted", "accepted", "rejected", "rejected"]);
}

#[tokio::test]
async fn reasons_name_the_rule_that_decided() {
    let app = TestHub::start().await;
    let truepic = |action: &str, at: Value| json!({ "action": format!("ACTION_STATUS_{action}"), "inspection_id": 7, "created_at": at });
    let said = post(
        &app,
        "truepic",
        &[
            truepic("STARTED", json!("2024-05-01T09:00:00Z")),
            truepic("READY_FOR_REVIEW", Value::Null),
            truepic("IN_PROGRESS", json!("2024-05-01T11:00:00Z")),
        ],
    )
    .await;
    let reason = "In Progress is older than Ready for Review, by its rank, since not every event has a vendor's time; the state is kept";
    assert_eq!(said[2], ("STALE".to_owned(), reason.to_owned()));
    let run = |event: &str| json!({ "id": event, "event": format!("sync_job_run:{event}"), "payload": { "id": "r1" }, "created_at": "2024-09-10T12:00:00Z" });
    let said = post(&app, "truto", &[run("completed"), run("started")]).await;
    assert_eq!(
        said[1],
        ("STALE".to_owned(), "running is older than completed, by its rank; the state is kept".to_owned())
    );
    let transaction = |event: &str, archived: &str| json!({ "event": event, "transaction": { "id": "1", "archive_status": archived, "created_at": "2024-05-01T10:00:00Z" } });
    let said = post(&app, "record360", &[transaction("archive", "archived"), transaction("create", "active")]).await;
    assert!(said[1].1.contains("by its rank"), "{}", said[1].1);
}

#[tokio::test]
async fn accounts_of_truto_are_never_mixed() {
    let app = TestHub::start().await;
    let record = |id: &str, account: &str, name: &str| {
        json!({ "id": id, "event": "sync_job_run:record", "environment_id": "e1", "created_at": "2024-09-10T12:00:00Z",
        "payload": { "resource": "crm/contacts", "args": { "integrated_account_id": account }, "records": [{ "id": "7", "name": name }] } })
    };
    let run = json!({ "id": "c3", "event": "sync_job_run:started", "created_at": "2024-09-10T12:00:00Z", "payload": { "id": "r1", "sync_job_id": "j1", "status": "running", "args": { "integrated_account_id": "a1" } } });
    let account = |id: &str, event: &str, more: Value| {
        let mut payload = json!({ "id": "a5" });
        payload.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "id": id, "event": format!("integrated_account:{event}"), "payload": payload, "created_at": "2024-09-10 12:00:00" })
    };
    let mut tenant = account("c6", "active", json!({ "id": "a6" }));
    tenant["tenant_id"] = "cust-6".into();
    post(
        &app,
        "truto",
        &[
            record("c1", "acc-A", "of A"),
            record("c2", "acc-B", "of B"),
            run,
            account("c4", "active", json!({})),
            account("c5", "created", json!({ "status": "connecting" })),
            tenant,
        ],
    )
    .await;
    let truto = view(&app, "truto").await;
    for (account, name) in [("acc-A", "of A"), ("acc-B", "of B")] {
        let record = &truto[&format!("RECORD {account}/crm/contacts/7")];
        assert_eq!(record["record"]["data"]["name"], name);
        assert_eq!(record["parent"]["externalId"], account);
    }
    let run = &truto["SYNC_RUN r1"];
    assert_eq!((&run["run"]["accountId"], &run["parent"]["externalId"]), (&json!("a1"), &json!("a1")));
    assert_eq!(truto["ACCOUNT a5"]["state"], "active");
    assert_eq!(truto["ACCOUNT a6"]["reference"], "cust-6");
    // The word that the vendor gave beside an event that changes no state stays visible.
    let forbidden = json!({ "id": "c7", "event": "integrated_account:forbidden_error", "payload": { "id": "a7", "status": "active" }, "created_at": "2024-09-10 12:00:00" });
    post(&app, "truto", &[forbidden]).await;
    assert!(view(&app, "truto").await["ACCOUNT a7"].to_string().contains("active"));
}

#[tokio::test]
async fn the_new_shapes_of_record360_are_read() {
    let app = TestHub::start().await;
    let inspection = json!({ "event": "create", "inspection": { "id": "9", "unit": { "id": "u1", "reference_number": "TR-100" }, "created_at": "2024-05-01T10:00:00.000Z" } });
    let task = json!({ "event": "completed", "task": { "id": 42, "status": "completed", "unit": { "reference_number": "TR-100" }, "updated_at": "2024-05-01T10:00:00.000Z" } });
    post(&app, "record360", &[inspection, task]).await;
    let record360 = view(&app, "record360").await;
    assert_eq!(
        (&record360["INSPECTION 9"]["state"], &record360["SESSION 9"]["state"]),
        (&json!("active"), &json!("active"))
    );
    assert_eq!(record360["INSPECTION 9"]["reference"], "TR-100");
    assert_eq!(record360["TASK 42"]["reference"], "TR-100");
}

#[tokio::test]
async fn equal_numbers_of_the_vendor_name_one_entity() {
    let app = TestHub::start().await;
    let entry = |id: i32, second: i32| {
        json!({ "id": id, "inspection_id": 1880, "timeline_action_type_id": 12, "action_type": { "id_internal": "ACTION_MESSAGE_REMINDER_TEXT" },
        "created_at": "2020-05-01T21:44:40.000Z", "updated_at": format!("2020-05-01T21:44:4{second}.000Z"), "data": {}, "message": "Please" })
    };
    post(&app, "truepic", &[entry(1, 0), entry(1, 1), entry(2, 0)]).await;
    let truepic = view(&app, "truepic").await;
    assert_eq!(truepic.keys().filter(|name| name.starts_with("MESSAGE ")).count(), 2, "{:?}", truepic.keys());
}

#[tokio::test]
async fn the_vendors_state_wins_and_the_reason_names_the_rule_it_breaks() {
    let words = ["STATUS_STARTED", "INSPECTION_CANCELED", "STATUS_IN_PROGRESS"];
    let app = TestHub::start().await;
    for (number, order) in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].into_iter().enumerate() {
        let bodies =
            order.map(|word: usize| json!({ "action": format!("ACTION_{}", words[word]), "inspection_id": number }));
        let said = post(&app, "truepic", &bodies).await;
        assert!(said.iter().all(|(verdict, _)| verdict != "REFUSED"), "{order:?} {said:?}");
        let inspection = app.inspection("truepic", &number.to_string()).await;
        assert_eq!(
            (&inspection["state"], &inspection["status"]),
            (&json!("Canceled"), &json!("CANCELED")),
            "{order:?}"
        );
    }
    assert_eq!(app.ledger("truepic").await["unexpected"], 3, "where it is the last to come");
    let implied = json!({ "action": "ACTION_PHOTO_VERIFICATION_PASSED", "inspection_id": 2001, "created_at": "2024-05-01T09:00:00Z", "truepic_id": 91 });
    post(&app, "truepic", &[implied]).await;
    let inspection = app.inspection("truepic", "2001").await;
    assert_eq!(inspection["state"], "In Progress");
    assert_eq!(
        moment(&inspection["occurredAt"]).map(|at| at.to_rfc3339()).as_deref(),
        Some("2024-05-01T09:00:00+00:00")
    );
}
