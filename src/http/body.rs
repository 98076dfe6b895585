//! Reading a request's body: one function with the limits of encoding, size and time, for webhooks and GraphQL.

use super::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use encoding_rs::Encoding;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// Values that mean an uncompressed body. Only the first is registered. Senders also use `none`, MIME's transfer encodings
/// (RFC 2045, section 6.1), and a media type in the wrong header.
const IDENTITY_NAMES: &[&str] = &["identity", "none", "binary", "7bit", "8bit", "application/json"];
/// Characters of a coding's name that the error quotes.
const MAX_CODING_CHARS: usize = 40;

/// # Errors
/// If the body is compressed, larger than `limit` bytes, announced or sent, does not arrive within `timeout`, or breaks off.
pub async fn read_body(headers: &HeaderMap, body: Body, limit: usize, timeout: Duration) -> Result<Bytes, Problem> {
    if let Some(coding) = content_coding(headers) {
        return Err(Problem::UnsupportedContentEncoding(coding));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::BodyTooLarge(limit));
    }
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Err(_) => Err(Problem::BodyTimeout),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::BodyTooLarge(limit)),
        Ok(Err(_)) => Err(Problem::IncompleteBody),
    }
}

/// The first coding that `Content-Encoding` names (RFC 9110, section 8.4), or `None` for an uncompressed body. The header may be
/// repeated, and may list several codings. Names of character sets are ignored.
fn content_coding(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes())).find_map(|value| {
        let name = value.split(',').map(coding_name).find(|name| !is_identity(name))?;
        Some(name.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(MAX_CODING_CHARS).collect())
    })
}

fn coding_name(coding: &str) -> String {
    let name = coding.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    name.strip_prefix("charset=").unwrap_or(&name).trim_matches(['"', '\'']).trim().to_owned()
}

fn is_identity(name: &str) -> bool {
    // The Encoding Standard lacks UTF-7, UTF-32 and the names that databases use for UTF-8.
    let charset = || Encoding::for_label(name.as_bytes()).is_some() || name.starts_with("utf");
    name.is_empty() || IDENTITY_NAMES.contains(&name) || charset()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        content_coding(&headers)
    }

    #[test]
    fn names_of_uncompressed_bodies_are_not_codings() {
        for name in [
            "",
            " ",
            ",",
            "identity",
            "Identity",
            "IDENTITY",
            "utf-8",
            "UTF-8",
            "utf8",
            "\"utf-8\"",
            "charset=utf-8",
            "utf-8; q=1",
            "us-ascii",
            "ASCII",
            "iso-8859-1",
            "ISO_8859-1",
            "latin1",
            "windows-1252",
            "utf-16",
            "UTF-32",
            "utf8mb4",
            "Shift_JIS",
            "gbk",
            "none",
            "8bit",
            "binary",
        ] {
            assert_eq!(of(&[name]), None, "{name:?}");
            assert_eq!(of(&[name, "identity"]), None, "{name:?}");
            assert_eq!(of(&[&format!("{name}, identity,,UTF-8")]), None, "{name:?}");
            for compressed in ["gzip", "GZip", "x-gzip", "deflate", "br", "zstd", "compress", "aws-chunked", "sneeze"] {
                let expected = Some(compressed.to_ascii_lowercase());
                assert_eq!(of(&[compressed]), expected);
                assert_eq!(of(&[name, compressed]), expected, "{name:?}");
                assert_eq!(of(&[compressed, name]), expected, "{name:?}");
                assert_eq!(of(&[&format!("{name},{compressed}")]), expected, "{name:?}");
                assert_eq!(of(&[&format!(" {compressed} ,{name}")]), expected, "{name:?}");
            }
        }
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_quoted_name_is_ascii_and_short() {
        assert_eq!(of(&["gz\u{e9}p"]).as_deref(), Some("gz?p"));
        assert_eq!(of(&[&"x".repeat(1000)]).map(|name| name.len()), Some(MAX_CODING_CHARS));
    }
}
