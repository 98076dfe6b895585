//! What is wrong with the settings, and where: all of it at once, and never with a secret in it.

use std::fmt;

/// Where a setting was given. In the order in which problems are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueOrigin {
    File { name: String, line: usize },
    EnvVar(String),
    Flag(String),
    Default,
}

/// One mistake: where it is, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    pub origin: ValueOrigin,
    /// The setting's key, such as `sources.hover.rate_limit`; empty where none could be read.
    pub key: String,
    pub message: String,
}

/// Every mistake in the settings; there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingErrors(pub Vec<SettingError>);

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            ValueOrigin::File { name, line } => write!(f, "{name}:{line}: ")?,
            ValueOrigin::EnvVar(name) | ValueOrigin::Flag(name) => return write!(f, "{name}: {}", self.message),
            ValueOrigin::Default => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingErrors {}

/// More different letters than this are another word.
const MAX_EDIT_DISTANCE: usize = 3;

/// `; did you mean …?` with the known word that is nearest, if any is near; otherwise nothing.
pub fn did_you_mean<S: AsRef<str>>(given: &str, known: impl IntoIterator<Item = S>) -> String {
    let far = |word: &str| if word.starts_with(given) { 1 } else { edit_distance(given, word) };
    let nearest = known.into_iter().map(|word| (far(word.as_ref()), word)).min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, word)) if distance <= MAX_EDIT_DISTANCE.min(given.len().div_ceil(3)) => {
            format!("; did you mean {}?", word.as_ref())
        }
        _ => String::new(),
    }
}

/// How many letters must be put in, left out or changed to make one word of the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (b, above) in to.bytes().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *above;
            left = changed.min(left + 1).min(*above + 1);
            *above = left;
        }
    }
    if to.is_empty() { from.len() } else { row.pop().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!((edit_distance("", "abc"), edit_distance("abc", ""), edit_distance("abc", "abc")), (3, 3, 0));
        assert_eq!(did_you_mean("body_limt", ["listen", "body_limit"]), "; did you mean body_limit?");
        assert_eq!(did_you_mean("body", ["bond", "body_limit"]), "; did you mean body_limit?");
        assert_eq!(did_you_mean("colour", ["listen", "body_limit"]), "");
    }
}
