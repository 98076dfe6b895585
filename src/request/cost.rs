//! What an operation may cost: about as many fields as the response can have, if every list is as long as it may be.

use super::limits::{self, check_limit};
use super::visitor::{DocumentVisitor, DocumentWalk, is_introspection};
use crate::access::Scopes;
use crate::graphql::{
    ApiError, DEFAULT_PAGE_SIZE, DEFAULT_RATE_MINUTES, ListSize, MAX_PAGE_SIZE, MAX_RATE_MINUTES, depends_on_principal,
    required_scope, schema_field,
};
use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition};
use async_graphql_value::{ConstValue, Name, Value, Variables};
use std::borrow::Cow;
use std::convert::Infallible;

/// Rows of a list without pages.
const SHORT_LIST_SIZE: u64 = 10;
/// About how long the lists of introspection are.
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

/// What an operation comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationCost {
    /// In fields of a response.
    pub field_cost: u64,
    /// Of fields that describe the schema, counted apart.
    pub introspection_cost: u64,
    /// Whether a variable decides how long a list is.
    pub depends_on_variables: bool,
    /// Whether the response can change without a new position in the history.
    pub is_volatile: bool,
    /// Whether the response depends on the principal, and not only on the view.
    pub depends_on_principal: bool,
    /// What the caller must be allowed.
    pub required_scopes: Scopes,
}

/// Estimates the cost of an operation.
///
/// # Errors
/// None for a document whose complexity was measured: its fragments exist, and none contains itself.
pub fn estimate_cost(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<OperationCost, ApiError> {
    DocumentWalk::new(document, CostVisitor { operation, variables }).operation(operation)
}

impl OperationCost {
    /// What is charged to a client's rate limit. Introspection reads no row: ten of its fields count for one.
    pub fn rate_limit_cost(&self) -> u64 {
        self.field_cost.saturating_add(self.introspection_cost / 10)
    }

    /// # Errors
    /// If the caller lacks one of the scopes.
    pub fn check_scopes(&self, granted: Scopes) -> Result<(), ApiError> {
        let missing = self.required_scopes.iter().find(|scope| !granted.contains(*scope));
        missing.map_or(Ok(()), |scope| Err(ApiError::missing_scope(scope)))
    }

    /// # Errors
    /// If it is over what one request may cost.
    pub fn check_limits(&self) -> Result<(), ApiError> {
        check_limit(self.field_cost, limits::MAX_COST, "points of cost")?;
        check_limit(self.introspection_cost, limits::MAX_INTROSPECTION_COST, "points of cost for introspection")
    }
}

struct CostVisitor<'a> {
    operation: &'a OperationDefinition,
    variables: &'a Variables,
}

impl<'a> DocumentVisitor<'a> for CostVisitor<'a> {
    type Figures = OperationCost;

    fn merge(one: OperationCost, other: OperationCost) -> OperationCost {
        OperationCost {
            field_cost: one.field_cost.saturating_add(other.field_cost),
            introspection_cost: one.introspection_cost.saturating_add(other.introspection_cost),
            depends_on_variables: one.depends_on_variables || other.depends_on_variables,
            is_volatile: one.is_volatile || other.is_volatile,
            depends_on_principal: one.depends_on_principal || other.depends_on_principal,
            required_scopes: one.required_scopes.union(other.required_scopes),
        }
    }

    fn field(&mut self, field: &'a Field, parent: &str, selected: OperationCost) -> Result<OperationCost, ApiError> {
        let name = field.name.node.as_str();
        if is_introspection(parent) || matches!(name, "__schema" | "__type") {
            let size = INTROSPECTION_LIST_SIZES.iter().find(|(list, _)| *list == name).map_or(1, |(_, size)| *size);
            return Ok(OperationCost {
                introspection_cost: selected.introspection_cost.saturating_mul(size).saturating_add(1),
                is_volatile: true,
                ..selected
            });
        }
        // A field that the schema does not have is refused by the validation.
        let declared = schema_field(parent, name);
        let (size, by_variable) = self.list_size(field, declared.map_or(ListSize::One, |declared| declared.list_size));
        let cost = declared.map_or(1, |declared| declared.cost);
        Ok(OperationCost {
            field_cost: size.saturating_mul(selected.field_cost).saturating_add(cost),
            introspection_cost: selected.introspection_cost,
            depends_on_variables: selected.depends_on_variables || by_variable,
            is_volatile: selected.is_volatile || declared.map_or(name != "__typename", |declared| declared.is_volatile),
            depends_on_principal: selected.depends_on_principal || depends_on_principal(parent, name),
            required_scopes: required_scope(parent, name)
                .into_iter()
                .collect::<Scopes>()
                .union(selected.required_scopes),
        })
    }
}

impl CostVisitor<'_> {
    /// How many rows a field may have, and whether a variable decides it.
    fn list_size(&self, field: &Field, declared: ListSize) -> (u64, bool) {
        let mut by_variable = false;
        let mut argument = |name: &str| {
            let value = match &field.get_argument(name)?.node {
                Value::Variable(name) => {
                    by_variable = true;
                    Cow::Borrowed(self.variable(name)?)
                }
                // A variable within a list counts as one value.
                value => Cow::Owned(value.clone().into_const_with(|_| Ok::<_, Infallible>(ConstValue::Null)).ok()?),
            };
            Some(value).filter(|value| **value != ConstValue::Null)
        };
        // Of a type that the validation refuses: the most.
        let count = |value: Option<&ConstValue>, default: i32, max: i32| {
            let (default, max) = (default.unsigned_abs().into(), max.unsigned_abs().into());
            match value {
                None => default,
                Some(ConstValue::Number(number)) => {
                    number.as_i64().map_or(max, |number| number.max(0).unsigned_abs().min(max))
                }
                Some(_) => max,
            }
        };
        let size = match declared {
            ListSize::One => 1,
            ListSize::Short => SHORT_LIST_SIZE,
            ListSize::Paged => {
                count(argument("first").or_else(|| argument("last")).as_deref(), DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
            }
            ListSize::Minutes => count(argument("minutes").as_deref(), DEFAULT_RATE_MINUTES, MAX_RATE_MINUTES),
            ListSize::Keyed => match argument("ids").or_else(|| argument("representations")).as_deref() {
                Some(ConstValue::List(keys)) => keys.len() as u64,
                _ => 1,
            },
        };
        (size, by_variable)
    }

    /// Its value, or its default.
    fn variable(&self, name: &Name) -> Option<&ConstValue> {
        self.variables.get(name).or_else(|| {
            let definitions = &self.operation.variable_definitions;
            let declared = definitions.iter().find(|variable| variable.node.name.node == *name)?;
            declared.node.default_value.as_ref().map(|value| &value.node)
        })
    }
}
