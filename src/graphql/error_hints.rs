//! What async-graphql says of documents and arguments that do not fit the schema, made useful: a hint with what can be written
//! instead, and no name that is not in the schema.

use super::schema_types::{SchemaType, field_arguments, schema_type};
use async_graphql::ServerError;

/// Letters of a message at most: it may repeat what came.
const MAX_MESSAGE_CHARS: usize = 500;

/// What can be written for each scalar, with an example.
pub const SCALAR_HINTS: &[(&str, &str)] = &[
    ("Boolean", "Write `true` or `false`."),
    ("DateTime", "Write a moment as in RFC 3339, with its distance from UTC, e.g. `\"2024-05-01T12:00:00Z\"`."),
    ("Float", "Write a number, e.g. `0.5`."),
    ("ID", "Write an id as a text, e.g. `\"018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d\"`."),
    ("Int", "Write a whole number of at most 32 bits, e.g. `25`."),
    ("JSON", "Write any JSON value, e.g. `{\"value\": 42}`."),
    ("Long", "Write a whole number of at most 64 bits, e.g. `42`."),
    ("String", "Write a text, e.g. `\"hover\"`."),
    ("_Any", "Write what names an entity, e.g. `{\"__typename\": \"Inspection\", \"id\": \"…\"}`."),
];

/// Says more about an error of async-graphql's. The hint is for its `extensions`.
pub fn clarify(error: &mut ServerError) -> Option<String> {
    error.message = without_helper_types(&error.message);
    let hint = hint(&error.message);
    if error.message.chars().count() > MAX_MESSAGE_CHARS {
        error.message = error.message.chars().take(MAX_MESSAGE_CHARS).chain(['…']).collect();
    }
    hint
}

// Inputs that share fields get them from helpers, which are types here and nowhere else.
fn without_helper_types(message: &str) -> String {
    const WITHIN: &str = " (occurred while parsing \"";
    let mut pieces = message.split(WITHIN);
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((ty, _)) = piece.split_once("\")") else { continue };
        if schema_type(base_type_name(ty)).is_some() {
            shown.push_str(WITHIN);
            shown.push_str(piece);
        }
    }
    shown
}

fn hint(message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
    if let (true, [_, field, parent]) = (message.starts_with("Unknown argument"), quoted.as_slice()) {
        let arguments = field_arguments(parent, field)?;
        return Some(match arguments {
            [] => format!("`{field}` takes no arguments."),
            arguments => format!("`{field}` takes: {}.", quoted_list(arguments)),
        });
    }
    // What does not parse is named before what it is in; what is missing or unknown, before the type that it is of.
    let types = quoted.iter().map(|name| base_type_name(name));
    let written = match message.starts_with("Failed to parse") || message.starts_with("Expected input type") {
        true => types.clone().find_map(input_hint),
        false => types.rev().find_map(input_hint),
    };
    written.or_else(|| message.contains("exactly one field").then(|| "Give exactly one of its fields.".to_owned()))
}

/// What can be written for a type; none for what is no type of an argument.
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
    fn helpers_are_not_named() {
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
