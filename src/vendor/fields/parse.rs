//! Parses JSON into fields and values: borrowed where possible, lossy where a string is not valid Unicode.

use super::{JsonFields, TrackedField};
use crate::event::storable;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A JSON value that can always be serialized. Invalid Unicode becomes U+FFFD; a number that neither a double nor a 64-bit
/// integer represents becomes a string.
pub fn json_value(raw: &RawValue) -> serde_json::Value {
    use serde_json::Value;
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => match members(raw) {
            Some(members) => members.into_iter().map(|(name, value)| (name.into_owned(), json_value(value))).collect(),
            None => Value::String(text.to_owned()),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(values) => values.into_iter().map(json_value).collect(),
            Err(_) => Value::String(text.to_owned()),
        },
        Some(b'"') => Value::String(string(raw).unwrap_or_default()),
        _ => match serde_json::from_str::<Value>(text) {
            // An integer that became a double has lost digits.
            Ok(Value::Number(number)) if number.is_f64() && !text.contains(['.', 'e', 'E']) => text.into(),
            Ok(value) => value,
            Err(_) => text.into(),
        },
    }
}

/// A string that is not blank, or the text of a number or boolean.
pub fn text(value: &RawValue) -> Option<String> {
    let text = match value.get().as_bytes().first()? {
        b'"' => string(value)?,
        b'{' | b'[' | b'n' => return None,
        _ => value.get().to_owned(),
    };
    (!text.trim().is_empty()).then_some(text)
}

/// A string, with U+FFFD for what a database cannot store: NUL and lone surrogates.
pub fn string(value: &RawValue) -> Option<String> {
    let raw = value.get();
    if !raw.starts_with('"') {
        return None;
    }
    Some(storable(serde_json::from_str::<LossyText<'_>>(raw).ok()?.into_string().into_owned()))
}

/// The members of an object. `None` for other values.
pub fn members(value: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    if !value.get().starts_with('{') {
        return None;
    }
    serde_json::from_str::<Members<'_>>(value.get()).ok().map(|members| members.0)
}

/// The entries of a list, or of a list with gaps as PHP prints it: an object whose names are all whole numbers. `None` for
/// other values.
pub fn list_entries(value: &RawValue) -> Option<Vec<&RawValue>> {
    match value.get().as_bytes().first()? {
        b'[' => serde_json::from_str(value.get()).ok(),
        b'{' => {
            let members = members(value)?;
            let whole = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            members.iter().all(|(name, _)| whole(name)).then(|| members.into_iter().map(|(_, value)| value).collect())
        }
        _ => None,
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Members::deserialize(deserializer).map(|members| JsonFields::new(members.0, String::new()))
    }
}

impl<'a> TrackedField<'a> {
    pub(super) fn new(name: Cow<'a, str>, value: &'a RawValue) -> Self {
        TrackedField { name, value, state: Default::default(), misread: Default::default() }
    }
}

// A string as serde_json returns it with lone surrogates: as bytes (WTF-8). Borrowed unless it has escapes.
#[derive(Deserialize)]
struct LossyText<'a>(#[serde(borrow)] Cow<'a, [u8]>);

impl<'a> LossyText<'a> {
    fn into_string(self) -> Cow<'a, str> {
        match self.0 {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(12);
                while let Some((name, value)) = map.next_entry::<LossyText<'de>, &'de RawValue>()? {
                    members.push((name.into_string(), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The nesting of a JSON text, by counting brackets outside of strings.
pub fn nesting_depth(text: &str) -> usize {
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
