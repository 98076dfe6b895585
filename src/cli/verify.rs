//! `inspection-hub verify`: compares what is stored with what the raw log yields.

use super::differences;
use super::outln;
use super::rebuild::{ReplayArgs, lower_priority};
use crate::progress_reporter::ProgressReporter;
use crate::rebuild::{DatabaseSnapshot, ShadowDb};
use anyhow::Context;
use clap::Args;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// The exit status if there are differences, so that a script can tell them from a failure.
const EXIT_DIFFERENT: u8 = 2;

#[derive(Debug, Args)]
pub struct VerifyCommand {
    #[command(flatten)]
    replay: ReplayArgs,
}

impl VerifyCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        lower_priority();
        // No log: the second database would write to it, too.
        let (settings, _) = super::load_settings(&self.replay.flags)?;
        let work_dir = match &self.replay.work_dir {
            Some(folder) => std::fs::create_dir_all(folder).and_then(|()| tempfile::tempdir_in(folder)),
            None => tempfile::tempdir(),
        };
        let work_dir = work_dir.context("no folder for the second database can be created")?;
        let differences = super::runtime()?.block_on(async {
            let db = super::open_database(&settings, "read").await?;
            let snapshot = DatabaseSnapshot::open(&db).await;
            let stored =
                snapshot.with_context(|| format!("cannot read {}", super::redacted_database_url(&settings)))?;
            let DatabaseSnapshot { deliveries, commands, position, .. } = &stored;
            outln!("{}: {deliveries} deliveries, {commands} commands, {position} changes", db.redacted_address());
            let mut derived = ShadowDb::open(work_dir.path(), &db.redacted_address()).await?;
            let progress = ProgressReporter::new("replayed", Some((deliveries + commands).unsigned_abs()));
            let compared = async {
                stored.replay_into(&mut derived, &CancellationToken::new(), progress.counter()).await?;
                stored.diff(&DatabaseSnapshot::open(&derived.db).await?).await
            };
            let differences = progress.report_while(compared).await?;
            derived.remove().await;
            anyhow::Ok(differences)
        })?;
        if differences.total == 0 {
            outln!("all {} rows are what the raw log yields", differences.rows_compared);
            return Ok(ExitCode::SUCCESS);
        }
        differences::print_differences(&differences, self.replay.max_differences);
        Ok(ExitCode::from(EXIT_DIFFERENT))
    }
}
