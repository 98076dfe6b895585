//! `inspection-hub verify`: whether what is stored is what the raw log says.

use super::anew::{Anew, give_way};
use super::differences;
use crate::progress::Progress;
use crate::store::{Database, Mode, Scratch, Stored};
use anyhow::Context;
use clap::Args;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// The exit status when there are differences, so that a script can tell them from a failure.
const DIFFERENT: u8 = 2;

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    anew: Anew,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        give_way();
        // No log: the second database is nobody's concern.
        let (settings, _) = super::settings(&self.anew.flags)?;
        let scratch = match &self.anew.scratch {
            Some(folder) => std::fs::create_dir_all(folder).and_then(|()| tempfile::tempdir_in(folder)),
            None => tempfile::tempdir(),
        };
        let scratch = scratch.context("no folder for the second database can be made")?;
        let differences = super::runtime()?.block_on(async {
            let cannot_read = || format!("cannot read {}", super::shown(&settings));
            let opened = Database::open_with(&settings.database, Mode::AsItIs, settings.pools).await;
            let db = opened.with_context(cannot_read)?;
            let stored = Stored::now(&db).await.with_context(cannot_read)?;
            println!("{}: {} deliveries, {} changes", db.shown(), stored.deliveries, stored.position);
            let mut derived = Scratch::open(scratch.path(), &db.shown()).await?;
            let progress = Progress::new("checked", Some(stored.deliveries.unsigned_abs()));
            let counted = progress.clone();
            let compared = async {
                stored.derive(&mut derived, &CancellationToken::new(), move |more| counted.steps(more)).await?;
                stored.compare(&Stored::now(&derived.db).await?).await
            };
            let differences = progress.during(compared).await?;
            derived.remove().await;
            anyhow::Ok(differences)
        })?;
        if differences.all == 0 {
            println!("all {} rows are what the deliveries say", differences.rows);
            return Ok(ExitCode::SUCCESS);
        }
        differences::tell(&differences, self.anew.show);
        Ok(ExitCode::from(DIFFERENT))
    }
}
