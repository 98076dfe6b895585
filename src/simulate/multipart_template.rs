//! A `multipart/form-data` sample as a template: each part is a field, and a part with JSON has fields of its own.

use super::sample::{JsonTree, json_string};

/// The content type of all form samples, see `tests/samples/README.md`.
pub const CONTENT_TYPE: &str = "multipart/form-data; boundary=hub-boundary";

const DELIMITER: &str = "--hub-boundary";

/// The parts by name, and their headers.
pub fn parse(text: &str) -> Option<(JsonTree, Vec<String>)> {
    let (mut fields, mut heads) = (Vec::new(), Vec::new());
    // The text before the first delimiter is empty; the last delimiter ends with `--`.
    for part in text.split(DELIMITER).skip(1).take_while(|part| !part.starts_with("--")) {
        let (head, content) = part.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
        let content = content.strip_suffix("\r\n")?;
        let name = head.split_once("name=\"")?.1.split_once('"')?.0;
        let value = if is_json(head) { JsonTree::parse(content)? } else { JsonTree::Leaf(json_string(content).into()) };
        fields.push((json_string(name).into(), value));
        heads.push(head.to_owned());
    }
    Some((JsonTree::Object(fields), heads))
}

pub fn render(fields: &JsonTree, heads: &[String]) -> String {
    let JsonTree::Object(fields) = fields else { return String::new() };
    let mut form = String::new();
    for ((_, value), head) in fields.iter().zip(heads) {
        let json = value.to_string();
        let content = if is_json(head) { json } else { serde_json::from_str(&json).unwrap_or(json) };
        form.push_str(&format!("{DELIMITER}\r\n{head}\r\n\r\n{content}\r\n"));
    }
    form + DELIMITER + "--\r\n"
}

fn is_json(head: &str) -> bool {
    head.contains("application/json")
}
