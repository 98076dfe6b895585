//! Documents that are parsed and measured, and a cache of them for the next request with the same text.

use super::complexity::measure_complexity;
use super::cost::{OperationCost, estimate_cost};
use super::text_cache::TextCache;
use super::token_limits::count_tokens;
use crate::graphql::{ApiError, check_overlapping_fields, parse_failed};
use async_graphql::Variables;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};
use std::sync::Arc;

/// Cached documents, and the bytes of their texts together: parsed, a text takes about thirty times its bytes.
const MAX_CACHED_DOCUMENTS: usize = 1_000;
const MAX_CACHED_BYTES: usize = 1 << 20;

/// A document within all limits that do not depend on variables.
#[derive(Debug)]
pub struct Document {
    pub text: Arc<str>,
    pub parsed: Arc<ExecutableDocument>,
    /// The cost of its only operation, if no variable changes it.
    static_cost: Option<OperationCost>,
}

impl Document {
    /// # Errors
    /// If it is not GraphQL, is over a limit, or has fields of the same name that cannot be merged.
    pub fn parse(text: &Arc<str>) -> Result<Document, ApiError> {
        count_tokens(text)?;
        let parsed = parse_query(&**text).map_err(|error| parse_failed(&error))?;
        measure_complexity(&parsed)?;
        check_overlapping_fields(&parsed)?;
        let mut operations = parsed.operations.iter();
        let only = operations.next().filter(|_| operations.next().is_none());
        let cost = only.map(|(_, operation)| estimate_cost(&parsed, &operation.node, &Variables::default()));
        let static_cost = cost.transpose()?.filter(|cost| !cost.depends_on_variables);
        Ok(Document { text: text.clone(), parsed: Arc::new(parsed), static_cost })
    }

    /// The operation with this name, or the only one.
    ///
    /// # Errors
    /// If there is none with this name, or there are several and the request names none.
    pub fn operation(&self, name: Option<&str>) -> Result<&OperationDefinition, ApiError> {
        let mut operations = self.parsed.operations.iter();
        let Some(wanted) = name else {
            return match (operations.next(), operations.next()) {
                (Some((_, only)), None) => Ok(&only.node),
                _ => Err(ApiError::bad_user_input(
                    "the document has several operations, and none of them is named",
                    "Name the one to execute in `operationName`.",
                )),
            };
        };
        let found = operations.find(|(name, _)| name.is_some_and(|name| name.as_str() == wanted));
        found.map(|(_, operation)| &operation.node).ok_or_else(|| {
            ApiError::bad_user_input(
                format!("the document has no operation named \"{wanted}\""),
                "`operationName` must be the name of an operation in the document.",
            )
        })
    }

    /// # Errors
    /// None: the document was measured.
    pub fn operation_cost(
        &self,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Result<OperationCost, ApiError> {
        self.static_cost.map_or_else(|| estimate_cost(&self.parsed, operation, variables), Ok)
    }
}

#[derive(Debug)]
pub struct DocumentCache(TextCache<Arc<str>, Arc<Document>>);

impl Default for DocumentCache {
    fn default() -> Self {
        DocumentCache(TextCache::new(MAX_CACHED_DOCUMENTS, MAX_CACHED_BYTES))
    }
}

impl DocumentCache {
    /// The document with this text, parsed if it is not cached.
    ///
    /// # Errors
    /// Those of [`Document::parse`]. Such a document is not cached.
    pub fn get(&self, text: &Arc<str>) -> Result<Arc<Document>, ApiError> {
        if let Some(document) = self.0.get(text) {
            return Ok(document);
        }
        let document = Arc::new(Document::parse(text)?);
        self.0.insert(text.clone(), document.clone(), text.len());
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        Document::parse(&text.into()).expect("a document")
    }

    fn cost(document: &Document, name: Option<&str>, variables: serde_json::Value) -> OperationCost {
        let operation = document.operation(name).expect("an operation");
        document.operation_cost(operation, &Variables::from_json(variables)).expect("measured before")
    }

    #[test]
    fn a_document_is_parsed_once() {
        let documents = DocumentCache::default();
        let get = |text: &str| documents.get(&text.into()).expect("a document");
        assert!(Arc::ptr_eq(&get("{ head { position } }"), &get("{ head { position } }")));
        assert!(!Arc::ptr_eq(&get("{ head { position } }"), &get("{ head { time } }")));
        assert!(documents.get(&"{".into()).is_err());
        assert_eq!(documents.0.len_and_bytes().0, 2);
    }

    #[test]
    fn the_cache_is_bounded_in_number_and_bytes() {
        let documents = DocumentCache::default();
        let get = |text: String| drop(documents.get(&text.into()).expect("a document"));
        (0..MAX_CACHED_DOCUMENTS + 50).for_each(|number| get(format!("{{ a{number} }}")));
        assert_eq!(documents.0.len_and_bytes().0, MAX_CACHED_DOCUMENTS);
        (0..30).for_each(|number| get(format!("{{ a{number} }} # {}", " ".repeat(90_000))));
        let (count, bytes) = documents.0.len_and_bytes();
        assert!(count < 20 && bytes <= MAX_CACHED_BYTES, "{count} {bytes}");
    }

    #[test]
    fn an_operation_is_found_by_its_name_or_alone() {
        let (one, two) =
            (read("query A { head { time } }"), read("query A { head { time } } query B { sources { name } }"));
        assert!(one.operation(None).is_ok() && one.operation(Some("A")).is_ok() && one.operation(Some("B")).is_err());
        assert!(two.operation(None).is_err() && two.operation(Some("B")).is_ok());
        assert!(read("{ head { time } }").operation(Some("A")).is_err());
    }

    #[test]
    fn a_cost_is_that_of_the_operation_and_its_variables() {
        let cost = |document: &Document, name: Option<&str>, variables| cost(document, name, variables).field_cost;
        let none = serde_json::json!({});
        assert_eq!(cost(&read("{ inspections { nodes { id status } } }"), None, none.clone()), 1 + 25 * 3);
        assert_eq!(
            cost(&read("{ inspections(first: 2) { nodes { id status } totalCount } }"), None, none.clone()),
            1 + 2 * 4
        );
        assert_eq!(cost(&read("{ inspections(last: 1000) { nodes { id } } }"), None, none.clone()), 1 + 100 * 2);
        assert_eq!(cost(&read("{ sources { name vendor } }"), None, none.clone()), 1 + 10 * 2);
        assert_eq!(cost(&read("{ nodes(ids: [\"a\", \"b\"]) { id } }"), None, none.clone()), 1 + 2);
        let nested = "{ inspections { ...C } } fragment C on InspectionConnection { nodes { items(first: 4) { nodes { id } } } }";
        assert_eq!(cost(&read(nested), None, none.clone()), 1 + 25 * (1 + 1 + 4 * 2));
        let varied = read("query A($n: Int = 7) { inspections(first: $n) { totalCount } } query B { head { time } }");
        assert_eq!(cost(&varied, Some("A"), none.clone()), 1 + 7);
        assert_eq!(cost(&varied, Some("A"), serde_json::json!({ "n": 3 })), 1 + 3);
        assert_eq!(cost(&varied, Some("A"), serde_json::json!({ "n": null })), 1 + 25);
        assert_eq!(cost(&varied, Some("A"), serde_json::json!({ "n": "x" })), 1 + 100);
        assert_eq!(cost(&varied, Some("B"), none), 2);
    }

    #[test]
    fn the_cost_of_a_fragment_counts_where_it_is_spread() {
        let fragments: String =
            (0..8).map(|level| format!("fragment F{level} on Inspection {{ ...F{0} ...F{0} }} ", level + 1)).collect();
        let text = format!("{{ inspection(id: \"x\") {{ ...F0 }} }} {fragments} fragment F8 on Inspection {{ id }}");
        let document = Document::parse(&text.into()).expect("a document");
        assert_eq!(cost(&document, None, serde_json::json!({})).field_cost, 1 + (1 << 8));
        assert!(measure_complexity(&document.parsed).expect("within the limits").selections > 500);
    }

    #[test]
    fn only_what_depends_on_the_history_alone_is_stable() {
        let is_volatile = |text: &str| cost(&read(text), None, serde_json::json!({})).is_volatile;
        for text in
            ["{ inspections { nodes { id history { nodes { position } } } } }", "{ head { position } __typename }"]
        {
            assert!(!is_volatile(text), "{text}");
        }
        for text in [
            "{ sources { ledger { received } } }",
            "{ deliveries { nodes { duplicates } } }",
            "{ node(id: \"x\") { ...F } } fragment F on Delivery { lastDuplicateAt }",
            "{ __schema { types { name } } }",
            "{ somethingNew }",
        ] {
            assert!(is_volatile(text), "{text}");
        }
    }

    #[test]
    fn introspection_has_a_cost_of_its_own() {
        let standard = "{ __schema { types { ...T } directives { name args { ...V } } } }
            fragment T on __Type { kind name fields(includeDeprecated: true) { name args { ...V } type { ...R } }
              inputFields { ...V } interfaces { ...R } enumValues { name } possibleTypes { ...R } }
            fragment V on __InputValue { name type { ...R } defaultValue }
            fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
              ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";
        let of = |text: &str| cost(&read(text), None, serde_json::json!({}));
        let cost = of(standard);
        assert_eq!(cost.field_cost, 0);
        assert!((50_000..400_000).contains(&cost.introspection_cost), "{cost:?}");
        assert!(cost.check_limits().is_ok());
        let wide =
            format!("{{ __schema {{ types {{ fields {{ type {{ fields {{ {} }} }} }} }} }} }}", "name ".repeat(100));
        let cost = of(&wide);
        assert!(cost.check_limits().is_err(), "{cost:?}");
    }
}
