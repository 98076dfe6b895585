//! The options of the commands that apply all deliveries anew.

use crate::settings::Flags;
use clap::Args;
use std::path::PathBuf;

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
