//! The settings as flags of the command line, made from the table.

use super::parse::ValueKind;
use super::table::{CONFIG, SETTINGS, Setting};
use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The flag of each key: clap borrows names for ever.
static FLAG_NAMES: LazyLock<BTreeMap<&'static str, String>> =
    LazyLock::new(|| all_settings().map(|setting| (setting.key, setting.flag())).collect());

/// The settings that were given as flags: `#[command(flatten)]` it into a command.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags {
    given: BTreeMap<&'static str, String>,
}

impl SettingFlags {
    /// What was given for this key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    /// The same flags, and this one; for callers other than the command line. A key that is no setting does nothing.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> SettingFlags {
        if let Some(setting) = all_settings().find(|setting| setting.key == key) {
            self.given.insert(setting.key, value.to_owned());
        }
        self
    }
}

fn all_settings() -> impl Iterator<Item = &'static Setting> {
    std::iter::once(&CONFIG).chain(SETTINGS)
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        all_settings().fold(command, |command, setting| command.arg(clap_arg(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        SettingFlags::augment_args(command)
    }
}

fn clap_arg(setting: &'static Setting) -> Arg {
    let placeholder = if setting.key == CONFIG.key { "FILE" } else { setting.kind.placeholder() };
    let argument = Arg::new(setting.key)
        .long(FLAG_NAMES.get(setting.key).map(|flag| flag.trim_start_matches('-')))
        .value_name(placeholder)
        .help_heading("Settings")
        .help(format!("{} [default: {}] [env: {}]", setting.description, setting.default, setting.env_var()));
    match setting.kind {
        // The flag alone means yes.
        ValueKind::Boolean => argument.num_args(0..=1).default_missing_value("true"),
        _ => argument,
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SettingFlags, Error> {
        let mut flags = SettingFlags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for setting in all_settings() {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.given.insert(setting.key, value.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct TestCli {
        #[command(flatten)]
        flags: SettingFlags,
    }

    #[test]
    fn every_setting_is_a_flag() {
        let mut arguments = vec!["hub".to_owned()];
        arguments.extend(all_settings().flat_map(|setting| [setting.flag(), format!("of {}", setting.key)]));
        let flags = TestCli::try_parse_from(arguments).unwrap().flags;
        for setting in all_settings() {
            assert_eq!(flags.get(setting.key), Some(format!("of {}", setting.key).as_str()));
        }
    }

    #[test]
    fn switches_need_no_value() {
        let flags = TestCli::try_parse_from(["hub", "--allow-open-sources", "--metrics=false"]).unwrap().flags;
        assert_eq!((flags.get("allow_open_sources"), flags.get("metrics")), (Some("true"), Some("false")));
        assert_eq!(flags.get("listen"), None);
    }

    #[test]
    fn help_names_default_and_variable() {
        let help = <TestCli as clap::CommandFactory>::command().render_long_help().to_string();
        for setting in all_settings() {
            assert!(help.contains(&setting.flag()) && help.contains(&setting.env_var()), "{}", setting.key);
        }
    }
}
