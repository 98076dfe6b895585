//! What async-graphql says of documents and arguments that do not fit the schema, made useful: a hint with what can be written
//! instead, and no name that is not in the schema.

use super::declared::{Declared, arguments_of, named};
use async_graphql::ServerError;

/// Letters of a message at most: it may repeat what came.
const LONGEST: usize = 500;

/// What can be written for each scalar, with an example.
pub const SCALARS: &[(&str, &str)] = &[
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
pub fn explain(error: &mut ServerError) -> Option<String> {
    error.message = shown(&error.message);
    let hint = hint(&error.message);
    if error.message.chars().count() > LONGEST {
        error.message = error.message.chars().take(LONGEST).chain(['…']).collect();
    }
    hint
}

// Inputs that share fields get them from helpers, which are types here and nowhere else.
fn shown(message: &str) -> String {
    const WITHIN: &str = " (occurred while parsing \"";
    let mut pieces = message.split(WITHIN);
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((ty, _)) = piece.split_once("\")") else { continue };
        if named(bare(ty)).is_some() {
            shown.push_str(WITHIN);
            shown.push_str(piece);
        }
    }
    shown
}

fn hint(message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
    if let (true, [_, field, parent]) = (message.starts_with("Unknown argument"), quoted.as_slice()) {
        let arguments = arguments_of(parent, field)?;
        return Some(match arguments {
            [] => format!("`{field}` takes no arguments."),
            arguments => format!("`{field}` takes: {}.", listed(arguments)),
        });
    }
    // What does not parse is named before what it is in; what is missing or unknown, before the type that it is of.
    let types = quoted.iter().map(|name| bare(name));
    let written = match message.starts_with("Failed to parse") || message.starts_with("Expected input type") {
        true => types.clone().find_map(written),
        false => types.rev().find_map(written),
    };
    written.or_else(|| message.contains("exactly one field").then(|| "Give exactly one of its fields.".to_owned()))
}

/// What can be written for a type; none for what is no type of an argument.
fn written(ty: &str) -> Option<String> {
    Some(match named(ty)? {
        Declared::Scalar => SCALARS.iter().find(|(name, _)| *name == ty)?.1.to_owned(),
        Declared::Enum(words) => format!("Write one of: {}.", listed(words)),
        Declared::Input { fields, one_of: true } => format!("Give exactly one of its fields: {}.", listed(fields)),
        Declared::Input { fields, one_of: false } => format!("Write an object; its fields are: {}.", listed(fields)),
        Declared::Fields(_) | Declared::Union => return None,
    })
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

// `[String!]!` -> `String`
fn bare(ty: &str) -> &str {
    ty.trim_matches(['[', ']', '!'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::declared;

    #[test]
    fn every_scalar_has_an_example() {
        let scalars = declared::names().filter(|name| matches!(named(name), Some(Declared::Scalar)));
        for name in scalars.filter(|name| *name != "_FieldSet") {
            assert!(written(name).is_some_and(|hint| hint.contains('`')), "{name}");
        }
        assert!(SCALARS.is_sorted());
    }

    #[test]
    fn helpers_are_not_named() {
        for (message, expected) in [
            (
                "no (occurred while parsing \"Common\") (occurred while parsing \"InspectionFilter\")",
                "no (occurred while parsing \"InspectionFilter\")",
            ),
            (
                "no (occurred while parsing \"[InspectionFilter!]\")",
                "no (occurred while parsing \"[InspectionFilter!]\")",
            ),
            ("no (occurred while parsing \"Common\")", "no"),
            ("no", "no"),
        ] {
            assert_eq!(shown(message), expected);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut error = ServerError::new("ä".repeat(600), None);
        explain(&mut error);
        assert_eq!(error.message.chars().count(), 501);
    }
}
