//! The complexity of a document: what it comes to when every fragment is expanded where it is spread.

use super::limits::{self, check_limit};
use super::visitor::{DocumentVisitor, DocumentWalk, invalid};
use crate::graphql::ApiError;
use async_graphql::parser::types::{Directive, ExecutableDocument, Field};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

const KNOWN_DIRECTIVES: &[&str] = &["include", "skip"];

/// What a selection set comes to, with its fragments expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DocumentComplexity {
    /// Fields, spreads and inline fragments.
    pub selections: u64,
    pub aliases: u64,
    pub directives: u64,
    /// Fields at its own level.
    pub fields: u64,
    /// Fields within fields, apart from introspection.
    pub depth: u64,
    /// Fields within `__schema` or `__type`.
    pub introspection_depth: u64,
    /// Lists of introspection within each other.
    pub introspection_list_depth: u64,
    /// Selection sets within each other.
    pub selection_set_depth: u64,
}

/// Measures a document: the largest depth of all operations, and the sums of what is counted.
///
/// # Errors
/// If it is beyond a limit, a fragment contains itself, does not exist or is not used, or a directive is unknown or repeated.
pub fn measure_complexity(document: &ExecutableDocument) -> Result<DocumentComplexity, ApiError> {
    let mut walk = DocumentWalk::new(document, ComplexityVisitor::default());
    let mut total = DocumentComplexity::default();
    check_limit(document.operations.iter().len() as u64, limits::MAX_OPERATIONS, "operations in a document")?;
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let of_variables = operation.variable_definitions.iter().map(|variable| variable.node.directives.len()).sum();
        let complexity = ComplexityVisitor::merge(walk.operation(operation)?, directives(of_variables));
        check_limit(complexity.fields, limits::MAX_ROOT_FIELDS, "fields of an operation itself")?;
        total = ComplexityVisitor::merge(total, complexity);
    }
    if let Some((name, at)) = walk.unused_fragment() {
        return Err(invalid(format!("the fragment \"{name}\" is not used"), at));
    }
    total.check_limits()?;
    walk.visitor.directive_error.map_or(Ok(total), Err)
}

impl DocumentComplexity {
    fn check_limits(self) -> Result<(), ApiError> {
        check_limit(self.selections, limits::MAX_SELECTIONS, "selections, those of each fragment where it is spread,")?;
        check_limit(self.aliases, limits::MAX_ALIASES, "aliases")?;
        check_limit(self.directives, limits::MAX_DIRECTIVES, "directives")?;
        check_limit(self.depth, limits::MAX_DEPTH, "fields within fields")?;
        check_limit(self.introspection_depth, limits::MAX_INTROSPECTION_DEPTH, "fields within introspection")?;
        // Outside of introspection a field may have the same name as one of its lists.
        if self.introspection_depth > 0 {
            check_limit(
                self.introspection_list_depth,
                limits::MAX_INTROSPECTION_LIST_DEPTH,
                "lists within lists of introspection",
            )?;
        }
        check_limit(self.selection_set_depth, limits::MAX_SELECTION_SET_DEPTH, "selection sets within each other")
    }
}

#[derive(Debug, Default)]
struct ComplexityVisitor {
    /// The first directive that is unknown or repeated: async-graphql does not check all of them.
    directive_error: Option<ApiError>,
}

impl<'a> DocumentVisitor<'a> for ComplexityVisitor {
    type Figures = DocumentComplexity;

    fn merge(one: DocumentComplexity, other: DocumentComplexity) -> DocumentComplexity {
        DocumentComplexity {
            selections: one.selections.saturating_add(other.selections),
            aliases: one.aliases.saturating_add(other.aliases),
            directives: one.directives.saturating_add(other.directives),
            fields: one.fields.saturating_add(other.fields),
            depth: one.depth.max(other.depth),
            introspection_depth: one.introspection_depth.max(other.introspection_depth),
            introspection_list_depth: one.introspection_list_depth.max(other.introspection_list_depth),
            selection_set_depth: one.selection_set_depth.max(other.selection_set_depth),
        }
    }

    fn field(
        &mut self,
        field: &'a Field,
        _: &str,
        selected: DocumentComplexity,
    ) -> Result<DocumentComplexity, ApiError> {
        check_arguments(&field.arguments)?;
        let name = field.name.node.as_str();
        let is_list = matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields");
        let (depth, introspection_depth) = match name {
            "__schema" | "__type" => (1, 1 + selected.depth.max(selected.introspection_depth)),
            "__typename" => (0, selected.introspection_depth),
            _ => (selected.depth + 1, selected.introspection_depth),
        };
        Ok(DocumentComplexity {
            selections: selected.selections.saturating_add(1),
            aliases: selected.aliases.saturating_add(u64::from(field.alias.is_some())),
            fields: 1,
            depth,
            introspection_depth,
            introspection_list_depth: selected.introspection_list_depth + u64::from(is_list),
            selection_set_depth: match field.selection_set.node.items.is_empty() {
                true => 0,
                false => selected.selection_set_depth + 1,
            },
            ..selected
        })
    }

    fn fragment(content: DocumentComplexity) -> DocumentComplexity {
        DocumentComplexity {
            selections: content.selections.saturating_add(1),
            selection_set_depth: content.selection_set_depth + 1,
            ..content
        }
    }

    fn directives(&mut self, used: &'a [Positioned<Directive>]) -> Result<DocumentComplexity, ApiError> {
        for (index, directive) in used.iter().enumerate() {
            check_arguments(&directive.node.arguments)?;
            let name = &directive.node.name.node;
            // Of more than two directives, one is unknown or repeated among the first three.
            let before = &used[..index.min(KNOWN_DIRECTIVES.len())];
            let problem = if !KNOWN_DIRECTIVES.contains(&name.as_str()) {
                format!("there is no directive \"@{name}\" here")
            } else if before.iter().any(|other| other.node.name.node == *name) {
                format!("the directive \"@{name}\" is repeated here")
            } else {
                continue;
            };
            self.directive_error.get_or_insert_with(|| invalid(problem, directive.pos));
        }
        Ok(directives(used.len()))
    }
}

fn directives(count: usize) -> DocumentComplexity {
    DocumentComplexity { directives: count as u64, ..DocumentComplexity::default() }
}

fn check_arguments(arguments: &[(Positioned<Name>, Positioned<Value>)]) -> Result<(), ApiError> {
    check_limit(arguments.len() as u64, limits::MAX_ARGUMENTS, "arguments of a field or directive")?;
    // Every argument that takes a number is an `Int`, of 32 bits. async-graphql refuses a larger number only where it executes the
    // field.
    let is_too_large = |value: &Value| matches!(value, Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_err()));
    match arguments.iter().find(|(_, value)| is_too_large(&value.node)) {
        Some((name, value)) => Err(invalid(format!("`{}` is beyond the 32 bits of an Int", name.node), value.pos)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::ApiErrorCode;
    use async_graphql::parser::parse_query;

    fn complexity(query: &str) -> DocumentComplexity {
        measure_complexity(&parse_query(query).expect("GraphQL")).expect("not too much")
    }

    #[test]
    fn a_number_is_an_int_of_32_bits_wherever_it_is() {
        for number in ["2147483648", "-2147483649", "9223372036854775807"] {
            let error = refused(&format!(
                "{{ node(id: \"x\") {{ ... on Session {{ jobs(first: {number}) {{ totalCount }} }} }} }}"
            ));
            assert_eq!(error.code, ApiErrorCode::GraphqlValidationFailed, "{error:?}");
        }
        for number in ["2147483647", "-2147483648", "0", "1.5"] {
            complexity(&format!("{{ inspections(first: {number}) {{ totalCount }} }}"));
        }
    }

    fn refused(query: &str) -> ApiError {
        measure_complexity(&parse_query(query).expect("GraphQL")).expect_err("too much")
    }

    /// The name of the limit that a document exceeds, and the actual value.
    fn limit(query: &str) -> (String, Option<u64>) {
        let error = refused(query);
        assert_eq!(error.code, ApiErrorCode::QueryTooCostly, "{error:?}");
        let (extension, limit) = *error.extension.expect("the limit");
        assert_eq!(extension, "limit");
        let limit = limit.into_json().expect("JSON");
        (limit["name"].as_str().expect("a name").to_owned(), limit["actual"].as_u64())
    }

    /// Fragments that each spread the next one this many times.
    fn bomb(levels: usize, times: usize) -> String {
        let fragments = (0..levels).map(|level| {
            let spreads = format!("...F{} ", level + 1).repeat(times);
            format!("fragment F{level} on Query {{ {spreads} }} ")
        });
        let fragments: String = fragments.collect();
        format!("{{ ...F0 }} {fragments} fragment F{levels} on Query {{ __typename }}")
    }

    #[test]
    fn figures_are_those_of_the_document_with_its_fragments_expanded() {
        let query = "query($x: Boolean!) { a: one @include(if: $x) { ...F ... on T { two { three } } } ...G }
            fragment F on T { b: two { three { four } } c } fragment G on Query { one { ...F } }";
        let expected = DocumentComplexity {
            selections: 1 + 5 + 3 + 1 + 1 + 5,
            aliases: 3,
            directives: 1,
            fields: 2,
            depth: 4,
            introspection_depth: 0,
            introspection_list_depth: 0,
            selection_set_depth: 5,
        };
        assert_eq!((complexity(query), walked(query)), (expected, (expected, 12)));
    }

    #[test]
    fn introspection_is_measured_apart() {
        let figures = complexity("{ a { b } __schema { types { fields { type { ofType { name } } } } } }");
        assert_eq!((figures.depth, figures.introspection_depth, figures.introspection_list_depth), (2, 6, 1));
        let circular = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
        assert_eq!(limit(circular).0, "lists within lists of introspection");
        let by_fragments = "{ __schema { types { ...T } } } fragment T on __Type { fields { type { ...U } } }
            fragment U on __Type { inputFields { type { ...V } } } fragment V on __Type { possibleTypes { name } }";
        assert_eq!(limit(by_fragments).0, "lists within lists of introspection");
    }

    /// What an operation comes to, and how many selections of its text were visited.
    fn walked(query: &str) -> (DocumentComplexity, u64) {
        let document = parse_query(query).expect("GraphQL");
        let mut walk = DocumentWalk::new(&document, ComplexityVisitor::default());
        let operation = document.operations.iter().next().expect("one").1;
        (walk.operation(&operation.node).expect("figures"), walk.visited_selections)
    }

    #[test]
    fn bombs_are_large_numbers_and_little_work() {
        for (levels, times) in [(22, 2), (3, 150), (28, 100), (2, 1000)] {
            let (figures, visited) = walked(&bomb(levels, times));
            assert_eq!(visited, (levels * times + 2) as u64, "each selection of the text once");
            assert!(figures.selections > 1 << 20, "{levels} {times}: {figures:?}");
            assert_eq!(refused(&bomb(levels, times)).code, ApiErrorCode::QueryTooCostly);
        }
        // A sum that would overflow is reported without a number.
        let (name, actual) = limit(&bomb(28, 1000));
        assert_eq!((&*name, actual), ("fields of an operation itself", None));
    }

    #[test]
    fn work_grows_with_the_document_and_not_with_what_it_comes_to() {
        let visited = |levels: usize| walked(&bomb(levels, 10)).1;
        assert_eq!(visited(20) - visited(10), visited(28) - visited(18));
    }

    #[test]
    fn circular_missing_and_unused_fragments_are_refused() {
        for (query, words) in [
            ("{ ...F } fragment F on Query { a ...F }", "contains itself"),
            ("{ ...F } fragment F on Query { ...G } fragment G on Query { a { ...F } }", "contains itself"),
            ("{ a } fragment F on Query { ...F }", "not used"),
            ("{ a } fragment F on Query { b }", "not used"),
            ("{ ...F }", "no fragment"),
            ("{ __typename @aa }", "no directive"),
            ("{ a @skip(if: true) @include(if: true) @skip(if: true) }", "repeated"),
        ] {
            let error = refused(query);
            assert_eq!(error.code, ApiErrorCode::GraphqlValidationFailed, "{query}");
            assert!(error.message.contains(words), "{query}: {error:?}");
        }
    }

    #[test]
    fn every_limit_is_reported_by_its_name() {
        let many = |text: &str, times: usize| text.repeat(times);
        let chain: String = (0..100).map(|level| format!("fragment F{level} on Q {{ ...F{} }} ", level + 1)).collect();
        for (query, what) in [
            (format!("{{ a {{ {} }} }}", many("b ", 1_000)), "selections"),
            (format!("{{ {} }}", many("a ", 51)), "fields of an operation"),
            (format!("{{ a {{ {} }} }}", many("x: b ", 101)), "aliases"),
            (format!("{{ a {} }}", many("@skip(if: false) ", 101)), "directives"),
            (format!("{{ a({}) }}", many("b: 1 ", 51)), "arguments"),
            (format!("{{ {} z {} }}", many("a { ", 20), many("} ", 20)), "fields within fields"),
            (format!("{{ {} z {} }}", many("... { ", 32), many("} ", 32)), "selection sets"),
            (format!("{{ ...F0 }} {chain} fragment F100 on Q {{ a }}"), "selection sets"),
            ((0..51).map(|number| format!("query Q{number} {{ a }} ")).collect(), "operations"),
        ] {
            assert!(limit(&query).0.starts_with(what), "{what}: {:?}", limit(&query));
        }
        let most = format!("{{ {} z {} }}", many("a { ", 19), many("} ", 19));
        assert_eq!(complexity(&most).depth, limits::MAX_DEPTH);
    }
}
