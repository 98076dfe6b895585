//! Converts Truto's `multipart/form-data` deliveries to the JSON envelope. No page documents the form: its fields are taken as
//! those of the envelope, or one of them as the whole envelope. Files are represented by name and size; their content stays
//! in the raw delivery.

use crate::vendor::Unreadable;
use futures_util::{FutureExt, stream};
use multer::{Field, Multipart};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::convert::Infallible;

pub const MULTIPART_FORM: &str = "multipart/form-data";
/// More than any envelope has.
const MAX_FIELDS: usize = 256;
/// The fields that may contain JSON, also the whole envelope.
const JSON_FIELDS: [&str; 3] = ["payload", "data", "body"];

type FormFields = BTreeMap<String, Box<RawValue>>;

/// The envelope as a JSON object.
///
/// # Errors
/// If the form is truncated or malformed.
pub fn envelope_json(content_type: &str, body: &[u8]) -> Result<Vec<u8>, Unreadable> {
    // The body is in memory, so the future is always ready.
    let envelope = parse_multipart(content_type, body).now_or_never().unwrap_or_else(|| Err(malformed_form()))?;
    serde_json::to_vec(&envelope).map_err(|_| malformed_form())
}

async fn parse_multipart(content_type: &str, body: &[u8]) -> Result<FormFields, Unreadable> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| Unreadable("the content type of the form names no boundary".to_owned()))?;
    let whole = body.to_vec();
    let mut form = Multipart::new(stream::iter([Ok::<_, Infallible>(whole)]), boundary);
    let (mut envelope, mut files, mut number) = (FormFields::new(), Vec::new(), 0);
    while let Some(field) = form.next_field().await.map_err(|_| malformed_form())? {
        number += 1;
        if number > MAX_FIELDS {
            return Err(Unreadable(format!("the form has more than {MAX_FIELDS} fields")));
        }
        let name = field.name().unwrap_or("unnamed").to_owned();
        match field.file_name().filter(|_| !is_json(&field)).map(str::to_owned) {
            Some(file) => {
                let bytes = field.bytes().await.map_err(|_| malformed_form())?.len();
                files.push(serde_json::json!({ "name": file, "bytes": bytes }));
            }
            None => {
                let text = field.text().await.map_err(|_| malformed_form())?;
                envelope.insert(name, field_value(&text).ok_or_else(malformed_form)?);
            }
        }
    }
    if !files.is_empty() {
        envelope.insert("files".to_owned(), to_raw_value(&files).map_err(|_| malformed_form())?);
    }
    Ok(unwrap_envelope(envelope))
}

// `FormData` in browsers adds a file name to a JSON blob.
fn is_json(field: &Field<'_>) -> bool {
    let json = field.content_type().is_some_and(|mime| mime.essence_str() == "application/json");
    json && field.name().is_some_and(|name| JSON_FIELDS.contains(&name))
}

fn field_value(text: &str) -> Option<Box<RawValue>> {
    let trimmed = text.trim();
    let json = trimmed.starts_with(['{', '[']).then(|| RawValue::from_string(trimmed.to_owned()).ok()).flatten();
    json.or_else(|| to_raw_value(text).ok())
}

// If the form names no event, one of its fields may be the whole envelope.
fn unwrap_envelope(mut form: FormFields) -> FormFields {
    let names_event = |fields: &FormFields| fields.contains_key("event") || fields.contains_key("event_type");
    if names_event(&form) {
        return form;
    }
    for name in JSON_FIELDS {
        let whole = form.get(name).and_then(|raw| serde_json::from_str::<FormFields>(raw.get()).ok());
        if let Some(whole) = whole.filter(names_event) {
            form.remove(name);
            form.extend(whole);
            return form;
        }
    }
    form
}

fn malformed_form() -> Unreadable {
    Unreadable("the multipart form is truncated or malformed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const TYPE: &str = "multipart/form-data; boundary=b";

    fn part(head: &str, content: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    }

    fn read(parts: &[String]) -> Result<Value, Unreadable> {
        let body = format!("{}--b--\r\n", parts.concat());
        envelope_json(TYPE, body.as_bytes()).map(|json| serde_json::from_slice(&json).expect("JSON"))
    }

    #[test]
    fn the_fields_are_the_envelopes() {
        let form = read(&[
            part("name=\"id\"", "evt"),
            part("name=\"event\"", "sync_job_run:record"),
            part("name=\"payload\"", r#" {"records": [{"id": 12345678901234567890}]}"#),
            part("name=\"created_at\"", "2024-09-10 12:00:00"),
            part("name=\"note\"", "{broken"),
        ]);
        let expected = json!({
            "id": "evt",
            "event": "sync_job_run:record",
            "payload": { "records": [{ "id": 12345678901234567890u64 }] },
            "created_at": "2024-09-10 12:00:00",
            "note": "{broken",
        });
        assert_eq!(form, Ok(expected));
    }

    #[test]
    fn one_field_may_be_the_whole_envelope_also_as_a_blob() {
        let whole = r#"{"id": "evt", "event": "test", "payload": {"foo": "bar"}}"#;
        let expected = json!({ "id": "evt", "event": "test", "payload": { "foo": "bar" } });
        for name in JSON_FIELDS {
            assert_eq!(read(&[part(&format!("name=\"{name}\""), whole)]), Ok(expected.clone()), "{name}");
        }
        let blob = part("name=\"data\"; filename=\"blob\"\r\nContent-Type: application/json", whole);
        assert_eq!(read(&[blob]), Ok(expected));
    }

    #[test]
    fn a_payload_that_mentions_an_event_is_not_the_envelope() {
        let form = read(&[part("name=\"event\"", "test"), part("name=\"payload\"", r#"{"event": "x"}"#)]);
        assert_eq!(form, Ok(json!({ "event": "test", "payload": { "event": "x" } })));
    }

    #[test]
    fn files_are_represented_by_name_and_size() {
        let file = part("name=\"file\"; filename=\"a b.pdf\"\r\nContent-Type: application/pdf", "%PDF\r\n--");
        let form = read(&[part("name=\"event\"", "test"), file]);
        assert_eq!(form, Ok(json!({ "event": "test", "files": [{ "name": "a b.pdf", "bytes": 8 }] })));
    }

    #[test]
    fn a_truncated_form_is_unreadable() {
        let good = format!("{}{}--b--", part("name=\"event\"", "test"), part("name=\"payload\"", "{}"));
        assert!(envelope_json(TYPE, good.as_bytes()).is_ok());
        for end in 0..good.len() {
            assert_eq!(envelope_json(TYPE, &good.as_bytes()[..end]), Err(malformed_form()), "cut at {end}");
        }
        assert!(envelope_json(MULTIPART_FORM, good.as_bytes()).is_err());
        assert!(envelope_json("multipart/form-data; boundary=other", good.as_bytes()).is_err());
    }

    #[test]
    fn a_form_has_no_more_fields_than_an_envelope_could_need() {
        let field = part("name=\"a\"", "");
        assert!(read(&vec![field.clone(); MAX_FIELDS]).is_ok());
        let error = read(&vec![field; MAX_FIELDS + 1]).expect_err("too many");
        assert_eq!(error.0, "the form has more than 256 fields");
    }
}
