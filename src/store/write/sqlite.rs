//! The writing connection of SQLite: plain statements by key, prepared once, called in the writer's own thread.
//!
//! Not sea-orm: its connection answers from another thread, and with some twenty statements per batch the hand-overs
//! between the threads count (`docs/benchmarks.md`).

use super::checkpoint::{Checkpointer, LOG_LIMIT, passive};
use super::rows::{StepRow, entity_of, print, step_of};
use super::session::{Begun, First, Rows, Session};
use crate::event::{Entity, Placed, Slot};
use crate::faults;
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use crate::store::connect::OpenFiles;
use entity::{Kind, Status, change, delivery, ledger, log_head};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Statements kept prepared: all that stand in this file.
const STATEMENTS: usize = 32;

/// The wait between two tries to take the lock; longer, a tenth of what was waited already.
const AGAIN: Duration = Duration::from_micros(100);

/// The page cache, in KiB as SQLite writes it: how much it is while room is looked for, so that what is written reaches
/// the disk before the transaction is taken back.
const SMALL_CACHE: i64 = -64;

/// The connection, and the thread that looks after the log.
#[derive(Debug)]
pub struct Sqlite {
    checkpointer: Checkpointer,
    connection: Connection,
    files: OpenFiles,
    /// Its page cache, in KiB as SQLite writes it.
    cache: i64,
    /// How long the lock is waited for.
    wait: Duration,
}

/// What a commit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk: somebody is told so.
    Acknowledged,
    /// It outlives the process, and nothing waits for the disk: after the machine has failed it must be made anew.
    Renewable,
}

impl Sqlite {
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
            Durability::Acknowledged => ("FULL", -16_384_i64),
            Durability::Renewable => ("OFF", -65_536),
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "cache_size", cache)?;
        // Somebody else does that.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", LOG_LIMIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // From the first look into the tables on, there is a log.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.busy_timeout(Duration::ZERO)?;
        let files = OpenFiles::at(path);
        let checkpointer = Checkpointer::start(path, synchronous, files.clone())?;
        Ok(Sqlite { checkpointer, connection, files, cache, wait })
    }

    /// Takes the lock: nobody else writes until the transaction ends. Who has it (a rebuild, forgetting) has it for a moment
    /// only. SQLite itself would wait longer and longer, as if that were no use.
    fn lock(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < self.wait =>
                {
                    std::thread::sleep((begun.elapsed() / 10).max(AGAIN));
                }
                locked => return Ok(locked?),
            }
        }
    }

    /// Brings the little that is left of the write-ahead log into the main file, so that the log begins anew.
    fn finish_log(&self) {
        if let Err(error) = passive(&self.connection) {
            tracing::debug!(%error, "the rest of the log could not be brought into the database");
        }
    }

    fn prepared(&self, text: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.connection.prepare_cached(text)?)
    }

    /// The entity with this id, if it is stored.
    fn entity(&self, id: Uuid) -> Result<Option<Entity>, StoreError> {
        let mut statement = self.prepared(
            "SELECT number, id, kind, subkind, source, vendor, external_id, parent, inspection, reference, group_key, \
             state, status, cycle, facts, details, stamps, tip, created_at, updated_at, occurred_at, position, retold \
             FROM entity WHERE id = ?",
        )?;
        let mut rows = statement.query([id.as_bytes().as_slice()])?;
        rows.next()?.map(|row| entity_of(entity_row(row)?)).transpose()
    }

    /// Adds deliveries, with their bodies.
    fn add_deliveries(&self, rows: &[delivery::Model]) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO delivery (number, source, vendor, received_at, method, headers, body, news, event, \
             occurred_at, verdict, reason, first_position, changes, duplicates, duplicate_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for row in rows {
            statement.execute(params![
                row.number,
                row.source,
                row.vendor,
                row.received_at,
                row.method,
                row.headers,
                row.body,
                row.news,
                row.event,
                row.occurred_at,
                row.verdict.as_str(),
                row.reason,
                row.first_position,
                row.changes,
                row.duplicates,
                row.duplicate_at,
            ])?;
        }
        Ok(())
    }

    /// Counts repetitions of a delivery.
    fn repeat(&self, number: i64, count: i64, at: i64) -> Result<(), StoreError> {
        let mut statement =
            self.prepared("UPDATE delivery SET duplicates = duplicates + ?, duplicate_at = ? WHERE number = ?")?;
        statement.execute([count, at, number])?;
        Ok(())
    }

    /// Adds history.
    fn add_changes(&self, rows: &[change::Model]) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO change (position, kind, entity, inspection, delivery, source, vendor, event, verdict, reason, \
             from_state, to_state, from_status, to_status, cycle, occurred_at, received_at, news, named_state, implied, \
             placed_cycle, placed_rank, step_before) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for row in rows {
            statement.execute(params![
                row.position,
                row.kind.as_str(),
                row.entity,
                row.inspection,
                row.delivery,
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
                row.news,
                row.named_state,
                row.implied,
                row.placed_cycle,
                row.placed_rank,
                row.step_before,
            ])?;
        }
        Ok(())
    }

    /// Writes an entity as it is now: adds it, or overwrites what has changed. What is not named costs no index anything.
    fn put_entity(&self, slot: &Slot) -> Result<(), StoreError> {
        let entity = &slot.entity;
        let moved = params![
            entity.number,
            entity.tip.state,
            entity.status.map(Status::as_str),
            entity.tip.cycle,
            print(&entity.tip)?,
            entity.retold,
            entity.updated_at.timestamp_micros(),
            entity.occurred_at.map(|at| at.timestamp_micros()),
            entity.position,
        ];
        if !(slot.facts_changed || slot.links_changed) {
            let mut statement = self.prepared(
                "UPDATE entity SET state = ?2, status = ?3, cycle = ?4, tip = ?5, retold = ?6, updated_at = ?7, \
                 occurred_at = ?8, position = ?9 WHERE number = ?1",
            )?;
            statement.execute(moved)?;
            return Ok(());
        }
        let columns = entity.known.columns();
        let known = params![columns.facts, columns.details, columns.stamps];
        if slot.stored && !slot.links_changed {
            let mut statement = self.prepared(
                "UPDATE entity SET state = ?2, status = ?3, cycle = ?4, tip = ?5, retold = ?6, updated_at = ?7, \
                 occurred_at = ?8, position = ?9, facts = ?10, details = ?11, stamps = ?12 WHERE number = ?1",
            )?;
            statement.execute([moved, known].concat().as_slice())?;
            return Ok(());
        }
        let links = params![entity.parent, entity.inspection, entity.reference, entity.group];
        if slot.stored {
            let mut statement = self.prepared(
                "UPDATE entity SET state = ?2, status = ?3, cycle = ?4, tip = ?5, retold = ?6, updated_at = ?7, \
                 occurred_at = ?8, position = ?9, facts = ?10, details = ?11, stamps = ?12, parent = ?13, \
                 inspection = ?14, reference = ?15, group_key = ?16 WHERE number = ?1",
            )?;
            statement.execute([moved, known, links].concat().as_slice())?;
            return Ok(());
        }
        let identity = params![
            entity.id.as_bytes().as_slice(),
            entity.subject.kind().as_str(),
            entity.subject.subkind(),
            entity.source,
            entity.vendor,
            entity.external_id,
            entity.created_at.timestamp_micros(),
        ];
        let mut statement = self.prepared(
            "INSERT INTO entity (number, state, status, cycle, tip, retold, updated_at, occurred_at, position, facts, \
             details, stamps, parent, inspection, reference, group_key, id, kind, subkind, source, vendor, \
             external_id, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        statement.execute([moved, known, links, identity].concat().as_slice())?;
        Ok(())
    }

    /// Takes away all steps of an entity, which are then written anew.
    fn forget_steps(&self, entity: i64) -> Result<(), StoreError> {
        self.prepared("DELETE FROM step WHERE entity = ?")?.execute([entity])?;
        Ok(())
    }

    /// Adds steps of an entity.
    fn add_steps(&self, entity: i64, steps: &[Placed]) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO step (entity, seq, position, to_state, at_least, time, cycle, rank, received_at, \
             effective_at, state_after, status_after, cycle_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for placed in steps {
            let Step { to, at_least, key, received_at } = &placed.step;
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
    fn count(&self, row: &ledger::Model) -> Result<(), StoreError> {
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
    fn request_handshake(&self, source: &str, code: &str, requested_at: i64) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "INSERT INTO handshake (source, code, requested_at, attempts) VALUES (?, ?, ?, 0) \
             ON CONFLICT (source, code) DO UPDATE SET requested_at = excluded.requested_at, confirmed_at = NULL, \
             attempts = 0, last_error = NULL",
        )?;
        statement.execute(params![source, code, requested_at])?;
        Ok(())
    }

    /// Writes so many bytes into the transaction, most of which reach the log on the disk at once, since the cache is small.
    fn fill(&self, bytes: usize) -> Result<(), StoreError> {
        // Its own table, which is gone with the transaction, whatever the others become.
        self.connection.execute_batch("CREATE TABLE inspection_hub_probe (filling BLOB)")?;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.connection.execute("INSERT INTO inspection_hub_probe VALUES (zeroblob(?))", [bytes])?;
        Ok(())
    }

    /// Writes the counters.
    fn advance(&self, head: &log_head::Model) -> Result<(), StoreError> {
        let mut statement = self.prepared(
            "UPDATE log_head SET position = ?, delivery = ?, entity = ?, received_at = ?, updated_at = ? WHERE id = 1",
        )?;
        statement.execute([head.position, head.delivery, head.entity, head.received_at, head.updated_at])?;
        Ok(())
    }
}

impl Session for Sqlite {
    fn begin(&mut self, known: Option<&log_head::Model>) -> Result<Begun, StoreError> {
        self.files.check()?;
        self.lock()?;
        let mut statement = self.prepared(
            "SELECT id, position, delivery, entity, received_at, updated_at, generation, kept_from FROM log_head \
             WHERE id = 1",
        )?;
        let head = statement.query_row([], |row| {
            Ok(log_head::Model {
                id: row.get(0)?,
                position: row.get(1)?,
                delivery: row.get(2)?,
                entity: row.get(3)?,
                received_at: row.get(4)?,
                updated_at: row.get(5)?,
                generation: row.get(6)?,
                kept_from: row.get(7)?,
            })
        })?;
        Ok(Begun::new(head, known))
    }

    fn write(&mut self, rows: &Rows<'_>) -> Result<(), StoreError> {
        for slot in &rows.entities {
            self.put_entity(slot)?;
            if slot.written.anew {
                self.forget_steps(slot.entity.number)?;
            }
            if slot.entity.retold {
                self.add_steps(slot.entity.number, &slot.written.steps)?;
            }
        }
        faults::at("entities");
        self.add_deliveries(rows.deliveries)?;
        faults::at("deliveries");
        self.add_changes(rows.changes)?;
        faults::at("changes");
        for ledger in &rows.ledger {
            self.count(ledger)?;
        }
        faults::at("ledger");
        for (number, (count, at)) in rows.repeated {
            self.repeat(*number, *count, *at)?;
        }
        faults::at("repetitions");
        for (source, code, requested_at) in rows.handshakes {
            self.request_handshake(source, code, *requested_at)?;
        }
        self.advance(rows.head)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT")?;
        // What was committed into a file that is gone is lost, and must not be acknowledged.
        self.files.check()
    }

    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be undone");
        }
    }

    fn wrote(&mut self, deliveries: usize) {
        self.checkpointer.wrote(deliveries);
        if self.checkpointer.asks_to_finish() {
            self.finish_log();
        }
    }

    fn entities(&mut self, ids: &[Uuid]) -> Result<Vec<Entity>, StoreError> {
        ids.iter().filter_map(|id| self.entity(*id).transpose()).collect()
    }

    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError> {
        let mut statement = self.prepared("SELECT id FROM entity WHERE parent = ? AND inspection IS NULL")?;
        let ids = statement.query_map([parent], |row| row.get::<_, [u8; 16]>(0))?;
        Ok(ids.map(|id| id.map(Uuid::from_bytes)).collect::<Result<_, _>>()?)
    }

    fn steps(&mut self, machine: &Machine, entity: &Entity) -> Result<Vec<Step>, StoreError> {
        let mut statement = self.prepared(if entity.retold {
            "SELECT position, to_state, at_least, time, cycle, rank, received_at FROM step WHERE entity = ?"
        } else {
            "SELECT position, named_state, implied, occurred_at, placed_cycle, placed_rank, received_at FROM change \
             WHERE entity = ? AND named_state IS NOT NULL"
        })?;
        let mut rows = statement.query([entity.number])?;
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
            steps.push(step_of(row, machine)?);
        }
        Ok(steps)
    }

    fn news_of(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError> {
        let mut statement = self.prepared("SELECT news, position FROM change WHERE entity = ? AND news IS NOT NULL")?;
        let mut all = HashMap::with_capacity(entities.len());
        for entity in entities {
            let news = statement.query_map([entity], |row| Ok((row.get(0)?, row.get(1)?)))?;
            all.insert(*entity, news.collect::<Result<_, _>>()?);
        }
        Ok(all)
    }

    fn firsts(&mut self, positions: &[i64]) -> Result<HashMap<i64, First>, StoreError> {
        let mut statement = self.prepared(
            "SELECT number, delivery.verdict, delivery.reason FROM change JOIN delivery ON number = delivery \
             WHERE position = ?",
        )?;
        positions.iter().map(|position| Ok((*position, statement.query_row([position], first)??))).collect()
    }

    fn about_nothing(&mut self, news: &[i64]) -> Result<HashMap<i64, First>, StoreError> {
        let mut statement = self.prepared("SELECT number, verdict, reason FROM delivery WHERE news = ?")?;
        let found = news.iter().filter_map(|news| match statement.query_row([news], first).optional() {
            Ok(found) => found.map(|first| Ok((*news, first?))),
            Err(error) => Some(Err(error.into())),
        });
        found.collect()
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        let head = self.begin(None)?.head;
        self.advance(&head)?;
        if bytes == 0 {
            return self.commit();
        }
        self.connection.pragma_update(None, "cache_size", SMALL_CACHE)?;
        let filled = self.fill(bytes);
        self.roll_back();
        self.connection.pragma_update(None, "cache_size", self.cache)?;
        filled
    }
}

fn first(row: &Row<'_>) -> rusqlite::Result<Result<First, StoreError>> {
    let (number, verdict, reason): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(First::of(number, &verdict, reason))
}

impl Drop for Sqlite {
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
        number: row.get(0)?,
        id: Uuid::from_bytes(row.get(1)?),
        kind: Kind::parse(&kind).ok_or_else(|| unknown(&kind))?,
        subkind: row.get(3)?,
        source: row.get(4)?,
        vendor: row.get(5)?,
        external_id: row.get(6)?,
        parent: row.get(7)?,
        inspection: row.get(8)?,
        reference: row.get(9)?,
        group_key: row.get(10)?,
        state: row.get(11)?,
        status: status.map(|word| Status::parse(&word).ok_or_else(|| unknown(&word))).transpose()?,
        cycle: row.get(13)?,
        facts: row.get(14)?,
        details: row.get(15)?,
        stamps: row.get(16)?,
        tip: row.get(17)?,
        created_at: row.get(18)?,
        updated_at: row.get(19)?,
        occurred_at: row.get(20)?,
        position: row.get(21)?,
        retold: row.get(22)?,
    })
}
