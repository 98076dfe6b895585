//! The settings as flags of the command line, generated from the table.

use super::table::{self, Setting, flag_settings};
use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The name of each flag, without dashes. clap needs `'static` names.
static FLAG_NAMES: LazyLock<BTreeMap<&'static str, String>> =
    LazyLock::new(|| flag_settings().map(|setting| (setting.key, setting.key.replace('_', "-"))).collect());

/// The settings that were given as flags. A command includes them with `#[command(flatten)]`.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags(BTreeMap<&'static str, String>);

impl SettingFlags {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Adds a flag, for callers other than the command line. An unknown key is ignored.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> SettingFlags {
        if let Some(setting) = flag_settings().find(|setting| setting.key == key) {
            self.0.insert(setting.key, value.to_owned());
        }
        self
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        flag_settings().fold(command, |command, setting| command.arg(clap_arg(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        SettingFlags::augment_args(command)
    }
}

fn clap_arg(setting: &'static Setting) -> Arg {
    let default = if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
    let argument = Arg::new(setting.key)
        .long(FLAG_NAMES.get(setting.key).map(String::as_str))
        .value_name(setting.placeholder)
        .help_heading("Settings")
        .help(format!("{}{default} [env: {}]", setting.description(), setting.env_var()));
    match setting.placeholder {
        table::BOOLEAN => argument.num_args(0..=1).default_missing_value("true"),
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
        for setting in flag_settings() {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.0.insert(setting.key, value.clone());
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
        arguments.extend(flag_settings().flat_map(|setting| [setting.flag(), format!("of {}", setting.key)]));
        let flags = TestCli::try_parse_from(arguments).unwrap().flags;
        for setting in flag_settings() {
            assert_eq!(flags.get(setting.key), Some(format!("of {}", setting.key).as_str()));
        }
    }

    #[test]
    fn booleans_need_no_value() {
        let flags = TestCli::try_parse_from(["hub", "--allow-open-sources", "--metrics=false"]).unwrap().flags;
        assert_eq!((flags.get("allow_open_sources"), flags.get("metrics")), (Some("true"), Some("false")));
        assert_eq!(flags.get("listen"), None);
    }

    #[test]
    fn help_names_default_and_variable() {
        let help = <TestCli as clap::CommandFactory>::command().render_long_help().to_string();
        for setting in flag_settings() {
            assert!(help.contains(&setting.flag()) && help.contains(&setting.env_var()), "{}", setting.key);
        }
    }
}
