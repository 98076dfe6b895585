//! `inspection-hub rebuild`: replaces what is stored by what the raw log yields.

use super::differences;
use super::outln;
use crate::progress_reporter::ProgressReporter;
use crate::rebuild::{Differences, Rebuild as Rebuilding, RebuildOutcome};
use crate::settings::{SettingFlags, Settings};
use crate::store::{DatabaseAddress, StoreError};
use clap::Args;
use rustix::process::nice;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// The increment of the process' niceness. It is not the largest: a process that holds SQLite's lock must make progress.
const NICE_INCREMENT: i32 = 5;

// The options of the commands that replay all deliveries.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The most differences to print
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    pub max_differences: usize,
    /// The folder of the second database, which is about as large as the first without its bodies. `rebuild` keeps it until
    /// it has succeeded, and the same command resumes with it [default: the system's folder for temporary files; for
    /// `rebuild` of a SQLite file the folder FILE-rebuild beside it]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    #[command(flatten)]
    pub flags: SettingFlags,
}

#[derive(Debug, Args)]
pub struct RebuildCommand {
    /// Load all rows into new tables, even if few of them differ, or none
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    replay: ReplayArgs,
}

impl RebuildCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        lower_priority();
        // No log: its lines would break the progress bar.
        let (settings, _) = super::load_settings(&self.replay.flags)?;
        let folder = match &self.replay.work_dir {
            Some(folder) => folder.clone(),
            None => default_work_dir(&settings)?,
        };
        let folder_note = format!("the same command resumes with the second database in {}", folder.display());
        super::runtime()?.block_on(async {
            let stop = CancellationToken::new();
            tokio::spawn(cancel_on_ctrl_c(stop.clone()));
            match self.rebuild(&settings, &folder, stop).await {
                Err(error) if matches!(error.downcast_ref(), Some(StoreError::Cancelled)) => {
                    anyhow::bail!("cancelled, and nothing was changed; {folder_note}")
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
        let db = super::open_database(settings, "read").await?;
        let shown = db.redacted_address();
        let mut rebuild = Rebuilding::open(db, folder, stop).await?;
        let (all, before) = rebuild.progress().await?;
        match before {
            0 => outln!("{shown}: {all} records of the raw log"),
            _ => outln!("{shown}: {all} records of the raw log; resuming after {before}"),
        }
        let progress = ProgressReporter::new("replayed", Some((all - before).unsigned_abs()));
        let found = progress.report_while(rebuild.replay_and_diff(progress.counter())).await?;
        if found.total == 0 {
            outln!("all {} rows are what the raw log yields", found.rows_compared);
            if !self.full {
                outln!("nothing was changed (--full)");
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
            None => rebuild.row_count().await?,
        };
        let progress = ProgressReporter::new("rows replaced", Some(rows));
        match few {
            Some(_) => progress.report_while(rebuild.replace(found, progress.counter())).await,
            None => progress.report_while(rebuild.replace_all(found, progress.counter())).await,
        }
    }
}

fn print_outcome(replaced: &RebuildOutcome) {
    let RebuildOutcome { head, is_new_generation, rows_replaced, locked_for } = replaced;
    let rows = rows_replaced.map_or("all rows".to_owned(), |rows| format!("{rows} rows"));
    outln!(
        "rebuilt: {} records of the raw log, {} changes, {} entities; {rows} replaced; writers were blocked for {} ms",
        head.last_delivery_row_id,
        head.position,
        head.last_entity_row_id,
        locked_for.as_millis()
    );
    if *is_new_generation {
        outln!("a new generation: cursors are invalid, and subscribers must read the state again");
    }
}

// The same for each run, so that the command can resume.
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

/// Lets other processes run first. Call before threads are started: they inherit the priority.
pub fn lower_priority() {
    if let Err(error) = nice(NICE_INCREMENT) {
        tracing::debug!(%error, "the priority could not be lowered");
    }
}
