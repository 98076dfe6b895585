//! Extracts the JSON of a body before an adapter parses it: the body itself, or a field of a URL-encoded form. Other
//! bodies are errors that name the format: compressed, UTF-16, another form. Signatures cover the raw bytes.

use super::Unreadable;
use std::borrow::Cow;

const FORM: &str = "application/x-www-form-urlencoded";
/// The field of a form that contains the body, even if there are others.
const PAYLOAD_FIELD: &str = "payload";
/// If a form has one of these fields, the form is the event and its `payload` only a part of it.
const EVENT_NAME_FIELDS: [&str; 2] = ["event", "event_type"];

const CHOOSE_JSON: &str = "the body is a form, not JSON: choose JSON where the webhook is registered";
const MULTIPART: &str = "the body is a multipart form, not JSON: choose JSON where the webhook is registered";

/// The first bytes of compressed data. None of them can begin a JSON text.
const COMPRESSION_MAGIC: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xce\xb2\xcf\x81", "br"),
    (b"\x1f\x9d", "compress"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
];

/// The body as JSON text: the body itself, or the field of a form that contains it.
///
/// # Errors
/// If it is a form without such a field.
pub fn extract_json<'a>(content_type: Option<&str>, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Unreadable> {
    // The hot path.
    if starts_as_json(body) {
        return Ok(Cow::Borrowed(body));
    }
    let named = content_type.is_some_and(|content_type| has_media_type(content_type, FORM));
    let Ok(form) = std::str::from_utf8(body) else { return Ok(Cow::Borrowed(body)) };
    if !named && !looks_like_form(form) {
        return Ok(Cow::Borrowed(body));
    }
    match json_from_form(form.trim()) {
        Some(json) => Ok(json.into_bytes().into()),
        None => Err(Unreadable(CHOOSE_JSON.to_owned())),
    }
}

/// The body as text, without a byte order mark.
///
/// # Errors
/// If it is not UTF-8, or a form. The error names the likely format.
pub fn utf8(body: &[u8]) -> Result<&str, Unreadable> {
    if is_multipart(body) {
        return Err(Unreadable(MULTIPART.to_owned()));
    }
    match std::str::from_utf8(body) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => Err(Unreadable(match detect_content_coding(body) {
            Some(coding) => format!("the body is compressed ({coding}), and no Content-Encoding says so"),
            None if body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff") => {
                "the body is UTF-16, and JSON must be UTF-8".to_owned()
            }
            None => format!("the body is not UTF-8 from byte {} on", error.valid_up_to()),
        })),
    }
}

fn starts_as_json(body: &[u8]) -> bool {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Whether a content type, with or without parameters, is this media type.
pub fn has_media_type(content_type: &str, media_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media_type))
}

// Begins with a name and `=`, as in `payload=%7B…`, which no JSON text does; or is percent-encoded JSON.
fn looks_like_form(text: &str) -> bool {
    let text = text.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~*+%[]".contains(&byte);
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() && name.bytes().all(plain) => !text.contains(['\n', '\r']),
        _ => text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%7b")),
    }
}

// The JSON object in the field `payload`, or in the only field. Without a value, the name of that field may be the JSON.
fn json_from_form(form: &str) -> Option<String> {
    // The sender did not percent-encode the value: `+` and `%` are literal.
    if let Some((_, json)) = form.split_once('=').filter(|(_, json)| json.starts_with('{') && looks_like_object(json)) {
        return Some(json.to_owned());
    }
    let fields = || form_urlencoded::parse(form.as_bytes());
    let names_event = fields().any(|(name, _)| EVENT_NAME_FIELDS.contains(&name.as_ref()));
    let (mut all, mut payloads) = (fields(), fields().filter(|(name, _)| name == PAYLOAD_FIELD));
    match (payloads.next(), payloads.next(), all.next(), all.next()) {
        (Some((_, payload)), None, ..) if !names_event && looks_like_object(&payload) => Some(payload.into_owned()),
        (_, _, Some((name, value)), None) => {
            [value, name].into_iter().find(|text| looks_like_object(text)).map(Cow::into_owned)
        }
        _ => None,
    }
}

// Only the brackets are checked here; the adapter reports syntax errors.
fn looks_like_object(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{') && text.ends_with('}')
}

fn is_multipart(body: &[u8]) -> bool {
    const SCANNED_BYTES: usize = 512;
    const DISPOSITION: &[u8] = b"content-disposition:";
    let start = body.get(..SCANNED_BYTES).unwrap_or(body);
    start.starts_with(b"--") && start.windows(DISPOSITION.len()).any(|window| window.eq_ignore_ascii_case(DISPOSITION))
}

fn detect_content_coding(body: &[u8]) -> Option<&'static str> {
    // zlib has no magic number, but a header of two bytes with a check sum (RFC 1950, section 2.2).
    let zlib = || match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
        }
        _ => false,
    };
    let known = COMPRESSION_MAGIC.iter().find(|(magic, _)| body.starts_with(magic)).map(|(_, name)| *name);
    known.or_else(|| zlib().then_some("deflate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ParsedDelivery;
    use crate::vendor::{self, DeliveryBody, Vendor};

    const JSON: &str = r#"{"event":"a b+c","n":"10:00+02:00","x":"100%&é","k":[1,{"d":"="}]}"#;

    fn encoded(text: &str) -> String {
        form_urlencoded::byte_serialize(text.as_bytes()).collect()
    }

    fn read(content_type: Option<&str>, body: &[u8]) -> Result<String, String> {
        let json = extract_json(content_type, body).map_err(|why| why.0)?;
        Ok(String::from_utf8_lossy(&json).into_owned())
    }

    #[test]
    fn a_form_with_json_in_its_payload_or_its_only_field_is_read() {
        let percent = encoded(JSON).replace('+', "%20");
        for form in [
            format!("payload={}", encoded(JSON)),
            format!("payload={percent}"),
            format!("payload={JSON}"),
            format!("anything={}", encoded(JSON)),
            format!("{}=", encoded(JSON)),
            percent.clone(),
            format!("{percent}\r\n"),
            format!("v=1&payload={}&signature=ab", encoded(JSON)),
        ] {
            for content_type in
                [None, Some("application/json"), Some(FORM), Some("Application/X-WWW-Form-Urlencoded ; charset=UTF-8")]
            {
                assert_eq!(read(content_type, form.as_bytes()).as_deref(), Ok(JSON), "{content_type:?} {form}");
            }
        }
    }

    #[test]
    fn json_is_recognized_under_any_content_type() {
        for body in [JSON.to_owned(), format!("\u{feff} {JSON}"), format!("[{JSON}]"), "{\"a\":\"b=c\"".to_owned()] {
            assert_eq!(read(Some(FORM), body.as_bytes()).as_deref(), Ok(body.as_str()));
        }
        // Other texts are left to the JSON parser to refuse.
        for body in ["null", "\"a=b\"", "<a href='x=y'>", "no JSON = at all", "k: v=w", "=", "a: 1\nb=2"] {
            assert_eq!(read(None, body.as_bytes()).as_deref(), Ok(body));
        }
    }

    #[test]
    fn the_error_for_another_form_names_the_remedy() {
        let two = format!("payload={0}&payload={0}", encoded(JSON));
        let part = format!("event=x&payload={}", encoded(JSON));
        for form in ["event=SESSION%3ACOMPLETE&session_key=K", "a=1", "payload=1", "payload=%7B", &two, &part] {
            for content_type in [None, Some(FORM)] {
                assert_eq!(read(content_type, form.as_bytes()), Err(CHOOSE_JSON.to_owned()), "{form}");
            }
        }
        for form in ["x", "", "<xml/>"] {
            assert_eq!(read(Some(FORM), form.as_bytes()), Err(CHOOSE_JSON.to_owned()), "{form}");
        }
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        assert!(has_media_type("Multipart/Form-Data; boundary=b", "multipart/form-data"));
        assert!(!has_media_type("application/json", "multipart/form-data"));
        assert!(!has_media_type("multipart/form-dat\u{e9}", "multipart/form-data"));
    }

    fn of(vendor: &Vendor, content_type: Option<&str>, body: &[u8]) -> Result<ParsedDelivery, Unreadable> {
        vendor.parse_delivery(&DeliveryBody { content_type, body })
    }

    #[test]
    fn every_vendor_reads_its_samples_as_forms_too() {
        for vendor in vendor::ALL {
            let name = vendor.name;
            let folder = format!("{}/tests/samples/{name}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(folder).expect("samples").flatten().map(|file| file.path());
            let mut with_effect = 0;
            for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
                let json = std::fs::read_to_string(&file).expect("a sample");
                let plain = of(vendor, None, json.trim().as_bytes()).expect("readable");
                with_effect += plain.events.len();
                for content_type in [None, Some(FORM)] {
                    let form = of(vendor, content_type, format!("payload={}", encoded(json.trim())).as_bytes());
                    assert_eq!(format!("{:?}", form.expect("readable")), format!("{plain:?}"), "{file:?}");
                }
            }
            assert!(with_effect > 0, "{name}");
            for content_type in [None, Some(FORM)] {
                assert_eq!(of(vendor, content_type, b"a=1&b=2").expect_err("a form").0, CHOOSE_JSON, "{name}");
            }
        }
    }

    #[test]
    fn every_vendor_names_what_the_bytes_are() {
        let compressed = |coding: &str| format!("the body is compressed ({coding}), and no Content-Encoding says so");
        let multipart = b"--b\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{}\r\n--b--\r\n";
        // As gzip, zlib at its four levels, and zstd begin.
        let cases: [(&[u8], String); 9] = [
            (
                b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x2d\x4b\xcd\x2b\x51\xb2\x52\x0a\x76\x0d\x0e",
                compressed("gzip"),
            ),
            (
                b"\x78\x01\xab\x56\x4a\x2d\x4b\xcd\x2b\x51\xb2\x52\x0a\x76\x0d\x0e\xf6\xf4\xf7\xb3\x0a\x0e\x71\x0c",
                compressed("deflate"),
            ),
            (
                b"\x78\x5e\xab\x56\x4a\x2d\x4b\xcd\x2b\x51\xb2\x52\x0a\x76\x0d\x0e\xf6\xf4\xf7\xb3\x0a\x0e\x71\x0c",
                compressed("deflate"),
            ),
            (
                b"\x78\x9c\xab\x56\x4a\x2d\x4b\xcd\x2b\x51\xb2\x52\x0a\x76\x0d\x0e\xf6\xf4\xf7\xb3\x0a\x0e\x71\x0c",
                compressed("deflate"),
            ),
            (
                b"\x78\xda\xab\x56\x4a\x2d\x4b\xcd\x2b\x51\xb2\x52\x0a\x76\x0d\x0e\xf6\xf4\xf7\xb3\x0a\x0e\x71\x0c",
                compressed("deflate"),
            ),
            (b"\x28\xb5\x2f\xfd\x04\x00", compressed("zstd")),
            (b"\xff\xfe{\0}\0", "the body is UTF-16, and JSON must be UTF-8".to_owned()),
            (b"{\"a\": \xff}", "the body is not UTF-8 from byte 6 on".to_owned()),
            (multipart, MULTIPART.to_owned()),
        ];
        for vendor in vendor::ALL {
            for (body, why) in &cases {
                assert_eq!(
                    of(vendor, Some("application/json"), body).expect_err("unreadable").0,
                    *why,
                    "{}",
                    vendor.name
                );
            }
        }
    }
}
