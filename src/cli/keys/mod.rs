//! `inspection-hub keys`: creates, lists, rotates and revokes API keys, also while a hub runs on the same database.

mod change;
mod create;
mod list;

use crate::access::{ApiKey, ApiKeyId};
use crate::settings::Settings;
use crate::store::{ApiKeyStore, OpenMode};
use anyhow::{Context, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use std::io::Write;
use std::process::ExitCode;

/// The subject that creates a key on the command line.
const SUBJECT: &str = "cli";

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key, and print it once, on standard output.
    ///
    /// Only a digest of it is stored. Running hubs accept it within a second. With the first key, an open API closes: anyone
    /// without a key gets 401 from then on, for good.
    #[command(after_long_help = "Examples:
  inspection-hub keys create --name dashboards --scope read
  inspection-hub keys create --name claims-app --scope read --scope read:personal --source truepic --expires 90d
  inspection-hub keys create --name prometheus --scope metrics > /run/secrets/prometheus
  inspection-hub keys create --name from-git --scope read --print-settings")]
    Create(create::CreateKey),
    /// List the keys, without their secrets.
    #[command(after_long_help = "Examples:
  inspection-hub keys list
  inspection-hub keys list --all")]
    List(list::ListKeys),
    /// Replace a key by a new one with the same name, scopes and sources, and print that once, on standard output.
    ///
    /// The old key stays valid for a while, so that its users can change to the new one. The new key is valid for as long as the
    /// old one was.
    #[command(after_long_help = "Examples:
  inspection-hub keys rotate 3f9a51c07be2
  inspection-hub keys rotate 3f9a51c07be2 --overlap 7d --expires 90d")]
    Rotate(change::RotateKey),
    /// Revoke a key, from now on and for good.
    ///
    /// Running hubs refuse it within a second, and end the subscriptions that use it.
    #[command(after_long_help = "Examples:
  inspection-hub keys revoke 3f9a51c07be2")]
    Revoke(change::RevokeKey),
}

impl KeysCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            KeysCommand::Create(create) => create.run(),
            KeysCommand::List(list) => list.run(),
            KeysCommand::Rotate(rotate) => rotate.run(),
            KeysCommand::Revoke(revoke) => revoke.run(),
        }
    }
}

/// Opens the keys of the database. To create the first key, the database need not exist.
async fn open_store(settings: &Settings, mode: OpenMode) -> anyhow::Result<ApiKeyStore> {
    let db = match mode {
        OpenMode::SkipMigrations => super::open_database(settings, "open").await?,
        OpenMode::Migrate => crate::store::Database::open_with(&settings.database, mode, settings.pools())
            .await
            .with_context(|| format!("cannot open {}", super::redacted_database_url(settings)))?,
    };
    db.ensure_migrated().await?;
    Ok(ApiKeyStore::new(db))
}

/// The id of a key of the database. The text is not quoted: it may be a whole key.
fn parse_id(text: &str, settings: &Settings) -> anyhow::Result<ApiKeyId> {
    let id: ApiKeyId =
        text.parse().ok().context("the id of a key is 12 hexadecimal digits; `inspection-hub keys list` shows it")?;
    if settings.api_keys.iter().any(|key| key.id == id) {
        bail!("the API key {id} is in the settings file; change it there, and restart the hub");
    }
    Ok(id)
}

/// Prints a new key, alone on standard output, so that it can be piped.
fn print_secret(token: &crate::access::ApiKeyToken, about: &str) -> anyhow::Result<ExitCode> {
    _ = writeln!(std::io::stderr(), "{about}\nThe key is shown only now:");
    super::print_all(&format!("{}\n", token.reveal()))
}

fn describe(key: &ApiKey) -> String {
    let sources = key.view.sources().map_or_else(|| "all sources".to_owned(), |sources| sources.join(", "));
    let expires = key.expires_at.map_or_else(|| "does not expire".to_owned(), |at| format!("expires {}", time(at)));
    format!("{} ({}): {}; {sources}; {expires}", key.id, key.name, key.view.scopes())
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// When a key expires: how long from now, or a moment.
fn parse_expiry(text: &str) -> Result<DateTime<Utc>, String> {
    crate::settings::expiry(text, crate::clock::now())
}
