//! The options of the commands that replay all deliveries.

use crate::settings::SettingFlags;
use clap::Args;
use rustix::process::nice;
use std::path::PathBuf;

/// The increment of the process' niceness. It is not the largest: a process that holds SQLite's lock must make progress.
const NICE_INCREMENT: i32 = 5;

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

/// Lets other processes run first. Call before threads are started: they inherit the priority.
pub fn lower_priority() {
    if let Err(error) = nice(NICE_INCREMENT) {
        tracing::debug!(%error, "the priority could not be lowered");
    }
}
