//! The schema itself.

use super::*;
use crate::graphql::schema_types::{SchemaType, schema_type};
use std::collections::BTreeSet;

const INTROSPECTION: &str = "query IntrospectionQuery {
  __schema { description queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
  fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef }
    isDeprecated deprecationReason }
  inputFields(includeDeprecated: true) { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

#[tokio::test]
async fn everything_is_described() {
    let hub = ApiFixture::new().await;
    let data = hub.query(INTROSPECTION).await;
    let mut bare = Vec::new();
    let mut look = |path: String, thing: &Value| {
        if thing["description"].as_str().unwrap_or_default().trim().is_empty() {
            bare.push(path);
        }
    };
    let rows = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    for kind in rows(&data["__schema"]["types"]) {
        let type_name = name(&kind);
        if type_name.starts_with("__") {
            continue;
        }
        look(type_name.clone(), &kind);
        for field in rows(&kind["fields"]) {
            look(format!("{type_name}.{}", name(&field)), &field);
            for argument in rows(&field["args"]) {
                look(format!("{type_name}.{}({})", name(&field), name(&argument)), &argument);
            }
        }
        for part in rows(&kind["inputFields"]).iter().chain(&rows(&kind["enumValues"])) {
            look(format!("{type_name}.{}", name(part)), part);
        }
    }
    assert!(bare.is_empty(), "without a description: {bare:#?}");
}

#[tokio::test]
async fn no_helper_type_shows() {
    let hub = ApiFixture::new().await;
    let data = hub.query("{ __schema { types { name } } }").await;
    let names = texts(&data, &["__schema", "types", "name"]);
    for helper in ["EntityFields", "CommonFilter", "PresentFilter", "InspectionQueries", "DeliveryLists", "QueryRoot"] {
        assert!(!names.iter().any(|name| name == helper), "{helper}");
    }
    for wanted in ["Query", "Subscription", "InspectionConnection", "ChangeEdge", "Node", "DateTime", "JSON", "Long"] {
        assert!(names.iter().any(|name| name == wanted), "{wanted}");
    }
}

#[test]
fn filters_of_the_past_have_the_fields_of_the_present() {
    const ONLY_PRESENT: [&str; 4] = ["overdue", "stalledFor", "updatedAfter", "updatedBefore"];
    let fields = |name: String| match schema_type(&name) {
        Some(SchemaType::Input { fields, .. }) => fields.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        other => panic!("{name} is {other:?}"),
    };
    for kind in ["Inspection", "Session", "Job"] {
        let mut present = fields(format!("{kind}Filter"));
        present.retain(|field| !ONLY_PRESENT.contains(field));
        assert_eq!(fields(format!("{kind}PastFilter")), present, "{kind}");
    }
}

#[tokio::test]
async fn every_fact_of_the_samples_has_a_field() {
    let hub = ApiFixture::new().await;
    let mut facts = 0;
    for vendor in vendor::ALL {
        let folder = format!("{}/tests/samples/{}", env!("CARGO_MANIFEST_DIR"), vendor.name);
        for file in std::fs::read_dir(folder)
            .expect("samples")
            .flatten()
            .filter(|file| file.path().extension().is_some_and(|extension| extension == "json"))
        {
            let body = std::fs::read(file.path()).expect("a sample");
            let delivery = vendor::DeliveryBody { content_type: Some("application/json"), body: &body };
            let Ok(reading) = (vendor.parse)(&delivery) else { continue };
            for event in reading.events {
                let kind = format!("{:?}", event.entity.entity_type.kind());
                for fact in event.facts {
                    let (group, fields) = fact.parts();
                    if fields.is_ok_and(|fields| fields.as_object().is_some_and(serde_json::Map::is_empty)) {
                        continue;
                    }
                    facts += 1;
                    let shown = hub.query(format!("{{ __type(name: \"{kind}\") {{ fields {{ name }} }} }}")).await;
                    let mut shown = texts(&shown, &["__type", "fields", "name"]);
                    if shown.iter().any(|field| field == "subject") {
                        shown.extend(["vehicle", "property", "asset", "location"].map(str::to_owned));
                    }
                    assert!(shown.iter().any(|field| field == group), "{kind}.{group} of {:?}", file.path());
                }
            }
        }
    }
    assert!(facts > 50, "{facts}");
}

/// `UPDATE_DOCS=1` writes it.
#[test]
fn the_schema_file_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let sdl = crate::graphql::sdl();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &sdl).expect("schema.graphql is written");
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(file == sdl, "schema.graphql is not current: `inspection-hub schema > schema.graphql`");
}

#[tokio::test]
async fn the_playgrounds_queries_work() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    hub.change(1, Kind::Inspection, 1, |_| {}).await;
    hub.delivery(1, 1, 1, |_| {}).await;
    let texts: Vec<&str> = include_str!("../../../web/src/tabs.ts").split('`').skip(1).step_by(2).collect();
    let change = texts.iter().find(|text| text.trim_start().starts_with("position")).expect("the fields of a change");
    let queries: Vec<String> = texts
        .iter()
        .filter(|text| text.contains("query ") || text.trim_start().starts_with('{'))
        .map(|text| text.replace("${CHANGE}", change))
        .collect();
    assert!(queries.len() >= 5, "{queries:?}");
    for query in queries {
        let variables = serde_json::json!({ "for": "PT15M", "at": at(60) });
        hub.query_with(query, variables).await;
    }
    let subscriptions: Vec<_> = texts.iter().filter(|text| text.contains("subscription ")).collect();
    assert_eq!(subscriptions.len(), 2);
    let begin = cursor_of(0);
    for text in subscriptions {
        let text = text.replace("${CHANGE}", change).replace("changes {", &format!("changes(after: \"{begin}\") {{"));
        let request = Request::new(text).variables(Variables::from_json(serde_json::json!({ "after": begin })));
        let first = futures_util::StreamExt::next(&mut hub.graph.execute_stream(request)).await.expect("a change");
        assert_eq!(first.errors, []);
    }
}
