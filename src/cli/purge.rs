//! `inspection-hub purge`: deletes finished inspections once they are older than the given age.

use super::outln;
use crate::progress_reporter::ProgressReporter;
use crate::retention::{PurgeMode, PurgeReport, Purger};
use crate::settings::{SettingFlags, age};
use crate::store::StoreError;
use anyhow::Context;
use chrono::{SecondsFormat, TimeDelta};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct PurgeCommand {
    /// Purge what has not changed for this long: 90d, 12h
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Duration,
    /// Only report what would be purged
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    flags: SettingFlags,
}

impl PurgeCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // No log: its lines would break the progress bar.
        let (settings, _) = super::load_settings(&self.flags)?;
        let age = TimeDelta::from_std(self.older_than).ok();
        let before =
            age.and_then(|age| crate::clock::now().checked_sub_signed(age)).context("--older-than is too long")?;
        let mode = if self.dry_run { PurgeMode::DryRun } else { PurgeMode::Delete };
        super::runtime()?.block_on(async {
            let db = super::open_database(&settings, "open").await?;
            let stop = CancellationToken::new();
            tokio::spawn(super::rebuild::cancel_on_ctrl_c(stop.clone()));
            let since = before.to_rfc3339_opts(SecondsFormat::Secs, true);
            outln!("{}: inspections without a change since {since}", db.redacted_address());
            let purger = Purger::open(db, stop).await?;
            let progress = ProgressReporter::new("examined", Some(purger.candidates(before).await?));
            let mut report = PurgeReport::default();
            let run = purger.run(before, mode, &mut report, progress.counter());
            let outcome = progress.report_while(run).await;
            print_report(&report, mode);
            match outcome {
                Err(StoreError::Cancelled) => anyhow::bail!("cancelled; the same command resumes"),
                outcome => outcome?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn print_report(report: &PurgeReport, mode: PurgeMode) {
    let PurgeReport { units, entities, changes, deliveries, commands, kept_open, kept_recent, kept_too_large } = report;
    let done = if mode == PurgeMode::Delete { "purged" } else { "would be purged" };
    outln!(
        "{done}: {units} units with {entities} entities, {changes} changes, {deliveries} deliveries and {commands} commands"
    );
    for (count, why) in [
        (kept_open, "not finished"),
        (kept_recent, "something that belongs to them is newer"),
        (kept_too_large, "too large to be deleted in one transaction"),
    ] {
        if *count > 0 {
            outln!("kept: {count}, {why}");
        }
    }
}
