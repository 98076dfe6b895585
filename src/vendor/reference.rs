//! The customer's own key for an entity, from the fields that a vendor's table lists.

use super::fields::JsonFields;
use crate::event::Reference;

/// The first of the fields that holds an identifier, looked for in each of the objects in turn. A field that is missing,
/// empty or no identifier is passed over. Only the first of the table counts as read: what another states can be replaced
/// by it later, and has to stay among the details.
pub fn read_reference(objects: &[&JsonFields<'_>], table: &[&str]) -> Option<Reference> {
    table.iter().zip(0..).find_map(|(path, precedence)| {
        let value = objects.iter().find_map(|fields| fields.id_at_path(path, precedence == 0))?;
        Some(Reference::new(value, precedence))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_holds_something_is_the_reference() {
        let table = &["asset.external_id", "external_id", "number"];
        for (body, expected) in [
            (r#"{"asset": {"external_id": "A"}, "external_id": "B"}"#, Some(("A", 0))),
            (r#"{"asset": {"external_id": " "}, "external_id": "B"}"#, Some(("B", 1))),
            (r#"{"asset": "A", "external_id": null, "number": 17}"#, Some(("17", 2))),
            (r#"{"asset": {"external_id": ["A"]}}"#, None),
        ] {
            let fields = JsonFields::parse_body(body.as_bytes()).expect("an object");
            let reference = read_reference(&[&JsonFields::default(), &fields], table);
            assert_eq!(reference, expected.map(|(value, at)| Reference::new(value.to_owned(), at)), "{body}");
        }
    }
}
