//! The options of the commands that apply all deliveries anew.

use crate::settings::SettingFlags;
use clap::Args;
use rustix::process::nice;
use std::path::PathBuf;

/// How far below others' the priority is. A process that holds SQLite's lock must get on, too, so it is not the lowest.
const NICE_INCREMENT: i32 = 5;

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Show so many differences at most
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    pub max_differences: usize,
    /// Where the second database is made, which is about as large as the first without its bodies; `rebuild` keeps it until
    /// it has succeeded, and the same command goes on from there [default: the system's folder for temporary files; for
    /// `rebuild` of a SQLite file the folder FILE-rebuild beside it]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    #[command(flatten)]
    pub flags: SettingFlags,
}

/// Lets others go first where there are not enough processors. To be called before there are threads: they inherit it.
pub fn lower_priority() {
    if let Err(error) = nice(NICE_INCREMENT) {
        tracing::debug!(%error, "the priority stays as it is");
    }
}
