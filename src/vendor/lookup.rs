//! Finds what a vendor may state in one of several places. Looking does not count a field as read: it stays among the
//! details.

use super::fields::{JsonFields, json_value};
use crate::event::Reference;
use serde_json::Value;
use serde_json::value::RawValue;

/// The longest identifier, in characters, as in [`Fields::id`].
const MAX_ID_CHARS: usize = 512;

/// An identifier: a text without the blanks around it, or a whole number.
pub fn identifier(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => strip_zero_fraction(&number.to_string())?.to_owned(),
        _ => return None,
    };
    (!id.is_empty() && id.chars().count() <= MAX_ID_CHARS).then_some(id)
}

// A number's text without a fraction of zeros, as `Fields::id` reads it.
fn strip_zero_fraction(number: &str) -> Option<&str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    (digits.bytes().all(|byte| byte.is_ascii_digit()) && fraction.bytes().all(|byte| byte == b'0')).then_some(whole)
}

/// A field as a JSON value; a text that holds a JSON object is opened.
pub fn parse_embedded_json(value: &RawValue) -> Value {
    match json_value(value) {
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        value => value,
    }
}

/// What stands at a path of names with dots between.
pub fn peek_path(fields: &JsonFields<'_>, path: &str) -> Option<Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = parse_embedded_json(fields.peek(first)?);
    rest.split('.').filter(|name| !name.is_empty()).try_fold(value, |value, name| value.get(name).cloned())
}

/// The customer's key: the first of these places that states one. A place that is not the first can be displaced later
/// by one that is, so that what it states has to stay among the details.
pub fn peek_reference<'p>(paths: &[&'p str], stated_at: impl Fn(&'p str) -> Option<Value>) -> Option<Reference> {
    (0..).zip(paths).find_map(|(precedence, path)| Some(Reference::new(identifier(&stated_at(path)?)?, precedence)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::machine::EntityType;

    #[test]
    fn the_first_place_that_states_a_key_wins_and_an_empty_one_states_none() {
        let paths = ["a", "b.c", "d"];
        for (body, key) in [
            (r#"{"a":"A","b":{"c":"C"},"d":"D"}"#, Some(("A", 0))),
            (r#"{"a":"","b":{"c":" C "},"d":"D"}"#, Some(("C", 1))),
            (r#"{"a":null,"b":{"c":[]},"d":7}"#, Some(("7", 2))),
            (r#"{"a":"  ","b":"{\"c\":\"C\"}"}"#, Some(("C", 1))),
            (r#"{"a":17.0}"#, Some(("17", 0))),
            (r#"{"a":{},"b":[],"d":1.5}"#, None),
            ("{}", None),
        ] {
            let body = JsonFields::parse_body(body.as_bytes()).expect("an object");
            let found = peek_reference(&paths, |path| peek_path(&body, path));
            let expected = key.map(|(value, precedence)| Reference::new(value.to_owned(), precedence));
            assert_eq!(found, expected);
            let stated = body.entries().filter(|(_, value)| value.get() != "null").count();
            let left = Event::new(EntityType::Session, "1").details(body.unread_details()).details;
            assert_eq!(left.len(), stated, "looking reads nothing");
        }
    }
}
