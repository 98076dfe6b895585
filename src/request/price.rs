//! What an operation may cost: about so many fields of an answer, if every list is as long as it may be. Like the
//! document's shape it is found in one pass, each fragment once.

use super::limits;
use super::schema::{FieldSize, Rows, Sizes, TypeId};
use crate::graphql::{BODY, Fault, PAGE, PAGE_MAX, TooMuch};
use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql_value::{ConstValue, Name, Number, Value, Variables};
use std::collections::HashMap;

/// Rows of a list that has no pages.
const LISTED: u64 = 10;
/// How long the lists of introspection are, about.
const INTROSPECTED: &[(&str, u64)] = &[
    ("types", 100),
    ("fields", 15),
    ("inputFields", 8),
    ("enumValues", 10),
    ("args", 3),
    ("directives", 5),
    ("possibleTypes", 5),
    ("interfaces", 2),
];
/// Fields that count for more than one: `bodyText` can be megabytes.
const HEAVY: &[(&str, &str, u64)] = &[("Delivery", "bodyText", BODY as u64)];
/// Whose answers are the same as long as the history is: what is not named here may depend on more.
const BY_HISTORY: &[&str] = &[
    "__typename",
    "node",
    "nodes",
    "inspection",
    "inspectionByExternalId",
    "inspections",
    "session",
    "sessions",
    "job",
    "jobs",
    "item",
    "items",
    "changes",
    "deliveries",
    "statusCounts",
    "head",
];
/// What else changes without a change in the history: repetitions are counted, and sources are configured.
const BESIDE_HISTORY: &[(&str, &str)] = &[("Delivery", "duplicates"), ("Delivery", "lastDuplicateAt")];
const CONFIGURED: &[&str] = &["Source", "Ledger", "Handshake"];

/// What an operation comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// In fields of an answer.
    pub cost: u64,
    /// Of what the schema tells of itself, apart.
    pub introspection: u64,
    /// Whether a variable says how long a list is.
    pub varies: bool,
    /// Whether the answer may change though the history does not.
    pub moves: bool,
    /// Selections that were looked at.
    pub visited: u64,
}

/// Prices an operation of a document that was measured: its fragments are there, and go in no circles.
pub fn price(document: &ExecutableDocument, operation: &OperationDefinition, variables: &Variables) -> Price {
    let sizes = Sizes::of_schema();
    let root = match operation.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    let mut pricing =
        Pricing { document, operation, variables, sizes, fragments: HashMap::new(), varies: false, visited: 0 };
    let sum = pricing.set(&operation.selection_set.node, Place::Of(sizes.id(root)));
    Price {
        cost: sum.cost,
        introspection: sum.introspection,
        varies: pricing.varies,
        moves: sum.moves,
        visited: pricing.visited,
    }
}

impl Price {
    /// What is taken from a budget. Introspection reads no row: ten of its fields count for one.
    pub fn points(&self) -> u64 {
        self.cost.saturating_add(self.introspection / 10)
    }

    /// # Errors
    /// If it is over what one request may cost.
    pub fn fits(&self) -> Result<(), Fault> {
        let limits = [
            ("points of cost", self.cost, limits::COST),
            ("points of cost for introspection", self.introspection, limits::INTROSPECTION_COST),
        ];
        match limits.into_iter().find(|(_, asked, most)| asked > most) {
            Some((what, asked, most)) => {
                Err(Fault::TooCostly(TooMuch { what, most, asked: (asked < u64::MAX).then_some(asked) }))
            }
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    cost: u64,
    introspection: u64,
    moves: bool,
}

impl Sum {
    fn beside(self, other: Sum) -> Sum {
        Sum {
            cost: self.cost.saturating_add(other.cost),
            introspection: self.introspection.saturating_add(other.introspection),
            moves: self.moves || other.moves,
        }
    }
}

/// Whose fields are selected.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// None if the schema has no such type: validation will say so.
    Of(Option<TypeId>),
    Introspection,
}

struct Pricing<'a> {
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    sizes: &'static Sizes,
    fragments: HashMap<&'a Name, Sum>,
    varies: bool,
    visited: u64,
}

impl<'a> Pricing<'a> {
    fn set(&mut self, set: &'a SelectionSet, place: Place) -> Sum {
        let mut sum = Sum::default();
        for selection in &set.items {
            self.visited += 1;
            let of = match &selection.node {
                Selection::Field(field) => self.field(&field.node, place),
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    let place = on.map_or(place, |on| self.place(on));
                    self.set(&inline.node.selection_set.node, place)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            };
            sum = sum.beside(of);
        }
        sum
    }

    fn fragment(&mut self, name: &'a Name) -> Sum {
        if let Some(sum) = self.fragments.get(name) {
            return *sum;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Sum::default() };
        let place = self.place(&fragment.node.type_condition.node.on.node);
        let sum = self.set(&fragment.node.selection_set.node, place);
        self.fragments.insert(name, sum);
        sum
    }

    fn place(&self, on: &str) -> Place {
        if on.starts_with("__") { Place::Introspection } else { Place::Of(self.sizes.id(on)) }
    }

    fn field(&mut self, field: &'a Field, place: Place) -> Sum {
        let name = field.name.node.as_str();
        let selected = &field.selection_set.node;
        let of = match place {
            Place::Introspection => return self.introspected(field),
            Place::Of(_) if matches!(name, "__schema" | "__type") => return self.introspected(field),
            Place::Of(of) => of,
        };
        let size = of.and_then(|of| self.sizes.field(of, name));
        let size = size.unwrap_or(FieldSize { of: None, rows: Rows::One });
        let inner = self.set(selected, Place::Of(size.of));
        let parent = of.map_or("", |of| self.sizes.name(of));
        let own =
            HEAVY.iter().find(|(of, heavy, _)| *of == parent && *heavy == name).map_or(1, |(_, _, points)| *points);
        let moves = parent == "Query" && !BY_HISTORY.contains(&name)
            || CONFIGURED.contains(&parent)
            || BESIDE_HISTORY.contains(&(parent, name));
        Sum {
            cost: self.rows(field, size.rows).saturating_mul(inner.cost).saturating_add(own),
            introspection: inner.introspection,
            moves: inner.moves || moves,
        }
    }

    fn introspected(&mut self, field: &'a Field) -> Sum {
        let rows = INTROSPECTED.iter().find(|(name, _)| field.name.node == *name).map_or(1, |(_, rows)| *rows);
        let inner = self.set(&field.selection_set.node, Place::Introspection);
        Sum { cost: 0, introspection: inner.introspection.saturating_mul(rows).saturating_add(1), moves: true }
    }

    fn rows(&mut self, field: &Field, rows: Rows) -> u64 {
        let most = u64::from(PAGE_MAX.unsigned_abs());
        match rows {
            Rows::One | Rows::OfPage => 1,
            Rows::Listed => LISTED,
            Rows::Paged => {
                let asked = self.number(field, "first").or_else(|| self.number(field, "last"));
                asked.unwrap_or(u64::from(PAGE.unsigned_abs())).min(most)
            }
            Rows::Keyed => {
                let asked = self.length(field, "ids").or_else(|| self.length(field, "representations"));
                asked.unwrap_or(1)
            }
        }
    }

    /// None if it is not given; what is no number counts as the most.
    fn number(&mut self, field: &Field, name: &str) -> Option<u64> {
        let of = |number: &Number| number.as_i64().map_or(u64::MAX, |number| number.max(0).unsigned_abs());
        match &field.get_argument(name)?.node {
            Value::Null => None,
            Value::Number(number) => Some(of(number)),
            Value::Variable(name) => match self.variable(name)? {
                ConstValue::Null => None,
                ConstValue::Number(number) => Some(of(number)),
                _ => Some(u64::MAX),
            },
            _ => Some(u64::MAX),
        }
    }

    fn length(&mut self, field: &Field, name: &str) -> Option<u64> {
        match &field.get_argument(name)?.node {
            Value::List(values) => Some(values.len() as u64),
            Value::Variable(name) => match self.variable(name)? {
                ConstValue::List(values) => Some(values.len() as u64),
                _ => Some(1),
            },
            _ => Some(1),
        }
    }

    fn variable(&mut self, name: &Name) -> Option<&'a ConstValue> {
        self.varies = true;
        let (variables, operation) = (self.variables, self.operation);
        variables.get(name).or_else(|| {
            let declared = operation.variable_definitions.iter().find(|known| known.node.name.node == *name)?;
            declared.node.default_value.as_ref().map(|value| &value.node)
        })
    }
}
