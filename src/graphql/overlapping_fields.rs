//! Whether fields with the same response name can be merged (GraphQL, October 2021, section 5.3.2): a client must know the
//! field's type, whichever of several objects it belongs to. async-graphql compares only fields of the same object.

use super::collect_fields::FieldGroup;
use super::error::ApiError;
use super::error_code::ApiErrorCode;
use async_graphql::parser::types::ExecutableDocument;

/// Checks all operations of a document. It must be known to be small when all fragments are expanded.
///
/// # Errors
/// The first two fields that cannot be merged.
pub fn check_overlapping_fields(document: &ExecutableDocument) -> Result<(), ApiError> {
    document
        .operations
        .iter()
        .try_for_each(|(_, operation)| check_field_group(&FieldGroup::of(&operation.node, true), document))
}

fn check_field_group<'a>(group: &FieldGroup<'a>, document: &'a ExecutableDocument) -> Result<(), ApiError> {
    if !group.has_fields() {
        return Ok(());
    }
    for (name, field) in group.subfields(document) {
        if let (Some(ty), Some((other, at))) = (field.ty, field.conflict) {
            let message = format!("\"{name}\" would be both {ty} and {other}; give one of them an alias");
            return Err(ApiError::in_document(ApiErrorCode::GraphqlValidationFailed, message, Some(at)));
        }
        check_field_group(field, document)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    fn refused(fields: &str) -> Option<String> {
        let query = format!(
            "{{ node(id: \"x\") {{ {fields} }} }} fragment F on Job {{ ...G }} fragment G on Job {{ s: status }}"
        );
        let why = check_overlapping_fields(&parse_query(query).expect("a query")).err()?;
        Some(why.message)
    }

    #[test]
    fn fields_with_the_same_name_have_the_same_type() {
        for fields in [
            "id ... on Inspection { id status } ... on Job { id jobStatus: status }",
            "... on Inspection { externalId } ... on Job { externalId }",
            "... on Inspection { items { totalCount } } ... on Session { items { nodes { id } } }",
            "... on Item { up: inspection { status } } ... on Job { up: inspection { state } }",
            "... on Inspection { a: items { a: nodes { id } } } ... on Job { a: items { a: edges { cursor } } }",
            "... on Session { parent: inspection { state } } ... on Job { parent { id } }",
            "... on Inspection { nonsense } ... on Job { nonsense { a } }",
        ] {
            assert_eq!(refused(fields), None, "{fields}");
        }
        for (fields, why) in [
            (
                "... on Inspection { status } ... on Job { status }",
                "\"status\" would be both InspectionStatus and JobStatus",
            ),
            ("... on Inspection { s: state } ...F", "\"s\" would be both String and JobStatus"),
            (
                "... on Inspection { a: externalId } ... on Job { a: reference }",
                "\"a\" would be both String! and String",
            ),
            ("... on Inspection { a: __typename } ... on Job { a: id }", "\"a\" would be both String! and ID!"),
            (
                "... on Inspection { a: items { a: nodes { id } } } ... on Job { a: items { a: pageInfo { endCursor } } }",
                "\"a\" would be both [Item!]! and PageInfo!",
            ),
            (
                "... on Item { up: inspection { status } } ... on Job { up: parent { ... on Session { status } } }",
                "\"status\" would be both InspectionStatus and SessionStatus",
            ),
        ] {
            let message = refused(fields);
            assert!(message.as_deref().is_some_and(|message| message.starts_with(why)), "{fields}: {message:?}");
        }
    }
}
