//! A vendor's JSON object, read field by field and forgivingly: a field of the wrong type counts as absent and stays
//! readable among the details, numbers keep their text, and what nobody asked for is what is left.

use super::{Unreadable, body};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cell::Cell;

/// How deep a body may be nested; the limit serde_json has too.
const MAX_DEPTH: usize = 128;
/// The longest id a vendor announces (Record360: up to 255 characters); ours is a little larger.
const MAX_ID: usize = 512;

/// The fields of one JSON object. A field that was read does not count among the [rest](Fields::rest).
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<Field<'a>>);

#[derive(Debug)]
struct Field<'a> {
    name: Cow<'a, str>,
    value: &'a RawValue,
    read: Cell<bool>,
}

impl<'a> Fields<'a> {
    /// Reads a body that should be a JSON object.
    ///
    /// # Errors
    /// Says in which way it is not, and where.
    pub fn of_body(body: &'a [u8]) -> Result<Self, Unreadable> {
        let text = body::utf8(body)?;
        if depth(text) > MAX_DEPTH {
            return Err(Unreadable(format!("the body is nested deeper than {MAX_DEPTH} levels")));
        }
        serde_json::from_str(text).map_err(|error| {
            Unreadable(match error.classify() {
                serde_json::error::Category::Data => "the body is JSON, but not an object".to_owned(),
                _ => format!("the body is not JSON: line {}, column {}", error.line(), error.column()),
            })
        })
    }

    fn of_value(value: &'a RawValue) -> Option<Self> {
        if !value.get().starts_with('{') {
            return None;
        }
        serde_json::from_str(value.get()).ok()
    }

    // The last of several fields with one name counts, as in serde_json and JavaScript.
    fn find(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().rev().find(|field| field.name == name)
    }

    fn take<T>(&self, name: &str, convert: impl FnOnce(&'a RawValue) -> Option<T>) -> Option<T> {
        let field = self.find(name)?;
        let value = convert(field.value)?;
        field.read.set(true);
        Some(value)
    }

    /// Whether there is a field with this name, and it is not null.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some_and(|field| field.value.get() != "null")
    }

    /// A string that is not blank; a number's or a boolean's text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.take(name, text)
    }

    /// An identifier: a string or a whole number, as text, at most 512 characters.
    pub fn id(&self, name: &str) -> Option<String> {
        self.take(name, |value| {
            let raw = value.get();
            let whole = raw.strip_prefix('-').unwrap_or(raw).bytes().all(|byte| byte.is_ascii_digit());
            let id = if whole { raw.to_owned() } else { string(value)?.trim().to_owned() };
            (!id.is_empty() && id.chars().count() <= MAX_ID).then_some(id)
        })
    }

    /// A number, also one written as a string.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.take(name, |value| text(value)?.parse::<f64>().ok().filter(|number| number.is_finite()))
    }

    /// A whole number within 32 bits, also one written as a string.
    pub fn integer(&self, name: &str) -> Option<i32> {
        self.take(name, |value| text(value)?.parse().ok())
    }

    /// A boolean, or 0 and 1.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.take(name, |value| match value.get() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    /// A moment, in any of the forms of [`moment`].
    pub fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        self.take(name, |value| moment(&text(value)?))
    }

    /// A nested object. Its own rest must be asked of it.
    pub fn object(&self, name: &str) -> Option<Fields<'a>> {
        self.take(name, Fields::of_value)
    }

    /// The objects of a list; also a single object where a list of one is meant.
    pub fn objects(&self, name: &str) -> Vec<Fields<'a>> {
        self.values(name).into_iter().filter_map(Fields::of_value).collect()
    }

    /// The values of a list; also a single value where a list of one is meant.
    pub fn values(&self, name: &str) -> Vec<&'a RawValue> {
        self.take(name, |value| match value.get() {
            "null" => None,
            list if list.starts_with('[') => serde_json::from_str::<Vec<&'a RawValue>>(list).ok(),
            _ => Some(vec![value]),
        })
        .unwrap_or_default()
    }

    /// A field as it stands, if it is not null.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.take(name, |value| (value.get() != "null").then_some(value))
    }

    /// A field as a JSON value, if it is not null.
    pub fn json(&self, name: &str) -> Option<serde_json::Value> {
        self.take(name, |value| (value.get() != "null").then(|| json(value)))
    }

    /// Counts a field as read, for what is known but has no use.
    pub fn skip(&self, name: &str) {
        self.take(name, |_| Some(()));
    }

    /// What has not been read and is not null: the details.
    pub fn rest(&self) -> Vec<(String, Box<RawValue>)> {
        self.0
            .iter()
            .filter(|field| !field.read.get() && field.value.get() != "null")
            .map(|field| (clean(&field.name), field.value.to_owned()))
            .collect()
    }
}

/// A moment in the forms vendors use: RFC 3339 with any offset, `YYYY-MM-DD HH:MM:SS` taken as UTC (Truto), or whole
/// seconds since the Unix epoch (Hover's `signed_at`). None for anything else, or outside the years 1970 to 9999.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let at = DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .ok()
        .or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|at| at.and_utc()).ok())
        .or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc()).ok())
        .or_else(|| text.parse::<i64>().ok().filter(|s| *s > 0).and_then(|s| DateTime::from_timestamp(s, 0)))?;
    (at >= DateTime::UNIX_EPOCH && at.timestamp() < 253_402_300_800).then_some(at)
}

/// An id for what has none: its owner's and a digest of what it says (the first 64 bits of SHA-256, hexadecimal).
pub fn identity(owner: &str, content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    format!("{owner}/{}", hex::encode(digest.get(..8).unwrap_or_default()))
}

/// Any JSON as a value that can always be printed again: text that is no Unicode gets U+FFFD, numbers that a double or
/// a 64-bit integer cannot hold become their text.
pub fn json(raw: &RawValue) -> serde_json::Value {
    use serde_json::Value;
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => match Fields::of_value(raw) {
            Some(fields) => fields.0.iter().map(|f| (f.name.clone().into_owned(), json(f.value))).collect(),
            None => Value::String(text.to_owned()),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(values) => values.into_iter().map(json).collect(),
            Err(_) => Value::String(text.to_owned()),
        },
        Some(b'"') => Value::String(string(raw).unwrap_or_default()),
        _ => match serde_json::from_str::<Value>(text) {
            // An integer that had to become a double has lost digits.
            Ok(Value::Number(number)) if number.is_f64() && !text.contains(['.', 'e', 'E']) => text.into(),
            Ok(value) => value,
            Err(_) => text.into(),
        },
    }
}

fn text(value: &RawValue) -> Option<String> {
    let text = match value.get().as_bytes().first()? {
        b'"' => string(value)?,
        b'{' | b'[' | b'n' => return None,
        _ => value.get().to_owned(),
    };
    (!text.trim().is_empty()).then_some(text)
}

// A JSON string's text, with U+FFFD for what a database cannot keep: NUL and lone surrogates.
fn string(value: &RawValue) -> Option<String> {
    let raw = value.get();
    if !raw.starts_with('"') {
        return None;
    }
    match serde_json::from_str::<Cow<'_, str>>(raw) {
        Ok(text) => Some(clean(&text)),
        Err(_) => {
            let bytes = serde_json::from_str::<Lossy>(raw).ok()?;
            Some(clean(&bytes.0))
        }
    }
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

// serde_json hands out strings with lone surrogates as bytes (WTF-8).
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Lossy;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Lossy, E> {
                Ok(Lossy(text.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(12);
                while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push(Field { name: name.0, value, read: Cell::new(false) });
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

// A field's name, borrowed unless it has escapes; names that are no Unicode are read lossily too.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Name<'de>, E> {
                Ok(Name(String::from_utf8_lossy(bytes)))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

// The deepest nesting of a JSON text, without reading it as JSON: brackets outside of strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields<'_> {
        Fields::of_body(text.as_bytes()).expect("an object")
    }

    #[test]
    fn ids_keep_every_digit() {
        let body = fields(r#"{"a": 98765432109876543210, "b": "x ", "c": 1.5, "d": "", "e": true}"#);
        let ids: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|name| body.id(name)).collect();
        assert_eq!(ids, [Some("98765432109876543210".into()), Some("x".into()), None, None, None]);
    }

    #[test]
    fn what_was_not_read_or_not_usable_is_the_rest() {
        let body = fields(r#"{"state": "working", "job_id": [1], "hours": 1.5, "gone": null}"#);
        assert_eq!(body.text("state").as_deref(), Some("working"));
        assert_eq!(body.id("job_id"), None);
        let rest: Vec<_> = body.rest().into_iter().map(|(name, value)| (name, value.get().to_owned())).collect();
        assert_eq!(rest, [("job_id".into(), "[1]".into()), ("hours".into(), "1.5".into())]);
    }

    #[test]
    fn moments_are_read_in_all_forms_and_odd_ones_are_none() {
        let at = |text| moment(text).map(|at| at.timestamp());
        assert_eq!(at("2021-05-29T03:45:27+05:00"), Some(1_622_241_927));
        assert_eq!(at("2024-09-10 12:00:00"), Some(1_725_969_600));
        assert_eq!(at("1598555054"), Some(1_598_555_054));
        for odd in
            ["", "0000-00-00", "2024-02-30T00:00:00Z", "1e9", "0", "-1", "253402300800", "2024-01-01T00:00:00+99:99"]
        {
            assert_eq!(at(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn text_that_no_database_keeps_is_replaced() {
        let body = fields(r#"{"a": "x\u0000y", "b": "x\ud800y", "\ud800": 1}"#);
        assert_eq!(body.text("a").as_deref(), Some("x\u{fffd}y"));
        assert!(body.text("b").is_some_and(|text| text.starts_with('x') && text.contains('\u{fffd}')));
    }

    #[test]
    fn any_json_can_be_printed_again() {
        let body =
            fields(r#"{"d": {"n": 1e400, "i": 123456789012345678901234567890, "s": "\ud800", "k": [1, 2.5, null]}}"#);
        let json = body.json("d").expect("a value");
        assert_eq!(json["n"], "1e400");
        assert_eq!(json["i"], "123456789012345678901234567890");
        assert_eq!(json["k"], serde_json::json!([1, 2.5, null]));
    }

    #[test]
    fn bodies_that_are_no_object_say_how() {
        let why = |body: &[u8]| Fields::of_body(body).expect_err("unreadable").0;
        assert_eq!(why(b"{\"a\": \xff}"), "the body is not UTF-8 from byte 6 on");
        assert_eq!(why(b"[1]"), "the body is JSON, but not an object");
        assert_eq!(why(b"{\"a\": 1"), "the body is not JSON: line 1, column 7");
        assert_eq!(why(format!("{{\"a\":{}", "[".repeat(200)).as_bytes()), "the body is nested deeper than 128 levels");
    }
}
