//! `inspection-hub migrate`: the tables alone, for a deployment that does it apart from the start.

use crate::settings::Flags;
use crate::store::{Database, Mode};
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    flags: Flags,
}

impl Migrate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = super::settings(&self.flags)?;
        super::log(&settings)?;
        super::runtime()?.block_on(async {
            let db = Database::open_with(&settings.database, Mode::Migrate, settings.pools).await?;
            println!("{} is up to date", db.shown());
            Ok(ExitCode::SUCCESS)
        })
    }
}
