//! How an entity's state follows from its events: place each among the others, then walk them in that order.
//!
//! The order key of an event is the vendor's time where all events of the entity have one, else the cycle and rank it
//! is placed at on arrival, else the arrival itself. In-order news moves the [`Tip`]; late news means folding again.
//!
//! The table of the machine says what is expected; the vendor's word says what is. A step without a way in the table is
//! applied as [`Outcome::Unexpected`], unless it would leave a final state without a time that proves it newer.

use super::{Machine, Reopens, START, State};
use crate::failpoints;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What makes one event come before another. Stored as a list, because there is one for every fact of every entity.
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
    /// By the vendor's time where both have one, else by cycle, rank and arrival.
    pub fn order(&self, other: &OrderKey) -> Ordering {
        self.compare(other).0
    }

    /// The order, and the part of the key that decides it.
    pub fn compare(&self, other: &OrderKey) -> (Ordering, OrderedBy) {
        let (Some(mine), Some(theirs)) = (self.time, other.time) else { return self.compare_without_time(other) };
        first_difference([
            (mine.cmp(&theirs), OrderedBy::Time),
            (self.rank.cmp(&other.rank), OrderedBy::Rank),
            (self.position.cmp(&other.position), OrderedBy::Arrival),
        ])
    }

    fn compare_without_time(&self, other: &OrderKey) -> (Ordering, OrderedBy) {
        first_difference([
            (self.cycle.cmp(&other.cycle), OrderedBy::Cycle),
            (self.rank.cmp(&other.rank), OrderedBy::Rank),
            (self.position.cmp(&other.position), OrderedBy::Arrival),
        ])
    }

    fn order_without_time(&self, other: &OrderKey) -> Ordering {
        self.compare_without_time(other).0
    }
}

/// The part of two order keys that decides which of them comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderedBy {
    Time,
    Cycle,
    Rank,
    #[default]
    Arrival,
}

fn first_difference(parts: [(Ordering, OrderedBy); 3]) -> (Ordering, OrderedBy) {
    let decided = parts.into_iter().find(|(order, _)| order.is_ne());
    decided.unwrap_or((Ordering::Equal, OrderedBy::Arrival))
}

/// One event that bears on a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub target_state: &'static str,
    /// Whether the event only implies that the state has been reached: it never moves back.
    pub at_least: bool,
    pub key: OrderKey,
    pub received_at: DateTime<Utc>,
}

impl Step {
    /// When it happened, as well as can be known by itself, in microseconds since the Unix epoch.
    pub fn occurred_or_received_at(&self) -> i64 {
        self.key.time.unwrap_or(self.received_at.timestamp_micros())
    }
}

/// Where the fold stands: enough to go on with in-order news without reading the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FoldState {
    /// The entity's state; none before the first event that names one. It is stored beside the tip.
    #[serde(skip)]
    pub state: Option<String>,
    /// Stored beside the tip, too.
    #[serde(skip)]
    pub cycle: i32,
    /// The rank the entity stands at: its state's, or a higher one that a side state was entered from.
    #[serde(skip_serializing_if = "is_default")]
    pub rank: i32,
    /// The key of the last step, whether or not it moved the state.
    #[serde(skip_serializing_if = "is_default")]
    pub last_key: Option<OrderKey>,
    /// How many steps it has walked.
    #[serde(skip_serializing_if = "is_default")]
    pub step_count: i32,
    /// When the last of them happened ([`Step::happened_at`]).
    #[serde(skip_serializing_if = "is_default")]
    pub last_step_at: Option<i64>,
    /// The earliest vendor's time among them.
    #[serde(skip_serializing_if = "is_default")]
    pub earliest_time: Option<i64>,
    /// Whether a step without a vendor's time is among them.
    #[serde(skip_serializing_if = "is_default")]
    pub has_untimed: bool,
    /// Whether a move that the table does not have is among them. From then on only what names a state outright moves it: what
    /// was implied before may have left no step, and would be missed where late news makes it count.
    #[serde(skip_serializing_if = "is_default")]
    pub has_unexpected: bool,
    /// How many of the cycles were opened by leaving a final state unexpectedly. Only times tell them: they do not count in the
    /// keys of steps, which order the entity should an event without a time come.
    #[serde(skip_serializing_if = "is_default")]
    pub unexpected_cycles: i32,
    /// Set while the entity's time of occurrence is that of a state that was only implied.
    #[serde(skip_serializing_if = "is_default")]
    pub at_least_time: Option<AtLeastTime>,
    /// Whether more was asked for since the state last changed.
    #[serde(skip_serializing_if = "is_default")]
    pub reopen_requested: bool,
    /// Whether the cycle was opened before the end of the one before it had been reported.
    #[serde(skip_serializing_if = "is_default")]
    pub previous_end_missing: bool,
}

/// What an entity's time of occurrence would be without the states that were only implied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AtLeastTime {
    /// The newest time that was reported outright.
    #[serde(skip_serializing_if = "is_default")]
    pub reported_at: Option<DateTime<Utc>>,
}

/// Whether a value need not be stored.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a step does where it stands in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    Moved {
        reopened: bool,
    },
    /// Moved over states nobody reported.
    Skipped {
        skipped_states: Vec<&'static str>,
        reopened: bool,
    },
    /// Moved where the table has no way: the vendor's word counts. Out of a final state this opens a cycle.
    Unexpected {
        reopened: bool,
    },
    Same,
    /// The state is final, the table has no way out of it to the other, and no time proves the step newer.
    Refused,
}

impl StepOutcome {
    /// Whether the state is another one than before the step.
    pub fn moved(&self) -> bool {
        !matches!(self, StepOutcome::Same | StepOutcome::Refused)
    }

    fn reopened(&self) -> bool {
        match self {
            StepOutcome::Moved { reopened }
            | StepOutcome::Skipped { reopened, .. }
            | StepOutcome::Unexpected { reopened } => *reopened,
            StepOutcome::Same | StepOutcome::Refused => false,
        }
    }
}

impl FoldState {
    /// The state, or the pseudo-state before any.
    pub fn state_or_start(&self) -> &str {
        self.state.as_deref().unwrap_or(START)
    }

    /// Where an event that names a state belongs, as seen on its arrival.
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

    /// Where an event that names no state belongs: it counts as news of the present.
    pub fn current_order_key(&self, time: Option<i64>, position: i64) -> OrderKey {
        OrderKey { time, cycle: self.expected_cycle(), rank: self.rank, position }
    }

    fn expected_cycle(&self) -> i32 {
        self.cycle - self.unexpected_cycles
    }

    /// Whether a time proves the step newer than all before it: at the same time, only ranks put it behind them.
    fn is_proven_newer(&self, step: &Step) -> bool {
        !self.has_untimed && self.last_key.is_some_and(|last| last.time < step.key.time)
    }

    fn cycle_and_rank(&self, machine: &Machine, to: &State, at_least: bool, time: Option<i64>) -> (i32, i32) {
        let (from, cycle) = (self.state_or_start(), self.expected_cycle());
        // The vendor's time decides; `advance` writes the cycle that follows from it into the key.
        if at_least || (time.is_some() && !self.has_untimed) {
            return (cycle, to.rank);
        }
        if from == to.name {
            return (cycle, self.rank);
        }
        let is_reopened = cycle > 0 && machine.entered_only_by_reopening(from);
        // The end of the cycle before, which a reopening overtook: nothing has happened in this cycle yet.
        if self.previous_end_missing && to.terminal && is_reopened {
            return (cycle - 1, to.rank);
        }
        match machine.transition(from, to.name).map(|t| t.reopens) {
            Some(Reopens::Never) => return (cycle, to.rank.max(self.rank)),
            Some(Reopens::Always) => return (cycle + 1, to.rank),
            Some(Reopens::OnRequest) if self.reopen_requested => return (cycle + 1, to.rank),
            Some(Reopens::OnRequest) | None => {}
        }
        // No way leads there from a reopening: it is late news of the cycle before.
        if is_reopened && machine.path(from, to.name).is_none() {
            return (cycle - 1, to.rank);
        }
        if machine.entered_only_by_reopening(to.name) {
            match machine.path(from, to.name) {
                // A reopening that overtook the end of the very first cycle.
                Some(_) if cycle == 0 => return (cycle + 1, to.rank),
                Some(_) => {}
                // A reopening of what cannot be reopened stays in this cycle: it is refused if the state is final.
                None => return (cycle, to.rank.max(self.rank)),
            }
        }
        (cycle, to.rank)
    }

    /// Whether a step with this key comes after all that the tip has seen, so that the tip can just move on.
    pub fn is_in_order(&self, key: &OrderKey) -> bool {
        match self.last_key {
            _ if failpoints::rule_disabled("order") => true,
            None => true,
            Some(last) if self.has_untimed => last.order_without_time(key) == Ordering::Less,
            // The first step without a time changes the order of all the steps before it.
            Some(last) => key.time.is_some() && last.order(key) == Ordering::Less,
        }
    }

    /// Walks one step further. Among steps that all have a time, the step's cycle is the one that it comes to stand in, as far as
    /// reopenings opened it: it counts should a step without a time arrive later.
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
        if step.at_least && (is_final || self.has_unexpected || self.rank >= to.rank) {
            return StepOutcome::Same;
        }
        let direct = machine.transition(&from, to.name);
        let outcome = match direct {
            Some(transition) => StepOutcome::Moved { reopened: transition.reopens != Reopens::Never },
            None => match machine.path(&from, to.name) {
                Some(path) if path.skipped_states.is_empty() => StepOutcome::Moved { reopened: path.reopens },
                Some(path) => StepOutcome::Skipped { skipped_states: path.skipped_states, reopened: path.reopens },
                // What is only implied is not the vendor's word on the state.
                None if step.at_least => return StepOutcome::Same,
                None if is_final && !self.is_proven_newer(step) => return StepOutcome::Refused,
                None => StepOutcome::Unexpected { reopened: is_final },
            },
        };
        if outcome.reopened() {
            self.cycle += 1;
            self.unexpected_cycles += i32::from(matches!(outcome, StepOutcome::Unexpected { .. }));
            self.previous_end_missing = matches!(outcome, StepOutcome::Skipped { .. });
            self.rank = to.rank;
        } else {
            self.rank = if step.key.time.is_some() { to.rank } else { to.rank.max(step.key.rank) };
        }
        self.has_unexpected |= matches!(outcome, StepOutcome::Unexpected { .. });
        self.reopen_requested = false;
        self.state = Some(to.name.to_owned());
        outcome
    }

    /// Folds all steps from the beginning, in order. Answers the tip and each step's outcome with the tip after it.
    pub fn fold(machine: &Machine, steps: &mut [Step]) -> (FoldState, Vec<(StepOutcome, FoldState)>) {
        let untimed = steps.iter().any(|step| step.key.time.is_none());
        if untimed {
            steps.sort_by(|a, b| a.key.order_without_time(&b.key));
        } else {
            steps.sort_by(|a, b| a.key.order(&b.key));
        }
        // Known from the first step on: what orders the entity decides whether a final state can be left.
        let mut tip = FoldState { has_untimed: untimed, ..FoldState::default() };
        let mut trail = Vec::with_capacity(steps.len());
        for step in steps.iter_mut() {
            let outcome = tip.advance(machine, step);
            trail.push((outcome, tip.clone()));
        }
        (tip, trail)
    }
}
