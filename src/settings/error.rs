//! Mistakes in the settings, each with its location. They never quote a secret.

use std::fmt;

/// Where a value was given. Mistakes are listed in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueOrigin {
    File { name: String, line: usize },
    EnvVar(String),
    Flag(String),
    Default,
}

/// A setting, and where its value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub origin: ValueOrigin,
    /// The full key, such as `sources.hover.rate_limit`; empty if there is none, as for a syntax error.
    pub key: String,
}

/// One mistake. The message says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}{message}")]
pub struct SettingError {
    pub at: Location,
    pub message: String,
}

/// All mistakes in the settings, at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingErrors(pub Vec<SettingError>);

/// Before a message.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            ValueOrigin::EnvVar(name) | ValueOrigin::Flag(name) => return write!(f, "{name}: "),
            ValueOrigin::File { name, line } => write!(f, "{name}:{line}: ")?,
            ValueOrigin::Default => {}
        }
        if self.key.is_empty() { Ok(()) } else { write!(f, "{}: ", self.key) }
    }
}

/// A word that differs in more letters is not suggested.
const MAX_EDIT_DISTANCE: usize = 3;

/// `; did you mean …?` with the most similar known word, or an empty string if none is similar.
pub fn did_you_mean<S: AsRef<str>>(given: &str, known: impl IntoIterator<Item = S>) -> String {
    let distance = |word: &str| if word.starts_with(given) { 1 } else { strsim::levenshtein(given, word) };
    let nearest = known.into_iter().map(|word| (distance(word.as_ref()), word)).min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, word)) if distance <= MAX_EDIT_DISTANCE.min(given.len().div_ceil(3)) => {
            format!("; did you mean {}?", word.as_ref())
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_words_are_suggested() {
        for (given, expected) in [
            ("body_limt", "; did you mean body_limit?"),
            ("body", "; did you mean body_limit?"),
            ("colour", ""),
            ("", ""),
        ] {
            assert_eq!(did_you_mean(given, ["bond", "listen", "body_limit"]), expected, "{given}");
        }
    }
}
