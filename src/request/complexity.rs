//! A document's figures, in one pass: each fragment is measured once, however often it is spread, and the sums do not
//! overflow. So the work is linear in the document, and what a bomb would have become is only a large number.

use super::limits;
use crate::graphql::{ApiError, LimitExceeded};
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value;
use std::collections::HashMap;

/// The directives of documents.
const KNOWN_DIRECTIVES: &[&str] = &["include", "skip"];

/// What a selection set comes to, when every fragment is put in where it is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectionComplexity {
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

/// What was found in a whole document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DocumentComplexity {
    /// The largest of all operations; what is counted in selections is summed up.
    pub total: SelectionComplexity,
    /// Selections that were looked at: never more than there are in the document.
    pub visited_selections: u64,
}

/// Measures a document.
///
/// # Errors
/// If it is beyond a limit, its fragments go in circles, or some of them are not there or not used.
pub fn measure_complexity(document: &ExecutableDocument) -> Result<DocumentComplexity, ApiError> {
    let mut measuring = ComplexityVisitor::of(document);
    let mut all = SelectionComplexity::default();
    check_limit(document.operations.iter().len() as u64, limits::MAX_OPERATIONS, "operations in a document")?;
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        measuring.directives(&operation.directives)?;
        let mut figures = measuring.selection_set(&operation.selection_set.node, 1)?;
        let of_variables = operation.variable_definitions.iter().map(|variable| variable.node.directives.len()).sum();
        figures.add_directives(of_variables);
        figures.add_directives(operation.directives.len());
        check_limit(figures.fields, limits::MAX_ROOT_FIELDS, "fields of an operation itself")?;
        all = all.merge(figures);
    }
    // What no operation uses was not measured.
    if measuring.fragments.len() < document.fragments.len() {
        let unused = document.fragments.iter().find(|(name, _)| !measuring.fragments.contains_key(name));
        if let Some((name, fragment)) = unused {
            return Err(invalid(format!("the fragment \"{name}\" is not used"), fragment.pos));
        }
    }
    all.check_limits()?;
    measuring.directive_error.map_or(Ok(()), Err)?;
    Ok(DocumentComplexity { total: all, visited_selections: measuring.visited_selections })
}

impl SelectionComplexity {
    /// Both within one selection set.
    fn merge(self, other: SelectionComplexity) -> SelectionComplexity {
        SelectionComplexity {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            fields: self.fields.saturating_add(other.fields),
            depth: self.depth.max(other.depth),
            introspection_depth: self.introspection_depth.max(other.introspection_depth),
            introspection_list_depth: self.introspection_list_depth.max(other.introspection_list_depth),
            selection_set_depth: self.selection_set_depth.max(other.selection_set_depth),
        }
    }

    /// What is selected of a field.
    fn nest_in(self, field: &Field) -> SelectionComplexity {
        let name = field.name.node.as_str();
        let is_list = matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields");
        let deeper = SelectionComplexity {
            fields: 1,
            selection_set_depth: if field.selection_set.node.items.is_empty() {
                0
            } else {
                self.selection_set_depth + 1
            },
            introspection_list_depth: self.introspection_list_depth + u64::from(is_list),
            ..self
        };
        match name {
            "__schema" | "__type" => SelectionComplexity {
                depth: 1,
                introspection_depth: 1 + self.depth.max(self.introspection_depth),
                ..deeper
            },
            "__typename" => SelectionComplexity { depth: 0, ..deeper },
            _ => SelectionComplexity { depth: self.depth + 1, ..deeper },
        }
    }

    fn add_directives(&mut self, count: usize) {
        self.directives = self.directives.saturating_add(count as u64);
    }

    fn check_limits(self) -> Result<(), ApiError> {
        check_limit(self.selections, limits::MAX_SELECTIONS, "selections, those of each fragment where it is spread,")?;
        check_limit(self.aliases, limits::MAX_ALIASES, "aliases")?;
        check_limit(self.directives, limits::MAX_DIRECTIVES, "directives")?;
        check_limit(self.depth, limits::MAX_DEPTH, "fields within fields")?;
        check_limit(self.introspection_depth, limits::MAX_INTROSPECTION_DEPTH, "fields within introspection")?;
        // Only introspection has a list of the schema's things; other fields may have such a name.
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

fn check_limit(asked: u64, most: u64, what: &'static str) -> Result<(), ApiError> {
    if asked <= most {
        return Ok(());
    }
    // A figure that stands at its end says nothing.
    Err(ApiError::QueryTooCostly(LimitExceeded { name: what, max: most, actual: (asked < u64::MAX).then_some(asked) }))
}

fn invalid(message: String, at: Pos) -> ApiError {
    ApiError::ValidationFailed { message, at: Some(at) }
}

struct ComplexityVisitor<'a> {
    document: &'a ExecutableDocument,
    /// None while it is being measured.
    fragments: HashMap<&'a Name, Option<SelectionComplexity>>,
    visited_selections: u64,
    /// The first directive that there is not, or that stands there twice: async-graphql does not look at all of them.
    directive_error: Option<ApiError>,
}

impl<'a> ComplexityVisitor<'a> {
    fn of(document: &'a ExecutableDocument) -> Self {
        ComplexityVisitor { document, fragments: HashMap::new(), visited_selections: 0, directive_error: None }
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) -> Result<(), ApiError> {
        for (index, directive) in directives.iter().enumerate() {
            check_arguments(&directive.node.arguments)?;
            let name = &directive.node.name.node;
            if self.directive_error.is_none() && !KNOWN_DIRECTIVES.contains(&name.as_str()) {
                self.directive_error = Some(invalid(format!("there is no directive \"@{name}\" here"), directive.pos));
            }
            // Of two directives, any third is one of them again.
            let before = &directives[..index.min(KNOWN_DIRECTIVES.len())];
            if self.directive_error.is_none() && before.iter().any(|other| other.node.name.node == *name) {
                self.directive_error =
                    Some(invalid(format!("the directive \"@{name}\" stands here twice"), directive.pos));
            }
        }
        Ok(())
    }

    /// `level`: how many selection sets this one is in, itself included. It bounds the recursion.
    fn selection_set(&mut self, set: &'a SelectionSet, level: u64) -> Result<SelectionComplexity, ApiError> {
        check_limit(level, limits::MAX_SELECTION_SET_DEPTH + 1, "selection sets within each other")?;
        let mut all = SelectionComplexity::default();
        for selection in &set.items {
            self.visited_selections += 1;
            self.directives(selection.node.directives())?;
            let mut figures = match &selection.node {
                Selection::Field(field) => self.field(&field.node, level)?,
                Selection::InlineFragment(inline) => {
                    let inner = self.selection_set(&inline.node.selection_set.node, level + 1)?;
                    SelectionComplexity { selection_set_depth: inner.selection_set_depth + 1, ..inner }
                }
                Selection::FragmentSpread(spread) => {
                    let inner = self.fragment(&spread.node.fragment_name, level)?;
                    SelectionComplexity { selection_set_depth: inner.selection_set_depth + 1, ..inner }
                }
            };
            figures.selections = figures.selections.saturating_add(1);
            figures.add_directives(selection.node.directives().len());
            all = all.merge(figures);
        }
        Ok(all)
    }

    fn field(&mut self, field: &'a Field, level: u64) -> Result<SelectionComplexity, ApiError> {
        check_arguments(&field.arguments)?;
        let selected = &field.selection_set.node;
        let inner = if selected.items.is_empty() {
            SelectionComplexity::default()
        } else {
            self.selection_set(selected, level + 1)?
        };
        let mut figures = inner.nest_in(field);
        figures.aliases = figures.aliases.saturating_add(u64::from(field.alias.is_some()));
        Ok(figures)
    }

    fn fragment(&mut self, name: &'a Positioned<Name>, level: u64) -> Result<SelectionComplexity, ApiError> {
        match self.fragments.get(&name.node) {
            Some(Some(figures)) => return Ok(*figures),
            Some(None) => return Err(invalid(format!("the fragment \"{}\" contains itself", name.node), name.pos)),
            None => {}
        }
        let Some((key, fragment)) = self.document.fragments.get_key_value(&name.node) else {
            return Err(invalid(format!("there is no fragment \"{}\"", name.node), name.pos));
        };
        self.fragments.insert(key, None);
        self.directives(&fragment.node.directives)?;
        let mut figures = self.selection_set(&fragment.node.selection_set.node, level + 1)?;
        figures.add_directives(fragment.node.directives.len());
        self.fragments.insert(key, Some(figures));
        Ok(figures)
    }
}

fn check_arguments(arguments: &[(Positioned<Name>, Positioned<Value>)]) -> Result<(), ApiError> {
    check_limit(arguments.len() as u64, limits::MAX_ARGUMENTS, "arguments of a field or directive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::ApiErrorCode;
    use async_graphql::parser::parse_query;

    fn shape(query: &str) -> DocumentComplexity {
        measure_complexity(&parse_query(query).expect("GraphQL")).expect("not too much")
    }

    /// What it is refused for, and how many selections its text has.
    fn refused(query: &str) -> ApiError {
        measure_complexity(&parse_query(query).expect("GraphQL")).expect_err("too much")
    }

    fn limit(query: &str) -> (&'static str, Option<u64>) {
        match refused(query) {
            ApiError::QueryTooCostly(limit) => (limit.name, limit.actual),
            other => panic!("{other:?}"),
        }
    }

    /// Fragments that each spread the next one so many times.
    fn bomb(levels: usize, times: usize) -> String {
        let fragments = (0..levels).map(|level| {
            let spreads = format!("...F{} ", level + 1).repeat(times);
            format!("fragment F{level} on Query {{ {spreads} }} ")
        });
        let fragments: String = fragments.collect();
        format!("{{ ...F0 }} {fragments} fragment F{levels} on Query {{ __typename }}")
    }

    #[test]
    fn figures_are_those_of_the_document_with_its_fragments_put_in() {
        let query = "query($x: Boolean!) { a: one @include(if: $x) { ...F ... on T { two { three } } } ...G }
            fragment F on T { b: two { three { four } } c } fragment G on Query { one { ...F } }";
        let expected = SelectionComplexity {
            selections: 1 + 5 + 3 + 1 + 1 + 5,
            aliases: 3,
            directives: 1,
            fields: 2,
            depth: 4,
            introspection_depth: 0,
            introspection_list_depth: 0,
            selection_set_depth: 5,
        };
        assert_eq!(shape(query), DocumentComplexity { total: expected, visited_selections: 12 });
    }

    #[test]
    fn introspection_is_measured_apart() {
        let figures = shape("{ a { b } __schema { types { fields { type { ofType { name } } } } } }").total;
        assert_eq!((figures.depth, figures.introspection_depth, figures.introspection_list_depth), (2, 6, 1));
        let circular = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
        assert_eq!(limit(circular).0, "lists within lists of introspection");
        let by_fragments = "{ __schema { types { ...T } } } fragment T on __Type { fields { type { ...U } } }
            fragment U on __Type { inputFields { type { ...V } } } fragment V on __Type { possibleTypes { name } }";
        assert_eq!(limit(by_fragments).0, "lists within lists of introspection");
    }

    #[test]
    fn bombs_are_large_numbers_and_little_work() {
        for (levels, times) in [(22, 2), (3, 150), (28, 100), (2, 1000)] {
            let document = parse_query(bomb(levels, times)).expect("GraphQL");
            let mut measuring = ComplexityVisitor::of(&document);
            let operation = document.operations.iter().next().expect("one").1;
            let figures = measuring.selection_set(&operation.node.selection_set.node, 1).expect("figures");
            assert_eq!(measuring.visited_selections, (levels * times + 2) as u64, "each selection of the text once");
            assert!(figures.selections > 1 << 20, "{levels} {times}: {figures:?}");
            assert!(matches!(refused(&bomb(levels, times)), ApiError::QueryTooCostly(_)));
        }
        // A sum that would overflow stands still.
        let (what, asked) = limit(&bomb(28, 1000));
        assert_eq!((what, asked), ("fields of an operation itself", None));
    }

    #[test]
    fn work_grows_with_the_document_and_not_with_what_it_comes_to() {
        let visited = |levels: usize| {
            let document = parse_query(bomb(levels, 10)).expect("GraphQL");
            let mut measuring = ComplexityVisitor::of(&document);
            let operation = document.operations.iter().next().expect("one").1;
            measuring.selection_set(&operation.node.selection_set.node, 1).expect("figures");
            measuring.visited_selections
        };
        assert_eq!(visited(20) - visited(10), visited(28) - visited(18));
    }

    #[test]
    fn circles_and_what_is_missing_or_unused_are_found_on_the_way() {
        for (query, words) in [
            ("{ ...F } fragment F on Query { a ...F }", "contains itself"),
            ("{ ...F } fragment F on Query { ...G } fragment G on Query { a { ...F } }", "contains itself"),
            ("{ a } fragment F on Query { ...F }", "not used"),
            ("{ a } fragment F on Query { b }", "not used"),
            ("{ ...F }", "no fragment"),
            ("{ __typename @aa }", "no directive"),
            ("{ a @skip(if: true) @include(if: true) @skip(if: true) }", "twice"),
        ] {
            let fault = refused(query);
            assert_eq!(fault.code(), ApiErrorCode::GraphqlValidationFailed, "{query}");
            assert!(fault.clone().into_server_error().message.contains(words), "{query}: {fault:?}");
        }
    }

    #[test]
    fn every_limit_is_said_by_its_name() {
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
        assert_eq!(shape(&most).total.depth, limits::MAX_DEPTH);
    }
}
