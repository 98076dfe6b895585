//! Decides the verdict of one event: what it does to the state, facts and links of one entity, and why. Pure.

use super::cached_entity::{CachedEntity, MaterializedStep, PendingSteps};
use super::reason::{Explanation, Reason, Warning};
use super::{Event, FieldValue, FoldedEntity, MergeOutcome, ParentLink, StateClaim, TimeWarning};
use crate::machine::fold::{FoldState, OrderKey, OrderedBy, Step, StepOutcome};
use crate::machine::{Machine, State, Status};
use chrono::{DateTime, Utc};
use entity::Verdict;

/// An entity with more steps than this has them materialized, so that a refold need not read a long history.
const MAX_UNMATERIALIZED_STEPS: i32 = 64;

/// When and where an event arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The position of the change to come.
    pub position: i64,
    pub received_at: DateTime<Utc>,
    pub parent_row_id: Option<i64>,
    /// As the vendor says, by the event or by the parent.
    pub inspection_row_id: Option<i64>,
    /// The parent's link by hand.
    pub parent_link: Option<ParentLink>,
}

/// The effect of an event: one row of history.
#[derive(Clone, Debug, PartialEq)]
pub struct EventOutcome {
    pub verdict: Verdict,
    pub explanation: Explanation,
    pub from_state: Option<String>,
    pub from_status: Option<Status>,
    /// The step of the fold, if the event is one.
    pub step: Option<Step>,
    /// The position of the step before, if the history has the steps in the order of the fold.
    pub previous_step: Option<i64>,
}

/// The event is late: the entity's steps must be loaded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsHistory;

/// What the state claim of an event came to.
enum ClaimOutcome {
    /// The event claims no state.
    NoClaim,
    Moved(Verdict, Reason),
    Unchanged(Verdict, Reason),
    /// It implies what is known: no row of history unless something else changed.
    Unrecorded,
}

/// That, with the order key of the event, and the step that it added to the fold.
type AppliedClaim = (ClaimOutcome, OrderKey, Option<Step>);

/// Applies an event to an entity, with the fields that it reports. `None`: the event only implies what is known.
///
/// # Errors
/// [`NeedsHistory`] if the event is late and the entity's steps are not loaded; then nothing was changed.
pub fn apply(
    cached: &mut CachedEntity,
    event: &Event,
    fields: &[FieldValue],
    arrival: &Arrival,
) -> Result<Option<EventOutcome>, NeedsHistory> {
    let (at, time_warning) = event.occurred_at.ordering(arrival.received_at);
    let time = at.map(|at| at.timestamp_micros());
    let before = (cached.entity.fold_state.state.clone(), cached.entity.status);
    let previous_step = cached.last_step_position();
    let (claim, key, step) = match (&event.state_claim, cached.machine) {
        (StateClaim::Exact(word), Some(machine)) => match machine.state(word) {
            Some(to) => apply_claim(cached, machine, to, false, time, arrival)?,
            None => {
                let unknown = ClaimOutcome::Unchanged(Verdict::Unrecognized, Reason::unknown_state(word));
                without_step(cached, unknown, time, arrival)
            }
        },
        (StateClaim::AtLeast(word), Some(machine)) => match machine.state(word) {
            Some(to) => apply_claim(cached, machine, to, true, time, arrival)?,
            None => without_step(cached, ClaimOutcome::Unrecorded, time, arrival),
        },
        (StateClaim::ReopenRequested, _) => {
            cached.dirty |= !cached.entity.fold_state.reopen_requested;
            cached.entity.fold_state.reopen_requested = true;
            without_step(cached, ClaimOutcome::Unrecorded, time, arrival)
        }
        (StateClaim::Exact(_) | StateClaim::AtLeast(_) | StateClaim::FactsOnly, _) => {
            without_step(cached, ClaimOutcome::NoClaim, time, arrival)
        }
    };
    cached.entity.status = cached.derive_status();
    let is_first = cached.entity.position == 0 || cached.entity.fold_state.only_registered;
    cached.dirty |= std::mem::take(&mut cached.entity.fold_state.only_registered);
    // The time of an implied state belongs to another entity's event, unless it moved the state.
    if !matches!(event.state_claim, StateClaim::AtLeast(_)) {
        cached.record_reported_time(at);
    }
    let hand_link = cached.entity.hand_link;
    let linked = link(&mut cached.entity, arrival);
    let links_changed = linked || hand_link != cached.entity.hand_link;
    cached.links_changed |= links_changed;
    cached.dirty |= links_changed;
    let facts = merge_fields(cached, event, fields, key, time_warning);
    let touched = linked || facts.changed > 0;

    let (verdict, reason) = match claim {
        ClaimOutcome::Moved(verdict, reason)
        | ClaimOutcome::Unchanged(verdict @ (Verdict::Unrecognized | Verdict::Refused | Verdict::Stale), reason) => {
            (verdict, reason)
        }
        ClaimOutcome::Unchanged(..) if touched => {
            (Verdict::Applied, Reason::of_facts(facts.changed, cached.entity.fold_state.state.clone()))
        }
        ClaimOutcome::Unchanged(verdict, reason) => (verdict, reason),
        ClaimOutcome::NoClaim | ClaimOutcome::Unrecorded if touched => {
            (Verdict::Applied, Reason::of_facts(facts.changed, None))
        }
        ClaimOutcome::NoClaim | ClaimOutcome::Unrecorded if is_first => (Verdict::Applied, Reason::FirstSeen {}),
        ClaimOutcome::Unrecorded => return Ok(None),
        ClaimOutcome::NoClaim => match facts.outdated_by {
            Some(by) => (Verdict::Stale, Reason::OlderFacts { by }),
            None => (Verdict::NoChange, Reason::NothingNew {}),
        },
    };
    let mut warnings = time_warnings(event, time_warning);
    let verdict = match event.orphan_reason {
        Some(why) if cached.entity.inspection_row_id.is_none() && has_effect(verdict) => {
            warnings.push(Warning::InspectionNotNamed { why: why.to_owned() });
            Verdict::Orphaned
        }
        _ => verdict,
    };
    if has_effect(verdict) || cached.entity.position == 0 {
        cached.entity.updated_at = arrival.received_at;
        cached.entity.position = arrival.position;
        cached.dirty = true;
    }
    Ok(Some(EventOutcome {
        verdict,
        explanation: Explanation { reason, warnings },
        from_state: before.0,
        from_status: before.1,
        step,
        previous_step,
    }))
}

/// Whether an event with this verdict changed its entity.
pub fn has_effect(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Applied | Verdict::SkippedAhead | Verdict::Unexpected | Verdict::Orphaned)
}

fn time_warnings(event: &Event, time_warning: Option<TimeWarning>) -> Vec<Warning> {
    let field = || event.occurred_at.raw_field.as_deref().map(|raw| raw.field.clone()).unwrap_or_default();
    let of_order = time_warning.map(|warning| match warning {
        TimeWarning::InvalidTime => Warning::TimeNotUnderstood { field: field() },
        TimeWarning::ClockAhead => Warning::ClockAhead { field: field() },
    });
    of_order.into_iter().chain(event.invalid_time.then_some(Warning::DetailTimeNotUnderstood)).collect()
}

// An event without a step is ordered as an event of the present.
fn without_step(cached: &CachedEntity, claim: ClaimOutcome, time: Option<i64>, arrival: &Arrival) -> AppliedClaim {
    (claim, cached.entity.fold_state.current_order_key(time, arrival.position), None)
}

fn apply_claim(
    cached: &mut CachedEntity,
    machine: &'static Machine,
    to: &'static State,
    at_least: bool,
    time: Option<i64>,
    arrival: &Arrival,
) -> Result<AppliedClaim, NeedsHistory> {
    let state = &cached.entity.fold_state;
    let key = state.order_key(machine, to, at_least, time, arrival.position);
    let step = Step { target_state: to.name, at_least, key, received_at: arrival.received_at };
    let is_newest = state.is_in_order(&key);
    // An implied state without a time that was already passed changes nothing, whatever was before it.
    if !is_newest && at_least && time.is_none() && state.highest_rank() >= to.rank {
        return Ok((ClaimOutcome::Unrecorded, key, None));
    }
    // Materialized steps have effective times that never decrease: a step that happened before the last one changes those of
    // the steps before it, so it needs a refold even if it is the newest by its key.
    let in_order = is_newest
        && match cached.entity.steps_materialized {
            true => state.last_step_at.is_none_or(|last| last <= step.occurred_or_received_at()),
            false => state.step_count < MAX_UNMATERIALIZED_STEPS,
        };
    let (claim, step) = if in_order {
        apply_in_order(cached, machine, step)
    } else if cached.loaded_steps.is_some() {
        refold(cached, machine, step)
    } else {
        return Err(NeedsHistory);
    };
    Ok((claim, step.as_ref().map_or(key, |step| step.key), step))
}

// An event in order continues the fold.
fn apply_in_order(cached: &mut CachedEntity, machine: &Machine, mut step: Step) -> (ClaimOutcome, Option<Step>) {
    let before = cached.entity.fold_state.clone();
    let mut after = before.clone();
    let outcome = after.advance(machine, &mut step);
    if step.at_least && outcome == StepOutcome::Same {
        return (ClaimOutcome::Unrecorded, None);
    }
    if let Some(steps) = &mut cached.loaded_steps {
        steps.push(step.clone());
    }
    cached.pending_steps.steps.push(MaterializedStep::new(after.step_count - 1, &step, machine, &after));
    cached.dirty = true;
    cached.entity.fold_state = after;
    if step.at_least {
        let newest = cached.entity.occurred_at.max(datetime(step.key.time));
        cached.record_at_least_time(newest);
    }
    (newest_claim_outcome(machine, &before, &cached.entity.fold_state, &step, &outcome), Some(step))
}

// The outcome of a step that is the newest of all.
fn newest_claim_outcome(
    machine: &Machine,
    before: &FoldState,
    after: &FoldState,
    step: &Step,
    outcome: &StepOutcome,
) -> ClaimOutcome {
    let reason = Reason::of_newest(machine, before, after, step, outcome);
    match outcome {
        StepOutcome::Moved { .. } => ClaimOutcome::Moved(Verdict::Applied, reason),
        StepOutcome::Skipped { .. } => ClaimOutcome::Moved(Verdict::SkippedAhead, reason),
        StepOutcome::Unexpected { .. } => ClaimOutcome::Moved(Verdict::Unexpected, reason),
        StepOutcome::Same => ClaimOutcome::Unchanged(Verdict::NoChange, reason),
        StepOutcome::Refused => ClaimOutcome::Unchanged(Verdict::Refused, reason),
    }
}

// A late event is put in its place among the steps, and all of them are folded again.
fn refold(cached: &mut CachedEntity, machine: &Machine, step: Step) -> (ClaimOutcome, Option<Step>) {
    let before = cached.entity.fold_state.clone();
    let mut steps = cached.loaded_steps.clone().unwrap_or_default();
    steps.push(step.clone());
    let (mut folded, trail) = FoldState::fold(machine, &mut steps);
    let is_it = |one: &Step| one.key.position == step.key.position && one.target_state == step.target_state;
    let Some(index) = steps.iter().position(is_it) else { return (ClaimOutcome::Unrecorded, None) };
    let (Some(step), Some((outcome, _))) = (steps.get(index).cloned(), trail.get(index)) else {
        return (ClaimOutcome::Unrecorded, None);
    };
    if step.at_least && *outcome == StepOutcome::Same {
        return (ClaimOutcome::Unrecorded, None);
    }
    if folded.state == before.state {
        folded.reopen_requested = before.reopen_requested;
    }
    folded.at_least_time = before.at_least_time;
    let before_step = index.checked_sub(1).and_then(|previous| trail.get(previous));
    let before_step = before_step.map(|(_, state)| state.clone()).unwrap_or_default();
    cached.pending_steps = PendingSteps { steps: materialize_steps(machine, &steps, &trail), replace_all: true };
    cached.dirty = true;
    cached.entity.steps_materialized = true;
    cached.entity.fold_state = folded;
    let implied = steps.iter().zip(&trail).filter(|(step, (outcome, _))| step.at_least && outcome.moved());
    let newest_implied = implied.filter_map(|(step, _)| datetime(step.key.time)).max();
    cached.record_at_least_time(newest_implied);
    let after = &cached.entity.fold_state;
    let is_newest = index + 1 == steps.len();
    let is_state_changed = (&after.state, after.cycle) != (&before.state, before.cycle);
    // The newest step may leave the state as it is after the steps before it, and still change it: its arrival may have reordered
    // them, if it is the first step without a time.
    let claim = if is_newest && (outcome.moved() || !is_state_changed) {
        newest_claim_outcome(machine, &before_step, after, &step, outcome)
    } else if is_state_changed {
        let verdict = match outcome {
            StepOutcome::Unexpected { .. } => Verdict::Unexpected,
            _ => Verdict::Applied,
        };
        let to = after.state_or_start().to_owned();
        ClaimOutcome::Moved(verdict, Reason::LateStateChange { from: before.state, to })
    } else if *outcome == StepOutcome::Refused {
        ClaimOutcome::Unchanged(Verdict::Refused, Reason::refused(machine, &before_step, after, step.target_state))
    } else {
        let verdict = if step.at_least { Verdict::NoChange } else { Verdict::Stale };
        ClaimOutcome::Unchanged(verdict, Reason::older(&step, &deciding_key(&steps, &trail, index), after))
    };
    cached.loaded_steps = Some(steps);
    (claim, Some(step))
}

// The key of the step that decides the state instead of an earlier one: the last that moved the state, if it is after the
// earlier one, else the last of all.
fn deciding_key(steps: &[Step], trail: &[(StepOutcome, FoldState)], earlier: usize) -> OrderKey {
    let moving = trail.iter().rposition(|(outcome, _)| outcome.moved()).filter(|last| *last > earlier);
    steps.get(moving.unwrap_or(steps.len() - 1)).map(|step| step.key).unwrap_or_default()
}

fn datetime(micros: Option<i64>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros?)
}

// An event without a time happened before its receipt, and before the step after it.
fn materialize_steps(machine: &Machine, steps: &[Step], trail: &[(StepOutcome, FoldState)]) -> Vec<MaterializedStep> {
    let numbered = (0..).zip(steps.iter().zip(trail));
    let materialized = numbered.map(|(seq, (step, (_, after)))| MaterializedStep::new(seq, step, machine, after));
    let mut materialized: Vec<_> = materialized.collect();
    let mut next_at = i64::MAX;
    for step in materialized.iter_mut().rev() {
        step.effective_at = step.effective_at.min(next_at);
        next_at = step.effective_at;
    }
    materialized
}

#[derive(Default)]
struct MergeCounts {
    /// Fields with another value than before.
    changed: usize,
    /// Fields with a newer version than before, whatever their value.
    newer: usize,
    /// The part of the order keys by which a field was older than the known one.
    outdated_by: Option<OrderedBy>,
}

fn link(entity: &mut FoldedEntity, arrival: &Arrival) -> bool {
    let (parent, inspection) = (entity.parent_row_id, entity.inspection_row_id);
    entity.parent_row_id = parent.or(arrival.parent_row_id);
    match &mut entity.hand_link {
        Some(link) => link.vendor_inspection_row_id = link.vendor_inspection_row_id.or(arrival.inspection_row_id),
        None => entity.inspection_row_id = inspection.or(arrival.inspection_row_id),
    }
    // A known part has moved with its parent already.
    if parent.is_none()
        && let Some(of_parent) = arrival.parent_link.filter(|of_parent| of_parent.linked_row_id.is_some())
    {
        entity.follow(&of_parent);
    }
    (parent, inspection) != (entity.parent_row_id, entity.inspection_row_id)
}

fn merge_fields(
    cached: &mut CachedEntity,
    event: &Event,
    fields: &[FieldValue],
    key: OrderKey,
    time_warning: Option<TimeWarning>,
) -> MergeCounts {
    let mut merged = MergeCounts::default();
    let FoldedEntity { fields: known, reference, group, .. } = &mut cached.entity;
    let of_reference = event.reference.as_ref().map(|reported| known.merge_reference(reference, reported, key));
    let of_group = event.group.as_ref().map(|reported| known.merge_group(group, reported, key));
    for outcome in of_reference.into_iter().chain(of_group) {
        cached.links_changed |= outcome == MergeOutcome::Changed;
        merged.count(outcome);
    }
    for field in fields {
        merged.count(known.merge(field, key));
    }
    // A time that is not used for ordering stays visible as the vendor wrote it.
    if time_warning == Some(TimeWarning::ClockAhead)
        && !matches!(event.state_claim, StateClaim::AtLeast(_))
        && let Some(raw) = event.occurred_at.raw_field.as_deref()
        && event.details.iter().all(|(name, _)| *name != raw.field)
    {
        merged.count(known.merge(&FieldValue::from_detail(&raw.field, raw.value.clone()), key));
    }
    cached.facts_changed |= merged.newer > 0;
    cached.dirty |= merged.newer > 0;
    merged
}

impl MergeCounts {
    fn count(&mut self, outcome: MergeOutcome) {
        match outcome {
            MergeOutcome::Changed => (self.changed, self.newer) = (self.changed + 1, self.newer + 1),
            MergeOutcome::Unchanged => self.newer += 1,
            MergeOutcome::Outdated(by) => self.outdated_by = Some(by),
            MergeOutcome::LowerPrecedence => {}
        }
    }
}
