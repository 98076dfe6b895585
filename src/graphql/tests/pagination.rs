//! Pages, orders and filters.

use super::*;
use crate::graphql::cursor::Cursor;
use crate::store::read::SortDirection;

/// Ten inspections, whose order of updates is not that of their creation.
async fn ten_inspections() -> ApiFixture {
    let hub = ApiFixture::new().await;
    for number in 1..=10 {
        hub.entity(number, EntityType::Inspection, |row| row.position = (number % 3) * 100 + number).await;
    }
    hub
}

/// Reads a list page by page.
async fn page_through(hub: &ApiFixture, order: &str, forward: bool) -> Vec<String> {
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    for _ in 0..10 {
        let page = if forward { "first: 3, after: $cursor" } else { "last: 3, before: $cursor" };
        let query = format!(
            "query($cursor: String) {{ inspections({page} {order}) {{
               nodes {{ externalId }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} totalCount }} }}"
        );
        let data = hub.query_with(query, serde_json::json!({ "cursor": cursor })).await;
        let list = &data["inspections"];
        assert_eq!(list["totalCount"], 10);
        let mut keys = texts(list, &["nodes", "externalId"]);
        let info = &list["pageInfo"];
        if !forward {
            keys.reverse();
        }
        seen.extend(keys);
        let (more, before, end) = match forward {
            true => (&info["hasNextPage"], &info["hasPreviousPage"], &info["endCursor"]),
            false => (&info["hasPreviousPage"], &info["hasNextPage"], &info["startCursor"]),
        };
        assert_eq!(before, &Value::Bool(seen.len() > 3));
        cursor = end.clone();
        if more == &Value::Bool(false) {
            return seen;
        }
    }
    panic!("the list does not end: {seen:?}");
}

#[tokio::test]
async fn a_page_goes_on_behind_what_is_forgotten() {
    let hub = ten_inspections().await;
    let page = async |order: &str, after: &str| {
        let query = format!(
            "{{ inspections(first: 2, {after} orderBy: {{ field: CREATED_AT, direction: {order} }}) {{
            nodes {{ externalId }} pageInfo {{ endCursor }} }} }}"
        );
        hub.query(query).await["inspections"].clone()
    };
    for (order, gone, expected) in [("ASC", 2, ["KEY-3", "KEY-4"]), ("DESC", 9, ["KEY-8", "KEY-7"])] {
        let first = page(order, "").await;
        let after = format!("after: {}", first["pageInfo"]["endCursor"]);
        let purge = format!("DELETE FROM entity WHERE row_id = {gone}");
        sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, &purge).await.expect("purged");
        assert_eq!(texts(&page(order, &after).await, &["nodes", "externalId"]), expected);
    }
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, "DELETE FROM entity WHERE row_id < 4")
        .await
        .expect("gone");
    let after = format!("after: \"{}\"", Cursor::created(2, SortDirection::Asc).encode());
    assert_eq!(texts(&page("ASC", &after).await, &["nodes", "externalId"]), ["KEY-4", "KEY-5"]);
}

#[tokio::test]
async fn pages_join_without_gap_or_repeat_in_every_order_and_both_ways() {
    let hub = ten_inspections().await;
    let by_update = ["KEY-3", "KEY-6", "KEY-9", "KEY-1", "KEY-4", "KEY-7", "KEY-10", "KEY-2", "KEY-5", "KEY-8"];
    let by_creation: Vec<_> = (1..=10).map(|number| format!("KEY-{number}")).collect();
    let reversed = |keys: &[&str]| keys.iter().rev().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let creation: Vec<_> = by_creation.iter().map(String::as_str).collect();
    for (order, expected) in [
        ("orderBy: { field: UPDATED_AT, direction: ASC }", by_update.map(str::to_owned).to_vec()),
        ("orderBy: { field: UPDATED_AT, direction: DESC }", reversed(&by_update)),
        ("", reversed(&by_update)),
        ("orderBy: { field: CREATED_AT, direction: ASC }", by_creation.clone()),
        ("orderBy: { field: CREATED_AT, direction: DESC }", reversed(&creation)),
    ] {
        assert_eq!(page_through(&hub, order, true).await, expected, "forward, {order}");
        let mut backward = page_through(&hub, order, false).await;
        backward.reverse();
        assert_eq!(backward, expected, "backward, {order}");
    }
}

#[tokio::test]
async fn a_page_can_be_bounded_on_both_sides() {
    let hub = ten_inspections().await;
    let order = "orderBy: { field: CREATED_AT, direction: ASC }";
    let all = hub.query(format!("{{ inspections({order}) {{ edges {{ cursor }} }} }}")).await;
    let cursors = texts(&all, &["inspections", "edges", "cursor"]);
    let (after, before) = (&cursors[1], &cursors[5]);
    let query = format!(
        "{{ inspections(first: 9, after: \"{after}\", before: \"{before}\" {order}) {{ edges {{ node {{ externalId }} }} }} }}"
    );
    let keys = texts(&hub.query(query).await, &["inspections", "edges", "node", "externalId"]);
    assert_eq!(keys, ["KEY-3", "KEY-4", "KEY-5"]);
}

#[tokio::test]
async fn an_empty_page_has_no_cursors() {
    let hub = ten_inspections().await;
    let list =
        hub.query("{ inspections(first: 0) { nodes { id } pageInfo { hasNextPage endCursor } totalCount } }").await;
    assert_eq!(
        list["inspections"],
        serde_json::json!({ "nodes": [], "pageInfo": { "hasNextPage": true, "endCursor": null }, "totalCount": 10 })
    );
}

#[tokio::test]
async fn filters_let_through_what_fits() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    hub.entity(2, EntityType::Inspection, |row| {
        row.vendor = "hover".into();
        row.source = "roofs".into();
        row.reference = Some("order 7".into());
        row.group_key = Some("g".into());
        row.state = Some("complete".into());
        row.status = Some(Status::Completed);
    })
    .await;
    hub.entity(3, EntityType::Inspection, |row| (row.state, row.status) = (None, None)).await;
    hub.entity(4, EntityType::Session, |row| row.inspection_row_id = Some(1)).await;
    for number in 1..=4 {
        hub.change(number, Kind::Inspection, number, |_| {}).await;
    }
    for (filter, expected) in [
        ("", "3 2 1"),
        (r#"vendor: ["hover"]"#, "2"),
        (r#"vendor: ["hover", "pave"]"#, "3 2 1"),
        (r#"vendor: []"#, ""),
        (r#"vendor: null"#, "3 2 1"),
        (r#"source: ["roofs"]"#, "2"),
        ("status: [COMPLETED, EXPIRED]", "2"),
        (r#"state: ["STARTED"]"#, "1"),
        (r#"reference: "order 7""#, "2"),
        (r#"externalId: "KEY-1""#, "1"),
        (r#"group: "g""#, "2"),
        (r#"updatedAfter: "2024-01-01T00:00:01Z""#, "3 2"),
        (r#"updatedBefore: "2024-01-01T00:00:02Z""#, "1"),
        (r#"updatedAfter: "2024-01-01T01:00:01+01:00", status: [STARTED]"#, ""),
        (r#"stalledFor: "PT1H""#, "3 1"),
        (r#"stalledFor: "23h""#, "3 1"),
        (r#"stalledFor: "86398s""#, "1"),
        (r#"stalledFor: "2d""#, ""),
    ] {
        let query = format!("{{ inspections(filter: {{ {filter} }}) {{ nodes {{ externalId }} totalCount }} }}");
        let data = hub.query(query).await;
        let keys = texts(&data, &["inspections", "nodes", "externalId"]).join(" ").replace("KEY-", "");
        assert_eq!(keys, expected, "{filter}");
        assert_eq!(data["inspections"]["totalCount"], expected.split_whitespace().count(), "{filter}");
    }
}

#[tokio::test]
async fn sessions_jobs_and_items_are_filtered_by_kind_and_inspection() {
    let hub = ApiFixture::new().await;
    let id = hub.inspection(1).await;
    hub.entity(2, EntityType::Session, |row| row.inspection_row_id = Some(1)).await;
    hub.entity(3, REPORT, |row| {
        row.inspection_row_id = Some(1);
        row.status = Some(Status::Running);
    })
    .await;
    hub.entity(4, EntityType::Job(JobKind::SyncRun), |row| row.status = Some(Status::Succeeded)).await;
    hub.entity(5, PHOTO, |row| row.inspection_row_id = Some(1)).await;
    hub.entity(6, EntityType::Item(ItemKind::Account), |row| row.status = None).await;
    for number in 1..=6 {
        hub.change(number, Kind::Inspection, number, |_| {}).await;
    }
    for (query, expected) in [
        ("sessions", "2"),
        ("sessions(filter: { status: [STARTED], inspection: \"ID\" })", "2"),
        ("jobs", "4 3"),
        ("jobs(filter: { kind: [SYNC_RUN, PDF] })", "4"),
        ("jobs(filter: { status: [RUNNING] })", "3"),
        ("jobs(filter: { inspection: \"ID\" })", "3"),
        ("jobs(filter: { stalledFor: \"1h\" })", "3"),
        ("items", "6 5"),
        ("items(filter: { kind: [ACCOUNT] })", "6"),
        ("items(filter: { inspection: \"ID\", kind: [PHOTO] })", "5"),
    ] {
        let data = hub
            .query(format!("{{ list: {} {{ nodes {{ externalId }} }} }}", query.replace("ID", &id.to_string())))
            .await;
        let keys = texts(&data, &["list", "nodes", "externalId"]).join(" ").replace("KEY-", "");
        assert_eq!(keys, expected, "{query}");
    }
}

#[tokio::test]
async fn children_are_paged_for_each_parent() {
    let hub = ApiFixture::new().await;
    for parent in 1..=3 {
        hub.inspection(parent).await;
        for child in 1..=parent {
            hub.entity(parent * 10 + child, PHOTO, |row| row.inspection_row_id = Some(parent)).await;
        }
        hub.entity(parent * 10 + 9, EntityType::Item(ItemKind::Note), |row| row.inspection_row_id = Some(parent)).await;
    }
    let data = hub
        .query(
            "{ inspections(orderBy: { field: CREATED_AT, direction: ASC }) { nodes {
               photos: items(first: 2, kind: [PHOTO]) { nodes { externalId } pageInfo { hasNextPage endCursor } totalCount }
               newest: items(last: 2) { nodes { externalId } pageInfo { hasPreviousPage } totalCount } } } }",
        )
        .await;
    let nodes = &data["inspections"]["nodes"];
    assert_eq!(texts(nodes, &["photos", "nodes", "externalId"]), ["KEY-11", "KEY-21", "KEY-22", "KEY-31", "KEY-32"]);
    assert_eq!(texts(nodes, &["photos", "pageInfo", "hasNextPage"]), ["false", "false", "true"]);
    assert_eq!(texts(nodes, &["photos", "totalCount"]), ["1", "2", "3"]);
    assert_eq!(
        texts(nodes, &["newest", "nodes", "externalId"]),
        ["KEY-11", "KEY-19", "KEY-22", "KEY-29", "KEY-33", "KEY-39"]
    );
    assert_eq!(texts(nodes, &["newest", "pageInfo", "hasPreviousPage"]), ["false", "true", "true"]);
    assert_eq!(texts(nodes, &["newest", "totalCount"]), ["2", "3", "4"]);
    let after = &nodes[2]["photos"]["pageInfo"]["endCursor"];
    let next = format!(
        "{{ inspections(first: 1) {{ nodes {{ items(kind: [PHOTO], after: {after}) {{ nodes {{ externalId }} }} }} }} }}"
    );
    assert_eq!(texts(&hub.query(next).await, &["inspections", "nodes", "items", "nodes", "externalId"]), ["KEY-33"]);
}

#[tokio::test]
async fn deliveries_are_listed_and_filtered() {
    let hub = ApiFixture::new().await;
    hub.delivery(1, 1, 0, |_| {}).await;
    hub.delivery(2, 1, 0, |row| {
        row.verdict = Verdict::Unreadable;
        row.event = String::new();
        (row.body, row.body_size) = (b"\xff{".into(), 2);
    })
    .await;
    hub.delivery(3, 1, 0, |row| {
        row.duplicates = 2;
        row.last_duplicate_at = Some(BEGIN);
    })
    .await;
    for (filter, expected) in [
        ("", "1 2 3"),
        ("verdict: [UNREADABLE]", "2"),
        (r#"event: ["SESSION:STATUS_CHANGE"]"#, "1 3"),
        ("duplicated: true", "3"),
        ("duplicated: false", "1 2"),
        (r#"source: ["yard"]"#, ""),
        (r#"receivedAfter: "2024-01-01T00:00:01Z", receivedBefore: "2024-01-01T00:00:03Z""#, "2"),
    ] {
        let query = format!("{{ deliveries(filter: {{ {filter} }}) {{ nodes {{ receivedAt }} totalCount }} }}");
        let data = hub.query(query).await;
        let expected: Vec<_> =
            expected.split_whitespace().map(|number| at(number.parse().expect("a number"))).collect();
        assert_eq!(texts(&data, &["deliveries", "nodes", "receivedAt"]), expected, "{filter}");
        assert_eq!(data["deliveries"]["totalCount"], expected.len(), "{filter}");
    }
    let newest = hub.query("{ deliveries(last: 1) { nodes { duplicates lastDuplicateAt event } } }").await;
    assert_eq!(
        newest["deliveries"]["nodes"][0],
        serde_json::json!({ "duplicates": 2, "lastDuplicateAt": at(0), "event": "SESSION:STATUS_CHANGE" })
    );
}
