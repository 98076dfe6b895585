//! Puts the fields of an answer in the order of the query (GraphQL, October 2021, section 7.2.2). async-graphql leaves them in the
//! order in which they were resolved, which is another one each time.

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Value, indexmap::IndexMap};
use std::cell::OnceCell;
use std::collections::HashSet;

/// Puts all objects of `data` in the order of the operation that was executed.
pub fn arrange(data: &mut Value, document: &ExecutableDocument, operation: Option<&str>) {
    let executed = document.operations.iter().find(|(name, _)| match operation {
        Some(operation) => name.is_some_and(|name| name == operation),
        None => true,
    });
    if let Some((_, operation)) = executed {
        let operation: &OperationDefinition = &operation.node;
        Shape::of(vec![&operation.selection_set.node]).arrange(data, document);
    }
}

/// What was selected of the objects at one place of an answer.
struct Shape<'a> {
    /// Empty where nothing can be selected.
    selected: Vec<&'a SelectionSet>,
    fields: OnceCell<IndexMap<&'a Name, Shape<'a>>>,
}

impl<'a> Shape<'a> {
    fn of(selected: Vec<&'a SelectionSet>) -> Self {
        Shape { selected, fields: OnceCell::new() }
    }

    fn arrange(&self, value: &mut Value, document: &'a ExecutableDocument) {
        match value {
            Value::List(values) => values.iter_mut().for_each(|value| self.arrange(value, document)),
            // A scalar that is an object has its own order.
            Value::Object(object) if !self.selected.is_empty() => {
                let fields = self.fields.get_or_init(|| self.collect(document));
                let place = |name: &Name| fields.get_index_of(name);
                if !object.keys().is_sorted_by_key(place) {
                    object.sort_by(|one, _, other, _| place(one).cmp(&place(other)));
                }
                for (name, value) in object {
                    if let Some(shape) = fields.get(name) {
                        shape.arrange(value, document);
                    }
                }
            }
            _ => {}
        }
    }

    // Each fragment counts once, where it first stands: more of it would come to the same.
    fn collect(&self, document: &'a ExecutableDocument) -> IndexMap<&'a Name, Shape<'a>> {
        let mut fields: IndexMap<&Name, Vec<&SelectionSet>> = IndexMap::new();
        let mut spread: HashSet<&Name> = HashSet::new();
        let mut left: Vec<&Positioned<Selection>> = Vec::new();
        for set in &self.selected {
            left.extend(set.items.iter().rev());
            while let Some(selection) = left.pop() {
                match &selection.node {
                    Selection::Field(field) => {
                        let of = fields.entry(&field.node.response_key().node).or_default();
                        if !field.node.selection_set.node.items.is_empty() {
                            of.push(&field.node.selection_set.node);
                        }
                    }
                    Selection::InlineFragment(inline) => {
                        left.extend(inline.node.selection_set.node.items.iter().rev());
                    }
                    Selection::FragmentSpread(named) => {
                        let name = &named.node.fragment_name.node;
                        let fragment = spread.insert(name).then(|| document.fragments.get(name)).flatten();
                        left.extend(fragment.iter().flat_map(|found| found.node.selection_set.node.items.iter().rev()));
                    }
                }
            }
        }
        fields.into_iter().map(|(name, selected)| (name, Shape::of(selected))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    fn arranged(query: &str, operation: Option<&str>, data: &str) -> String {
        let mut data: Value = serde_json::from_str(data).expect("JSON");
        arrange(&mut data, &parse_query(query).expect("a query"), operation);
        serde_json::to_string(&data).expect("JSON")
    }

    #[test]
    fn fields_stand_as_they_were_asked_for() {
        let query =
            "{ b: x { d c } ...F a ... on Q { e } } fragment F on Q { z b: x { f } ...G } fragment G on Q { y }";
        let data = r#"{"a":1,"e":2,"y":3,"z":4,"b":[{"c":1,"d":2,"f":3},null,{"f":1,"d":2}]}"#;
        let expected = r#"{"b":[{"d":2,"c":1,"f":3},null,{"d":2,"f":1}],"z":4,"y":3,"a":1,"e":2}"#;
        assert_eq!(arranged(query, None, data), expected);
    }

    #[test]
    fn the_operation_that_was_executed_counts() {
        let query = "query A { a b } query B { b a }";
        assert_eq!(arranged(query, Some("B"), r#"{"a":1,"b":2}"#), r#"{"b":2,"a":1}"#);
        assert_eq!(arranged(query, Some("C"), r#"{"b":1,"a":2}"#), r#"{"b":1,"a":2}"#);
    }

    #[test]
    fn what_is_json_by_itself_is_left_alone() {
        assert_eq!(arranged("{ b a }", None, r#"{"a":{"z":1,"y":2},"b":3}"#), r#"{"b":3,"a":{"z":1,"y":2}}"#);
    }
}
