//! The deliveries of one batch, one after the other, against the entities in hand; then all rows at once.

mod record;
mod repeat;

pub use repeat::Repetitions;

use super::session::{Rows, Session};
use super::{Incoming, Receipt, about_nothing};
use crate::event::{Arrival, Change, Entity, Event, Known, News, Nothing, Reading, Ref, Said, Slot, apply, effective};
use crate::machine::Subject;
use crate::store::StoreError;
use crate::vendor::Vendor;
use chrono::{DateTime, Utc};
use entity::{Verdict, change, delivery, ledger, log_head};
use hashlink::LruCache;
use repeat::BroughtBefore;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// The reason for news of which nothing is said outright.
const IMPLIED: &str = "it only implies what is known";
/// The reason for news that another delivery brought, with its number.
pub const SAME_NEWS: &str = "the same news as delivery ";

/// A batch in the making.
pub struct Batch<'a> {
    session: &'a mut dyn Session,
    repetitions: Repetitions,
    /// The counters, before it and now.
    before: log_head::Model,
    head: log_head::Model,
    cache: LruCache<Uuid, Slot>,
    /// The entities this batch is about.
    slots: HashMap<Uuid, Slot>,
    /// The public ids of the entities in `slots`, by number.
    ids: HashMap<i64, Uuid>,
    /// News about no entity that this batch brought, each with its delivery.
    about_nothing: HashMap<i64, i64>,
    brought_before: BroughtBefore,
    /// The news of the delivery in hand, until a row of its leading entity's history has it.
    untold: Option<(Uuid, i64)>,
    deliveries: Vec<delivery::Model>,
    changes: Vec<change::Model>,
    /// How often deliveries of earlier batches came again, and when last.
    repeated: BTreeMap<i64, (i64, i64)>,
    ledger: BTreeMap<String, ledger::Model>,
    handshakes: Vec<(String, String, i64)>,
    /// How far a delivery's own time of receipt was behind the one it was given, at most.
    behind: i64,
}

/// How far the newest time of receipt may be ahead of a delivery's own before the operator hears of it, in microseconds.
const AHEAD: i64 = 60_000_000;

/// What a batch leaves behind.
pub struct Done {
    pub head: log_head::Model,
    /// The entities at hand.
    pub cache: LruCache<Uuid, Slot>,
    /// The numbers of those whose rows were written.
    pub entities: Vec<i64>,
    /// Whether a vendor asked to confirm a URL.
    pub handshakes: bool,
}

/// A delivery while its events are applied.
struct Context<'a> {
    source: &'a str,
    vendor: &'static Vendor,
    event: &'a str,
    received_at: DateTime<Utc>,
    delivery: i64,
    /// What it names and must not make known.
    gone: &'a HashSet<Uuid>,
}

impl<'a> Batch<'a> {
    pub fn new(
        session: &'a mut dyn Session,
        repetitions: Repetitions,
        head: log_head::Model,
        cache: LruCache<Uuid, Slot>,
    ) -> Self {
        Batch {
            session,
            repetitions,
            before: head.clone(),
            head,
            cache,
            slots: HashMap::new(),
            ids: HashMap::new(),
            about_nothing: HashMap::new(),
            brought_before: BroughtBefore::default(),
            untold: None,
            deliveries: Vec::new(),
            changes: Vec::new(),
            repeated: BTreeMap::new(),
            ledger: BTreeMap::new(),
            handshakes: Vec::new(),
            behind: 0,
        }
    }

    /// Takes in hand what deliveries name and what is known of it, all at once.
    pub fn foresee(&mut self, deliveries: &[Incoming]) -> Result<(), StoreError> {
        self.fetch(deliveries.iter().flat_map(Incoming::named).collect())?;
        let leading = deliveries.iter().filter_map(|delivery| self.slots.get(&delivery.leading()?.names.about));
        let unread = leading.filter(|slot| slot.known_news.is_none()).map(|slot| slot.entity.number);
        let unread: BTreeSet<i64> = unread.collect();
        if !unread.is_empty() {
            for (number, news) in self.session.news_of(&unread.into_iter().collect::<Vec<_>>())? {
                if let Some(slot) = self.ids.get(&number).and_then(|id| self.slots.get_mut(id)) {
                    slot.known_news = Some(news);
                }
            }
        }
        self.foresee_repetitions(deliveries)
    }

    // Takes entities in hand, as far as they are stored.
    fn fetch(&mut self, mut ids: HashSet<Uuid>) -> Result<(), StoreError> {
        for id in &ids {
            if let Some(slot) = self.cache.remove(id) {
                self.hold(slot);
            }
        }
        ids.retain(|id| !self.slots.contains_key(id));
        if ids.is_empty() {
            return Ok(());
        }
        for entity in self.session.entities(&ids.into_iter().collect::<Vec<_>>())? {
            let machine = crate::vendor::by_name(entity.vendor).and_then(|vendor| vendor.machine(entity.subject));
            self.hold(Slot::stored(entity, machine));
        }
        Ok(())
    }

    fn hold(&mut self, slot: Slot) {
        self.ids.insert(slot.entity.number, slot.entity.id);
        self.slots.insert(slot.entity.id, slot);
    }

    /// Takes one delivery that was foreseen: is it new, what does each of its events do.
    pub fn take(&mut self, incoming: &Incoming) -> Result<Receipt, StoreError> {
        if let Some(gap) = &incoming.again.begins {
            self.head.delivery = gap.delivery - 1;
            self.head.position = self.head.position.max(gap.position);
            self.head.entity = self.head.entity.max(gap.entity);
        }
        let received_at = self.stamp(incoming.received_at);
        let leading = incoming.leading();
        let news = incoming.digest.in_cycle(self.digest_cycle(incoming, leading));
        let first = self.first(leading.map(|leading| leading.names.about), news)?;
        let first = match (first, self.repetitions) {
            (Some(first), Repetitions::Counted) => return Ok(self.repeat(incoming, received_at, first)),
            (first, _) => first.map(|first| first.number).or(incoming.again.repeats),
        };
        self.untold = leading.filter(|_| first.is_none()).map(|leading| (leading.names.about, news));
        self.head.received_at = received_at;
        let number = self.head.delivery + 1;
        self.head.delivery = number;
        let first_position = self.head.position + 1;
        let nothing = Reading::default();
        let reading = incoming.reading.as_ref().unwrap_or(&nothing);
        let context = Context {
            source: &incoming.source,
            vendor: incoming.vendor,
            event: &reading.event,
            received_at: DateTime::from_timestamp_micros(received_at).unwrap_or(incoming.received_at),
            delivery: number,
            gone: &incoming.again.gone,
        };
        let (occurred_at, _) = reading.occurred_at.ordering(context.received_at);
        let (verdict, reason) = match (&first, &incoming.reading) {
            (Some(first), _) => (Verdict::NoChange, format!("{SAME_NEWS}{first}")),
            (None, Err(unreadable)) => (Verdict::Unreadable, unreadable.to_string()),
            (None, Ok(reading)) => match &reading.nothing {
                Some(nothing) => {
                    if let Nothing::Handshake { code } = nothing {
                        self.handshakes.push((incoming.source.to_string(), code.clone(), received_at));
                    }
                    about_nothing(nothing)
                }
                None => self.events(&context, &reading.events, incoming)?,
            },
        };
        if self.head.position < first_position || self.untold.is_some() {
            self.record_rest(&context, occurred_at, verdict, &reason);
        }
        let about_nothing = (leading.is_none() && first.is_none()).then_some(news);
        if let Some(news) = about_nothing {
            self.about_nothing.insert(news, number);
        }
        let changes = i32::try_from(self.head.position + 1 - first_position).unwrap_or(i32::MAX);
        self.count(incoming, received_at, verdict);
        self.deliveries.push(delivery::Model {
            number,
            source: incoming.source.to_string(),
            vendor: incoming.vendor.name.to_owned(),
            received_at,
            method: incoming.method.to_owned(),
            headers: incoming.headers.clone(),
            body: incoming.body.to_vec(),
            news: about_nothing,
            event: reading.event.clone(),
            occurred_at: occurred_at.map(|at| at.timestamp_micros()),
            verdict,
            reason: reason.clone(),
            first_position,
            changes,
            duplicates: 0,
            duplicate_at: None,
        });
        Ok(Receipt { delivery: number, duplicate: false, verdict, reason })
    }

    // When a delivery counts as received: never before one with a smaller number, whatever the clock of who received it
    // says, so that the history is in the order of this time too.
    fn stamp(&mut self, received_at: DateTime<Utc>) -> i64 {
        let own = received_at.timestamp_micros();
        self.behind = self.behind.max(self.head.received_at.saturating_sub(own));
        own.max(self.head.received_at)
    }

    // The delivery's verdict is that of the first event that says something outright and had an effect.
    fn events(
        &mut self,
        context: &Context<'_>,
        events: &[Event],
        incoming: &Incoming,
    ) -> Result<(Verdict, String), StoreError> {
        let mut leading: Option<(Verdict, String)> = None;
        let mut implied: Option<(Verdict, String)> = None;
        for ((event, names), said) in events.iter().zip(&incoming.names).zip(&incoming.said) {
            let parent = match (&event.parent, names.parent) {
                (Some(parent), Some(id)) => self.ensure(context, parent, id, event)?,
                _ => None,
            };
            let inspection = match names.inspection {
                Some(id) => self.ensure_inspection(context, id, event)?,
                None => parent.and_then(|parent| self.slot_by_number(parent)?.entity.inspection),
            };
            if context.gone.contains(&names.about) {
                continue;
            }
            let Some(change) = self.apply(context, (event, said), names.about, parent, inspection)? else { continue };
            let told = Some((change.verdict, change.reason));
            match event.news {
                News::AtLeast(_) | News::Requested => implied = implied.or(told),
                News::State(_) | News::Facts => {
                    let better =
                        leading.as_ref().is_none_or(|(verdict, _)| !effective(*verdict)) && effective(change.verdict);
                    leading = if better { told } else { leading.or(told) };
                }
            }
        }
        Ok(leading.or(implied).unwrap_or_else(|| (Verdict::NoChange, IMPLIED.to_owned())))
    }

    /// The number of an entity that an event names. One we have not heard of begins in its machine's first state. None if it
    /// must not be made known.
    fn ensure(&mut self, context: &Context<'_>, named: &Ref, id: Uuid, by: &Event) -> Result<Option<i64>, StoreError> {
        if context.gone.contains(&id) {
            return Ok(None);
        }
        if let Some(slot) = self.slots.get(&id) {
            let tip = &slot.entity.tip;
            let (at, _) = by.at.ordering(context.received_at);
            let known_then =
                tip.untimed || at.is_none_or(|at| tip.since.is_some_and(|since| since <= at.timestamp_micros()));
            if known_then || slot.machine.is_none() {
                return Ok(Some(slot.entity.number));
            }
            // It was there earlier than we knew.
        }
        let first = Event::about(named.subject, named.external_id.as_str()).at(&by.at);
        let first = match context.vendor.machine(named.subject).and_then(|machine| machine.states.first()) {
            Some(state) => first.at_least(state.name),
            None => first,
        };
        let inspection = match &by.inspection {
            Some(inspection) if named.subject != Subject::Inspection => {
                let id = Ref::new(Subject::Inspection, inspection.as_str()).id(context.source);
                self.ensure_inspection(context, id, by)?
            }
            _ => None,
        };
        self.apply(context, (&first, &[]), id, None, inspection)?;
        Ok(self.slots.get(&id).map(|slot| slot.entity.number))
    }

    fn ensure_inspection(&mut self, context: &Context<'_>, id: Uuid, by: &Event) -> Result<Option<i64>, StoreError> {
        let named = Ref::new(Subject::Inspection, by.inspection.as_deref().unwrap_or_default());
        self.ensure(context, &named, id, by)
    }

    fn apply(
        &mut self,
        context: &Context<'_>,
        (event, said): (&Event, &[Said]),
        id: Uuid,
        parent: Option<i64>,
        inspection: Option<i64>,
    ) -> Result<Option<Change>, StoreError> {
        if !self.slots.contains_key(&id) {
            let slot = self.first_seen(context, event, id);
            self.hold(slot);
        }
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(None) };
        let inspection = inspection.or((event.about.subject == Subject::Inspection).then_some(slot.entity.number));
        let position = self.head.position + 1;
        let arrival = Arrival { position, received_at: context.received_at, parent, inspection };
        let was_linked = slot.entity.inspection.is_some();
        let stored = slot.entity.position > 0;
        let change = match apply(slot, event, said, &arrival) {
            Ok(change) => change,
            Err(_) => {
                if let Some(machine) = slot.machine {
                    let steps = self.session.steps(machine, &slot.entity)?;
                    slot.remember(steps);
                }
                apply(slot, event, said, &arrival).unwrap_or_default()
            }
        };
        let number = slot.entity.number;
        let newly_linked = stored && !was_linked && slot.entity.inspection.is_some();
        if let Some(change) = &change {
            self.record(context, id, event.at.ordering(context.received_at).0, change);
        }
        if newly_linked {
            self.link_children(context, number)?;
        }
        Ok(change)
    }

    fn first_seen(&mut self, context: &Context<'_>, event: &Event, id: Uuid) -> Slot {
        self.head.entity += 1;
        let entity = Entity {
            number: self.head.entity,
            id,
            subject: event.about.subject,
            source: context.source.to_owned(),
            vendor: context.vendor.name,
            external_id: event.about.external_id.clone(),
            parent: None,
            inspection: None,
            reference: None,
            group: None,
            status: None,
            known: Known::default(),
            tip: Default::default(),
            retold: false,
            created_at: context.received_at,
            updated_at: context.received_at,
            occurred_at: None,
            position: 0,
        };
        Slot::new(entity, context.vendor.machine(event.about.subject))
    }

    // What hangs on an entity that has just found its inspection belongs to that inspection too.
    fn link_children(&mut self, context: &Context<'_>, parent: i64) -> Result<(), StoreError> {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            let Some(inspection) = self.slot_by_number(parent).and_then(|slot| slot.entity.inspection) else {
                continue;
            };
            let stored = self.session.unlinked_children(parent)?;
            self.fetch(stored.into_iter().collect())?;
            let unlinked = |slot: &&Slot| slot.entity.parent == Some(parent) && slot.entity.inspection.is_none();
            let mut children: Vec<_> =
                self.slots.values().filter(unlinked).map(|slot| (slot.entity.number, slot.entity.id)).collect();
            children.sort_unstable();
            for (number, id) in children {
                let Some(slot) = self.slots.get_mut(&id) else { continue };
                slot.entity.inspection = Some(inspection);
                slot.entity.position = self.head.position + 1;
                slot.entity.updated_at = context.received_at;
                slot.links_changed = true;
                slot.dirty = true;
                let change = Change {
                    verdict: Verdict::Applied,
                    reason: "linked to the inspection that its parent belongs to".to_owned(),
                    from_state: slot.entity.tip.state.clone(),
                    from_status: slot.entity.status,
                    step: None,
                    step_before: slot.last_step(),
                };
                self.record(context, id, None, &change);
                parents.push(number);
            }
        }
        Ok(())
    }

    fn slot_by_number(&self, number: i64) -> Option<&Slot> {
        self.slots.get(self.ids.get(&number)?)
    }

    /// Writes all rows.
    pub fn write(mut self) -> Result<Done, StoreError> {
        // Never the same twice: by this others know what they have seen.
        self.head.updated_at = Utc::now().timestamp_micros().max(self.before.updated_at + 1);
        if self.behind > AHEAD {
            let seconds = self.behind / 1_000_000;
            tracing::warn!(
                seconds,
                "the newest delivery was received in the future: a clock here or of a replica is wrong"
            );
        }
        let mut dirty: Vec<&Slot> = self.slots.values().filter(|slot| slot.dirty).collect();
        dirty.sort_unstable_by_key(|slot| slot.entity.number);
        let entities = dirty.iter().map(|slot| slot.entity.number).collect();
        self.session.write(&Rows {
            entities: dirty,
            touched: self.slots.keys().copied().collect(),
            deliveries: &self.deliveries,
            changes: &self.changes,
            repeated: &self.repeated,
            ledger: self.ledger.values().collect(),
            handshakes: &self.handshakes,
            before: &self.before,
            head: &self.head,
        })?;
        for (id, mut slot) in self.slots {
            slot.settle();
            self.cache.insert(id, slot);
        }
        Ok(Done { head: self.head, cache: self.cache, entities, handshakes: !self.handshakes.is_empty() })
    }
}
