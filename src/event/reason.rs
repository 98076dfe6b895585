//! The words of a verdict's reason. Each is made from the decision itself: the outcome of a step, or the part of two order
//! keys that put one before the other.

use super::{Event, TimeWarning};
use crate::machine::fold::{Key, OrderedBy, Outcome, Step, Tip};
use crate::machine::{Machine, START};

/// How much of a vendor's unknown word a reason quotes, in characters.
const MAX_QUOTE: usize = 64;

/// A step that moved the state, or was already true, where it is the newest of all.
pub fn of_newest(machine: &Machine, before: &Tip, after: &Tip, step: &Step, outcome: &Outcome) -> String {
    let to = step.to;
    let implied = if step.at_least { "implied: " } else { "" };
    let cycle = after.cycle;
    match outcome {
        Outcome::Moved { reopened: false } => format!("{implied}{} to {to}", from(before)),
        Outcome::Moved { reopened: true } => {
            format!("{implied}{} to {to}, a reopening: cycle {cycle} begins", from(before))
        }
        Outcome::Skipped { between, reopened } => {
            let reopening = if *reopened { format!("; a reopening: cycle {cycle} begins") } else { String::new() };
            format!("{implied}{} to {to}; never reported: {}{reopening}", from(before), between.join(", "))
        }
        Outcome::Unexpected { reopened } => {
            let cycle = if *reopened { format!(": cycle {cycle} begins") } else { String::new() };
            format!(
                "{} to {to}, unexpected: {}; the vendor's word counts{cycle}",
                from(before),
                rule(machine, before, to)
            )
        }
        Outcome::Same => format!("the state is {to} already"),
        Outcome::Refused => refused(machine, before, after, to),
    }
}

/// A step out of order that changed the present state all the same.
pub fn of_late(before: &Tip, after: &Tip) -> String {
    format!("late news; with it in its place, {} to {}", from(before), after.from())
}

/// A step that has no way from the state before it in the table, and no effect.
pub fn refused(machine: &Machine, before: &Tip, after: &Tip, to: &str) -> String {
    let why = if mixed(after) { ", since not every event has a vendor's time" } else { "" };
    format!("{}, and no vendor's time proves {to} newer{why}; the state is kept", rule(machine, before, to))
}

/// A step that comes before another in the order, and so does not decide the state.
pub fn of_older(step: &Step, newer: &Key, after: &Tip) -> String {
    let (_, by) = match after.untimed {
        true => Key { time: None, ..step.key }.compare(newer),
        false => step.key.compare(newer),
    };
    format!("{} is older than {}, {}; the state is kept", step.to, after.from(), ordered_by(by, mixed(after)))
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
    let field = event.at.stated().map(|stated| format!(" ({})", stated.field)).unwrap_or_default();
    match warning {
        Some(TimeWarning::NotUnderstood) => Some(format!("the vendor's time{field} is not understood")),
        Some(TimeWarning::ClockAhead) => Some(format!(
            "the vendor's time{field} is more than a day ahead of the receipt: the time of receipt is used"
        )),
        None if event.misread_time => Some("a time among the details is not understood".to_owned()),
        None => None,
    }
}

fn from(tip: &Tip) -> String {
    match &tip.state {
        Some(state) => format!("from {state}"),
        None => "first seen, on".to_owned(),
    }
}

// The rule of the table that a step breaks.
fn rule(machine: &Machine, before: &Tip, to: &str) -> String {
    let from = before.from();
    match machine.state(from) {
        Some(state) if state.terminal => format!("{from} is final"),
        _ if from == START => format!("nothing begins as {to}"),
        _ => format!("no way leads from {from} to {to}"),
    }
}

// Some events of the entity have a vendor's time and some have none.
fn mixed(tip: &Tip) -> bool {
    tip.untimed && tip.since.is_some()
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
