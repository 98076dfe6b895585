//! The writer's interface to a database. Both implementations pass the same tests.

use super::columns::{DuplicateCount, OriginalRow};
use crate::event::{CachedEntity, FoldedEntity, UpdatePlace};
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use entity::{change, command, delivery, idempotency_key, ledger, log_head};
use std::collections::HashMap;
use std::fmt::Debug;
use uuid::Uuid;

/// The writing connection, and the transaction that is open on it. Every call blocks, and fails if the database does.
pub trait WriteConnection: Debug + Send {
    /// Begins a transaction and reads the counters; no other writer can write until it ends. With counters `known` from the batch
    /// before, and if no other writer has been seen for a while, the transaction may be optimistic: the counters are taken to be
    /// the known ones, and [`write_rows`](Self::write_rows) checks them.
    fn begin(&mut self, known: Option<&log_head::Model>) -> Result<BegunTransaction, StoreError>;

    /// Writes all that a batch has changed. [`StoreError::Conflict`] if the transaction was optimistic and another writer has
    /// written: then nothing is written.
    fn write_rows(&mut self, rows: &BatchRows<'_>) -> Result<(), StoreError>;

    /// Makes the transaction durable. If it fails, nothing of it was written.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Ends a failed transaction, unless the database has ended it. If that fails, the connection is dropped.
    fn rollback(&mut self);

    /// Runs storage maintenance that is due after this many deliveries. Call it when nobody waits for a response.
    fn run_maintenance(&mut self, _deliveries: usize) {}

    /// Those of these entities that are stored.
    fn load_entities(&mut self, ids: &[Uuid]) -> Result<Vec<FoldedEntity>, StoreError>;

    /// The ids of the children of an entity that belong to no inspection yet.
    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError>;

    /// The public ids of entities.
    fn entity_ids(&mut self, row_ids: &[i64]) -> Result<Vec<Uuid>, StoreError>;

    /// The ids of children of some entities, at most `limit`.
    fn children(&mut self, parents: &[i64], limit: usize) -> Result<Vec<Uuid>, StoreError>;

    /// All steps of an entity, in any order.
    fn load_steps(&mut self, machine: &Machine, entity: &FoldedEntity) -> Result<Vec<Step>, StoreError>;

    /// The dedup keys in the history of entities, each with the position of its row, by entity.
    fn load_seen_keys(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError>;

    /// The deliveries that brought these rows of history, by position.
    fn originals_by_position(&mut self, positions: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError>;

    /// The deliveries about no entity that have these dedup keys, by key.
    fn originals_by_key(&mut self, dedup_keys: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError>;

    /// Those of these idempotency keys that are stored, by digest.
    fn idempotency_keys(&mut self, digests: &[&str]) -> Result<Vec<idempotency_key::Model>, StoreError>;

    /// Tests whether the database is writable: writes the counters unchanged. With a number of bytes, also writes that many and
    /// rolls them back, to test whether there is room.
    fn probe(&mut self, bytes: usize) -> Result<(), StoreError>;
}

/// A transaction that has begun.
#[derive(Debug)]
pub struct BegunTransaction {
    pub head: log_head::Model,
    /// The entities that other writers may have written since the known counters; `None` if that is unknown.
    pub invalidated: Option<Vec<Uuid>>,
}

impl BegunTransaction {
    /// If the counters are the known ones, no other writer has written; else it is unknown what they wrote.
    pub fn from_counters(head: log_head::Model, known: Option<&log_head::Model>) -> BegunTransaction {
        let invalidated = (known == Some(&head)).then(Vec::new);
        BegunTransaction { head, invalidated }
    }
}

/// A vendor's request to confirm the webhook URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeRequest {
    pub source: String,
    pub code: String,
    pub requested_at: i64,
}

/// All that a batch has changed.
#[derive(Debug)]
pub struct BatchRows<'a> {
    /// The entities to write, by `row_id`.
    pub entities: Vec<&'a CachedEntity>,
    /// All entities of the batch: other writers drop them from their caches.
    pub invalidated: Vec<Uuid>,
    pub deliveries: &'a [delivery::Model],
    pub commands: &'a [command::Model],
    pub idempotency_keys: &'a [idempotency_key::Model],
    pub changes: &'a [change::Model],
    /// The duplicates of deliveries of earlier batches.
    pub duplicate_counts: Vec<&'a DuplicateCount>,
    /// What to add to the counts of each source.
    pub ledger: Vec<&'a ledger::Model>,
    pub handshakes: &'a [HandshakeRequest],
    /// Places in the order of updates that became obsolete with earlier batches, in order: their rows are deleted.
    pub obsolete_places: &'a [UpdatePlace],
    /// The counters before the batch, and after it.
    pub head_before: &'a log_head::Model,
    pub head: &'a log_head::Model,
}
