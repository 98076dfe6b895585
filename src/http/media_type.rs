//! Media types in headers, and their parameters. Names are case-insensitive, and values may be quoted (RFC 9110, sections 5.6.6
//! and 8.3.1). All GraphQL endpoints parse `Accept` and `Content-Type` with it.

use axum::http::{HeaderMap, HeaderName};
use encoding_rs::{Encoding, UTF_8};
use mediatype::{MediaType, MediaTypeList, Name, ReadParams};

/// A media type, or a range such as `text/*`.
#[derive(Clone, Debug)]
pub struct MediaRange<'a>(MediaType<'a>);

impl<'a> MediaRange<'a> {
    /// The value of a header with one media type, such as `Content-Type`. `None` if it is missing or invalid.
    pub fn from_header(headers: &'a HeaderMap, header: HeaderName) -> Option<MediaRange<'a>> {
        let value = headers.get(header)?.to_str().ok()?;
        MediaType::parse(value.trim()).ok().map(MediaRange)
    }

    /// The values of a header with a list, such as `Accept`, which may be repeated. Invalid ones are skipped.
    pub fn list_from_header(headers: &'a HeaderMap, header: HeaderName) -> impl Iterator<Item = MediaRange<'a>> {
        let lines = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(MediaTypeList::new).filter_map(Result::ok).map(MediaRange)
    }

    /// In lower case, without parameters: `application/json`, `*/*`.
    pub fn name(&self) -> String {
        self.0.essence().to_string().to_ascii_lowercase()
    }

    /// The unquoted value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let value = self.0.get_param(Name::new(name)?)?;
        Some(value.unquoted_str().into_owned())
    }

    /// The weight `q` in thousandths (RFC 9110, section 12.4.2); 0 if it is invalid.
    pub fn weight(&self) -> u16 {
        let weight = self.parameter("q").map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0));
        (weight.clamp(0.0, 1.0) * 1000.0) as u16
    }

    /// Whether the charset is a label of UTF-8 (Encoding Standard, section 4.2), or missing.
    pub fn is_utf8(&self) -> bool {
        self.parameter("charset").is_none_or(|charset| Encoding::for_label(charset.as_bytes()) == Some(UTF_8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::{ACCEPT, CONTENT_TYPE};

    fn headers(header: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (header.clone(), value.parse().expect("a header"))).collect()
    }

    #[test]
    fn names_are_case_insensitive_and_values_may_be_quoted() {
        for (text, name, charset, is_utf8) in [
            ("application/json", "application/json", None, true),
            ("Application/JSON;charset=utf-8", "application/json", Some("utf-8"), true),
            ("application/json; Charset=UTF8", "application/json", Some("UTF8"), true),
            ("application/json ; CHARSET=\"utf-8\"", "application/json", Some("utf-8"), true),
            ("application/json;charset=utf8;", "application/json", Some("utf8"), true),
            (
                "application/json;version=1; charset=\"Unicode-1-1-UTF-8\"",
                "application/json",
                Some("Unicode-1-1-UTF-8"),
                true,
            ),
            ("application/json;charset=utf-16", "application/json", Some("utf-16"), false),
            ("application/json;charset=iso-8859-1", "application/json", Some("iso-8859-1"), false),
            ("application/json;charset=", "application/json", Some(""), false),
            ("application/json;charset=nonsense", "application/json", Some("nonsense"), false),
            (" application/graphql-response+json", "application/graphql-response+json", None, true),
        ] {
            let headers = headers(CONTENT_TYPE, &[text]);
            let media = MediaRange::from_header(&headers, CONTENT_TYPE).expect(text);
            assert_eq!((media.name().as_str(), media.parameter("charset").as_deref()), (name, charset), "{text}");
            assert_eq!(media.is_utf8(), is_utf8, "{text}");
        }
        for text in ["", "json", "application", "application/", "application/json, text/html", "/json"] {
            let headers = headers(CONTENT_TYPE, &[text]);
            assert!(MediaRange::from_header(&headers, CONTENT_TYPE).is_none(), "{text}");
        }
    }

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        let headers = headers(
            ACCEPT,
            &["text/html;a=\"x, y\", */*; Q=0.5", "application/json;q=nonsense", "*; q=.2, text/*;q=2"],
        );
        let read: Vec<_> =
            MediaRange::list_from_header(&headers, ACCEPT).map(|media| (media.name(), media.weight())).collect();
        let expected = [("text/html", 1000), ("*/*", 500), ("application/json", 0), ("text/*", 1000)];
        assert_eq!(read, expected.map(|(name, weight)| (name.to_owned(), weight)));
    }
}
