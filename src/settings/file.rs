//! The file, and where in it things stand.

use super::error::{SettingError, ValueOrigin};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A file that could be parsed.
pub struct SettingsFile<'a> {
    name: &'a str,
    text: &'a str,
    table: DeTable<'a>,
}

/// A table of the file.
#[derive(Clone)]
pub struct FileSection<'f> {
    file: &'f SettingsFile<'f>,
    table: &'f DeTable<'f>,
    /// Its name with a dot behind, for the keys in it; empty for the file itself.
    prefix: String,
    /// Where it begins.
    pub origin: ValueOrigin,
}

/// A value of the file.
#[derive(Clone)]
pub struct FileValue<'f> {
    file: &'f SettingsFile<'f>,
    value: &'f DeValue<'f>,
    /// The whole key, such as `sources.hover.rate_limit`.
    pub key: String,
    pub origin: ValueOrigin,
}

impl<'a> SettingsFile<'a> {
    /// Parses a file.
    ///
    /// # Errors
    /// All that is wrong with its syntax. The parser's own rendering quotes lines, which may hold secrets.
    pub fn parse(name: &'a str, text: &'a str) -> Result<SettingsFile<'a>, Vec<SettingError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let file = SettingsFile { name, text, table: table.into_inner() };
        if errors.is_empty() {
            return Ok(file);
        }
        let problem = |error: &toml::de::Error| SettingError {
            origin: file.origin(error.span().unwrap_or_default()),
            key: String::new(),
            message: error.message().to_owned(),
        };
        Err(errors.iter().map(problem).collect())
    }

    pub fn root(&'a self) -> FileSection<'a> {
        FileSection { file: self, table: &self.table, prefix: String::new(), origin: self.origin(0..0) }
    }

    fn origin(&self, span: Range<usize>) -> ValueOrigin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        ValueOrigin::File { name: self.name.to_owned(), line: before.matches('\n').count() + 1 }
    }
}

impl<'f> FileSection<'f> {
    pub fn get(&self, key: &str) -> Option<FileValue<'f>> {
        self.entries().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The keys and values, in the order of the alphabet.
    pub fn entries(&self) -> impl Iterator<Item = (&'f str, FileValue<'f>)> {
        self.table.iter().map(|(name, value)| {
            // A table begins at its header; any other value is found by its own line.
            let value = FileValue {
                file: self.file,
                value: value.get_ref(),
                key: self.full_key(name.get_ref()),
                origin: self.file.origin(if value.get_ref().is_table() { name.span() } else { value.span() }),
            };
            (name.get_ref().as_ref(), value)
        })
    }

    /// The whole key of what stands, or could stand, in this table.
    pub fn full_key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl<'f> FileValue<'f> {
    /// Text, a number or a switch, as text.
    pub fn scalar(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => {
                i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
            }
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(switch) => Some(switch.to_string()),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }

    pub fn text(&self) -> Option<&'f str> {
        self.value.as_str()
    }

    pub fn section(&self) -> Option<FileSection<'f>> {
        let table = self.value.as_table()?;
        Some(FileSection { file: self.file, table, prefix: format!("{}.", self.key), origin: self.origin.clone() })
    }

    /// The values of a list, numbered from 1 in their keys.
    pub fn items(&self) -> Option<Vec<FileValue<'f>>> {
        let item = |(index, item): (usize, &'f toml::Spanned<DeValue<'f>>)| FileValue {
            file: self.file,
            value: item.get_ref(),
            key: format!("{}[{}]", self.key, index + 1),
            origin: self.file.origin(item.span()),
        };
        Some(self.value.as_array()?.iter().enumerate().map(item).collect())
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

    fn line(origin: &ValueOrigin) -> usize {
        match origin {
            ValueOrigin::File { line, .. } => *line,
            other => panic!("{other:?}"),
        }
    }

    fn first_verify<'f>(source: &FileValue<'f>) -> FileValue<'f> {
        source.section().unwrap().get("verify").unwrap().items().unwrap().remove(0)
    }

    #[test]
    fn everything_has_its_line() {
        let file = SettingsFile::parse("hub.toml", TEXT).unwrap_or_else(|problems| panic!("{problems:?}"));
        let top = file.root();
        assert_eq!(line(&top.get("listen").unwrap().origin), 1);
        let sources = top.get("sources").unwrap().section().unwrap();
        let (a, b) = (sources.get("a").unwrap(), sources.get("b").unwrap());
        assert_eq!((line(&a.origin), line(&b.origin)), (3, 7));
        let (a, b) = (first_verify(&a), first_verify(&b));
        assert_eq!((line(&a.origin), line(&b.origin)), (5, 7));
        assert_eq!((a.key.as_str(), b.key.as_str()), ("sources.a.verify[1]", "sources.b.verify[1]"));
        let secrets = b.section().unwrap().get("secrets").unwrap().items().unwrap();
        assert_eq!(secrets.iter().map(|secret| line(&secret.origin)).collect::<Vec<_>>(), [10, 11]);
        let value = secrets[1].section().unwrap().get("value").unwrap();
        assert_eq!((value.key.as_str(), line(&value.origin)), ("sources.b.verify[1].secrets[2].value", 11));
    }

    #[test]
    fn syntax_errors_come_all_at_once_and_quote_nothing() {
        let text = "listen = hunter2\nx = 1\nx = 'hunter2'\ny = 'hunter2\n";
        let problems = SettingsFile::parse("hub.toml", text).map(|_| ()).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|problem| line(&problem.origin)).collect();
        assert_eq!(lines, [1, 3, 4], "{problems:?}");
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }
}
