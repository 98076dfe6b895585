//! `inspection-hub keys list`.

use crate::access::ApiKey;
use crate::settings::SettingFlags;
use crate::store::{ApiKeyRecord, OpenMode};
use clap::Args;
use std::process::ExitCode;

const COLUMNS: [&str; 8] = ["ID", "NAME", "SCOPES", "SOURCES", "CREATED", "EXPIRES", "LAST USED", "REVOKED"];

#[derive(Debug, Args)]
pub struct ListKeys {
    /// Also revoked keys
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    flags: SettingFlags,
}

impl ListKeys {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = crate::cli::load_settings(&self.flags)?;
        crate::cli::runtime()?.block_on(async {
            let store = super::open_store(&settings, OpenMode::SkipMigrations).await?;
            let stored = store.all().await?;
            let stored = stored.iter().filter(|record| self.all || record.revoked_at.is_none()).map(stored_row);
            let in_settings = settings.api_keys.iter().map(settings_row);
            let rows: Vec<_> = [COLUMNS.map(str::to_owned)].into_iter().chain(in_settings).chain(stored).collect();
            crate::cli::print_all(&table(&rows))
        })
    }
}

fn settings_row(key: &ApiKey) -> [String; 8] {
    row(key, ["in settings".to_owned(), "-".to_owned(), "-".to_owned()])
}

fn stored_row(record: &ApiKeyRecord) -> [String; 8] {
    let time = |at: Option<_>| at.map_or_else(|| "-".to_owned(), super::time);
    row(&record.key, [super::time(record.created_at), time(record.last_used_at), time(record.revoked_at)])
}

fn row(key: &ApiKey, [created, last_used, revoked]: [String; 3]) -> [String; 8] {
    let sources = key.view.sources().map_or_else(|| "all".to_owned(), |sources| sources.join(","));
    let expires = key.expires_at.map_or_else(|| "never".to_owned(), super::time);
    let scopes = key.view.scopes().to_string().replace(' ', ",");
    [key.id.to_string(), key.name.clone(), scopes, sources, created, expires, last_used, revoked]
}

/// Columns as wide as their longest value.
fn table(rows: &[[String; 8]]) -> String {
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
