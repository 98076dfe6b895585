//! The number of statements depends on a query's shape, never on how much there is.

use super::*;

const SHAPES: &[(&str, usize)] = &[
    ("{ inspections { nodes { id state } } }", 1),
    ("{ inspections { totalCount nodes { id } } }", 2),
    ("{ inspections { nodes { sessions { nodes { id } } jobs { nodes { id } } items { nodes { id } } } } }", 4),
    (
        "{ inspections { nodes { items { nodes { id } totalCount } history { nodes { id: position } totalCount } } } }",
        5,
    ),
    (
        "{ inspections { edges { node { a: items(first: 1) { nodes { id } } b: items(last: 1) { nodes { id } } } } } }",
        3,
    ),
    (
        "{ inspections { nodes { sessions(first: 2) { nodes { items(first: 5) { nodes { parent { id } history(first: 3) { nodes { position } } } } } } } } }",
        5,
    ),
    (
        "{ inspections { nodes { a: asOf(at: \"2024-01-01T01:00:00Z\") { state }
           b: asOf(at: \"2024-01-01T01:00:00Z\", clock: OCCURRED) { state } } } }",
        3,
    ),
    (
        "{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\", first: 100) { totalCount nodes { inspection { id details } status } } }",
        2,
    ),
    (
        "{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\", first: 100) { nodes { inspection {
           sessions { nodes { asOf(at: \"2024-01-01T01:00:00Z\", clock: OCCURRED) { status } } } } } } }",
        3,
    ),
    ("{ statusCountsAsOf(at: \"2024-01-01T01:00:00Z\") { count } }", 1),
    ("{ changes { nodes { entityId inspection { id } session { id } item { id } delivery { id } } } }", 4),
    ("{ changes { nodes { inspection { id details } item { id } delivery { changes { nodes { entityId } } } } } }", 6),
    ("{ deliveries { nodes { bodyText changes { nodes { position } totalCount } } } }", 2),
    ("{ sources { ledger { received } lastReceivedAt lastVerdict handshake { attempts } } }", 3),
    ("{ items { nodes { inspection { id } parent { id } } } }", 2),
    ("{ head { position } statusCounts { count } stateMachines { name } }", 2),
    ("{ inspectionCounts(groupBy: [DAY, SOURCE, STATUS]) { count } }", 1),
    ("{ inspectionCounts(groupBy: [DAY], filter: { reference: \"K\" }) { count } }", 1),
    ("{ timeInStatus { count } }", 2),
    ("{ funnel(groupBy: SOURCE) { inspections } }", 2),
    ("{ stalledInspections { count } }", 1),
    ("{ busiestHours { count } }", 1),
];

pub(super) async fn filled(inspections: i64) -> ApiFixture {
    let hub = ApiFixture::new().await;
    for inspection in 1..=inspections {
        let number = inspection * 10;
        hub.inspection(number).await;
        hub.entity(number + 1, EntityType::Session, |row| row.inspection_row_id = Some(number)).await;
        hub.entity(number + 2, REPORT, |row| row.inspection_row_id = Some(number)).await;
        for item in 3..=5 {
            hub.entity(number + item, PHOTO, |row| {
                (row.inspection_row_id, row.parent_row_id) = (Some(number), Some(number + 1))
            })
            .await;
        }
        let position = inspection * 3 - 2;
        hub.delivery(inspection, position, 3, |_| {}).await;
        for (at, (kind, about)) in
            (position..).zip([(Kind::Inspection, number), (Kind::Session, number + 1), (Kind::Item, number + 3)])
        {
            hub.change(at, kind, about, |row| {
                (row.inspection_row_id, row.delivery_row_id) = (Some(number), Some(inspection))
            })
            .await;
        }
    }
    hub.query("{ statusCounts { count } }").await;
    hub
}

#[tokio::test]
async fn a_query_takes_as_many_statements_for_one_as_for_many() {
    let (few, many) = (filled(1).await, filled(40).await);
    for (query, expected) in SHAPES {
        let query =
            query.replace("inspections {", "inspections(first: 100) {").replace("changes {", "changes(first: 100) {");
        assert_eq!(few.count_statements(&query).await, *expected, "few: {query}");
        assert_eq!(many.count_statements(&query).await, *expected, "many: {query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_do_not_tear_the_questions_apart() {
    let hub = filled(40).await;
    for _ in 0..20 {
        for (query, expected) in SHAPES {
            assert_eq!(
                hub.count_statements(query).await,
                *expected,
                "{query}: {:#?}",
                hub.statements.lock().expect("a log")
            );
        }
    }
}

#[tokio::test]
async fn columns_are_read_only_when_asked_for() {
    let hub = filled(1).await;
    for (query, asked) in [
        ("{ inspections { nodes { id } } }", ""),
        ("{ inspections { nodes { details } } }", "details"),
        (
            "{ inspections { edges { node { ...all } } } } fragment all on Inspection { subject { vehicle { vin } } }",
            "facts",
        ),
        ("{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\") { nodes { status inspection { id } } } }", ""),
        ("{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\") { nodes { inspection { details } } } }", "details"),
        (
            "{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\") { edges { node { inspection { summary { outcome } } } } } }",
            "facts",
        ),
        ("{ changes { nodes { item { photo { url } } } } }", "facts"),
        ("{ inspections { nodes { jobs { nodes { details } } } } }", "details"),
        ("{ deliveries { nodes { id size } } }", ""),
        ("{ deliveries { nodes { contentType } } }", "headers"),
        ("{ deliveries { nodes { bodyText } } }", "body"),
        ("{ changes { nodes { delivery { bodyText } } } }", "body"),
    ] {
        hub.count_statements(query).await;
        let log = hub.statements.lock().expect("a log").join("\n");
        for column in ["details", "facts", "headers", "body", "field_versions", "fold_state"] {
            let is_read = [format!("\"{column}\" AS"), format!(".\"{column}\"")].iter().any(|it| log.contains(it));
            assert_eq!(is_read, column == asked, "{column} in {query}: {log}");
        }
    }
    for (fields, asked) in [
        ("id updatedAt", ""),
        ("vendor state", ", \"entity\".\"vendor\", \"entity\".\"state\""),
        ("nextStates { state }", ", \"entity\".\"subkind\", \"entity\".\"vendor\", \"entity\".\"state\""),
        ("group createdAt", ", \"entity\".\"group_key\", \"entity\".\"created_at\""),
    ] {
        hub.count_statements(&format!("{{ inspections {{ nodes {{ {fields} }} }} }}")).await;
        let log = hub.statements.lock().expect("a log").join("\n");
        let columns = format!("\"entity\".\"kind\", \"entity\".\"updated_at\"{asked}, \"entity\".\"position\" FROM");
        assert!(log.contains(&columns), "{fields}: {log}");
    }
}

#[tokio::test]
async fn the_head_is_read_before_what_it_is_asked_with() {
    let hub = filled(2).await;
    hub.count_statements("{ inspections { nodes { id } } changes { nodes { position } } head { cursor } }").await;
    let log = hub.statements.lock().expect("a log");
    assert!(log[0].contains("log_head"), "{log:?}");
    assert_eq!(log.len(), 3);
}

#[tokio::test]
async fn every_look_up_finds_an_index() {
    let hub = filled(40).await;
    if !hub.database.is_file() {
        return crate::skip::skip("needs SQLite: it reads the plans of SQLite");
    }
    let id = hub.query("{ inspections(first: 1) { nodes { id } } }").await["inspections"]["nodes"][0]["id"].clone();
    hub.statements.lock().expect("a log").clear();
    let query = format!(
        "{{ inspections {{ nodes {{ sessions {{ nodes {{ id items {{ nodes {{ id }} }} }} }} history {{ nodes {{ position }} totalCount }}
             a: asOf(at: \"2024-01-01T01:00:00Z\") {{ state }} b: asOf(at: \"2024-01-01T01:00:00Z\", clock: OCCURRED) {{ state }} }} }}
           inspection(id: {id}) {{ id }} one: inspections(filter: {{ externalId: \"KEY-10\" }}) {{ nodes {{ id }} }}
           statusCounts {{ count }} stalled: inspections(filter: {{ stalledFor: \"1h\" }}) {{ nodes {{ id }} }}
           changes(filter: {{ inspection: {id} }}) {{ nodes {{ inspection {{ id }} delivery {{ changes {{ nodes {{ position }} }} }} }} }}
           entity: changes(filter: {{ entity: {id} }}) {{ nodes {{ position }} }} }}"
    );
    hub.query(query).await;
    let statements = hub.statements.lock().expect("a log").clone();
    assert!(statements.len() > 12, "{statements:?}");
    for statement in statements {
        let plan =
            sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {statement}"));
        for row in sea_orm::ConnectionTrait::query_all_raw(&hub.writer, plan).await.expect("a plan") {
            let step: String = row.try_get("", "detail").expect("a step");
            assert!(!scans(&step), "{step}: {statement}");
        }
    }
}

#[tokio::test]
async fn fields_come_in_the_order_of_the_query() {
    let hub = filled(2).await;
    for (one, other) in [("changes", "deliveries"), ("deliveries", "changes")] {
        // The first takes longer.
        let query = format!("{{ {one} {{ totalCount nodes {{ reason }} }} __typename {other} {{ totalCount }} }}");
        let text = serde_json::to_string(&hub.graph.execute(Request::new(query)).await.data).expect("JSON");
        let places = [one, "__typename", other].map(|field| text.find(field).expect("the field"));
        assert!(places.is_sorted(), "{text}");
    }
}
