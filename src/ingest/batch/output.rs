//! The rows that a batch writes beside its entities: deliveries, history, ledger, duplicates, handshakes.

use super::counters::Counters;
use super::{DeliveryContext, RecordContext, RecordNumber};
use crate::command::IdempotencyKey;
use crate::event::{CachedEntity, EventOutcome, Explanation, UpdatePlace};
use crate::ingest::log_record::PreparedCommand;
use crate::ingest::prepared_delivery::PreparedDelivery;
use crate::machine::Kind;
use crate::store::{BatchRows, DuplicateCount, HandshakeRequest, OriginalRow};
use chrono::{DateTime, Utc};
use entity::{Verdict, change, command, delivery, idempotency_key, ledger};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Rows to write. Deliveries and changes are in the order of their numbers.
#[derive(Default)]
pub struct BatchOutput {
    deliveries: Vec<delivery::Model>,
    commands: Vec<command::Model>,
    idempotency_keys: Vec<idempotency_key::Model>,
    changes: Vec<change::Model>,
    /// Of deliveries of earlier batches.
    duplicate_counts: BTreeMap<i64, DuplicateCount>,
    ledger: BTreeMap<String, ledger::Model>,
    handshakes: Vec<HandshakeRequest>,
}

impl BatchOutput {
    /// A row of an entity's history.
    pub fn push_change(
        &mut self,
        position: i64,
        context: &RecordContext<'_>,
        cached: &CachedEntity,
        occurred_at: Option<DateTime<Utc>>,
        outcome: &EventOutcome,
        dedup_key: Option<i64>,
    ) {
        let entity = &cached.entity;
        let step = outcome.step.as_ref();
        self.changes.push(change::Model {
            entity_row_id: Some(entity.row_id),
            inspection_row_id: entity.inspection_row_id,
            from_state: outcome.from_state.clone(),
            to_state: entity.fold_state.state.clone(),
            from_status: outcome.from_status,
            to_status: entity.status,
            cycle: entity.fold_state.cycle,
            dedup_key,
            target_state: step.map(|step| step.target_state.to_owned()),
            at_least: step.is_some_and(|step| step.at_least),
            order_cycle: step.map(|step| step.key.cycle),
            order_rank: step.map_or(0, |step| step.key.rank),
            previous_step: outcome.previous_step,
            kind: entity.entity_type.kind(),
            occurred_at: occurred_at.map(|at| at.timestamp_micros()),
            ..change_row(position, context, outcome.verdict, &outcome.explanation)
        });
    }

    /// The row of history of a delivery about no entity, or without any effect.
    pub fn push_delivery_change(
        &mut self,
        position: i64,
        context: &RecordContext<'_>,
        verdict: Verdict,
        explanation: &Explanation,
    ) {
        self.changes.push(change_row(position, context, verdict, explanation));
    }

    pub fn push_delivery(
        &mut self,
        context: &DeliveryContext<'_>,
        dedup_key: Option<i64>,
        change_count: i64,
        verdict: Verdict,
        explanation: &Explanation,
    ) {
        let PreparedDelivery { raw, payload, .. } = context.delivery;
        let record = &context.record;
        self.deliveries.push(delivery::Model {
            row_id: context.row_id,
            source: raw.source.to_string(),
            vendor: raw.vendor.name.to_owned(),
            received_at: record.received_at.timestamp_micros(),
            method: raw.method.to_owned(),
            dedup_key,
            event: record.event.to_owned(),
            occurred_at: record.occurred_at.map(|at| at.timestamp_micros()),
            verdict,
            reason_code: explanation.reason.code(),
            reason_params: explanation.params_column(),
            warnings: explanation.warnings_column(),
            duplicate_of: context.duplicate_of,
            first_position: record.first_position,
            change_count: i32::try_from(change_count).unwrap_or(i32::MAX),
            dictionary_id: payload.dictionary_id,
            duplicates: 0,
            last_duplicate_at: None,
            body_size: payload.body_size,
            headers: payload.headers.clone(),
            body: payload.body.clone(),
        });
    }

    pub fn push_command(
        &mut self,
        context: &RecordContext<'_>,
        row_id: i64,
        PreparedCommand { command, .. }: &PreparedCommand,
        (entity_row_id, target_row_id): (Option<i64>, Option<i64>),
        input: String,
        change_count: i64,
    ) {
        let received_at = context.received_at.timestamp_micros();
        self.commands.push(command::Model {
            row_id,
            kind: command.act.kind(),
            source: command.source.clone(),
            vendor: command.vendor.name.to_owned(),
            received_at,
            entity_row_id,
            target_row_id,
            actor: command.actor.clone(),
            reason: command.reason.clone(),
            input,
            first_position: context.first_position,
            change_count: i32::try_from(change_count).unwrap_or(i32::MAX),
        });
        if let Some(IdempotencyKey { digest, input_digest }) = command.idempotency.clone() {
            let created_at = received_at;
            let key = idempotency_key::Model { digest, input_digest, command_row_id: row_id, created_at };
            self.idempotency_keys.push(key);
        }
    }

    pub fn request_handshake(&mut self, context: &DeliveryContext<'_>, code: &str) {
        self.handshakes.push(HandshakeRequest {
            source: context.delivery.source().to_owned(),
            code: code.to_owned(),
            requested_at: context.record.received_at.timestamp_micros(),
        });
    }

    pub fn handshake_requested(&self) -> bool {
        !self.handshakes.is_empty()
    }

    pub fn count_verdict(&mut self, source: &str, received_at: i64, verdict: Verdict) {
        *self.ledger_row(source, received_at).count_mut(verdict) += 1;
    }

    /// Counts a duplicate of a delivery, of this batch or an earlier one.
    pub fn count_duplicate(&mut self, source: &str, received_at: i64, original: i64) {
        self.ledger_row(source, received_at).duplicates += 1;
        let in_batch = self.deliveries.binary_search_by_key(&original, |delivery| delivery.row_id).ok();
        match in_batch.and_then(|index| self.deliveries.get_mut(index)) {
            Some(delivery) => {
                delivery.duplicates += 1;
                delivery.last_duplicate_at = Some(received_at);
            }
            None => {
                let empty = DuplicateCount { row_id: original, count: 0, last_at: received_at };
                let duplicates = self.duplicate_counts.entry(original).or_insert(empty);
                duplicates.count += 1;
                duplicates.last_at = received_at.max(duplicates.last_at);
            }
        }
    }

    /// A delivery of this batch, as the original of a duplicate.
    pub fn original(&self, row_id: i64) -> Option<OriginalRow> {
        let index = self.deliveries.binary_search_by_key(&row_id, |delivery| delivery.row_id).ok()?;
        let delivery = self.deliveries.get(index)?;
        Some(OriginalRow {
            row_id,
            verdict: delivery.verdict,
            reason_code: delivery.reason_code,
            reason_params: delivery.reason_params.clone(),
            warnings: delivery.warnings.clone(),
        })
    }

    /// A row of history that this batch adds.
    pub fn change_at(&self, position: i64) -> Option<&change::Model> {
        let index = self.changes.binary_search_by_key(&position, |change| change.position).ok()?;
        self.changes.get(index)
    }

    pub fn rows<'r>(
        &'r self,
        entities: Vec<&'r CachedEntity>,
        invalidated: Vec<Uuid>,
        obsolete_places: &'r [UpdatePlace],
        counters: &'r Counters,
    ) -> BatchRows<'r> {
        BatchRows {
            entities,
            invalidated,
            deliveries: &self.deliveries,
            commands: &self.commands,
            idempotency_keys: &self.idempotency_keys,
            changes: &self.changes,
            duplicate_counts: self.duplicate_counts.values().collect(),
            ledger: self.ledger.values().collect(),
            handshakes: &self.handshakes,
            obsolete_places,
            head_before: &counters.before,
            head: &counters.head,
        }
    }

    fn ledger_row(&mut self, source: &str, received_at: i64) -> &mut ledger::Model {
        let empty = || ledger::Model { source: source.to_owned(), ..ledger::Model::default() };
        let ledger = self.ledger.entry(source.to_owned()).or_insert_with(empty);
        ledger.received += 1;
        ledger.received_at = ledger.received_at.max(Some(received_at));
        ledger
    }
}

// A row of history about no entity.
fn change_row(
    position: i64,
    context: &RecordContext<'_>,
    verdict: Verdict,
    explanation: &Explanation,
) -> change::Model {
    change::Model {
        position,
        kind: Kind::Delivery,
        entity_row_id: None,
        inspection_row_id: None,
        delivery_row_id: match context.number {
            RecordNumber::Delivery(row_id) => Some(row_id),
            RecordNumber::Command(_) => None,
        },
        command_row_id: match context.number {
            RecordNumber::Delivery(_) => None,
            RecordNumber::Command(row_id) => Some(row_id),
        },
        source: Some(context.source.to_owned()),
        vendor: Some(context.vendor.name.to_owned()),
        event: context.event.to_owned(),
        verdict,
        reason_code: explanation.reason.code(),
        reason_params: explanation.params_column(),
        warnings: explanation.warnings_column(),
        from_state: None,
        to_state: None,
        from_status: None,
        to_status: None,
        cycle: 0,
        occurred_at: context.occurred_at.map(|at| at.timestamp_micros()),
        received_at: context.received_at.timestamp_micros(),
        dedup_key: None,
        target_state: None,
        at_least: false,
        order_cycle: None,
        order_rank: 0,
        previous_step: None,
    }
}
