//! What an operation may cost: about so many fields of an answer, if every list is as long as it may be. Like the
//! document's shape it is found in one pass, each fragment once.

use super::limits;
use super::list_sizes::{FieldSize, ListSize, ListSizes, TypeId};
use crate::graphql::{ApiError, DEFAULT_PAGE_SIZE, FIELD_WEIGHTS, LimitExceeded, MAX_PAGE_SIZE};
use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql_value::{ConstValue, Name, Number, Value, Variables};
use std::collections::HashMap;

/// Rows of a list that has no pages.
const ASSUMED_LIST_SIZE: u64 = 10;
/// How long the lists of introspection are, about.
const INTROSPECTION_LIST_SIZES: &[(&str, u64)] = &[
    ("types", 100),
    ("fields", 15),
    ("inputFields", 8),
    ("enumValues", 10),
    ("args", 3),
    ("directives", 5),
    ("possibleTypes", 5),
    ("interfaces", 2),
];
/// Whose answers are the same as long as the history is: what is not named here may depend on more.
const STABLE_QUERY_FIELDS: &[&str] = &[
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
const VOLATILE_FIELDS: &[(&str, &str)] = &[("Delivery", "duplicates"), ("Delivery", "lastDuplicateAt")];
const VOLATILE_TYPES: &[&str] = &["Source", "Ledger", "Handshake"];

/// What an operation comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationCost {
    /// In fields of an answer.
    pub field_cost: u64,
    /// Of what the schema tells of itself, apart.
    pub introspection_cost: u64,
    /// Whether a variable says how long a list is.
    pub depends_on_variables: bool,
    /// Whether the answer may change though the history does not.
    pub is_volatile: bool,
    /// Selections that were looked at.
    pub visited_selections: u64,
}

/// Prices an operation of a document that was measured: its fragments are there, and go in no circles.
pub fn estimate_cost(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> OperationCost {
    let sizes = ListSizes::global();
    let root = match operation.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    let mut pricing = CostEstimator {
        document,
        operation,
        variables,
        sizes,
        fragments: HashMap::new(),
        depends_on_variables: false,
        visited_selections: 0,
    };
    let sum = pricing.selection_set(&operation.selection_set.node, SelectionParent::Object(sizes.id(root)));
    OperationCost {
        field_cost: sum.field_cost,
        introspection_cost: sum.introspection_cost,
        depends_on_variables: pricing.depends_on_variables,
        is_volatile: sum.is_volatile,
        visited_selections: pricing.visited_selections,
    }
}

impl OperationCost {
    /// What is taken from a budget. Introspection reads no row: ten of its fields count for one.
    pub fn rate_limit_cost(&self) -> u64 {
        self.field_cost.saturating_add(self.introspection_cost / 10)
    }

    /// # Errors
    /// If it is over what one request may cost.
    pub fn check_limits(&self) -> Result<(), ApiError> {
        let limits = [
            ("points of cost", self.field_cost, limits::MAX_COST),
            ("points of cost for introspection", self.introspection_cost, limits::MAX_INTROSPECTION_COST),
        ];
        match limits.into_iter().find(|(_, asked, most)| asked > most) {
            Some((what, asked, most)) => Err(ApiError::QueryTooCostly(LimitExceeded {
                name: what,
                max: most,
                actual: (asked < u64::MAX).then_some(asked),
            })),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct CostSum {
    field_cost: u64,
    introspection_cost: u64,
    is_volatile: bool,
}

impl CostSum {
    fn merge(self, other: CostSum) -> CostSum {
        CostSum {
            field_cost: self.field_cost.saturating_add(other.field_cost),
            introspection_cost: self.introspection_cost.saturating_add(other.introspection_cost),
            is_volatile: self.is_volatile || other.is_volatile,
        }
    }
}

/// Whose fields are selected.
#[derive(Clone, Copy, Debug)]
enum SelectionParent {
    /// None if the schema has no such type: validation will say so.
    Object(Option<TypeId>),
    Introspection,
}

struct CostEstimator<'a> {
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    sizes: &'static ListSizes,
    fragments: HashMap<&'a Name, CostSum>,
    depends_on_variables: bool,
    visited_selections: u64,
}

impl<'a> CostEstimator<'a> {
    fn selection_set(&mut self, set: &'a SelectionSet, place: SelectionParent) -> CostSum {
        let mut sum = CostSum::default();
        for selection in &set.items {
            self.visited_selections += 1;
            let of = match &selection.node {
                Selection::Field(field) => self.field(&field.node, place),
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    let place = on.map_or(place, |on| self.parent_of(on));
                    self.selection_set(&inline.node.selection_set.node, place)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            };
            sum = sum.merge(of);
        }
        sum
    }

    fn fragment(&mut self, name: &'a Name) -> CostSum {
        if let Some(sum) = self.fragments.get(name) {
            return *sum;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return CostSum::default() };
        let place = self.parent_of(&fragment.node.type_condition.node.on.node);
        let sum = self.selection_set(&fragment.node.selection_set.node, place);
        self.fragments.insert(name, sum);
        sum
    }

    fn parent_of(&self, on: &str) -> SelectionParent {
        if on.starts_with("__") { SelectionParent::Introspection } else { SelectionParent::Object(self.sizes.id(on)) }
    }

    fn field(&mut self, field: &'a Field, place: SelectionParent) -> CostSum {
        let name = field.name.node.as_str();
        let selected = &field.selection_set.node;
        let of = match place {
            SelectionParent::Introspection => return self.introspection_field(field),
            SelectionParent::Object(_) if matches!(name, "__schema" | "__type") => {
                return self.introspection_field(field);
            }
            SelectionParent::Object(of) => of,
        };
        let size = of.and_then(|of| self.sizes.field(of, name));
        let size = size.unwrap_or(FieldSize { type_id: None, list_size: ListSize::One });
        let inner = self.selection_set(selected, SelectionParent::Object(size.type_id));
        let parent = of.map_or("", |of| self.sizes.name(of));
        let own = FIELD_WEIGHTS
            .iter()
            .find(|(of, heavy, _)| *of == parent && *heavy == name)
            .map_or(1, |(_, _, points)| *points);
        let moves = parent == "Query" && !STABLE_QUERY_FIELDS.contains(&name)
            || VOLATILE_TYPES.contains(&parent)
            || VOLATILE_FIELDS.contains(&(parent, name));
        CostSum {
            field_cost: self.list_size(field, size.list_size).saturating_mul(inner.field_cost).saturating_add(own),
            introspection_cost: inner.introspection_cost,
            is_volatile: inner.is_volatile || moves,
        }
    }

    fn introspection_field(&mut self, field: &'a Field) -> CostSum {
        let rows =
            INTROSPECTION_LIST_SIZES.iter().find(|(name, _)| field.name.node == *name).map_or(1, |(_, rows)| *rows);
        let inner = self.selection_set(&field.selection_set.node, SelectionParent::Introspection);
        CostSum {
            field_cost: 0,
            introspection_cost: inner.introspection_cost.saturating_mul(rows).saturating_add(1),
            is_volatile: true,
        }
    }

    fn list_size(&mut self, field: &Field, rows: ListSize) -> u64 {
        let most = u64::from(MAX_PAGE_SIZE.unsigned_abs());
        match rows {
            ListSize::One | ListSize::SizedByParent => 1,
            ListSize::Assumed => ASSUMED_LIST_SIZE,
            ListSize::Paged => {
                let asked = self.number(field, "first").or_else(|| self.number(field, "last"));
                asked.unwrap_or(u64::from(DEFAULT_PAGE_SIZE.unsigned_abs())).min(most)
            }
            ListSize::Keyed => {
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
        self.depends_on_variables = true;
        let (variables, operation) = (self.variables, self.operation);
        variables.get(name).or_else(|| {
            let declared = operation.variable_definitions.iter().find(|known| known.node.name.node == *name)?;
            declared.node.default_value.as_ref().map(|value| &value.node)
        })
    }
}
