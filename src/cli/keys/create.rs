//! `inspection-hub keys create`.

use crate::access::{ApiKey, Scopes, View};
use crate::settings::{SettingFlags, Settings, did_you_mean, scope};
use crate::store::OpenMode;
use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::Args;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct CreateKey {
    /// What the key is for, in words for people
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// What it allows: read, read:personal, operate, erase, admin, metrics. Repeat it for several
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
    scopes: Vec<Scopes>,
    /// A source that it is limited to. Repeat it for several [default: all sources]
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// When it expires: 90d, 12h, or a time (RFC 3339) [default: never]
    #[arg(long, value_name = "TIME", value_parser = super::parse_expiry)]
    expires: Option<DateTime<Utc>>,
    /// Store nothing: print what to add to the settings file, on standard error
    #[arg(long)]
    print_settings: bool,
    #[command(flatten)]
    flags: SettingFlags,
}

impl CreateKey {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = crate::cli::load_settings(&self.flags)?;
        check_sources(&self.sources, &settings)?;
        let scopes = self.scopes.iter().flat_map(|scopes| scopes.iter()).collect();
        let sources = (!self.sources.is_empty()).then_some(self.sources);
        let (key, token) = ApiKey::generate(self.name, View::new(scopes, sources), self.expires)?;
        if self.print_settings {
            _ = writeln!(std::io::stderr(), "Add this to the settings file, and restart the hub:\n\n{}", toml(&key));
            return super::print_secret(&token, "");
        }
        crate::cli::runtime()?.block_on(async {
            let store = super::open_store(&settings, OpenMode::Migrate).await?;
            let record = store.create(key, super::SUBJECT, crate::clock::now()).await?;
            super::print_secret(&token, &format!("Created the API key {}.", super::describe(&record.key)))
        })
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    ApiKey::check_name(text).map(|()| text.to_owned()).map_err(str::to_owned)
}

fn check_sources(sources: &[String], settings: &Settings) -> anyhow::Result<()> {
    let known: Vec<&str> = settings.sources.iter().map(|source| source.name.as_str()).collect();
    if let Some(unknown) = sources.iter().find(|source| !known.contains(&source.as_str())) {
        let names = known.join(", ");
        bail!("--source {unknown:?} is not a source of the settings ({names}){}", did_you_mean(unknown, &known));
    }
    Ok(())
}

/// The table of the settings file.
fn toml(key: &ApiKey) -> String {
    // Strings and lists of JSON are strings and lists of TOML.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let list = |values: Vec<&str>| serde_json::Value::from(values).to_string();
    let scopes = list(key.view.scopes().iter().map(crate::access::scope_name).collect());
    let mut table = format!(
        "[[api_keys]]\nid = {}\nname = {}\nhash = {}\nscopes = {scopes}\n",
        text(&key.id.to_string()),
        text(&key.name),
        text(&format!("sha256:{}", key.digest)),
    );
    if let Some(sources) = key.view.sources() {
        table += &format!("sources = {}\n", list(sources.iter().map(String::as_str).collect()));
    }
    if let Some(expires_at) = key.expires_at {
        table += &format!("expires = {}\n", super::time(expires_at));
    }
    table
}
