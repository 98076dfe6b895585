//! The rows of history that a delivery leaves, and its place in the ledger.

use super::super::prepared_delivery::PreparedDelivery;
use super::{DeliveryBatch, DeliveryContext, IMPLIED_REASON};
use crate::event::{CachedEntity, EventOutcome};
use crate::machine::Kind;
use chrono::{DateTime, Utc};
use entity::{Verdict, change, ledger};
use uuid::Uuid;

impl DeliveryBatch<'_> {
    pub(super) fn push_change(
        &mut self,
        context: &DeliveryContext<'_>,
        id: Uuid,
        at: Option<DateTime<Utc>>,
        change: &EventOutcome,
    ) {
        let Some(slot) = self.entities.get_mut(&id) else { return };
        self.head.position += 1;
        let position = self.head.position;
        let news = self.pending_key.take_if(|(about, _)| *about == id).map(|(_, news)| news);
        if let (Some(known), Some(news)) = (&mut slot.seen_keys, news) {
            known.insert(news, position);
        }
        let entity = &slot.entity;
        let step = change.step.as_ref();
        self.changes.push(change::Model {
            position,
            kind: entity.entity_type.kind(),
            entity_row_id: Some(entity.row_id),
            inspection_row_id: entity.inspection_row_id,
            delivery_row_id: context.delivery,
            source: context.source.to_owned(),
            vendor: context.vendor.name.to_owned(),
            event: context.event.to_owned(),
            verdict: change.verdict,
            reason: change.reason.clone(),
            from_state: change.from_state.clone(),
            to_state: entity.fold_state.state.clone(),
            from_status: change.from_status,
            to_status: entity.status,
            cycle: entity.fold_state.cycle,
            occurred_at: at.map(|at| at.timestamp_micros()),
            received_at: context.received_at.timestamp_micros(),
            dedup_key: news,
            target_state: step.map(|step| step.target_state.to_owned()),
            at_least: step.is_some_and(|step| step.at_least),
            order_cycle: step.map_or(0, |step| step.key.cycle),
            order_rank: step.map_or(0, |step| step.key.rank),
            previous_step: change.previous_step,
        });
    }

    // Every delivery leaves at least one row of history, and one where its news is looked for.
    pub(super) fn push_delivery_change(
        &mut self,
        context: &DeliveryContext<'_>,
        at: Option<DateTime<Utc>>,
        verdict: Verdict,
        reason: &str,
    ) {
        if let Some((about, _)) = self.pending_key {
            let slot = self.entities.get(&about);
            let change = EventOutcome {
                verdict: Verdict::NoChange,
                reason: IMPLIED_REASON.to_owned(),
                from_state: slot.and_then(|slot| slot.entity.fold_state.state.clone()),
                from_status: slot.and_then(|slot| slot.entity.status),
                step: None,
                previous_step: slot.and_then(CachedEntity::last_step_position),
            };
            return self.push_change(context, about, at, &change);
        }
        self.head.position += 1;
        self.changes.push(change::Model {
            position: self.head.position,
            kind: Kind::Delivery,
            entity_row_id: None,
            inspection_row_id: None,
            delivery_row_id: context.delivery,
            source: context.source.to_owned(),
            vendor: context.vendor.name.to_owned(),
            event: context.event.to_owned(),
            verdict,
            reason: reason.to_owned(),
            from_state: None,
            to_state: None,
            from_status: None,
            to_status: None,
            cycle: 0,
            occurred_at: at.map(|at| at.timestamp_micros()),
            received_at: context.received_at.timestamp_micros(),
            dedup_key: None,
            target_state: None,
            at_least: false,
            order_cycle: 0,
            order_rank: 0,
            previous_step: None,
        });
    }

    pub(super) fn count_verdict(&mut self, incoming: &PreparedDelivery, at: i64, verdict: Verdict) {
        let ledger = self.ledger_row(incoming, at);
        let count = match verdict {
            Verdict::Applied => &mut ledger.applied,
            Verdict::SkippedAhead => &mut ledger.skipped_ahead,
            Verdict::Unexpected => &mut ledger.unexpected,
            Verdict::Stale => &mut ledger.stale,
            Verdict::Refused => &mut ledger.refused,
            Verdict::NoChange => &mut ledger.no_change,
            Verdict::Unrecognized => &mut ledger.unrecognized,
            Verdict::Unreadable => &mut ledger.unreadable,
            Verdict::Orphaned => &mut ledger.orphaned,
        };
        *count += 1;
    }

    pub(super) fn ledger_row(&mut self, incoming: &PreparedDelivery, at: i64) -> &mut ledger::Model {
        let ledger = self.ledger.entry(incoming.source.to_string()).or_default();
        if ledger.source.is_empty() {
            ledger.source = incoming.source.to_string();
        }
        ledger.received += 1;
        ledger.received_at = ledger.received_at.max(Some(at));
        ledger
    }
}
