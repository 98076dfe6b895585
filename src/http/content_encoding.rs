//! Whether a body is compressed, by the header `Content-Encoding` (RFC 9110, section 8.4): one judgement for all routes.

use axum::http::{HeaderMap, header};
use encoding_rs::Encoding;

/// Words that say that a body is as it is. Only the first is registered; senders mean the same by the others: `none`, the
/// names of MIME's transfer encodings (RFC 2045, section 6.1), and a media type that stands in the wrong header.
const IDENTITY_NAMES: &[&str] = &["identity", "none", "binary", "7bit", "8bit", "application/json"];
/// Characters of a coding's name that are told.
const MAX_CODING_CHARS: usize = 40;

/// The first coding that the header names; none where it says that nothing is compressed. It may come several times, and
/// list several codings. Names of character sets say nothing about compression.
pub fn content_coding(headers: &HeaderMap) -> Option<String> {
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
    // The Encoding Standard has no UTF-7 and UTF-32, and not the names that databases give to UTF-8.
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
    fn what_says_that_nothing_is_compressed_is_no_coding() {
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
                let told = Some(compressed.to_ascii_lowercase());
                assert_eq!(of(&[compressed]), told);
                assert_eq!(of(&[name, compressed]), told, "{name:?}");
                assert_eq!(of(&[compressed, name]), told, "{name:?}");
                assert_eq!(of(&[&format!("{name},{compressed}")]), told, "{name:?}");
                assert_eq!(of(&[&format!(" {compressed} ,{name}")]), told, "{name:?}");
            }
        }
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_name_that_is_none_is_told_in_letters_and_not_at_length() {
        assert_eq!(of(&["gz\u{e9}p"]).as_deref(), Some("gz?p"));
        assert_eq!(of(&[&"x".repeat(1000)]).map(|told| told.len()), Some(MAX_CODING_CHARS));
    }
}
