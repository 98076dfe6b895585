//! Checkpoints SQLite's write-ahead log (WAL) into the main file, in a thread beside the writer: in the writer, it would be most of
//! the time of a commit.
//!
//! SQLite restarts the log at its beginning only if all of it is checkpointed at the moment of a write. While the writer writes,
//! another connection never gets there. So this thread checkpoints most of the log, and the writer the rest between two batches.
//! When nothing is written, the thread checkpoints all of it and truncates the log.

use crate::store::StoreError;
use crate::store::connect::FileIdentity;
use rusqlite::{Connection, OpenFlags};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Written pages after which a checkpoint is due: 4 MiB.
const CHECKPOINT_AFTER_PAGES: u64 = 1024;
/// Pages that a batch writes, and that each of its deliveries adds, as measured (`docs/benchmarks.md`).
const PAGES_PER_BATCH: u64 = 14;
const PAGES_PER_DELIVERY: u64 = 4;
/// Pages that the writer can checkpoint without a noticeable delay.
const WRITER_CHECKPOINT_PAGES: i64 = 128;
/// The length from which the log is restarted, in pages: 16 MiB.
const WAL_RESTART_PAGES: i64 = 4096;
/// The size to which the file of the log is truncated when the log restarts, in bytes: a long reader may have let it grow.
pub const WAL_SIZE_LIMIT: i64 = WAL_RESTART_PAGES * 4096;
/// When a checkpoint is due although little was written: without any write, and with some.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_CHECKPOINT_DELAY: Duration = Duration::from_secs(5);

/// The thread, and the messages between it and the writer.
#[derive(Debug)]
pub struct Checkpointer {
    /// Estimated numbers of written pages.
    written_pages: Option<SyncSender<u64>>,
    writer_checkpoint_due: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread for an existing database. `synchronous` is the value of SQLite's pragma. Fails if the database
    /// cannot be opened, or no thread can be started.
    pub fn start(path: &str, synchronous: &str, files: FileIdentity) -> Result<Self, StoreError> {
        let connection = connect(path, synchronous)?;
        let (pages, written) = mpsc::sync_channel(64);
        let due = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn({
            let due = due.clone();
            move || run(&connection, &written, &due, &files)
        });
        let thread = thread.map_err(|error| StoreError::task("the thread for checkpoints", error))?;
        Ok(Checkpointer { written_pages: Some(pages), writer_checkpoint_due: due, thread: Some(thread) })
    }

    /// Reports that this many deliveries were committed.
    pub fn record_written(&self, deliveries: usize) {
        if let Some(pages) = &self.written_pages {
            // If the thread is busy, a later report is enough.
            let _ = pages.try_send(PAGES_PER_BATCH + PAGES_PER_DELIVERY * deliveries as u64);
        }
    }

    /// Whether the writer must checkpoint the rest; resets the request.
    pub fn take_writer_checkpoint_due(&self) -> bool {
        self.writer_checkpoint_due.swap(false, Ordering::Relaxed)
    }

    /// Ends the thread after its current checkpoint.
    pub fn stop(&mut self) {
        self.written_pages = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(path: &str, synchronous: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // A truncating checkpoint takes the write lock first, and would block the writer while it waits for readers.
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
    Ok(connection)
}

fn run(connection: &Connection, written: &Receiver<u64>, due: &AtomicBool, files: &FileIdentity) {
    let (mut pages, mut since) = (0, Instant::now());
    let (mut is_empty, mut is_lost) = (false, false);
    loop {
        let idle = match written.recv_timeout(IDLE_TIMEOUT) {
            Ok(more) => {
                pages += more;
                is_empty = false;
                false
            }
            Err(mpsc::RecvTimeoutError::Timeout) => true,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        // Checked here, too, so that it is logged when nothing is written.
        if idle && files.check().is_err() != is_lost {
            is_lost = !is_lost;
            match files.check() {
                Err(error) => {
                    tracing::error!(%error, "the database file was removed or replaced; deliveries are refused")
                }
                Ok(()) => tracing::info!("the database file is available again"),
            }
        }
        if is_lost {
            continue;
        }
        if pages >= CHECKPOINT_AFTER_PAGES || (pages > 0 && (idle || since.elapsed() >= MAX_CHECKPOINT_DELAY)) {
            (pages, since) = (0, Instant::now());
            match checkpoint_until_caught_up(connection) {
                Ok(log) if log > WAL_RESTART_PAGES => due.store(true, Ordering::Relaxed),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "a checkpoint failed; the next one does its work"),
            }
        }
        if idle && !is_empty {
            is_empty = truncate_wal(connection).unwrap_or_default();
        }
    }
}

/// Checkpoints and truncates the log. Returns false at once if a reader or a writer uses it.
fn truncate_wal(connection: &Connection) -> rusqlite::Result<bool> {
    let (_, left) = passive_checkpoint(connection)?;
    Ok(left == 0
        && connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))?)
}

/// Checkpoints repeatedly until little is left of what the writer adds. Returns the length of the log in pages, or 0 if it cannot
/// catch up: a reader with an open transaction holds back the rest.
fn checkpoint_until_caught_up(connection: &Connection) -> rusqlite::Result<i64> {
    let mut before = i64::MAX;
    loop {
        let (log, left) = passive_checkpoint(connection)?;
        if left <= WRITER_CHECKPOINT_PAGES {
            return Ok(log);
        }
        if left >= before {
            return Ok(0);
        }
        before = left;
    }
}

/// Checkpoints what no reader needs in the log. Returns the length of the log in pages, and how many of them are left.
pub fn passive_checkpoint(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (log, done): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok((log, log - done))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_stays_does_not_keep_it_going() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Connection::open(folder.path().join("log.db")).expect("a database");
        let (writer, reader) = (open(), open());
        writer.pragma_update(None, "journal_mode", "WAL").expect("a log");
        writer.pragma_update(None, "wal_autocheckpoint", 0).expect("none");
        writer.execute_batch("CREATE TABLE page (filling BLOB)").expect("a table");
        reader.execute_batch("BEGIN; SELECT count(*) FROM page").expect("a transaction that stays");
        for _ in 0..2 * WRITER_CHECKPOINT_PAGES {
            writer.execute_batch("INSERT INTO page VALUES (zeroblob(4000))").expect("a row");
        }
        assert_eq!(checkpoint_until_caught_up(&open()), Ok(0));
        reader.execute_batch("COMMIT").expect("it ends");
        assert!(checkpoint_until_caught_up(&open()).is_ok_and(|log| log > 2 * WRITER_CHECKPOINT_PAGES));
    }

    #[test]
    fn it_never_waits_for_anybody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.db").display().to_string();
        let writer = Connection::open(&path).expect("a database");
        writer.pragma_update(None, "journal_mode", "WAL").expect("a log");
        writer.execute_batch("CREATE TABLE page (filling BLOB)").expect("a table");
        let connection = connect(&path, "FULL").expect("a connection");
        let wait: i64 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).expect("a number");
        assert_eq!(wait, 0);
        // A reader of what the log holds: it is left as it is.
        let reader = Connection::open(&path).expect("a reader");
        reader.execute_batch("BEGIN; SELECT count(*) FROM page").expect("a transaction that stays");
        writer.execute_batch("INSERT INTO page VALUES (zeroblob(4000))").expect("a row");
        assert!(!truncate_wal(&connection).unwrap_or_default());
        reader.execute_batch("COMMIT").expect("it ends");
        assert!(truncate_wal(&connection).expect("emptied"));
    }

    #[test]
    fn the_log_is_emptied_when_nobody_writes_and_cut_after_a_long_reader() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.db").display().to_string();
        let log = || std::fs::metadata(format!("{path}-wal")).map_or(0, |file| file.len());
        let (writer, reader) = (Connection::open(&path).expect("a database"), Connection::open(&path).expect("again"));
        writer.pragma_update(None, "journal_mode", "WAL").expect("a log");
        writer.pragma_update(None, "wal_autocheckpoint", 0).expect("none");
        writer.execute_batch("CREATE TABLE page (filling BLOB)").expect("a table");
        let mut checkpointer = Checkpointer::start(&path, "FULL", FileIdentity::record(&path)).expect("a thread");
        reader.execute_batch("BEGIN; SELECT count(*) FROM page").expect("a transaction that stays");
        writer.execute_batch("INSERT INTO page VALUES (zeroblob(1000000))").expect("a row");
        checkpointer.record_written(1);
        assert!(log() > 1_000_000);
        reader.execute_batch("COMMIT").expect("it ends");
        let begun = Instant::now();
        while log() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the log has {} bytes", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        checkpointer.stop();
    }
}
