//! Whether the files of an open SQLite database are still those at its path. SQLite itself goes on writing into files that
//! were removed, replaced, or unmounted, and what it writes there is lost.

use crate::store::StoreError;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The database, its log, and the log's index.
const SQLITE_FILE_SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The files as they were when they were opened: device and inode of each. Never opened here: closing a file ends the
/// locks that SQLite holds on it (<https://sqlite.org/howtocorrupt.html>, section 2.2).
#[derive(Clone, Debug)]
pub struct FileIdentity {
    path: String,
    files: Vec<(PathBuf, (u64, u64))>,
}

impl FileIdentity {
    /// The files at a path that was just opened, and read from so that there is a log.
    pub fn record(path: &str) -> FileIdentity {
        let paths = SQLITE_FILE_SUFFIXES.iter().map(|ending| PathBuf::from(format!("{path}{ending}")));
        let files = paths.filter_map(|path| identity(&path).map(|identity| (path, identity)));
        FileIdentity { path: path.to_owned(), files: files.collect() }
    }

    /// Looks whether they are still there.
    ///
    /// # Errors
    /// If one of them is not.
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
    fn any_of_the_files_that_goes_or_is_another_is_noticed() {
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
