//! What one event does to one entity: its state, its facts, and the verdict with its reason. Pure.

use super::{Entity, Event, Learned, News, Said, TimeWarning, reason};
use crate::machine::fold::{Implied, Key, OrderedBy, Outcome, Step, Tip};
use crate::machine::{Machine, State, Status};
use chrono::{DateTime, Utc};
use entity::Verdict;
use std::collections::HashMap;

/// An entity with more steps than this has them put together, so that nobody must look through a long history.
const MANY_STEPS: i32 = 64;
/// The news of an entity are not kept at hand between batches if they are more than this.
const MANY_NEWS: usize = 4096;

/// An entity in the writer's hands, with as much of its past as was needed so far.
#[derive(Clone, Debug)]
pub struct Slot {
    pub entity: Entity,
    pub machine: Option<&'static Machine>,
    /// All its steps, once late news made it necessary to read them.
    pub past: Option<Vec<Step>>,
    /// The steps that this batch has brought, or all of them anew.
    pub written: Written,
    /// The news that its history has, each with the position of its row, once they had to be read.
    pub known_news: Option<HashMap<i64, i64>>,
    /// Whether the entity's row must be written.
    pub dirty: bool,
    /// Whether there is such a row already.
    pub stored: bool,
    /// Whether what it belongs to and what it is found by has changed since.
    pub links_changed: bool,
    /// Whether what is known of it has changed since.
    pub facts_changed: bool,
}

/// The steps of an entity that a batch has brought. They are written only where they are kept together.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub steps: Vec<Placed>,
    /// Whether they replace all that are stored.
    pub anew: bool,
}

/// A step where it stands in the fold.
#[derive(Clone, Debug)]
pub struct Placed {
    pub seq: i32,
    pub step: Step,
    /// When it happened, as well as can be known.
    pub effective_at: i64,
    pub state_after: Option<String>,
    pub status_after: Option<Status>,
    pub cycle_after: i32,
}

/// When and where an event arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The position its change will have.
    pub position: i64,
    pub received_at: DateTime<Utc>,
    /// The number of the parent, if the event names one.
    pub parent: Option<i64>,
    /// The number of the inspection, if the event names one.
    pub inspection: Option<i64>,
}

/// What an event did: one row of history.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub verdict: Verdict,
    pub reason: String,
    pub from_state: Option<String>,
    pub from_status: Option<Status>,
    /// The step of the fold that it is.
    pub step: Option<Step>,
    /// The position of the step that it came after, where steps are told by the history.
    pub step_before: Option<i64>,
}

/// The event is late: the entity's past must be read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs;

impl Slot {
    /// An entity as it was stored.
    pub fn stored(entity: Entity, machine: Option<&'static Machine>) -> Self {
        Slot {
            entity,
            machine,
            past: None,
            known_news: None,
            written: Written::default(),
            dirty: false,
            stored: true,
            links_changed: false,
            facts_changed: false,
        }
    }

    /// An entity seen for the first time: it has no past.
    pub fn new(entity: Entity, machine: Option<&'static Machine>) -> Self {
        Slot {
            entity,
            machine,
            past: Some(Vec::new()),
            known_news: Some(HashMap::new()),
            written: Written::default(),
            dirty: true,
            stored: false,
            links_changed: true,
            facts_changed: true,
        }
    }

    /// Gives the steps that are stored; those of this batch are added.
    pub fn remember(&mut self, mut stored: Vec<Step>) {
        stored.extend(self.written.steps.iter().map(|placed| placed.step.clone()));
        self.past = Some(stored);
    }

    /// After the batch is committed: nothing is left to write.
    pub fn settle(&mut self) {
        self.written = Written::default();
        self.dirty = false;
        self.stored = true;
        self.links_changed = false;
        self.facts_changed = false;
        self.past = None;
        self.known_news.take_if(|news| news.len() > MANY_NEWS);
    }

    /// The position of the newest step, where they are told by the history.
    pub fn last_step(&self) -> Option<i64> {
        let last = self.entity.tip.last.filter(|_| !self.entity.retold)?;
        Some(last.position)
    }

    // An event reported this time outright: it was not only implied.
    fn reported(&mut self, at: Option<DateTime<Utc>>) {
        if let Some(implied) = &mut self.entity.tip.implied {
            let newer = at > implied.reported_at;
            self.dirty |= newer;
            implied.reported_at = implied.reported_at.max(at);
        }
        if at > self.entity.occurred_at {
            self.entity.occurred_at = at;
            self.dirty = true;
            self.entity.tip.implied = None;
        }
    }

    // The newest time at which a state was implied that the entity moved to: with what was reported outright, it says when
    // the entity moved last.
    fn implied(&mut self, newest: Option<DateTime<Utc>>) {
        let reported = match self.entity.tip.implied {
            Some(implied) => implied.reported_at,
            None => self.entity.occurred_at,
        };
        self.entity.tip.implied = (newest > reported).then_some(Implied { reported_at: reported });
        self.entity.occurred_at = newest.max(reported);
    }

    fn status_of(&self, state: Option<&str>) -> Option<Status> {
        self.machine?.state(state?)?.status
    }

    // News that names no state counts as news of the present.
    fn no_step(&self, news: StateNews, time: Option<i64>, arrival: &Arrival) -> Moving {
        (news, self.entity.tip.here(time, arrival.position), None)
    }
}

// What the state part of an event came to.
enum StateNews {
    None,
    Moved(Verdict, String),
    Kept(Verdict, String),
    Silent,
}

/// That, the order key of the news, and the step that the fold has walked for it.
type Moving = (StateNews, Key, Option<Step>);

/// Applies an event to an entity, with the fields that it reports. No change means that the event only implied what was known.
///
/// # Errors
/// [`Needs`] if the event is late and the entity's past has not been given yet; nothing was changed then.
pub fn apply(slot: &mut Slot, event: &Event, said: &[Said], arrival: &Arrival) -> Result<Option<Change>, Needs> {
    let (at, warning) = event.at.ordering(arrival.received_at);
    let time = at.map(|at| at.timestamp_micros());
    let before = (slot.entity.tip.state.clone(), slot.entity.status);
    let step_before = slot.last_step();
    let (news, key, step) = match (&event.news, slot.machine) {
        (News::State(word), Some(machine)) => match machine.state(word) {
            Some(to) => move_to(slot, machine, to, false, time, arrival)?,
            None => slot.no_step(StateNews::Kept(Verdict::Unrecognized, reason::unknown_state(word)), time, arrival),
        },
        (News::AtLeast(word), Some(machine)) => match machine.state(word) {
            Some(to) => move_to(slot, machine, to, true, time, arrival)?,
            None => slot.no_step(StateNews::Silent, time, arrival),
        },
        (News::Requested, _) => {
            slot.dirty |= !slot.entity.tip.requested;
            slot.entity.tip.requested = true;
            slot.no_step(StateNews::Silent, time, arrival)
        }
        (News::State(_) | News::AtLeast(_) | News::Facts, _) => slot.no_step(StateNews::None, time, arrival),
    };
    slot.entity.status = slot.status_of(slot.entity.tip.state.as_deref());
    // What is only implied is news of something else, unless it moved the state.
    if !matches!(event.news, News::AtLeast(_)) {
        slot.reported(at);
    }
    let linked = link(&mut slot.entity, arrival);
    slot.links_changed |= linked;
    slot.dirty |= linked;
    let facts = merge(slot, event, said, key, warning);
    let touched = linked || facts.changed > 0;

    let (verdict, mut reason) = match news {
        StateNews::Moved(verdict, reason) => (verdict, reason),
        StateNews::Kept(verdict @ (Verdict::Unrecognized | Verdict::Refused | Verdict::Stale), reason) => {
            (verdict, reason)
        }
        StateNews::Kept(_, what) if touched => {
            (Verdict::Applied, format!("{what}; {}", reason::of_facts(facts.changed)))
        }
        StateNews::Kept(verdict, reason) => (verdict, reason),
        StateNews::None | StateNews::Silent if touched => (Verdict::Applied, reason::of_facts(facts.changed)),
        StateNews::None | StateNews::Silent if slot.entity.position == 0 => {
            (Verdict::Applied, "seen for the first time".to_owned())
        }
        StateNews::Silent => return Ok(None),
        StateNews::None => match facts.older {
            Some(by) => (Verdict::Stale, reason::of_older_facts(by)),
            None => (Verdict::NoChange, "it says what is known already".to_owned()),
        },
    };
    if let Some(warning) = reason::warning(event, warning) {
        reason = format!("{reason}; {warning}");
    }
    let (verdict, reason) = match event.orphan {
        Some(why) if slot.entity.inspection.is_none() && effective(verdict) => {
            (Verdict::Orphaned, format!("{reason}; {why}"))
        }
        _ => (verdict, reason),
    };
    if effective(verdict) || slot.entity.position == 0 {
        slot.entity.updated_at = arrival.received_at;
        slot.entity.position = arrival.position;
        slot.dirty = true;
    }
    Ok(Some(Change { verdict, reason, from_state: before.0, from_status: before.1, step, step_before }))
}

/// Whether an event with this verdict changed its entity.
pub fn effective(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Applied | Verdict::SkippedAhead | Verdict::Unexpected | Verdict::Orphaned)
}

fn move_to(
    slot: &mut Slot,
    machine: &'static Machine,
    to: &'static State,
    at_least: bool,
    time: Option<i64>,
    arrival: &Arrival,
) -> Result<Moving, Needs> {
    let tip = &slot.entity.tip;
    let key = tip.place(machine, to, at_least, time, arrival.position);
    let step = Step { to: to.name, at_least, key, received_at: arrival.received_at };
    let is_next = tip.is_next(&key);
    // Without a time, what is only implied and already passed can change nothing, whatever came before.
    if !is_next && at_least && time.is_none() && tip.rank >= to.rank {
        return Ok((StateNews::Silent, key, None));
    }
    // Where all steps stand together, one that happened before the last changes when that is taken to have happened.
    let goes_on = is_next
        && match slot.entity.retold {
            true => tip.happened_at.is_none_or(|last| last <= step.happened_at()),
            false => tip.steps < MANY_STEPS,
        };
    let (news, step) = if goes_on {
        go_on(slot, machine, step)
    } else if slot.past.is_some() {
        fold_again(slot, machine, step)
    } else {
        return Err(Needs);
    };
    Ok((news, step.as_ref().map_or(key, |step| step.key), step))
}

// In-order news: the tip moves on.
fn go_on(slot: &mut Slot, machine: &Machine, mut step: Step) -> (StateNews, Option<Step>) {
    let before = slot.entity.tip.clone();
    let mut tip = before.clone();
    let outcome = tip.advance(machine, &mut step);
    if step.at_least && outcome == Outcome::Same {
        return (StateNews::Silent, None);
    }
    if let Some(past) = &mut slot.past {
        past.push(step.clone());
    }
    slot.written.steps.push(Placed {
        seq: tip.steps - 1,
        effective_at: step.happened_at(),
        state_after: tip.state.clone(),
        status_after: slot.status_of(tip.state.as_deref()),
        cycle_after: tip.cycle,
        step: step.clone(),
    });
    slot.dirty = true;
    slot.entity.tip = tip;
    if step.at_least {
        let newest = slot.entity.occurred_at.max(moment(step.key.time));
        slot.implied(newest);
    }
    (newest(machine, &before, &slot.entity.tip, &step, &outcome), Some(step))
}

// What a step came to that is the newest of all.
fn newest(machine: &Machine, before: &Tip, after: &Tip, step: &Step, outcome: &Outcome) -> StateNews {
    let reason = reason::of_newest(machine, before, after, step, outcome);
    match outcome {
        Outcome::Moved { .. } => StateNews::Moved(Verdict::Applied, reason),
        Outcome::Skipped { .. } => StateNews::Moved(Verdict::SkippedAhead, reason),
        Outcome::Unexpected { .. } => StateNews::Moved(Verdict::Unexpected, reason),
        Outcome::Same => StateNews::Kept(Verdict::NoChange, reason),
        Outcome::Refused => StateNews::Kept(Verdict::Refused, reason),
    }
}

// News out of order: it takes its place among the others, and all are walked again.
fn fold_again(slot: &mut Slot, machine: &Machine, step: Step) -> (StateNews, Option<Step>) {
    let before = slot.entity.tip.clone();
    let mut steps = slot.past.clone().unwrap_or_default();
    steps.push(step.clone());
    let (mut tip, trail) = Tip::fold(machine, &mut steps);
    let is_it = |one: &Step| one.key.position == step.key.position && one.to == step.to;
    let Some(index) = steps.iter().position(is_it) else { return (StateNews::Silent, None) };
    let (Some(step), Some((outcome, _))) = (steps.get(index).cloned(), trail.get(index)) else {
        return (StateNews::Silent, None);
    };
    if step.at_least && *outcome == Outcome::Same {
        return (StateNews::Silent, None);
    }
    if tip.state == before.state {
        tip.requested = before.requested;
    }
    tip.implied = before.implied;
    let place = index.checked_sub(1).and_then(|before| trail.get(before)).map(|(_, tip)| tip.clone());
    let place = place.unwrap_or_default();
    slot.written = Written { steps: placed(machine, &steps, &trail), anew: true };
    slot.dirty = true;
    slot.entity.retold = true;
    slot.entity.tip = tip;
    let implied = steps.iter().zip(&trail).filter(|(step, (outcome, _))| step.at_least && outcome.moved());
    let implied = implied.filter_map(|(step, _)| moment(step.key.time)).max();
    slot.implied(implied);
    let after = &slot.entity.tip;
    let news = if index + 1 == steps.len() {
        newest(machine, &place, after, &step, outcome)
    } else if (&after.state, after.cycle) != (&before.state, before.cycle) {
        let verdict = match outcome {
            Outcome::Unexpected { .. } => Verdict::Unexpected,
            _ => Verdict::Applied,
        };
        StateNews::Moved(verdict, reason::of_late(&before, after))
    } else if *outcome == Outcome::Refused {
        StateNews::Kept(Verdict::Refused, reason::refused(machine, &place, after, step.to))
    } else {
        let older = reason::of_older(&step, &decisive(&steps, &trail, index), after);
        match step.at_least {
            true => StateNews::Kept(Verdict::NoChange, format!("implied: {older}")),
            false => StateNews::Kept(Verdict::Stale, older),
        }
    };
    slot.past = Some(steps);
    (news, Some(step))
}

// The key of the step by which an earlier one does not decide the state: the last that moved the state, if that comes after
// it, else the last of all.
fn decisive(steps: &[Step], trail: &[(Outcome, Tip)], earlier: usize) -> Key {
    let moving = trail.iter().rposition(|(outcome, _)| outcome.moved()).filter(|last| *last > earlier);
    steps.get(moving.unwrap_or(steps.len() - 1)).map(|step| step.key).unwrap_or_default()
}

fn moment(micros: Option<i64>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros?)
}

// An event without a time happened before it was received, and before what follows it in the fold.
fn placed(machine: &Machine, steps: &[Step], trail: &[(Outcome, Tip)]) -> Vec<Placed> {
    let mut placed: Vec<Placed> = steps
        .iter()
        .zip(trail)
        .zip(0..)
        .map(|((step, (_, tip)), seq)| Placed {
            seq,
            step: step.clone(),
            effective_at: step.happened_at(),
            state_after: tip.state.clone(),
            status_after: tip.state.as_deref().and_then(|state| machine.state(state)?.status),
            cycle_after: tip.cycle,
        })
        .collect();
    let mut latest = i64::MAX;
    for step in placed.iter_mut().rev() {
        step.effective_at = step.effective_at.min(latest);
        latest = step.effective_at;
    }
    placed
}

#[derive(Default)]
struct Merged {
    changed: usize,
    newer: usize,
    /// What put something older behind what is known.
    older: Option<OrderedBy>,
}

fn link(entity: &mut Entity, arrival: &Arrival) -> bool {
    let (parent, inspection) = (entity.parent, entity.inspection);
    entity.parent = parent.or(arrival.parent);
    entity.inspection = inspection.or(arrival.inspection);
    (parent, inspection) != (entity.parent, entity.inspection)
}

fn merge(slot: &mut Slot, event: &Event, said: &[Said], key: Key, warning: Option<TimeWarning>) -> Merged {
    let mut merged = Merged::default();
    let Entity { known, reference, group, .. } = &mut slot.entity;
    if let Some(said) = &event.reference {
        let learned = known.learn_reference(reference, said, key);
        slot.links_changed |= learned == Learned::News;
        merged.count(learned);
    }
    if let Some(said) = &event.group {
        let learned = known.learn_group(group, said, key);
        slot.links_changed |= learned == Learned::News;
        merged.count(learned);
    }
    for said in said {
        merged.count(known.learn(said, key));
    }
    // The time that is not used for ordering stays visible as it was stated.
    if warning == Some(TimeWarning::ClockAhead)
        && !matches!(event.news, News::AtLeast(_))
        && let Some(stated) = event.at.stated()
        && event.details.iter().all(|(name, _)| *name != stated.field)
    {
        merged.count(known.learn(&Said::detail(&stated.field, stated.value.clone()), key));
    }
    slot.facts_changed |= merged.newer > 0;
    slot.dirty |= merged.newer > 0;
    merged
}

impl Merged {
    fn count(&mut self, learned: Learned) {
        match learned {
            Learned::News => (self.changed, self.newer) = (self.changed + 1, self.newer + 1),
            Learned::Same => self.newer += 1,
            Learned::Older(by) => self.older = Some(by),
            Learned::Lesser => {}
        }
    }
}
