//! The only writer of the raw log. One batch is one transaction: raw bytes, dedup keys, entities, steps, history, positions and
//! ledger are written together, or not at all.

use super::batch::{DuplicatePolicy, FlushedBatch, RecordBatch};
use super::log_record::LogRecord;
use super::retry::{self, Attempt};
use crate::command::CommandError;
use crate::event::{CachedEntity, Explanation, UpdatePlace};
use crate::failpoints;
use crate::store::{BegunTransaction, Database, StoreError, WriteConnection};
use entity::{Verdict, log_head};
use hashlink::LruCache;
use std::fmt::Debug;
use uuid::Uuid;

/// Entities that are cached between batches.
const CACHE_CAPACITY: usize = 16_384;
/// The same for a replay, which touches all entities.
const SHADOW_CACHE_CAPACITY: usize = 65_536;
/// Rows of the order of updates that are deleted at once when they are obsolete: many of them share a page.
const OBSOLETE_PLACES_PER_BATCH: usize = 1024;

/// The result of a delivery that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// The `row_id` of the delivery, or of the original if it is a duplicate.
    pub delivery: i64,
    pub duplicate: bool,
    pub verdict: Verdict,
    /// Why it has its verdict; as text, a sentence.
    pub explanation: Explanation,
}

/// The result of a command that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandReceipt {
    /// The `row_id` of the command, or of the first one with its idempotency key.
    pub command: i64,
}

/// The result of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordReceipt {
    Delivery(DeliveryReceipt),
    Command(Result<CommandReceipt, CommandError>),
}

/// The result of a batch.
#[derive(Debug)]
pub struct CommittedBatch {
    /// One for each delivery, in the order given.
    pub receipts: Vec<DeliveryReceipt>,
    /// One for each command, in the order given.
    pub commands: Vec<Result<CommandReceipt, CommandError>>,
    /// The counters after it.
    pub head: log_head::Model,
    /// The `row_id`s of the entities whose rows were written.
    pub entities: Vec<i64>,
    /// Whether a vendor asked to confirm the webhook URL.
    pub handshake_requested: bool,
}

impl CommittedBatch {
    /// The results of its records, in their order.
    pub fn into_record_receipts(self, records: &[LogRecord]) -> Vec<RecordReceipt> {
        let (mut deliveries, mut commands) = (self.receipts.into_iter(), self.commands.into_iter());
        let receipts = records.iter().filter_map(|record| match record {
            LogRecord::Delivery(_) => deliveries.next().map(RecordReceipt::Delivery),
            LogRecord::Command(_) => commands.next().map(RecordReceipt::Command),
        });
        receipts.collect()
    }
}

/// What the queue hands batches to, one at a time. A hub has a [`Writer`]; benchmarks also have one that stores nothing.
pub trait BatchWriter: Debug + Send {
    /// Writes a batch. When it returns, the batch is on the disk. Blocks.
    ///
    /// # Errors
    /// If the database failed; then nothing of the batch was written.
    fn write_batch(&mut self, records: &[LogRecord]) -> Result<CommittedBatch, StoreError>;

    /// Tests whether `bytes` can be written now. Blocks.
    ///
    /// # Errors
    /// If nothing can be written, or not that much.
    fn probe(&mut self, bytes: usize) -> Result<(), StoreError>;

    /// Called after the responses to a batch. Runs storage maintenance if due.
    fn run_maintenance(&mut self, deliveries: usize);
}

/// Writes batches, one at a time. There is one per process.
#[derive(Debug)]
pub struct Writer {
    connection: Box<dyn WriteConnection>,
    duplicate_policy: DuplicatePolicy,
    cache_capacity: usize,
    /// Valid as long as no other writer has written since `head`.
    cache: LruCache<Uuid, CachedEntity>,
    /// The counters after the last batch; `None` if it failed.
    head: Option<log_head::Model>,
    /// Obsolete rows of the order of updates that are not deleted yet. If the process ends, a purge or rebuild deletes them.
    obsolete_places: Vec<UpdatePlace>,
    /// The generation of the history that they belong to.
    obsolete_generation: i64,
}

impl Writer {
    /// A writer with an empty cache.
    ///
    /// # Errors
    /// If the database cannot be opened once more.
    pub fn open(db: &Database) -> Result<Self, StoreError> {
        Ok(Writer::on(db.open_write_connection()?, DuplicatePolicy::Count, CACHE_CAPACITY))
    }

    /// A writer for a shadow database, into which a raw log is replayed. Each delivery keeps its number, also if it is a duplicate.
    ///
    /// # Errors
    /// If the file cannot be opened once more, or the database is not a SQLite file.
    pub fn for_shadow_db(db: &Database) -> Result<Self, StoreError> {
        Ok(Writer::on(db.open_shadow_write_connection()?, DuplicatePolicy::Keep, SHADOW_CACHE_CAPACITY))
    }

    fn on(connection: Box<dyn WriteConnection>, duplicate_policy: DuplicatePolicy, cache_capacity: usize) -> Self {
        let cache = LruCache::new(cache_capacity);
        Writer {
            connection,
            duplicate_policy,
            cache_capacity,
            cache,
            head: None,
            obsolete_places: Vec::new(),
            obsolete_generation: 0,
        }
    }

    fn run_transaction(
        &mut self,
        records: &[LogRecord],
        mut cache: LruCache<Uuid, CachedEntity>,
        BegunTransaction { head, invalidated }: BegunTransaction,
    ) -> Result<CommittedBatch, StoreError> {
        failpoints::pause_at("begun");
        if self.obsolete_generation != head.generation {
            // They are of another history, in which they may be current.
            self.obsolete_places.clear();
            self.obsolete_generation = head.generation;
        }
        match invalidated {
            Some(invalidated) => invalidated.iter().for_each(|id| _ = cache.remove(id)),
            None => {
                cache = LruCache::new(self.cache_capacity);
            }
        }
        let mut batch = RecordBatch::new(self.connection.as_mut(), self.duplicate_policy, head, cache);
        batch.prefetch(records)?;
        failpoints::pause_at("prefetched");
        records.iter().try_for_each(|record| batch.process(record))?;
        failpoints::pause_at("decided");
        let deleted = match self.obsolete_places.len() {
            0..OBSOLETE_PLACES_PER_BATCH => &[],
            _ => {
                self.obsolete_places.sort_unstable();
                self.obsolete_places.as_slice()
            }
        };
        let FlushedBatch { batch, cache, obsolete_places } = batch.flush(deleted)?;
        failpoints::pause_at("written");
        self.connection.commit()?;
        failpoints::pause_at("committed");
        if self.obsolete_places.len() >= OBSOLETE_PLACES_PER_BATCH {
            self.obsolete_places.clear();
        }
        self.obsolete_places.extend(obsolete_places);
        (self.cache, self.head) = (cache, Some(batch.head.clone()));
        Ok(batch)
    }
}

impl BatchWriter for Writer {
    // With the retries of `retry::commit`.
    fn write_batch(&mut self, records: &[LogRecord]) -> Result<CommittedBatch, StoreError> {
        // An attempt that fails has changed some of the cached entities, so none of them is cached again.
        let mut cache = Some(std::mem::replace(&mut self.cache, LruCache::new(self.cache_capacity)));
        let known = self.head.take();
        retry::commit(|attempt| {
            if attempt == Attempt::LockedIfUnchanged && known.is_none() {
                return Ok(None);
            }
            let expected = known.as_ref().filter(|_| attempt == Attempt::Cached);
            let cache = cache.take().unwrap_or_else(|| LruCache::new(self.cache_capacity));
            let written = self.connection.begin(expected).and_then(|begun| {
                if attempt == Attempt::LockedIfUnchanged && known.as_ref() != Some(&begun.head) {
                    return Ok(None);
                }
                self.run_transaction(records, cache, begun).map(Some)
            });
            if !matches!(written, Ok(Some(_))) {
                self.connection.rollback();
            }
            written
        })
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.connection.probe(bytes).inspect_err(|_| self.connection.rollback())
    }

    // The WAL checkpoint.
    fn run_maintenance(&mut self, deliveries: usize) {
        self.connection.run_maintenance(deliveries);
    }
}
