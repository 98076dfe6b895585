//! `inspection-hub keys rotate` and `revoke`.

use crate::access::View;
use crate::settings::{SettingFlags, age};
use crate::store::{KeyRotation, OpenMode};
use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct RotateKey {
    /// The id of the key, as `keys list` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// How long the old key stays valid
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = age)]
    overlap: Duration,
    /// When the new key expires: 90d, 12h, or a time (RFC 3339) [default: after as long as the old one]
    #[arg(long, value_name = "TIME", value_parser = super::parse_expiry)]
    expires: Option<DateTime<Utc>>,
    #[command(flatten)]
    flags: SettingFlags,
}

impl RotateKey {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = crate::cli::load_settings(&self.flags)?;
        let id = super::parse_id(&self.id, &settings)?;
        let now = crate::clock::now();
        let overlap =
            TimeDelta::from_std(self.overlap).ok().filter(|overlap| now.checked_add_signed(*overlap).is_some());
        let rotation = KeyRotation {
            overlap: overlap.context("--overlap is too long")?,
            expires_at: self.expires,
            expires_by: None,
            created_by: super::SUBJECT.to_owned(),
        };
        crate::cli::runtime()?.block_on(async {
            let store = super::open_store(&settings, OpenMode::SkipMigrations).await?;
            let rotated = store.rotate(id, &View::everything(), rotation, now).await?;
            let ends = super::time(rotated.old.key.expires_at.unwrap_or(now));
            let about = format!("The API key {id} expires {ends}. Created {}.", super::describe(&rotated.new.key));
            super::print_secret(&rotated.token, &about)
        })
    }
}

#[derive(Debug, Args)]
pub struct RevokeKey {
    /// The id of the key, as `keys list` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    flags: SettingFlags,
}

impl RevokeKey {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = crate::cli::load_settings(&self.flags)?;
        let id = super::parse_id(&self.id, &settings)?;
        crate::cli::runtime()?.block_on(async {
            let store = super::open_store(&settings, OpenMode::SkipMigrations).await?;
            let now = crate::clock::now();
            let record = store.revoke(id, &View::everything(), now).await?;
            let at = super::time(record.revoked_at.unwrap_or(now));
            _ = writeln!(std::io::stderr(), "The API key {id} ({}) is revoked since {at}.", record.key.name);
            Ok(ExitCode::SUCCESS)
        })
    }
}
