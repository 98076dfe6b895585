//! Stray characters in values: whitespace at either end, a byte order mark, control and invisible characters. One rule for
//! every setting. In a secret or a URL, such a mistake would otherwise show only as rejected deliveries.

/// Describes the first stray character of a value, without quoting the value.
pub fn find_stray(text: &str) -> Option<String> {
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    let at_end = |c: char| match c {
        '\u{feff}' => Some("a byte order mark".to_owned()),
        '\n' | '\r' => Some("a newline".to_owned()),
        ' ' => Some("a space".to_owned()),
        '\t' => Some("a tab".to_owned()),
        c if c.is_whitespace() => Some(format!("whitespace ({})", code_point(c))),
        _ => None,
    };
    let begins = at_end(first).map(|what| format!("begins with {what}"));
    let ends = || at_end(last).map(|what| format!("ends with {what}"));
    let contains = || {
        let invisible = text.chars().find(|c| is_invisible(*c))?;
        Some(match invisible {
            '\n' | '\r' => "contains a newline".to_owned(),
            c if c.is_control() => format!("contains a control character ({})", code_point(c)),
            c => format!("contains an invisible character ({})", code_point(c)),
        })
    };
    Some(format!("{}; remove it", begins.or_else(ends).or_else(contains)?))
}

/// The same for a text of several lines, such as a key in PEM form. Whitespace around lines is allowed.
pub fn find_stray_in_lines(text: &str) -> Option<String> {
    let mark = text.starts_with('\u{feff}').then_some(text);
    mark.and_then(find_stray).or_else(|| text.lines().find_map(|line| find_stray(line.trim_matches([' ', '\t', '\r']))))
}

/// Whether the whole value is in quotes. Usually a shell or an env file left them there by mistake.
pub fn is_quoted(text: &str) -> bool {
    const QUOTES: &[(char, char)] =
        &[('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];
    QUOTES.iter().any(|(open, close)| text.strip_prefix(*open).is_some_and(|rest| rest.ends_with(*close)))
}

// Control characters, line separators, and Unicode's format characters, which have no width.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_characters_are_named() {
        for (text, expected) in [
            ("abc\n", "ends with a newline; remove it"),
            ("abc\r\n", "ends with a newline; remove it"),
            ("\nabc", "begins with a newline; remove it"),
            ("abc ", "ends with a space; remove it"),
            ("\tabc", "begins with a tab; remove it"),
            ("abc\u{a0}", "ends with whitespace (U+00A0); remove it"),
            (" ", "begins with a space; remove it"),
            ("\u{feff}abc", "begins with a byte order mark; remove it"),
            ("a\nc", "contains a newline; remove it"),
            ("abc\0", "contains a control character (U+0000); remove it"),
            ("a\u{7f}c", "contains a control character (U+007F); remove it"),
            ("a\u{200b}c", "contains an invisible character (U+200B); remove it"),
            ("abc\u{2028}", "ends with whitespace (U+2028); remove it"),
        ] {
            assert_eq!(find_stray(text).as_deref(), Some(expected), "{text:?}");
        }
        for text in ["", "abc", "a b", "Token abc", "p\u{e4}ss\u{2013}wort", "\"abc\"", "+/=&%#"] {
            assert_eq!(find_stray(text), None, "{text:?}");
        }
        assert_eq!(find_stray_in_lines("-----BEGIN\r\nabc\n-----END\n\n"), None);
        assert!(find_stray_in_lines("\u{feff}-----BEGIN\nabc\n").is_some() && find_stray_in_lines("a\nb\0c").is_some());
    }

    #[test]
    fn only_quotes_around_the_whole_value_count() {
        for text in ["\"abc\"", "'abc'", "`abc`", "\u{201c}abc\u{201d}", "''"] {
            assert!(is_quoted(text), "{text}");
        }
        for text in ["abc", "\"abc", "abc'", "'abc\"", "'", "", "a'b'c"] {
            assert!(!is_quoted(text), "{text}");
        }
    }
}
