//! One batch of deliveries into the database, in one transaction: raw bytes, dedupe key, entities, steps, history,
//! positions and ledger together, or nothing of it.

mod batch;
mod checkpoint;
mod connection;
mod handshake;
mod postgres;
mod row_mapping;
mod sqlite;

pub(super) use batch::DUPLICATE_REASON_PREFIX;
pub use handshake::HandshakeStore;

use super::connect::DatabaseAddress;
use super::{Database, StoreError};
use crate::event::{CachedEntity, EntityRef, Event, FieldValue, NoEffect, ParsedDelivery, StateClaim, storable};
use crate::failpoints;
use crate::machine::EntityType;
use crate::vendor::verify::Verified;
use crate::vendor::{DeliveryBody, Unreadable, Vendor};
use axum::body::Bytes;
use batch::{DeliveryBatch, DuplicatePolicy, FlushedBatch};
use chrono::{DateTime, Utc};
use connection::{BegunTransaction, WriteConnection};
use entity::{Verdict, log_gap, log_head};
use hashlink::LruCache;
use postgres::PostgresWriteConnection;
use sha2::{Digest, Sha256};
use sqlite::{Durability, SqliteWriteConnection};
use std::collections::HashSet;
use std::panic::catch_unwind;
use std::sync::Arc;
use uuid::Uuid;

/// The longest name of an event that is kept, in characters; vendors' names have 50 at most.
const MAX_EVENT_NAME_CHARS: usize = 128;
/// Entities whose fold is kept at hand between batches.
const CACHE_CAPACITY: usize = 16_384;
/// The same, where nobody waits for an answer and all that was ever received is applied.
const SHADOW_CACHE_CAPACITY: usize = 65_536;

/// One delivery, verified and read, ready to be written. It can only be made of a [`Verified`] one.
#[derive(Debug)]
pub struct PreparedDelivery {
    source: Arc<str>,
    vendor: &'static Vendor,
    received_at: DateTime<Utc>,
    method: &'static str,
    /// The request's headers as a JSON object, credentials left out.
    headers: String,
    body: Bytes,
    dedup_key: DedupKey,
    parsed: Result<ParsedDelivery, Unreadable>,
    /// The public ids of what each event names. Made here, where many do it at once, and not by the only writer.
    entity_ids: Vec<EntityIds>,
    /// The fields that each event reports, made here for the same reason.
    field_values: Vec<Vec<FieldValue>>,
    replay: ReplayContext,
}

/// What must be known of a delivery of the raw log to apply it once more, where others were removed.
#[derive(Debug, Default)]
pub(super) struct ReplayContext {
    /// The counters before it, if those before it are gone.
    pub log_gap: Option<log_gap::Model>,
    /// The number of the delivery whose news it repeats, if that one is gone.
    pub duplicate_of: Option<i64>,
    /// Those of the entities it names that are gone: it did not change them, and must not make them known anew.
    pub purged_entities: HashSet<Uuid>,
}

/// The public ids of what one event names.
#[derive(Clone, Copy, Debug)]
struct EntityIds {
    entity: Uuid,
    parent: Option<Uuid>,
    inspection: Option<Uuid>,
}

/// The event that a delivery is foremost about, and what it names.
#[derive(Clone, Copy, Debug)]
struct PrimaryEvent<'a> {
    event: &'a Event,
    ids: EntityIds,
}

/// How a delivery came.
#[derive(Debug)]
pub struct RawDelivery {
    pub source: Arc<str>,
    pub vendor: &'static Vendor,
    pub received_at: DateTime<Utc>,
    pub method: &'static str,
    pub content_type: Option<String>,
    /// The request's headers as a JSON object, credentials left out.
    pub headers: String,
    pub body: Bytes,
}

/// What makes news the same as other news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DedupKey {
    /// The first 64 bits of SHA-256 over the length-prefixed parts. They need to tell apart the news about one entity.
    hash: i64,
    /// Whether the same digest is new news after a reopening: the body carries neither an id nor a time.
    per_cycle: bool,
}

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

impl PreparedDelivery {
    /// Reads what a verified delivery says.
    pub fn prepare(verified: &Verified<'_>, post: RawDelivery) -> Self {
        let delivery = DeliveryBody { content_type: post.content_type.as_deref(), body: verified.body() };
        // An adapter that fails must cost the vendor nothing: the bytes are kept and can be read again once it is mended.
        let mut parsed = catch_unwind(|| post.vendor.parse_delivery(&delivery))
            .unwrap_or_else(|_| Err(Unreadable("the adapter failed on it; please report this delivery".to_owned())))
            .map(ParsedDelivery::storable)
            .map_err(|Unreadable(why)| Unreadable(storable(why)));
        if let Ok(ParsedDelivery { event, .. }) = &mut parsed
            && let Some((end, _)) = event.char_indices().nth(MAX_EVENT_NAME_CHARS)
        {
            event.truncate(end);
        }
        let events = parsed.as_ref().map(|reading| reading.events.as_slice()).unwrap_or_default();
        PreparedDelivery {
            entity_ids: events.iter().map(|event| EntityIds::of(event, &post.source)).collect(),
            field_values: events.iter().map(Event::field_values).collect(),
            dedup_key: DedupKey::of(&post.source, verified.body(), parsed.as_ref().ok()),
            source: post.source,
            vendor: post.vendor,
            received_at: post.received_at,
            method: post.method,
            headers: post.headers,
            body: post.body,
            parsed,
            replay: ReplayContext::default(),
        }
    }

    /// The first event that names a state outright, else the first; none for news about no entity.
    fn primary_event(&self) -> Option<PrimaryEvent<'_>> {
        let events = self.parsed.as_ref().ok()?.events.as_slice();
        let index = events.iter().position(|event| matches!(event.state_claim, StateClaim::Exact(_))).unwrap_or(0);
        Some(PrimaryEvent { event: events.get(index)?, ids: *self.entity_ids.get(index)? })
    }

    /// Without the bytes it was read from: for where they are not kept once more.
    pub fn without_payload(self) -> Self {
        PreparedDelivery { body: Bytes::new(), headers: String::new(), ..self }
    }

    /// As one of the raw log, where others were removed.
    pub(super) fn with_replay_context(self, again: ReplayContext) -> Self {
        PreparedDelivery { replay: again, ..self }
    }

    /// The public ids of all that it names.
    pub(super) fn referenced_ids(&self) -> impl Iterator<Item = Uuid> {
        self.entity_ids.iter().flat_map(|names| [Some(names.entity), names.parent, names.inspection]).flatten()
    }

    /// How many bytes the vendor sent, as they are stored.
    pub fn payload_bytes(&self) -> usize {
        self.body.len() + self.headers.len()
    }

    /// The name of the source it came to.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl EntityIds {
    fn of(event: &Event, source: &str) -> Self {
        EntityIds {
            entity: event.entity.id(source),
            parent: event.parent.as_ref().map(|parent| parent.id(source)),
            inspection: referenced_inspection(event).map(|inspection| inspection.id(source)),
        }
    }
}

/// The inspection an event names, unless it is about that very inspection.
fn referenced_inspection(event: &Event) -> Option<EntityRef> {
    let inspection =
        event.inspection_external_id.as_deref().filter(|_| event.entity.entity_type != EntityType::Inspection)?;
    Some(EntityRef::new(EntityType::Inspection, inspection))
}

impl DedupKey {
    /// By the vendor's id of the news where there is one, else by the body.
    fn of(source: &str, body: &[u8], reading: Option<&ParsedDelivery>) -> Self {
        let news_id = reading.and_then(|reading| reading.vendor_event_id.as_deref());
        let (scheme, content) = match news_id {
            Some(id) => ("id", id.as_bytes()),
            None => ("body", body),
        };
        let mut hash = Sha256::new();
        for part in [source.as_bytes(), scheme.as_bytes(), content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut bits = [0; 8];
        bits.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
        let timed = reading.is_some_and(|reading| reading.occurred_at.at().is_some());
        DedupKey { hash: i64::from_be_bytes(bits), per_cycle: news_id.is_none() && !timed }
    }

    /// The digest within a cycle; for news that carries its own id or time there is only the cycle 0.
    fn for_cycle(self, cycle: i32) -> i64 {
        // An odd factor (2^64 divided by the golden ratio) takes different cycles to different numbers.
        self.hash ^ i64::from(cycle).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())
    }
}

impl Writer {
    /// A writer that has read nothing yet.
    ///
    /// # Errors
    /// If the database cannot be opened once more.
    pub fn open(db: &Database) -> Result<Self, StoreError> {
        let session: Box<dyn WriteConnection> = match &db.address {
            DatabaseAddress::Sqlite(path) => {
                Box::new(SqliteWriteConnection::open(path, db.pool_settings.acquire_timeout, Durability::SyncFull)?)
            }
            DatabaseAddress::Postgres(options) => Box::new(PostgresWriteConnection::open(options, db.pool_settings)?),
        };
        Ok(Writer {
            connection: session,
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
        let DatabaseAddress::Sqlite(path) = &db.address else {
            return Err(StoreError::OpenFailed("deliveries are applied anew in a file only".into()));
        };
        Ok(Writer {
            connection: Box::new(SqliteWriteConnection::open(
                path,
                db.pool_settings.acquire_timeout,
                Durability::SyncOff,
            )?),
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
fn no_effect_verdict(nothing: &NoEffect) -> (Verdict, String) {
    match nothing {
        NoEffect::Unrecognized(why) => (Verdict::Unrecognized, why.clone()),
        NoEffect::Recognized(what) => (Verdict::NoChange, what.clone()),
        NoEffect::Handshake { .. } => (Verdict::Applied, "the vendor asks to confirm that the URL is ours".to_owned()),
    }
}
