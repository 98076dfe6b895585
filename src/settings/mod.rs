//! The settings: plain values, read from flags, variables and a file, each of which is passed in. Whatever is wrong is
//! found in one go and said with its place.
//!
//! `table` is the list of all settings, `forms` what they take, `characters` rejects stray ones; `loader` finds values,
//! `source` and `scheme` read the `[sources]` of the file.

mod characters;
mod file;
mod flags;
mod forms;
mod loader;
mod markdown;
mod problem;
mod scheme;
mod secrets;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub use flags::Flags;
pub use forms::age;
pub use loader::ReadFile;
pub use markdown::markdown;
pub use problem::{Origin, Problem, Problems};

use crate::store::Pools;
use crate::vendor::verify::Verifier;
use crate::vendor::{Secret, Vendor};
use file::File;
use loader::Loader;
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
    pub pools: Pools,
    /// How long lives are kept that are at an end; none for ever.
    pub keep_history: Option<Duration>,
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
    pub graphql_budget: Option<NonZeroU32>,
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
    pub sources: Vec<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// One connection to a vendor account.
#[derive(Clone, Debug)]
pub struct Source {
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
    pub handshake: Option<Handshake>,
}

/// What it takes to call the vendor's API.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Without a slash at its end.
    pub api_url: String,
    pub api_token: Secret,
}

/// What works, and deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(String);

impl std::fmt::Display for Warning {
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
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
        read: ReadFile<'_>,
    ) -> Result<(Settings, Vec<Warning>), Problems> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let mut loader = Loader::new(flags, &environment, read);
        let (name, text) = loader.file(&table::CONFIG);
        let file = File::parse(&name, &text).map_err(|problems| loader.problems.extend(problems)).ok();
        let top = file.as_ref().map(File::top);
        let file = top.as_ref();

        let mut settings = Settings {
            listen: loader.take("listen", file, forms::address),
            database: loader.take("database", file, forms::database),
            pools: Pools {
                readers: loader.take("database_readers", file, forms::count).get(),
                wait: loader.take("database_wait", file, forms::duration),
                statement: loader.take("database_timeout", file, forms::duration),
            },
            keep_history: loader.take("keep_history", file, forms::keep),
            nats: loader.take("nats", file, forms::nats),
            allow_open_sources: loader.take("allow_open_sources", file, forms::switch),
            api_tokens: secrets::api_tokens(&mut loader, file),
            allowed_origins: loader.take("allowed_origins", file, forms::origins),
            body_limit: loader.take("body_limit", file, forms::size),
            body_timeout: loader.take("body_timeout", file, forms::duration),
            header_timeout: loader.take("header_timeout", file, forms::duration),
            max_connections: loader.take("max_connections", file, forms::count),
            shutdown_grace: loader.take("shutdown_grace", file, forms::duration),
            graphql_body_limit: loader.take("graphql_body_limit", file, forms::size),
            graphql_timeout: loader.take("graphql_timeout", file, forms::duration),
            graphql_budget: loader.take("graphql_budget", file, |text| forms::optional(text, forms::count)),
            graphql_batching: loader.take("graphql_batching", file, forms::switch),
            graphql_suggestions: loader.take("graphql_suggestions", file, forms::switch),
            trusted_documents: loader.take("trusted_documents", file, |text| forms::optional(text, forms::path)),
            trusted_documents_only: loader.take("trusted_documents_only", file, forms::switch),
            metrics: loader.take("metrics", file, forms::switch),
            log: loader.take("log", file, forms::filter),
            log_format: loader.take("log_format", file, forms::log_format),
            sources: Vec::new(),
        };
        let mut warnings = Vec::new();
        // A file that cannot be parsed says nothing of its sources, nor which variables they read.
        if let Some(file) = file {
            let mut known: BTreeSet<String> = table::SETTINGS.iter().map(table::Setting::variable).collect();
            known.insert(table::CONFIG.variable());
            let keys: Vec<&str> = table::SETTINGS.iter().map(|row| row.key).chain(["sources"]).collect();
            loader.unknown_keys(file, &keys);
            let sources = source::sources(&mut loader, file, &mut known);
            warnings.extend(source::judge_open(&mut loader, &sources, &settings, file));
            loader.unknown_variables(&known);
            settings.sources = sources.into_iter().map(|(source, _)| source).collect();
        }
        warnings.append(&mut loader.warnings);
        let mut problems = loader.problems;
        if problems.is_empty() {
            return Ok((settings, warnings));
        }
        problems.sort_by(|one, other| one.origin.cmp(&other.origin));
        Err(Problems(problems))
    }
}
