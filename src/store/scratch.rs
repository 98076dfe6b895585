//! The second database: what the raw log says now, derived beside what is stored. It has no bodies, and no indexes that
//! only lists need. It can be left and taken up again, by the same program for the same database, until the machine is
//! started anew: nothing of it waits for the disk.

use super::read::head;
use super::{Database, Mode, Pools, StoreError, Writer, raw};
use entity::delivery::{Column, Entity};
use entity::{forgotten, ledger, log_head};
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
const BATCH: u64 = 4096;
/// Batches that are read ahead of the writer.
const AHEAD: usize = 2;
/// The indexes that the writer asks. All others are for lists, of which there are none here.
const ASKED: [&str; 4] = ["change_of_entity", "delivery_about_nothing", "entity_id", "entity_of_parent"];
const FILE: &str = "derived.db";
/// Says what the file beside it was derived from, and by which program. It is written once that file is complete.
const MARK: &str = "derived-from";
const LOCK: &str = "lock";

/// An open second database.
#[derive(Debug)]
pub struct Scratch {
    pub db: Database,
    folder: PathBuf,
    /// None while it writes, and after it failed.
    writer: Option<Writer>,
    /// The entities whose rows were written since this was last emptied.
    pub touched: BTreeSet<i64>,
    /// Held as long as this is open.
    _lock: File,
}

impl Scratch {
    /// Opens the one in a folder, or makes it. One that was made for another database or by another program begins anew.
    ///
    /// # Errors
    /// If it cannot be made, or another process is at it.
    pub async fn open(folder: &Path, of: &str) -> Result<Scratch, StoreError> {
        let cannot = |error| StoreError::Address(format!("the folder {} cannot be used: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(cannot)?;
        let lock = File::create(folder.join(LOCK)).map_err(cannot)?;
        lock.try_lock().map_err(|error| cannot(io::Error::other(format!("another process works in it ({error})"))))?;
        let mark = format!("{of}\n{}\n{}\n", program(), boot());
        let known = fs::read_to_string(folder.join(MARK)).is_ok_and(|known| known == mark);
        if !known {
            remove_files(folder).map_err(cannot)?;
        }
        let address = format!("sqlite://{}", file(folder));
        let db = Database::open_with(&address, Mode::Migrate, Pools::default()).await?;
        if !known {
            for index in indexes(&db).await?.iter().filter(|index| !ASKED.contains(&index.as_str())) {
                db.writer.execute_unprepared(&format!("DROP INDEX {index}")).await?;
            }
            fs::write(folder.join(MARK), mark).map_err(cannot)?;
        }
        let writer = Some(Writer::scratch(&db)?);
        Ok(Scratch { db, folder: folder.to_owned(), writer, touched: BTreeSet::new(), _lock: lock })
    }

    /// Where it is.
    pub fn file(&self) -> String {
        file(&self.folder)
    }

    /// How far it is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn head(&self) -> Result<log_head::Model, StoreError> {
        head(&self.db.readers).await
    }

    /// Whether it was derived from this log, as far as its newest delivery tells.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn is_of<C: ConnectionTrait>(&self, log: &C) -> Result<bool, StoreError> {
        let newest = raw::newest(&self.db.readers).await?;
        let column = [Column::Source, Column::Vendor];
        let row = || Entity::find_by_id(newest).select_only().columns(column).column(Column::ReceivedAt);
        let theirs: Option<(String, String, i64)> = row().into_tuple().one(log).await?;
        let ours: Option<(String, String, i64)> = row().into_tuple().one(&self.db.readers).await?;
        Ok(ours == theirs)
    }

    /// Whether nothing was removed from the log since this was begun: it would not be there any more to be applied.
    ///
    /// # Errors
    /// If a database does not answer.
    pub async fn has_all_forgotten<C: ConnectionTrait>(&self, log: &C) -> Result<bool, StoreError> {
        let begun = self.head().await?.delivery > 0;
        Ok(!begun || forgotten(log).await? == forgotten(&self.db.readers).await?)
    }

    // What was counted of deliveries that are not in the log any more: the ledger begins with it.
    async fn count_forgotten<C: ConnectionTrait>(&self, log: &C) -> Result<(), StoreError> {
        let db = &self.db.writer;
        forgotten::Entity::delete_many().exec(db).await?;
        ledger::Entity::delete_many().exec(db).await?;
        for row in forgotten(log).await? {
            forgotten::Entity::insert(row.clone().into_active_model().reset_all()).exec_without_returning(db).await?;
            let forgotten::Model { source, received, duplicates, applied, skipped_ahead, unexpected, .. } = row;
            let forgotten::Model { stale, refused, no_change, unrecognized, unreadable, orphaned, .. } = row;
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
    pub async fn derive<C: ConnectionTrait>(
        &mut self,
        log: &C,
        upto: i64,
        stop: &CancellationToken,
        done: impl Fn(u64) + Send + 'static,
    ) -> Result<(), StoreError> {
        let mut last = self.head().await?.delivery;
        if last == 0 {
            self.count_forgotten(log).await?;
        }
        let failed = || StoreError::Address("the second database failed before".into());
        let mut writer = self.writer.take().ok_or_else(failed)?;
        let (send, mut batches) = mpsc::channel::<Vec<super::Incoming>>(AHEAD);
        let writing = tokio::task::spawn_blocking(move || {
            let mut touched = BTreeSet::new();
            while let Some(batch) = batches.blocking_recv() {
                touched.extend(writer.write(&batch)?.entities);
                writer.rest(batch.len());
                done(batch.len() as u64);
            }
            Ok::<_, StoreError>((writer, touched))
        });
        let read: Result<(), StoreError> = async {
            loop {
                if stop.is_cancelled() {
                    return Err(StoreError::Stopped);
                }
                let batch = raw::after(log, last, upto, BATCH).await?;
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
        let panicked = |error| StoreError::Address(format!("the writer of the second database ended: {error}"));
        let (writer, touched) = writing.await.map_err(panicked)??;
        self.writer = Some(writer);
        self.touched.extend(touched);
        read
    }

    /// Closes and removes it.
    pub async fn remove(self) {
        let Scratch { db, folder, writer, .. } = self;
        drop(writer);
        for pool in [db.writer, db.readers.into()] {
            if let Err(error) = pool.close().await {
                tracing::debug!(%error, "the second database was not closed");
            }
        }
        let removed = remove_files(&folder).and_then(|()| fs::remove_file(folder.join(LOCK)));
        if let Err(error) = removed {
            tracing::warn!(%error, folder = %folder.display(), "the second database could not be removed");
        }
        // Unless there is something else in it.
        let _ = fs::remove_dir(folder);
    }
}

fn file(folder: &Path) -> String {
    folder.join(FILE).display().to_string()
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
    Ok(db.writer.query_all(&made).await?.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?)
}

async fn forgotten<C: ConnectionTrait>(db: &C) -> Result<Vec<forgotten::Model>, StoreError> {
    let mut rows = forgotten::Entity::find().all(db).await?;
    // Databases order names each in their own way.
    rows.sort_unstable_by(|one, other| one.source.cmp(&other.source));
    Ok(rows)
}

// The mark first: what is left without it counts for nothing.
fn remove_files(folder: &Path) -> io::Result<()> {
    for name in [MARK, FILE, "derived.db-wal", "derived.db-shm"] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

// Another build may read deliveries otherwise, whatever its version says.
fn program() -> String {
    let file = std::env::current_exe().and_then(fs::metadata);
    let made = file.as_ref().ok().and_then(|file| file.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let size = file.map_or(0, |file| file.len());
    format!("{} {size} {}", env!("CARGO_PKG_VERSION"), made.unwrap_or_default().as_micros())
}

// Which start of the machine this is: what one that failed has left on the disk may be torn. Where that is not told, what
// another process left is never taken up.
fn boot() -> String {
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
        let scratch = Scratch::open(folder.path(), "a test").await.expect("it opens");
        assert_eq!(indexes(&scratch.db).await.expect("its indexes"), ASKED);
        scratch.remove().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_taken_up_again_unless_the_machine_was_started_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let again = async || {
            let scratch = Scratch::open(folder.path(), "a test").await.expect("it opens");
            let position = scratch.head().await.expect("its counters").position;
            let write = scratch.db.writer.execute_unprepared("UPDATE log_head SET position = 7");
            write.await.expect("a write");
            position
        };
        assert_eq!((again().await, again().await), (0, 7));
        let mark = folder.path().join(MARK);
        let text = fs::read_to_string(&mark).expect("a mark");
        fs::write(&mark, text.replace(&boot(), "another")).expect("written");
        assert_eq!(again().await, 0);
    }
}
