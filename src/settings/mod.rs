//! The settings: plain values from flags, variables and a file, all of which are passed in. Loading reports all mistakes at
//! once, each with its location.
//!
//! `table` and `source_table` define every setting, `parse` and `parse_access` the syntax of values, `stray_characters` rejects characters that are mistakes.
//! `loader` looks values up, `source` and `verify_scheme` read the `[sources]` of the file, `api_key` its `[[api_keys]]`.

mod access_reader;
mod api_key;
mod digest;
mod error;
mod file;
mod flags;
mod loader;
mod oidc;
mod parse;
mod parse_access;
mod proxy;
mod secrets;
mod source;
mod source_table;
mod stray_characters;
mod table;
#[cfg(test)]
mod tests;
mod token_issuer;
mod verify_scheme;
mod waiting;

pub use error::did_you_mean;
pub use error::{Location, SettingError, SettingErrors, ValueOrigin};
pub use flags::SettingFlags;
pub use loader::ReadFile;
pub use parse::age;
pub use parse_access::{expiry, scope};
pub use table::Settings;

use crate::ingest::ConfirmationTarget;
use crate::store::PoolSettings;
use crate::vendor::verify::Verifier;
use crate::vendor::{Vendor, VendorLink, WaitingRules};
use file::SettingsFile;
use loader::Loader;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

/// The tables that only the file can have.
const FILE_TABLES: &[&str] = &["sources", "api_keys", "token_issuers", "oidc", "proxy_grants"];

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
    pub verifier: Verifier,
    /// The URL as it is registered with the vendor, without its query.
    pub public_url: Option<String>,
    /// Deliveries per second.
    pub rate_limit: Option<NonZeroU32>,
    /// At least one delivery is expected in this time.
    pub expect_every: Option<Duration>,
    /// If the hub confirms the webhook itself.
    pub handshake: Option<ConfirmationTarget>,
    /// Where an inspection is at the vendor.
    pub vendor_link: Option<VendorLink>,
    pub waiting_rules: WaitingRules,
}

impl Settings {
    /// Loads all settings, with warnings about values that are valid but probably mistakes. Reads only what is passed in: the
    /// process' environment, and files through `read`.
    ///
    /// # Errors
    /// All mistakes.
    pub fn load(
        flags: &SettingFlags,
        environment: impl IntoIterator<Item = (String, String)>,
        read: ReadFile<'_>,
    ) -> Result<(Settings, Vec<String>), SettingErrors> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let mut loader = Loader::new(flags, &environment, read);
        let (name, text) = loader.config_file();
        let file = SettingsFile::parse(&name, &text).map_err(|errors| loader.errors.extend(errors)).ok();
        let root = file.as_ref().map(SettingsFile::root);
        let mut settings = Settings::read(&mut loader, root.as_ref());
        // After a syntax error, the sources and the variables that set them are unknown.
        if let Some(root) = &root {
            let mut known_variables: BTreeSet<String> = table::flag_settings().map(table::Setting::env_var).collect();
            let keys: Vec<&str> =
                table::SETTINGS.iter().map(|setting| setting.key).chain(FILE_TABLES.iter().copied()).collect();
            loader.report_unknown_keys(root, &keys);
            let sources = source::read_sources(&mut loader, root, &mut known_variables);
            settings.api_keys = api_key::read_api_keys(&mut loader, root);
            settings.token_issuers = token_issuer::read_token_issuers(&mut loader, root);
            settings.oidc = oidc::read_oidc(&mut loader, root, settings.public_url.as_deref());
            settings.proxy_grants = proxy::read_proxy_grants(&mut loader, root);
            proxy::check_proxy(&mut loader, &settings);
            source::check_open_sources(&mut loader, &sources, &settings, root);
            loader.report_unknown_env_vars(&known_variables);
            settings.sources = sources.into_iter().map(|(source, _)| source).collect();
        }
        let mut errors = loader.errors;
        if errors.is_empty() {
            return Ok((settings, loader.warnings));
        }
        errors.sort_by(|a, b| a.at.origin.cmp(&b.at.origin));
        Err(SettingErrors(errors))
    }

    pub fn pools(&self) -> PoolSettings {
        PoolSettings {
            pool_size: self.database_pool_size.get(),
            acquire_timeout: self.database_acquire_timeout,
            statement_timeout: self.database_statement_timeout,
        }
    }
}
