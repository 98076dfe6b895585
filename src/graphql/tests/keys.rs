//! One thing by the hub's id or the vendor's.

use super::*;

#[tokio::test]
async fn either_key_names_the_same() {
    let hub = ApiFixture::new().await;
    let inspection = hub.inspection(1).await;
    let session = hub.entity(2, EntityType::Session, |_| {}).await;
    let job = hub.entity(3, REPORT, |_| {}).await;
    let external = |number: i64| format!("source: \"lot\", externalId: \"KEY-{number}\"");
    for (field, id, external) in [
        ("inspectionBy", inspection, external(1)),
        ("sessionBy", session, external(2)),
        ("jobBy", job, format!("{}, kind: CONDITION_REPORT", external(3))),
    ] {
        for key in [format!("id: \"{id}\""), format!("externalId: {{ {external} }}")] {
            let query = format!("{{ {field}(key: {{ {key} }}) {{ id }} }}");
            assert_eq!(hub.query(&query).await[field]["id"], id.to_string(), "{query}");
        }
        let other = external.replace("lot", "yard");
        let query = format!("{{ {field}(key: {{ externalId: {{ {other} }} }}) {{ id }} }}");
        assert_eq!(hub.query(&query).await[field], Value::Null, "{query}");
    }
    // The id of something else.
    let query = format!("{{ sessionBy(key: {{ id: \"{job}\" }}) {{ id }} }}");
    assert_eq!(hub.query(query).await["sessionBy"], Value::Null);
}

#[tokio::test]
async fn a_key_is_exactly_one() {
    let hub = ApiFixture::new().await;
    for key in [
        "{}",
        "{ id: null }",
        "{ id: \"018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d\", externalId: { source: \"lot\", externalId: \"KEY-1\" } }",
    ] {
        let response = hub.graph.execute(Request::new(format!("{{ inspectionBy(key: {key}) {{ id }} }}"))).await;
        assert_eq!(response.errors.len(), 1, "{key}: {response:?}");
    }
    let data = hub.query("{ __type(name: \"EntityKey\") { isOneOf inputFields { name } } }").await;
    assert_eq!(data["__type"]["isOneOf"], true);
}
