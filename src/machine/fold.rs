//! The fold: an entity's state is computed from its events in the order of their keys.
//!
//! Events are ordered by the vendor's time if all events of the entity have one, else by the cycle and rank that each gets on
//! arrival, else by arrival. An event in order advances the [`FoldState`]; a late one requires a refold.
//!
//! The machine's table is what the hub expects; the vendor's report is what counts. A step that the table does not allow is
//! applied as [`StepOutcome::Unexpected`], unless it would leave a final state without a time that proves it newer.

use super::{Machine, Reopens, START, State};
use crate::failpoints;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Orders the events of an entity. Stored as a list, because there is one for every field of every entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Option<i64>, i32, i32, i64)", into = "(Option<i64>, i32, i32, i64)")]
pub struct OrderKey {
    /// The vendor's time in microseconds since the Unix epoch.
    pub time: Option<i64>,
    pub cycle: i32,
    pub rank: i32,
    /// The position of the change: the order of arrival.
    pub position: i64,
}

impl From<(Option<i64>, i32, i32, i64)> for OrderKey {
    fn from((time, cycle, rank, position): (Option<i64>, i32, i32, i64)) -> Self {
        OrderKey { time, cycle, rank, position }
    }
}

impl From<OrderKey> for (Option<i64>, i32, i32, i64) {
    fn from(key: OrderKey) -> Self {
        (key.time, key.cycle, key.rank, key.position)
    }
}

impl OrderKey {
    /// By the vendor's time if both have one, else by cycle, rank and arrival.
    pub fn order(&self, other: &OrderKey) -> Ordering {
        self.compare(other).0
    }

    /// The order, and the part of the keys that decides it.
    pub fn compare(&self, other: &OrderKey) -> (Ordering, OrderedBy) {
        let first = match (self.time, other.time) {
            (Some(mine), Some(theirs)) => (mine.cmp(&theirs), OrderedBy::Time),
            _ => (self.cycle.cmp(&other.cycle), OrderedBy::Cycle),
        };
        let rank = (self.rank.cmp(&other.rank), OrderedBy::Rank);
        let arrival = (self.position.cmp(&other.position), OrderedBy::Arrival);
        [first, rank].into_iter().find(|(order, _)| order.is_ne()).unwrap_or(arrival)
    }

    /// The key as that of an event without a time.
    pub fn without_time(self) -> OrderKey {
        OrderKey { time: None, ..self }
    }
}

/// The part of two order keys that decides their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderedBy {
    Time,
    Cycle,
    Rank,
    #[default]
    Arrival,
}

/// One event with a claim about the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub target_state: &'static str,
    /// Whether the state is only a lower bound: the step never moves back.
    pub at_least: bool,
    pub key: OrderKey,
    pub received_at: DateTime<Utc>,
}

impl Step {
    /// The vendor's time, else the time of receipt, in microseconds since the Unix epoch.
    pub fn occurred_or_received_at(&self) -> i64 {
        self.key.time.unwrap_or(self.received_at.timestamp_micros())
    }
}

/// The state of the fold: enough to apply an event in order without reading the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FoldState {
    /// `None` before the first event that names a state. Stored in a column of its own.
    #[serde(skip)]
    pub state: Option<String>,
    /// Stored in a column of its own.
    #[serde(skip)]
    pub cycle: i32,
    /// The rank of the state, or a higher one from which a side state was entered.
    #[serde(skip_serializing_if = "is_default")]
    pub rank: i32,
    /// The highest rank of the cycle, if a step led back from there. A lower bound up to this rank moves nothing, whether it
    /// arrives before or after that step: one that moves nothing is not stored, and would be missing in a refold.
    #[serde(skip_serializing_if = "is_default")]
    pub passed_rank: i32,
    /// The key of the last step, whether or not it changed the state.
    #[serde(skip_serializing_if = "is_default")]
    pub last_key: Option<OrderKey>,
    #[serde(skip_serializing_if = "is_default")]
    pub step_count: i32,
    /// [`Step::occurred_or_received_at`] of the last step.
    #[serde(skip_serializing_if = "is_default")]
    pub last_step_at: Option<i64>,
    /// The earliest vendor's time of a step.
    #[serde(skip_serializing_if = "is_default")]
    pub earliest_time: Option<i64>,
    /// Whether a step has no vendor's time.
    #[serde(skip_serializing_if = "is_default")]
    pub has_untimed: bool,
    /// Set once a step was applied that the table does not have: the number of cycles that such steps opened by leaving a final
    /// state. From then on only steps that name a state outright move it, because a lower bound may have left no step earlier
    /// and would be missing in a refold. These cycles do not count in the order keys of steps: only times establish them, and
    /// the keys order the entity if an event without a time arrives.
    #[serde(skip_serializing_if = "is_default")]
    pub unexpected_cycles: Option<i32>,
    /// Set while the entity's time of occurrence is that of a lower bound.
    #[serde(skip_serializing_if = "is_default")]
    pub at_least_time: Option<AtLeastTime>,
    /// Whether more was requested since the state last changed.
    #[serde(skip_serializing_if = "is_default")]
    pub reopen_requested: bool,
    /// Whether no event has named the entity yet: it was only announced.
    #[serde(skip_serializing_if = "is_default")]
    pub only_registered: bool,
    /// Whether the cycle began before the final state of the previous one was reported.
    #[serde(skip_serializing_if = "is_default")]
    pub previous_end_missing: bool,
}

/// The entity's time of occurrence without lower bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AtLeastTime {
    /// The newest time of an exact state.
    #[serde(skip_serializing_if = "is_default")]
    pub reported_at: Option<DateTime<Utc>>,
}

/// Whether a value need not be stored.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The effect of a step at its place in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    Moved {
        reopened: bool,
    },
    /// Moved past states that were not reported.
    Skipped {
        skipped_states: Vec<&'static str>,
        reopened: bool,
    },
    /// Moved although the table does not allow it: the vendor's report counts. Leaving a final state opens a cycle.
    Unexpected {
        reopened: bool,
    },
    Same,
    /// Not applied: the state is final, the table has no path to the other, and no time proves the step newer.
    Refused,
}

impl StepOutcome {
    pub fn moved(&self) -> bool {
        !matches!(self, StepOutcome::Same | StepOutcome::Refused)
    }

    fn reopened(&self) -> bool {
        use StepOutcome::{Moved, Skipped, Unexpected};
        matches!(self, Moved { reopened: true } | Skipped { reopened: true, .. } | Unexpected { reopened: true })
    }
}

impl FoldState {
    pub fn state_or_start(&self) -> &str {
        self.state.as_deref().unwrap_or(START)
    }

    /// The order key of an event that names a state, computed on arrival.
    pub fn order_key(
        &self,
        machine: &Machine,
        to: &State,
        at_least: bool,
        time: Option<i64>,
        position: i64,
    ) -> OrderKey {
        let (cycle, rank) = self.cycle_and_rank(machine, to, at_least, time);
        OrderKey { time, cycle, rank, position }
    }

    /// The order key of an event that names no state: it belongs to the current state.
    pub fn current_order_key(&self, time: Option<i64>, position: i64) -> OrderKey {
        OrderKey { time, cycle: self.expected_cycle(), rank: self.rank, position }
    }

    /// The highest rank of the cycle.
    pub fn highest_rank(&self) -> i32 {
        self.rank.max(self.passed_rank)
    }

    fn expected_cycle(&self) -> i32 {
        self.cycle - self.unexpected_cycles.unwrap_or_default()
    }

    /// Whether a time proves the step newer than all before it. At equal times only the ranks decide, which prove nothing.
    fn is_proven_newer(&self, step: &Step) -> bool {
        !self.has_untimed && self.last_key.is_some_and(|last| last.time < step.key.time)
    }

    fn cycle_and_rank(&self, machine: &Machine, to: &State, at_least: bool, time: Option<i64>) -> (i32, i32) {
        let (from, cycle) = (self.state_or_start(), self.expected_cycle());
        // The vendor's time decides the order; `advance` writes the resulting cycle into the key.
        if at_least || (time.is_some() && !self.has_untimed) {
            return (cycle, to.rank);
        }
        if from == to.name {
            return (cycle, self.rank);
        }
        let is_reopened = cycle > 0 && machine.entered_only_by_reopening(from);
        // The final state of the previous cycle, overtaken by the reopening: nothing has happened in this cycle yet.
        if self.previous_end_missing && to.terminal && is_reopened {
            return (cycle - 1, to.rank);
        }
        match machine.transition(from, to.name).map(|t| t.reopens) {
            Some(Reopens::Never) => return (cycle, to.rank.max(self.rank)),
            Some(Reopens::Always) => return (cycle + 1, to.rank),
            Some(Reopens::OnRequest) if self.reopen_requested => return (cycle + 1, to.rank),
            Some(Reopens::OnRequest) | None => {}
        }
        // No path leads there from the reopening: it is a late event of the previous cycle.
        if is_reopened && machine.path(from, to.name).is_none() {
            return (cycle - 1, to.rank);
        }
        if machine.entered_only_by_reopening(to.name) {
            match machine.path(from, to.name) {
                // A reopening that overtook the final state of the first cycle.
                Some(_) if cycle == 0 => return (cycle + 1, to.rank),
                Some(_) => {}
                // A reopening that the table does not allow stays in this cycle: it is refused if the state is final.
                None => return (cycle, to.rank.max(self.rank)),
            }
        }
        (cycle, to.rank)
    }

    /// Whether a step with this key comes after all steps so far, so that no refold is needed.
    pub fn is_in_order(&self, key: &OrderKey) -> bool {
        match self.last_key {
            _ if failpoints::rule_disabled("order") => true,
            None => true,
            Some(last) if self.has_untimed => last.without_time().order(key) == Ordering::Less,
            // The first step without a time changes the order of all steps before it.
            Some(last) => key.time.is_some() && last.order(key) == Ordering::Less,
        }
    }

    /// Applies the next step. If all steps have a time, writes the resulting cycle into the step's key: it decides the order if a
    /// step without a time arrives later.
    pub fn advance(&mut self, machine: &Machine, step: &mut Step) -> StepOutcome {
        self.last_step_at = Some(step.occurred_or_received_at());
        self.step_count += 1;
        self.earliest_time = self.earliest_time.into_iter().chain(step.key.time).min();
        self.has_untimed |= step.key.time.is_none();
        let outcome = self.apply_transition(machine, step);
        if !self.has_untimed {
            step.key.cycle = self.expected_cycle();
        }
        self.last_key = Some(step.key);
        outcome
    }

    fn apply_transition(&mut self, machine: &Machine, step: &Step) -> StepOutcome {
        let Some(to) = machine.state(step.target_state) else { return StepOutcome::Refused };
        let from = self.state_or_start().to_owned();
        if from == to.name {
            return StepOutcome::Same;
        }
        let is_final = machine.state(&from).is_some_and(|here| here.terminal);
        if step.at_least && (is_final || self.unexpected_cycles.is_some() || self.highest_rank() >= to.rank) {
            return StepOutcome::Same;
        }
        let direct = machine.transition(&from, to.name);
        let outcome = match direct {
            Some(transition) => StepOutcome::Moved { reopened: transition.reopens != Reopens::Never },
            None => match machine.path(&from, to.name) {
                Some(path) if path.skipped_states.is_empty() => StepOutcome::Moved { reopened: path.reopens },
                Some(path) => StepOutcome::Skipped { skipped_states: path.skipped_states, reopened: path.reopens },
                // A lower bound is not a report of the state.
                None if step.at_least => return StepOutcome::Same,
                None if is_final && !self.is_proven_newer(step) => return StepOutcome::Refused,
                None => StepOutcome::Unexpected { reopened: is_final },
            },
        };
        let highest_rank = self.highest_rank();
        self.passed_rank = 0;
        if outcome.reopened() {
            self.cycle += 1;
            self.previous_end_missing = matches!(outcome, StepOutcome::Skipped { .. });
            self.rank = to.rank;
        } else {
            self.rank = if step.key.time.is_some() { to.rank } else { to.rank.max(step.key.rank) };
            if self.rank < highest_rank {
                self.passed_rank = highest_rank;
            }
        }
        if let StepOutcome::Unexpected { reopened } = outcome {
            *self.unexpected_cycles.get_or_insert_default() += i32::from(reopened);
        }
        self.reopen_requested = false;
        self.state = Some(to.name.to_owned());
        outcome
    }

    /// Folds all steps from the beginning. Returns the final state, and each step's outcome with the state after it.
    pub fn fold(machine: &Machine, steps: &mut [Step]) -> (FoldState, Vec<(StepOutcome, FoldState)>) {
        let untimed = steps.iter().any(|step| step.key.time.is_none());
        // Without a time on one side, times do not count.
        let key = |step: &Step| if untimed { step.key.without_time() } else { step.key };
        steps.sort_by(|a, b| key(a).order(&b.key));
        // Known from the first step on: whether times order the entity decides whether a final state can be left.
        let mut fold_state = FoldState { has_untimed: untimed, ..FoldState::default() };
        let mut trail = Vec::with_capacity(steps.len());
        for step in steps.iter_mut() {
            let outcome = fold_state.advance(machine, step);
            trail.push((outcome, fold_state.clone()));
        }
        (fold_state, trail)
    }
}
