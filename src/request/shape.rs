//! A document's figures, in one pass: each fragment is measured once, however often it is spread, and the sums do not
//! overflow. So the work is linear in the document, and what a bomb would have become is only a large number.

use super::limits;
use crate::graphql::{Fault, TooMuch};
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value;
use std::collections::HashMap;

/// The directives of documents.
const DIRECTIVES: &[&str] = &["include", "skip"];

/// What a selection set comes to, when every fragment is put in where it is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
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
    pub introspection_lists: u64,
    /// Selection sets within each other.
    pub sets: u64,
}

/// What was found in a whole document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The largest of all operations; what is counted in selections is summed up.
    pub figures: Figures,
    /// Selections that were looked at: never more than there are in the document.
    pub visited: u64,
}

/// Measures a document.
///
/// # Errors
/// If it is beyond a limit, its fragments go in circles, or some of them are not there or not used.
pub fn measure(document: &ExecutableDocument) -> Result<Shape, Fault> {
    let mut measuring = Measuring::of(document);
    let mut all = Figures::default();
    at_most(document.operations.iter().len() as u64, limits::OPERATIONS, "operations in a document")?;
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        measuring.directives(&operation.directives)?;
        let mut figures = measuring.set(&operation.selection_set.node, 1)?;
        let of_variables = operation.variable_definitions.iter().map(|variable| variable.node.directives.len()).sum();
        figures.add_directives(of_variables);
        figures.add_directives(operation.directives.len());
        at_most(figures.fields, limits::ROOTS, "fields of an operation itself")?;
        all = all.beside(figures);
    }
    // What no operation uses was not measured.
    if measuring.fragments.len() < document.fragments.len() {
        let unused = document.fragments.iter().find(|(name, _)| !measuring.fragments.contains_key(name));
        if let Some((name, fragment)) = unused {
            return Err(invalid(format!("the fragment \"{name}\" is not used"), fragment.pos));
        }
    }
    all.fits()?;
    measuring.odd.map_or(Ok(()), Err)?;
    Ok(Shape { figures: all, visited: measuring.visited })
}

impl Figures {
    /// Both within one selection set.
    fn beside(self, other: Figures) -> Figures {
        Figures {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            fields: self.fields.saturating_add(other.fields),
            depth: self.depth.max(other.depth),
            introspection_depth: self.introspection_depth.max(other.introspection_depth),
            introspection_lists: self.introspection_lists.max(other.introspection_lists),
            sets: self.sets.max(other.sets),
        }
    }

    /// What is selected of a field.
    fn under(self, field: &Field) -> Figures {
        let name = field.name.node.as_str();
        let is_list = matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields");
        let deeper = Figures {
            fields: 1,
            sets: if field.selection_set.node.items.is_empty() { 0 } else { self.sets + 1 },
            introspection_lists: self.introspection_lists + u64::from(is_list),
            ..self
        };
        match name {
            "__schema" | "__type" => {
                Figures { depth: 1, introspection_depth: 1 + self.depth.max(self.introspection_depth), ..deeper }
            }
            "__typename" => Figures { depth: 0, ..deeper },
            _ => Figures { depth: self.depth + 1, ..deeper },
        }
    }

    fn add_directives(&mut self, count: usize) {
        self.directives = self.directives.saturating_add(count as u64);
    }

    fn fits(self) -> Result<(), Fault> {
        at_most(self.selections, limits::SELECTIONS, "selections, those of each fragment where it is spread,")?;
        at_most(self.aliases, limits::ALIASES, "aliases")?;
        at_most(self.directives, limits::DIRECTIVES, "directives")?;
        at_most(self.depth, limits::DEPTH, "fields within fields")?;
        at_most(self.introspection_depth, limits::INTROSPECTION_DEPTH, "fields within introspection")?;
        // Only introspection has a list of the schema's things; other fields may have such a name.
        if self.introspection_depth > 0 {
            at_most(self.introspection_lists, limits::INTROSPECTION_LISTS, "lists within lists of introspection")?;
        }
        at_most(self.sets, limits::SETS, "selection sets within each other")
    }
}

fn at_most(asked: u64, most: u64, what: &'static str) -> Result<(), Fault> {
    if asked <= most {
        return Ok(());
    }
    // A figure that stands at its end says nothing.
    Err(Fault::TooCostly(TooMuch { what, most, asked: (asked < u64::MAX).then_some(asked) }))
}

fn invalid(message: String, at: Pos) -> Fault {
    Fault::Invalid { message, at: Some(at) }
}

struct Measuring<'a> {
    document: &'a ExecutableDocument,
    /// None while it is being measured.
    fragments: HashMap<&'a Name, Option<Figures>>,
    visited: u64,
    /// The first directive that there is not, or that stands there twice: async-graphql does not look at all of them.
    odd: Option<Fault>,
}

impl<'a> Measuring<'a> {
    fn of(document: &'a ExecutableDocument) -> Self {
        Measuring { document, fragments: HashMap::new(), visited: 0, odd: None }
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) -> Result<(), Fault> {
        for (index, directive) in directives.iter().enumerate() {
            fits(&directive.node.arguments)?;
            let name = &directive.node.name.node;
            if self.odd.is_none() && !DIRECTIVES.contains(&name.as_str()) {
                self.odd = Some(invalid(format!("there is no directive \"@{name}\" here"), directive.pos));
            }
            // Of two directives, any third is one of them again.
            let before = &directives[..index.min(DIRECTIVES.len())];
            if self.odd.is_none() && before.iter().any(|other| other.node.name.node == *name) {
                self.odd = Some(invalid(format!("the directive \"@{name}\" stands here twice"), directive.pos));
            }
        }
        Ok(())
    }

    /// `level`: how many selection sets this one is in, itself included. It bounds the recursion.
    fn set(&mut self, set: &'a SelectionSet, level: u64) -> Result<Figures, Fault> {
        at_most(level, limits::SETS + 1, "selection sets within each other")?;
        let mut all = Figures::default();
        for selection in &set.items {
            self.visited += 1;
            self.directives(selection.node.directives())?;
            let mut figures = match &selection.node {
                Selection::Field(field) => self.field(&field.node, level)?,
                Selection::InlineFragment(inline) => {
                    let inner = self.set(&inline.node.selection_set.node, level + 1)?;
                    Figures { sets: inner.sets + 1, ..inner }
                }
                Selection::FragmentSpread(spread) => {
                    let inner = self.fragment(&spread.node.fragment_name, level)?;
                    Figures { sets: inner.sets + 1, ..inner }
                }
            };
            figures.selections = figures.selections.saturating_add(1);
            figures.add_directives(selection.node.directives().len());
            all = all.beside(figures);
        }
        Ok(all)
    }

    fn field(&mut self, field: &'a Field, level: u64) -> Result<Figures, Fault> {
        fits(&field.arguments)?;
        let selected = &field.selection_set.node;
        let inner = if selected.items.is_empty() { Figures::default() } else { self.set(selected, level + 1)? };
        let mut figures = inner.under(field);
        figures.aliases = figures.aliases.saturating_add(u64::from(field.alias.is_some()));
        Ok(figures)
    }

    fn fragment(&mut self, name: &'a Positioned<Name>, level: u64) -> Result<Figures, Fault> {
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
        let mut figures = self.set(&fragment.node.selection_set.node, level + 1)?;
        figures.add_directives(fragment.node.directives.len());
        self.fragments.insert(key, Some(figures));
        Ok(figures)
    }
}

fn fits(arguments: &[(Positioned<Name>, Positioned<Value>)]) -> Result<(), Fault> {
    at_most(arguments.len() as u64, limits::ARGUMENTS, "arguments of a field or directive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::Code;
    use async_graphql::parser::parse_query;

    fn shape(query: &str) -> Shape {
        measure(&parse_query(query).expect("GraphQL")).expect("not too much")
    }

    /// What it is refused for, and how many selections its text has.
    fn refused(query: &str) -> Fault {
        measure(&parse_query(query).expect("GraphQL")).expect_err("too much")
    }

    fn limit(query: &str) -> (&'static str, Option<u64>) {
        match refused(query) {
            Fault::TooCostly(limit) => (limit.what, limit.asked),
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
        let expected = Figures {
            selections: 1 + 5 + 3 + 1 + 1 + 5,
            aliases: 3,
            directives: 1,
            fields: 2,
            depth: 4,
            introspection_depth: 0,
            introspection_lists: 0,
            sets: 5,
        };
        assert_eq!(shape(query), Shape { figures: expected, visited: 12 });
    }

    #[test]
    fn introspection_is_measured_apart() {
        let figures = shape("{ a { b } __schema { types { fields { type { ofType { name } } } } } }").figures;
        assert_eq!((figures.depth, figures.introspection_depth, figures.introspection_lists), (2, 6, 1));
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
            let mut measuring = Measuring::of(&document);
            let operation = document.operations.iter().next().expect("one").1;
            let figures = measuring.set(&operation.node.selection_set.node, 1).expect("figures");
            assert_eq!(measuring.visited, (levels * times + 2) as u64, "each selection of the text once");
            assert!(figures.selections > 1 << 20, "{levels} {times}: {figures:?}");
            assert!(matches!(refused(&bomb(levels, times)), Fault::TooCostly(_)));
        }
        // A sum that would overflow stands still.
        let (what, asked) = limit(&bomb(28, 1000));
        assert_eq!((what, asked), ("fields of an operation itself", None));
    }

    #[test]
    fn work_grows_with_the_document_and_not_with_what_it_comes_to() {
        let visited = |levels: usize| {
            let document = parse_query(bomb(levels, 10)).expect("GraphQL");
            let mut measuring = Measuring::of(&document);
            let operation = document.operations.iter().next().expect("one").1;
            measuring.set(&operation.node.selection_set.node, 1).expect("figures");
            measuring.visited
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
            assert_eq!(fault.code(), Code::GraphqlValidationFailed, "{query}");
            assert!(fault.clone().server_error().message.contains(words), "{query}: {fault:?}");
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
        assert_eq!(shape(&most).figures.depth, limits::DEPTH);
    }
}
