//! Duplicates: whether a delivery's dedup key was seen before, and what happens then.
//!
//! A key is looked up in the history of the entity that the delivery is primarily about, so that the look-up touches the rows of
//! that entity, however many deliveries there are. Deliveries about no entity have an index of their keys.

use super::working_set::WorkingSet;
use super::{DeliveryReceipt, RecordBatch};
use crate::event::{Explanation, StateClaim};
use crate::ingest::prepared_delivery::{PreparedDelivery, PreparedEvent};
use crate::machine::START;
use crate::store::{OriginalRow, StoreError};
use uuid::Uuid;

/// What happens to a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// It is counted on the original.
    Count,
    /// It remains a delivery without effect. For a replay, in which each delivery keeps its number.
    Keep,
}

impl RecordBatch<'_> {
    // By the entities as they are before the batch. If a delivery of the batch changes the key, the original is loaded then.
    pub(super) fn prefetch_originals<'d>(
        &mut self,
        deliveries: impl Iterator<Item = &'d PreparedDelivery>,
    ) -> Result<(), StoreError> {
        let (mut positions, mut keys) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let dedup_key = self.working.dedup_key(delivery);
            match delivery.primary_event() {
                Some(primary) => positions.extend(self.working.seen_at(primary.ids.entity, dedup_key)),
                None => keys.push(dedup_key),
            }
        }
        if !positions.is_empty() {
            self.working.originals_by_position = self.connection.originals_by_position(&positions)?;
        }
        if !keys.is_empty() {
            self.working.originals_by_key = self.connection.originals_by_key(&keys)?;
        }
        Ok(())
    }

    /// The delivery with the same dedup key, if there is one.
    pub(super) fn find_original(
        &mut self,
        primary_entity: Option<Uuid>,
        dedup_key: i64,
    ) -> Result<Option<OriginalRow>, StoreError> {
        let Some(id) = primary_entity else {
            return Ok(match self.working.keys_without_entity.get(&dedup_key) {
                Some(row_id) => self.output.original(*row_id),
                None => self.working.originals_by_key.get(&dedup_key).cloned(),
            });
        };
        let Some(position) = self.working.seen_at(id, dedup_key) else { return Ok(None) };
        if let Some(change) = self.output.change_at(position) {
            return Ok(change.delivery_row_id.and_then(|row_id| self.output.original(row_id)));
        }
        match self.working.originals_by_position.get(&position) {
            Some(original) => Ok(Some(original.clone())),
            None => Ok(self.connection.originals_by_position(&[position])?.remove(&position)),
        }
    }

    /// Counts a duplicate on its original, whose verdict and reason it gets.
    pub(super) fn count_duplicate(
        &mut self,
        delivery: &PreparedDelivery,
        received_at: i64,
        original: OriginalRow,
    ) -> Result<DeliveryReceipt, StoreError> {
        self.output.count_duplicate(delivery.source(), received_at, original.row_id);
        let OriginalRow { row_id, verdict, reason_code, reason_params, warnings } = original;
        let explanation = Explanation::from_columns(reason_code, reason_params.as_deref(), warnings.as_deref())
            .map_err(|error| StoreError::Corrupt(format!("the reason of delivery {row_id}: {error}")))?;
        Ok(DeliveryReceipt { delivery: row_id, duplicate: true, verdict, explanation })
    }
}

impl WorkingSet {
    /// The dedup key as the entities are now.
    pub fn dedup_key(&self, delivery: &PreparedDelivery) -> i64 {
        delivery.dedup_key.for_cycle(self.dedup_cycle(delivery))
    }

    /// The cycle of the primary entity within which equal bytes are duplicates: after a reopening they are a new event.
    fn dedup_cycle(&self, delivery: &PreparedDelivery) -> i32 {
        let primary = if delivery.dedup_key.per_cycle { delivery.primary_event() } else { None };
        let Some(PreparedEvent { event, ids, .. }) = primary else { return 0 };
        let StateClaim::Exact(word) = &event.state_claim else {
            return self.get(ids.entity).map_or(0, |cached| cached.entity.fold_state.cycle);
        };
        let Some(cached) = self.get(ids.entity) else {
            let machine = delivery.raw.vendor.machine(event.entity.entity_type);
            let reopens = machine.and_then(|machine| machine.path(START, word)).is_some_and(|path| path.reopens);
            return i32::from(reopens);
        };
        let fold_state = &cached.entity.fold_state;
        match cached.machine.and_then(|machine| Some((machine, machine.state(word)?))) {
            Some((machine, to)) => fold_state.order_key(machine, to, false, None, 0).cycle,
            None => fold_state.cycle,
        }
    }

    /// The position at which the history of an entity has this key.
    fn seen_at(&self, entity: Uuid, dedup_key: i64) -> Option<i64> {
        self.get(entity)?.seen_keys.as_ref()?.get(&dedup_key).copied()
    }
}
