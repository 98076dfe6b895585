//! The words of a verdict's reason. Each is made from the decision itself: the outcome of a step, or the part of two order
//! keys that put one before the other.

use super::{Event, TimeWarning};
use crate::machine::fold::{FoldState, OrderKey, OrderedBy, Step, StepOutcome};
use crate::machine::{Machine, START};

/// How much of a vendor's unknown word a reason quotes, in characters.
const MAX_QUOTE: usize = 64;

/// A step that moved the state, or was already true, where it is the newest of all.
pub fn of_newest(
    machine: &Machine,
    before: &FoldState,
    after: &FoldState,
    step: &Step,
    outcome: &StepOutcome,
) -> String {
    let to = step.target_state;
    let implied = if step.at_least { "implied: " } else { "" };
    let cycle = after.cycle;
    match outcome {
        StepOutcome::Moved { reopened: false } => format!("{implied}{} to {to}", from(before)),
        StepOutcome::Moved { reopened: true } => {
            format!("{implied}{} to {to}, a reopening: cycle {cycle} begins", from(before))
        }
        StepOutcome::Skipped { skipped_states: between, reopened } => {
            let reopening = if *reopened { format!("; a reopening: cycle {cycle} begins") } else { String::new() };
            format!("{implied}{} to {to}; never reported: {}{reopening}", from(before), between.join(", "))
        }
        StepOutcome::Unexpected { reopened } => {
            let cycle = if *reopened { format!(": cycle {cycle} begins") } else { String::new() };
            format!(
                "{} to {to}, unexpected: {}; the vendor's word counts{cycle}",
                from(before),
                rule(machine, before, to)
            )
        }
        StepOutcome::Same => format!("the state is {to} already"),
        StepOutcome::Refused => refused(machine, before, after, to),
    }
}

/// A step out of order that changed the present state all the same.
pub fn of_late(before: &FoldState, after: &FoldState) -> String {
    format!("late news; with it in its place, {} to {}", from(before), after.state_or_start())
}

/// A step that has no way from the state before it in the table, and no effect.
pub fn refused(machine: &Machine, before: &FoldState, after: &FoldState, to: &str) -> String {
    let why = if is_partly_timed(after) { ", since not every event has a vendor's time" } else { "" };
    format!("{}, and no vendor's time proves {to} newer{why}; the state is kept", rule(machine, before, to))
}

/// A step that comes before another in the order, and so does not decide the state.
pub fn of_older(step: &Step, newer: &OrderKey, after: &FoldState) -> String {
    let (_, by) = match after.has_untimed {
        true => OrderKey { time: None, ..step.key }.compare(newer),
        false => step.key.compare(newer),
    };
    format!(
        "{} is older than {}, {}; the state is kept",
        step.target_state,
        after.state_or_start(),
        ordered_by(by, is_partly_timed(after))
    )
}

/// Facts of which newer ones are known; says what decided that they are older.
pub fn of_older_facts(by: OrderedBy) -> String {
    format!("older than what is known, {}; newer facts are kept", ordered_by(by, false))
}

/// A state's word that the machine does not have.
pub fn unknown_state(word: &str) -> String {
    let word: String = word.chars().take(MAX_QUOTE).collect();
    format!("`{word}` is not a state that is known here; the state is kept")
}

/// What an event did beside its state: facts that changed, a link.
pub fn of_facts(changed: usize) -> String {
    match changed {
        0 => "linked to what it belongs to".to_owned(),
        1 => "1 fact is new".to_owned(),
        number => format!("{number} facts are new"),
    }
}

/// What to add where the vendor's time does not order the event.
pub fn warning(event: &Event, warning: Option<TimeWarning>) -> Option<String> {
    let field = event.occurred_at.raw_field().map(|stated| format!(" ({})", stated.field)).unwrap_or_default();
    match warning {
        Some(TimeWarning::InvalidTime) => Some(format!("the vendor's time{field} is not understood")),
        Some(TimeWarning::ClockAhead) => Some(format!(
            "the vendor's time{field} is more than a day ahead of the receipt: the time of receipt is used"
        )),
        None if event.invalid_time => Some("a time among the details is not understood".to_owned()),
        None => None,
    }
}

fn from(tip: &FoldState) -> String {
    match &tip.state {
        Some(state) => format!("from {state}"),
        None => "first seen, on".to_owned(),
    }
}

// The rule of the table that a step breaks.
fn rule(machine: &Machine, before: &FoldState, to: &str) -> String {
    let from = before.state_or_start();
    match machine.state(from) {
        Some(state) if state.terminal => format!("{from} is final"),
        _ if from == START => format!("nothing begins as {to}"),
        _ => format!("no way leads from {from} to {to}"),
    }
}

// Some events of the entity have a vendor's time and some have none.
fn is_partly_timed(tip: &FoldState) -> bool {
    tip.has_untimed && tip.earliest_time.is_some()
}

fn ordered_by(by: OrderedBy, mixed: bool) -> String {
    let by = match by {
        OrderedBy::Time => "by the vendor's time",
        OrderedBy::Cycle => "by its cycle",
        OrderedBy::Rank => "by its rank",
        OrderedBy::Arrival => "by its arrival",
    };
    let missing = if mixed { ", since not every event has a vendor's time" } else { "" };
    format!("{by}{missing}")
}
