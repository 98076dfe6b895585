//! The settings file, with the line of each value.

use super::error::{Location, SettingError, ValueOrigin};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A file without syntax errors.
pub struct SettingsFile<'a> {
    name: &'a str,
    text: &'a str,
    root: DeValue<'a>,
}

/// A value of the file: a scalar, a list or a table. The file itself is a table without a key.
#[derive(Clone)]
pub struct FileValue<'f> {
    file: &'f SettingsFile<'f>,
    value: &'f DeValue<'f>,
    pub at: Location,
}

impl<'a> SettingsFile<'a> {
    /// # Errors
    /// All syntax errors. The parser's own rendering quotes lines, which may contain secrets, so only its messages are used.
    pub fn parse(name: &'a str, text: &'a str) -> Result<SettingsFile<'a>, Vec<SettingError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let file = SettingsFile { name, text, root: DeValue::Table(table.into_inner()) };
        if errors.is_empty() {
            return Ok(file);
        }
        let syntax_error = |error: &toml::de::Error| SettingError {
            at: Location { origin: file.origin(error.span().unwrap_or_default()), key: String::new() },
            message: error.message().to_owned(),
        };
        Err(errors.iter().map(syntax_error).collect())
    }

    pub fn root(&'a self) -> FileValue<'a> {
        let at = Location { origin: self.origin(0..0), key: String::new() };
        FileValue { file: self, value: &self.root, at }
    }

    fn origin(&self, span: Range<usize>) -> ValueOrigin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        ValueOrigin::File { name: self.name.to_owned(), line: before.matches('\n').count() + 1 }
    }
}

impl<'f> FileValue<'f> {
    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub fn get(&self, key: &str) -> Option<FileValue<'f>> {
        self.entries().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The keys and values of a table, in alphabetical order. Empty if this is not a table.
    pub fn entries(&self) -> impl Iterator<Item = (&'f str, FileValue<'f>)> {
        self.value.as_table().into_iter().flat_map(|table| table.iter()).map(|(name, value)| {
            // A table begins at its header; any other value has a line of its own.
            let span = if value.get_ref().is_table() { name.span() } else { value.span() };
            (name.get_ref().as_ref(), self.child(value.get_ref(), self.full_key(name.get_ref()), span))
        })
    }

    /// The values of a list. Their keys are numbered from 1.
    pub fn items(&self) -> Option<Vec<FileValue<'f>>> {
        let items = self.value.as_array()?.iter().enumerate();
        let item = |(index, item): (usize, &'f toml::Spanned<DeValue<'f>>)| {
            self.child(item.get_ref(), format!("{}[{}]", self.at.key, index + 1), item.span())
        };
        Some(items.map(item).collect())
    }

    /// A string, number, boolean or time as text.
    pub fn scalar(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => {
                i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
            }
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(boolean) => Some(boolean.to_string()),
            DeValue::Datetime(time) => Some(time.to_string()),
            DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }

    pub fn text(&self) -> Option<&'f str> {
        self.value.as_str()
    }

    /// The location of this table's key, or of the table itself if the key is missing.
    pub fn location_of(&self, key: &str) -> Location {
        let missing = || Location { origin: self.at.origin.clone(), key: self.full_key(key) };
        self.get(key).map_or_else(missing, |value| value.at)
    }

    fn full_key(&self, name: &str) -> String {
        if self.at.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at.key) }
    }

    fn child(&self, value: &'f DeValue<'f>, key: String, span: Range<usize>) -> FileValue<'f> {
        FileValue { file: self.file, value, at: Location { origin: self.file.origin(span), key } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
listen = '[::]:1'

[sources.a]
open = true
[[sources.a.verify]]
scheme = 'basic'
[[sources.b.verify]]
scheme = 'jwt'
secrets = [
  'one',
  { id = 'x', value = 'two' },
]
";

    fn line(at: &Location) -> usize {
        match &at.origin {
            ValueOrigin::File { line, .. } => *line,
            other => panic!("{other:?}"),
        }
    }

    fn first_verify<'f>(source: &FileValue<'f>) -> FileValue<'f> {
        source.get("verify").unwrap().items().unwrap().remove(0)
    }

    #[test]
    fn every_value_has_its_line() {
        let file = SettingsFile::parse("hub.toml", TEXT).unwrap_or_else(|errors| panic!("{errors:?}"));
        let root = file.root();
        assert_eq!(line(&root.get("listen").unwrap().at), 1);
        let sources = root.get("sources").unwrap();
        let (a, b) = (sources.get("a").unwrap(), sources.get("b").unwrap());
        assert_eq!((line(&a.at), line(&b.at)), (3, 7));
        let (a, b) = (first_verify(&a), first_verify(&b));
        assert_eq!((line(&a.at), line(&b.at)), (5, 7));
        assert_eq!((a.at.key.as_str(), b.at.key.as_str()), ("sources.a.verify[1]", "sources.b.verify[1]"));
        let secrets = b.get("secrets").unwrap().items().unwrap();
        assert_eq!(secrets.iter().map(|secret| line(&secret.at)).collect::<Vec<_>>(), [10, 11]);
        let value = secrets[1].get("value").unwrap();
        assert_eq!((value.at.key.as_str(), line(&value.at)), ("sources.b.verify[1].secrets[2].value", 11));
    }

    #[test]
    fn all_syntax_errors_are_reported_and_quote_nothing() {
        let text = "listen = hunter2\nx = 1\nx = 'hunter2'\ny = 'hunter2\n";
        let errors = SettingsFile::parse("hub.toml", text).map(|_| ()).unwrap_err();
        let lines: Vec<_> = errors.iter().map(|error| line(&error.at)).collect();
        assert_eq!(lines, [1, 3, 4], "{errors:?}");
        assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
    }
}
