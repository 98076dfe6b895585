//! `inspection-hub rebuild`: puts what the raw log says in place of what is stored.

use super::anew::{Anew, give_way};
use super::differences;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::store::{Database, Differences, Mode, Place, Rebuild as Rebuilding, Replaced, StoreError};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct Rebuild {
    /// Load all rows into fresh tables, even if few of them differ, or none
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    anew: Anew,
}

impl Rebuild {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        give_way();
        // No log: it would stand between the lines of progress.
        let (settings, _) = super::settings(&self.anew.flags)?;
        let folder = match &self.anew.scratch {
            Some(folder) => folder.clone(),
            None => beside(&settings)?,
        };
        let kept = format!("the second database is kept: the same command goes on from there ({})", folder.display());
        super::runtime()?.block_on(async {
            let stop = CancellationToken::new();
            tokio::spawn(ended(stop.clone()));
            match self.rebuild(&settings, &folder, stop).await {
                Err(error) if matches!(error.downcast_ref(), Some(StoreError::Stopped)) => {
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
        let opened = Database::open_with(&settings.database, Mode::AsItIs, settings.pools).await;
        let db = opened.with_context(|| format!("cannot read {}", super::shown(settings)))?;
        let shown = db.shown();
        let mut rebuild = Rebuilding::open(db, folder, stop).await?;
        let (all, before) = rebuild.progress().await?;
        match before {
            0 => println!("{shown}: {all} deliveries"),
            _ => println!("{shown}: {all} deliveries; going on after number {before}"),
        }
        let progress = Progress::new("applied anew", Some((all - before).unsigned_abs()));
        let counted = progress.clone();
        let found = progress.during(rebuild.derive(move |more| counted.steps(more))).await?;
        if found.all == 0 {
            println!("all {} rows are what the deliveries say", found.rows);
            if !self.force {
                println!("nothing was changed (--force)");
                rebuild.finish().await;
                return Ok(ExitCode::SUCCESS);
            }
        } else {
            differences::tell(&found, self.anew.show);
        }
        let replaced = self.replace(&mut rebuild, &found).await?;
        rebuild.finish().await;
        tell(&replaced);
        Ok(ExitCode::SUCCESS)
    }

    async fn replace(&self, rebuild: &mut Rebuilding, found: &Differences) -> Result<Replaced, StoreError> {
        let few = found.few().filter(|_| !self.force);
        let rows = match few {
            Some(few) => few as u64,
            None => rebuild.rows().await?,
        };
        let progress = Progress::new("rows replaced", Some(rows));
        let counted = progress.clone();
        let done = move |more| counted.steps(more);
        match few {
            Some(_) => progress.during(rebuild.replace(found, done)).await,
            None => progress.during(rebuild.replace_all(found, done)).await,
        }
    }
}

fn tell(replaced: &Replaced) {
    let Replaced { head, another, rows, locked } = replaced;
    let rows = rows.map_or("all rows".to_owned(), |rows| format!("{rows} rows"));
    println!(
        "rebuilt: {} deliveries, {} changes, {} entities; {rows} replaced; nobody could write for {} ms",
        head.delivery,
        head.position,
        head.entity,
        locked.as_millis()
    );
    if *another {
        println!(
            "what was told is another one now: subscribers are told to read the state anew and to go on from the head"
        );
    }
}

// Where the same command finds it again.
fn beside(settings: &Settings) -> anyhow::Result<PathBuf> {
    Ok(match Place::of(&settings.database)? {
        Place::File(path) => PathBuf::from(format!("{path}-rebuild")),
        Place::Server(_) => std::env::temp_dir().join("inspection-hub-rebuild"),
    })
}

pub(super) async fn ended(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}
