//! The deliveries of one batch, one after the other, against the entities in hand; then all rows at once.

mod change_rows;
mod dedup;

pub use dedup::DuplicatePolicy;

use super::prepared_delivery::PreparedDelivery;
use super::writer::{DeliveryReceipt, no_effect_verdict};
use crate::event::{
    Arrival, CachedEntity, EntityRef, Event, EventOutcome, FieldValue, FoldedEntity, NoEffect, ParsedDelivery,
    StateClaim, VersionedFields, apply, has_effect,
};
use crate::machine::EntityType;
use crate::store::{BatchRows, StoreError, WriteConnection};
use crate::vendor::Vendor;
use chrono::{DateTime, Utc};
use dedup::PrefetchedOriginals;
use entity::{Verdict, change, delivery, ledger, log_head};
use hashlink::LruCache;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// The reason for news of which nothing is said outright.
const IMPLIED_REASON: &str = "it only implies what is known";
/// The reason for news that another delivery brought, with its number.
pub const DUPLICATE_REASON_PREFIX: &str = "the same news as delivery ";

/// A batch in the making.
pub struct DeliveryBatch<'a> {
    connection: &'a mut dyn WriteConnection,
    duplicate_policy: DuplicatePolicy,
    /// The counters, before it and now.
    head_before: log_head::Model,
    head: log_head::Model,
    cache: LruCache<Uuid, CachedEntity>,
    /// The entities this batch is about.
    entities: HashMap<Uuid, CachedEntity>,
    /// The public ids of the entities in `slots`, by number.
    ids_by_row_id: HashMap<i64, Uuid>,
    /// News about no entity that this batch brought, each with its delivery.
    keys_without_entity: HashMap<i64, i64>,
    originals: PrefetchedOriginals,
    /// The news of the delivery in hand, until a row of its leading entity's history has it.
    pending_key: Option<(Uuid, i64)>,
    deliveries: Vec<delivery::Model>,
    changes: Vec<change::Model>,
    /// How often deliveries of earlier batches came again, and when last.
    duplicate_counts: BTreeMap<i64, (i64, i64)>,
    ledger: BTreeMap<String, ledger::Model>,
    handshakes: Vec<(String, String, i64)>,
    /// How far a delivery's own time of receipt was behind the one it was given, at most.
    max_clock_lag: i64,
}

/// How far the newest time of receipt may be ahead of a delivery's own before the operator hears of it, in microseconds.
const CLOCK_LAG_WARN_MICROS: i64 = 60_000_000;

/// What a batch leaves behind.
pub struct FlushedBatch {
    pub head: log_head::Model,
    /// The entities at hand.
    pub cache: LruCache<Uuid, CachedEntity>,
    /// The numbers of those whose rows were written.
    pub entities: Vec<i64>,
    /// Whether a vendor asked to confirm a URL.
    pub handshake_requested: bool,
}

/// A delivery while its events are applied.
struct DeliveryContext<'a> {
    source: &'a str,
    vendor: &'static Vendor,
    event: &'a str,
    received_at: DateTime<Utc>,
    delivery: i64,
    /// What it names and must not make known.
    purged_entities: &'a HashSet<Uuid>,
}

impl<'a> DeliveryBatch<'a> {
    pub fn new(
        connection: &'a mut dyn WriteConnection,
        duplicate_policy: DuplicatePolicy,
        head: log_head::Model,
        cache: LruCache<Uuid, CachedEntity>,
    ) -> Self {
        DeliveryBatch {
            connection,
            duplicate_policy,
            head_before: head.clone(),
            head,
            cache,
            entities: HashMap::new(),
            ids_by_row_id: HashMap::new(),
            keys_without_entity: HashMap::new(),
            originals: PrefetchedOriginals::default(),
            pending_key: None,
            deliveries: Vec::new(),
            changes: Vec::new(),
            duplicate_counts: BTreeMap::new(),
            ledger: BTreeMap::new(),
            handshakes: Vec::new(),
            max_clock_lag: 0,
        }
    }

    /// Takes in hand what deliveries name and what is known of it, all at once.
    pub fn prefetch(&mut self, deliveries: &[PreparedDelivery]) -> Result<(), StoreError> {
        self.load(deliveries.iter().flat_map(PreparedDelivery::referenced_ids).collect())?;
        let leading = deliveries.iter().filter_map(|delivery| self.entities.get(&delivery.primary_event()?.ids.entity));
        let unread = leading.filter(|slot| slot.seen_keys.is_none()).map(|slot| slot.entity.row_id);
        let unread: BTreeSet<i64> = unread.collect();
        if !unread.is_empty() {
            for (number, news) in self.connection.load_seen_keys(&unread.into_iter().collect::<Vec<_>>())? {
                if let Some(slot) = self.ids_by_row_id.get(&number).and_then(|id| self.entities.get_mut(id)) {
                    slot.seen_keys = Some(news);
                }
            }
        }
        self.prefetch_originals(deliveries)
    }

    // Takes entities in hand, as far as they are stored.
    fn load(&mut self, mut ids: HashSet<Uuid>) -> Result<(), StoreError> {
        for id in &ids {
            if let Some(slot) = self.cache.remove(id) {
                self.insert_entity(slot);
            }
        }
        ids.retain(|id| !self.entities.contains_key(id));
        if ids.is_empty() {
            return Ok(());
        }
        for entity in self.connection.load_entities(&ids.into_iter().collect::<Vec<_>>())? {
            let machine = crate::vendor::by_name(entity.vendor).and_then(|vendor| vendor.machine(entity.entity_type));
            self.insert_entity(CachedEntity::from_stored(entity, machine));
        }
        Ok(())
    }

    fn insert_entity(&mut self, slot: CachedEntity) {
        self.ids_by_row_id.insert(slot.entity.row_id, slot.entity.id);
        self.entities.insert(slot.entity.id, slot);
    }

    /// Takes one delivery that was foreseen: is it new, what does each of its events do.
    pub fn process_delivery(&mut self, incoming: &PreparedDelivery) -> Result<DeliveryReceipt, StoreError> {
        if let Some(gap) = &incoming.replay.log_gap {
            self.head.last_delivery_row_id = gap.next_delivery_row_id - 1;
            self.head.position = self.head.position.max(gap.last_position);
            self.head.last_entity_row_id = self.head.last_entity_row_id.max(gap.last_entity_row_id);
        }
        let received_at = self.assign_received_at(incoming.received_at);
        let leading = incoming.primary_event();
        let dedup_key = incoming.dedup_key.for_cycle(self.dedup_cycle(incoming, leading));
        let first = self.find_original(leading.map(|leading| leading.ids.entity), dedup_key)?;
        let first = match (first, self.duplicate_policy) {
            (Some(first), DuplicatePolicy::Count) => return Ok(self.count_duplicate(incoming, received_at, first)),
            (first, _) => first.map(|first| first.number).or(incoming.replay.duplicate_of),
        };
        self.pending_key = leading.filter(|_| first.is_none()).map(|leading| (leading.ids.entity, dedup_key));
        self.head.received_at = received_at;
        let number = self.head.last_delivery_row_id + 1;
        self.head.last_delivery_row_id = number;
        let first_position = self.head.position + 1;
        let nothing = ParsedDelivery::default();
        let reading = incoming.parsed.as_ref().unwrap_or(&nothing);
        let context = DeliveryContext {
            source: &incoming.source,
            vendor: incoming.vendor,
            event: &reading.event,
            received_at: DateTime::from_timestamp_micros(received_at).unwrap_or(incoming.received_at),
            delivery: number,
            purged_entities: &incoming.replay.purged_entities,
        };
        let (occurred_at, _) = reading.occurred_at.ordering(context.received_at);
        let (verdict, reason) = match (&first, &incoming.parsed) {
            (Some(first), _) => (Verdict::NoChange, format!("{DUPLICATE_REASON_PREFIX}{first}")),
            (None, Err(unreadable)) => (Verdict::Unreadable, unreadable.to_string()),
            (None, Ok(reading)) => match &reading.no_effect {
                Some(nothing) => {
                    if let NoEffect::Handshake { code } = nothing {
                        self.handshakes.push((incoming.source.to_string(), code.clone(), received_at));
                    }
                    no_effect_verdict(nothing)
                }
                None => self.apply_events(&context, &reading.events, incoming)?,
            },
        };
        if self.head.position < first_position || self.pending_key.is_some() {
            self.push_delivery_change(&context, occurred_at, verdict, &reason);
        }
        let about_nothing = (leading.is_none() && first.is_none()).then_some(dedup_key);
        if let Some(news) = about_nothing {
            self.keys_without_entity.insert(news, number);
        }
        let changes = i32::try_from(self.head.position + 1 - first_position).unwrap_or(i32::MAX);
        self.count_verdict(incoming, received_at, verdict);
        self.deliveries.push(delivery::Model {
            row_id: number,
            source: incoming.source.to_string(),
            vendor: incoming.vendor.name.to_owned(),
            received_at,
            method: incoming.method.to_owned(),
            headers: incoming.headers.clone(),
            body: incoming.body.to_vec(),
            dedup_key: about_nothing,
            event: reading.event.clone(),
            occurred_at: occurred_at.map(|at| at.timestamp_micros()),
            verdict,
            reason: reason.clone(),
            first_position,
            change_count: changes,
            duplicates: 0,
            last_duplicate_at: None,
        });
        Ok(DeliveryReceipt { delivery: number, duplicate: false, verdict, reason })
    }

    // When a delivery counts as received: never before one with a smaller number, whatever the clock of who received it
    // says, so that the history is in the order of this time too.
    fn assign_received_at(&mut self, received_at: DateTime<Utc>) -> i64 {
        let own = received_at.timestamp_micros();
        self.max_clock_lag = self.max_clock_lag.max(self.head.received_at.saturating_sub(own));
        own.max(self.head.received_at)
    }

    // The delivery's verdict is that of the first event that says something outright and had an effect.
    fn apply_events(
        &mut self,
        context: &DeliveryContext<'_>,
        events: &[Event],
        incoming: &PreparedDelivery,
    ) -> Result<(Verdict, String), StoreError> {
        let mut leading: Option<(Verdict, String)> = None;
        let mut implied: Option<(Verdict, String)> = None;
        for ((event, names), said) in events.iter().zip(&incoming.entity_ids).zip(&incoming.field_values) {
            let parent = match (&event.parent, names.parent) {
                (Some(parent), Some(id)) => self.ensure_entity(context, parent, id, event)?,
                _ => None,
            };
            let inspection = match names.inspection {
                Some(id) => self.ensure_inspection(context, id, event)?,
                None => parent.and_then(|parent| self.entity_by_row_id(parent)?.entity.inspection_row_id),
            };
            if context.purged_entities.contains(&names.entity) {
                continue;
            }
            let Some(change) = self.apply_event(context, (event, said), names.entity, parent, inspection)? else {
                continue;
            };
            let told = Some((change.verdict, change.reason));
            match event.state_claim {
                StateClaim::AtLeast(_) | StateClaim::ReopenRequested => implied = implied.or(told),
                StateClaim::Exact(_) | StateClaim::FactsOnly => {
                    let better =
                        leading.as_ref().is_none_or(|(verdict, _)| !has_effect(*verdict)) && has_effect(change.verdict);
                    leading = if better { told } else { leading.or(told) };
                }
            }
        }
        Ok(leading.or(implied).unwrap_or_else(|| (Verdict::NoChange, IMPLIED_REASON.to_owned())))
    }

    /// The number of an entity that an event names. One we have not heard of begins in its machine's first state. None if it
    /// must not be made known.
    fn ensure_entity(
        &mut self,
        context: &DeliveryContext<'_>,
        named: &EntityRef,
        id: Uuid,
        by: &Event,
    ) -> Result<Option<i64>, StoreError> {
        if context.purged_entities.contains(&id) {
            return Ok(None);
        }
        if let Some(slot) = self.entities.get(&id) {
            let fold_state = &slot.entity.fold_state;
            let (at, _) = by.occurred_at.ordering(context.received_at);
            let known_then = fold_state.has_untimed
                || at.is_none_or(|at| fold_state.earliest_time.is_some_and(|since| since <= at.timestamp_micros()));
            if known_then || slot.machine.is_none() {
                return Ok(Some(slot.entity.row_id));
            }
            // It was there earlier than we knew.
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
        Ok(self.entities.get(&id).map(|slot| slot.entity.row_id))
    }

    fn ensure_inspection(
        &mut self,
        context: &DeliveryContext<'_>,
        id: Uuid,
        by: &Event,
    ) -> Result<Option<i64>, StoreError> {
        let named = EntityRef::new(EntityType::Inspection, by.inspection_external_id.as_deref().unwrap_or_default());
        self.ensure_entity(context, &named, id, by)
    }

    fn apply_event(
        &mut self,
        context: &DeliveryContext<'_>,
        (event, said): (&Event, &[FieldValue]),
        id: Uuid,
        parent: Option<i64>,
        inspection: Option<i64>,
    ) -> Result<Option<EventOutcome>, StoreError> {
        if !self.entities.contains_key(&id) {
            let slot = self.new_entity(context, event, id);
            self.insert_entity(slot);
        }
        let Some(slot) = self.entities.get_mut(&id) else { return Ok(None) };
        let inspection =
            inspection.or((event.entity.entity_type == EntityType::Inspection).then_some(slot.entity.row_id));
        let position = self.head.position + 1;
        let arrival = Arrival {
            position,
            received_at: context.received_at,
            parent_row_id: parent,
            inspection_row_id: inspection,
        };
        let was_linked = slot.entity.inspection_row_id.is_some();
        let stored = slot.entity.position > 0;
        let change = match apply(slot, event, said, &arrival) {
            Ok(change) => change,
            Err(_) => {
                if let Some(machine) = slot.machine {
                    let steps = self.connection.load_steps(machine, &slot.entity)?;
                    slot.set_stored_steps(steps);
                }
                apply(slot, event, said, &arrival).unwrap_or_default()
            }
        };
        let number = slot.entity.row_id;
        let newly_linked = stored && !was_linked && slot.entity.inspection_row_id.is_some();
        if let Some(change) = &change {
            self.push_change(context, id, event.occurred_at.ordering(context.received_at).0, change);
        }
        if newly_linked {
            self.link_descendants(context, number)?;
        }
        Ok(change)
    }

    fn new_entity(&mut self, context: &DeliveryContext<'_>, event: &Event, id: Uuid) -> CachedEntity {
        self.head.last_entity_row_id += 1;
        let entity = FoldedEntity {
            row_id: self.head.last_entity_row_id,
            id,
            entity_type: event.entity.entity_type,
            source: context.source.to_owned(),
            vendor: context.vendor.name,
            external_id: event.entity.external_id.clone(),
            parent_row_id: None,
            inspection_row_id: None,
            reference: None,
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
        CachedEntity::new(entity, context.vendor.machine(event.entity.entity_type))
    }

    // What hangs on an entity that has just found its inspection belongs to that inspection too.
    fn link_descendants(&mut self, context: &DeliveryContext<'_>, parent: i64) -> Result<(), StoreError> {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            let Some(inspection) = self.entity_by_row_id(parent).and_then(|slot| slot.entity.inspection_row_id) else {
                continue;
            };
            let stored = self.connection.unlinked_children(parent)?;
            self.load(stored.into_iter().collect())?;
            let unlinked = |slot: &&CachedEntity| {
                slot.entity.parent_row_id == Some(parent) && slot.entity.inspection_row_id.is_none()
            };
            let mut children: Vec<_> =
                self.entities.values().filter(unlinked).map(|slot| (slot.entity.row_id, slot.entity.id)).collect();
            children.sort_unstable();
            for (number, id) in children {
                let Some(slot) = self.entities.get_mut(&id) else { continue };
                slot.entity.inspection_row_id = Some(inspection);
                slot.entity.position = self.head.position + 1;
                slot.entity.updated_at = context.received_at;
                slot.links_changed = true;
                slot.dirty = true;
                let change = EventOutcome {
                    verdict: Verdict::Applied,
                    reason: "linked to the inspection that its parent belongs to".to_owned(),
                    from_state: slot.entity.fold_state.state.clone(),
                    from_status: slot.entity.status,
                    step: None,
                    previous_step: slot.last_step_position(),
                };
                self.push_change(context, id, None, &change);
                parents.push(number);
            }
        }
        Ok(())
    }

    fn entity_by_row_id(&self, number: i64) -> Option<&CachedEntity> {
        self.entities.get(self.ids_by_row_id.get(&number)?)
    }

    /// Writes all rows.
    pub fn flush(mut self) -> Result<FlushedBatch, StoreError> {
        // Never the same twice: by this others know what they have seen.
        self.head.updated_at = crate::clock::now().timestamp_micros().max(self.head_before.updated_at + 1);
        if self.max_clock_lag > CLOCK_LAG_WARN_MICROS {
            let seconds = self.max_clock_lag / 1_000_000;
            tracing::warn!(
                seconds,
                "the newest delivery was received in the future: a clock here or of a replica is wrong"
            );
        }
        let mut dirty: Vec<&CachedEntity> = self.entities.values().filter(|slot| slot.dirty).collect();
        dirty.sort_unstable_by_key(|slot| slot.entity.row_id);
        let entities = dirty.iter().map(|slot| slot.entity.row_id).collect();
        self.connection.write_rows(&BatchRows {
            entities: dirty,
            invalidated: self.entities.keys().copied().collect(),
            deliveries: &self.deliveries,
            changes: &self.changes,
            duplicate_counts: &self.duplicate_counts,
            ledger: self.ledger.values().collect(),
            handshakes: &self.handshakes,
            head_before: &self.head_before,
            head: &self.head,
        })?;
        for (id, mut slot) in self.entities {
            slot.mark_committed();
            self.cache.insert(id, slot);
        }
        Ok(FlushedBatch {
            head: self.head,
            cache: self.cache,
            entities,
            handshake_requested: !self.handshakes.is_empty(),
        })
    }
}
