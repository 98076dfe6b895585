//! Token limits: one pass over a document's bytes before it is parsed. The parser recurses for each bracket, and takes some
//! hundred times as long for each token.

use super::limits::{MAX_BRACKET_DEPTH, MAX_DOCUMENT_BYTES, MAX_TOKENS, max_brackets, max_tokens};
use crate::graphql::ApiError;

/// About the tokens of GraphQL's specification (section 2.1.6; a number with a point counts as three), and brackets within
/// brackets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    pub tokens: u64,
    pub bracket_depth: u64,
}

/// Counts a document's tokens, up to a limit. Text that is not GraphQL is left to the parser.
///
/// # Errors
/// If it is too long, or nested too deep.
pub fn count_tokens(text: &str) -> Result<TokenCounts, ApiError> {
    let over = |name, max, actual| Err(ApiError::too_costly(name, max, actual));
    let bytes = text.as_bytes();
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        return over("bytes of a document", MAX_DOCUMENT_BYTES, Some(bytes.len() as u64));
    }
    let max_tokens = max_tokens(bytes.len() as u64);
    let mut counts = TokenCounts::default();
    let max_brackets = max_brackets(bytes.len() as u64);
    let (mut open, mut opened, mut at) = (0_u64, 0_u64, 0);
    while let Some(byte) = bytes.get(at) {
        let length = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | 0xEF | 0xBB | 0xBF => {
                at += 1;
                continue;
            }
            b'#' => {
                at += length_of(&bytes[at..], |byte| !matches!(byte, b'\n' | b'\r'));
                continue;
            }
            b'{' | b'[' | b'(' => {
                open += 1;
                opened += 1;
                counts.bracket_depth = counts.bracket_depth.max(open);
                1
            }
            b'}' | b']' | b')' => {
                open = open.saturating_sub(1);
                1
            }
            b'"' => length_of_string(&bytes[at..]),
            b'.' => length_of(&bytes[at..], |byte| byte == b'.'),
            _ => length_of(&bytes[at..], |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
                .max(1),
        };
        at += length;
        counts.tokens += 1;
        if counts.tokens > max_tokens {
            let name =
                if max_tokens == MAX_TOKENS { "tokens of a document" } else { "tokens of a document of its length" };
            return over(name, max_tokens, None);
        }
        if opened > max_brackets {
            return over("brackets of a document of its length", max_brackets, None);
        }
        if counts.bracket_depth > MAX_BRACKET_DEPTH {
            return over("brackets within brackets", MAX_BRACKET_DEPTH, None);
        }
    }
    Ok(counts)
}

fn length_of(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len())
}

/// Includes the quotation marks. A string that is not closed extends to the end.
fn length_of_string(bytes: &[u8]) -> usize {
    let block = bytes.starts_with(br#"""""#);
    let mut at = if block { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        match byte {
            b'"' if !block => return at + 1,
            b'"' if rest.starts_with(br#"""""#) => return at + 3,
            b'\\' if block && rest.starts_with(br#"\""""#) => at += 4,
            b'\\' if !block => at += 2,
            // The parser refuses a string that is not closed in its line.
            b'\n' | b'\r' if !block => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> (u64, u64) {
        let counts = count_tokens(text).expect("within the limits");
        (counts.tokens, counts.bracket_depth)
    }

    /// The error for a text that exceeds a limit.
    fn refused(text: &str) -> ApiError {
        count_tokens(text).expect_err("too much")
    }

    #[test]
    fn tokens_are_about_those_of_the_specification() {
        for (text, expected) in [
            ("", (0, 0)),
            ("{ a, b }", (4, 1)),
            ("\u{feff}{a} # { [ (\n", (3, 1)),
            ("{ a(b: [1, -2.5e+3]) { c } }", (16, 3)),
            (r#"{ a(b: "} { \" }") }"#, (8, 2)),
            (r#"{ a(b: """ } \""" " { """) }"#, (8, 2)),
            ("{ ...F } fragment F on T @x(if: $y) { z }", (19, 1)),
            ("\"never closed { {", (1, 0)),
            ("\"ends with the line\n{", (2, 1)),
            ("}}}{", (4, 1)),
            ("ä€", (5, 0)),
        ] {
            assert_eq!(counts(text), expected, "{text}");
        }
    }

    #[test]
    fn counting_ends_at_a_limit() {
        assert_eq!(
            refused(&"{a".repeat(10_000)),
            ApiError::too_costly("brackets within brackets", MAX_BRACKET_DEPTH, None)
        );
        assert_eq!(
            refused(&"[".repeat(10_000)),
            ApiError::too_costly("brackets within brackets", MAX_BRACKET_DEPTH, None)
        );
        assert_eq!(refused(&"a ".repeat(20_000)), ApiError::too_costly("tokens of a document", MAX_TOKENS, None));
        assert_eq!(
            refused(&" ".repeat(5 << 20)),
            ApiError::too_costly("bytes of a document", MAX_DOCUMENT_BYTES, Some(5 << 20))
        );
        // A token in each byte, and in two; a bracket in two, and in four.
        assert_eq!(refused(&"a!".repeat(500)), ApiError::too_costly("tokens of a document of its length", 816, None));
        assert_eq!(counts(&"a ".repeat(500)), (500, 0));
        assert_eq!(refused(&"[]".repeat(500)), ApiError::too_costly("brackets of a document of its length", 135, None));
        assert_eq!(
            refused(&"a{b}".repeat(250)),
            ApiError::too_costly("brackets of a document of its length", 135, None)
        );
        let max = usize::try_from(MAX_BRACKET_DEPTH).expect("small");
        let deep = format!("{}{}{}", "{".repeat(max), "}".repeat(max), " ".repeat(1_000));
        assert_eq!(counts(&deep), (2 * MAX_BRACKET_DEPTH, MAX_BRACKET_DEPTH));
    }

    #[test]
    fn many_look_ups_without_a_blank_are_allowed() {
        for (field, fields) in [("job", "{id}"), ("inspection", "{...F}"), ("node", "{id}"), ("item", "{id state}")] {
            for count in [1, 5, 20, 50] {
                let variables: String = (0..count).map(|number| format!("$a{number}:ID!")).collect();
                let look_ups = (0..count).map(|number| format!("a{number}:{field}(id:$a{number}){fields}"));
                let text =
                    format!("query({variables}){{{}}}fragment F on Inspection{{id}}", look_ups.collect::<String>());
                assert!(count_tokens(&text).is_ok(), "{count} {field}");
            }
        }
    }
}
