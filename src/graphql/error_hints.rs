//! Hints for async-graphql's errors about documents and arguments that do not match the schema: what is accepted
//! instead. Names that are not in the schema are removed from its messages.

use super::schema_types::{SchemaType, schema_field, schema_type};
use async_graphql::ServerError;

/// Characters of a message, which may quote the input.
const MAX_MESSAGE_CHARS: usize = 500;

/// What each scalar accepts, with an example.
pub const SCALAR_HINTS: &[(&str, &str)] = &[
    ("Boolean", "Write `true` or `false`."),
    ("DateTime", "Write a time as in RFC 3339, with its offset from UTC, e.g. `\"2024-05-01T12:00:00Z\"`."),
    ("Float", "Write a number, e.g. `0.5`."),
    ("ID", "Write an id as a string, e.g. `\"018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d\"`."),
    ("Int", "Write a whole number of at most 32 bits, e.g. `25`."),
    ("JSON", "Write any JSON value, e.g. `{\"value\": 42}`."),
    ("Long", "Write a whole number of at most 64 bits, e.g. `42`."),
    ("String", "Write a string, e.g. `\"hover\"`."),
    ("_Any", "Write the representation of an entity, e.g. `{\"__typename\": \"Inspection\", \"id\": \"…\"}`."),
];

/// Rewrites the message of an error of async-graphql's. Returns the hint for its `extensions`.
pub fn clarify(error: &mut ServerError) -> Option<String> {
    error.message = without_helper_types(&error.message);
    let hint = hint(&error.message);
    if error.message.chars().count() > MAX_MESSAGE_CHARS {
        error.message = error.message.chars().take(MAX_MESSAGE_CHARS).chain(['…']).collect();
    }
    hint
}

// Inputs flatten shared fields from helper types, which are not in the schema.
fn without_helper_types(message: &str) -> String {
    const WITHIN: &str = " (occurred while parsing \"";
    let mut pieces = message.split(WITHIN);
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((ty, _)) = piece.split_once("\")") else { continue };
        if schema_type(base_type_name(ty)).is_some() {
            kept.push_str(WITHIN);
            kept.push_str(piece);
        }
    }
    kept
}

fn hint(message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
    if let (true, [_, field, parent]) = (message.starts_with("Unknown argument"), quoted.as_slice()) {
        return Some(match schema_field(parent, field)?.arguments.as_slice() {
            [] => format!("`{field}` takes no arguments."),
            arguments => format!("`{field}` takes: {}.", quoted_list(arguments)),
        });
    }
    // A message names the innermost type first if a value does not parse; otherwise the type comes after the missing or
    // unknown name.
    let types = quoted.iter().map(|name| base_type_name(name));
    let hint = match message.starts_with("Failed to parse") || message.starts_with("Expected input type") {
        true => types.clone().find_map(input_hint),
        false => types.rev().find_map(input_hint),
    };
    hint.or_else(|| message.contains("exactly one field").then(|| "Give exactly one of its fields.".to_owned()))
}

/// What a type accepts; null for a type that is not an input.
fn input_hint(ty: &str) -> Option<String> {
    Some(match schema_type(ty)? {
        SchemaType::Scalar => SCALAR_HINTS.iter().find(|(name, _)| *name == ty)?.1.to_owned(),
        SchemaType::Enum(words) => format!("Write one of: {}.", quoted_list(words)),
        SchemaType::Input { fields, one_of: true } => {
            format!("Give exactly one of its fields: {}.", quoted_list(fields))
        }
        SchemaType::Input { fields, one_of: false } => {
            format!("Write an object; its fields are: {}.", quoted_list(fields))
        }
        SchemaType::Fields(_) | SchemaType::Union => return None,
    })
}

fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

// `[String!]!` -> `String`
fn base_type_name(ty: &str) -> &str {
    ty.trim_matches(['[', ']', '!'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::schema_types;

    #[test]
    fn every_scalar_has_an_example() {
        let scalars = schema_types::type_names().filter(|name| matches!(schema_type(name), Some(SchemaType::Scalar)));
        for name in scalars.filter(|name| *name != "_FieldSet") {
            assert!(input_hint(name).is_some_and(|hint| hint.contains('`')), "{name}");
        }
        assert!(SCALAR_HINTS.is_sorted());
    }

    #[test]
    fn helper_types_are_not_named() {
        for (message, expected) in [
            (
                "no (occurred while parsing \"CommonFilter\") (occurred while parsing \"InspectionFilter\")",
                "no (occurred while parsing \"InspectionFilter\")",
            ),
            (
                "no (occurred while parsing \"[InspectionFilter!]\")",
                "no (occurred while parsing \"[InspectionFilter!]\")",
            ),
            ("no (occurred while parsing \"CommonFilter\")", "no"),
            ("no", "no"),
        ] {
            assert_eq!(without_helper_types(message), expected);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut error = ServerError::new("ä".repeat(600), None);
        clarify(&mut error);
        assert_eq!(error.message.chars().count(), 501);
    }
}
