//! A batch: its records are processed one after the other against the entities in memory, then all rows are written at once.
//! Each delivery is resolved, deduplicated, applied and recorded (`RecordBatch::process_delivery`), each command checked, applied and
//! recorded (`apply_command.rs`).

mod apply_command;
mod apply_events;
mod counters;
mod dedup;
mod link;
mod output;
mod working_set;

pub use dedup::DuplicatePolicy;

use super::log_record::LogRecord;
use super::prepared_delivery::{PreparedDelivery, ReplayContext};
use super::writer::{CommandReceipt, CommittedBatch, DeliveryReceipt};
use crate::command::CommandError;
use crate::event::{CachedEntity, Explanation, NoEffect, Reason, UpdatePlace};
use crate::store::{StoreError, WriteConnection};
use crate::vendor::Vendor;
use chrono::{DateTime, Utc};
use counters::Counters;
use entity::{Verdict, log_head};
use hashlink::LruCache;
use output::BatchOutput;
use std::collections::BTreeSet;
use uuid::Uuid;
use working_set::WorkingSet;

/// A batch in the making.
pub struct RecordBatch<'a> {
    connection: &'a mut dyn WriteConnection,
    duplicate_policy: DuplicatePolicy,
    /// What was read, and what has changed of it.
    working: WorkingSet,
    output: BatchOutput,
    counters: Counters,
    receipts: Vec<DeliveryReceipt>,
    command_receipts: Vec<Result<CommandReceipt, CommandError>>,
}

/// A batch whose rows are written.
pub struct FlushedBatch {
    /// As it is once it is committed.
    pub batch: CommittedBatch,
    /// The entities to keep in memory.
    pub cache: LruCache<Uuid, CachedEntity>,
    /// What the batch made obsolete in the order of updates.
    pub obsolete_places: Vec<UpdatePlace>,
}

/// A record while it is applied.
struct RecordContext<'a> {
    number: RecordNumber,
    source: &'a str,
    vendor: &'static Vendor,
    /// The vendor's name of the event; empty for a command.
    event: &'a str,
    /// The vendor's time of the delivery, if it orders.
    occurred_at: Option<DateTime<Utc>>,
    received_at: DateTime<Utc>,
    first_position: i64,
    replay: &'a ReplayContext,
}

/// The number of a record in the raw log.
#[derive(Clone, Copy)]
enum RecordNumber {
    Delivery(i64),
    Command(i64),
}

/// A delivery while its events are applied.
struct DeliveryContext<'a> {
    record: RecordContext<'a>,
    row_id: i64,
    delivery: &'a PreparedDelivery,
    /// Its original, if it is a duplicate.
    duplicate_of: Option<i64>,
}

impl<'a> RecordBatch<'a> {
    pub fn new(
        connection: &'a mut dyn WriteConnection,
        duplicate_policy: DuplicatePolicy,
        head: log_head::Model,
        cache: LruCache<Uuid, CachedEntity>,
    ) -> Self {
        RecordBatch {
            connection,
            duplicate_policy,
            working: WorkingSet::new(cache),
            output: BatchOutput::default(),
            counters: Counters::new(head),
            receipts: Vec::new(),
            command_receipts: Vec::new(),
        }
    }

    /// Loads what the records need to be decided, with few statements: the entities that they name, the dedup keys of deliveries, the
    /// deliveries that some of them seem to duplicate, and the idempotency keys of commands.
    pub fn prefetch(&mut self, records: &[LogRecord]) -> Result<(), StoreError> {
        self.working.load(self.connection, records.iter().flat_map(LogRecord::referenced_ids).collect())?;
        self.prefetch_idempotency_keys(records)?;
        let deliveries = || records.iter().filter_map(LogRecord::as_delivery);
        let primary = deliveries().filter_map(|delivery| self.working.get(delivery.primary_event()?.ids.entity));
        let unread: BTreeSet<i64> =
            primary.filter(|cached| cached.seen_keys.is_none()).map(|cached| cached.entity.row_id).collect();
        if !unread.is_empty() {
            for (row_id, keys) in self.connection.load_seen_keys(&unread.into_iter().collect::<Vec<_>>())? {
                if let Some(cached) = self.working.by_row_id_mut(row_id) {
                    cached.seen_keys = Some(keys);
                }
            }
        }
        self.prefetch_originals(deliveries())
    }

    /// Processes one of the prefetched records.
    pub fn process(&mut self, record: &LogRecord) -> Result<(), StoreError> {
        match record {
            LogRecord::Delivery(delivery) => {
                let receipt = self.process_delivery(delivery)?;
                self.receipts.push(receipt);
            }
            LogRecord::Command(command) => {
                let receipt = self.process_command(command)?;
                self.command_receipts.push(receipt);
            }
        }
        Ok(())
    }

    fn process_delivery(&mut self, delivery: &PreparedDelivery) -> Result<DeliveryReceipt, StoreError> {
        if let Some(gap) = &delivery.replay.log_gap {
            self.counters.skip_gap(gap);
        }
        let received_at = self.counters.assign_received_at(delivery.raw.received_at);
        let primary_entity = delivery.primary_event().map(|primary| primary.ids.entity);
        let dedup_key = self.working.dedup_key(delivery);
        let original = self.find_original(primary_entity, dedup_key)?;
        if let (Some(original), DuplicatePolicy::Count) = (&original, self.duplicate_policy) {
            return self.count_duplicate(delivery, received_at, original.clone());
        }
        let duplicate_of = original.map(|original| original.row_id).or(delivery.replay.duplicate_of);
        // Until a row of history has its dedup key, the working set holds it.
        let own_key = duplicate_of.is_none().then_some(dedup_key);
        self.working.pending_key = primary_entity.zip(own_key);
        let context = self.begin_delivery(delivery, received_at, duplicate_of);
        let (verdict, explanation) = self.apply(&context)?;
        Ok(self.record(&context, own_key.filter(|_| primary_entity.is_none()), verdict, explanation))
    }

    // Gives the delivery its numbers.
    fn begin_delivery<'d>(
        &mut self,
        delivery: &'d PreparedDelivery,
        received_at: i64,
        duplicate_of: Option<i64>,
    ) -> DeliveryContext<'d> {
        let row_id = self.counters.next_record(received_at);
        let received_at = DateTime::from_timestamp_micros(received_at).unwrap_or(delivery.raw.received_at);
        let (event, occurred_at) = match &delivery.parsed {
            Ok(parsed) => (parsed.event.as_str(), parsed.occurred_at.ordering(received_at).0),
            Err(_) => ("", None),
        };
        let record = RecordContext {
            number: RecordNumber::Delivery(row_id),
            source: delivery.source(),
            vendor: delivery.raw.vendor,
            event,
            occurred_at,
            received_at,
            first_position: self.counters.head.position + 1,
            replay: &delivery.replay,
        };
        DeliveryContext { record, row_id, delivery, duplicate_of }
    }

    fn apply(&mut self, context: &DeliveryContext<'_>) -> Result<(Verdict, Explanation), StoreError> {
        let (verdict, reason) = match (context.duplicate_of, &context.delivery.parsed) {
            (Some(original), _) => (Verdict::NoChange, Reason::Duplicate { delivery: original }),
            (None, Err(unreadable)) => (Verdict::Unreadable, Reason::UnreadableBody { text: unreadable.to_string() }),
            (None, Ok(parsed)) => match &parsed.no_effect {
                None => return self.apply_events(context),
                Some(NoEffect::Unrecognized(why)) => {
                    (Verdict::Unrecognized, Reason::UnrecognizedEvent { text: why.clone() })
                }
                Some(NoEffect::Recognized(what)) => (Verdict::NoChange, Reason::NotApplicable { text: what.clone() }),
                Some(NoEffect::Handshake { code }) => {
                    self.output.request_handshake(context, code);
                    (Verdict::Applied, Reason::ConfirmationRequested {})
                }
            },
        };
        Ok((verdict, reason.into()))
    }

    // Adds the delivery's own row of history if its events left none, its ledger entry, and the delivery itself.
    fn record(
        &mut self,
        context: &DeliveryContext<'_>,
        key_without_entity: Option<i64>,
        verdict: Verdict,
        explanation: Explanation,
    ) -> DeliveryReceipt {
        let record = &context.record;
        if let Some((entity, _)) = self.working.pending_key {
            self.push_only_implied(record, entity);
        } else if self.counters.head.position < record.first_position {
            self.output.push_delivery_change(self.counters.next_position(), record, verdict, &explanation);
        }
        if let Some(key) = key_without_entity {
            self.working.keys_without_entity.insert(key, context.row_id);
        }
        self.output.count_verdict(record.source, record.received_at.timestamp_micros(), verdict);
        let change_count = self.counters.head.position + 1 - record.first_position;
        self.output.push_delivery(context, key_without_entity, change_count, verdict, &explanation);
        DeliveryReceipt { delivery: context.row_id, duplicate: false, verdict, explanation }
    }

    /// Writes all rows, and deletes obsolete ones of the order of updates.
    pub fn flush(mut self, deleted_places: &[UpdatePlace]) -> Result<FlushedBatch, StoreError> {
        self.counters.finish();
        let dirty = self.working.dirty();
        let entities = dirty.iter().map(|cached| cached.entity.row_id).collect();
        let obsolete_places = dirty.iter().flat_map(|cached| cached.obsolete_places()).collect();
        let rows = self.output.rows(dirty, self.working.ids(), deleted_places, &self.counters);
        self.connection.write_rows(&rows)?;
        let handshake_requested = self.output.handshake_requested();
        let batch = CommittedBatch {
            receipts: self.receipts,
            commands: self.command_receipts,
            head: self.counters.head,
            entities,
            handshake_requested,
        };
        Ok(FlushedBatch { batch, cache: self.working.into_cache(), obsolete_places })
    }
}
