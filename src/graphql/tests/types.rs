//! The fields of the objects.

use super::*;

#[tokio::test]
async fn an_inspection_tells_all_of_it() {
    let hub = ApiFixture::new().await;
    let id = hub
        .entity(1, EntityType::Inspection, |row| {
            row.reference = Some("order 7".into());
            row.cycle = 1;
            row.facts =
                r#"{"vehicle":{"vin":"5FNRL6H58LB051014","year":2020},"summary":{"damageCount":3,"damage_count":2}}"#
                    .into();
            row.details =
                r#"{"big":123456789012345678901234567890,"n":1e400,"s":"\u0000","nested":{"a":[1,2.5,null]}}"#.into();
            row.occurred_at = Some(BEGIN);
        })
        .await;
    let data = hub
        .query(
            "{ inspectionByExternalId(source: \"lot\", externalId: \"KEY-1\") {
               __typename id source vendor externalId reference group status state cycle createdAt updatedAt occurredAt position
               subject { vehicle { vin year make } property { name } } summary { damageCount } details
               nextStates { state status reopening description } } }",
        )
        .await;
    let expected = serde_json::json!({
        "__typename": "Inspection", "id": id.to_string(), "source": "lot", "vendor": "pave", "externalId": "KEY-1",
        "reference": "order 7", "group": null, "status": "STARTED", "state": "STARTED", "cycle": 1,
        "createdAt": at(1), "updatedAt": at(1), "occurredAt": at(0), "position": 1,
        "subject": { "vehicle": { "vin": "5FNRL6H58LB051014", "year": 2020, "make": null }, "property": null },
        "summary": { "damageCount": 2 },
        "details": { "big": "123456789012345678901234567890", "n": "1e400", "s": "\u{fffd}", "nested": { "a": [1, 2.5, null] } },
        "nextStates": [
            { "state": "PROCESS", "status": "IN_PROGRESS", "reopening": false, "description": "Pictures of the vehicle are being taken." },
            { "state": "EXPIRED", "status": "EXPIRED", "reopening": false, "description": "Not all pictures were taken in time." },
            { "state": "INVALID", "status": "FAILED", "reopening": false, "description": "The VIN did not match, or the pictures could not be used." },
        ],
    });
    assert_eq!(data["inspectionByExternalId"], expected);
}

#[tokio::test]
async fn sessions_jobs_and_items_lead_up_and_down() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    let session = hub.entity(2, EntityType::Session, |row| row.inspection_row_id = Some(1)).await;
    let job = hub
        .entity(3, REPORT, |row| {
            (row.inspection_row_id, row.parent_row_id) = (Some(1), Some(2));
            row.status = Some(Status::Succeeded);
            row.facts = r#"{"document":{"url":"https://example.test/report.pdf"}}"#.into();
        })
        .await;
    hub.entity(4, PHOTO, |row| {
        (row.inspection_row_id, row.parent_row_id) = (Some(1), Some(2));
        (row.state, row.status) = (Some("accepted".into()), None);
        row.facts = r#"{"photo":{"label":"Front left"}}"#.into();
    })
    .await;
    hub.entity(5, EntityType::Item(ItemKind::Note), |row| row.status = None).await;
    let data = hub
        .query(format!(
            "{{ session(id: \"{session}\") {{ status inspection {{ externalId }} parent {{ id }}
                 jobs {{ nodes {{ id kind status document {{ url }} run {{ accountId }} }} }}
                 items(kind: [PHOTO]) {{ nodes {{ kind state photo {{ label }} note {{ text }} nextStates {{ state }} }} }} }}
               job(id: \"{job}\") {{ parent {{ __typename id ... on Session {{ externalId }} }} }}
               items(filter: {{ kind: [NOTE] }}) {{ nodes {{ inspection {{ id }} parent {{ id }} }} }} }}"
        ))
        .await;
    let expected = serde_json::json!({
        "session": {
            "status": "STARTED", "inspection": { "externalId": "KEY-1" }, "parent": null,
            "jobs": { "nodes": [{
                "id": job.to_string(), "kind": "CONDITION_REPORT", "status": "SUCCEEDED",
                "document": { "url": "https://example.test/report.pdf" }, "run": null,
            }] },
            "items": { "nodes": [{
                "kind": "PHOTO", "state": "accepted", "photo": { "label": "Front left" }, "note": null,
                "nextStates": [{ "state": "rejected" }],
            }] },
        },
        "job": { "parent": { "__typename": "Session", "id": session.to_string(), "externalId": "KEY-2" } },
        "items": { "nodes": [{ "inspection": null, "parent": null }] },
    });
    assert_eq!(data, expected);
}

#[tokio::test]
async fn nodes_are_found_by_id_alone() {
    let hub = ApiFixture::new().await;
    let inspection = hub.inspection(1).await;
    let job = hub.entity(2, REPORT, |row| row.details = r#"{"a":1}"#.into()).await;
    let delivery = hub.delivery(7, 1, 0, |_| {}).await;
    let unknown = Uuid::nil();
    let data = hub
        .query(format!(
            "{{ nodes(ids: [\"{delivery}\", \"{unknown}\", \"{job}\", \"{inspection}\", \"{job}\"]) {{
                 __typename id ... on Job {{ details }}
                 ... on Delivery {{ method contentType headers bodyText size verdict reason }} }}
               inspection(id: \"{job}\") {{ id }} }}"
        ))
        .await;
    let job = serde_json::json!({ "__typename": "Job", "id": job.to_string(), "details": { "a": 1 } });
    let expected = serde_json::json!([
        {
            "__typename": "Delivery", "id": delivery.to_string(), "method": "POST", "contentType": "application/json",
            "headers": { "content-type": "application/json" }, "bodyText": "{\"event\":\"SESSION:STATUS_CHANGE\"}",
            "size": 33, "verdict": "APPLIED", "reason": "first seen",
        },
        null, job, { "__typename": "Inspection", "id": inspection.to_string() }, job,
    ]);
    assert_eq!(data["nodes"], expected);
    assert_eq!(data["inspection"], Value::Null);
}

#[tokio::test]
async fn a_change_has_an_id_as_long_as_its_history_is_the_same() {
    let hub = ApiFixture::new().await;
    let inspection = hub.inspection(1).await;
    hub.delivery(1, 1, 2, |_| {}).await;
    for position in 1..=3 {
        hub.change(position, Kind::Inspection, 1, |row| row.reason_params = Some(format!(r#"{{"to":"{position}"}}"#)))
            .await;
    }
    let lists = "{ changes { nodes { id position reason } } inspections { nodes { history { nodes { id } } } }
        deliveries { nodes { changes { nodes { id } } } } }";
    let data = hub.query(lists).await;
    let ids = texts(&data, &["changes", "nodes", "id"]);
    assert_eq!(texts(&data, &["inspections", "nodes", "history", "nodes", "id"]), ids);
    assert_eq!(texts(&data, &["deliveries", "nodes", "changes", "nodes", "id"]), ids[..2]);
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 3);
    let node = async |id: &str| {
        let query = format!("{{ node(id: \"{id}\") {{ __typename id ... on Change {{ position reason }} }} }}");
        hub.query(query).await["node"].clone()
    };
    for (id, change) in ids.iter().zip(data["changes"]["nodes"].as_array().expect("changes")) {
        let mut expected = change.clone();
        expected["__typename"] = "Change".into();
        assert_eq!(node(id).await, expected);
    }
    let some =
        hub.query(format!("{{ nodes(ids: [\"{}\", \"{inspection}\", \"{0}\"]) {{ __typename id }} }}", ids[1])).await;
    assert_eq!(texts(&some, &["nodes", "id"]), [ids[1].as_str(), &inspection.to_string(), &ids[1]]);
    // One that is not there yet, and one of another history.
    let other = crate::store::read::change_id;
    assert_eq!(node(&other(GENERATION, 4).to_string()).await, Value::Null);
    assert_eq!(node(&other(GENERATION + 1, 1).to_string()).await, Value::Null);
    // One that was removed.
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, "DELETE FROM change_row WHERE position = 1")
        .await
        .expect("gone");
    assert_eq!(node(&ids[0]).await, Value::Null);
    // After a rebuild, another change can have the same position: it has an id of its own.
    let rebuilt = format!("UPDATE log_head SET generation = {}", GENERATION + 1);
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, &rebuilt).await.expect("rebuilt");
    assert_eq!(node(&ids[1]).await, Value::Null);
    let now = texts(&hub.query("{ head { position } changes { nodes { id } } }").await, &["changes", "nodes", "id"]);
    assert_eq!(now, [2, 3].map(|position| other(GENERATION + 1, position).to_string()));
    assert_eq!(node(&now[0]).await["reason"], "first seen, in state 2");
}

#[tokio::test]
async fn statuses_are_counted_in_the_order_of_a_life() {
    let hub = ApiFixture::new().await;
    for number in 1..=3 {
        hub.inspection(number).await;
    }
    hub.entity(4, EntityType::Inspection, |row| row.status = Some(Status::Expired)).await;
    hub.entity(5, EntityType::Inspection, |row| row.status = None).await;
    hub.entity(6, EntityType::Session, |_| {}).await;
    let data = hub
        .query("{ statusCounts { status count } open: statusCounts(filter: { status: [EXPIRED] }) { count } }")
        .await;
    assert_eq!(texts(&data, &["statusCounts", "count"]).join(" "), "0 3 0 0 0 0 0 0 1 0");
    assert_eq!(data["statusCounts"][1]["status"], "STARTED");
    assert_eq!(texts(&data, &["open", "count"]).join(" "), "0 0 0 0 0 0 0 0 1 0");
}

#[tokio::test]
async fn sources_tell_how_they_fare() {
    let hub = ApiFixture::new().await;
    let ledger = entity::ledger::Model {
        source: "lot".into(),
        received: 5_000_000_000,
        duplicates: 1,
        applied: 4_999_999_999,
        received_at: Some(BEGIN),
        ..Default::default()
    };
    entity::ledger::Entity::insert(ledger.into_active_model().reset_all())
        .exec_without_returning(&hub.writer)
        .await
        .expect("inserted");
    for (code, seconds) in [("b", 2), ("a", 3), ("c", 1)] {
        let row = entity::handshake::Model {
            source: "lot".into(),
            code: code.into(),
            requested_at: BEGIN + seconds * SECOND,
            confirmed_at: None,
            attempts: 1,
            last_error: Some(format!("{code} was refused")),
        };
        entity::handshake::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&hub.writer)
            .await
            .expect("inserted");
    }
    hub.delivery(1, 1, 0, |_| {}).await;
    hub.delivery(2, 1, 0, |row| row.verdict = Verdict::Refused).await;
    let data = hub
        .query(
            "{ sources { name vendor title verification open url lastReceivedAt lastVerdict
               ledger { received duplicates applied orphaned } handshake { requestedAt confirmedAt attempts lastError } } }",
        )
        .await;
    let expected = serde_json::json!([
        {
            "name": "lot", "vendor": "pave", "title": "PAVE", "verification": ["basic"], "open": false,
            "url": "https://hub.example/webhooks/lot", "lastReceivedAt": at(0), "lastVerdict": "REFUSED",
            "ledger": { "received": 5_000_000_000_i64, "duplicates": 1, "applied": 4_999_999_999_i64, "orphaned": 0 },
            "handshake": { "requestedAt": at(3), "confirmedAt": null, "attempts": 1, "lastError": "a was refused" },
        },
        {
            "name": "yard", "vendor": "pave", "title": "PAVE", "verification": [], "open": true,
            "url": null, "lastReceivedAt": null, "lastVerdict": null,
            "ledger": { "received": 0, "duplicates": 0, "applied": 0, "orphaned": 0 }, "handshake": null,
        },
    ]);
    assert_eq!(data["sources"], expected);
}

#[tokio::test]
async fn state_machines_are_told() {
    let hub = ApiFixture::new().await;
    let data = hub
        .query(
            "{ stateMachines(vendor: \"pave\") { vendor name kind jobKind itemKind mermaid
               states { name status rank terminal initial description } transitions { from to reopening note } } }",
        )
        .await;
    let names = texts(&data, &["stateMachines", "name"]);
    assert_eq!(names, ["pave/inspection", "pave/session", "pave/job/condition_report", "pave/item/photo"]);
    let report = &data["stateMachines"][2];
    assert_eq!((&report["kind"], &report["jobKind"]), (&"JOB".into(), &"CONDITION_REPORT".into()));
    assert_eq!(texts(report, &["states", "initial"]), ["true", "false"]);
    assert_eq!(
        report["transitions"][0],
        serde_json::json!({ "from": null, "to": "CONFIRM", "reopening": false, "note": null })
    );
    assert!(report["mermaid"].as_str().is_some_and(|text| text.starts_with("stateDiagram-v2")));
    let all = hub.query("{ stateMachines { name } }").await;
    assert!(texts(&all, &["stateMachines", "name"]).len() >= 4);
}

#[tokio::test]
async fn the_head_is_the_newest_change() {
    let hub = ApiFixture::new().await;
    let empty = hub.query("{ head { position time cursor } }").await;
    assert_eq!((&empty["head"]["position"], &empty["head"]["time"]), (&0.into(), &Value::Null));
    hub.change(1, Kind::Inspection, 1, |_| {}).await;
    let data = hub.query("{ head { position time cursor } changes { nodes { cursor } } }").await;
    assert_eq!(data["head"]["time"], at(1));
    assert_eq!(data["head"]["cursor"], data["changes"]["nodes"][0]["cursor"]);
}
