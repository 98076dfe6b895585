//! History, and states as of a time in the past.

use super::*;
use entity::step;

/// An inspection whose events arrived out of order: `PROCESS` before `STARTED`.
async fn fixture() -> (ApiFixture, Uuid) {
    let hub = ApiFixture::new().await;
    let id = hub.inspection(1).await;
    hub.entity(2, EntityType::Session, |row| row.inspection_row_id = Some(1)).await;
    hub.change(1, Kind::Inspection, 1, |row| {
        (row.from_state, row.from_status) = (None, None);
        (row.to_state, row.to_status) = (Some("PROCESS".into()), Some(Status::InProgress));
        row.received_at = BEGIN + 100 * SECOND;
        row.occurred_at = Some(BEGIN + 50 * SECOND);
        row.verdict = Verdict::SkippedAhead;
    })
    .await;
    hub.change(2, Kind::Session, 2, |row| row.received_at = BEGIN + 100 * SECOND).await;
    hub.change(3, Kind::Inspection, 1, |row| {
        (row.from_state, row.from_status) = (Some("PROCESS".into()), Some(Status::InProgress));
        (row.to_state, row.to_status) = (Some("PROCESS".into()), Some(Status::InProgress));
        row.received_at = BEGIN + 200 * SECOND;
        row.occurred_at = Some(BEGIN + 40 * SECOND);
        row.verdict = Verdict::Stale;
        row.delivery_row_id = Some(2);
    })
    .await;
    for (seq, position, state, status, seconds) in
        [(0, 3, "STARTED", Status::Started, 40), (1, 1, "PROCESS", Status::InProgress, 50)]
    {
        let row = step::Model {
            entity_row_id: 1,
            seq,
            position,
            target_state: state.into(),
            at_least: false,
            occurred_at: Some(BEGIN + seconds * SECOND),
            order_cycle: 0,
            order_rank: 10,
            received_at: BEGIN,
            effective_at: BEGIN + seconds * SECOND,
            state_after: Some(state.into()),
            status_after: Some(status),
            cycle_after: 0,
        };
        step::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&hub.writer)
            .await
            .expect("inserted");
    }
    hub.delivery(1, 1, 2, |_| {}).await;
    hub.delivery(2, 3, 1, |_| {}).await;
    (hub, id)
}

async fn as_of(hub: &ApiFixture, id: Uuid, seconds: i64, clock: &str) -> Value {
    let query = format!(
        "{{ inspection(id: \"{id}\") {{ asOf(at: \"{}\"{clock}) {{
           at clock state status cycle position event occurredAt receivedAt }} }} }}",
        at(seconds).replace("+00:00", "Z")
    );
    hub.query(query).await["inspection"]["asOf"].clone()
}

#[tokio::test]
async fn the_past_is_what_was_known_then() {
    let (hub, id) = fixture().await;
    assert_eq!(as_of(&hub, id, 99, "").await, Value::Null);
    let known = as_of(&hub, id, 100, "").await;
    assert_eq!(
        known,
        serde_json::json!({
            "at": at(100), "clock": "RECEIVED", "state": "PROCESS", "status": "IN_PROGRESS", "cycle": 0, "position": 1,
            "event": "SESSION:STATUS_CHANGE", "occurredAt": at(50), "receivedAt": at(100),
        })
    );
    let later = as_of(&hub, id, 86_400, ", clock: RECEIVED").await;
    assert_eq!((&later["state"], &later["position"]), (&"PROCESS".into(), &3.into()));
}

#[tokio::test]
async fn the_past_is_what_had_happened_by_then() {
    let (hub, id) = fixture().await;
    assert_eq!(as_of(&hub, id, 39, ", clock: OCCURRED").await, Value::Null);
    let started = as_of(&hub, id, 40, ", clock: OCCURRED").await;
    assert_eq!(
        started,
        serde_json::json!({
            "at": at(40), "clock": "OCCURRED", "state": "STARTED", "status": "STARTED", "cycle": 0, "position": 3,
            "event": "SESSION:STATUS_CHANGE", "occurredAt": at(40), "receivedAt": at(200),
        })
    );
    assert_eq!(as_of(&hub, id, 50, ", clock: OCCURRED").await["state"], "PROCESS");
}

#[tokio::test]
async fn an_entity_has_its_own_history_and_an_inspection_all_under_it() {
    let (hub, id) = fixture().await;
    let data = hub
        .query(format!(
            "{{ inspection(id: \"{id}\") {{ history {{ nodes {{ position verdict entityId }} totalCount }}
                 newest: history(last: 1) {{ nodes {{ position }} pageInfo {{ hasPreviousPage }} }} }}
               changes(filter: {{ inspection: \"{id}\" }}) {{ nodes {{ position kind }} totalCount }} }}"
        ))
        .await;
    let history = &data["inspection"]["history"];
    assert_eq!(texts(history, &["nodes", "position"]), ["1", "3"]);
    assert_eq!(texts(history, &["nodes", "verdict"]), ["SKIPPED_AHEAD", "STALE"]);
    assert_eq!(texts(history, &["nodes", "entityId"]), [id.to_string(), id.to_string()]);
    assert_eq!(history["totalCount"], 2);
    assert_eq!(texts(&data, &["inspection", "newest", "nodes", "position"]), ["3"]);
    assert_eq!(data["inspection"]["newest"]["pageInfo"]["hasPreviousPage"], true);
    assert_eq!(texts(&data, &["changes", "nodes", "kind"]), ["INSPECTION", "SESSION", "INSPECTION"]);
    assert_eq!(data["changes"]["totalCount"], 3);
}

#[tokio::test]
async fn changes_are_filtered() {
    let (hub, id) = fixture().await;
    let delivery = crate::store::read::delivery_id(2);
    for (filter, expected) in [
        ("", "1 2 3"),
        ("kind: [SESSION]", "2"),
        ("verdict: [STALE, REFUSED]", "3"),
        (r#"event: ["other"]"#, ""),
        ("toStatus: [IN_PROGRESS]", "1 3"),
        (&format!("entity: \"{id}\""), "1 3"),
        (&format!("delivery: \"{delivery}\""), "3"),
        (r#"entity: "00000000-0000-0000-0000-000000000000""#, ""),
        (r#"source: ["lot"], vendor: ["pave"]"#, "1 2 3"),
    ] {
        let data =
            hub.query(format!("{{ changes(filter: {{ {filter} }}) {{ nodes {{ position }} totalCount }} }}")).await;
        assert_eq!(texts(&data, &["changes", "nodes", "position"]).join(" "), expected, "{filter}");
        assert_eq!(data["changes"]["totalCount"], expected.split_whitespace().count(), "{filter}");
    }
}

#[tokio::test]
async fn history_pages_by_the_cursors_of_changes() {
    let (hub, id) = fixture().await;
    let data = hub.query("{ changes(first: 2) { nodes { cursor } pageInfo { endCursor hasNextPage } } }").await;
    let end = &data["changes"]["pageInfo"]["endCursor"];
    assert_eq!(end, &data["changes"]["nodes"][1]["cursor"]);
    let next = hub
        .query(format!(
            "{{ changes(after: {end}) {{ nodes {{ position }} pageInfo {{ hasNextPage hasPreviousPage }} }}
               inspection(id: \"{id}\") {{ history(after: {end}) {{ nodes {{ position }} }} }} }}"
        ))
        .await;
    assert_eq!(texts(&next, &["changes", "nodes", "position"]), ["3"]);
    assert_eq!(next["changes"]["pageInfo"], serde_json::json!({ "hasNextPage": false, "hasPreviousPage": true }));
    assert_eq!(texts(&next, &["inspection", "history", "nodes", "position"]), ["3"]);
}

#[tokio::test]
async fn a_change_leads_to_what_it_is_about_and_what_brought_it() {
    let (hub, id) = fixture().await;
    let data = hub
        .query(
            "{ changes { nodes { kind inspection { id } session { externalId } job { id } item { id } leavesFilter
               delivery { changes { nodes { position } totalCount } } } } }",
        )
        .await;
    let nodes = &data["changes"]["nodes"];
    assert_eq!(texts(nodes, &["inspection", "id"]), vec![id.to_string(); 3]);
    assert_eq!(texts(nodes, &["session", "externalId"]), ["null", "KEY-2", "null"]);
    assert_eq!(texts(&nodes[0], &["delivery", "changes", "nodes", "position"]), ["1", "2"]);
    assert_eq!(texts(&nodes[2], &["delivery", "changes", "nodes", "position"]), ["3"]);
    assert_eq!(nodes[0]["delivery"]["changes"]["totalCount"], 2);
}

/// Under a key the past is asked for in advance, in a list it is not.
#[tokio::test]
async fn the_past_is_the_same_whether_it_was_foreseen_or_not() {
    let (hub, id) = fixture().await;
    for (definition, fields) in [
        ("", "asOf(at: $at, clock: OCCURRED) { state position }"),
        ("", "asOf(at: $at) { state position }"),
        ("", "a: asOf(at: $at) { state } b: asOf(at: $at) { position } c: asOf(at: $at, clock: OCCURRED) { state }"),
        (", $clock: Clock! = OCCURRED", "asOf(at: $at, clock: $clock) { state position }"),
        ("", "...Past"),
    ] {
        for seconds in [39, 45, 100, 500] {
            let variables = serde_json::json!({ "at": at(seconds) });
            let fragment = match fields {
                "...Past" => "fragment Past on Inspection { asOf(at: $at) { state event } }",
                _ => "",
            };
            let ask = async |root: &str| {
                hub.statements.lock().expect("a log").clear();
                let query = format!("query($at: DateTime!{definition}) {{ {root} }} {fragment}");
                let data = hub.query_with(query, variables.clone()).await;
                (data, hub.statements.lock().expect("a log").len())
            };
            let (by_key, statements) = ask(&format!("inspection(id: \"{id}\") {{ {fields} }}")).await;
            let (in_list, of_list) = ask(&format!("inspections {{ nodes {{ {fields} }} }}")).await;
            assert_eq!(by_key["inspection"], in_list["inspections"]["nodes"][0], "{fields} at {seconds}");
            // `b` asks once more what `a` has taken.
            assert!(statements <= of_list + 1, "{fields}: {statements} and {of_list}");
        }
    }
    let nothing =
        hub.query(format!("{{ inspection(id: \"{}\") {{ asOf(at: \"{}\") {{ state }} }} }}", Uuid::nil(), at(1)));
    assert_eq!(nothing.await["inspection"], Value::Null);
}
