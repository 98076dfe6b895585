//! One batch of deliveries into the database, in one transaction: raw bytes, dedupe key, entities, steps, history,
//! positions and ledger together, or nothing of it.

mod batch;
mod checkpoint;
mod handshake;
mod postgres;
mod rows;
mod session;
mod sqlite;

pub(super) use batch::SAME_NEWS;
pub use handshake::Handshakes;

use super::connect::Place;
use super::{Database, StoreError};
use crate::event::{Event, News, Nothing, Reading, Ref, Said, Slot, storable};
use crate::faults;
use crate::machine::Subject;
use crate::vendor::verify::Verified;
use crate::vendor::{Delivery, Unreadable, Vendor};
use axum::body::Bytes;
use batch::{Batch, Done, Repetitions};
use chrono::{DateTime, Utc};
use entity::{Verdict, gap, log_head};
use hashlink::LruCache;
use postgres::Postgres;
use session::{Begun, Session};
use sha2::{Digest, Sha256};
use sqlite::{Durability, Sqlite};
use std::collections::HashSet;
use std::panic::catch_unwind;
use std::sync::Arc;
use uuid::Uuid;

/// The longest name of an event that is kept, in characters; vendors' names have 50 at most.
const MAX_EVENT: usize = 128;
/// Entities whose fold is kept at hand between batches.
const CACHE: usize = 16_384;
/// The same, where nobody waits for an answer and all that was ever received is applied.
const SCRATCH_CACHE: usize = 65_536;

/// One delivery, verified and read, ready to be written. It can only be made of a [`Verified`] one.
#[derive(Debug)]
pub struct Incoming {
    source: Arc<str>,
    vendor: &'static Vendor,
    received_at: DateTime<Utc>,
    method: &'static str,
    /// The request's headers as a JSON object, credentials left out.
    headers: String,
    body: Bytes,
    digest: NewsDigest,
    reading: Result<Reading, Unreadable>,
    /// The public ids of what each event names. Made here, where many do it at once, and not by the only writer.
    names: Vec<Names>,
    /// The fields that each event reports, made here for the same reason.
    said: Vec<Vec<Said>>,
    again: Again,
}

/// What must be known of a delivery of the raw log to apply it once more, where others were removed.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// The counters before it, if those before it are gone.
    pub begins: Option<gap::Model>,
    /// The number of the delivery whose news it repeats, if that one is gone.
    pub repeats: Option<i64>,
    /// Those of the entities it names that are gone: it did not change them, and must not make them known anew.
    pub gone: HashSet<Uuid>,
}

/// The public ids of what one event names.
#[derive(Clone, Copy, Debug)]
struct Names {
    about: Uuid,
    parent: Option<Uuid>,
    inspection: Option<Uuid>,
}

/// The event that a delivery is foremost about, and what it names.
#[derive(Clone, Copy, Debug)]
struct Leading<'a> {
    event: &'a Event,
    names: Names,
}

/// How a delivery came.
#[derive(Debug)]
pub struct Post {
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
struct NewsDigest {
    /// The first 64 bits of SHA-256 over the length-prefixed parts. They need to tell apart the news about one entity.
    bits: i64,
    /// Whether the same digest is new news after a reopening: the body carries neither an id nor a time.
    per_cycle: bool,
}

/// What became of a delivery, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the delivery, or of the first one with the same news.
    pub delivery: i64,
    pub duplicate: bool,
    pub verdict: Verdict,
    pub reason: String,
}

/// What a batch did.
#[derive(Debug)]
pub struct Written {
    /// One for each delivery, in the order given.
    pub receipts: Vec<Receipt>,
    /// The newest position.
    pub position: i64,
    /// The numbers of the entities whose rows were written.
    pub entities: Vec<i64>,
    /// Whether a vendor asked to confirm a URL.
    pub handshakes: bool,
}

/// Writes batches, one at a time. There is one per process.
#[derive(Debug)]
pub struct Writer {
    session: Box<dyn Session>,
    repetitions: Repetitions,
    /// How many entities are kept at hand.
    at_hand: usize,
    /// Trusted as far as it is known that nobody else has written since `head`.
    cache: LruCache<Uuid, Slot>,
    head: Option<log_head::Model>,
}

impl Incoming {
    /// Reads what a verified delivery says.
    pub fn read(verified: &Verified<'_>, post: Post) -> Self {
        let delivery = Delivery { content_type: post.content_type.as_deref(), body: verified.body() };
        // An adapter that fails must cost the vendor nothing: the bytes are kept and can be read again once it is mended.
        let mut reading = catch_unwind(|| post.vendor.reading(&delivery))
            .unwrap_or_else(|_| Err(Unreadable("the adapter failed on it; please report this delivery".to_owned())))
            .map(Reading::storable)
            .map_err(|Unreadable(why)| Unreadable(storable(why)));
        if let Ok(Reading { event, .. }) = &mut reading
            && let Some((end, _)) = event.char_indices().nth(MAX_EVENT)
        {
            event.truncate(end);
        }
        let events = reading.as_ref().map(|reading| reading.events.as_slice()).unwrap_or_default();
        Incoming {
            names: events.iter().map(|event| Names::of(event, &post.source)).collect(),
            said: events.iter().map(Event::said).collect(),
            digest: NewsDigest::of(&post.source, verified.body(), reading.as_ref().ok()),
            source: post.source,
            vendor: post.vendor,
            received_at: post.received_at,
            method: post.method,
            headers: post.headers,
            body: post.body,
            reading,
            again: Again::default(),
        }
    }

    /// The first event that names a state outright, else the first; none for news about no entity.
    fn leading(&self) -> Option<Leading<'_>> {
        let events = self.reading.as_ref().ok()?.events.as_slice();
        let index = events.iter().position(|event| matches!(event.news, News::State(_))).unwrap_or(0);
        Some(Leading { event: events.get(index)?, names: *self.names.get(index)? })
    }

    /// Without the bytes it was read from: for where they are not kept once more.
    pub fn without_bytes(self) -> Self {
        Incoming { body: Bytes::new(), headers: String::new(), ..self }
    }

    /// As one of the raw log, where others were removed.
    pub(super) fn again(self, again: Again) -> Self {
        Incoming { again, ..self }
    }

    /// The public ids of all that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = Uuid> {
        self.names.iter().flat_map(|names| [Some(names.about), names.parent, names.inspection]).flatten()
    }

    /// How many bytes the vendor sent, as they are stored.
    pub fn size(&self) -> usize {
        self.body.len() + self.headers.len()
    }

    /// The name of the source it came to.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Names {
    fn of(event: &Event, source: &str) -> Self {
        Names {
            about: event.about.id(source),
            parent: event.parent.as_ref().map(|parent| parent.id(source)),
            inspection: inspection_of(event).map(|inspection| inspection.id(source)),
        }
    }
}

/// The inspection an event names, unless it is about that very inspection.
fn inspection_of(event: &Event) -> Option<Ref> {
    let inspection = event.inspection.as_deref().filter(|_| event.about.subject != Subject::Inspection)?;
    Some(Ref::new(Subject::Inspection, inspection))
}

impl NewsDigest {
    /// By the vendor's id of the news where there is one, else by the body.
    fn of(source: &str, body: &[u8], reading: Option<&Reading>) -> Self {
        let news_id = reading.and_then(|reading| reading.news_id.as_deref());
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
        NewsDigest { bits: i64::from_be_bytes(bits), per_cycle: news_id.is_none() && !timed }
    }

    /// The digest within a cycle; for news that carries its own id or time there is only the cycle 0.
    fn in_cycle(self, cycle: i32) -> i64 {
        // An odd factor (2^64 divided by the golden ratio) takes different cycles to different numbers.
        self.bits ^ i64::from(cycle).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())
    }
}

impl Writer {
    /// A writer that has read nothing yet.
    ///
    /// # Errors
    /// If the database cannot be opened once more.
    pub fn open(db: &Database) -> Result<Self, StoreError> {
        let session: Box<dyn Session> = match &db.place {
            Place::File(path) => Box::new(Sqlite::open(path, db.pools.wait, Durability::Acknowledged)?),
            Place::Server(options) => Box::new(Postgres::open(options, db.pools)?),
        };
        Ok(Writer {
            session,
            repetitions: Repetitions::Counted,
            at_hand: CACHE,
            cache: LruCache::new(CACHE),
            head: None,
        })
    }

    /// A writer for a file that can be made anew, into which the deliveries of a raw log are applied anew. Each keeps its
    /// number, also one that counts as a repetition now.
    ///
    /// # Errors
    /// If the file cannot be opened once more, or the database is none.
    pub fn scratch(db: &Database) -> Result<Self, StoreError> {
        let Place::File(path) = &db.place else {
            return Err(StoreError::Address("deliveries are applied anew in a file only".into()));
        };
        Ok(Writer {
            session: Box::new(Sqlite::open(path, db.pools.wait, Durability::Renewable)?),
            repetitions: Repetitions::Kept,
            at_hand: SCRATCH_CACHE,
            cache: LruCache::new(SCRATCH_CACHE),
            head: None,
        })
    }

    /// Writes a batch. When this returns, it is on the disk. It blocks meanwhile.
    ///
    /// # Errors
    /// If the database failed; then nothing of the batch was written.
    pub fn write(&mut self, incoming: &[Incoming]) -> Result<Written, StoreError> {
        // Whatever fails below has half-changed the cached entities.
        let cache = std::mem::replace(&mut self.cache, LruCache::new(self.at_hand));
        let known = self.head.take();
        let begun = self.session.begin(known.as_ref());
        let written = begun.and_then(|begun| self.write_all(incoming, cache, begun));
        match written {
            Ok(written) => Ok(written),
            Err(error) => {
                self.session.roll_back();
                self.write_again(incoming, known, error)
            }
        }
    }

    // Once more with the lock, where it is certain that the first time nothing was written: another writer came before, or
    // the connection was lost and the counters are still the same.
    fn write_again(
        &mut self,
        incoming: &[Incoming],
        known: Option<log_head::Model>,
        error: StoreError,
    ) -> Result<Written, StoreError> {
        let lost = error.is_lost_connection() && known.is_some();
        if !(lost || matches!(error, StoreError::Overtaken)) {
            return Err(error);
        }
        let written = self.session.begin(None).and_then(|begun| {
            if lost && known.as_ref() != Some(&begun.head) {
                return Err(error);
            }
            self.write_all(incoming, LruCache::new(self.at_hand), begun)
        });
        if written.is_err() {
            self.session.roll_back();
        }
        written
    }

    fn write_all(
        &mut self,
        incoming: &[Incoming],
        mut cache: LruCache<Uuid, Slot>,
        Begun { head, touched }: Begun,
    ) -> Result<Written, StoreError> {
        faults::at("begun");
        match touched {
            Some(touched) => touched.iter().for_each(|id| _ = cache.remove(id)),
            None => cache = LruCache::new(self.at_hand),
        }
        let mut batch = Batch::new(self.session.as_mut(), self.repetitions, head, cache);
        batch.foresee(incoming)?;
        faults::at("foreseen");
        let mut receipts = Vec::with_capacity(incoming.len());
        for delivery in incoming {
            receipts.push(batch.take(delivery)?);
        }
        faults::at("decided");
        let Done { head, cache, entities, handshakes } = batch.write()?;
        faults::at("written");
        self.session.commit()?;
        faults::at("committed");
        self.cache = cache;
        let position = head.position;
        self.head = Some(head);
        Ok(Written { receipts, position, entities, handshakes })
    }

    /// Tests whether `bytes` can be written now. Blocks.
    ///
    /// # Errors
    /// If nothing can, or not so much.
    pub fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        let probed = self.session.probe(bytes);
        if probed.is_err() {
            self.session.roll_back();
        }
        probed
    }

    /// To be called when the answers are on their way: looks after the database, where it needs that.
    pub fn rest(&mut self, deliveries: usize) {
        self.session.wrote(deliveries);
    }
}

/// The verdict and reason of a delivery that is about no entity.
fn about_nothing(nothing: &Nothing) -> (Verdict, String) {
    match nothing {
        Nothing::Unrecognized(why) => (Verdict::Unrecognized, why.clone()),
        Nothing::Known(what) => (Verdict::NoChange, what.clone()),
        Nothing::Handshake { .. } => (Verdict::Applied, "the vendor asks to confirm that the URL is ours".to_owned()),
    }
}
