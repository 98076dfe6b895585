//! The sample payloads as templates: single fields are replaced, everything else stays as it stands in the file, down to
//! the order of the keys and the spelling of the values. So the tests and the simulator speak of the same payloads.

use super::multipart_template;
use bytes::Bytes;
use rust_embed::RustEmbed;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

#[derive(RustEmbed)]
#[folder = "tests/samples"]
struct SampleFiles;

/// The samples by their path, e.g. `pave/session-complete.json`. What no vendor sends is left out.
static SAMPLES: LazyLock<HashMap<String, SampleTemplate>> = LazyLock::new(|| {
    let read = |path: Cow<'static, str>| {
        Some((path.to_string(), SampleTemplate::parse(&path, &SampleFiles::get(&path)?.data)?))
    };
    SampleFiles::iter().filter(|path| !path.starts_with("bad/")).filter_map(read).collect()
});

/// A payload to be filled in.
#[derive(Clone, Debug)]
pub struct SampleTemplate {
    pub fields: JsonTree,
    /// The heads of the parts, if it is a form and not JSON.
    part_headers: Option<Vec<String>>,
}

/// A payload as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleBody {
    pub content_type: &'static str,
    pub bytes: Bytes,
}

/// JSON whose keys keep their order and whose values keep their text.
#[derive(Clone, Debug)]
pub enum JsonTree {
    /// The names are JSON texts, too.
    Object(Vec<(Arc<str>, JsonTree)>),
    List(Vec<JsonTree>),
    /// The JSON text of a string, a number, a boolean or null.
    Leaf(Arc<str>),
}

/// A scenario and its samples do not fit together; a test sees to it that they do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    #[error("there is no sample {0}")]
    Missing(&'static str),
    #[error("the sample {sample} has no {pointer}")]
    NoField { sample: &'static str, pointer: String },
}

impl SampleTemplate {
    /// A copy of a sample to fill in.
    ///
    /// # Errors
    /// If there is no such sample.
    pub fn get(path: &'static str) -> Result<SampleTemplate, SampleError> {
        SAMPLES.get(path).cloned().ok_or(SampleError::Missing(path))
    }

    fn parse(path: &str, content: &[u8]) -> Option<SampleTemplate> {
        let text = std::str::from_utf8(content).ok()?;
        if path.ends_with(".multipart") {
            let (fields, heads) = multipart_template::parse(text)?;
            return Some(SampleTemplate { fields, part_headers: Some(heads) });
        }
        let fields = path.ends_with(".json").then(|| JsonTree::parse(text)).flatten()?;
        Some(SampleTemplate { fields, part_headers: None })
    }

    /// What goes over the wire.
    pub fn body(&self) -> SampleBody {
        match &self.part_headers {
            Some(heads) => SampleBody {
                content_type: multipart_template::CONTENT_TYPE,
                bytes: multipart_template::render(&self.fields, heads).into(),
            },
            None => SampleBody { content_type: "application/json", bytes: self.fields.to_string().into() },
        }
    }
}

impl JsonTree {
    /// Reads any JSON.
    pub fn parse(text: &str) -> Option<JsonTree> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        let text = raw.get();
        match text.as_bytes().first()? {
            b'{' => {
                let OrderedEntries(entries) = serde_json::from_str(text).ok()?;
                let read = |(name, value): (String, &RawValue)| {
                    Some((json_string(&name).into(), JsonTree::parse(value.get())?))
                };
                entries.into_iter().map(read).collect::<Option<_>>().map(JsonTree::Object)
            }
            b'[' => {
                let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                values.into_iter().map(|value| JsonTree::parse(value.get())).collect::<Option<_>>().map(JsonTree::List)
            }
            _ => Some(JsonTree::Leaf(text.into())),
        }
    }

    /// What a JSON pointer (RFC 6901) without escapes points at.
    pub fn pointer_mut(&mut self, pointer: &str) -> Option<&mut JsonTree> {
        pointer.split('/').skip(1).try_fold(self, |tree, token| match tree {
            JsonTree::Object(fields) => {
                fields.iter_mut().find(|(name, _)| name.trim_matches('"') == token).map(|(_, value)| value)
            }
            JsonTree::List(values) => values.get_mut(token.parse::<usize>().ok()?),
            JsonTree::Leaf(_) => None,
        })
    }
}

impl std::fmt::Display for JsonTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            JsonTree::Object(fields) => {
                for (number, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}:{value}", if number == 0 { "{" } else { "," })?;
                }
                f.write_str(if fields.is_empty() { "{}" } else { "}" })
            }
            JsonTree::List(values) => {
                for (number, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if number == 0 { "[" } else { "," })?;
                }
                f.write_str(if values.is_empty() { "[]" } else { "]" })
            }
            JsonTree::Leaf(text) => f.write_str(text),
        }
    }
}

/// A text as JSON.
pub fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct OrderedEntries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for OrderedEntries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderedEntriesVisitor;

        impl<'de> Visitor<'de> for OrderedEntriesVisitor {
            type Value = OrderedEntries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(OrderedEntries(entries))
            }
        }

        deserializer.deserialize_map(OrderedEntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_stays_as_it_stands() {
        let mut tree = JsonTree::parse(r#" {"b": 1.0, "a": {"x": ["\/", null, {}], "y": []}} "#).expect("JSON");
        *tree.pointer_mut("/a/x/1").expect("a value") = JsonTree::Leaf("7".into());
        assert_eq!(tree.to_string(), r#"{"b":1.0,"a":{"x":["\/",7,{}],"y":[]}}"#);
        for pointer in ["/c", "/a/x/3", "/b/x", "/a/x/y"] {
            assert!(tree.pointer_mut(pointer).is_none(), "{pointer}");
        }
    }

    #[test]
    fn every_payload_is_a_sample_and_says_the_same_when_printed() {
        let payloads =
            SampleFiles::iter().filter(|path| !path.starts_with("bad/") && path.contains('.') && path.contains('/'));
        for path in payloads {
            let file = SampleFiles::get(&path).expect("a file").data;
            let sample = SAMPLES.get(path.as_ref()).unwrap_or_else(|| panic!("{path} is no sample"));
            let body = sample.body();
            if path.ends_with(".multipart") {
                assert_eq!(body.bytes, file.as_ref(), "{path}");
            } else {
                let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
                assert_eq!(json(&body.bytes), json(&file), "{path}");
            }
        }
        assert!(SAMPLES.len() > 100);
        assert_eq!(SampleTemplate::get("pave/new.json").err(), Some(SampleError::Missing("pave/new.json")));
    }
}
