//! Whether a delivery's news has come before, and what then.

use super::super::prepared_delivery::{PreparedDelivery, PrimaryEvent};
use super::super::writer::DeliveryReceipt;
use super::DeliveryBatch;
use crate::event::{Event, StateClaim};
use crate::machine::START;
use crate::store::{OriginalDelivery, StoreError};
use crate::vendor::Vendor;
use std::collections::HashMap;
use uuid::Uuid;

/// What is done with a delivery that repeats another's news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// It is counted on the first one.
    Count,
    /// It stays a delivery, which changes nothing: so when the raw log is applied anew, where each has its number.
    Keep,
}

/// Deliveries of earlier batches that some of this one seem to repeat.
#[derive(Default)]
pub struct PrefetchedOriginals {
    /// By the positions of the rows of history that have the news.
    pub by_position: HashMap<i64, OriginalDelivery>,
    /// By the news, if it is about no entity.
    pub by_key: HashMap<i64, OriginalDelivery>,
}

impl DeliveryBatch<'_> {
    // As the entities stand before the batch. What turns out otherwise is looked up then.
    pub(super) fn prefetch_originals(&mut self, deliveries: &[PreparedDelivery]) -> Result<(), StoreError> {
        let (mut positions, mut about_nothing) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let leading = delivery.primary_event();
            let dedup_key = delivery.dedup_key.for_cycle(self.dedup_cycle(delivery, leading));
            match leading {
                Some(leading) => positions.extend(self.seen_at(leading.ids.entity, dedup_key)),
                None => about_nothing.push(dedup_key),
            }
        }
        if !positions.is_empty() {
            self.originals.by_position = self.connection.originals_by_position(&positions)?;
        }
        if !about_nothing.is_empty() {
            self.originals.by_key = self.connection.originals_by_key(&about_nothing)?;
        }
        Ok(())
    }

    // Within which cycle of its leading entity the same bytes are the same news.
    pub(super) fn dedup_cycle(&self, incoming: &PreparedDelivery, leading: Option<PrimaryEvent<'_>>) -> i32 {
        let Some(PrimaryEvent { event, ids: names }) = leading.filter(|_| incoming.dedup_key.per_cycle) else {
            return 0;
        };
        let Some(slot) = self.entities.get(&names.entity) else {
            return initial_cycle(incoming.vendor, event);
        };
        let fold_state = &slot.entity.fold_state;
        match (&event.state_claim, slot.machine) {
            (StateClaim::Exact(word), Some(machine)) => match machine.state(word) {
                Some(to) => fold_state.order_key(machine, to, false, None, 0).cycle,
                None => fold_state.cycle,
            },
            _ => fold_state.cycle,
        }
    }

    // The delivery that brought the same news. It is known by the history of the entity that the news is about, so that
    // the look-up stays where that entity's rows are, however many deliveries there are.
    pub(super) fn find_original(
        &mut self,
        about: Option<Uuid>,
        dedup_key: i64,
    ) -> Result<Option<OriginalDelivery>, StoreError> {
        let Some(id) = about else {
            return Ok(match self.keys_without_entity.get(&dedup_key) {
                Some(number) => self.original_in_batch(*number),
                None => self.originals.by_key.get(&dedup_key).cloned(),
            });
        };
        let Some(position) = self.seen_at(id, dedup_key) else { return Ok(None) };
        if let Ok(here) = self.changes.binary_search_by_key(&position, |change| change.position) {
            let number = self.changes.get(here).map_or(0, |change| change.delivery_row_id);
            return Ok(self.original_in_batch(number));
        }
        match self.originals.by_position.get(&position) {
            Some(first) => Ok(Some(first.clone())),
            None => Ok(self.connection.originals_by_position(&[position])?.remove(&position)),
        }
    }

    // The position at which the history of an entity has this news.
    pub(super) fn seen_at(&self, about: Uuid, dedup_key: i64) -> Option<i64> {
        self.entities.get(&about)?.seen_keys.as_ref()?.get(&dedup_key).copied()
    }

    // The deliveries of this batch stand in the order of their numbers.
    fn original_in_batch(&self, number: i64) -> Option<OriginalDelivery> {
        let here = self.deliveries.binary_search_by_key(&number, |delivery| delivery.row_id).ok()?;
        let delivery = self.deliveries.get(here)?;
        Some(OriginalDelivery { number, verdict: delivery.verdict, reason: delivery.reason.clone() })
    }

    pub(super) fn count_duplicate(
        &mut self,
        incoming: &PreparedDelivery,
        at: i64,
        first: OriginalDelivery,
    ) -> DeliveryReceipt {
        // The deliveries of this batch stand in the order of their numbers.
        let here = self.deliveries.binary_search_by_key(&first.number, |delivery| delivery.row_id).ok();
        match here.and_then(|here| self.deliveries.get_mut(here)) {
            Some(delivery) => {
                delivery.duplicates += 1;
                delivery.last_duplicate_at = Some(at);
            }
            None => {
                let (count, latest) = self.duplicate_counts.entry(first.number).or_default();
                *count += 1;
                *latest = at.max(*latest);
            }
        }
        let ledger = self.ledger_row(incoming, at);
        ledger.duplicates += 1;
        DeliveryReceipt { delivery: first.number, duplicate: true, verdict: first.verdict, reason: first.reason }
    }
}

// The cycle of news about an entity that is not known yet.
fn initial_cycle(vendor: &Vendor, event: &Event) -> i32 {
    let (StateClaim::Exact(word), Some(machine)) = (&event.state_claim, vendor.machine(event.entity.entity_type))
    else {
        return 0;
    };
    let reopens = machine.path(START, word).is_some_and(|path| path.reopens);
    i32::from(reopens)
}
