//! What a subscriber asks for, and what makes two of them ask for the same.

use crate::graphql::{ApiError, parse_change_cursor};
use crate::request::PreparedOperation;
use async_graphql::parser::types::{Field, OperationDefinition, OperationType, Selection};
use async_graphql::{Name, Pos, Value};
use std::convert::Infallible;
use std::sync::Arc;

/// The argument that says where a subscription begins.
const AFTER: &str = "after";

/// Operations with the same key have the same answers from any position on. Where a subscriber begins is no part of it.
/// Once subscribers have rights, what they may see belongs here too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionKey {
    query: Arc<str>,
    operation_name: Option<Arc<str>>,
    /// As JSON.
    variables: Arc<str>,
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    Now,
    After { position: i64, generation: i64 },
}

/// How an operation is answered.
#[derive(Debug)]
pub enum ExecutionMode {
    /// Anything that is no subscription.
    Query,
    /// A subscription that others may have in common.
    Shared(SubscriptionKey, StartPosition),
    /// A subscription whose beginning cannot be told apart from the rest of it.
    Dedicated,
    Rejected(ApiError),
}

impl ExecutionMode {
    pub fn of(prepared: &PreparedOperation) -> ExecutionMode {
        if prepared.operation_type != OperationType::Subscription {
            return ExecutionMode::Query;
        }
        let operation = match prepared.operation() {
            Ok(operation) => operation,
            Err(fault) => return ExecutionMode::Rejected(fault),
        };
        let [selection] = operation.selection_set.node.items.as_slice() else {
            return ExecutionMode::Rejected(not_one_field());
        };
        let Selection::Field(field) = &selection.node else { return ExecutionMode::Rejected(not_one_field()) };
        shared(prepared, operation, &field.node).unwrap_or(ExecutionMode::Dedicated)
    }
}

/// None if the argument `after` is not apart from the rest.
fn shared(prepared: &PreparedOperation, operation: &OperationDefinition, field: &Field) -> Option<ExecutionMode> {
    let (mut query, mut variables) = (prepared.document.text.clone(), prepared.variables.clone());
    let mut begins = StartPosition::Now;
    if let Some(value) = field.get_argument(AFTER) {
        let mut variable = None;
        let constant = value.node.clone().into_const_with(|name| {
            variable = Some(name);
            Ok::<_, Infallible>(Value::Null)
        });
        match (variable, constant.ok()?) {
            (None, Value::Null) => {}
            (None, Value::String(cursor)) => {
                query = without_literal(&query, value.pos, &cursor)?.into();
                begins = start_from_cursor(&cursor)?;
            }
            (Some(name), Value::Null) => {
                let given = variables.remove(&name);
                begins = start_from_variable(&query, operation, &name, given)?;
            }
            _ => return None,
        }
    }
    if let Some(cursor) = &prepared.resume_cursor {
        begins = start_from_cursor(cursor)?;
    }
    let variables = serde_json::to_string(&variables).ok()?.into();
    Some(ExecutionMode::Shared(
        SubscriptionKey { query, operation_name: prepared.operation_name.clone(), variables },
        begins,
    ))
}

fn start_from_variable(
    query: &str,
    operation: &OperationDefinition,
    name: &Name,
    given: Option<Value>,
) -> Option<StartPosition> {
    // Once where it is declared, once where it is used.
    if occurrences(query, name) != 2 {
        return None;
    }
    let declared = operation.variable_definitions.iter().find(|known| known.node.name.node == *name)?;
    match given.or_else(|| declared.node.default_value().cloned()).unwrap_or(Value::Null) {
        Value::String(cursor) => start_from_cursor(&cursor),
        Value::Null if declared.node.var_type.node.nullable => Some(StartPosition::Now),
        _ => None,
    }
}

// What is no cursor is refused by the execution, which knows the field's path.
fn start_from_cursor(cursor: &str) -> Option<StartPosition> {
    parse_change_cursor(cursor).ok().map(|(position, generation)| StartPosition::After { position, generation })
}

fn not_one_field() -> ApiError {
    ApiError::bad_user_input(
        "a subscription has exactly one field, named in the operation itself",
        "Subscribe to each field by an operation of its own; one socket takes many.",
    )
}

/// The document without a string that stands at this place in it.
fn without_literal(query: &str, at: Pos, text: &str) -> Option<String> {
    let line = query.split('\n').nth(at.line.checked_sub(1)?)?;
    let start = line.as_ptr() as usize - query.as_ptr() as usize;
    let column = line.char_indices().nth(at.column.checked_sub(1)?)?.0;
    let (before, rest) = query.split_at_checked(start + column)?;
    let rest = rest.strip_prefix('"')?.strip_prefix(text)?.strip_prefix('"')?;
    Some(format!("{before}\"\"{rest}"))
}

fn occurrences(query: &str, name: &Name) -> usize {
    let mut pieces = query.split('$');
    pieces.next();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    pieces
        .filter(|piece| {
            let rest = piece.trim_start().strip_prefix(name.as_str());
            rest.is_some_and(|rest| !rest.starts_with(is_name))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::Cursor;
    use serde_json::json;

    fn kind(query: &str, variables: serde_json::Value) -> ExecutionMode {
        ExecutionMode::of(&crate::request::tests::prepared(query, variables))
    }

    fn shared(query: &str, variables: serde_json::Value) -> (SubscriptionKey, StartPosition) {
        match kind(query, variables) {
            ExecutionMode::Shared(key, begin) => (key, begin),
            other => panic!("{query}: {other:?}"),
        }
    }

    fn cursor(position: i64) -> String {
        Cursor::Change { position, generation: 1 }.encode()
    }

    #[test]
    fn where_it_begins_does_not_tell_operations_apart() {
        let query = "subscription($after: String, $k: [ChangeKind!]) { changes(after: $after, filter: {kind: $k}) { position } }";
        let (key, begin) = shared(query, json!({ "after": cursor(3), "k": ["JOB"] }));
        assert_eq!(begin, StartPosition::After { position: 3, generation: 1 });
        assert_eq!(shared(query, json!({ "k": ["JOB"] })), (key.clone(), StartPosition::Now));
        assert_eq!(shared(query, json!({ "after": null, "k": ["JOB"] })), (key.clone(), StartPosition::Now));
        assert_ne!(shared(query, json!({ "k": ["ITEM"] })).0, key);

        let literal = |position| {
            shared(
                &format!(
                    "subscription {{\n  it: changes(filter: {{ source: [\"ä\"] }}, after: \"{}\") {{ position }} }}",
                    cursor(position)
                ),
                json!({}),
            )
        };
        assert_eq!(
            (literal(3).0, literal(3).1),
            (literal(70_000).0, StartPosition::After { position: 3, generation: 1 })
        );
        let default = format!("subscription($a: String = \"{}\") {{ changes(after: $a) {{ position }} }}", cursor(4));
        assert_eq!(shared(&default, json!({})).1, StartPosition::After { position: 4, generation: 1 });
    }

    #[test]
    fn an_odd_operation_runs_alone() {
        let (after, used) = (
            cursor(1),
            "subscription($a: String) { changes(after: $a) { inspection { history(after: $a) { totalCount } } } }",
        );
        for (query, variables) in [
            (used, json!({ "a": after })),
            ("subscription($a: String) { changes(after: $a) { position } }", json!({ "a": "no cursor" })),
            ("subscription($a: String) { changes(after: $a) { position } }", json!({ "a": 5 })),
            ("subscription($a: String!) { changes(after: $a) { position } }", json!({})),
            ("subscription { changes(after: $a) { position } }", json!({ "a": after })),
            ("subscription { changes(after: 5) { position } }", json!({})),
            ("subscription { changes(after: \"\"\"YzI6MTox\"\"\") { position } }", json!({})),
        ] {
            assert!(matches!(kind(query, variables), ExecutionMode::Dedicated), "{query}");
        }
    }

    #[test]
    fn a_subscription_has_one_field() {
        for query in [
            "subscription { changes { position } jobChanged { position } }",
            "subscription { ...F } fragment F on Subscription { changes { position } }",
        ] {
            assert!(matches!(kind(query, json!({})), ExecutionMode::Rejected(_)), "{query}");
        }
        for query in ["{ head { position } }", "query A { head { time } }"] {
            assert!(matches!(kind(query, json!({})), ExecutionMode::Query), "{query}");
        }
    }
}
