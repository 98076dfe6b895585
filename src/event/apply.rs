//! What one event does to one entity: its state, its facts, and the verdict with its reason. Pure.

use super::{Event, FieldValue, FoldedEntity, MergeOutcome, StateClaim, TimeWarning, reason};
use crate::machine::fold::{AtLeastTime, FoldState, OrderKey, OrderedBy, Step, StepOutcome};
use crate::machine::{Machine, State, Status};
use chrono::{DateTime, Utc};
use entity::Verdict;
use std::collections::HashMap;

/// An entity with more steps than this has them put together, so that nobody must look through a long history.
const MAX_UNMATERIALIZED_STEPS: i32 = 64;
/// The news of an entity are not kept at hand between batches if they are more than this.
const MAX_CACHED_DEDUP_KEYS: usize = 4096;

/// An entity in the writer's hands, with as much of its past as was needed so far.
#[derive(Clone, Debug)]
pub struct CachedEntity {
    pub entity: FoldedEntity,
    pub machine: Option<&'static Machine>,
    /// All its steps, once late news made it necessary to read them.
    pub loaded_steps: Option<Vec<Step>>,
    /// The steps that this batch has brought, or all of them anew.
    pub pending_steps: PendingSteps,
    /// The news that its history has, each with the position of its row, once they had to be read.
    pub seen_keys: Option<HashMap<i64, i64>>,
    /// Whether the entity's row must be written.
    pub dirty: bool,
    /// Whether there is such a row already.
    pub is_stored: bool,
    /// Whether what it belongs to and what it is found by has changed since.
    pub links_changed: bool,
    /// Whether what is known of it has changed since.
    pub facts_changed: bool,
}

/// The steps of an entity that a batch has brought. They are written only where they are kept together.
#[derive(Clone, Debug, Default)]
pub struct PendingSteps {
    pub steps: Vec<MaterializedStep>,
    /// Whether they replace all that are stored.
    pub replace_all: bool,
}

/// A step where it stands in the fold.
#[derive(Clone, Debug)]
pub struct MaterializedStep {
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
    pub parent_row_id: Option<i64>,
    /// The number of the inspection, if the event names one.
    pub inspection_row_id: Option<i64>,
}

/// What an event did: one row of history.
#[derive(Clone, Debug, PartialEq)]
pub struct EventOutcome {
    pub verdict: Verdict,
    pub reason: String,
    pub from_state: Option<String>,
    pub from_status: Option<Status>,
    /// The step of the fold that it is.
    pub step: Option<Step>,
    /// The position of the step that it came after, where steps are told by the history.
    pub previous_step: Option<i64>,
}

/// The event is late: the entity's past must be read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsHistory;

impl CachedEntity {
    /// An entity as it was stored.
    pub fn from_stored(entity: FoldedEntity, machine: Option<&'static Machine>) -> Self {
        CachedEntity {
            entity,
            machine,
            loaded_steps: None,
            seen_keys: None,
            pending_steps: PendingSteps::default(),
            dirty: false,
            is_stored: true,
            links_changed: false,
            facts_changed: false,
        }
    }

    /// An entity seen for the first time: it has no past.
    pub fn new(entity: FoldedEntity, machine: Option<&'static Machine>) -> Self {
        CachedEntity {
            entity,
            machine,
            loaded_steps: Some(Vec::new()),
            seen_keys: Some(HashMap::new()),
            pending_steps: PendingSteps::default(),
            dirty: true,
            is_stored: false,
            links_changed: true,
            facts_changed: true,
        }
    }

    /// Gives the steps that are stored; those of this batch are added.
    pub fn set_stored_steps(&mut self, mut stored: Vec<Step>) {
        stored.extend(self.pending_steps.steps.iter().map(|placed| placed.step.clone()));
        self.loaded_steps = Some(stored);
    }

    /// After the batch is committed: nothing is left to write.
    pub fn mark_committed(&mut self) {
        self.pending_steps = PendingSteps::default();
        self.dirty = false;
        self.is_stored = true;
        self.links_changed = false;
        self.facts_changed = false;
        self.loaded_steps = None;
        self.seen_keys.take_if(|news| news.len() > MAX_CACHED_DEDUP_KEYS);
    }

    /// The position of the newest step, where they are told by the history.
    pub fn last_step_position(&self) -> Option<i64> {
        let last = self.entity.fold_state.last_key.filter(|_| !self.entity.steps_materialized)?;
        Some(last.position)
    }

    // An event reported this time outright: it was not only implied.
    fn record_reported_time(&mut self, at: Option<DateTime<Utc>>) {
        if let Some(implied) = &mut self.entity.fold_state.at_least_time {
            let newer = at > implied.reported_at;
            self.dirty |= newer;
            implied.reported_at = implied.reported_at.max(at);
        }
        if at > self.entity.occurred_at {
            self.entity.occurred_at = at;
            self.dirty = true;
            self.entity.fold_state.at_least_time = None;
        }
    }

    // The newest time at which a state was implied that the entity moved to: with what was reported outright, it says when
    // the entity moved last.
    fn record_at_least_time(&mut self, newest: Option<DateTime<Utc>>) {
        let reported = match self.entity.fold_state.at_least_time {
            Some(implied) => implied.reported_at,
            None => self.entity.occurred_at,
        };
        self.entity.fold_state.at_least_time = (newest > reported).then_some(AtLeastTime { reported_at: reported });
        self.entity.occurred_at = newest.max(reported);
    }

    fn status_of(&self, state: Option<&str>) -> Option<Status> {
        self.machine?.state(state?)?.status
    }

    // News that names no state counts as news of the present.
    fn without_step(&self, news: ClaimOutcome, time: Option<i64>, arrival: &Arrival) -> AppliedClaim {
        (news, self.entity.fold_state.current_order_key(time, arrival.position), None)
    }
}

// What the state part of an event came to.
enum ClaimOutcome {
    NoClaim,
    Moved(Verdict, String),
    Unchanged(Verdict, String),
    Unrecorded,
}

/// That, the order key of the news, and the step that the fold has walked for it.
type AppliedClaim = (ClaimOutcome, OrderKey, Option<Step>);

/// Applies an event to an entity, with the fields that it reports. No change means that the event only implied what was known.
///
/// # Errors
/// [`Needs`] if the event is late and the entity's past has not been given yet; nothing was changed then.
pub fn apply(
    slot: &mut CachedEntity,
    event: &Event,
    said: &[FieldValue],
    arrival: &Arrival,
) -> Result<Option<EventOutcome>, NeedsHistory> {
    let (at, warning) = event.occurred_at.ordering(arrival.received_at);
    let time = at.map(|at| at.timestamp_micros());
    let before = (slot.entity.fold_state.state.clone(), slot.entity.status);
    let previous_step = slot.last_step_position();
    let (news, key, step) = match (&event.state_claim, slot.machine) {
        (StateClaim::Exact(word), Some(machine)) => match machine.state(word) {
            Some(to) => apply_claim(slot, machine, to, false, time, arrival)?,
            None => slot.without_step(
                ClaimOutcome::Unchanged(Verdict::Unrecognized, reason::unknown_state(word)),
                time,
                arrival,
            ),
        },
        (StateClaim::AtLeast(word), Some(machine)) => match machine.state(word) {
            Some(to) => apply_claim(slot, machine, to, true, time, arrival)?,
            None => slot.without_step(ClaimOutcome::Unrecorded, time, arrival),
        },
        (StateClaim::ReopenRequested, _) => {
            slot.dirty |= !slot.entity.fold_state.reopen_requested;
            slot.entity.fold_state.reopen_requested = true;
            slot.without_step(ClaimOutcome::Unrecorded, time, arrival)
        }
        (StateClaim::Exact(_) | StateClaim::AtLeast(_) | StateClaim::FactsOnly, _) => {
            slot.without_step(ClaimOutcome::NoClaim, time, arrival)
        }
    };
    slot.entity.status = slot.status_of(slot.entity.fold_state.state.as_deref());
    // What is only implied is news of something else, unless it moved the state.
    if !matches!(event.state_claim, StateClaim::AtLeast(_)) {
        slot.record_reported_time(at);
    }
    let linked = link(&mut slot.entity, arrival);
    slot.links_changed |= linked;
    slot.dirty |= linked;
    let facts = merge_fields(slot, event, said, key, warning);
    let touched = linked || facts.changed > 0;

    let (verdict, mut reason) = match news {
        ClaimOutcome::Moved(verdict, reason) => (verdict, reason),
        ClaimOutcome::Unchanged(verdict @ (Verdict::Unrecognized | Verdict::Refused | Verdict::Stale), reason) => {
            (verdict, reason)
        }
        ClaimOutcome::Unchanged(_, what) if touched => {
            (Verdict::Applied, format!("{what}; {}", reason::of_facts(facts.changed)))
        }
        ClaimOutcome::Unchanged(verdict, reason) => (verdict, reason),
        ClaimOutcome::NoClaim | ClaimOutcome::Unrecorded if touched => {
            (Verdict::Applied, reason::of_facts(facts.changed))
        }
        ClaimOutcome::NoClaim | ClaimOutcome::Unrecorded if slot.entity.position == 0 => {
            (Verdict::Applied, "seen for the first time".to_owned())
        }
        ClaimOutcome::Unrecorded => return Ok(None),
        ClaimOutcome::NoClaim => match facts.outdated_by {
            Some(by) => (Verdict::Stale, reason::of_older_facts(by)),
            None => (Verdict::NoChange, "it says what is known already".to_owned()),
        },
    };
    if let Some(warning) = reason::warning(event, warning) {
        reason = format!("{reason}; {warning}");
    }
    let (verdict, reason) = match event.orphan_reason {
        Some(why) if slot.entity.inspection_row_id.is_none() && has_effect(verdict) => {
            (Verdict::Orphaned, format!("{reason}; {why}"))
        }
        _ => (verdict, reason),
    };
    if has_effect(verdict) || slot.entity.position == 0 {
        slot.entity.updated_at = arrival.received_at;
        slot.entity.position = arrival.position;
        slot.dirty = true;
    }
    Ok(Some(EventOutcome { verdict, reason, from_state: before.0, from_status: before.1, step, previous_step }))
}

/// Whether an event with this verdict changed its entity.
pub fn has_effect(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Applied | Verdict::SkippedAhead | Verdict::Unexpected | Verdict::Orphaned)
}

fn apply_claim(
    slot: &mut CachedEntity,
    machine: &'static Machine,
    to: &'static State,
    at_least: bool,
    time: Option<i64>,
    arrival: &Arrival,
) -> Result<AppliedClaim, NeedsHistory> {
    let tip = &slot.entity.fold_state;
    let key = tip.order_key(machine, to, at_least, time, arrival.position);
    let step = Step { target_state: to.name, at_least, key, received_at: arrival.received_at };
    let is_next = tip.is_in_order(&key);
    // Without a time, what is only implied and already passed can change nothing, whatever came before.
    if !is_next && at_least && time.is_none() && tip.rank >= to.rank {
        return Ok((ClaimOutcome::Unrecorded, key, None));
    }
    // Where all steps stand together, one that happened before the last changes when that is taken to have happened.
    let goes_on = is_next
        && match slot.entity.steps_materialized {
            true => tip.last_step_at.is_none_or(|last| last <= step.occurred_or_received_at()),
            false => tip.step_count < MAX_UNMATERIALIZED_STEPS,
        };
    let (news, step) = if goes_on {
        apply_in_order(slot, machine, step)
    } else if slot.loaded_steps.is_some() {
        refold(slot, machine, step)
    } else {
        return Err(NeedsHistory);
    };
    Ok((news, step.as_ref().map_or(key, |step| step.key), step))
}

// In-order news: the tip moves on.
fn apply_in_order(slot: &mut CachedEntity, machine: &Machine, mut step: Step) -> (ClaimOutcome, Option<Step>) {
    let before = slot.entity.fold_state.clone();
    let mut tip = before.clone();
    let outcome = tip.advance(machine, &mut step);
    if step.at_least && outcome == StepOutcome::Same {
        return (ClaimOutcome::Unrecorded, None);
    }
    if let Some(past) = &mut slot.loaded_steps {
        past.push(step.clone());
    }
    slot.pending_steps.steps.push(MaterializedStep {
        seq: tip.step_count - 1,
        effective_at: step.occurred_or_received_at(),
        state_after: tip.state.clone(),
        status_after: slot.status_of(tip.state.as_deref()),
        cycle_after: tip.cycle,
        step: step.clone(),
    });
    slot.dirty = true;
    slot.entity.fold_state = tip;
    if step.at_least {
        let newest = slot.entity.occurred_at.max(moment(step.key.time));
        slot.record_at_least_time(newest);
    }
    (newest_claim_outcome(machine, &before, &slot.entity.fold_state, &step, &outcome), Some(step))
}

// What a step came to that is the newest of all.
fn newest_claim_outcome(
    machine: &Machine,
    before: &FoldState,
    after: &FoldState,
    step: &Step,
    outcome: &StepOutcome,
) -> ClaimOutcome {
    let reason = reason::of_newest(machine, before, after, step, outcome);
    match outcome {
        StepOutcome::Moved { .. } => ClaimOutcome::Moved(Verdict::Applied, reason),
        StepOutcome::Skipped { .. } => ClaimOutcome::Moved(Verdict::SkippedAhead, reason),
        StepOutcome::Unexpected { .. } => ClaimOutcome::Moved(Verdict::Unexpected, reason),
        StepOutcome::Same => ClaimOutcome::Unchanged(Verdict::NoChange, reason),
        StepOutcome::Refused => ClaimOutcome::Unchanged(Verdict::Refused, reason),
    }
}

// News out of order: it takes its place among the others, and all are walked again.
fn refold(slot: &mut CachedEntity, machine: &Machine, step: Step) -> (ClaimOutcome, Option<Step>) {
    let before = slot.entity.fold_state.clone();
    let mut steps = slot.loaded_steps.clone().unwrap_or_default();
    steps.push(step.clone());
    let (mut tip, trail) = FoldState::fold(machine, &mut steps);
    let is_it = |one: &Step| one.key.position == step.key.position && one.target_state == step.target_state;
    let Some(index) = steps.iter().position(is_it) else { return (ClaimOutcome::Unrecorded, None) };
    let (Some(step), Some((outcome, _))) = (steps.get(index).cloned(), trail.get(index)) else {
        return (ClaimOutcome::Unrecorded, None);
    };
    if step.at_least && *outcome == StepOutcome::Same {
        return (ClaimOutcome::Unrecorded, None);
    }
    if tip.state == before.state {
        tip.reopen_requested = before.reopen_requested;
    }
    tip.at_least_time = before.at_least_time;
    let place = index.checked_sub(1).and_then(|before| trail.get(before)).map(|(_, tip)| tip.clone());
    let place = place.unwrap_or_default();
    slot.pending_steps = PendingSteps { steps: materialize_steps(machine, &steps, &trail), replace_all: true };
    slot.dirty = true;
    slot.entity.steps_materialized = true;
    slot.entity.fold_state = tip;
    let implied = steps.iter().zip(&trail).filter(|(step, (outcome, _))| step.at_least && outcome.moved());
    let implied = implied.filter_map(|(step, _)| moment(step.key.time)).max();
    slot.record_at_least_time(implied);
    let after = &slot.entity.fold_state;
    let news = if index + 1 == steps.len() {
        newest_claim_outcome(machine, &place, after, &step, outcome)
    } else if (&after.state, after.cycle) != (&before.state, before.cycle) {
        let verdict = match outcome {
            StepOutcome::Unexpected { .. } => Verdict::Unexpected,
            _ => Verdict::Applied,
        };
        ClaimOutcome::Moved(verdict, reason::of_late(&before, after))
    } else if *outcome == StepOutcome::Refused {
        ClaimOutcome::Unchanged(Verdict::Refused, reason::refused(machine, &place, after, step.target_state))
    } else {
        let older = reason::of_older(&step, &deciding_key(&steps, &trail, index), after);
        match step.at_least {
            true => ClaimOutcome::Unchanged(Verdict::NoChange, format!("implied: {older}")),
            false => ClaimOutcome::Unchanged(Verdict::Stale, older),
        }
    };
    slot.loaded_steps = Some(steps);
    (news, Some(step))
}

// The key of the step by which an earlier one does not decide the state: the last that moved the state, if that comes after
// it, else the last of all.
fn deciding_key(steps: &[Step], trail: &[(StepOutcome, FoldState)], earlier: usize) -> OrderKey {
    let moving = trail.iter().rposition(|(outcome, _)| outcome.moved()).filter(|last| *last > earlier);
    steps.get(moving.unwrap_or(steps.len() - 1)).map(|step| step.key).unwrap_or_default()
}

fn moment(micros: Option<i64>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros?)
}

// An event without a time happened before it was received, and before what follows it in the fold.
fn materialize_steps(machine: &Machine, steps: &[Step], trail: &[(StepOutcome, FoldState)]) -> Vec<MaterializedStep> {
    let mut placed: Vec<MaterializedStep> = steps
        .iter()
        .zip(trail)
        .zip(0..)
        .map(|((step, (_, tip)), seq)| MaterializedStep {
            seq,
            step: step.clone(),
            effective_at: step.occurred_or_received_at(),
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
struct MergeCounts {
    changed: usize,
    newer: usize,
    /// What put something older behind what is known.
    outdated_by: Option<OrderedBy>,
}

fn link(entity: &mut FoldedEntity, arrival: &Arrival) -> bool {
    let (parent, inspection) = (entity.parent_row_id, entity.inspection_row_id);
    entity.parent_row_id = parent.or(arrival.parent_row_id);
    entity.inspection_row_id = inspection.or(arrival.inspection_row_id);
    (parent, inspection) != (entity.parent_row_id, entity.inspection_row_id)
}

fn merge_fields(
    slot: &mut CachedEntity,
    event: &Event,
    said: &[FieldValue],
    key: OrderKey,
    warning: Option<TimeWarning>,
) -> MergeCounts {
    let mut merged = MergeCounts::default();
    let FoldedEntity { fields: known, reference, group, .. } = &mut slot.entity;
    if let Some(said) = &event.reference {
        let learned = known.merge_reference(reference, said, key);
        slot.links_changed |= learned == MergeOutcome::Changed;
        merged.count(learned);
    }
    if let Some(said) = &event.group {
        let learned = known.merge_group(group, said, key);
        slot.links_changed |= learned == MergeOutcome::Changed;
        merged.count(learned);
    }
    for said in said {
        merged.count(known.merge(said, key));
    }
    // The time that is not used for ordering stays visible as it was stated.
    if warning == Some(TimeWarning::ClockAhead)
        && !matches!(event.state_claim, StateClaim::AtLeast(_))
        && let Some(stated) = event.occurred_at.raw_field()
        && event.details.iter().all(|(name, _)| *name != stated.field)
    {
        merged.count(known.merge(&FieldValue::from_detail(&stated.field, stated.value.clone()), key));
    }
    slot.facts_changed |= merged.newer > 0;
    slot.dirty |= merged.newer > 0;
    merged
}

impl MergeCounts {
    fn count(&mut self, learned: MergeOutcome) {
        match learned {
            MergeOutcome::Changed => (self.changed, self.newer) = (self.changed + 1, self.newer + 1),
            MergeOutcome::Unchanged => self.newer += 1,
            MergeOutcome::Outdated(by) => self.outdated_by = Some(by),
            MergeOutcome::LowerPrecedence => {}
        }
    }
}
