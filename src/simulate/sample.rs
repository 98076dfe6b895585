//! The sample payloads as templates: single fields are replaced, everything else stays as in the file, down to the order
//! of the keys and the format of the values. The tests and the simulator share these payloads.

use super::multipart_template;
use crate::vendor::fields::JsonFields;
use bytes::Bytes;
use rust_embed::RustEmbed;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

#[derive(RustEmbed)]
#[folder = "tests/samples"]
struct SampleFiles;

/// The samples by their path, e.g. `pave/session-complete.json`, without those that no vendor sends.
static SAMPLES: LazyLock<HashMap<String, SampleTemplate>> = LazyLock::new(|| {
    let read = |path: Cow<'static, str>| {
        Some((path.to_string(), SampleTemplate::parse(&path, &SampleFiles::get(&path)?.data)?))
    };
    SampleFiles::iter().filter(|path| !path.starts_with("bad/")).filter_map(read).collect()
});

#[derive(Clone, Debug)]
pub struct SampleTemplate {
    pub fields: JsonTree,
    /// The headers of the parts, if it is a form and not JSON.
    part_headers: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleBody {
    pub content_type: &'static str,
    pub bytes: Bytes,
}

/// JSON that preserves the order of keys and the text of values.
#[derive(Clone, Debug)]
pub enum JsonTree {
    /// The names are JSON strings.
    Object(Vec<(Arc<str>, JsonTree)>),
    List(Vec<JsonTree>),
    /// The JSON text of a string, a number, a boolean or null.
    Leaf(Arc<str>),
}

/// A script does not fit its samples. A test rules this out for the scripts that there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    #[error("there is no sample {0}")]
    Missing(String),
    #[error("the sample {sample} has no {pointer}")]
    NoField { sample: String, pointer: String },
    #[error("a template contains {{{0}}}, which the script does not set")]
    Unset(String),
}

impl SampleTemplate {
    /// The sample at a path; an error if there is none.
    pub fn get(path: &str) -> Result<&'static SampleTemplate, SampleError> {
        SAMPLES.get(path).ok_or_else(|| SampleError::Missing(path.to_owned()))
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
    pub fn parse(text: &str) -> Option<JsonTree> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        let text = raw.get();
        match text.as_bytes().first()? {
            b'{' => {
                let fields = JsonFields::parse_body(text.as_bytes()).ok()?;
                let read =
                    |(name, value): (&str, &RawValue)| Some((json_string(name).into(), JsonTree::parse(value.get())?));
                fields.entries().map(read).collect::<Option<_>>().map(JsonTree::Object)
            }
            b'[' => {
                let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                values.into_iter().map(|value| JsonTree::parse(value.get())).collect::<Option<_>>().map(JsonTree::List)
            }
            _ => Some(JsonTree::Leaf(text.into())),
        }
    }

    /// The JSON pointers that a pattern matches. In a pattern, `*` matches each entry of a list or an object; the name or
    /// index that the last one matched is beside the pointer. Null is not matched.
    pub fn matches(&self, pattern: &str) -> Vec<(String, String)> {
        let mut found = vec![(self, String::new(), String::new())];
        for token in pattern.split('/').skip(1) {
            let mut deeper = Vec::new();
            for (tree, pointer, index) in found {
                for (name, child) in tree.children() {
                    let child_pointer = format!("{pointer}/{name}");
                    if token == "*" {
                        deeper.push((child, child_pointer, name));
                    } else if token == name {
                        deeper.push((child, child_pointer, index.clone()));
                    }
                }
            }
            found = deeper;
        }
        let is_null = |tree: &JsonTree| matches!(tree, JsonTree::Leaf(text) if &**text == "null");
        found.into_iter().filter(|(tree, ..)| !is_null(tree)).map(|(_, pointer, index)| (pointer, index)).collect()
    }

    fn children(&self) -> Vec<(String, &JsonTree)> {
        match self {
            JsonTree::Object(fields) => {
                fields.iter().map(|(name, value)| (name.trim_matches('"').to_owned(), value)).collect()
            }
            JsonTree::List(values) => values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
            JsonTree::Leaf(_) => Vec::new(),
        }
    }

    /// The value at a JSON pointer (RFC 6901) without escapes.
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
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                write!(f, "{{{}}}", fields.join(","))
            }
            JsonTree::List(values) => {
                let values: Vec<_> = values.iter().map(JsonTree::to_string).collect();
                write!(f, "[{}]", values.join(","))
            }
            JsonTree::Leaf(text) => f.write_str(text),
        }
    }
}

pub fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_stays_unchanged() {
        let mut tree = JsonTree::parse(r#" {"b": 1.0, "a": {"x": ["\/", null, {}], "y": []}} "#).expect("JSON");
        *tree.pointer_mut("/a/x/1").expect("a value") = JsonTree::Leaf("7".into());
        assert_eq!(tree.to_string(), r#"{"b":1.0,"a":{"x":["\/",7,{}],"y":[]}}"#);
        for pointer in ["/c", "/a/x/3", "/b/x", "/a/x/y"] {
            assert!(tree.pointer_mut(pointer).is_none(), "{pointer}");
        }
    }

    #[test]
    fn a_pattern_matches_every_entry_but_null() {
        let tree = JsonTree::parse(r#"{"a": {"x": [{"id": 1}, {"id": null}, {"id": 3}]}, "b": 7}"#).expect("JSON");
        let matches = |pattern: &str| -> Vec<String> {
            tree.matches(pattern).into_iter().map(|(pointer, index)| format!("{pointer} {index}")).collect()
        };
        assert_eq!(matches("/a/x/*/id"), ["/a/x/0/id 0", "/a/x/2/id 2"]);
        assert_eq!(matches("/*"), ["/a a", "/b b"]);
        assert_eq!(matches("/a/*"), ["/a/x x"]);
        assert!(matches("/b/*").is_empty() && matches("/c").is_empty());
    }

    #[test]
    fn every_payload_is_a_sample_and_keeps_its_meaning_when_printed() {
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
        assert_eq!(SampleTemplate::get("pave/new.json").err(), Some(SampleError::Missing("pave/new.json".to_owned())));
    }
}
