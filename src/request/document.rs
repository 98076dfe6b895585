//! Documents that were parsed and measured, kept for the next request with the same text.

use super::complexity::{DocumentComplexity, measure_complexity};
use super::cost::{OperationCost, estimate_cost};
use super::token_limits::count_tokens;
use crate::graphql::{ApiError, check_overlapping_fields, parse_failed};
use async_graphql::Variables;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};
use hashlink::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Documents that are kept at most, and the bytes of their texts together: parsed, a text takes about thirty times its
/// bytes.
const MAX_CACHED_DOCUMENTS: usize = 1_000;
const MAX_CACHED_BYTES: usize = 1 << 20;

/// A document within all limits that do not depend on variables.
#[derive(Debug)]
pub struct Document {
    pub text: Arc<str>,
    pub parsed: Arc<ExecutableDocument>,
    pub complexity: DocumentComplexity,
    /// The price of its only operation, if no variable has a part in it.
    static_cost: Option<OperationCost>,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// If it is no GraphQL, asks for too much, or gives several things the same name.
    pub fn parse(text: &Arc<str>) -> Result<Document, ApiError> {
        count_tokens(text)?;
        let parsed = parse_query(&**text).map_err(|error| parse_failed(&error))?;
        let shape = measure_complexity(&parsed)?;
        check_overlapping_fields(&parsed)?;
        let mut operations = parsed.operations.iter();
        let only = operations.next().filter(|_| operations.next().is_none());
        let price = only.map(|(_, operation)| estimate_cost(&parsed, &operation.node, &Variables::default()));
        let price = price.filter(|price| !price.depends_on_variables);
        Ok(Document { text: text.clone(), parsed: Arc::new(parsed), complexity: shape, static_cost: price })
    }

    /// The operation with this name, or the only one.
    ///
    /// # Errors
    /// If there is none with this name, or there are several and none is named.
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

    /// What one of its operations comes to.
    pub fn operation_cost(&self, operation: &OperationDefinition, variables: &Variables) -> OperationCost {
        self.static_cost.unwrap_or_else(|| estimate_cost(&self.parsed, operation, variables))
    }
}

/// The documents asked for lately.
#[derive(Debug)]
pub struct DocumentCache(Mutex<CachedDocuments>);

#[derive(Debug)]
struct CachedDocuments {
    documents: LruCache<Arc<str>, Arc<Document>>,
    bytes: usize,
}

impl Default for DocumentCache {
    fn default() -> Self {
        DocumentCache(Mutex::new(CachedDocuments { documents: LruCache::new_unbounded(), bytes: 0 }))
    }
}

impl DocumentCache {
    /// The document with this text, parsed only if it is new.
    ///
    /// # Errors
    /// If it is no GraphQL, or asks for too much: such a document is not kept.
    pub fn get(&self, text: &Arc<str>) -> Result<Arc<Document>, ApiError> {
        if let Some(known) = self.lock().documents.get(&**text) {
            return Ok(known.clone());
        }
        let document = Arc::new(Document::parse(text)?);
        self.lock().insert(&document);
        Ok(document)
    }

    // A panic elsewhere leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, CachedDocuments> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedDocuments {
    fn insert(&mut self, document: &Arc<Document>) {
        self.bytes += document.text.len();
        if let Some(same) = self.documents.insert(document.text.clone(), document.clone()) {
            self.bytes -= same.text.len();
        }
        while self.bytes > MAX_CACHED_BYTES || self.documents.len() > MAX_CACHED_DOCUMENTS {
            let Some((text, _)) = self.documents.remove_lru() else { return };
            self.bytes -= text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_parsed_once() {
        let documents = DocumentCache::default();
        let get = |text: &str| documents.get(&text.into()).expect("a document");
        assert!(Arc::ptr_eq(&get("{ head { position } }"), &get("{ head { position } }")));
        assert!(!Arc::ptr_eq(&get("{ head { position } }"), &get("{ head { time } }")));
        assert!(documents.get(&"{".into()).is_err());
        assert_eq!(documents.lock().documents.len(), 2);
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_bytes() {
        let documents = DocumentCache::default();
        for number in 0..MAX_CACHED_DOCUMENTS + 50 {
            documents.get(&format!("{{ a{number} }}").into()).expect("a document");
        }
        assert_eq!(documents.lock().documents.len(), MAX_CACHED_DOCUMENTS);
        for number in 0..30 {
            documents.get(&format!("{{ a{number} }} # {}", " ".repeat(90_000)).into()).expect("a document");
        }
        let kept = documents.lock();
        assert!(kept.documents.len() < 20 && kept.bytes <= MAX_CACHED_BYTES, "{} {}", kept.documents.len(), kept.bytes);
        assert_eq!(kept.bytes, kept.documents.iter().map(|(text, _)| text.len()).sum::<usize>());
    }

    #[test]
    fn an_operation_is_found_by_its_name_or_alone() {
        let read = |text: &str| Document::parse(&text.into()).expect("a document");
        let (one, two) =
            (read("query A { head { time } }"), read("query A { head { time } } query B { sources { name } }"));
        assert!(one.operation(None).is_ok() && one.operation(Some("A")).is_ok() && one.operation(Some("B")).is_err());
        assert!(two.operation(None).is_err() && two.operation(Some("B")).is_ok());
        assert!(read("{ head { time } }").operation(Some("A")).is_err());
    }

    #[test]
    fn a_price_is_that_of_the_operation_and_its_variables() {
        let read = |text: &str| Document::parse(&text.into()).expect("a document");
        let cost = |document: &Document, name: Option<&str>, variables: serde_json::Value| {
            let operation = document.operation(name).expect("an operation");
            document.operation_cost(operation, &Variables::from_json(variables)).field_cost
        };
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
    fn a_price_looks_at_each_selection_of_the_text_once() {
        let fragments =
            (0..8).map(|level| format!("fragment F{level} on Inspection {{ ...F{0} ...F{0} }} ", level + 1));
        let fragments: String = fragments.collect();
        let text = format!("{{ inspection(id: \"x\") {{ ...F0 }} }} {fragments} fragment F8 on Inspection {{ id }}");
        let document = Document::parse(&text.into()).expect("a document");
        let price = document.operation_cost(document.operation(None).expect("one"), &Variables::default());
        assert_eq!((price.field_cost, price.visited_selections), (1 + (1 << 8), 2 + 8 * 2 + 1));
        assert!(document.complexity.total.selections > 500);
    }

    #[test]
    fn only_what_the_history_decides_stands_still() {
        let moves = |text: &str| {
            let document = Document::parse(&text.into()).expect("a document");
            let operation = document.operation(None).expect("an operation");
            document.operation_cost(operation, &Variables::default()).is_volatile
        };
        for text in
            ["{ inspections { nodes { id history { nodes { position } } } } }", "{ head { position } __typename }"]
        {
            assert!(!moves(text), "{text}");
        }
        for text in [
            "{ sources { ledger { received } } }",
            "{ deliveries { nodes { duplicates } } }",
            "{ node(id: \"x\") { ...F } } fragment F on Delivery { lastDuplicateAt }",
            "{ __schema { types { name } } }",
            "{ somethingNew }",
        ] {
            assert!(moves(text), "{text}");
        }
    }

    #[test]
    fn introspection_has_a_price_of_its_own() {
        let standard = "{ __schema { types { ...T } directives { name args { ...V } } } }
            fragment T on __Type { kind name fields(includeDeprecated: true) { name args { ...V } type { ...R } }
              inputFields { ...V } interfaces { ...R } enumValues { name } possibleTypes { ...R } }
            fragment V on __InputValue { name type { ...R } defaultValue }
            fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
              ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";
        let document = Document::parse(&standard.into()).expect("a document");
        let price = document.operation_cost(document.operation(None).expect("one"), &Variables::default());
        assert_eq!(price.field_cost, 0);
        assert!((50_000..400_000).contains(&price.introspection_cost), "{price:?}");
        assert!(price.check_limits().is_ok());
        let wide =
            format!("{{ __schema {{ types {{ fields {{ type {{ fields {{ {} }} }} }} }} }} }}", "name ".repeat(100));
        let document = Document::parse(&wide.into()).expect("a document");
        let price = document.operation_cost(document.operation(None).expect("one"), &Variables::default());
        assert!(price.check_limits().is_err(), "{price:?}");
    }
}
