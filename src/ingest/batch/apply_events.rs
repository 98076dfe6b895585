//! Applies the events of a delivery to the entities that they name: creates those not known yet, links what belongs together.

use super::{DeliveryContext, RecordBatch, RecordContext};
use crate::event::{
    Arrival, CachedEntity, EntityRef, Event, EventOutcome, Explanation, FieldValue, FoldedEntity, ParentLink, Reason,
    StateClaim, VersionedFields, apply, has_effect,
};
use crate::ingest::prepared_delivery::PreparedEvent;
use crate::machine::EntityType;
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use entity::Verdict;
use uuid::Uuid;

impl RecordBatch<'_> {
    /// The verdict is that of the first explicit event with an effect, else of the first explicit event, else of the first event.
    pub(super) fn apply_events(&mut self, context: &DeliveryContext<'_>) -> Result<(Verdict, Explanation), StoreError> {
        let mut explicit: Option<(Verdict, Explanation)> = None;
        let mut implied: Option<(Verdict, Explanation)> = None;
        let (delivery, context) = (context.delivery, &context.record);
        for PreparedEvent { event, ids, fields } in &delivery.events {
            let parent = match (&event.parent, ids.parent) {
                (Some(parent), Some(id)) => self.ensure_entity(context, parent, id, event)?,
                _ => None,
            };
            let inspection = match ids.inspection {
                Some(id) => self.ensure_inspection(context, id, event)?,
                None => parent.and_then(|parent| self.working.by_row_id(parent)?.entity.vendor_inspection()),
            };
            if context.replay.purged_entities.contains(&ids.entity) {
                continue;
            }
            let Some(outcome) = self.apply_event(context, (event, fields), ids.entity, parent, inspection)? else {
                continue;
            };
            let verdict = outcome.verdict;
            let result = Some((verdict, outcome.explanation));
            match event.state_claim {
                StateClaim::AtLeast(_) | StateClaim::ReopenRequested => implied = implied.or(result),
                StateClaim::Exact(_) | StateClaim::FactsOnly => {
                    let without_effect = explicit.as_ref().is_none_or(|(verdict, _)| !has_effect(*verdict));
                    let is_better = without_effect && has_effect(verdict);
                    explicit = if is_better { result } else { explicit.or(result) };
                }
            }
        }
        Ok(explicit.or(implied).unwrap_or_else(|| (Verdict::NoChange, Reason::OnlyImplied {}.into())))
    }

    /// The `row_id` of an entity that an event names. A new one begins in its machine's first state. `None` if it was purged and must
    /// not be created.
    fn ensure_entity(
        &mut self,
        context: &RecordContext<'_>,
        named: &EntityRef,
        id: Uuid,
        by: &Event,
    ) -> Result<Option<i64>, StoreError> {
        if context.replay.purged_entities.contains(&id) {
            return Ok(None);
        }
        if let Some(cached) = self.working.get(id) {
            let fold_state = &cached.entity.fold_state;
            let (at, _) = by.occurred_at.ordering(context.received_at);
            let existed_then = fold_state.has_untimed
                || at.is_none_or(|at| fold_state.earliest_time.is_some_and(|first| first <= at.timestamp_micros()));
            if (existed_then && !fold_state.only_registered) || cached.machine.is_none() {
                return Ok(Some(cached.entity.row_id));
            }
            // The event shows that the entity existed earlier than known: its first state gets an earlier time.
        }
        let first = Event::new(named.entity_type, named.external_id.as_str()).occurred_at(&by.occurred_at);
        let first = match context.vendor.machine(named.entity_type).and_then(|machine| machine.states.first()) {
            Some(state) => first.at_least(state.name),
            None => first,
        };
        let inspection = match &by.inspection_external_id {
            Some(inspection) if named.entity_type != EntityType::Inspection => {
                let id = EntityRef::new(EntityType::Inspection, inspection.as_str()).id(context.source);
                self.ensure_inspection(context, id, by)?
            }
            _ => None,
        };
        self.apply_event(context, (&first, &[]), id, None, inspection)?;
        Ok(self.working.get(id).map(|cached| cached.entity.row_id))
    }

    fn ensure_inspection(
        &mut self,
        context: &RecordContext<'_>,
        id: Uuid,
        by: &Event,
    ) -> Result<Option<i64>, StoreError> {
        let named = EntityRef::new(EntityType::Inspection, by.inspection_external_id.as_deref().unwrap_or_default());
        self.ensure_entity(context, &named, id, by)
    }

    fn apply_event(
        &mut self,
        context: &RecordContext<'_>,
        (event, fields): (&Event, &[FieldValue]),
        id: Uuid,
        parent: Option<i64>,
        inspection: Option<i64>,
    ) -> Result<Option<EventOutcome>, StoreError> {
        if self.working.get(id).is_none() {
            let cached = self.new_entity(context, &event.entity, id);
            self.working.insert(cached);
        }
        let parent_link = parent.and_then(|parent| Some(ParentLink::from(&self.working.by_row_id(parent)?.entity)));
        let Some(cached) = self.working.get_mut(id) else { return Ok(None) };
        let row_id = cached.entity.row_id;
        let arrival = Arrival {
            position: self.counters.head.position + 1,
            received_at: context.received_at,
            parent_row_id: parent,
            parent_link,
            inspection_row_id: inspection.or((event.entity.entity_type == EntityType::Inspection).then_some(row_id)),
        };
        let was_unlinked = cached.entity.position > 0 && cached.entity.inspection_row_id.is_none();
        let linked_by = |cached: &CachedEntity| cached.entity.hand_link.map(|link| link.linked_row_id);
        let was_linked_by = linked_by(cached);
        let outcome = match apply(cached, event, fields, &arrival) {
            Ok(outcome) => outcome,
            // A late event: the steps are loaded, and then the history is there.
            Err(_) => {
                if let Some(machine) = cached.machine {
                    let steps = self.connection.load_steps(machine, &cached.entity)?;
                    cached.set_stored_steps(steps);
                }
                apply(cached, event, fields, &arrival).unwrap_or_default()
            }
        };
        let is_newly_linked = was_unlinked && cached.entity.inspection_row_id.is_some();
        let follows_hand_link = was_linked_by != linked_by(cached);
        if let Some(outcome) = &outcome {
            self.push_change(context, id, event.occurred_at.ordering(context.received_at).0, outcome);
        }
        if follows_hand_link {
            let parts = self.load_parts(id, usize::MAX)?.unwrap_or_default();
            self.move_parts(context, &parts);
        } else if is_newly_linked {
            self.link_descendants(context, row_id)?;
        }
        Ok(outcome)
    }

    pub(super) fn new_entity(&mut self, context: &RecordContext<'_>, of: &EntityRef, id: Uuid) -> CachedEntity {
        let vendor = context.vendor;
        let entity = FoldedEntity {
            row_id: self.counters.next_entity(),
            id,
            entity_type: of.entity_type,
            source: context.source.to_owned(),
            vendor: vendor.name,
            external_id: of.external_id.clone(),
            parent_row_id: None,
            inspection_row_id: None,
            hand_link: None,
            reference: None,
            annotations: Default::default(),
            group: None,
            status: None,
            fields: VersionedFields::default(),
            fold_state: Default::default(),
            steps_materialized: false,
            created_at: context.received_at,
            updated_at: context.received_at,
            occurred_at: None,
            position: 0,
        };
        CachedEntity::new(entity, vendor.machine(of.entity_type))
    }

    // All that belongs to an entity which has just been linked to its inspection belongs to that inspection, too.
    fn link_descendants(&mut self, context: &RecordContext<'_>, parent: i64) -> Result<(), StoreError> {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            let inspection = self.working.by_row_id(parent).and_then(|cached| cached.entity.inspection_row_id);
            if inspection.is_none() {
                continue;
            }
            let stored = self.connection.unlinked_children(parent)?;
            self.working.load(self.connection, stored.into_iter().collect())?;
            for id in self.working.unlinked_children(parent) {
                let Some(cached) = self.working.get_mut(id) else { continue };
                cached.entity.inspection_row_id = inspection;
                cached.entity.position = self.counters.head.position + 1;
                cached.entity.updated_at = context.received_at;
                cached.links_changed = true;
                cached.dirty = true;
                parents.push(cached.entity.row_id);
                let outcome = without_step(cached, Verdict::Applied, Reason::LinkedByParent {});
                self.push_change(context, id, None, &outcome);
            }
        }
        Ok(())
    }

    /// A row of history of the primary entity, for a delivery whose events left none there: its dedup key is looked up in it.
    pub(super) fn push_only_implied(&mut self, context: &RecordContext<'_>, id: Uuid) {
        let Some(cached) = self.working.get(id) else { return };
        let outcome = without_step(cached, Verdict::NoChange, Reason::OnlyImplied {});
        self.push_change(context, id, context.occurred_at, &outcome);
    }

    pub(super) fn push_change(
        &mut self,
        context: &RecordContext<'_>,
        id: Uuid,
        occurred_at: Option<DateTime<Utc>>,
        outcome: &EventOutcome,
    ) {
        let dedup_key = self.working.pending_key.take_if(|(entity, _)| *entity == id).map(|(_, key)| key);
        let Some(cached) = self.working.get_mut(id) else { return };
        let position = self.counters.next_position();
        if let (Some(seen), Some(key)) = (&mut cached.seen_keys, dedup_key) {
            seen.insert(key, position);
        }
        self.output.push_change(position, context, cached, occurred_at, outcome, dedup_key);
    }
}

/// A change of an entity that is no step of its fold.
pub(super) fn without_step(cached: &CachedEntity, verdict: Verdict, reason: Reason) -> EventOutcome {
    EventOutcome {
        verdict,
        explanation: reason.into(),
        from_state: cached.entity.fold_state.state.clone(),
        from_status: cached.entity.status,
        step: None,
        previous_step: cached.last_step_position(),
    }
}
