//! The customer's own key for an entity, from the fields that a vendor's table lists.

use super::fields::JsonFields;
use crate::event::Reference;

/// The first field of the table that contains an identifier, in the first of the objects that has it. Only the first
/// field of the table counts as read: a value from another one may be replaced by it later, and must stay among the
/// details.
pub fn read_reference(objects: &[&JsonFields<'_>], table: &[&str]) -> Option<Reference> {
    (0..).zip(table).find_map(|(precedence, path)| {
        let (fields, value) = objects.iter().find_map(|fields| Some((fields, fields.peek_id_at_path(path)?)))?;
        if precedence == 0 {
            fields.mark_id_at_path_read(path);
        }
        Some(Reference::new(value, precedence))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::machine::EntityType;

    #[test]
    fn the_first_field_with_an_identifier_is_the_reference() {
        let table = &["asset.external_id", "external_id", "number"];
        for (body, expected) in [
            (r#"{"asset": {"external_id": "A"}, "external_id": "B"}"#, Some(("A", 0))),
            (r#"{"asset": {"external_id": " "}, "external_id": " B "}"#, Some(("B", 1))),
            (r#"{"asset": "A", "external_id": null, "number": 17}"#, Some(("17", 2))),
            (r#"{"asset": {"external_id": ["A"]}}"#, None),
            (r#"{"asset": "{\"external_id\":\"A\"}", "external_id": "B"}"#, Some(("A", 0))),
            (r#"{"asset": [], "external_id": {}, "number": 17.0}"#, Some(("17", 2))),
            (r#"{"number": 1.5}"#, None),
            ("{}", None),
        ] {
            let fields = JsonFields::parse_body(body.as_bytes()).expect("an object");
            let reference = read_reference(&[&JsonFields::default(), &fields], table);
            assert_eq!(reference, expected.map(|(value, at)| Reference::new(value.to_owned(), at)), "{body}");
        }
    }

    #[test]
    fn only_the_first_field_of_the_table_counts_as_read() {
        let table = &["a.b", "c"];
        for (body, unread) in [
            (r#"{"a":{"b":"A"},"c":"C"}"#, vec![("c", r#""C""#)]),
            (r#"{"a":{"b": ""},"c":"C"}"#, vec![("a", r#"{"b": ""}"#), ("c", r#""C""#)]),
            (r#"{"a":"{\"b\":\"A\"}"}"#, vec![("a", r#""{\"b\":\"A\"}""#)]),
        ] {
            let fields = JsonFields::parse_body(body.as_bytes()).expect("an object");
            read_reference(&[&fields], table).expect("a reference");
            let event = Event::new(EntityType::Session, "1").details(fields.unread_details());
            let details: Vec<_> = event.details.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
            assert_eq!(details, unread, "{body}");
        }
    }
}
