//! The settings: plain values, read from flags, variables and a file, each of which is passed in. Whatever is wrong is
//! found in one go and said with its place.
//!
//! `table` is the list of all settings, `forms` what they take, `characters` rejects stray ones; `loader` finds values,
//! `source` and `scheme` read the `[sources]` of the file.

mod error;
mod file;
mod flags;
mod loader;
mod markdown;
mod parse;
mod secrets;
mod source;
mod stray_characters;
mod table;
#[cfg(test)]
mod tests;
mod verify_scheme;

pub use error::{SettingError, SettingErrors, ValueOrigin};
pub use flags::SettingFlags;
pub use loader::ReadFile;
pub use markdown::render_markdown;
pub use parse::age;

use crate::store::PoolSettings;
use crate::vendor::verify::Verifier;
use crate::vendor::{Secret, Vendor};
use file::SettingsFile;
use loader::SettingsLoader;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set. The rows of the table say what each one is for.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// `sqlite://…` or `postgres://…`, with its password.
    pub database: String,
    pub pools: PoolSettings,
    /// How long lives are kept that are at an end; none for ever.
    pub retention: Option<Duration>,
    /// `nats://…`, with its password.
    pub nats: Option<String>,
    pub allow_open_sources: bool,
    /// Any one of which opens the API; none where it is open.
    pub api_tokens: Vec<Secret>,
    /// Of pages that may use the API from a browser; `*` alone for any.
    pub allowed_origins: Vec<String>,
    /// In bytes.
    pub body_limit: usize,
    pub body_timeout: Duration,
    pub header_timeout: Duration,
    pub max_connections: NonZeroU32,
    /// How long open requests may go on once the end was asked for.
    pub shutdown_grace: Duration,
    /// In bytes.
    pub graphql_body_limit: usize,
    pub graphql_timeout: Duration,
    /// Points of cost that one client may use in a minute.
    pub graphql_rate_limit: Option<NonZeroU32>,
    pub graphql_batching: bool,
    pub graphql_suggestions: bool,
    /// A JSON file of ids and documents.
    pub trusted_documents: Option<PathBuf>,
    pub trusted_documents_only: bool,
    pub metrics: bool,
    /// In the syntax of `EnvFilter`.
    pub log: String,
    pub log_format: LogFormat,
    /// By name, in the order of the alphabet.
    pub sources: Vec<SourceSettings>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// One connection to a vendor account.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The last part of its URL.
    pub name: String,
    pub vendor: &'static Vendor,
    /// Open where anybody is believed.
    pub verifier: Verifier,
    /// The URL as it is registered with the vendor, without its query.
    pub public_url: Option<String>,
    /// Deliveries per second.
    pub rate_limit: Option<NonZeroU32>,
    /// How the hub confirms the webhook by itself, where the vendor asks for it.
    pub handshake: Option<HandshakeSettings>,
}

/// What it takes to call the vendor's API.
#[derive(Clone, Debug)]
pub struct HandshakeSettings {
    /// Without a slash at its end.
    pub api_url: String,
    pub api_token: Secret,
}

/// What works, and deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsWarning(String);

impl std::fmt::Display for SettingsWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Settings {
    /// Reads all settings. Nothing is read but what is passed in: the process' environment, and files through `read`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(
        flags: &SettingFlags,
        environment: impl IntoIterator<Item = (String, String)>,
        read: ReadFile<'_>,
    ) -> Result<(Settings, Vec<SettingsWarning>), SettingErrors> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let mut loader = SettingsLoader::new(flags, &environment, read);
        let (name, text) = loader.file(&table::CONFIG);
        let file = SettingsFile::parse(&name, &text).map_err(|problems| loader.errors.extend(problems)).ok();
        let top = file.as_ref().map(SettingsFile::root);
        let file = top.as_ref();

        let mut settings = Settings {
            listen: loader.value_or_default("listen", file, parse::address),
            database: loader.value_or_default("database", file, parse::database),
            pools: PoolSettings {
                pool_size: loader.value_or_default("database_pool_size", file, parse::count).get(),
                acquire_timeout: loader.value_or_default("database_acquire_timeout", file, parse::duration),
                statement_timeout: loader.value_or_default("database_statement_timeout", file, parse::duration),
            },
            retention: loader.value_or_default("retention", file, parse::retention),
            nats: loader.value_or_default("nats", file, parse::nats_url),
            allow_open_sources: loader.value_or_default("allow_open_sources", file, parse::boolean),
            api_tokens: secrets::api_tokens(&mut loader, file),
            allowed_origins: loader.value_or_default("allowed_origins", file, parse::origins),
            body_limit: loader.value_or_default("body_limit", file, parse::size),
            body_timeout: loader.value_or_default("body_timeout", file, parse::duration),
            header_timeout: loader.value_or_default("header_timeout", file, parse::duration),
            max_connections: loader.value_or_default("max_connections", file, parse::count),
            shutdown_grace: loader.value_or_default("shutdown_grace", file, parse::duration),
            graphql_body_limit: loader.value_or_default("graphql_body_limit", file, parse::size),
            graphql_timeout: loader.value_or_default("graphql_timeout", file, parse::duration),
            graphql_rate_limit: loader
                .value_or_default("graphql_rate_limit", file, |text| parse::optional(text, parse::count)),
            graphql_batching: loader.value_or_default("graphql_batching", file, parse::boolean),
            graphql_suggestions: loader.value_or_default("graphql_suggestions", file, parse::boolean),
            trusted_documents: loader
                .value_or_default("trusted_documents", file, |text| parse::optional(text, parse::path)),
            trusted_documents_only: loader.value_or_default("trusted_documents_only", file, parse::boolean),
            metrics: loader.value_or_default("metrics", file, parse::boolean),
            log: loader.value_or_default("log", file, parse::log_filter),
            log_format: loader.value_or_default("log_format", file, parse::log_format),
            sources: Vec::new(),
        };
        let mut warnings = Vec::new();
        // A file that cannot be parsed says nothing of its sources, nor which variables they read.
        if let Some(file) = file {
            let mut known: BTreeSet<String> = table::SETTINGS.iter().map(table::Setting::env_var).collect();
            known.insert(table::CONFIG.env_var());
            let keys: Vec<&str> = table::SETTINGS.iter().map(|row| row.key).chain(["sources"]).collect();
            loader.report_unknown_keys(file, &keys);
            let sources = source::read_sources(&mut loader, file, &mut known);
            warnings.extend(source::check_open_sources(&mut loader, &sources, &settings, file));
            loader.report_unknown_env_vars(&known);
            settings.sources = sources.into_iter().map(|(source, _)| source).collect();
        }
        warnings.append(&mut loader.warnings);
        let mut problems = loader.errors;
        if problems.is_empty() {
            return Ok((settings, warnings));
        }
        problems.sort_by(|one, other| one.origin.cmp(&other.origin));
        Err(SettingErrors(problems))
    }
}
