//! Where values come from: a flag before a variable, a variable before the file, the file before the default. Mistakes
//! are collected, and reading goes on.

use super::file::Section;
use super::flags::Flags;
use super::problem::{Origin, Problem, did_you_mean};
use super::table::{SETTINGS, Setting};
use super::{Warning, characters};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What all variables of ours begin with.
const PREFIX: &str = "INSPECTION_HUB_";

const QUOTED: &str = "is in quotes, which are taken for a part of it; remove them unless they are";

/// How a file is read; the file system is passed in, as the environment is.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

pub struct Loader<'a> {
    flags: &'a Flags,
    environment: &'a BTreeMap<String, String>,
    read: ReadFile<'a>,
    /// What relative paths in the file start from.
    base: PathBuf,
    /// The variables that secrets are read from.
    of_secrets: BTreeSet<String>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Warning>,
}

/// The mistake is on the list, and this value is not to be had.
#[derive(Clone, Copy, Debug)]
pub struct Noted;

/// A value as it was given.
#[derive(Clone, Debug)]
pub struct Found {
    pub text: String,
    pub key: String,
    pub origin: Origin,
}

impl<'a> Loader<'a> {
    pub fn new(flags: &'a Flags, environment: &'a BTreeMap<String, String>, read: ReadFile<'a>) -> Loader<'a> {
        let (base, of_secrets) = (PathBuf::new(), BTreeSet::new());
        Loader { flags, environment, read, base, of_secrets, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Notes what is wrong.
    pub fn problem(&mut self, origin: Origin, key: impl Into<String>, text: impl Into<String>) -> Noted {
        self.problems.push(Problem { origin, key: key.into(), text: text.into() });
        Noted
    }

    /// Notes what works, and deserves a second look.
    pub fn warn(&mut self, origin: Origin, key: impl Into<String>, text: impl Into<String>) {
        self.warnings.push(Warning(Problem { origin, key: key.into(), text: text.into() }.to_string()));
    }

    /// Notes stray characters as a mistake, and quotes around the whole as a warning.
    pub fn check_characters(&mut self, text: &str, key: &str, origin: &Origin) -> Result<(), Noted> {
        if let Some(fault) = characters::invalid(text) {
            return Err(self.problem(origin.clone(), key, fault));
        }
        if characters::is_quoted(text) {
            self.warn(origin.clone(), key, QUOTED);
        }
        Ok(())
    }

    /// The variable's value; one that is empty counts as not set.
    pub fn variable(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the settings file says; nothing if there is none and none was asked for.
    pub fn file(&mut self, config: &Setting) -> (String, String) {
        let asked = self.found(config, None);
        let name = asked.as_ref().map_or(config.default, |found| found.text.as_str()).to_owned();
        self.base = Path::new(&name).parent().map(Path::to_owned).unwrap_or_default();
        match ((self.read)(Path::new(&name)), asked) {
            (Ok(text), _) => (name, text),
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => (name, String::new()),
            (Err(error), asked) => {
                let origin = asked.map_or(Origin::Default, |found| found.origin);
                self.problem(origin, config.key, format!("{name} cannot be read: {error}"));
                (name, String::new())
            }
        }
    }

    /// A setting of the server as it was given.
    pub fn found(&mut self, setting: &Setting, file: Option<&Section<'_>>) -> Option<Found> {
        if let Some(text) = self.flags.get(setting.key) {
            return Some(Found {
                text: text.to_owned(),
                key: setting.key.into(),
                origin: Origin::Flag(setting.flag()),
            });
        }
        self.found_in(setting.variable(), setting.key, file)
    }

    /// The same, by its key.
    pub fn given(&mut self, key: &'static str, file: Option<&Section<'_>>) -> Option<Found> {
        self.found(row(key), file)
    }

    /// A setting as the variable gives it, or the key in this part of the file.
    pub fn found_in(&mut self, variable: String, key: &str, file: Option<&Section<'_>>) -> Option<Found> {
        if let Some(text) = self.variable(&variable) {
            return Some(Found { text: text.to_owned(), key: key.into(), origin: Origin::Variable(variable) });
        }
        let value = file?.get(key)?;
        let Some(text) = value.scalar() else {
            self.problem(value.origin, value.key, "must be a single value");
            return None;
        };
        Some(Found { text, key: value.key, origin: value.origin })
    }

    /// What the text means.
    pub fn parse<T>(&mut self, found: Found, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Noted> {
        self.check_characters(&found.text, &found.key, &found.origin)?;
        parse(&found.text).map_err(|text| self.problem(found.origin, found.key, text))
    }

    /// A setting of the server, or its default where it was not given, or not well.
    pub fn take<T>(
        &mut self,
        key: &'static str,
        file: Option<&Section<'_>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let setting = row(key);
        let given = self.found(setting, file).and_then(|found| self.parse(found, &parse).ok());
        #[expect(clippy::expect_used, reason = "a test takes every setting, with its default")]
        given.unwrap_or_else(|| parse(setting.default).expect("a default that is well formed"))
    }

    /// Where a setting of the server was given.
    pub fn origin(&self, key: &'static str, file: &Section<'_>) -> Origin {
        let setting = row(key);
        if self.flags.get(key).is_some() {
            return Origin::Flag(setting.flag());
        }
        match self.variable(&setting.variable()) {
            Some(_) => Origin::Variable(setting.variable()),
            None => file.get(key).map_or(Origin::Default, |value| value.origin),
        }
    }

    /// A secret: `env:NAME`, `file:PATH`, or the text itself. What is wrong never says what the secret is.
    pub fn secret(&mut self, text: &str, key: &str, origin: &Origin) -> Result<String, Noted> {
        let secret = self.resolve(text, origin, characters::invalid);
        let secret = secret.map_err(|text| self.problem(origin.clone(), key, text))?;
        if characters::is_quoted(&secret) {
            self.warn(origin.clone(), key, QUOTED);
        }
        Ok(secret)
    }

    /// The same for a key in PEM form, which has several lines.
    pub fn pem(&mut self, text: &str, key: &str, origin: &Origin) -> Result<String, Noted> {
        let lines = self.resolve(text, origin, characters::invalid_in_lines);
        lines.map_err(|text| self.problem(origin.clone(), key, text))
    }

    fn resolve(&mut self, text: &str, origin: &Origin, fault: fn(&str) -> Option<String>) -> Result<String, String> {
        let refused = |fault: Option<String>, whose: String| match fault {
            Some(fault) => Err(format!("{whose}{fault}")),
            None => Ok(()),
        };
        refused(fault(text), String::new())?;
        let value = if let Some(name) = text.strip_prefix("env:") {
            self.of_secrets.insert(name.to_owned());
            let value = self.variable(name).ok_or_else(|| format!("the variable {name} is not set"))?;
            refused(fault(value), format!("the variable {name} "))?;
            value.to_owned()
        } else if let Some(path) = text.strip_prefix("file:") {
            let base = if matches!(origin, Origin::File { .. }) { self.base.as_path() } else { Path::new("") };
            let text = (self.read)(&base.join(path)).map_err(|error| format!("{path} cannot be read: {error}"))?;
            // One newline ends the line, as editors and `echo` write it. A second one cannot be meant.
            let line = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
            let besides = if line.len() < text.len() { ", without the newline at its end," } else { "" };
            refused(fault(line), format!("the file {path}{besides} "))?;
            line.to_owned()
        } else {
            text.to_owned()
        };
        if value.is_empty() { Err("is empty".to_owned()) } else { Ok(value) }
    }

    /// Notes what stands in a part of the file and is no setting.
    pub fn unknown_keys(&mut self, section: &Section<'_>, known: &[&str]) {
        for (name, value) in section.entries().filter(|(name, _)| !known.contains(name)) {
            self.problem(value.origin, value.key, format!("is no setting{}", did_you_mean(name, known)));
        }
    }

    /// Notes the variables that look like ours and are not.
    pub fn unknown_variables(&mut self, known: &BTreeSet<String>) {
        let ours =
            |name: &&String| name.starts_with(PREFIX) && !known.contains(*name) && !self.of_secrets.contains(*name);
        let unknown: Vec<String> = self.environment.keys().filter(ours).cloned().collect();
        for name in unknown {
            let text = format!("is no setting{}", did_you_mean(&name, known));
            self.problem(Origin::Variable(name), "", text);
        }
    }
}

#[expect(clippy::expect_used, reason = "a test takes every setting")]
fn row(key: &'static str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.key == key).expect("a row of the table")
}
