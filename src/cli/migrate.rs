//! `inspection-hub migrate`: the tables alone, for a deployment that does it apart from the start.

use crate::settings::Flags;
use crate::store::{Database, Mode};
use chrono::Utc;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Migrate {
    /// The database was restored from a backup: begin a new history. Cursors of the old one are refused, also those that
    /// lead to what is written from now on.
    #[arg(long)]
    restored: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Migrate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = super::settings(&self.flags)?;
        super::log(&settings)?;
        super::runtime()?.block_on(async {
            let db = Database::open_with(&settings.database, Mode::Migrate, settings.pools).await?;
            if self.restored {
                db.begin_new_history(Utc::now()).await?;
                println!("{} has a new history: cursors of the old one are refused", db.shown());
            }
            println!("{} is up to date", db.shown());
            Ok(ExitCode::SUCCESS)
        })
    }
}
