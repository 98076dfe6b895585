//! What a body says besides the typed fields, put together so that no field displaces another of the same name.

use super::fields::Fields;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// Fields as they came, by name.
pub type Details = Vec<(String, Box<RawValue>)>;

/// Adds fields of another object. Where a name is taken by another value, the object's name comes before it.
pub fn add(details: &mut Details, object: &str, more: Details) {
    for (name, value) in more {
        let Some((_, taken)) = details.iter().find(|(known, _)| *known == name) else {
            details.push((name, value));
            continue;
        };
        if taken.get() == value.get() {
            continue;
        }
        let mut name = format!("{object}.{name}");
        while details.iter().any(|(known, _)| *known == name) {
            name.push('\'');
        }
        details.push((name, value));
    }
}

/// A field as it came, for what was read only in part.
pub fn whole(of: &Fields<'_>, name: &str) -> Details {
    of.look(name).map(|value| (name.to_owned(), value.to_owned())).into_iter().collect()
}

/// A nested object as it came, if more was said in it than was read of it.
pub fn whole_if_left(of: &Fields<'_>, name: &str, part: &Fields<'_>) -> Details {
    if part.rest().is_empty() { Vec::new() } else { whole(of, name) }
}

/// Several fields as one detail.
pub fn grouped(name: &str, fields: Details) -> Details {
    if fields.is_empty() {
        return fields;
    }
    let fields: BTreeMap<String, Box<RawValue>> = fields.into_iter().collect();
    to_raw_value(&fields).map(|value| (name.to_owned(), value)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(body: &str) -> Details {
        Fields::of_body(body.as_bytes()).expect("an object").rest()
    }

    fn printed(details: &Details) -> Vec<(&str, &str)> {
        details.iter().map(|(name, value)| (name.as_str(), value.get())).collect()
    }

    #[test]
    fn a_name_that_is_taken_gets_the_name_of_the_object_before_it() {
        let mut details = rest(r#"{"a":1,"b":2,"photo.b":4}"#);
        add(&mut details, "photo", rest(r#"{"a":1,"b":3,"c":5}"#));
        assert_eq!(printed(&details), [("a", "1"), ("b", "2"), ("photo.b", "4"), ("photo.b'", "3"), ("c", "5")]);
    }

    #[test]
    fn fields_can_be_one_detail() {
        assert_eq!(printed(&grouped("entry", rest(r#"{"b":[1.50],"a":null}"#))), [("entry", r#"{"b":[1.50]}"#)]);
        assert!(grouped("entry", Vec::new()).is_empty());
    }

    #[test]
    fn an_object_that_was_read_completely_is_not_kept() {
        let body = Fields::of_body(br#"{"a":{"x":1},"b":{"x":1,"y":2}}"#).expect("an object");
        let left = |name: &str| {
            let part = body.object(name).expect("an object");
            part.id("x");
            whole_if_left(&body, name, &part).len()
        };
        assert_eq!((left("a"), left("b")), (0, 1));
    }
}
