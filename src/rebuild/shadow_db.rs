//! The second database: what the raw log says now, derived beside what is stored. It has no bodies, and no indexes that
//! only lists need. It can be left and taken up again, by the same program for the same database, until the machine is
//! started anew: nothing of it waits for the disk.

use super::raw_log;
use crate::ingest::{PreparedDelivery, Writer};
use crate::store::read::head;
use crate::store::{Database, OpenMode, PoolSettings, StoreError};
use entity::delivery::{Column, Entity};
use entity::{ledger, log_head, purged_ledger};
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QuerySelect};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Deliveries in one transaction. Of pages that are changed again and again, each is written once in it.
const REPLAY_BATCH_SIZE: u64 = 4096;
/// Batches that are read ahead of the writer.
const BATCHES_AHEAD: usize = 2;
/// The indexes that the writer asks. All others are for lists, of which there are none here.
const WRITER_INDEXES: [&str; 4] = ["change_entity_idx", "delivery_dedup_key_idx", "entity_id_key", "entity_parent_idx"];
const DB_FILE: &str = "derived.db";
/// Says what the file beside it was derived from, and by which program. It is written once that file is complete.
const PROVENANCE_FILE: &str = "derived-from";
const LOCK_FILE: &str = "lock";

/// An open second database.
#[derive(Debug)]
pub struct ShadowDb {
    pub db: Database,
    work_dir: PathBuf,
    /// None while it writes, and after it failed.
    writer: Option<Writer>,
    /// The entities whose rows were written since this was last emptied.
    pub touched_entities: BTreeSet<i64>,
    /// Held as long as this is open.
    _lock: File,
}

impl ShadowDb {
    /// Opens the one in a folder, or makes it. One that was made for another database or by another program begins anew.
    ///
    /// # Errors
    /// If it cannot be made, or another process is at it.
    pub async fn open(folder: &Path, of: &str) -> Result<ShadowDb, StoreError> {
        let cannot = |error| StoreError::OpenFailed(format!("the folder {} cannot be used: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(cannot)?;
        let lock = File::create(folder.join(LOCK_FILE)).map_err(cannot)?;
        lock.try_lock().map_err(|error| cannot(io::Error::other(format!("another process works in it ({error})"))))?;
        let mark = format!("{of}\n{}\n{}\n", program_fingerprint(), boot_id());
        let known = fs::read_to_string(folder.join(PROVENANCE_FILE)).is_ok_and(|known| known == mark);
        if !known {
            remove_files(folder).map_err(cannot)?;
        }
        let address = format!("sqlite://{}", db_path(folder));
        let db = Database::open_with(&address, OpenMode::Migrate, PoolSettings::default()).await?;
        if !known {
            for index in indexes(&db).await?.iter().filter(|index| !WRITER_INDEXES.contains(&index.as_str())) {
                db.write_pool.execute_unprepared(&format!("DROP INDEX {index}")).await?;
            }
            fs::write(folder.join(PROVENANCE_FILE), mark).map_err(cannot)?;
        }
        let writer = Some(Writer::for_shadow_db(&db)?);
        Ok(ShadowDb { db, work_dir: folder.to_owned(), writer, touched_entities: BTreeSet::new(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> String {
        db_path(&self.work_dir)
    }

    /// How far it is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn head(&self) -> Result<log_head::Model, StoreError> {
        head(&self.db.read_pool).await
    }

    /// Whether it was derived from this log, as far as its newest delivery tells.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn is_derived_from<C: ConnectionTrait>(&self, log: &C) -> Result<bool, StoreError> {
        let newest = raw_log::newest_delivery(&self.db.read_pool).await?;
        let column = [Column::Source, Column::Vendor];
        let row = || Entity::find_by_id(newest).select_only().columns(column).column(Column::ReceivedAt);
        let theirs: Option<(String, String, i64)> = row().into_tuple().one(log).await?;
        let ours: Option<(String, String, i64)> = row().into_tuple().one(&self.db.read_pool).await?;
        Ok(ours == theirs)
    }

    /// Whether nothing was removed from the log since this was begun: it would not be there any more to be applied.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn is_unaffected_by_purges<C: ConnectionTrait>(&self, log: &C) -> Result<bool, StoreError> {
        let begun = self.head().await?.last_delivery_row_id > 0;
        Ok(!begun || purged_counts(log).await? == purged_counts(&self.db.read_pool).await?)
    }

    // What was counted of deliveries that are not in the log any more: the ledger begins with it.
    async fn seed_purged_counts<C: ConnectionTrait>(&self, log: &C) -> Result<(), StoreError> {
        let db = &self.db.write_pool;
        purged_ledger::Entity::delete_many().exec(db).await?;
        ledger::Entity::delete_many().exec(db).await?;
        for row in purged_counts(log).await? {
            purged_ledger::Entity::insert(row.clone().into_active_model().reset_all())
                .exec_without_returning(db)
                .await?;
            let purged_ledger::Model { source, received, duplicates, applied, skipped_ahead, unexpected, .. } = row;
            let purged_ledger::Model { stale, refused, no_change, unrecognized, unreadable, orphaned, .. } = row;
            let row = ledger::Model {
                source,
                received,
                duplicates,
                applied,
                skipped_ahead,
                unexpected,
                stale,
                refused,
                no_change,
                unrecognized,
                unreadable,
                orphaned,
                received_at: None,
            };
            ledger::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(db).await?;
        }
        Ok(())
    }

    /// Applies the deliveries of a log that it does not have yet, up to a number. Calls `done` with how many, again and
    /// again. One task reads while a thread writes.
    ///
    /// # Errors
    /// If a database fails, a delivery cannot be applied at all, or it is told to stop.
    pub async fn replay<C: ConnectionTrait>(
        &mut self,
        log: &C,
        upto: i64,
        stop: &CancellationToken,
        done: impl Fn(u64) + Send + 'static,
    ) -> Result<(), StoreError> {
        let mut last = self.head().await?.last_delivery_row_id;
        if last == 0 {
            self.seed_purged_counts(log).await?;
        }
        let failed = || StoreError::OpenFailed("the second database failed before".into());
        let mut writer = self.writer.take().ok_or_else(failed)?;
        let (send, mut batches) = mpsc::channel::<Vec<PreparedDelivery>>(BATCHES_AHEAD);
        let writing = tokio::task::spawn_blocking(move || {
            let mut touched = BTreeSet::new();
            while let Some(batch) = batches.blocking_recv() {
                touched.extend(writer.write_batch(&batch)?.entities);
                writer.run_maintenance(batch.len());
                done(batch.len() as u64);
            }
            Ok::<_, StoreError>((writer, touched))
        });
        let read: Result<(), StoreError> = async {
            loop {
                if stop.is_cancelled() {
                    return Err(StoreError::Cancelled);
                }
                let batch = raw_log::deliveries_after(log, last, upto, REPLAY_BATCH_SIZE).await?;
                let Some((newest, _)) = batch.last() else { return Ok(()) };
                last = *newest;
                let batch = batch.into_iter().map(|(_, incoming)| incoming).collect();
                if send.send(batch).await.is_err() {
                    return Ok(());
                }
            }
        }
        .await;
        drop(send);
        let panicked = |error| StoreError::OpenFailed(format!("the writer of the second database ended: {error}"));
        let (writer, touched) = writing.await.map_err(panicked)??;
        self.writer = Some(writer);
        self.touched_entities.extend(touched);
        read
    }

    /// Closes and removes it.
    pub async fn remove(self) {
        let ShadowDb { db, work_dir: folder, writer, .. } = self;
        drop(writer);
        for pool in [db.write_pool, db.read_pool.into()] {
            if let Err(error) = pool.close().await {
                tracing::debug!(%error, "the second database was not closed");
            }
        }
        let removed = remove_files(&folder).and_then(|()| fs::remove_file(folder.join(LOCK_FILE)));
        if let Err(error) = removed {
            tracing::warn!(%error, folder = %folder.display(), "the second database could not be removed");
        }
        // Unless there is something else in it.
        let _ = fs::remove_dir(folder);
    }
}

fn db_path(folder: &Path) -> String {
    folder.join(DB_FILE).display().to_string()
}

/// The names of all indexes that were made by a statement of their own.
async fn indexes(db: &Database) -> Result<Vec<String>, StoreError> {
    let made = Query::select()
        .column("name")
        .from("sqlite_master")
        .and_where(Expr::col("type").eq("index"))
        .and_where(Expr::col("sql").is_not_null())
        .order_by("name", Order::Asc)
        .take();
    Ok(db.write_pool.query_all(&made).await?.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?)
}

async fn purged_counts<C: ConnectionTrait>(db: &C) -> Result<Vec<purged_ledger::Model>, StoreError> {
    let mut rows = purged_ledger::Entity::find().all(db).await?;
    // Databases order names each in their own way.
    rows.sort_unstable_by(|one, other| one.source.cmp(&other.source));
    Ok(rows)
}

// The mark first: what is left without it counts for nothing.
fn remove_files(folder: &Path) -> io::Result<()> {
    for name in [PROVENANCE_FILE, DB_FILE, "derived.db-wal", "derived.db-shm"] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

// Another build may read deliveries otherwise, whatever its version says.
fn program_fingerprint() -> String {
    let file = std::env::current_exe().and_then(fs::metadata);
    let made = file.as_ref().ok().and_then(|file| file.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let size = file.map_or(0, |file| file.len());
    format!("{} {size} {}", env!("CARGO_PKG_VERSION"), made.unwrap_or_default().as_micros())
}

// Which start of the machine this is: what one that failed has left on the disk may be torn. Where that is not told, what
// another process left is never taken up.
fn boot_id() -> String {
    let told = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    told.map_or_else(|_| Uuid::new_v4().to_string(), |boot| boot.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // A new index is one too many here, unless the writer asks it: then it must be named above.
    #[tokio::test(flavor = "multi_thread")]
    async fn it_has_the_indexes_that_the_writer_asks_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = ShadowDb::open(folder.path(), "a test").await.expect("it opens");
        assert_eq!(indexes(&scratch.db).await.expect("its indexes"), WRITER_INDEXES);
        scratch.remove().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_taken_up_again_unless_the_machine_was_started_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let again = async || {
            let scratch = ShadowDb::open(folder.path(), "a test").await.expect("it opens");
            let position = scratch.head().await.expect("its counters").position;
            let write = scratch.db.write_pool.execute_unprepared("UPDATE log_head SET position = 7");
            write.await.expect("a write");
            position
        };
        assert_eq!((again().await, again().await), (0, 7));
        let mark = folder.path().join(PROVENANCE_FILE);
        let text = fs::read_to_string(&mark).expect("a mark");
        fs::write(&mark, text.replace(&boot_id(), "another")).expect("written");
        assert_eq!(again().await, 0);
    }
}
