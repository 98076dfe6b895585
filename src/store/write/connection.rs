//! What the writer asks of a database. One implementation for each; both are tested alike.

use crate::event::{CachedEntity, FoldedEntity};
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use entity::{Verdict, change, delivery, ledger, log_head};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use uuid::Uuid;

/// The writing connection, and the transaction that is open on it. Every call blocks, and fails if the database does.
pub trait WriteConnection: Debug + Send {
    /// Begins a transaction that nobody else writes beside, and reads the counters. If they are known from before and
    /// nobody else seems to write, they may be taken to be still so: then `write` finds out.
    fn begin(&mut self, known: Option<&log_head::Model>) -> Result<BegunTransaction, StoreError>;

    /// Writes all that a batch has changed. If it was taken for granted that nobody else writes, and somebody did, nothing
    /// is written: [`StoreError::Overtaken`].
    fn write_rows(&mut self, rows: &BatchRows<'_>) -> Result<(), StoreError>;

    /// Makes the transaction durable. If it fails, nothing of it was written.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Ends a transaction that failed, if the database has not done so itself. What cannot be ended is given up with its
    /// connection.
    fn rollback(&mut self);

    /// Between two batches: so many deliveries were written. Nobody waits for an answer.
    fn run_maintenance(&mut self, _deliveries: usize) {}

    /// Those of these entities that are stored.
    fn load_entities(&mut self, ids: &[Uuid]) -> Result<Vec<FoldedEntity>, StoreError>;

    /// The ids of the entities that hang on this one and have no inspection yet.
    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError>;

    /// All steps of an entity, in any order.
    fn load_steps(&mut self, machine: &Machine, entity: &FoldedEntity) -> Result<Vec<Step>, StoreError>;

    /// The news that the histories of entities have, each with the position of the row, by the entities' numbers.
    fn load_seen_keys(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError>;

    /// The deliveries that brought these rows of history, by the rows' positions.
    fn originals_by_position(&mut self, positions: &[i64]) -> Result<HashMap<i64, OriginalDelivery>, StoreError>;

    /// The deliveries that brought this news, which is about no entity, by the news.
    fn originals_by_key(&mut self, dedup_keys: &[i64]) -> Result<HashMap<i64, OriginalDelivery>, StoreError>;

    /// Writes the counters as they are, to find out whether anything can be written. With a number of bytes, writes so many
    /// of them and takes them back, to find out whether there is room.
    fn probe(&mut self, bytes: usize) -> Result<(), StoreError>;
}

/// A transaction that has begun.
#[derive(Debug)]
pub struct BegunTransaction {
    pub head: log_head::Model,
    /// The entities that others may have written since the counters were those that are known; none if that cannot be
    /// told.
    pub invalidated: Option<Vec<Uuid>>,
}

impl BegunTransaction {
    /// With counters that tell whether anybody else wrote, but not what.
    pub fn from_counters(head: log_head::Model, known: Option<&log_head::Model>) -> BegunTransaction {
        let invalidated = (known == Some(&head)).then(Vec::new);
        BegunTransaction { head, invalidated }
    }
}

/// A delivery that has brought some news before.
#[derive(Clone, Debug)]
pub struct OriginalDelivery {
    pub number: i64,
    pub verdict: Verdict,
    pub reason: String,
}

impl OriginalDelivery {
    /// Of what is stored.
    ///
    /// # Errors
    /// If the verdict is none that this version knows.
    pub fn from_columns(number: i64, verdict: &str, reason: String) -> Result<OriginalDelivery, StoreError> {
        let known = Verdict::parse(verdict);
        let verdict = known.ok_or_else(|| StoreError::Corrupt(format!("the verdict {verdict}")))?;
        Ok(OriginalDelivery { number, verdict, reason })
    }
}

/// All that a batch has changed.
#[derive(Debug)]
pub struct BatchRows<'a> {
    /// Those that are written, in the order of their numbers.
    pub entities: Vec<&'a CachedEntity>,
    /// All that the batch is about: what is remembered of any of them elsewhere may not hold any more.
    pub invalidated: Vec<Uuid>,
    pub deliveries: &'a [delivery::Model],
    pub changes: &'a [change::Model],
    /// How often deliveries of earlier batches came again, and when last, by their numbers.
    pub duplicate_counts: &'a BTreeMap<i64, (i64, i64)>,
    /// What to add to the counts of each source.
    pub ledger: Vec<&'a ledger::Model>,
    /// Which vendors asked to confirm a URL: source, code, when.
    pub handshakes: &'a [(String, String, i64)],
    /// The counters as they were when the batch began, and as they are after it.
    pub head_before: &'a log_head::Model,
    pub head: &'a log_head::Model,
}
