//! The writing connection of SQLite: statements by key, prepared once, called in the writer's own thread.
//!
//! Not sea-orm: its connection responds from another thread, and with about twenty statements per batch the switches between the
//! threads cost time (`docs/benchmarks.md`).

mod statements;

use super::change_type::{KnownTypes, SplitChanges};
use super::checkpoint::{Checkpointer, WAL_SIZE_LIMIT, passive_checkpoint};
use super::columns::{OriginalRow, TableRow, execute_row};
use super::connection::{BatchRows, BegunTransaction, WriteConnection};
use super::dictionaries;
use super::row_mapping::{entity_from_row, entity_to_row, step_from_row, step_rows};
use super::sql::{SELECT_UNLINKED_CHILDREN, select_steps};
use crate::event::{CachedEntity, FoldedEntity};
use crate::failpoints;
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use crate::store::connect::FileIdentity;
use entity::{idempotency_key, log_head};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, ToSql};
use statements::{SqliteStatements, is_counter, is_updated};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// More than the statements of this connection, so that all stay prepared.
const STATEMENT_CACHE_CAPACITY: usize = 32;

/// The first wait between two attempts to take the lock; later a tenth of the time waited so far.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_micros(100);

/// The page cache during a probe, in KiB as SQLite spells it: so small that the probe's bytes reach the disk before the rollback.
const PROBE_CACHE_SIZE: i64 = -64;

/// The connection, and the thread that checkpoints the write-ahead log.
#[derive(Debug)]
pub struct SqliteWriteConnection {
    checkpointer: Checkpointer,
    connection: Connection,
    sql: SqliteStatements,
    /// Whether the database has the dictionaries of this version, or needs none.
    has_dictionaries: bool,
    known_types: KnownTypes,
    files: FileIdentity,
    /// The page cache, in KiB as SQLite spells it.
    cache_size: i64,
    /// Whether lists are read here: they need the order of updates.
    keeps_update_order: bool,
    /// How long to wait for the lock.
    busy_timeout: Duration,
}

/// What a commit guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk when it returns.
    SyncFull,
    /// It survives the process, but not a failure of the machine: then the database is built again.
    SyncOff,
}

impl SqliteWriteConnection {
    /// Opens an existing database. `wait` is how long a statement waits for another connection's lock. Fails if it cannot
    /// be opened.
    pub fn open(path: &str, wait: Duration, durability: Durability) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(wait)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let (synchronous, cache) = match durability {
            // In KiB, allocated as needed. A larger cache gains nothing, because SQLite walks all of it at many commits.
            Durability::SyncFull => ("FULL", -16_384_i64),
            Durability::SyncOff => ("OFF", -65_536),
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "cache_size", cache)?;
        // The checkpoint thread does that.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
        // The first read creates the log.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.busy_timeout(Duration::ZERO)?;
        let files = FileIdentity::record(path);
        let checkpointer = Checkpointer::start(path, synchronous, files.clone())?;
        Ok(SqliteWriteConnection {
            checkpointer,
            connection,
            sql: SqliteStatements::new(),
            // A shadow database stores no payloads.
            has_dictionaries: durability == Durability::SyncOff,
            known_types: KnownTypes::default(),
            files,
            cache_size: cache,
            keeps_update_order: durability == Durability::SyncFull,
            busy_timeout: wait,
        })
    }

    /// Takes the lock: no other writer until the transaction ends. A rebuild or a purge holds it only for a moment, so the wait
    /// between attempts is short; SQLite's own busy handler would back off too far.
    #[expect(clippy::disallowed_methods, reason = "runs on the writer's thread")]
    fn begin_immediate(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && begun.elapsed() < self.busy_timeout =>
                {
                    std::thread::sleep((begun.elapsed() / 10).max(LOCK_RETRY_INTERVAL));
                }
                locked => return Ok(locked?),
            }
        }
    }

    fn prepared(&self, text: &str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.connection.prepare_cached(text)?)
    }

    /// Adds an entity, or overwrites the columns that have changed.
    fn write_entity(&self, cached: &CachedEntity) -> Result<(), StoreError> {
        let row = entity_to_row(cached)?;
        if !cached.is_stored {
            return execute_row(&mut *self.prepared(&self.sql.insert_entity)?, &row, |_| true);
        }
        let (facts, links) = (cached.facts_changed, cached.links_changed);
        let text = &self.sql.update_entity[usize::from(facts)][usize::from(links)];
        execute_row(&mut *self.prepared(text)?, &row, is_updated(facts, links))
    }

    fn insert_rows<'r, R: TableRow>(
        &self,
        text: &str,
        rows: impl IntoIterator<Item = &'r R>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepared(text)?;
        rows.into_iter().try_for_each(|row| execute_row(&mut statement, row, |_| true))
    }

    fn select_rows<R: TableRow>(&self, text: &str, key: impl ToSql) -> Result<Vec<R>, StoreError> {
        let mut statement = self.prepared(text)?;
        let mut rows = statement.query([key])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(R::read(row)?);
        }
        Ok(found)
    }

    fn select_ids(&self, text: &str, keys: &[i64], limit: usize) -> Result<Vec<Uuid>, StoreError> {
        let mut statement = self.prepared(text)?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let ids = statement.query_map([key], |row| row.get::<_, [u8; 16]>(0))?.take(limit - found.len());
            found.extend(ids.map(|id| id.map(Uuid::from_bytes)).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    fn select_originals(&self, text: &str, keys: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError> {
        let mut originals = HashMap::with_capacity(keys.len());
        for key in keys {
            originals.extend(self.select_rows(text, key)?.into_iter().map(|original| (*key, original)));
        }
        Ok(originals)
    }

    fn write_places(&self, rows: &BatchRows<'_>) -> Result<(), StoreError> {
        let mut insert = self.prepared(&self.sql.insert_place)?;
        for place in rows.entities.iter().flat_map(|cached| cached.new_places()) {
            execute_row(&mut insert, &place, |_| true)?;
        }
        let mut delete = self.prepared(self.sql.delete_place)?;
        rows.obsolete_places.iter().try_for_each(|place| execute_row(&mut delete, place, |_| true))
    }

    fn update_head(&self, head: &log_head::Model) -> Result<(), StoreError> {
        execute_row(&mut *self.prepared(&self.sql.update_head)?, head, is_counter)
    }

    /// Writes this many bytes into the transaction. The cache is small, so most of them reach the log on the disk at once.
    fn write_probe_bytes(&self, bytes: usize) -> Result<(), StoreError> {
        // In a table of its own, which the rollback removes.
        self.connection.execute_batch("CREATE TABLE inspection_hub_probe (filling BLOB)")?;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.connection.execute("INSERT INTO inspection_hub_probe VALUES (zeroblob(?))", [bytes])?;
        Ok(())
    }
}

impl WriteConnection for SqliteWriteConnection {
    fn begin(&mut self, known: Option<&log_head::Model>) -> Result<BegunTransaction, StoreError> {
        self.files.check()?;
        self.begin_immediate()?;
        let mut statement = self.prepared(&self.sql.select_head)?;
        let mut rows = statement.query([])?;
        let row = rows.next()?.ok_or_else(|| StoreError::Corrupt("the table log_head has no row".into()))?;
        let head = log_head::Model::read(row)?;
        if !self.has_dictionaries {
            dictionaries::add_to_sqlite(&self.connection)?;
        }
        Ok(BegunTransaction::from_counters(head, known))
    }

    fn write_rows(&mut self, rows: &BatchRows<'_>) -> Result<(), StoreError> {
        for cached in &rows.entities {
            self.write_entity(cached)?;
            if cached.pending_steps.replace_all {
                self.prepared("DELETE FROM step WHERE entity_row_id = ?")?.execute([cached.entity.row_id])?;
            }
            let steps: Vec<_> = step_rows(cached).collect();
            if !steps.is_empty() {
                self.insert_rows(&self.sql.insert_step, &steps)?;
            }
        }
        if self.keeps_update_order {
            self.write_places(rows)?;
        }
        failpoints::pause_at("entities");
        self.insert_rows(&self.sql.insert_delivery, rows.deliveries)?;
        failpoints::pause_at("deliveries");
        if !rows.commands.is_empty() {
            self.insert_rows(&self.sql.insert_command, rows.commands)?;
            self.insert_rows(&self.sql.insert_idempotency_key, rows.idempotency_keys)?;
            failpoints::pause_at("commands");
        }
        let SplitChanges { rows: changes, new_types } = self.known_types.split(rows.changes);
        self.insert_rows(&self.sql.insert_change_type, &new_types)?;
        self.insert_rows(&self.sql.insert_change, &changes)?;
        failpoints::pause_at("changes");
        self.insert_rows(&self.sql.add_to_ledger, rows.ledger.iter().copied())?;
        failpoints::pause_at("ledger");
        for duplicates in &rows.duplicate_counts {
            let text = "UPDATE delivery SET duplicates = duplicates + ?, last_duplicate_at = ? WHERE row_id = ?";
            self.prepared(text)?.execute([duplicates.count, duplicates.last_at, duplicates.row_id])?;
        }
        failpoints::pause_at("duplicates");
        self.insert_rows(&self.sql.request_handshake, rows.handshakes)?;
        self.update_head(rows.head)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT")?;
        self.has_dictionaries = true;
        self.known_types.commit();
        // A commit into a removed file is lost and must not be acknowledged.
        self.files.check()
    }

    fn rollback(&mut self) {
        self.known_types.rollback();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a rollback failed");
        }
    }

    fn run_maintenance(&mut self, deliveries: usize) {
        self.checkpointer.record_written(deliveries);
        // What the checkpoint thread left of the write-ahead log, so that the log restarts at its beginning.
        if self.checkpointer.take_writer_checkpoint_due()
            && let Err(error) = passive_checkpoint(&self.connection)
        {
            tracing::debug!(%error, "the final checkpoint of the write-ahead log failed");
        }
    }

    fn load_entities(&mut self, ids: &[Uuid]) -> Result<Vec<FoldedEntity>, StoreError> {
        let mut entities = Vec::with_capacity(ids.len());
        for id in ids {
            let rows = self.select_rows(&self.sql.select_entity, id.as_bytes().as_slice())?;
            for row in rows {
                entities.push(entity_from_row(row)?);
            }
        }
        Ok(entities)
    }

    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError> {
        let mut statement = self.prepared(SELECT_UNLINKED_CHILDREN)?;
        let ids = statement.query_map([parent], |row| row.get::<_, [u8; 16]>(0))?;
        Ok(ids.map(|id| id.map(Uuid::from_bytes)).collect::<Result<_, _>>()?)
    }

    fn entity_ids(&mut self, row_ids: &[i64]) -> Result<Vec<Uuid>, StoreError> {
        self.select_ids("SELECT id FROM entity WHERE row_id = ?", row_ids, row_ids.len())
    }

    fn children(&mut self, parents: &[i64], limit: usize) -> Result<Vec<Uuid>, StoreError> {
        self.select_ids("SELECT id FROM entity WHERE parent_row_id = ?", parents, limit)
    }

    fn load_steps(&mut self, machine: &Machine, entity: &FoldedEntity) -> Result<Vec<Step>, StoreError> {
        let rows = self.select_rows(select_steps(entity), entity.row_id)?;
        rows.into_iter().map(|row| step_from_row(row, machine)).collect()
    }

    fn load_seen_keys(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError> {
        let mut statement = self
            .prepared("SELECT dedup_key, position FROM change_row WHERE entity_row_id = ? AND dedup_key IS NOT NULL")?;
        let mut seen = HashMap::with_capacity(entities.len());
        for entity in entities {
            let keys = statement.query_map([entity], |row| Ok((row.get(0)?, row.get(1)?)))?;
            seen.insert(*entity, keys.collect::<Result<_, _>>()?);
        }
        Ok(seen)
    }

    fn originals_by_position(&mut self, positions: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError> {
        self.select_originals(&self.sql.originals_by_position, positions)
    }

    fn originals_by_key(&mut self, dedup_keys: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError> {
        self.select_originals(&self.sql.originals_by_key, dedup_keys)
    }

    fn idempotency_keys(&mut self, digests: &[&str]) -> Result<Vec<idempotency_key::Model>, StoreError> {
        let found = digests.iter().map(|digest| self.select_rows(&self.sql.select_idempotency_key, digest));
        Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        let head = self.begin(None)?.head;
        self.update_head(&head)?;
        if bytes == 0 {
            return self.commit();
        }
        self.connection.pragma_update(None, "cache_size", PROBE_CACHE_SIZE)?;
        let written = self.write_probe_bytes(bytes);
        self.rollback();
        self.connection.pragma_update(None, "cache_size", self.cache_size)?;
        written
    }
}

impl Drop for SqliteWriteConnection {
    // Leaves one file behind, without a write-ahead log. If that fails, the next start does it.
    fn drop(&mut self) {
        self.checkpointer.stop();
        if self.files.check().is_err()
            && let Ok(none) = Connection::open_in_memory()
        {
            // Left open until the process ends: closing the last connection removes the log by its name, and that may be the log
            // of another file by now.
            std::mem::forget(std::mem::replace(&mut self.connection, none));
            return;
        }
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::debug!(%error, "the last checkpoint failed");
        }
    }
}
