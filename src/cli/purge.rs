//! `inspection-hub purge`: removes lives that have been at their end for long.

use crate::progress_reporter::ProgressReporter;
use crate::retention::{PurgeMode, PurgeReport, Purger};
use crate::settings::{SettingFlags, age};
use crate::store::{Database, OpenMode, StoreError};
use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct PurgeCommand {
    /// Remove lives of which nothing was heard for so long: 90d, 12h
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Duration,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    flags: SettingFlags,
}

impl PurgeCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // No log: it would stand between the lines of progress.
        let (settings, _) = super::load_settings(&self.flags)?;
        let age = TimeDelta::from_std(self.older_than).ok();
        let before =
            age.and_then(|age| crate::clock::now().checked_sub_signed(age)).context("--older-than is too long")?;
        let doing = if self.dry_run { PurgeMode::DryRun } else { PurgeMode::Delete };
        super::runtime()?.block_on(async {
            let opened = Database::open_with(&settings.database, OpenMode::SkipMigrations, settings.pools()).await;
            let db = opened.with_context(|| format!("cannot open {}", super::redacted_database_url(&settings)))?;
            let stop = CancellationToken::new();
            tokio::spawn(super::rebuild::cancel_on_ctrl_c(stop.clone()));
            println!("{}: lives of which nothing was heard since {}", db.redacted_address(), format_time(before));
            let forgetting = Purger::open(db, stop).await?;
            let progress = ProgressReporter::new("looked at", Some(forgetting.candidates(before).await?));
            let counted = progress.clone();
            let mut forgotten = PurgeReport::default();
            let work = forgetting.run(before, doing, &mut forgotten, |more| counted.advance(more));
            let done = progress.report_while(work).await;
            print_report(&forgotten, doing);
            match done {
                Err(StoreError::Cancelled) => anyhow::bail!("stopped; the same command goes on from there"),
                done => done?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn format_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn print_report(forgotten: &PurgeReport, doing: PurgeMode) {
    let PurgeReport {
        units: lives,
        entities,
        changes,
        deliveries,
        kept_open: open,
        kept_recent: in_use,
        kept_too_large: large,
    } = forgotten;
    let done = match doing {
        PurgeMode::Delete => "removed",
        PurgeMode::DryRun => "would be removed",
    };
    println!("{done}: {lives} lives with {entities} entities, {changes} changes and {deliveries} deliveries");
    for (kept, why) in [
        (open, "not at an end"),
        (in_use, "something that belongs to it is newer"),
        (large, "too large to be removed at once"),
    ] {
        if *kept > 0 {
            println!("kept: {kept}, {why}");
        }
    }
}
