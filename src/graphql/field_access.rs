//! What a field needs: a scope, where it is a field of a root; or the scope to read what is personal.

use crate::event::PERSONAL_FACTS;
use entity::Scope;

/// Fields of a root that every principal may select.
const UNSCOPED_FIELDS: &[&str] = &["_service", "viewer"];
/// What each mutation needs. A test compares it with the schema.
const MUTATION_SCOPES: &[(&str, Scope)] = &[
    ("addComment", Scope::Operate),
    ("annotateInspection", Scope::Operate),
    ("createApiKey", Scope::Admin),
    ("linkEntity", Scope::Operate),
    ("registerInspection", Scope::Operate),
    ("revokeApiKey", Scope::Admin),
    ("rotateApiKey", Scope::Admin),
];
/// Fields whose value depends on the principal, and not only on its view.
const PRINCIPAL_FIELDS: &[(&str, &str)] = &[("Query", "viewer")];
/// Fields of a root that need the scope to operate, instead of the one to read.
const OPERATOR_FIELDS: &[&str] = &["hub", "rejected", "rejections"];
/// Personal fields beside the facts.
const PERSONAL_FIELDS: &[(&str, &str)] = &[
    ("Change", "actor"),
    ("Command", "actor"),
    ("Command", "input"),
    ("Command", "reason"),
    ("Comment", "author"),
    ("Comment", "text"),
    ("Delivery", "bodyText"),
    ("Delivery", "contentType"),
    ("Delivery", "headers"),
    ("Inspection", "details"),
    ("Item", "details"),
    ("Job", "details"),
    ("Rejection", "address"),
    ("Session", "details"),
];

/// The scope that an operation needs for a field of its root. What a root's field returns needs no other.
pub fn required_scope(parent: &str, field: &str) -> Option<Scope> {
    match (parent, field) {
        (_, field) if UNSCOPED_FIELDS.contains(&field) || field.starts_with("__") => None,
        ("Query", "apiKeys") => Some(Scope::Admin),
        ("Query" | "Subscription", field) if OPERATOR_FIELDS.contains(&field) => Some(Scope::Operate),
        ("Query" | "Subscription", _) => Some(Scope::Read),
        // A field that the schema does not have is left to the validation.
        ("Mutation", field) => MUTATION_SCOPES.iter().find(|(name, _)| *name == field).map(|(_, scope)| *scope),
        _ => None,
    }
}

pub fn depends_on_principal(parent: &str, field: &str) -> bool {
    PRINCIPAL_FIELDS.contains(&(parent, field))
}

/// Whether a field is null without the scope `READ_PERSONAL`.
pub fn is_personal(parent: &str, field: &str) -> bool {
    let is_fact = |fact: &&crate::event::PersonalFact| fact.object == parent && is_camel_case_of(field, fact.field);
    PERSONAL_FIELDS.contains(&(parent, field)) || PERSONAL_FACTS.iter().any(|fact| is_fact(&fact))
}

// Whether a name in camelCase, as in the API, is this name in snake_case, as in the code.
fn is_camel_case_of(camel: &str, snake: &str) -> bool {
    let mut snake = snake.chars();
    let mut same = camel.chars().all(|letter| match letter.is_ascii_uppercase() {
        true => snake.next() == Some('_') && snake.next() == Some(letter.to_ascii_lowercase()),
        false => snake.next() == Some(letter),
    });
    same &= snake.next().is_none();
    same
}

#[cfg(test)]
mod tests {
    use super::super::schema_types::{SchemaType, schema_field, schema_type};
    use super::*;

    #[test]
    fn every_mutation_needs_a_scope() {
        let Some(SchemaType::Fields(mutations)) = schema_type("Mutation") else { panic!("there are no mutations") };
        let mut names: Vec<&str> = mutations.keys().map(String::as_str).collect();
        names.sort_unstable();
        let known: Vec<&str> = MUTATION_SCOPES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, known);
        assert_eq!(required_scope("Mutation", "nothing"), None, "the validation refuses it");
    }

    #[test]
    fn personal_fields_are_in_the_schema_and_may_be_null() {
        let camel = |snake: &str| {
            let mut words = snake.split('_');
            let first = words.next().unwrap_or_default().to_owned();
            words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
        };
        let facts = PERSONAL_FACTS.iter().map(|fact| (fact.object, camel(fact.field)));
        let all = facts.chain(PERSONAL_FIELDS.iter().map(|(parent, field)| (*parent, (*field).to_owned())));
        for (parent, field) in all {
            let declared =
                schema_field(parent, &field).unwrap_or_else(|| panic!("{parent}.{field} is not in the schema"));
            assert!(declared.ty.nullable && declared.is_personal, "{parent}.{field}");
        }
        assert!(!is_personal("Vehicle", "make") && !is_personal("Vehicle", "bodytype") && !is_personal("Query", "vin"));
    }
}
