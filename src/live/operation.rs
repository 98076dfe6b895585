//! Which subscriptions are the same, and where a subscriber begins.

use crate::graphql::{ApiError, StartPosition, is_resumable, parse_change_cursor};
use crate::request::{ExecutionKey, PreparedOperation};
use async_graphql::parser::types::{Field, OperationDefinition, OperationType, Selection};
use async_graphql::{Name, Pos, Positioned, Value};
use std::convert::Infallible;

const AFTER: &str = "after";

#[derive(Debug)]
pub enum ExecutionMode {
    /// Anything but a subscription.
    Query,
    /// A subscription that can share an execution: with the same key, the responses are the same from any position on.
    Shared {
        key: ExecutionKey,
        /// It starts after this position; null: at the newest change.
        after: Option<i64>,
    },
    /// A subscription to something that is not in the history: its messages have no position.
    LiveOnly,
    /// A subscription whose start position cannot be separated from the rest of it, or is invalid. The execution reports the
    /// latter, because it knows the field's path.
    Dedicated,
}

impl ExecutionMode {
    /// `generation` is that of the current history: a cursor of another one is invalid here.
    pub fn of(prepared: &PreparedOperation, generation: i64) -> Result<ExecutionMode, ApiError> {
        if prepared.operation_type != OperationType::Subscription {
            return Ok(ExecutionMode::Query);
        }
        let operation = prepared.operation()?;
        let [Positioned { node: Selection::Field(field), .. }] = operation.selection_set.node.items.as_slice() else {
            return Err(ApiError::bad_user_input(
                "a subscription has exactly one field, named in the operation itself",
                "Subscribe to each field by an operation of its own; one socket takes many.",
            ));
        };
        if !is_resumable(&field.node.name.node) {
            return Ok(ExecutionMode::LiveOnly);
        }
        Ok(shared(prepared, operation, &field.node, generation).unwrap_or(ExecutionMode::Dedicated))
    }
}

/// Separates the start position from the rest of the operation. Null if that is impossible.
fn shared(
    prepared: &PreparedOperation,
    operation: &OperationDefinition,
    field: &Field,
    generation: i64,
) -> Option<ExecutionMode> {
    let (mut query, mut variables) = (prepared.document.text.clone(), prepared.variables.clone());
    let mut start = Value::Null;
    if let Some(argument) = field.get_argument(AFTER) {
        let mut variable = None;
        let constant = argument.node.clone().into_const_with(|name| {
            variable = Some(name);
            Ok::<_, Infallible>(Value::Null)
        });
        match (variable, constant.ok()?) {
            (None, Value::Null) => {}
            (None, Value::String(cursor)) => {
                query = without_literal(&query, argument.pos, &cursor)?.into();
                start = Value::String(cursor);
            }
            (Some(name), Value::Null) => start = variable_value(&query, operation, &name, variables.remove(&name))?,
            _ => return None,
        }
    }
    if let StartPosition::Cursor(cursor) = &prepared.start {
        start = Value::from(&**cursor);
    }
    let after = match start {
        Value::String(cursor) => match parse_change_cursor(&cursor).ok()? {
            (position, of) if of == generation => Some(position),
            _ => return None,
        },
        _ => None,
    };
    Some(ExecutionMode::Shared { key: prepared.execution_key(query, &variables)?, after })
}

/// The value of a variable that is used only here: a text or null.
fn variable_value(query: &str, operation: &OperationDefinition, name: &Name, given: Option<Value>) -> Option<Value> {
    // Once where it is declared, once where it is used.
    if occurrences(query, name) != 2 {
        return None;
    }
    let declared = &operation.variable_definitions.iter().find(|variable| variable.node.name.node == *name)?.node;
    match given.or_else(|| declared.default_value().cloned()).unwrap_or(Value::Null) {
        Value::Null if !declared.var_type.node.nullable => None,
        value @ (Value::Null | Value::String(_)) => Some(value),
        _ => None,
    }
}

/// The document without a string at this place.
fn without_literal(query: &str, at: Pos, text: &str) -> Option<String> {
    let line = query.split('\n').nth(at.line.checked_sub(1)?)?;
    let start = line.as_ptr() as usize - query.as_ptr() as usize;
    let column = line.char_indices().nth(at.column.checked_sub(1)?)?.0;
    let (before, rest) = query.split_at_checked(start + column)?;
    let rest = rest.strip_prefix('"')?.strip_prefix(text)?.strip_prefix('"')?;
    Some(format!("{before}\"\"{rest}"))
}

fn occurrences(query: &str, name: &Name) -> usize {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let names_it = |piece: &&str| {
        let rest = piece.trim_start().strip_prefix(name.as_str());
        rest.is_some_and(|rest| !rest.starts_with(is_name))
    };
    query.split('$').skip(1).filter(names_it).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::Cursor;
    use serde_json::json;

    fn mode(query: &str, variables: serde_json::Value) -> Result<ExecutionMode, ApiError> {
        ExecutionMode::of(&crate::request::tests::prepared(query, variables), 1)
    }

    fn shared(query: &str, variables: serde_json::Value) -> (ExecutionKey, Option<i64>) {
        match mode(query, variables) {
            Ok(ExecutionMode::Shared { key, after }) => (key, after),
            other => panic!("{query}: {other:?}"),
        }
    }

    fn cursor(position: i64) -> String {
        Cursor::Change { position, generation: 1 }.encode()
    }

    #[test]
    fn the_start_position_is_not_part_of_the_key() {
        let query = "subscription($after: String, $k: [ChangeKind!]) { changes(after: $after, filter: {kind: $k}) { position } }";
        let (key, after) = shared(query, json!({ "after": cursor(3), "k": ["JOB"] }));
        assert_eq!(after, Some(3));
        assert_eq!(shared(query, json!({ "k": ["JOB"] })), (key.clone(), None));
        assert_eq!(shared(query, json!({ "after": null, "k": ["JOB"] })), (key.clone(), None));
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
        assert_eq!((literal(3).0, literal(3).1), (literal(70_000).0, Some(3)));
        let default = format!("subscription($a: String = \"{}\") {{ changes(after: $a) {{ position }} }}", cursor(4));
        assert_eq!(shared(&default, json!({})).1, Some(4));
    }

    #[test]
    fn an_inseparable_or_invalid_start_position_is_left_to_the_execution() {
        let after = cursor(1);
        let used =
            "subscription($a: String) { changes(after: $a) { inspection { history(after: $a) { totalCount } } } }";
        for (query, variables) in [
            (used, json!({ "a": after })),
            ("subscription($a: String) { changes(after: $a) { position } }", json!({ "a": "no cursor" })),
            ("subscription($a: String) { changes(after: $a) { position } }", json!({ "a": 5 })),
            (
                "subscription($a: String) { changes(after: $a) { position } }",
                json!({ "a": Cursor::Change { position: 1, generation: 2 }.encode() }),
            ),
            ("subscription($a: String!) { changes(after: $a) { position } }", json!({})),
            ("subscription { changes(after: $a) { position } }", json!({ "a": after })),
            ("subscription { changes(after: 5) { position } }", json!({})),
            ("subscription { changes(after: \"\"\"YzI6MTox\"\"\") { position } }", json!({})),
        ] {
            assert!(matches!(mode(query, variables), Ok(ExecutionMode::Dedicated)), "{query}");
        }
    }

    #[test]
    fn a_subscription_has_one_field() {
        for query in [
            "subscription { changes { position } jobChanged { position } }",
            "subscription { ...F } fragment F on Subscription { changes { position } }",
        ] {
            assert!(mode(query, json!({})).is_err(), "{query}");
        }
        for query in ["{ head { position } }", "query A { head { time } }"] {
            assert!(matches!(mode(query, json!({})), Ok(ExecutionMode::Query)), "{query}");
        }
    }
}
