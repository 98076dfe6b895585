//! `inspection-hub migrate`: runs the migrations alone, for a deployment that separates them from the start.

use super::outln;
use crate::settings::SettingFlags;
use crate::store::{Database, OpenMode};
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct MigrateCommand {
    /// The database was restored from a backup: begin a new generation, so that cursors of the previous one are refused,
    /// including those of positions that are written from now on.
    #[arg(long)]
    restored: bool,
    #[command(flatten)]
    flags: SettingFlags,
}

impl MigrateCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = super::load_settings(&self.flags)?;
        super::init_logging(&settings)?;
        super::runtime()?.block_on(async {
            let db = Database::open_with(&settings.database, OpenMode::Migrate, settings.pools()).await?;
            if self.restored {
                db.begin_new_generation(crate::clock::now()).await?;
                outln!("{} has a new generation: cursors of the previous one are refused", db.redacted_address());
            }
            outln!("{} is up to date", db.redacted_address());
            Ok(ExitCode::SUCCESS)
        })
    }
}
