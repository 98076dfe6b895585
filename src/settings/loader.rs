//! Where values come from: a flag before a variable, a variable before the file, the file before the default. Mistakes
//! are collected, and reading goes on.

use super::error::{SettingError, ValueOrigin, did_you_mean};
use super::file::FileSection;
use super::flags::SettingFlags;
use super::table::{SETTINGS, Setting};
use super::{SettingsWarning, stray_characters};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What all variables of ours begin with.
const ENV_PREFIX: &str = "INSPECTION_HUB_";

const QUOTED_WARNING: &str = "is in quotes, which are taken for a part of it; remove them unless they are";

/// How a file is read; the file system is passed in, as the environment is.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

pub struct SettingsLoader<'a> {
    flags: &'a SettingFlags,
    environment: &'a BTreeMap<String, String>,
    read_file: ReadFile<'a>,
    /// What relative paths in the file start from.
    base: PathBuf,
    /// The variables that secrets are read from.
    secret_variables: BTreeSet<String>,
    pub errors: Vec<SettingError>,
    pub warnings: Vec<SettingsWarning>,
}

/// The mistake is on the list, and this value is not to be had.
#[derive(Clone, Copy, Debug)]
pub struct Reported;

/// A value as it was given.
#[derive(Clone, Debug)]
pub struct GivenValue {
    pub text: String,
    pub key: String,
    pub origin: ValueOrigin,
}

impl<'a> SettingsLoader<'a> {
    pub fn new(
        flags: &'a SettingFlags,
        environment: &'a BTreeMap<String, String>,
        read_file: ReadFile<'a>,
    ) -> SettingsLoader<'a> {
        let (base, secret_variables) = (PathBuf::new(), BTreeSet::new());
        SettingsLoader {
            flags,
            environment,
            read_file,
            base,
            secret_variables,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Notes what is wrong.
    pub fn report(&mut self, origin: ValueOrigin, key: impl Into<String>, text: impl Into<String>) -> Reported {
        self.errors.push(SettingError { origin, key: key.into(), message: text.into() });
        Reported
    }

    /// Notes what works, and deserves a second look.
    pub fn warn(&mut self, origin: ValueOrigin, key: impl Into<String>, text: impl Into<String>) {
        self.warnings.push(SettingsWarning(SettingError { origin, key: key.into(), message: text.into() }.to_string()));
    }

    /// Notes stray characters as a mistake, and quotes around the whole as a warning.
    pub fn check_characters(&mut self, text: &str, key: &str, origin: &ValueOrigin) -> Result<(), Reported> {
        if let Some(fault) = stray_characters::find_stray(text) {
            return Err(self.report(origin.clone(), key, fault));
        }
        if stray_characters::is_quoted(text) {
            self.warn(origin.clone(), key, QUOTED_WARNING);
        }
        Ok(())
    }

    /// The variable's value; one that is empty counts as not set.
    pub fn env_var(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the settings file says; nothing if there is none and none was asked for.
    pub fn file(&mut self, config: &Setting) -> (String, String) {
        let asked = self.lookup(config, None);
        let name = asked.as_ref().map_or(config.default, |found| found.text.as_str()).to_owned();
        self.base = Path::new(&name).parent().map(Path::to_owned).unwrap_or_default();
        match ((self.read_file)(Path::new(&name)), asked) {
            (Ok(text), _) => (name, text),
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => (name, String::new()),
            (Err(error), asked) => {
                let origin = asked.map_or(ValueOrigin::Default, |found| found.origin);
                self.report(origin, config.key, format!("{name} cannot be read: {error}"));
                (name, String::new())
            }
        }
    }

    /// A setting of the server as it was given.
    pub fn lookup(&mut self, setting: &Setting, file: Option<&FileSection<'_>>) -> Option<GivenValue> {
        if let Some(text) = self.flags.get(setting.key) {
            return Some(GivenValue {
                text: text.to_owned(),
                key: setting.key.into(),
                origin: ValueOrigin::Flag(setting.flag()),
            });
        }
        self.lookup_env_or_file(setting.env_var(), setting.key, file)
    }

    /// The same, by its key.
    pub fn lookup_key(&mut self, key: &'static str, file: Option<&FileSection<'_>>) -> Option<GivenValue> {
        self.lookup(setting_for_key(key), file)
    }

    /// A setting as the variable gives it, or the key in this part of the file.
    pub fn lookup_env_or_file(
        &mut self,
        variable: String,
        key: &str,
        file: Option<&FileSection<'_>>,
    ) -> Option<GivenValue> {
        if let Some(text) = self.env_var(&variable) {
            return Some(GivenValue { text: text.to_owned(), key: key.into(), origin: ValueOrigin::EnvVar(variable) });
        }
        let value = file?.get(key)?;
        let Some(text) = value.scalar() else {
            self.report(value.origin, value.key, "must be a single value");
            return None;
        };
        Some(GivenValue { text, key: value.key, origin: value.origin })
    }

    /// What the text means.
    pub fn parse<T>(&mut self, found: GivenValue, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Reported> {
        self.check_characters(&found.text, &found.key, &found.origin)?;
        parse(&found.text).map_err(|text| self.report(found.origin, found.key, text))
    }

    /// A setting of the server, or its default where it was not given, or not well.
    pub fn value_or_default<T>(
        &mut self,
        key: &'static str,
        file: Option<&FileSection<'_>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let setting = setting_for_key(key);
        let given = self.lookup(setting, file).and_then(|found| self.parse(found, &parse).ok());
        #[expect(clippy::expect_used, reason = "a test takes every setting, with its default")]
        given.unwrap_or_else(|| parse(setting.default).expect("a default that is well formed"))
    }

    /// Where a setting of the server was given.
    pub fn origin(&self, key: &'static str, file: &FileSection<'_>) -> ValueOrigin {
        let setting = setting_for_key(key);
        if self.flags.get(key).is_some() {
            return ValueOrigin::Flag(setting.flag());
        }
        match self.env_var(&setting.env_var()) {
            Some(_) => ValueOrigin::EnvVar(setting.env_var()),
            None => file.get(key).map_or(ValueOrigin::Default, |value| value.origin),
        }
    }

    /// A secret: `env:NAME`, `file:PATH`, or the text itself. What is wrong never says what the secret is.
    pub fn secret(&mut self, text: &str, key: &str, origin: &ValueOrigin) -> Result<String, Reported> {
        let secret = self.resolve(text, origin, stray_characters::find_stray);
        let secret = secret.map_err(|text| self.report(origin.clone(), key, text))?;
        if stray_characters::is_quoted(&secret) {
            self.warn(origin.clone(), key, QUOTED_WARNING);
        }
        Ok(secret)
    }

    /// The same for a key in PEM form, which has several lines.
    pub fn pem(&mut self, text: &str, key: &str, origin: &ValueOrigin) -> Result<String, Reported> {
        let lines = self.resolve(text, origin, stray_characters::find_stray_in_lines);
        lines.map_err(|text| self.report(origin.clone(), key, text))
    }

    fn resolve(
        &mut self,
        text: &str,
        origin: &ValueOrigin,
        fault: fn(&str) -> Option<String>,
    ) -> Result<String, String> {
        let refused = |fault: Option<String>, whose: String| match fault {
            Some(fault) => Err(format!("{whose}{fault}")),
            None => Ok(()),
        };
        refused(fault(text), String::new())?;
        let value = if let Some(name) = text.strip_prefix("env:") {
            self.secret_variables.insert(name.to_owned());
            let value = self.env_var(name).ok_or_else(|| format!("the variable {name} is not set"))?;
            refused(fault(value), format!("the variable {name} "))?;
            value.to_owned()
        } else if let Some(path) = text.strip_prefix("file:") {
            let base = if matches!(origin, ValueOrigin::File { .. }) { self.base.as_path() } else { Path::new("") };
            let text = (self.read_file)(&base.join(path)).map_err(|error| format!("{path} cannot be read: {error}"))?;
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
    pub fn report_unknown_keys(&mut self, section: &FileSection<'_>, known: &[&str]) {
        for (name, value) in section.entries().filter(|(name, _)| !known.contains(name)) {
            self.report(value.origin, value.key, format!("is no setting{}", did_you_mean(name, known)));
        }
    }

    /// Notes the variables that look like ours and are not.
    pub fn report_unknown_env_vars(&mut self, known: &BTreeSet<String>) {
        let ours = |name: &&String| {
            name.starts_with(ENV_PREFIX) && !known.contains(*name) && !self.secret_variables.contains(*name)
        };
        let unknown: Vec<String> = self.environment.keys().filter(ours).cloned().collect();
        for name in unknown {
            let text = format!("is no setting{}", did_you_mean(&name, known));
            self.report(ValueOrigin::EnvVar(name), "", text);
        }
    }
}

#[expect(clippy::expect_used, reason = "a test takes every setting")]
fn setting_for_key(key: &'static str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.key == key).expect("a row of the table")
}
