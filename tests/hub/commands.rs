//! Acts on inspections at a running hub: what they change, what is refused, and that each is done once.

use crate::database::TestDatabase;
use crate::generators::{TestAct, command_at, incoming_at, scenario, test_act};
use crate::hub_process::HubProcess;
use crate::purge::discrepancies;
use crate::rebuild::{rebuild, reword};
use crate::test_hub::{TestHub, TestResponse, client, send_request, wait_until};
use crate::test_keys::settings_key;
use crate::verify::verify;
use chrono::{DateTime, TimeDelta, Utc};
use entity::entity as thing;
use inspection_hub::ingest::Writer;
use inspection_hub::retention::IdempotencyExpiryTask;
use inspection_hub::store::{Database, OpenMode};
use proptest::prelude::*;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use std::time::Duration;

const REGISTER: &str = "mutation($input: RegisterInspectionInput!) { registerInspection(input: $input) {
    command { id kind actor reason at input changes(first: 5) { totalCount nodes { verdict reasonCode toStatus actor } } }
    inspection { id externalId status state reference vendorReference labels { key value } dueAt registeredAt } } }";
const ANNOTATE: &str = "mutation($input: AnnotateInspectionInput!) { annotateInspection(input: $input) {
    command { id kind } inspection { id reference vendorReference labels { key value } dueAt } } }";
const COMMENT: &str = "mutation($input: AddCommentInput!) { addComment(input: $input) {
    command { id } comment { id text author at } inspection { id comments(first: 5) { totalCount } } } }";

/// The payload of a mutation, which must have no errors.
async fn act(app: &TestHub, mutation: &str, input: Value) -> Value {
    let data = app.query_with(mutation, json!({ "input": input })).await;
    data.as_object().expect("data").values().next().expect("a payload").clone()
}

/// The code of the error of a mutation, and its message.
async fn refused(app: &TestHub, mutation: &str, input: &Value) -> (String, String) {
    let answer = app.graphql(mutation, json!({ "input": input })).await;
    let error = &answer["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&error["extensions"]["code"]), text(&error["message"]))
}

fn registration(key: &str, external_id: &str) -> Value {
    json!({ "idempotencyKey": key, "source": "pave", "externalId": external_id })
}

async fn register(app: &TestHub, external_id: &str) -> String {
    let payload = act(app, REGISTER, registration(external_id, external_id)).await;
    payload["inspection"]["id"].as_str().expect("an id").to_owned()
}

fn status(key: &str, status: &str) -> Value {
    json!({ "event": "SESSION:STATUS_CHANGE", "session_key": key, "status": status })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inspection_that_is_announced_is_requested_until_the_vendor_reports_it() {
    let app = TestHub::start().await;
    let mut live = app
        .subscribe("subscription { inspectionChanged { reasonCode toStatus actor command { kind } } }", json!({}))
        .await;
    let mut input = registration("1", "K-1");
    for (field, value) in [
        ("reference", json!("claim 7")),
        ("labels", json!([{ "key": "team", "value": "north" }, { "key": "a", "value": "\"b\",\"team\":\"south\"" }])),
        ("dueAt", json!("2031-01-01T00:00:00Z")),
        ("reason", json!("a new claim")),
    ] {
        input[field] = value;
    }
    let payload = act(&app, REGISTER, input).await;
    let inspection = &payload["inspection"];
    assert_eq!((&inspection["status"], &inspection["state"]), (&json!("REQUESTED"), &Value::Null));
    assert_eq!((&inspection["reference"], &inspection["vendorReference"]), (&json!("claim 7"), &Value::Null));
    assert_eq!(inspection["labels"][1], json!({ "key": "team", "value": "north" }));
    assert!(inspection["registeredAt"].is_string() && inspection["dueAt"] == "2031-01-01T00:00:00+00:00");
    let command = &payload["command"];
    assert_eq!((&command["kind"], &command["actor"]), (&json!("REGISTER"), &json!("anyone")));
    assert_eq!((&command["reason"], &command["input"]["externalId"]), (&json!("a new claim"), &json!("K-1")));
    let change =
        json!({ "verdict": "APPLIED", "reasonCode": "REGISTERED", "toStatus": "REQUESTED", "actor": "anyone" });
    assert_eq!(command["changes"], json!({ "totalCount": 1, "nodes": [change] }));
    let heard = live.next_data().await["inspectionChanged"].clone();
    let command = json!({ "kind": "REGISTER" });
    let expected =
        json!({ "reasonCode": "REGISTERED", "toStatus": "REQUESTED", "actor": "anyone", "command": command });
    assert_eq!(heard, expected);
    let counts = app.query("{ statusCounts { status count } }").await;
    assert_eq!(counts["statusCounts"][0], json!({ "status": "REQUESTED", "count": 1 }));
    // The vendor's first webhook, then the rest.
    assert_eq!(app.post_json("pave", status("K-1", "STARTED")).await.status, 200);
    let found = app.inspection("pave", "K-1").await.0;
    assert_eq!(
        (&found["id"], &found["status"], &found["reference"]),
        (&inspection["id"], &json!("STARTED"), &json!("claim 7"))
    );
    assert_eq!(found["history"]["nodes"].as_array().map(Vec::len), Some(2));
    let (code, text) = verify(&app.database);
    assert!(code == Some(0) && text.contains("1 deliveries, 1 commands, "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_set_wins_until_they_take_it_away() {
    let app = TestHub::start().await;
    let body = |vin: &str| {
        json!({ "event": "SESSION:COMPLETE", "session": { "session_key": "K-1", "status": "COMPLETE",
        "updated_at": "2026-03-01T00:00:00+00:00", "reference_id": "order 7", "vehicle": { "vin": vin } } })
    };
    assert_eq!(app.post_json("pave", body("1FTFW1ET1EFA00000")).await.status, 200);
    let before = app.query("{ inspections { nodes { id reference vendorReference } } }").await["inspections"]["nodes"]
        [0]
    .clone();
    let vendors = before["vendorReference"].clone();
    let id = before["id"].as_str().expect("an id").to_owned();
    let annotate = async |key: &str, more: Value| {
        let mut input = json!({ "idempotencyKey": key, "inspection": id });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        act(&app, ANNOTATE, input).await["inspection"].clone()
    };
    let set = annotate("1", json!({ "reference": "claim 9", "labels": [{ "key": "team", "value": "north" }], "dueAt": "2020-01-01T00:00:00Z" })).await;
    assert_eq!((&set["reference"], &set["vendorReference"]), (&json!("claim 9"), &vendors));
    let found = async |filter: &str| {
        let query = format!("{{ inspections(filter: {{ {filter} }}) {{ totalCount nodes {{ id }} }} }}");
        let list = app.query(&query).await["inspections"].clone();
        assert_eq!(list["nodes"].as_array().map(Vec::len), list["totalCount"].as_i64().map(|count| count as usize));
        list["totalCount"] == 1
    };
    for (filter, matches) in [
        ("reference: \"claim 9\"", true),
        ("reference: \"claim\"", false),
        ("label: [{ key: \"team\" }]", true),
        ("label: [{ key: \"team\", value: \"north\" }]", true),
        ("label: [{ key: \"team\", value: \"nort\" }]", false),
        ("label: [{ key: \"tea\" }]", false),
        ("label: [{ key: \"north\" }]", false),
        ("label: [{ key: \"team\" }, { key: \"other\" }]", false),
        ("label: []", true),
        // It is finished, so it is not overdue.
        ("overdue: true", false),
        ("overdue: false", true),
    ] {
        assert_eq!(found(filter).await, matches, "{filter}");
    }
    if let Some(vendors) = vendors.as_str() {
        assert!(found(&format!("reference: \"{vendors}\"")).await, "either matches");
    }
    let past = "{ inspectionsAsOf(at: \"2025-01-01T00:00:00Z\", clock: OCCURRED, filter: { label: [{ key: \"team\" }] }) { totalCount } }";
    assert_eq!(app.query(past).await["inspectionsAsOf"]["totalCount"], 0);
    let kept = annotate("2", json!({ "labels": [{ "key": "b", "value": "c" }] })).await;
    assert_eq!((&kept["reference"], kept["labels"].as_array().map(Vec::len)), (&json!("claim 9"), Some(2)));
    let fewer = annotate("3", json!({ "labels": [{ "key": "team", "value": null }], "dueAt": null })).await;
    assert_eq!((&fewer["labels"], &fewer["dueAt"]), (&json!([{ "key": "b", "value": "c" }]), &Value::Null));
    let none = annotate("4", json!({ "reference": null, "labels": null })).await;
    assert_eq!((&none["reference"], &none["labels"]), (&vendors, &json!([])));
    assert!(!found("reference: \"claim 9\"").await);
    let again = annotate("5", json!({ "reference": null })).await;
    assert_eq!(again["reference"], vendors);
    let newest = app.query("{ changes(last: 1) { nodes { verdict reasonCode } } }").await;
    assert_eq!(newest["changes"]["nodes"][0], json!({ "verdict": "NO_CHANGE", "reasonCode": "NOTHING_NEW" }));
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_inspection_past_its_date_is_overdue() {
    let app = TestHub::start().await;
    for (name, due_at) in [("K-1", "2020-01-01T00:00:00Z"), ("K-2", "2999-01-01T00:00:00Z")] {
        let mut input = registration(name, name);
        input["dueAt"] = due_at.into();
        act(&app, REGISTER, input).await;
    }
    register(&app, "K-3").await;
    for (overdue, names) in [(true, vec!["K-1"]), (false, vec!["K-2", "K-3"])] {
        let query = format!(
            "{{ inspections(filter: {{ overdue: {overdue} }}, orderBy: {{ field: CREATED_AT, direction: ASC }}) {{ nodes {{ externalId }} }} }}"
        );
        let answer = app.graphql(&query, json!({})).await;
        let nodes = answer["data"]["inspections"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        assert_eq!(nodes.iter().map(|node| node["externalId"].clone()).collect::<Vec<_>>(), names, "{overdue}");
    }
    let answer =
        app.graphql("subscription { inspectionChanged(filter: { overdue: true }) { position } }", json!({})).await;
    assert!(answer["errors"].is_array(), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_hears_of_the_labels_and_the_reference_that_it_asks_for() {
    let app = TestHub::start().await;
    let id = register(&app, "K-1").await;
    let filter = "label: [{ key: \"team\", value: \"north\" }], reference: \"claim 7\"";
    let query = format!("subscription {{ inspectionChanged(filter: {{ {filter} }}) {{ reasonCode }} }}");
    let mut live = app.subscribe(&query, json!({})).await;
    act(&app, ANNOTATE, json!({ "idempotencyKey": "1", "inspection": id, "reference": "claim 7" })).await;
    let labels = json!([{ "key": "team", "value": "north" }]);
    act(&app, ANNOTATE, json!({ "idempotencyKey": "2", "inspection": id, "labels": labels })).await;
    act(&app, COMMENT, json!({ "idempotencyKey": "3", "inspection": id, "text": "hello" })).await;
    assert_eq!(live.next_data().await["inspectionChanged"]["reasonCode"], "ANNOTATED");
    assert_eq!(live.next_data().await["inspectionChanged"]["reasonCode"], "COMMENTED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_are_listed_in_order_and_found_by_their_ids() {
    let app = TestHub::start().await;
    let (id, other) = (register(&app, "K-1").await, register(&app, "K-2").await);
    let mut ids = Vec::new();
    for number in 0..5 {
        let input = |inspection: &str| {
            json!({ "idempotencyKey": format!("{inspection}{number}"), "inspection": inspection,
            "text": format!("comment {number} \"\u{1F600}\0") })
        };
        ids.push(act(&app, COMMENT, input(&id)).await["comment"]["id"].clone());
        if number < 2 {
            act(&app, COMMENT, input(&other)).await;
        }
    }
    let query = "query($first: Int, $after: String) { inspections(filter: { source: [\"pave\"] }, orderBy: { field: CREATED_AT, direction: ASC }) { nodes {
        comments(first: $first, after: $after) { totalCount pageInfo { endCursor hasNextPage } nodes { id text author at } } } } }";
    let page = app.query_with(query, json!({ "first": 2 })).await;
    let [first, second] = [0, 1].map(|place| page["inspections"]["nodes"][place]["comments"].clone());
    assert_eq!((&first["totalCount"], &second["totalCount"]), (&json!(5), &json!(2)));
    assert_eq!(first["nodes"][0]["text"], "comment 0 \"\u{1F600}\u{FFFD}");
    assert_eq!((&first["nodes"][0]["author"], &first["nodes"][1]["id"]), (&json!("anyone"), &ids[1]));
    let rest = app.query_with(query, json!({ "first": 9, "after": first["pageInfo"]["endCursor"] })).await;
    assert_eq!(rest["inspections"]["nodes"][0]["comments"]["nodes"].as_array().map(Vec::len), Some(3));
    let nodes =
        app.query_with("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", json!({ "ids": ids })).await;
    assert!(
        nodes["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .zip(&ids)
            .all(|(node, id)| node["id"] == *id && node["__typename"] == "Comment")
    );
    // The id of a comment's command is another one, and no command that is no comment is found as one.
    let commands = app.query("{ changes { nodes { command { id kind } } } }").await;
    let command = commands["changes"]["nodes"][0]["command"].clone();
    assert_eq!(command["kind"], "REGISTER");
    let as_comment = command["id"].as_str().expect("an id").replacen("636f6d6d-616e-8064", "636f6d6d-656e-8074", 1);
    let found = app
        .query_with(
            "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }",
            json!({ "ids": [command["id"], as_comment] }),
        )
        .await;
    assert_eq!(found["nodes"], json!([{ "__typename": "Command", "id": command["id"] }, null]));
    // Stored as one reading: a later page of the history filters by reason and actor.
    for (filter, count) in [
        ("reasonCode: [COMMENTED]", 7),
        ("reasonCode: [COMMENTED], actor: \"anyone\"", 7),
        ("actor: \"key:1\"", 0),
        ("reasonCode: []", 0),
        ("reasonCode: [REGISTERED, STATE_CHANGED]", 2),
    ] {
        let query = format!("{{ changes(filter: {{ {filter} }}) {{ totalCount }} }}");
        assert_eq!(app.query(&query).await["changes"]["totalCount"], count, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_used_once_by_each_subject_for_each_mutation() {
    let app = TestHub::start().await;
    let other = app.second_hub().await;
    let first = act(&app, REGISTER, registration("key", "K-1")).await;
    for hub in [&app, &other] {
        assert_eq!(act(hub, REGISTER, registration("key", "K-1")).await["command"], first["command"]);
        let (code, message) = refused(hub, REGISTER, &registration("key", "K-2")).await;
        assert_eq!(code, "IDEMPOTENCY_KEY_REUSED", "{message}");
        let mut with_reason = registration("key", "K-1");
        with_reason["reason"] = "why".into();
        assert_eq!(refused(hub, REGISTER, &with_reason).await.0, "IDEMPOTENCY_KEY_REUSED");
    }
    // The same key for another mutation is another key.
    let id = first["inspection"]["id"].clone();
    let comment = json!({ "idempotencyKey": "key", "inspection": id, "text": "hello" });
    // At once, over both hubs: one is carried out.
    let all = futures_util::future::join_all(
        (0..8).map(|number| act(if number % 2 == 0 { &app } else { &other }, COMMENT, comment.clone())),
    );
    let all = all.await;
    assert!(all.iter().all(|payload| payload["comment"]["id"] == all[0]["comment"]["id"]), "{all:?}");
    let counted = app.query("{ inspections { nodes { comments { totalCount } } } changes { totalCount } }").await;
    assert_eq!(counted["inspections"]["nodes"][0]["comments"]["totalCount"], 1);
    assert_eq!(counted["changes"]["totalCount"], 2);
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_free_again_after_thirty_days() {
    let app = TestHub::start().await;
    act(&app, REGISTER, registration("key", "K-1")).await;
    let db = Database::open(&app.database.address, OpenMode::SkipMigrations).await.expect("the database");
    let expire = async |clock: fn() -> DateTime<Utc>| {
        let task = IdempotencyExpiryTask { db: db.clone(), interval: Duration::from_secs(3600), clock };
        task.run_once().await.expect("deleted")
    };
    assert_eq!(expire(|| Utc::now() + TimeDelta::days(29)).await, 0);
    assert_eq!(refused(&app, REGISTER, &registration("key", "K-2")).await.0, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(expire(|| Utc::now() + TimeDelta::days(31)).await, 1);
    act(&app, REGISTER, registration("key", "K-2")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_and_leaves_nothing() {
    let app = TestHub::start().await;
    let id = register(&app, "K-1").await;
    let long = |length: usize| "x".repeat(length);
    let labels = |count: usize| {
        (0..count).map(|number| json!({ "key": format!("k{number}"), "value": "v" })).collect::<Vec<_>>()
    };
    let registers = |field: &str, value: Value| {
        let mut input = registration("bad", "K-2");
        input[field] = value;
        (REGISTER, input)
    };
    let annotates = |field: &str, value: Value| {
        let mut input = json!({ "idempotencyKey": "bad", "inspection": id });
        input[field] = value;
        (ANNOTATE, input)
    };
    let comments = |field: &str, value: Value| {
        let mut input = json!({ "idempotencyKey": "bad", "inspection": id, "text": "hello" });
        input[field] = value;
        (COMMENT, input)
    };
    let unknown = "018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d";
    let session_id = {
        app.receive("pave/session-note-insert.json").await;
        let sessions = app.query("{ sessions { nodes { id } } }").await;
        sessions["sessions"]["nodes"][0]["id"].clone()
    };
    let before = app.query("{ head { position } }").await;
    let bad = [
        (registers("idempotencyKey", json!("")), "BAD_USER_INPUT"),
        (registers("idempotencyKey", json!(long(129))), "BAD_USER_INPUT"),
        (registers("idempotencyKey", Value::Null), "GRAPHQL_VALIDATION_FAILED"),
        (registers("source", json!("nowhere")), "BAD_USER_INPUT"),
        (registers("source", json!("truto")), "BAD_USER_INPUT"),
        (registers("externalId", json!(" ")), "BAD_USER_INPUT"),
        (registers("externalId", json!(long(257))), "BAD_USER_INPUT"),
        (registers("externalId", json!("K-1 ")), "BAD_USER_INPUT"),
        (registers("reference", json!("")), "BAD_USER_INPUT"),
        (registers("reference", json!(long(257))), "BAD_USER_INPUT"),
        (registers("reason", json!(long(1001))), "BAD_USER_INPUT"),
        (registers("dueAt", json!("tomorrow")), "GRAPHQL_VALIDATION_FAILED"),
        (registers("labels", json!(labels(51))), "BAD_USER_INPUT"),
        (registers("labels", json!([{ "key": "", "value": "v" }])), "BAD_USER_INPUT"),
        (registers("labels", json!([{ "key": "a b", "value": "v" }])), "BAD_USER_INPUT"),
        (registers("labels", json!([{ "key": "a\"", "value": "v" }])), "BAD_USER_INPUT"),
        (registers("labels", json!([{ "key": long(65), "value": "v" }])), "BAD_USER_INPUT"),
        (registers("labels", json!([{ "key": "a", "value": "" }])), "BAD_USER_INPUT"),
        (registers("labels", json!([{ "key": "a", "value": long(257) }])), "BAD_USER_INPUT"),
        (registers("labels", json!([{ "key": "a", "value": "1" }, { "key": "a", "value": "2" }])), "BAD_USER_INPUT"),
        (annotates("reason", json!("nothing else")), "BAD_USER_INPUT"),
        (annotates("inspection", json!("1")), "BAD_USER_INPUT"),
        (annotates("labels", json!(labels(51))), "BAD_USER_INPUT"),
        ((ANNOTATE, json!({ "idempotencyKey": "bad", "inspection": unknown, "reference": "r" })), "NOT_FOUND"),
        ((ANNOTATE, json!({ "idempotencyKey": "bad", "inspection": session_id, "reference": "r" })), "NOT_FOUND"),
        (comments("text", json!("")), "BAD_USER_INPUT"),
        (comments("text", json!("\n\t ")), "BAD_USER_INPUT"),
        (comments("text", json!(long(10_001))), "BAD_USER_INPUT"),
        (comments("inspection", json!(unknown)), "NOT_FOUND"),
        (comments("idempotencyKey", json!("")), "BAD_USER_INPUT"),
    ];
    for ((mutation, input), code) in &bad {
        let (found, message) = refused(&app, mutation, input).await;
        assert!(
            found == *code || *code == "GRAPHQL_VALIDATION_FAILED" && found == "BAD_USER_INPUT",
            "{input}: {found} {message}"
        );
    }
    let many = json!({ "label": labels(51) });
    let answer = app
        .graphql("query($f: InspectionFilter) { inspections(filter: $f) { totalCount } }", json!({ "f": many }))
        .await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    // Fifty labels are the most, however many acts set them.
    act(&app, ANNOTATE, json!({ "idempotencyKey": "50", "inspection": id, "labels": labels(50) })).await;
    let one_more = json!({ "idempotencyKey": "51", "inspection": id, "labels": [{ "key": "more", "value": "v" }] });
    assert_eq!(refused(&app, ANNOTATE, &one_more).await.0, "BAD_USER_INPUT");
    let after = app.query("{ head { position } }").await;
    let position = |head: &Value| {
        head["head"]["position"].as_str().map_or(head["head"]["position"].as_i64(), |text| text.parse().ok())
    };
    assert_eq!(position(&after), position(&before).map(|before| before + 1));
    // A key that was refused can be used.
    act(&app, COMMENT, json!({ "idempotencyKey": "bad", "inspection": id, "text": "hello" })).await;
}

async fn with_key(app: &TestHub, token: &str, query: &str, variables: Value) -> TestResponse {
    let body = json!({ "query": query, "variables": variables });
    send_request(app.client.post(app.url("/graphql")).bearer_auth(token).json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_need_their_scope_and_see_only_their_sources() {
    let (reader, one) = settings_key("read read:personal", "");
    let (operator, two) = settings_key("read operate", "sources = [\"truepic\"]");
    let (other, three) = settings_key("read read:personal operate", "");
    let app = TestHub::with(&[one, two, three].concat()).await;
    let comment = |id: &Value| json!({ "input": { "idempotencyKey": "k", "inspection": id, "text": "CANARY" } });
    let register = json!({ "input": registration("k", "K-1") });
    let made = with_key(&app, &other, REGISTER, register.clone()).await.body["data"]["registerInspection"].clone();
    let id = &made["inspection"]["id"];
    assert_eq!(with_key(&app, &other, COMMENT, comment(id)).await.status, 200);
    for mutation in [REGISTER, ANNOTATE, COMMENT] {
        let answer = with_key(&app, &reader, mutation, register.clone()).await;
        assert_eq!(answer.body["errors"][0]["extensions"]["scope"], "operate", "{answer:?}");
    }
    // What another source has does not exist.
    let hidden = with_key(&app, &operator, COMMENT, comment(id)).await;
    assert_eq!(hidden.body["errors"][0]["extensions"]["code"], "NOT_FOUND", "{hidden:?}");
    let hidden = with_key(&app, &operator, REGISTER, register).await;
    assert!(!hidden.body.to_string().contains("hover"), "no source out of view is named: {hidden:?}");
    assert_eq!(hidden.body["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{hidden:?}");
    let command = made["command"]["id"].as_str().expect("an id");
    let node = format!("{{ node(id: \"{command}\") {{ id }} }}");
    assert_eq!(with_key(&app, &operator, &node, json!({})).await.body["data"]["node"], Value::Null);
    assert_eq!(with_key(&app, &other, &node, json!({})).await.body["data"]["node"]["id"], command);
    // What is personal of an act is withheld, and cannot be asked for.
    let (operator, four) = settings_key("read operate", "");
    let app = TestHub::on(app.database.clone(), &four).await;
    let query = "{ changes { nodes { actor command { actor reason input } inspection { comments { nodes { text author } } } } } }";
    let answer = with_key(&app, &operator, query, json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.body.to_string();
    assert!(!text.contains("CANARY") && !text.contains("key:"), "{text}");
    assert_eq!(answer.body["extensions"]["withheld"]["scope"], "read:personal", "{text}");
    let oracle = with_key(&app, &operator, "{ changes(filter: { actor: \"key:1\" }) { totalCount } }", json!({})).await;
    assert_eq!(oracle.body["errors"][0]["extensions"]["code"], "FORBIDDEN", "{oracle:?}");
}

const FAIL_POINTS: &[&str] =
    &["begun", "prefetched", "decided", "entities", "commands", "changes", "written", "committed", "unacknowledged"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_is_done_once_or_not_at_all_whenever_the_hub_is_killed() {
    let database = TestDatabase::new().await;
    let is_file = database.address.starts_with("sqlite");
    // With PostgreSQL one statement writes all tables.
    let places = FAIL_POINTS.iter().filter(|place| is_file || !["entities", "commands", "changes"].contains(place));
    let send = async |server: &HubProcess, key: &str| {
        let body = json!({ "query": REGISTER, "variables": { "input": registration(key, key) } });
        let answer = client().post(format!("{}/graphql", server.url)).json(&body).send().await.ok()?;
        answer.json::<Value>().await.ok()?["data"]["registerInspection"]["command"]["id"].as_str().map(str::to_owned)
    };
    let mut done = 0;
    for place in places {
        let mut server = HubProcess::with(&database, &[("FAILPOINT", format!("{place}:1"))]).await;
        let url = server.url.clone();
        let lost = tokio::spawn({
            let body = json!({ "query": REGISTER, "variables": { "input": registration(place, place) } });
            async move { client().post(format!("{url}/graphql")).json(&body).send().await.is_ok() }
        });
        server.wait_for_stdout(format!("stopped at {place}")).await;
        server.kill();
        assert!(!lost.await.expect("sent"), "nothing was acknowledged at {place}");
        let server = HubProcess::start(&database).await;
        let first = send(&server, place).await;
        assert!(first.is_some() && first == send(&server, place).await, "{place}");
        done += 1;
        let query = json!({ "query": "{ inspections(filter: { status: [REQUESTED] }) { totalCount } changes { totalCount } }" });
        let answer: Value = client()
            .post(format!("{}/graphql", server.url))
            .json(&query)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        assert_eq!(
            answer["data"],
            json!({ "inspections": { "totalCount": done }, "changes": { "totalCount": done } }),
            "{place}"
        );
    }
    let (code, text) = verify(&database);
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_while_people_act_loses_nothing() {
    let app = TestHub::start().await;
    for number in 0..20 {
        let name = format!("K-{number}");
        register(&app, &name).await;
        assert_eq!(app.post_json("pave", status(&name, "STARTED")).await.status, 200);
    }
    for flags in [&["--full"][..], &[]] {
        let database = app.database.clone();
        let rebuilding = tokio::task::spawn_blocking(move || rebuild(&database, flags));
        let mut number = 0;
        while !rebuilding.is_finished() {
            number += 1;
            let key = format!("{}{number}", flags.len());
            let id = register(&app, &format!("R-{key}")).await;
            act(&app, COMMENT, json!({ "idempotencyKey": key, "inspection": id, "text": "while it runs" })).await;
        }
        let (code, text) = rebuilding.await.expect("it ran");
        assert_eq!(code, Some(0), "{text}");
        let (code, text) = verify(&app.database);
        assert_eq!(code, Some(0), "{text}");
        assert!(number > 0);
    }
    // What a person damages is repaired.
    let db = sea_orm::Database::connect(&app.database.address).await.expect("the database");
    for damage in [
        "UPDATE command SET first_position = first_position + 1 WHERE row_id = (SELECT min(row_id) FROM command)",
        "UPDATE entity SET registered_at = NULL, status = NULL WHERE row_id = 1",
        "UPDATE entity SET labels = '{\"a\":\"b\"}' WHERE row_id = 1",
    ] {
        sea_orm::ConnectionTrait::execute_unprepared(&db, damage).await.expect("damaged");
        assert_eq!(verify(&app.database).0, Some(2), "{damage}");
        assert_eq!(rebuild(&app.database, &[]).0, Some(0), "{damage}");
        assert_eq!(verify(&app.database).0, Some(0), "{damage}");
    }
    wait_until("the hub follows", async || app.post_json("pave", status("K-0", "PROCESS")).await.status == 200).await;
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_keeps_its_number_when_what_it_is_about_is_not_read_any_more() {
    let app = TestHub::start().await;
    assert_eq!(app.post_json("pave", status("K-1", "STARTED")).await.status, 200);
    let found = app.inspection("pave", "K-1").await.0["id"].clone();
    act(&app, COMMENT, json!({ "idempotencyKey": "1", "inspection": found, "text": "hello" })).await;
    act(&app, ANNOTATE, json!({ "idempotencyKey": "2", "inspection": found, "reference": "claim 7" })).await;
    assert_eq!(app.post_json("pave", status("K-2", "STARTED")).await.status, 200);
    let db = sea_orm::Database::connect(&app.database.address).await.expect("the database");
    reword(&db, 1, "K-1", "K-3").await;
    for flags in [&[][..], &["--full"]] {
        assert_eq!(rebuild(&app.database, flags).0, Some(0));
        let (code, text) = verify(&app.database);
        assert!(code == Some(0) && text.contains("2 deliveries, 2 commands, "), "{text}");
    }
    // The hub continues with the next number.
    wait_until("it stores", async || app.post_json("pave", status("K-4", "STARTED")).await.status == 200).await;
    let listed = app
        .query("{ inspections(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { externalId reference } } }")
        .await;
    let names = listed["inspections"]["nodes"].as_array().expect("nodes").iter().map(|node| node["externalId"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["K-3", "K-2", "K-4"]);
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_overdue_is_asked_for_again() {
    let app = TestHub::start().await;
    let mut input = registration("1", "K-1");
    input["dueAt"] = (Utc::now() + TimeDelta::seconds(2)).to_rfc3339().into();
    act(&app, REGISTER, input).await;
    let query = "%7Binspections(filter:%7Boverdue:true%7D)%7Bnodes%7BexternalId%7D%7D%7D";
    let ask = async |tag: Option<&str>| {
        let request = app.client.get(app.url(&format!("/graphql?query={query}")));
        send_request(tag.iter().fold(request, |request, tag| request.header("if-none-match", *tag))).await
    };
    let first = ask(None).await;
    let tag = first.headers.get("etag").map(|tag| tag.to_str().expect("text").to_owned());
    wait_until("it is overdue, whatever was known", async || {
        let answer = ask(tag.as_deref()).await;
        answer.status == 200
            && answer.body["data"]["inspections"]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 1)
    })
    .await;
}

/// What must not depend on the order of the deliveries around an act.
async fn outcome(db: &Database) -> Vec<Value> {
    let mut rows: Vec<Value> = thing::Entity::find()
        .all(&db.read_pool)
        .await
        .expect("entities")
        .into_iter()
        .map(|row| {
            json!([
                row.kind.as_str(),
                row.external_id,
                row.state,
                row.status.map(|status| status.as_str()),
                row.cycle,
                row.facts,
                row.reference,
                row.customer_reference,
                row.labels,
                row.due_at,
                row.registered_at.is_some(),
                row.occurred_at
            ])
        })
        .collect();
    rows.sort_by_key(Value::to_string);
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_order_of_deliveries_around_acts_does_not_matter(
        life in scenario("truepic"), acts in proptest::collection::vec((0..20_usize, test_act()), 1..5),
        (order, batch) in (any::<u64>(), 1..7_usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let begin: DateTime<Utc> = "2026-03-02T00:00:00Z".parse().expect("a moment");
        let apply = |order: u64, times: usize, batch: usize| {
            // A shuffle that follows from the number.
            let mut deliveries: Vec<(u64, &Value)> = life.iter().flat_map(|body| vec![body; times]).enumerate()
                .map(|(place, body)| ((place as u64 + 1).wrapping_mul(order | 1).rotate_left(17), body)).collect();
            if order > 0 {
                deliveries.sort_by_key(|(key, _)| *key);
            }
            let mut records = Vec::new();
            let mut acts = acts.clone();
            acts.sort_by_key(|(place, _)| *place);
            for (place, (_, body)) in deliveries.iter().enumerate() {
                for (_, act) in acts.extract_if(.., |(due, _)| *due <= place) {
                    records.push(command_at("truepic", "7", act, begin));
                }
                records.push(incoming_at("truepic", "truepic", body, begin + TimeDelta::seconds(1)));
            }
            records.extend(acts.iter().map(|(_, act)| command_at("truepic", "7", *act, begin)));
            let mut batches = Vec::new();
            while !records.is_empty() {
                batches.push(records.drain(..batch.min(records.len())).collect::<Vec<_>>());
            }
            runtime.block_on(async {
                let database = TestDatabase::new().await;
                let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
                let mut writer = Writer::open(&db).expect("a writer");
                for batch in &batches {
                    crate::database::write(&mut writer, batch);
                }
                assert_eq!(discrepancies(&db).await, Vec::<String>::new());
                outcome(&db).await
            })
        };
        // An annotation of what is not there yet is refused, so these acts are made to begin with an announcement.
        prop_assume!(acts.iter().min_by_key(|(place, _)| *place).is_some_and(|(_, act)| matches!(act, TestAct::Register(_))));
        let in_order = apply(0, 1, 1);
        prop_assert_eq!(&apply(order, 2, batch), &in_order);
    }
}
