//! Whether the files at the path of an open SQLite database are still the open ones. SQLite keeps writing to files that were
//! removed, replaced or unmounted, and those writes are lost.

use crate::store::StoreError;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The database, its write-ahead log, and the log's index.
const SQLITE_FILE_SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Device and inode of each file when it was opened. The files are never opened here: closing a file would end SQLite's
/// locks on it (<https://sqlite.org/howtocorrupt.html>, section 2.2).
#[derive(Clone, Debug)]
pub struct FileIdentity {
    path: String,
    files: Vec<(PathBuf, (u64, u64))>,
}

impl FileIdentity {
    /// Records the files of a database that was just read, so that its log exists.
    pub fn record(path: &str) -> FileIdentity {
        let paths = SQLITE_FILE_SUFFIXES.iter().map(|ending| PathBuf::from(format!("{path}{ending}")));
        let files = paths.filter_map(|path| identity(&path).map(|identity| (path, identity)));
        FileIdentity { path: path.to_owned(), files: files.collect() }
    }

    /// Fails if a file is no longer the recorded one.
    pub fn check(&self) -> Result<(), StoreError> {
        let gone = self.files.iter().find(|(path, open)| identity(path) != Some(*open));
        gone.map_or(Ok(()), |(path, _)| {
            Err(StoreError::FileReplaced { database: self.path.clone(), file: path.display().to_string() })
        })
    }
}

fn identity(path: &PathBuf) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_or_replaced_file_is_detected() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |ending: &str| folder.path().join(format!("hub.db{ending}"));
        let database = path("").display().to_string();
        for ending in SQLITE_FILE_SUFFIXES {
            for other in SQLITE_FILE_SUFFIXES {
                fs::write(path(other), "").expect("a file");
            }
            let open = FileIdentity::record(&database);
            assert!(open.check().is_ok());
            fs::rename(path(ending), path("-moved")).expect("moved");
            assert!(open.check().is_err(), "{ending} is not there");
            fs::copy(path("-moved"), path(ending)).expect("copied");
            assert!(open.check().is_err(), "{ending} is another");
            fs::rename(path("-moved"), path(ending)).expect("moved back");
            assert!(open.check().is_ok());
        }
    }
}
