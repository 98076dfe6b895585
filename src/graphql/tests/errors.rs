//! Errors: codes, messages and hints.

use super::*;
use crate::graphql::cursor::Cursor;
use crate::graphql::schema_types::field_type;
use crate::store::read::SortDirection;

#[tokio::test]
async fn invalid_arguments_are_the_clients_errors() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    for query in [
        "{ inspections(first: -1) { totalCount } }",
        "{ inspections(first: 1, last: 1) { totalCount } }",
        "{ inspections(first: 101) { totalCount } }",
        "{ inspections { nodes { items(last: 1000) { totalCount } } } }",
        "{ inspection(id: \"42\") { id } }",
        "{ node(id: \"\") { id } }",
        "{ nodes(ids: [\"x\"]) { id } }",
        "{ jobs(filter: { inspection: \"x\" }) { totalCount } }",
        "{ changes(filter: { delivery: \"00000000-0000-0000-0000-000000000000\" }) { totalCount } }",
        "{ inspections(filter: { stalledFor: \"soon\" }) { totalCount } }",
    ] {
        let (code, message, hint) = hub.error_of(query).await;
        assert_eq!(code, "BAD_USER_INPUT", "{query}: {message}");
        assert!(!hint.is_empty(), "{query}");
    }
    let (code, _, hint) = hub.error_of("{ stateMachines(vendor: \"acme\") { name } }").await;
    assert_eq!(code, "NOT_FOUND");
    assert!(hint.contains("pave"), "{hint}");
}

#[tokio::test]
async fn a_cursor_must_be_of_the_list() {
    let hub = ApiFixture::new().await;
    hub.change(1, Kind::Inspection, 1, |_| {}).await;
    let (created, beyond) = (Cursor::created(1, SortDirection::Asc).encode(), cursor_of(2));
    let foreign = Cursor::Change { position: 1, generation: 8 }.encode();
    for (query, expected) in [
        ("{ changes(after: \"nonsense\") { totalCount } }".to_owned(), "CURSOR_INVALID"),
        (format!("{{ changes(after: \"{created}\") {{ totalCount }} }}"), "CURSOR_INVALID"),
        (format!("{{ changes(after: \"{beyond}\") {{ totalCount }} }}"), "CURSOR_OUT_OF_RANGE"),
        (format!("{{ changes(last: 1, before: \"{beyond}\") {{ totalCount }} }}"), "CURSOR_OUT_OF_RANGE"),
        (format!("{{ changes(after: \"{foreign}\") {{ totalCount }} }}"), "CURSOR_INVALIDATED"),
        (format!("{{ inspections(after: \"{created}\") {{ totalCount }} }}"), "CURSOR_INVALID"),
        (format!("{{ deliveries(after: \"{created}\") {{ totalCount }} }}"), "CURSOR_INVALID"),
    ] {
        let (code, message, hint) = hub.error_of(query.clone()).await;
        assert_eq!(code, expected, "{query}: {message}");
        assert!(!hint.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn no_text_of_the_database_reaches_a_client() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, "ALTER TABLE entity RENAME TO gone")
        .await
        .expect("renamed");
    let response = hub.graph.execute(Request::new("{ statusCounts { count } }")).await;
    let (code, message, _) = only_error(&response);
    assert_eq!(code, "INTERNAL");
    assert!(message.starts_with("internal error; error id "), "{message}");
    assert!(!format!("{response:?}").contains("no such table"), "{response:?}");
}

#[tokio::test]
async fn unknown_ids_are_null() {
    let hub = ApiFixture::new().await;
    let data = hub
        .query(
            "{ inspection(id: \"6d1f77a0-3c3e-5f8c-9b0e-2a5d4c1e8f37\") { id }
               node(id: \"64656c69-7665-8072-8000-000000000009\") { id }
               inspectionByExternalId(source: \"nowhere\", externalId: \"x\") { id } }",
        )
        .await;
    assert_eq!(data, serde_json::json!({ "inspection": null, "node": null, "inspectionByExternalId": null }));
}

#[tokio::test]
async fn at_most_100_ids_are_accepted() {
    let hub = ApiFixture::new().await;
    let ids = vec!["\"64656c69-7665-8072-8000-000000000009\""; 101].join(",");
    assert_eq!(hub.error_of(format!("{{ nodes(ids: [{ids}]) {{ id }} }}")).await.0, "BAD_USER_INPUT");
}

/// The fields with a weight exist, and few of the heavy ones fit into one request.
#[tokio::test]
async fn heavy_fields_weigh_in_the_cost() {
    let hub = ApiFixture::new().await;
    let pipeline = hub.pipeline();
    let cost_of = |query: String| {
        let prepared =
            pipeline.prepare(crate::request::Params::from_document(query), &crate::request::Caller::unlimited(None));
        prepared.map(|prepared| prepared.cost.field_cost).map_err(|error| error.code.name())
    };
    for (parent, field, points) in crate::graphql::FIELD_WEIGHTS {
        assert!(field_type(parent, field).is_some(), "{parent}.{field}");
        let query = match *parent {
            "Query" => format!("{{ {field} {{ __typename }} }}"),
            _ => format!("{{ deliveries(first: 1) {{ nodes {{ {field} }} }} }}"),
        };
        assert!(cost_of(query.clone()).expect("one is within the limit") >= *points, "{query}");
    }
    let funnels = |count: usize| {
        let fields: String = (0..count).map(|number| format!("f{number}: funnel {{ __typename }} ")).collect();
        cost_of(format!("{{ {fields}}}"))
    };
    assert!(funnels(19).is_ok());
    assert_eq!(funnels(20), Err("QUERY_TOO_COSTLY"));
}
