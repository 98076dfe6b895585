//! The second database: all rows that the raw log yields now, without bodies, and without the indexes that only lists need.
//! It can be left and resumed, by the same program for the same database, until the machine restarts: nothing in it waits
//! for the disk.

use super::raw_log;
use crate::ingest::{BatchWriter, LogRecord, Writer};
use crate::store::read::head;
use crate::store::{Database, DictionaryCache, OpenMode, PoolSettings, StoreError};
use entity::delivery::{Column, Entity};
use entity::{command, ledger, log_head, purged_ledger};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, Iterable, ModelTrait, QuerySelect, Set,
    Statement,
};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Deliveries in one transaction: a page that changes repeatedly is then written once.
const REPLAY_BATCH_SIZE: u64 = 4096;
/// Batches that are read ahead of the writer.
const BATCHES_AHEAD: usize = 2;
/// The indexes that the writer uses. All others are for lists, which nobody reads here.
const WRITER_INDEXES: [&str; 4] = ["change_entity_idx", "delivery_dedup_key_idx", "entity_id_key", "entity_parent_idx"];
const DB_FILE: &str = "derived.db";
/// What the file beside it was derived from, and by which program. It is written once that file is complete.
const PROVENANCE_FILE: &str = "derived-from";
const LOCK_FILE: &str = "lock";

/// An open second database.
#[derive(Debug)]
pub struct ShadowDb {
    pub db: Database,
    work_dir: PathBuf,
    /// None while it writes, and after a failure.
    writer: Option<Writer>,
    /// The entities whose rows were written since this was last cleared.
    pub touched_entities: BTreeSet<i64>,
    /// Those of the database whose log is replayed.
    dictionaries: DictionaryCache,
    /// Held while this is open.
    _lock: File,
}

impl ShadowDb {
    /// Opens the second database in a folder, or creates it. One of another database or another program is started from
    /// scratch. Fails if the folder cannot be used, or another process uses it.
    pub async fn open(folder: &Path, of: &str) -> Result<ShadowDb, StoreError> {
        let io_error = StoreError::io(folder);
        fs::create_dir_all(folder).map_err(&io_error)?;
        let lock = File::create(folder.join(LOCK_FILE)).map_err(&io_error)?;
        lock.try_lock().map_err(|_| StoreError::Locked(folder.display().to_string()))?;
        let provenance = format!("{of}\n{}\n{}\n", program_fingerprint(), boot_id());
        let is_known = fs::read_to_string(folder.join(PROVENANCE_FILE)).is_ok_and(|known| known == provenance);
        if !is_known {
            remove_files(folder).map_err(&io_error)?;
        }
        let address = format!("sqlite://{}", db_path(folder));
        let db = Database::open_with(&address, OpenMode::Migrate, PoolSettings::default()).await?;
        if !is_known {
            for index in indexes(&db).await?.iter().filter(|index| !WRITER_INDEXES.contains(&index.as_str())) {
                db.write_pool.execute_unprepared(&format!("DROP INDEX {index}")).await?;
            }
            fs::write(folder.join(PROVENANCE_FILE), provenance).map_err(&io_error)?;
        }
        let writer = Some(Writer::for_shadow_db(&db)?);
        let (work_dir, touched_entities) = (folder.to_owned(), BTreeSet::new());
        Ok(ShadowDb { db, work_dir, writer, touched_entities, dictionaries: DictionaryCache::default(), _lock: lock })
    }

    /// The path of its file.
    pub fn path(&self) -> String {
        db_path(&self.work_dir)
    }

    /// Its counters.
    pub async fn head(&self) -> Result<log_head::Model, StoreError> {
        head(&self.db.read_pool).await
    }

    /// Whether it was derived from this log, as far as its newest delivery shows.
    pub async fn is_derived_from<C: ConnectionTrait>(&self, log: &C) -> Result<bool, StoreError> {
        let newest = raw_log::newest_record(&self.db.read_pool).await?;
        Ok(record_identity(&self.db.read_pool, newest).await? == record_identity(log, newest).await?)
    }

    /// Whether no purge has happened since the replay began: purged deliveries could no longer be replayed.
    pub async fn is_unaffected_by_purges<C: ConnectionTrait>(&self, log: &C) -> Result<bool, StoreError> {
        let begun = self.head().await?.last_delivery_row_id > 0;
        Ok(!begun || purged_counts(log).await? == purged_counts(&self.db.read_pool).await?)
    }

    // Begins the ledger with the counts of purged deliveries.
    async fn seed_purged_counts<C: ConnectionTrait>(&self, log: &C) -> Result<(), StoreError> {
        let db = &self.db.write_pool;
        purged_ledger::Entity::delete_many().exec(db).await?;
        ledger::Entity::delete_many().exec(db).await?;
        for row in purged_counts(log).await? {
            let mut counts = ledger::ActiveModel { received_at: Set(None), ..Default::default() };
            for (column, purged) in ledger::Column::iter().zip(purged_ledger::Column::iter()) {
                counts.set(column, row.get(purged));
            }
            purged_ledger::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(db).await?;
            ledger::Entity::insert(counts).exec_without_returning(db).await?;
        }
        Ok(())
    }

    /// Applies the deliveries of a log that it does not have yet, up to a row id. Calls `on_progress` repeatedly with a
    /// number of deliveries. One task reads while a thread writes. Fails if a database fails, a delivery cannot be applied
    /// at all, or the replay is cancelled.
    pub async fn replay<C: ConnectionTrait>(
        &mut self,
        log: &C,
        upto: i64,
        stop: &CancellationToken,
        on_progress: impl Fn(u64) + Send + 'static,
    ) -> Result<(), StoreError> {
        let mut last = self.head().await?.last_delivery_row_id;
        if last == 0 {
            self.seed_purged_counts(log).await?;
        }
        let failed = || StoreError::task("the writer of the second database", "it failed before");
        let mut writer = self.writer.take().ok_or_else(failed)?;
        let (send, mut batches) = mpsc::channel::<(i64, Vec<LogRecord>)>(BATCHES_AHEAD);
        let writing = tokio::task::spawn_blocking(move || {
            let mut touched = BTreeSet::new();
            while let Some((newest, batch)) = batches.blocking_recv() {
                let written = writer.write_batch(&batch)?;
                if written.head.last_delivery_row_id != newest {
                    let number = written.head.last_delivery_row_id;
                    return Err(StoreError::Corrupt(format!("record {newest} of the raw log got the number {number}")));
                }
                touched.extend(written.entities);
                writer.run_maintenance(batch.len());
                on_progress(batch.len() as u64);
            }
            Ok::<_, StoreError>((writer, touched))
        });
        let read: Result<(), StoreError> = async {
            loop {
                if stop.is_cancelled() {
                    return Err(StoreError::Cancelled);
                }
                let batch = raw_log::records_after(log, &self.dictionaries, last, upto, REPLAY_BATCH_SIZE).await?;
                let Some((newest, _)) = batch.last() else { return Ok(()) };
                last = *newest;
                let batch = batch.into_iter().map(|(_, incoming)| incoming).collect();
                if send.send((last, batch)).await.is_err() {
                    return Ok(());
                }
            }
        }
        .await;
        drop(send);
        let panicked = |error| StoreError::task("the writer of the second database", error);
        let (writer, touched) = writing.await.map_err(panicked)??;
        self.writer = Some(writer);
        self.touched_entities.extend(touched);
        read
    }

    /// Closes and removes it.
    pub async fn remove(self) {
        let ShadowDb { db, work_dir: folder, writer, .. } = self;
        drop(writer);
        for closed in [db.write_pool.close().await, db.read_pool.close().await] {
            if let Err(error) = closed {
                tracing::debug!(%error, "the second database was not closed");
            }
        }
        let removed = remove_files(&folder).and_then(|()| fs::remove_file(folder.join(LOCK_FILE)));
        if let Err(error) = removed {
            tracing::warn!(%error, folder = %folder.display(), "the second database could not be removed");
        }
        // Fails if it has other files, which stay.
        let _ = fs::remove_dir(folder);
    }
}

/// What identifies a record: source, vendor and receipt time; none if there is no such record.
async fn record_identity(db: &impl ConnectionTrait, row_id: i64) -> Result<Option<(String, String, i64)>, StoreError> {
    let columns = [Column::Source, Column::Vendor, Column::ReceivedAt];
    let delivery = Entity::find_by_id(row_id).select_only().columns(columns).into_tuple().one(db).await?;
    if delivery.is_some() {
        return Ok(delivery);
    }
    let columns = [command::Column::Source, command::Column::Vendor, command::Column::ReceivedAt];
    Ok(command::Entity::find_by_id(row_id).select_only().columns(columns).into_tuple().one(db).await?)
}

fn db_path(folder: &Path) -> String {
    folder.join(DB_FILE).display().to_string()
}

/// The names of all indexes that a statement of their own created.
async fn indexes(db: &Database) -> Result<Vec<String>, StoreError> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
    let names = db.write_pool.query_all_raw(Statement::from_string(DbBackend::Sqlite, names)).await?;
    Ok(names.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?)
}

async fn purged_counts<C: ConnectionTrait>(db: &C) -> Result<Vec<purged_ledger::Model>, StoreError> {
    let mut rows = purged_ledger::Entity::find().all(db).await?;
    // Each database has its own collation.
    rows.sort_unstable_by(|one, other| one.source.cmp(&other.source));
    Ok(rows)
}

// The provenance first: without it, the other files are ignored.
fn remove_files(folder: &Path) -> io::Result<()> {
    for name in [PROVENANCE_FILE, DB_FILE, "derived.db-wal", "derived.db-shm"] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

// Another build may read deliveries differently, even with the same version.
fn program_fingerprint() -> String {
    let file = std::env::current_exe().and_then(fs::metadata);
    let made = file.as_ref().ok().and_then(|file| file.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let size = file.map_or(0, |file| file.len());
    format!("{} {size} {}", env!("CARGO_PKG_VERSION"), made.unwrap_or_default().as_micros())
}

// Identifies the start of the machine: after a crash, files may be torn. Without it, another process' files are never
// reused.
fn boot_id() -> String {
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| Uuid::new_v4().to_string(), |boot| boot.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // A new index fails this test, unless the writer uses it: then it must be listed above.
    #[tokio::test(flavor = "multi_thread")]
    async fn it_has_the_indexes_of_the_writer_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let shadow = ShadowDb::open(folder.path(), "a test").await.expect("it opens");
        assert_eq!(indexes(&shadow.db).await.expect("its indexes"), WRITER_INDEXES);
        shadow.remove().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_resumed_unless_the_machine_was_restarted() {
        let folder = tempfile::tempdir().expect("a folder");
        let reopen = async || {
            let shadow = ShadowDb::open(folder.path(), "a test").await.expect("it opens");
            let position = shadow.head().await.expect("its counters").position;
            let write = shadow.db.write_pool.execute_unprepared("UPDATE log_head SET position = 7");
            write.await.expect("a write");
            position
        };
        assert_eq!((reopen().await, reopen().await), (0, 7));
        let provenance = folder.path().join(PROVENANCE_FILE);
        let text = fs::read_to_string(&provenance).expect("the file");
        fs::write(&provenance, text.replace(&boot_id(), "another")).expect("written");
        assert_eq!(reopen().await, 0);
    }
}
