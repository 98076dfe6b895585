//! The hub as a subgraph: what a router asks.

use super::*;
use serde_json::json;

const ENTITIES: &str = "query($representations: [_Any!]!) { _entities(representations: $representations) {
    __typename ... on Inspection { id state details } ... on Session { id inspection { id } } ... on Job { id kind } } }";

async fn resolve_entities(hub: &ApiFixture, representations: Value) -> async_graphql::Response {
    let variables = Variables::from_json(json!({ "representations": representations }));
    hub.graph.execute(Request::new(ENTITIES).variables(variables)).await
}

#[tokio::test]
async fn entities_come_in_their_order_by_either_key() {
    let hub = ApiFixture::new().await;
    let inspection = hub.inspection(1).await;
    let session = hub.entity(2, EntityType::Session, |row| row.inspection_row_id = Some(1)).await;
    let job = hub.entity(3, REPORT, |_| {}).await;
    let unknown = Uuid::nil();
    let data = hub
        .query_with(
            ENTITIES,
            json!({ "representations": [
                { "__typename": "Job", "id": job },
                { "__typename": "Inspection", "source": "lot", "externalId": "KEY-1" },
                { "__typename": "Inspection", "id": unknown },
                { "__typename": "Session", "id": session, "extra": { "is": ["left", "alone"] } },
                { "__typename": "Session", "id": inspection },
                { "__typename": "Inspection", "id": inspection },
                { "__typename": "Session", "source": "lot", "externalId": "KEY-2" },
            ] }),
        )
        .await;
    let about_inspection = json!({ "__typename": "Inspection", "id": inspection, "state": "STARTED", "details": {} });
    let about_session = json!({ "__typename": "Session", "id": session, "inspection": { "id": inspection } });
    assert_eq!(
        data["_entities"],
        json!([
            { "__typename": "Job", "id": job, "kind": "CONDITION_REPORT" },
            about_inspection,
            null,
            about_session,
            null,
            about_inspection,
            about_session,
        ])
    );
}

#[tokio::test]
async fn the_number_of_statements_is_that_of_the_shape() {
    let hub = ApiFixture::new().await;
    let mut all = Vec::new();
    for number in (10..500).step_by(10) {
        let inspection = hub.inspection(number).await;
        let session = hub.entity(number + 1, EntityType::Session, |row| row.inspection_row_id = Some(number)).await;
        all.push(json!({ "__typename": "Session", "id": session }));
        all.push(json!({ "__typename": "Inspection", "id": inspection }));
    }
    for number in [2, all.len()] {
        hub.statements.lock().expect("a log").clear();
        let response = resolve_entities(&hub, json!(all[..number])).await;
        assert_eq!(response.errors, []);
        // The entities, and the inspections of sessions.
        let log = hub.statements.lock().expect("a log").clone();
        assert_eq!(log.len(), 2, "{number}: {log:#?}");
    }
}

#[tokio::test]
async fn a_bad_representation_says_so_and_spoils_no_other() {
    let hub = ApiFixture::new().await;
    let inspection = hub.inspection(1).await;
    for (bad, expected) in [
        (json!(7), "not an object"),
        (json!({ "id": inspection }), "no `__typename`"),
        (json!({ "__typename": "Claim", "id": inspection }), "`Claim` is not an entity"),
        (json!({ "__typename": "Item", "id": inspection }), "`Item` is not an entity"),
        (json!({ "__typename": "Inspection" }), "has no key"),
        (json!({ "__typename": "Inspection", "id": 7 }), "has no key"),
        (json!({ "__typename": "Inspection", "source": "lot" }), "has no key"),
        (json!({ "__typename": "Job", "source": "lot", "externalId": "KEY-1" }), "has no key"),
        (json!({ "__typename": "Inspection", "id": "7" }), "`7` is not an id"),
    ] {
        let response = resolve_entities(&hub, json!([{ "__typename": "Inspection", "id": inspection }, bad])).await;
        let (code, message, hint) = only_error(&response);
        assert_eq!(code, "BAD_USER_INPUT", "{bad}");
        assert!(message.contains(expected), "{bad}: {message}");
        assert!(!hint.is_empty(), "{bad}");
        let path = serde_json::to_value(&response.errors[0].path).expect("JSON");
        assert_eq!(path, json!(["_entities", 1]), "{bad}");
        let data = response.data.into_json().expect("JSON");
        assert_eq!(data["_entities"][0]["state"], "STARTED", "{bad}");
        assert_eq!(data["_entities"][1], Value::Null, "{bad}");
    }
}

#[tokio::test]
async fn a_hundred_at_a_time() {
    let hub = ApiFixture::new().await;
    let one = json!({ "__typename": "Inspection", "id": Uuid::nil() });
    assert_eq!(resolve_entities(&hub, json!(vec![one.clone(); 100])).await.errors, []);
    assert_eq!(resolve_entities(&hub, json!([])).await.errors, []);
    hub.statements.lock().expect("a log").clear();
    let (code, message, hint) = only_error(&resolve_entities(&hub, json!(vec![one; 101])).await);
    assert_eq!((code.as_str(), message.as_str()), ("BAD_USER_INPUT", "101 representations are too many"));
    assert!(hint.contains("100"), "{hint}");
    assert!(hub.statements.lock().expect("a log").is_empty());
}

#[tokio::test]
async fn the_service_tells_the_subgraph_and_nobody_else_sees_it() {
    let hub = ApiFixture::new().await;
    let data = hub.query("{ _service { sdl } }").await;
    let sdl = data["_service"]["sdl"].as_str().expect("SDL");
    assert_eq!(sdl, crate::graphql::subgraph_sdl());
    for line in [
        "type Inspection implements Node @key(fields: \"id\") @key(fields: \"source externalId\") {",
        "type Session implements Node @key(fields: \"id\") @key(fields: \"source externalId\") {",
        "type Job implements Node @key(fields: \"id\") {",
        "type PageInfo @shareable {",
        "type Subscription {",
        "directive @oneOf on INPUT_OBJECT",
    ] {
        assert_eq!(sdl.lines().filter(|known| *known == line).count(), 1, "{line}");
    }
    assert!(!sdl.contains("_entities") && !sdl.contains("_Any") && !sdl.contains("directive @skip"), "{sdl}");
    let shown = hub.query("{ __schema { types { name fields { name } } } }").await;
    let names = texts(&shown, &["__schema", "types", "name"]);
    let fields =
        texts(&hub.query("{ __type(name: \"Query\") { fields { name } } }").await, &["__type", "fields", "name"]);
    assert!(fields.iter().any(|name| name == "inspections"));
    let mut all = names.iter().chain(&fields);
    let hidden = all.find(|name| name.starts_with('_') && !name.starts_with("__"));
    assert_eq!(hidden, None, "shows in introspection");
}
