//! The sample payloads as templates: single fields are replaced, everything else stays as it stands in the file, down to
//! the order of the keys and the spelling of the values. So the tests and the simulator speak of the same payloads.

use super::form;
use bytes::Bytes;
use rust_embed::RustEmbed;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

#[derive(RustEmbed)]
#[folder = "tests/samples"]
struct Files;

/// The samples by their path, e.g. `pave/session-complete.json`. What no vendor sends is left out.
static SAMPLES: LazyLock<HashMap<String, Sample>> = LazyLock::new(|| {
    let read = |path: Cow<'static, str>| Some((path.to_string(), Sample::read(&path, &Files::get(&path)?.data)?));
    Files::iter().filter(|path| !path.starts_with("bad/")).filter_map(read).collect()
});

/// A payload to be filled in.
#[derive(Clone, Debug)]
pub struct Sample {
    pub fields: Tree,
    /// The heads of the parts, if it is a form and not JSON.
    heads: Option<Vec<String>>,
}

/// A payload as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub content_type: &'static str,
    pub bytes: Bytes,
}

/// JSON whose keys keep their order and whose values keep their text.
#[derive(Clone, Debug)]
pub enum Tree {
    /// The names are JSON texts, too.
    Object(Vec<(Arc<str>, Tree)>),
    List(Vec<Tree>),
    /// The JSON text of a string, a number, a boolean or null.
    Leaf(Arc<str>),
}

/// A life and its samples do not fit together; a test sees to it that they do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSample {
    #[error("there is no sample {0}")]
    Missing(&'static str),
    #[error("the sample {sample} has no {pointer}")]
    NoField { sample: &'static str, pointer: String },
}

impl Sample {
    /// A copy of a sample to fill in.
    ///
    /// # Errors
    /// If there is no such sample.
    pub fn of(path: &'static str) -> Result<Sample, BadSample> {
        SAMPLES.get(path).cloned().ok_or(BadSample::Missing(path))
    }

    fn read(path: &str, content: &[u8]) -> Option<Sample> {
        let text = std::str::from_utf8(content).ok()?;
        if path.ends_with(".multipart") {
            let (fields, heads) = form::read(text)?;
            return Some(Sample { fields, heads: Some(heads) });
        }
        let fields = path.ends_with(".json").then(|| Tree::parse(text)).flatten()?;
        Some(Sample { fields, heads: None })
    }

    /// What goes over the wire.
    pub fn body(&self) -> Body {
        match &self.heads {
            Some(heads) => Body { content_type: form::CONTENT_TYPE, bytes: form::print(&self.fields, heads).into() },
            None => Body { content_type: "application/json", bytes: self.fields.to_string().into() },
        }
    }
}

impl Tree {
    /// Reads any JSON.
    pub fn parse(text: &str) -> Option<Tree> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        let text = raw.get();
        match text.as_bytes().first()? {
            b'{' => {
                let Entries(entries) = serde_json::from_str(text).ok()?;
                let read = |(name, value): (String, &RawValue)| Some((quoted(&name).into(), Tree::parse(value.get())?));
                entries.into_iter().map(read).collect::<Option<_>>().map(Tree::Object)
            }
            b'[' => {
                let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                values.into_iter().map(|value| Tree::parse(value.get())).collect::<Option<_>>().map(Tree::List)
            }
            _ => Some(Tree::Leaf(text.into())),
        }
    }

    /// What a JSON pointer (RFC 6901) without escapes points at.
    pub fn at(&mut self, pointer: &str) -> Option<&mut Tree> {
        pointer.split('/').skip(1).try_fold(self, |tree, token| match tree {
            Tree::Object(fields) => {
                fields.iter_mut().find(|(name, _)| name.trim_matches('"') == token).map(|(_, value)| value)
            }
            Tree::List(values) => values.get_mut(token.parse::<usize>().ok()?),
            Tree::Leaf(_) => None,
        })
    }
}

impl std::fmt::Display for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tree::Object(fields) => {
                for (number, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}:{value}", if number == 0 { "{" } else { "," })?;
                }
                f.write_str(if fields.is_empty() { "{}" } else { "}" })
            }
            Tree::List(values) => {
                for (number, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if number == 0 { "[" } else { "," })?;
                }
                f.write_str(if values.is_empty() { "[]" } else { "]" })
            }
            Tree::Leaf(text) => f.write_str(text),
        }
    }
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_stays_as_it_stands() {
        let mut tree = Tree::parse(r#" {"b": 1.0, "a": {"x": ["\/", null, {}], "y": []}} "#).expect("JSON");
        *tree.at("/a/x/1").expect("a value") = Tree::Leaf("7".into());
        assert_eq!(tree.to_string(), r#"{"b":1.0,"a":{"x":["\/",7,{}],"y":[]}}"#);
        for pointer in ["/c", "/a/x/3", "/b/x", "/a/x/y"] {
            assert!(tree.at(pointer).is_none(), "{pointer}");
        }
    }

    #[test]
    fn every_payload_is_a_sample_and_says_the_same_when_printed() {
        let payloads =
            Files::iter().filter(|path| !path.starts_with("bad/") && path.contains('.') && path.contains('/'));
        for path in payloads {
            let file = Files::get(&path).expect("a file").data;
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
        assert_eq!(Sample::of("pave/new.json").err(), Some(BadSample::Missing("pave/new.json")));
    }
}
