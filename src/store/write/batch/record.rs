//! The rows of history that a delivery leaves, and its place in the ledger.

use super::super::Incoming;
use super::{Batch, Context, IMPLIED};
use crate::event::{Change, Slot};
use crate::machine::Kind;
use chrono::{DateTime, Utc};
use entity::{Verdict, change, ledger};
use uuid::Uuid;

impl Batch<'_> {
    pub(super) fn record(&mut self, context: &Context<'_>, id: Uuid, at: Option<DateTime<Utc>>, change: &Change) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        self.head.position += 1;
        let position = self.head.position;
        let news = self.untold.take_if(|(about, _)| *about == id).map(|(_, news)| news);
        if let (Some(known), Some(news)) = (&mut slot.known_news, news) {
            known.insert(news, position);
        }
        let entity = &slot.entity;
        let step = change.step.as_ref();
        self.changes.push(change::Model {
            position,
            kind: entity.subject.kind(),
            entity: Some(entity.number),
            inspection: entity.inspection,
            delivery: context.delivery,
            source: context.source.to_owned(),
            vendor: context.vendor.name.to_owned(),
            event: context.event.to_owned(),
            verdict: change.verdict,
            reason: change.reason.clone(),
            from_state: change.from_state.clone(),
            to_state: entity.tip.state.clone(),
            from_status: change.from_status,
            to_status: entity.status,
            cycle: entity.tip.cycle,
            occurred_at: at.map(|at| at.timestamp_micros()),
            received_at: context.received_at.timestamp_micros(),
            news,
            named_state: step.map(|step| step.to.to_owned()),
            implied: step.is_some_and(|step| step.at_least),
            placed_cycle: step.map_or(0, |step| step.key.cycle),
            placed_rank: step.map_or(0, |step| step.key.rank),
            step_before: change.step_before,
        });
    }

    // Every delivery leaves at least one row of history, and one where its news is looked for.
    pub(super) fn record_rest(
        &mut self,
        context: &Context<'_>,
        at: Option<DateTime<Utc>>,
        verdict: Verdict,
        reason: &str,
    ) {
        if let Some((about, _)) = self.untold {
            let slot = self.slots.get(&about);
            let change = Change {
                verdict: Verdict::NoChange,
                reason: IMPLIED.to_owned(),
                from_state: slot.and_then(|slot| slot.entity.tip.state.clone()),
                from_status: slot.and_then(|slot| slot.entity.status),
                step: None,
                step_before: slot.and_then(Slot::last_step),
            };
            return self.record(context, about, at, &change);
        }
        self.head.position += 1;
        self.changes.push(change::Model {
            position: self.head.position,
            kind: Kind::Delivery,
            entity: None,
            inspection: None,
            delivery: context.delivery,
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
            news: None,
            named_state: None,
            implied: false,
            placed_cycle: 0,
            placed_rank: 0,
            step_before: None,
        });
    }

    pub(super) fn count(&mut self, incoming: &Incoming, at: i64, verdict: Verdict) {
        let ledger = self.ledger_of(incoming, at);
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

    pub(super) fn ledger_of(&mut self, incoming: &Incoming, at: i64) -> &mut ledger::Model {
        let ledger = self.ledger.entry(incoming.source.to_string()).or_default();
        if ledger.source.is_empty() {
            ledger.source = incoming.source.to_string();
        }
        ledger.received += 1;
        ledger.received_at = ledger.received_at.max(Some(at));
        ledger
    }
}
