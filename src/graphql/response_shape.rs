//! Response shaping: corrects async-graphql's responses as the specification requires.
//!
//! Order (October 2021, section 7.2.2): fields are in the order of the selection. async-graphql has them in the order
//! in which they were resolved, which varies.
//!
//! Null (section 6.4.4): a field that failed is null; if the schema does not allow that, its parent is null instead,
//! and so on. async-graphql leaves the field out.
//!
//! Withholding: personal fields are null for a caller without the scope to read them.

use super::collect_fields::FieldGroup;
use async_graphql::parser::types::{BaseType, ExecutableDocument, Type};
use async_graphql::{Name, PathSegment, Response, ServerError, Value, indexmap::IndexMap};
use std::collections::BTreeSet;

/// Fields that were withheld, by the names of the schema: `Vehicle.vin`.
pub type WithheldFields = BTreeSet<String>;

/// Corrects the response to the executed operation of the document. `withhold`: whether personal fields are withheld; those that
/// were are returned, whether they had values or not.
pub fn shape_response(
    response: &mut Response,
    document: &ExecutableDocument,
    operation: Option<&str>,
    withhold: bool,
) -> WithheldFields {
    let executed = document.operations.iter().find(|(name, _)| match operation {
        Some(operation) => name.is_some_and(|name| name == operation),
        None => true,
    });
    let mut withheld = withhold.then(WithheldFields::new);
    let Some((_, operation)) = executed else { return WithheldFields::new() };
    for ServerError { path, .. } in &response.errors {
        set_null_at(&mut response.data, path);
    }
    // If nothing failed and nothing is withheld, no types are needed.
    let group = FieldGroup::of(&operation.node, withhold || !response.errors.is_empty());
    order_and_propagate_nulls(&group, &mut response.data, None, document, &mut withheld);
    withheld.unwrap_or_default()
}

/// Sets null at the path of an error. An object whose fields all failed was left out itself.
fn set_null_at(value: &mut Value, path: &[PathSegment]) {
    match (path, value) {
        ([], value) => *value = Value::Null,
        ([PathSegment::Index(index), rest @ ..], Value::List(values)) => {
            if let Some(value) = values.get_mut(*index) {
                set_null_at(value, rest);
            }
        }
        ([PathSegment::Field(name), rest @ ..], value) => {
            if *value == Value::Null {
                *value = Value::Object(IndexMap::new());
            }
            if let Value::Object(object) = value {
                set_null_at(object.entry(Name::new(name)).or_default(), rest);
            }
        }
        _ => {}
    }
}

/// Orders the fields of a value, and propagates nulls where its type does not allow them.
fn order_and_propagate_nulls<'a>(
    group: &FieldGroup<'a>,
    value: &mut Value,
    ty: Option<&Type>,
    document: &'a ExecutableDocument,
    withheld: &mut Option<WithheldFields>,
) {
    match value {
        Value::List(values) => {
            let item = ty.and_then(|ty| match &ty.base {
                BaseType::List(item) => Some(&**item),
                BaseType::Named(_) => None,
            });
            values.iter_mut().for_each(|value| order_and_propagate_nulls(group, value, item, document, withheld));
            if values.iter().any(|value| violates_non_null(value, item)) {
                *value = Value::Null;
            }
        }
        // An object without a selection is a scalar, whose order is its own.
        Value::Object(object) if group.has_fields() => {
            let fields = group.subfields(document);
            let place = |name: &Name| fields.get_index_of(name);
            if !object.keys().is_sorted_by_key(place) {
                object.sort_by(|one, _, other, _| place(one).cmp(&place(other)));
            }
            let mut is_whole = true;
            for (name, value) in object {
                if let Some(group) = fields.get(name) {
                    if let (Some(withheld), Some((of, field))) = (withheld.as_mut(), group.personal) {
                        withheld.insert(format!("{of}.{field}"));
                        *value = Value::Null;
                    }
                    order_and_propagate_nulls(group, value, group.ty, document, withheld);
                    is_whole &= !violates_non_null(value, group.ty);
                }
            }
            if !is_whole {
                *value = Value::Null;
            }
        }
        _ => {}
    }
}

/// Whether the value is null and its type does not allow that.
fn violates_non_null(value: &Value, ty: Option<&Type>) -> bool {
    ty.is_some_and(|ty| !ty.nullable) && *value == Value::Null
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    fn shaped(query: &str, operation: Option<&str>, data: &str) -> String {
        let mut answer = Response::new(serde_json::from_str::<Value>(data).expect("JSON"));
        shape_response(&mut answer, &parse_query(query).expect("a query"), operation, false);
        serde_json::to_string(&answer.data).expect("JSON")
    }

    /// The data after fields failed, each given by its path: `inspections.nodes.0.id`.
    fn failed(query: &str, data: &str, paths: &[&str]) -> String {
        let segment = |text: &str| match text.parse() {
            Ok(index) => PathSegment::Index(index),
            Err(_) => PathSegment::Field(text.to_owned()),
        };
        let error =
            |path: &&str| ServerError::new("failed", None).with_path(path.split('.').map(segment).collect::<Vec<_>>());
        let mut answer = Response::new(serde_json::from_str::<Value>(data).expect("JSON"));
        answer.errors = paths.iter().map(error).collect();
        shape_response(&mut answer, &parse_query(query).expect("a query"), None, false);
        serde_json::to_string(&answer.data).expect("JSON")
    }

    #[test]
    fn fields_are_in_the_order_of_the_selection() {
        let query =
            "{ b: x { d c } ...F a ... on Q { e } } fragment F on Q { z b: x { f } ...G } fragment G on Q { y }";
        let data = r#"{"a":1,"e":2,"y":3,"z":4,"b":[{"c":1,"d":2,"f":3},null,{"f":1,"d":2}]}"#;
        let expected = r#"{"b":[{"d":2,"c":1,"f":3},null,{"d":2,"f":1}],"z":4,"y":3,"a":1,"e":2}"#;
        assert_eq!(shaped(query, None, data), expected);
    }

    #[test]
    fn the_executed_operation_counts() {
        let query = "query A { a b } query B { b a }";
        assert_eq!(shaped(query, Some("B"), r#"{"a":1,"b":2}"#), r#"{"b":2,"a":1}"#);
        assert_eq!(shaped(query, Some("C"), r#"{"b":1,"a":2}"#), r#"{"b":1,"a":2}"#);
    }

    #[test]
    fn a_json_scalar_keeps_its_order() {
        assert_eq!(shaped("{ b a }", None, r#"{"a":{"z":1,"y":2},"b":3}"#), r#"{"b":3,"a":{"z":1,"y":2}}"#);
    }

    #[test]
    fn a_failed_field_is_null() {
        let query = "{ head { position } inspection(id: \"1\") { id status } node(id: \"2\") { id } }";
        // The field itself; all fields of an object; an object whose other fields are there.
        for (data, path, expected) in [
            (
                r#"{"node":{"id":"2"},"head":{"position":1}}"#,
                "inspection",
                r#"{"head":{"position":1},"inspection":null,"node":{"id":"2"}}"#,
            ),
            ("null", "inspection", r#"{"inspection":null}"#),
            (
                r#"{"inspection":{"id":"1"},"head":{"position":1},"node":null}"#,
                "inspection.status",
                r#"{"head":{"position":1},"inspection":{"id":"1","status":null},"node":null}"#,
            ),
        ] {
            assert_eq!(failed(query, data, &[path]), expected, "{path}");
        }
    }

    #[test]
    fn personal_fields_are_withheld_wherever_they_are_selected() {
        let query = "{ a: inspection(id: \"1\") { id s: subject { vehicle { make number: vin ...V } } details }
            node(id: \"2\") { ... on Delivery { size text: bodyText } ... on Item { photo { code link: url } } }
            _entities(representations: []) { ... on Session { details } } }
            fragment V on Vehicle { plate }";
        let data = r#"{"a":{"id":"1","s":{"vehicle":{"make":"M","number":"V","plate":null}},"details":{"x":1}},
            "node":{"size":1,"text":"T","photo":{"code":"C","link":"L"}},"_entities":[{"details":{}},null]}"#;
        let mut answer = Response::new(serde_json::from_str::<Value>(data).expect("JSON"));
        let withheld = shape_response(&mut answer, &parse_query(query).expect("a query"), None, true);
        let shown = r#"{"a":{"id":"1","s":{"vehicle":{"make":"M","number":null,"plate":null}},"details":null},"node":{"size":1,"text":null,"photo":{"code":"C","link":null}},"_entities":[{"details":null},null]}"#;
        assert_eq!(serde_json::to_string(&answer.data).expect("JSON"), shown);
        let named =
            ["Delivery.bodyText", "Inspection.details", "Photo.url", "Session.details", "Vehicle.plate", "Vehicle.vin"];
        assert_eq!(withheld.iter().map(String::as_str).collect::<Vec<_>>(), named);
    }

    #[test]
    fn a_null_that_is_not_allowed_propagates_to_the_parent() {
        let rows = "{ inspections { nodes { id } } }";
        let nodes = "{ nodes(ids: []) { ... on Inspection { ...F } id } sources { name } } fragment F on Inspection { e: externalId }";
        let both = r#"{"nodes":[{"id":"1"},{"id":"2","e":"K2"},null],"sources":[{"name":"pave"}]}"#;
        for (query, data, paths, expected) in [
            (rows, r#"{"inspections":{"nodes":[{"id":"1"},null]}}"#, &["inspections.nodes.1.id"][..], "null"),
            (nodes, both, &["nodes.0.e"], r#"{"nodes":[null,{"e":"K2","id":"2"},null],"sources":[{"name":"pave"}]}"#),
            (nodes, both, &["nodes.0.e", "nodes.1.id"], r#"{"nodes":[null,null,null],"sources":[{"name":"pave"}]}"#),
            (nodes, both, &["nodes.0.e", "sources.0.name"], "null"),
            (
                "{ head { position } a: inspection(id: \"1\") { id status } }",
                r#"{"head":{"position":1}}"#,
                &["a.status", "a.id"],
                r#"{"head":{"position":1},"a":null}"#,
            ),
            (
                "subscription { changes { position inspection { id } } }",
                r#"{"changes":{"position":1,"inspection":null}}"#,
                &["changes.inspection.id"],
                r#"{"changes":{"position":1,"inspection":null}}"#,
            ),
            ("subscription { changes { position } }", r#"{"changes":{}}"#, &["changes.position"], "null"),
        ] {
            assert_eq!(failed(query, data, paths), expected, "{query} {paths:?}");
        }
    }
}
