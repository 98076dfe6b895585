mod access;
mod api_keys;
mod characters;
mod digest;
mod documentation;
mod markdown;
mod mistakes;
mod sources;

use super::*;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A settings file, other files, variables and flags.
#[derive(Default)]
struct SettingsInput {
    text: Option<String>,
    files: Vec<(&'static str, String)>,
    variables: Vec<(String, String)>,
    flags: SettingFlags,
}

fn file(text: &str) -> SettingsInput {
    SettingsInput { text: Some(text.to_owned()), ..SettingsInput::default() }
}

impl SettingsInput {
    fn variable(mut self, name: &str, value: &str) -> SettingsInput {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> SettingsInput {
        self.flags = self.flags.with(key, value);
        self
    }

    fn other_file(mut self, path: &'static str, text: &str) -> SettingsInput {
        self.files.push((path, text.to_owned()));
        self
    }

    fn load(&self) -> Result<(Settings, Vec<String>), SettingErrors> {
        let variables = self.variables.iter().cloned();
        let read = |path: &Path| {
            let other = self.files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| text.clone());
            let text = if path == Path::new(table::CONFIG.default) { self.text.clone() } else { other };
            text.ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        Settings::load(&self.flags, variables, &read)
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).0
    }

    /// The messages of all mistakes.
    fn problems(&self) -> Vec<String> {
        self.load().unwrap_err().to_string().lines().map(str::to_owned).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.load().unwrap().1
    }
}

#[test]
fn nothing_is_required() {
    let settings = SettingsInput::default().settings();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database, "sqlite://data/hub.db");
    assert_eq!(settings.body_limit, 5 << 20);
    assert_eq!(settings.graphql_body_limit, 1 << 20);
    assert_eq!(settings.body_timeout, Duration::from_secs(10));
    assert_eq!(settings.header_timeout, Duration::from_secs(10));
    assert_eq!(settings.max_connections.get(), 10_000);
    assert_eq!((settings.log.as_str(), settings.log_format), ("info", LogFormat::Text));
    assert!(settings.metrics && !settings.allow_open_sources);
    let names: Vec<&str> = settings.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, crate::vendor::names().collect::<Vec<_>>());
    assert!(settings.sources.iter().all(|source| source.verifier.is_open() && source.vendor.name == source.name));
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file() {
    let input = file("listen = '127.0.0.1:1'\nmax_connections = 1_000\nbody_limit = 0x100\nlog = 'warn'");
    assert_eq!(input.settings().listen.port(), 1);
    assert_eq!(input.settings().body_limit, 256);
    let input = input.variable("INSPECTION_HUB_LISTEN", "127.0.0.1:2").variable("INSPECTION_HUB_LOG", "");
    assert_eq!(input.settings().listen.port(), 2);
    let input = input.flag("listen", "127.0.0.1:3").flag("metrics", "false");
    let settings = input.settings();
    assert_eq!(settings.listen.port(), 3);
    assert_eq!((settings.max_connections.get(), settings.log.as_str(), settings.metrics), (1000, "warn", false));
}

#[test]
fn origins_are_separated_by_commas() {
    assert_eq!(SettingsInput::default().settings().allowed_origins, [""; 0]);
    let named = "https://app.example,http://localhost:3000 , http://[::1]:8080, capacitor://localhost";
    let input = SettingsInput::default().variable("INSPECTION_HUB_ALLOWED_ORIGINS", named);
    assert_eq!(
        input.settings().allowed_origins,
        ["https://app.example", "http://localhost:3000", "http://[::1]:8080", "capacitor://localhost"]
    );
    assert_eq!(SettingsInput::default().flag("allowed_origins", "*").settings().allowed_origins, ["*"]);
}

#[test]
fn the_file_can_be_chosen() {
    let input =
        SettingsInput::default().other_file("etc/hub.toml", "log = 'debug'").other_file("b.toml", "log = 'trace'");
    assert_eq!(input.settings().log, "info");
    let input = input.variable("INSPECTION_HUB_CONFIG", "etc/hub.toml");
    assert_eq!(input.settings().log, "debug");
    let input = input.flag("config", "b.toml");
    assert_eq!(input.settings().log, "trace");
    let input = input.flag("config", "c.toml");
    assert_eq!(input.problems(), ["--config: c.toml cannot be read: entity not found"]);
}
