//! Lists as of a time in the past.

use super::*;

/// Three inspections, first received after 1, 2 and 3 seconds, all `STARTED`; the first moved on after 4 seconds. It
/// happened half a second before. By now all are completed.
async fn fixture() -> ApiFixture {
    let hub = ApiFixture::new().await;
    for number in 1..=3 {
        hub.entity(number, EntityType::Inspection, |row| {
            (row.steps_materialized, row.inspection_row_id) = (false, Some(number));
            (row.state, row.status) = (Some("CONFIRM".into()), Some(Status::Completed));
            row.reference = Some(format!("VIN-{number}"));
        })
        .await;
        hub.change(number, Kind::Inspection, number, |row| row.target_state = Some("STARTED".into())).await;
    }
    hub.change(4, Kind::Inspection, 1, |row| {
        (row.to_state, row.to_status) = (Some("PROCESS".into()), Some(Status::InProgress));
        row.target_state = row.to_state.clone();
        row.occurred_at = Some(BEGIN + 7 * SECOND / 2);
        row.previous_step = Some(1);
    })
    .await;
    hub.entity(9, EntityType::Session, |row| {
        (row.steps_materialized, row.inspection_row_id, row.created_at) = (false, Some(1), BEGIN + 4 * SECOND);
    })
    .await;
    hub.change(5, Kind::Session, 9, |row| {
        row.received_at = BEGIN + 4 * SECOND;
        row.target_state = Some("STARTED".into());
    })
    .await;
    hub
}

/// External ids and statuses of what a field answers.
async fn as_of_list_rows(hub: &ApiFixture, arguments: &str) -> Vec<String> {
    let query = format!("{{ inspectionsAsOf({arguments}) {{ nodes {{ status inspection {{ externalId }} }} }} }}");
    let nodes = hub.query(query).await["inspectionsAsOf"]["nodes"].clone();
    let ids = texts(&nodes, &["inspection", "externalId"]);
    ids.iter().zip(texts(&nodes, &["status"])).map(|(id, status)| format!("{id} {status}")).collect()
}

fn moment(seconds: i64) -> String {
    format!("at: \"{}\"", at(seconds).replace("+00:00", "Z"))
}

#[tokio::test]
async fn a_board_shows_who_was_there_and_how_each_stood() {
    let hub = fixture().await;
    assert_eq!(as_of_list_rows(&hub, &moment(0)).await, [""; 0]);
    assert_eq!(as_of_list_rows(&hub, &moment(2)).await, ["KEY-2 STARTED", "KEY-1 STARTED"]);
    assert_eq!(as_of_list_rows(&hub, &moment(4)).await, ["KEY-3 STARTED", "KEY-2 STARTED", "KEY-1 IN_PROGRESS"]);
    let ascending = format!("{}, direction: ASC", moment(3));
    assert_eq!(as_of_list_rows(&hub, &ascending).await, ["KEY-1 STARTED", "KEY-2 STARTED", "KEY-3 STARTED"]);
}

#[tokio::test]
async fn a_board_goes_by_either_clock() {
    let hub = fixture().await;
    let half = "at: \"2024-01-01T00:00:03.5Z\"";
    assert_eq!(as_of_list_rows(&hub, half).await[2], "KEY-1 STARTED");
    assert_eq!(as_of_list_rows(&hub, &format!("{half}, clock: OCCURRED")).await[2], "KEY-1 IN_PROGRESS");
}

#[tokio::test]
async fn what_can_change_is_filtered_by_what_it_was() {
    let hub = fixture().await;
    for (filter, expected) in [
        ("status: [STARTED]", "KEY-3 STARTED, KEY-2 STARTED"),
        ("status: [COMPLETED]", ""),
        ("status: []", ""),
        ("state: [\"PROCESS\", \"CONFIRM\"]", "KEY-1 IN_PROGRESS"),
        ("reference: \"VIN-2\"", "KEY-2 STARTED"),
        ("externalId: \"KEY-1\"", "KEY-1 IN_PROGRESS"),
        ("vendor: [\"pave\"], source: [\"yard\"]", ""),
    ] {
        for clock in ["RECEIVED", "OCCURRED"] {
            let arguments = format!("{}, clock: {clock}, filter: {{ {filter} }}", moment(4));
            assert_eq!(as_of_list_rows(&hub, &arguments).await.join(", "), expected, "{arguments}");
            let count = hub.query(format!("{{ inspectionsAsOf({arguments}, first: 1) {{ totalCount }} }}")).await;
            let expected = expected.split(", ").filter(|row| !row.is_empty()).count();
            assert_eq!(count["inspectionsAsOf"]["totalCount"], expected, "{arguments}");
        }
    }
}

#[tokio::test]
async fn a_row_is_of_then_and_the_thing_under_it_of_now() {
    let hub = fixture().await;
    let data = hub
        .query(format!(
            "{{ inspectionsAsOf({at}, last: 1) {{ nodes {{ at clock state cycle position event receivedAt occurredAt
               inspection {{ state status sessions {{ nodes {{ asOf({at}) {{ status }} }} }} }} }} }}
               sessionsAsOf({at}) {{ nodes {{ status session {{ externalId inspection {{ externalId }} }} }} totalCount }}
               jobsAsOf({at}) {{ nodes {{ status job {{ id kind }} }} }}
               before: sessionsAsOf({}) {{ totalCount }} }}",
            moment(3),
            at = moment(4),
        ))
        .await;
    let session = serde_json::json!({ "asOf": { "status": "STARTED" } });
    assert_eq!(
        data["inspectionsAsOf"]["nodes"][0],
        serde_json::json!({
            "at": at(4), "clock": "RECEIVED", "state": "PROCESS", "cycle": 0, "position": 4,
            "event": "SESSION:STATUS_CHANGE", "receivedAt": at(4), "occurredAt": "2024-01-01T00:00:03.500+00:00",
            "inspection": { "state": "CONFIRM", "status": "COMPLETED", "sessions": { "nodes": [session] } },
        })
    );
    let session = serde_json::json!({ "externalId": "KEY-9", "inspection": { "externalId": "KEY-1" } });
    assert_eq!(data["sessionsAsOf"]["nodes"][0], serde_json::json!({ "status": "STARTED", "session": session }));
    assert_eq!((&data["sessionsAsOf"]["totalCount"], &data["before"]["totalCount"]), (&1.into(), &0.into()));
    assert_eq!(data["jobsAsOf"]["nodes"], serde_json::json!([]));
}

#[tokio::test]
async fn a_board_is_read_page_by_page() {
    let hub = fixture().await;
    let page = async |arguments: String| {
        let query = format!(
            "{{ inspectionsAsOf({}, {arguments}) {{ nodes {{ inspection {{ externalId }} }}
               pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}",
            moment(4)
        );
        let part = hub.query(query).await["inspectionsAsOf"].clone();
        (texts(&part, &["nodes", "inspection", "externalId"]).join(" "), part["pageInfo"].clone())
    };
    let (rows, first) = page("first: 2".into()).await;
    assert_eq!((rows.as_str(), &first["hasNextPage"]), ("KEY-3 KEY-2", &true.into()));
    // Changes that arrive between the pages are not in the list.
    hub.entity(10, EntityType::Inspection, |_| {}).await;
    hub.change(6, Kind::Inspection, 10, |_| {}).await;
    let (rows, second) = page(format!("first: 2, after: {}", first["endCursor"])).await;
    assert_eq!((rows.as_str(), &second["hasNextPage"]), ("KEY-1", &false.into()));
    let (rows, back) = page(format!("last: 1, before: {}", second["startCursor"])).await;
    assert_eq!((rows.as_str(), &back["hasPreviousPage"]), ("KEY-2", &true.into()));
}

#[tokio::test]
async fn statuses_are_counted_as_they_were() {
    let hub = fixture().await;
    let counts = async |field: &str| {
        let data = hub.query(format!("{{ counts: {field} {{ status count }} }}")).await;
        assert_eq!(data["counts"].as_array().map(Vec::len), Some(10));
        let rows = data["counts"].as_array().cloned().unwrap_or_default().into_iter();
        let counted = rows.filter(|row| row["count"] != 0);
        counted.map(|row| format!("{} {}", row["status"], row["count"]).replace('"', "")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(counts("statusCounts").await, "COMPLETED 3");
    assert_eq!(counts(&format!("statusCountsAsOf({})", moment(4))).await, "STARTED 2, IN_PROGRESS 1");
    assert_eq!(counts(&format!("statusCountsAsOf({}, clock: OCCURRED)", moment(3))).await, "STARTED 3");
    let one = format!("statusCountsAsOf({}, filter: {{ reference: \"VIN-1\" }})", moment(4));
    assert_eq!(counts(&one).await, "IN_PROGRESS 1");
}

#[tokio::test]
async fn the_future_is_refused_and_so_is_an_unknown_clock() {
    let hub = fixture().await;
    let list = |arguments: &str| format!("{{ inspectionsAsOf({arguments}) {{ nodes {{ state }} }} }}");
    hub.query(list("at: \"2024-01-02T00:00:00Z\"")).await;
    for query in [
        list("at: \"2024-01-02T00:00:00.000001Z\""),
        "{ statusCountsAsOf(at: \"2099-01-01T00:00:00Z\") { count } }".into(),
    ] {
        let (code, message, hint) = hub.error_of(query).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains("in the future"), "{message}");
        assert!(hint.contains("The hub's clock says 2024-01-02T00:00:00Z"), "{hint}");
    }
    for (arguments, word) in [
        ("at: \"2024-01-01T00:00:04Z\", clock: SUN", "SUN"),
        ("at: \"yesterday\"", "at"),
        ("clock: RECEIVED", "at"),
        ("at: \"2024-01-01T00:00:04Z\", filter: { stalledFor: \"1h\" }", "stalledFor"),
    ] {
        let (_, message, _) = hub.error_of(list(arguments)).await;
        assert!(message.contains(word), "{message}");
    }
    let (code, ..) = hub.error_of(list("at: \"2024-01-01T00:00:04Z\", after: \"YzE6NDI\"")).await;
    assert_eq!(code, "CURSOR_INVALID");
}
