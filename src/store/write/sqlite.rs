//! The writing connection of SQLite: plain statements by key, prepared once, called in the writer's own thread.
//!
//! Not sea-orm: its connection answers from another thread, and with some twenty statements per batch the hand-overs
//! between the threads count (`docs/benchmarks.md`).

use super::checkpoint::{Checkpointer, WAL_SIZE_LIMIT, passive_checkpoint};
use super::connection::{BatchRows, BegunTransaction, OriginalDelivery, WriteConnection};
use super::row_mapping::{StepRow, entity_from_row, fold_state_json, step_from_row};
use crate::event::{CachedEntity, FoldedEntity, MaterializedStep};
use crate::failpoints;
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use crate::store::connect::FileIdentity;
use entity::{Kind, Status, change, delivery, ledger, log_head};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Statements kept prepared: all that stand in this file.
const STATEMENT_CACHE_CAPACITY: usize = 32;

/// The wait between two tries to take the lock; longer, a tenth of what was waited already.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_micros(100);

/// The page cache, in KiB as SQLite writes it: how much it is while room is looked for, so that what is written reaches
/// the disk before the transaction is taken back.
const PROBE_CACHE_SIZE: i64 = -64;

/// The connection, and the thread that looks after the log.
#[derive(Debug)]
pub struct SqliteWriteConnection {
    checkpointer: Checkpointer,
    connection: Connection,
    files: FileIdentity,
    /// Its page cache, in KiB as SQLite writes it.
    cache_size: i64,
    /// How long the lock is waited for.
    busy_timeout: Duration,
}

/// What a commit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk: somebody is told so.
    SyncFull,
    /// It outlives the process, and nothing waits for the disk: after the machine has failed it must be made anew.
    SyncOff,
}

impl SqliteWriteConnection {
    /// Opens a database that exists, with how long a statement waits for another connection's lock.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &str, wait: Duration, durability: Durability) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(wait)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let (synchronous, cache) = match durability {
            // In KiB. Filled only as far as it is needed. SQLite walks all of it at the end of many a commit, so that a
            // larger one gains nothing.
            Durability::SyncFull => ("FULL", -16_384_i64),
            Durability::SyncOff => ("OFF", -65_536),
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "cache_size", cache)?;
        // Somebody else does that.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
        // From the first look into the tables on, there is a log.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.busy_timeout(Duration::ZERO)?;
        let files = FileIdentity::record(path);
        let checkpointer = Checkpointer::start(path, synchronous, files.clone())?;
        Ok(SqliteWriteConnection { checkpointer, connection, files, cache_size: cache, busy_timeout: wait })
    }

    /// Takes the lock: nobody else writes until the transaction ends. Who has it (a rebuild, forgetting) has it for a moment
    /// only. SQLite itself would wait longer and longer, as if that were no use.
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

    /// Brings the little that is left of the write-ahead log into the main file, so that the log begins anew.
    fn finish_checkpoint(&self) {
        if let Err(error) = passive_checkpoint(&self.connection) {
            tracing::debug!(%error, "the rest of the log could not be brought into the database");
        }
    }

    fn prepared(&self, text: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.connection.prepare_cached(text)?)
    }

    /// The entity with this id, if it is stored.
    fn load_entity(&self, id: Uuid) -> Result<Option<FoldedEntity>, StoreError> {
        let mut statement = self.prepared(
            "SELECT row_id, id, kind, subkind, source, vendor, external_id, parent_row_id, inspection_row_id, reference, group_key, \
             state, status, cycle, facts, details, field_versions, fold_state, created_at, updated_at, occurred_at, position, steps_materialized \
             FROM entity WHERE id = ?",
        )?;
        let mut rows = statement.query([id.as_bytes().as_slice()])?;
        rows.next()?.map(|row| entity_from_row(entity_row(row)?)).transpose()
    }

    /// Adds deliveries, with their bodies.
    fn insert_deliveries(&self, rows: &[delivery::Model]) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO delivery (row_id, source, vendor, received_at, method, headers, body, dedup_key, event, \
             occurred_at, verdict, reason, first_position, change_count, duplicates, last_duplicate_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for row in rows {
            statement.execute(params![
                row.row_id,
                row.source,
                row.vendor,
                row.received_at,
                row.method,
                row.headers,
                row.body,
                row.dedup_key,
                row.event,
                row.occurred_at,
                row.verdict.as_str(),
                row.reason,
                row.first_position,
                row.change_count,
                row.duplicates,
                row.last_duplicate_at,
            ])?;
        }
        Ok(())
    }

    /// Counts repetitions of a delivery.
    fn add_duplicates(&self, number: i64, count: i64, at: i64) -> Result<(), StoreError> {
        let mut statement =
            self.prepared("UPDATE delivery SET duplicates = duplicates + ?, last_duplicate_at = ? WHERE row_id = ?")?;
        statement.execute([count, at, number])?;
        Ok(())
    }

    /// Adds history.
    fn insert_changes(&self, rows: &[change::Model]) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO change (position, kind, entity_row_id, inspection_row_id, delivery_row_id, source, vendor, event, verdict, reason, \
             from_state, to_state, from_status, to_status, cycle, occurred_at, received_at, dedup_key, target_state, at_least, \
             order_cycle, order_rank, previous_step) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for row in rows {
            statement.execute(params![
                row.position,
                row.kind.as_str(),
                row.entity_row_id,
                row.inspection_row_id,
                row.delivery_row_id,
                row.source,
                row.vendor,
                row.event,
                row.verdict.as_str(),
                row.reason,
                row.from_state,
                row.to_state,
                row.from_status.map(Status::as_str),
                row.to_status.map(Status::as_str),
                row.cycle,
                row.occurred_at,
                row.received_at,
                row.dedup_key,
                row.target_state,
                row.at_least,
                row.order_cycle,
                row.order_rank,
                row.previous_step,
            ])?;
        }
        Ok(())
    }

    /// Writes an entity as it is now: adds it, or overwrites what has changed. What is not named costs no index anything.
    fn upsert_entity(&self, slot: &CachedEntity) -> Result<(), StoreError> {
        let entity = &slot.entity;
        let moved = params![
            entity.row_id,
            entity.fold_state.state,
            entity.status.map(Status::as_str),
            entity.fold_state.cycle,
            fold_state_json(&entity.fold_state)?,
            entity.steps_materialized,
            entity.updated_at.timestamp_micros(),
            entity.occurred_at.map(|at| at.timestamp_micros()),
            entity.position,
        ];
        if !(slot.facts_changed || slot.links_changed) {
            let mut statement = self.prepared(
                "UPDATE entity SET state = ?2, status = ?3, cycle = ?4, fold_state = ?5, steps_materialized = ?6, updated_at = ?7, \
                 occurred_at = ?8, position = ?9 WHERE row_id = ?1",
            )?;
            statement.execute(moved)?;
            return Ok(());
        }
        let columns = entity.fields.to_columns();
        let known = params![columns.facts, columns.details, columns.field_versions];
        if slot.is_stored && !slot.links_changed {
            let mut statement = self.prepared(
                "UPDATE entity SET state = ?2, status = ?3, cycle = ?4, fold_state = ?5, steps_materialized = ?6, updated_at = ?7, \
                 occurred_at = ?8, position = ?9, facts = ?10, details = ?11, field_versions = ?12 WHERE row_id = ?1",
            )?;
            statement.execute([moved, known].concat().as_slice())?;
            return Ok(());
        }
        let links = params![entity.parent_row_id, entity.inspection_row_id, entity.reference, entity.group];
        if slot.is_stored {
            let mut statement = self.prepared(
                "UPDATE entity SET state = ?2, status = ?3, cycle = ?4, fold_state = ?5, steps_materialized = ?6, updated_at = ?7, \
                 occurred_at = ?8, position = ?9, facts = ?10, details = ?11, field_versions = ?12, parent_row_id = ?13, \
                 inspection_row_id = ?14, reference = ?15, group_key = ?16 WHERE row_id = ?1",
            )?;
            statement.execute([moved, known, links].concat().as_slice())?;
            return Ok(());
        }
        let identity = params![
            entity.id.as_bytes().as_slice(),
            entity.entity_type.kind().as_str(),
            entity.entity_type.subkind(),
            entity.source,
            entity.vendor,
            entity.external_id,
            entity.created_at.timestamp_micros(),
        ];
        let mut statement = self.prepared(
            "INSERT INTO entity (row_id, state, status, cycle, fold_state, steps_materialized, updated_at, occurred_at, position, facts, \
             details, field_versions, parent_row_id, inspection_row_id, reference, group_key, id, kind, subkind, source, vendor, \
             external_id, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        statement.execute([moved, known, links, identity].concat().as_slice())?;
        Ok(())
    }

    /// Takes away all steps of an entity, which are then written anew.
    fn delete_steps(&self, entity: i64) -> Result<(), StoreError> {
        self.prepared("DELETE FROM step WHERE entity_row_id = ?")?.execute([entity])?;
        Ok(())
    }

    /// Adds steps of an entity.
    fn insert_steps(&self, entity: i64, steps: &[MaterializedStep]) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO step (entity_row_id, seq, position, target_state, at_least, occurred_at, order_cycle, order_rank, received_at, \
             effective_at, state_after, status_after, cycle_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for placed in steps {
            let Step { target_state: to, at_least, key, received_at } = &placed.step;
            statement.execute(params![
                entity,
                placed.seq,
                key.position,
                to,
                at_least,
                key.time,
                key.cycle,
                key.rank,
                received_at.timestamp_micros(),
                placed.effective_at,
                placed.state_after,
                placed.status_after.map(Status::as_str),
                placed.cycle_after,
            ])?;
        }
        Ok(())
    }

    /// Adds to the counts of a source.
    fn upsert_ledger(&self, row: &ledger::Model) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO ledger (source, received, duplicates, applied, skipped_ahead, unexpected, stale, refused, \
             no_change, unrecognized, unreadable, orphaned, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (source) DO UPDATE SET received = received + excluded.received, \
             duplicates = duplicates + excluded.duplicates, applied = applied + excluded.applied, \
             skipped_ahead = skipped_ahead + excluded.skipped_ahead, \
             unexpected = unexpected + excluded.unexpected, stale = stale + excluded.stale, \
             refused = refused + excluded.refused, no_change = no_change + excluded.no_change, \
             unrecognized = unrecognized + excluded.unrecognized, unreadable = unreadable + excluded.unreadable, \
             orphaned = orphaned + excluded.orphaned, received_at = excluded.received_at",
        )?;
        statement.execute(params![
            row.source,
            row.received,
            row.duplicates,
            row.applied,
            row.skipped_ahead,
            row.unexpected,
            row.stale,
            row.refused,
            row.no_change,
            row.unrecognized,
            row.unreadable,
            row.orphaned,
            row.received_at,
        ])?;
        Ok(())
    }

    /// Notes that a vendor asked to confirm a URL. A code that is asked for again is answered again.
    fn upsert_handshake(&self, source: &str, code: &str, requested_at: i64) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO handshake (source, code, requested_at, attempts) VALUES (?, ?, ?, 0) \
             ON CONFLICT (source, code) DO UPDATE SET requested_at = excluded.requested_at, confirmed_at = NULL, \
             attempts = 0, last_error = NULL",
        )?;
        statement.execute(params![source, code, requested_at])?;
        Ok(())
    }

    /// Writes so many bytes into the transaction, most of which reach the log on the disk at once, since the cache is small.
    fn write_probe_bytes(&self, bytes: usize) -> Result<(), StoreError> {
        // Its own table, which is gone with the transaction, whatever the others become.
        self.connection.execute_batch("CREATE TABLE inspection_hub_probe (filling BLOB)")?;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.connection.execute("INSERT INTO inspection_hub_probe VALUES (zeroblob(?))", [bytes])?;
        Ok(())
    }

    /// Writes the counters.
    fn update_log_head(&self, head: &log_head::Model) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "UPDATE log_head SET position = ?, last_delivery_row_id = ?, last_entity_row_id = ?, received_at = ?, updated_at = ? WHERE id = 1",
        )?;
        statement.execute([
            head.position,
            head.last_delivery_row_id,
            head.last_entity_row_id,
            head.received_at,
            head.updated_at,
        ])?;
        Ok(())
    }
}

impl WriteConnection for SqliteWriteConnection {
    fn begin(&mut self, known: Option<&log_head::Model>) -> Result<BegunTransaction, StoreError> {
        self.files.check()?;
        self.begin_immediate()?;
        let mut statement = self.prepared(
            "SELECT id, position, last_delivery_row_id, last_entity_row_id, received_at, updated_at, generation, retained_from FROM log_head \
             WHERE id = 1",
        )?;
        let head = statement.query_row([], |row| {
            Ok(log_head::Model {
                id: row.get(0)?,
                position: row.get(1)?,
                last_delivery_row_id: row.get(2)?,
                last_entity_row_id: row.get(3)?,
                received_at: row.get(4)?,
                updated_at: row.get(5)?,
                generation: row.get(6)?,
                retained_from: row.get(7)?,
            })
        })?;
        Ok(BegunTransaction::from_counters(head, known))
    }

    fn write_rows(&mut self, rows: &BatchRows<'_>) -> Result<(), StoreError> {
        for slot in &rows.entities {
            self.upsert_entity(slot)?;
            if slot.pending_steps.replace_all {
                self.delete_steps(slot.entity.row_id)?;
            }
            if slot.entity.steps_materialized {
                self.insert_steps(slot.entity.row_id, &slot.pending_steps.steps)?;
            }
        }
        failpoints::pause_at("entities");
        self.insert_deliveries(rows.deliveries)?;
        failpoints::pause_at("deliveries");
        self.insert_changes(rows.changes)?;
        failpoints::pause_at("changes");
        for ledger in &rows.ledger {
            self.upsert_ledger(ledger)?;
        }
        failpoints::pause_at("ledger");
        for (number, (count, at)) in rows.duplicate_counts {
            self.add_duplicates(*number, *count, *at)?;
        }
        failpoints::pause_at("duplicates");
        for (source, code, requested_at) in rows.handshakes {
            self.upsert_handshake(source, code, *requested_at)?;
        }
        self.update_log_head(rows.head)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT")?;
        // What was committed into a file that is gone is lost, and must not be acknowledged.
        self.files.check()
    }

    fn rollback(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be undone");
        }
    }

    fn run_maintenance(&mut self, deliveries: usize) {
        self.checkpointer.record_written(deliveries);
        if self.checkpointer.take_writer_checkpoint_due() {
            self.finish_checkpoint();
        }
    }

    fn load_entities(&mut self, ids: &[Uuid]) -> Result<Vec<FoldedEntity>, StoreError> {
        ids.iter().filter_map(|id| self.load_entity(*id).transpose()).collect()
    }

    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError> {
        let mut statement =
            self.prepared("SELECT id FROM entity WHERE parent_row_id = ? AND inspection_row_id IS NULL")?;
        let ids = statement.query_map([parent], |row| row.get::<_, [u8; 16]>(0))?;
        Ok(ids.map(|id| id.map(Uuid::from_bytes)).collect::<Result<_, _>>()?)
    }

    fn load_steps(&mut self, machine: &Machine, entity: &FoldedEntity) -> Result<Vec<Step>, StoreError> {
        let mut statement = self.prepared(if entity.steps_materialized {
            "SELECT position, target_state, at_least, occurred_at, order_cycle, order_rank, received_at FROM step WHERE entity_row_id = ?"
        } else {
            "SELECT position, target_state, at_least, occurred_at, order_cycle, order_rank, received_at FROM change \
             WHERE entity_row_id = ? AND target_state IS NOT NULL"
        })?;
        let mut rows = statement.query([entity.row_id])?;
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            let row = StepRow {
                position: row.get(0)?,
                to: row.get(1)?,
                at_least: row.get(2)?,
                time: row.get(3)?,
                cycle: row.get(4)?,
                rank: row.get(5)?,
                received_at: row.get(6)?,
            };
            steps.push(step_from_row(row, machine)?);
        }
        Ok(steps)
    }

    fn load_seen_keys(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError> {
        let mut statement =
            self.prepared("SELECT dedup_key, position FROM change WHERE entity_row_id = ? AND dedup_key IS NOT NULL")?;
        let mut all = HashMap::with_capacity(entities.len());
        for entity in entities {
            let news = statement.query_map([entity], |row| Ok((row.get(0)?, row.get(1)?)))?;
            all.insert(*entity, news.collect::<Result<_, _>>()?);
        }
        Ok(all)
    }

    fn originals_by_position(&mut self, positions: &[i64]) -> Result<HashMap<i64, OriginalDelivery>, StoreError> {
        let mut statement = self.prepared(
            "SELECT delivery.row_id, delivery.verdict, delivery.reason FROM change JOIN delivery ON delivery.row_id = change.delivery_row_id \
             WHERE position = ?",
        )?;
        positions.iter().map(|position| Ok((*position, statement.query_row([position], original_from_row)??))).collect()
    }

    fn originals_by_key(&mut self, news: &[i64]) -> Result<HashMap<i64, OriginalDelivery>, StoreError> {
        let mut statement = self.prepared("SELECT row_id, verdict, reason FROM delivery WHERE dedup_key = ?")?;
        let found = news.iter().filter_map(|news| match statement.query_row([news], original_from_row).optional() {
            Ok(found) => found.map(|first| Ok((*news, first?))),
            Err(error) => Some(Err(error.into())),
        });
        found.collect()
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        let head = self.begin(None)?.head;
        self.update_log_head(&head)?;
        if bytes == 0 {
            return self.commit();
        }
        self.connection.pragma_update(None, "cache_size", PROBE_CACHE_SIZE)?;
        let filled = self.write_probe_bytes(bytes);
        self.rollback();
        self.connection.pragma_update(None, "cache_size", self.cache_size)?;
        filled
    }
}

fn original_from_row(row: &Row<'_>) -> rusqlite::Result<Result<OriginalDelivery, StoreError>> {
    let (number, verdict, reason): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(OriginalDelivery::from_columns(number, &verdict, reason))
}

impl Drop for SqliteWriteConnection {
    // Leaves one file behind, without a log beside it. If that fails, the next start does it.
    fn drop(&mut self) {
        self.checkpointer.stop();
        if self.files.check().is_err()
            && let Ok(none) = Connection::open_in_memory()
        {
            // Left open until the process ends: whoever closes the last connection to a file removes the log beside it by its
            // name, and that may be the log of another file by now.
            std::mem::forget(std::mem::replace(&mut self.connection, none));
            return;
        }
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded {
            tracing::debug!(%error, "the log could not be folded into the database");
        }
    }
}

fn entity_row(row: &Row<'_>) -> Result<entity::entity::Model, StoreError> {
    let (kind, status): (String, Option<String>) = (row.get(2)?, row.get(12)?);
    let unknown = |what: &str| StoreError::Corrupt(format!("an entity of the kind or status {what}"));
    Ok(entity::entity::Model {
        row_id: row.get(0)?,
        id: Uuid::from_bytes(row.get(1)?),
        kind: Kind::parse(&kind).ok_or_else(|| unknown(&kind))?,
        subkind: row.get(3)?,
        source: row.get(4)?,
        vendor: row.get(5)?,
        external_id: row.get(6)?,
        parent_row_id: row.get(7)?,
        inspection_row_id: row.get(8)?,
        reference: row.get(9)?,
        group_key: row.get(10)?,
        state: row.get(11)?,
        status: status.map(|word| Status::parse(&word).ok_or_else(|| unknown(&word))).transpose()?,
        cycle: row.get(13)?,
        facts: row.get(14)?,
        details: row.get(15)?,
        field_versions: row.get(16)?,
        fold_state: row.get(17)?,
        created_at: row.get(18)?,
        updated_at: row.get(19)?,
        occurred_at: row.get(20)?,
        position: row.get(21)?,
        steps_materialized: row.get(22)?,
    })
}
