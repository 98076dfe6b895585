//! Looks values up: a flag wins over a variable, a variable over the file, the file over the default. Mistakes are
//! collected, and loading continues.

use super::error::{Location, SettingError, ValueOrigin, did_you_mean};
use super::file::FileValue;
use super::flags::SettingFlags;
use super::stray_characters;
use super::table::{CONFIG, ENV_PREFIX, SETTINGS, Setting, setting};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

const QUOTED_WARNING: &str =
    "is in quotes, which are treated as part of the value; remove them unless they are intended";

/// Reads a file. Passed in, as the environment is, so that tests need neither.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

pub struct Loader<'a> {
    flags: &'a SettingFlags,
    environment: &'a BTreeMap<String, String>,
    read_file: ReadFile<'a>,
    /// Base of relative paths in the file.
    base: PathBuf,
    /// The variables that contain secrets.
    secret_variables: BTreeSet<String>,
    pub errors: Vec<SettingError>,
    pub warnings: Vec<String>,
}

/// The value is missing because of a mistake, which is in the list of errors.
#[derive(Clone, Copy, Debug)]
pub struct Reported;

/// A value as it was given.
#[derive(Clone, Debug)]
pub struct GivenValue {
    pub text: String,
    pub at: Location,
}

impl<'a> Loader<'a> {
    pub fn new(
        flags: &'a SettingFlags,
        environment: &'a BTreeMap<String, String>,
        read_file: ReadFile<'a>,
    ) -> Loader<'a> {
        let (base, secret_variables) = (PathBuf::new(), BTreeSet::new());
        let (errors, warnings) = (Vec::new(), Vec::new());
        Loader { flags, environment, read_file, base, secret_variables, errors, warnings }
    }

    pub fn report(&mut self, at: &Location, message: impl Into<String>) -> Reported {
        self.errors.push(SettingError { at: at.clone(), message: message.into() });
        Reported
    }

    pub fn warn(&mut self, at: &Location, message: &str) {
        self.warnings.push(SettingError { at: at.clone(), message: message.to_owned() }.to_string());
    }

    /// Rejects stray characters, and warns about quotes around the whole value.
    pub fn check_characters(&mut self, text: &str, at: &Location) -> Result<(), Reported> {
        if let Some(problem) = stray_characters::find_stray(text) {
            return Err(self.report(at, problem));
        }
        if stray_characters::is_quoted(text) {
            self.warn(at, QUOTED_WARNING);
        }
        Ok(())
    }

    /// The name and the content of the settings file. A missing file is empty, unless its name was given.
    pub fn config_file(&mut self) -> (String, String) {
        let given = self.lookup(&CONFIG, None);
        let name = given.as_ref().map_or(CONFIG.default, |given| given.text.as_str()).to_owned();
        self.base = Path::new(&name).parent().map(Path::to_owned).unwrap_or_default();
        let text = match ((self.read_file)(Path::new(&name)), given) {
            (Ok(text), _) => text,
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => String::new(),
            (Err(error), given) => {
                let default = Location { origin: ValueOrigin::Default, key: CONFIG.key.to_owned() };
                let at = given.map_or(default, |given| given.at);
                self.report(&at, format!("{name} cannot be read: {error}"));
                String::new()
            }
        };
        (name, text)
    }

    /// A setting of the server.
    pub fn lookup(&mut self, setting: &Setting, file: Option<&FileValue<'_>>) -> Option<GivenValue> {
        if let Some(text) = self.flags.get(setting.key) {
            let at = Location { origin: ValueOrigin::Flag(setting.flag()), key: setting.key.to_owned() };
            return Some(GivenValue { text: text.to_owned(), at });
        }
        self.lookup_env_or_file(setting.env_var(), setting.key, file)
    }

    /// The value of a variable, or of a key in this table of the file.
    pub fn lookup_env_or_file(
        &mut self,
        variable: String,
        key: &str,
        table: Option<&FileValue<'_>>,
    ) -> Option<GivenValue> {
        if let Some(text) = self.env_var(&variable) {
            let at = Location { origin: ValueOrigin::EnvVar(variable), key: key.to_owned() };
            return Some(GivenValue { text: text.to_owned(), at });
        }
        let value = table?.get(key)?;
        let Some(text) = value.scalar() else {
            self.report(&value.at, "must be a single value");
            return None;
        };
        Some(GivenValue { text, at: value.at })
    }

    pub fn parse<T>(&mut self, given: GivenValue, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Reported> {
        self.check_characters(&given.text, &given.at)?;
        parse(&given.text).map_err(|problem| self.report(&given.at, problem))
    }

    /// A setting of the server. Its default if it was not given, or is wrong, which is reported.
    pub fn value_or_default<T>(
        &mut self,
        key: &'static str,
        file: Option<&FileValue<'_>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let setting = setting(SETTINGS, key);
        let given = self.lookup(setting, file).and_then(|given| self.parse(given, &parse).ok());
        #[expect(clippy::expect_used, reason = "a test parses every default")]
        given.unwrap_or_else(|| parse(setting.default).expect("a valid default"))
    }

    /// A secret: `env:NAME`, `file:PATH`, or the text itself.
    pub fn secret(&mut self, text: &str, at: &Location) -> Result<String, Reported> {
        let resolved = self.resolve(text, at, stray_characters::find_stray);
        let secret = resolved.map_err(|problem| self.report(at, problem))?;
        if stray_characters::is_quoted(&secret) {
            self.warn(at, QUOTED_WARNING);
        }
        Ok(secret)
    }

    /// A key in PEM form, which has several lines.
    pub fn pem(&mut self, text: &str, at: &Location) -> Result<String, Reported> {
        let resolved = self.resolve(text, at, stray_characters::find_stray_in_lines);
        resolved.map_err(|problem| self.report(at, problem))
    }

    fn resolve(&mut self, text: &str, at: &Location, find_stray: fn(&str) -> Option<String>) -> Result<String, String> {
        let check = |text: &str, subject: String| match find_stray(text) {
            Some(problem) => Err(format!("{subject}{problem}")),
            None => Ok(text.to_owned()),
        };
        let variable = text.strip_prefix("env:");
        self.secret_variables.extend(variable.map(str::to_owned));
        let mut value = check(text, String::new())?;
        if let Some(name) = variable {
            let content = self.env_var(name).ok_or_else(|| format!("the variable {name} is not set"))?;
            value = check(content, format!("the variable {name} "))?;
        } else if let Some(path) = text.strip_prefix("file:") {
            let base = if matches!(at.origin, ValueOrigin::File { .. }) { self.base.as_path() } else { Path::new("") };
            let text = (self.read_file)(&base.join(path)).map_err(|error| format!("{path} cannot be read: {error}"))?;
            // Editors and `echo` end the line with one newline. A second one is a mistake.
            let line = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
            let without_newline = if line.len() < text.len() { ", without the newline at its end," } else { "" };
            value = check(line, format!("the file {path}{without_newline} "))?;
        }
        if value.is_empty() { Err("is empty".to_owned()) } else { Ok(value) }
    }

    /// An empty variable counts as not set.
    fn env_var(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Reports the keys of a table that are not settings.
    pub fn report_unknown_keys(&mut self, table: &FileValue<'_>, known: &[&str]) {
        for (name, value) in table.entries().filter(|(name, _)| !known.contains(name)) {
            self.report(&value.at, format!("is not a setting{}", did_you_mean(name, known)));
        }
    }

    /// Reports the variables with our prefix that are not settings.
    pub fn report_unknown_env_vars(&mut self, known: &BTreeSet<String>) {
        for name in self.environment.keys().filter(|name| name.starts_with(ENV_PREFIX)) {
            if !known.contains(name) && !self.secret_variables.contains(name) {
                let at = Location { origin: ValueOrigin::EnvVar(name.clone()), key: String::new() };
                self.report(&at, format!("is not a setting{}", did_you_mean(name, known)));
            }
        }
    }
}
