//! `inspection-hub rebuild`: puts what the raw log says in place of what is stored.

use super::differences;
use super::replay_args::{ReplayArgs, lower_priority};
use crate::progress_reporter::ProgressReporter;
use crate::rebuild::{Differences, Rebuild as Rebuilding, RebuildOutcome};
use crate::settings::Settings;
use crate::store::{Database, DatabaseAddress, OpenMode, StoreError};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct RebuildCommand {
    /// Load all rows into fresh tables, even if few of them differ, or none
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    replay: ReplayArgs,
}

impl RebuildCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        lower_priority();
        // No log: it would stand between the lines of progress.
        let (settings, _) = super::load_settings(&self.replay.flags)?;
        let folder = match &self.replay.work_dir {
            Some(folder) => folder.clone(),
            None => default_work_dir(&settings)?,
        };
        let kept = format!("the second database is kept: the same command goes on from there ({})", folder.display());
        super::runtime()?.block_on(async {
            let stop = CancellationToken::new();
            tokio::spawn(cancel_on_ctrl_c(stop.clone()));
            match self.rebuild(&settings, &folder, stop).await {
                Err(error) if matches!(error.downcast_ref(), Some(StoreError::Cancelled)) => {
                    anyhow::bail!("stopped, and nothing was changed; {kept}")
                }
                outcome => outcome,
            }
        })
    }

    async fn rebuild(
        &self,
        settings: &Settings,
        folder: &std::path::Path,
        stop: CancellationToken,
    ) -> anyhow::Result<ExitCode> {
        let opened = Database::open_with(&settings.database, OpenMode::SkipMigrations, settings.pools()).await;
        let db = opened.with_context(|| format!("cannot read {}", super::redacted_database_url(settings)))?;
        let shown = db.redacted_address();
        let mut rebuild = Rebuilding::open(db, folder, stop).await?;
        let (all, before) = rebuild.progress().await?;
        match before {
            0 => println!("{shown}: {all} deliveries"),
            _ => println!("{shown}: {all} deliveries; going on after number {before}"),
        }
        let progress = ProgressReporter::new("applied anew", Some((all - before).unsigned_abs()));
        let counted = progress.clone();
        let found = progress.report_while(rebuild.replay_and_diff(move |more| counted.advance(more))).await?;
        if found.total == 0 {
            println!("all {} rows are what the deliveries say", found.rows_compared);
            if !self.full {
                println!("nothing was changed (--full)");
                rebuild.finish().await;
                return Ok(ExitCode::SUCCESS);
            }
        } else {
            differences::print_differences(&found, self.replay.max_differences);
        }
        let replaced = self.replace(&mut rebuild, &found).await?;
        rebuild.finish().await;
        print_outcome(&replaced);
        Ok(ExitCode::SUCCESS)
    }

    async fn replace(&self, rebuild: &mut Rebuilding, found: &Differences) -> Result<RebuildOutcome, StoreError> {
        let few = found.patchable_rows().filter(|_| !self.full);
        let rows = match few {
            Some(few) => few as u64,
            None => rebuild.estimated_rows().await?,
        };
        let progress = ProgressReporter::new("rows replaced", Some(rows));
        let counted = progress.clone();
        let done = move |more| counted.advance(more);
        match few {
            Some(_) => progress.report_while(rebuild.replace(found, done)).await,
            None => progress.report_while(rebuild.replace_all(found, done)).await,
        }
    }
}

fn print_outcome(replaced: &RebuildOutcome) {
    let RebuildOutcome { head, is_new_generation: another, rows_replaced: rows, locked_for: locked } = replaced;
    let rows = rows.map_or("all rows".to_owned(), |rows| format!("{rows} rows"));
    println!(
        "rebuilt: {} deliveries, {} changes, {} entities; {rows} replaced; nobody could write for {} ms",
        head.last_delivery_row_id,
        head.position,
        head.last_entity_row_id,
        locked.as_millis()
    );
    if *another {
        println!(
            "what was told is another one now: subscribers are told to read the state anew and to go on from the head"
        );
    }
}

// Where the same command finds it again.
fn default_work_dir(settings: &Settings) -> anyhow::Result<PathBuf> {
    Ok(match DatabaseAddress::parse(&settings.database)? {
        DatabaseAddress::Sqlite(path) => PathBuf::from(format!("{path}-rebuild")),
        DatabaseAddress::Postgres(_) => std::env::temp_dir().join("inspection-hub-rebuild"),
    })
}

pub(super) async fn cancel_on_ctrl_c(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}
