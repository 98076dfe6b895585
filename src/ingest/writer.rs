//! The only writer of deliveries. One batch is one transaction: raw bytes, dedup keys, entities, steps, history, positions
//! and ledger are written together, or nothing of it.

use super::batch::{DeliveryBatch, DuplicatePolicy, FlushedBatch};
use super::prepared_delivery::PreparedDelivery;
use crate::event::{CachedEntity, NoEffect};
use crate::failpoints;
use crate::store::{BegunTransaction, Database, StoreError, WriteConnection};
use entity::{Verdict, log_head};
use hashlink::LruCache;
use uuid::Uuid;

/// Entities whose fold is kept at hand between batches.
const CACHE_CAPACITY: usize = 16_384;
/// The same, where nobody waits for an answer and all that was ever received is applied.
const SHADOW_CACHE_CAPACITY: usize = 65_536;

/// What became of a delivery, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// The number of the delivery, or of the first one with the same news.
    pub delivery: i64,
    pub duplicate: bool,
    pub verdict: Verdict,
    pub reason: String,
}

/// What a batch did.
#[derive(Debug)]
pub struct CommittedBatch {
    /// One for each delivery, in the order given.
    pub receipts: Vec<DeliveryReceipt>,
    /// The newest position.
    pub position: i64,
    /// The numbers of the entities whose rows were written.
    pub entities: Vec<i64>,
    /// Whether a vendor asked to confirm a URL.
    pub handshake_requested: bool,
}

/// Writes batches, one at a time. There is one per process.
#[derive(Debug)]
pub struct Writer {
    connection: Box<dyn WriteConnection>,
    duplicate_policy: DuplicatePolicy,
    /// How many entities are kept at hand.
    cache_capacity: usize,
    /// Trusted as far as it is known that nobody else has written since `head`.
    cache: LruCache<Uuid, CachedEntity>,
    head: Option<log_head::Model>,
}

impl Writer {
    /// A writer that has read nothing yet.
    ///
    /// # Errors
    /// If the database cannot be opened once more.
    pub fn open(db: &Database) -> Result<Self, StoreError> {
        Ok(Writer {
            connection: db.open_write_connection()?,
            duplicate_policy: DuplicatePolicy::Count,
            cache_capacity: CACHE_CAPACITY,
            cache: LruCache::new(CACHE_CAPACITY),
            head: None,
        })
    }

    /// A writer for a file that can be made anew, into which the deliveries of a raw log are applied anew. Each keeps its
    /// number, also one that counts as a repetition now.
    ///
    /// # Errors
    /// If the file cannot be opened once more, or the database is none.
    pub fn for_shadow_db(db: &Database) -> Result<Self, StoreError> {
        Ok(Writer {
            connection: db.open_shadow_write_connection()?,
            duplicate_policy: DuplicatePolicy::Keep,
            cache_capacity: SHADOW_CACHE_CAPACITY,
            cache: LruCache::new(SHADOW_CACHE_CAPACITY),
            head: None,
        })
    }

    /// Writes a batch. When this returns, it is on the disk. It blocks meanwhile.
    ///
    /// # Errors
    /// If the database failed; then nothing of the batch was written.
    pub fn write_batch(&mut self, incoming: &[PreparedDelivery]) -> Result<CommittedBatch, StoreError> {
        // Whatever fails below has half-changed the cached entities.
        let cache = std::mem::replace(&mut self.cache, LruCache::new(self.cache_capacity));
        let known = self.head.take();
        let begun = self.connection.begin(known.as_ref());
        let written = begun.and_then(|begun| self.run_transaction(incoming, cache, begun));
        match written {
            Ok(written) => Ok(written),
            Err(error) => {
                self.connection.rollback();
                self.retry_with_lock(incoming, known, error)
            }
        }
    }

    // Once more with the lock, where it is certain that the first time nothing was written: another writer came before, or
    // the connection was lost and the counters are still the same.
    fn retry_with_lock(
        &mut self,
        incoming: &[PreparedDelivery],
        known: Option<log_head::Model>,
        error: StoreError,
    ) -> Result<CommittedBatch, StoreError> {
        let lost = error.is_lost_connection() && known.is_some();
        if !(lost || matches!(error, StoreError::Conflict)) {
            return Err(error);
        }
        let written = self.connection.begin(None).and_then(|begun| {
            if lost && known.as_ref() != Some(&begun.head) {
                return Err(error);
            }
            self.run_transaction(incoming, LruCache::new(self.cache_capacity), begun)
        });
        if written.is_err() {
            self.connection.rollback();
        }
        written
    }

    fn run_transaction(
        &mut self,
        incoming: &[PreparedDelivery],
        mut cache: LruCache<Uuid, CachedEntity>,
        BegunTransaction { head, invalidated: touched }: BegunTransaction,
    ) -> Result<CommittedBatch, StoreError> {
        failpoints::pause_at("begun");
        match touched {
            Some(touched) => touched.iter().for_each(|id| _ = cache.remove(id)),
            None => cache = LruCache::new(self.cache_capacity),
        }
        let mut batch = DeliveryBatch::new(self.connection.as_mut(), self.duplicate_policy, head, cache);
        batch.prefetch(incoming)?;
        failpoints::pause_at("prefetched");
        let mut receipts = Vec::with_capacity(incoming.len());
        for delivery in incoming {
            receipts.push(batch.process_delivery(delivery)?);
        }
        failpoints::pause_at("decided");
        let FlushedBatch { head, cache, entities, handshake_requested: handshakes } = batch.flush()?;
        failpoints::pause_at("written");
        self.connection.commit()?;
        failpoints::pause_at("committed");
        self.cache = cache;
        let position = head.position;
        self.head = Some(head);
        Ok(CommittedBatch { receipts, position, entities, handshake_requested: handshakes })
    }

    /// Tests whether `bytes` can be written now. Blocks.
    ///
    /// # Errors
    /// If nothing can, or not so much.
    pub fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        let probed = self.connection.probe(bytes);
        if probed.is_err() {
            self.connection.rollback();
        }
        probed
    }

    /// To be called when the answers are on their way: looks after the database, where it needs that.
    pub fn run_maintenance(&mut self, deliveries: usize) {
        self.connection.run_maintenance(deliveries);
    }
}

/// The verdict and reason of a delivery that is about no entity.
pub(super) fn no_effect_verdict(nothing: &NoEffect) -> (Verdict, String) {
    match nothing {
        NoEffect::Unrecognized(why) => (Verdict::Unrecognized, why.clone()),
        NoEffect::Recognized(what) => (Verdict::NoChange, what.clone()),
        NoEffect::Handshake { .. } => (Verdict::Applied, "the vendor asks to confirm that the URL is ours".to_owned()),
    }
}
