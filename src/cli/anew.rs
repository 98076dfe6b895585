//! The options of the commands that apply all deliveries anew.

use crate::settings::Flags;
use clap::Args;
use rustix::process::nice;
use std::path::PathBuf;

/// How far below others' the priority is. A process that holds SQLite's lock must get on, too, so it is not the lowest.
const BELOW: i32 = 5;

#[derive(Debug, Args)]
pub struct Anew {
    /// Show so many differences at most
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    pub show: usize,
    /// Where the second database is made, which is about as large as the first without its bodies; `rebuild` keeps it until
    /// it has succeeded, and the same command goes on from there [default: the system's folder for temporary files; for
    /// `rebuild` of a SQLite file the folder FILE-rebuild beside it]
    #[arg(long, value_name = "FOLDER")]
    pub scratch: Option<PathBuf>,
    #[command(flatten)]
    pub flags: Flags,
}

/// Lets others go first where there are not enough processors. To be called before there are threads: they inherit it.
pub fn give_way() {
    if let Err(error) = nice(BELOW) {
        tracing::debug!(%error, "the priority stays as it is");
    }
}
