//! State machines as data: a table of a vendor's states and transitions, and what is derived from it.
//!
//! Independent of vendors, database and clock. [`fold`] applies an entity's events to a machine.

pub mod fold;
mod mermaid;

pub use entity::{ItemKind, JobKind, Kind, Party, Status};

use std::collections::VecDeque;

/// The pseudo-state before the first event, written as UML draws it.
pub const START: &str = "[*]";

/// The kind of an entity, and the subkind of a job or item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityType {
    Inspection,
    Session,
    Job(JobKind),
    Item(ItemKind),
}

impl EntityType {
    /// Every type.
    pub fn all() -> impl Iterator<Item = EntityType> {
        let jobs = JobKind::ALL.iter().map(|kind| EntityType::Job(*kind));
        let items = ItemKind::ALL.iter().map(|kind| EntityType::Item(*kind));
        [EntityType::Inspection, EntityType::Session].into_iter().chain(jobs).chain(items)
    }

    pub const fn kind(self) -> Kind {
        match self {
            EntityType::Inspection => Kind::Inspection,
            EntityType::Session => Kind::Session,
            EntityType::Job(_) => Kind::Job,
            EntityType::Item(_) => Kind::Item,
        }
    }

    /// The subkind of a job or item; empty for inspections and sessions.
    pub const fn subkind(self) -> &'static str {
        match self {
            EntityType::Inspection | EntityType::Session => "",
            EntityType::Job(kind) => kind.as_str(),
            EntityType::Item(kind) => kind.as_str(),
        }
    }
}

/// The states of an entity and the transitions between them, as the vendor documents them.
#[derive(Debug)]
pub struct Machine {
    pub entity_type: EntityType,
    /// Each name occurs once.
    pub states: &'static [State],
    pub transitions: &'static [Transition],
}

#[derive(Debug)]
pub struct State {
    /// The vendor's name.
    pub name: &'static str,
    /// The normalized status; `None` for items, which have none.
    pub status: Option<Status>,
    /// The progress within a cycle. Without the vendor's time, a higher rank is later; equal ranks follow the order of
    /// arrival.
    pub rank: i32,
    /// Whether only a reopening leaves it.
    pub terminal: bool,
    /// The party that has to act next; `None` if the vendor does not document it.
    pub waits_for: Option<Party>,
    pub description: &'static str,
}

impl State {
    /// The same state, in which the inspection waits for a party.
    pub const fn waiting_for(self, party: Party) -> State {
        State { waits_for: Some(party), ..self }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Transition {
    pub from: &'static str,
    pub to: &'static str,
    pub reopens: Reopens,
}

/// Whether a transition begins the next cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopens {
    /// It stays within the cycle.
    Never,
    /// It reopens finished work.
    Always,
    /// Likewise. Without the vendor's time it is accepted only after the vendor reported a request for more.
    OnRequest,
}

/// A state of an inspection, session or job.
pub const fn state(name: &'static str, status: Status, rank: i32, about: &'static str) -> State {
    State { name, status: Some(status), rank, terminal: false, waits_for: None, description: about }
}

/// A state of an inspection, session or job that only a reopening leaves.
pub const fn terminal(name: &'static str, status: Status, rank: i32, about: &'static str) -> State {
    State { name, status: Some(status), rank, terminal: true, waits_for: None, description: about }
}

/// A state of an item.
pub const fn item_state(name: &'static str, rank: i32, about: &'static str) -> State {
    State { name, status: None, rank, terminal: false, waits_for: None, description: about }
}

/// Transitions of one form.
#[derive(Clone, Copy, Debug)]
pub enum TransitionGroup {
    /// From each of these states to each of those.
    Each(&'static [&'static str], &'static [&'static str]),
    /// From each state to the next one.
    Chain(&'static [&'static str]),
    /// From each of these states to that one, as the beginning of the next cycle.
    Reopening(Reopens, &'static [&'static str], &'static str),
    /// Those of another table.
    Table(&'static [Transition]),
}

/// The table of all transitions of these groups, in their order.
macro_rules! transitions {
    ($($group:expr),+ $(,)?) => {{
        const GROUPS: &[$crate::machine::TransitionGroup] = &[$($group),+];
        const TABLE: [$crate::machine::Transition; $crate::machine::count(GROUPS)] = $crate::machine::expand(GROUPS);
        &TABLE
    }};
}
pub(crate) use transitions;

impl TransitionGroup {
    const fn count(&self) -> usize {
        match self {
            TransitionGroup::Each(from, to) => from.len() * to.len(),
            TransitionGroup::Chain(states) => states.len() - 1,
            TransitionGroup::Reopening(_, from, _) => from.len(),
            TransitionGroup::Table(table) => table.len(),
        }
    }

    const fn get(&self, at: usize) -> Transition {
        match *self {
            TransitionGroup::Each(from, to) => transition(from[at / to.len()], to[at % to.len()], Reopens::Never),
            TransitionGroup::Chain(states) => transition(states[at], states[at + 1], Reopens::Never),
            TransitionGroup::Reopening(reopens, from, to) => transition(from[at], to, reopens),
            TransitionGroup::Table(table) => table[at],
        }
    }
}

const fn transition(from: &'static str, to: &'static str, reopens: Reopens) -> Transition {
    Transition { from, to, reopens }
}

pub(crate) const fn count(groups: &[TransitionGroup]) -> usize {
    match groups {
        [first, others @ ..] => first.count() + count(others),
        [] => 0,
    }
}

pub(crate) const fn expand<const N: usize>(groups: &[TransitionGroup]) -> [Transition; N] {
    let mut table = [transition(START, START, Reopens::Never); N];
    let (mut at, mut group, mut row) = (0, 0, 0);
    while at < N {
        if row == groups[group].count() {
            (group, row) = (group + 1, 0);
        }
        table[at] = groups[group].get(row);
        (at, row) = (at + 1, row + 1);
    }
    table
}

/// The shortest sequence of transitions between two states.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    pub skipped_states: Vec<&'static str>,
    /// Whether the last transition is a reopening.
    pub reopens: bool,
}

impl Machine {
    pub fn state(&self, name: &str) -> Option<&'static State> {
        self.states.iter().find(|state| state.name == name)
    }

    pub fn status_of(&self, state: Option<&str>) -> Option<Status> {
        self.state(state?)?.status
    }

    pub fn transition(&self, from: &str, to: &str) -> Option<&'static Transition> {
        self.transitions.iter().find(|t| t.from == from && t.to == to)
    }

    pub fn transitions_from(&self, from: &str) -> impl Iterator<Item = &'static Transition> {
        self.transitions.iter().filter(move |t| t.from == from)
    }

    /// Whether a state can only be entered by a reopening.
    pub fn entered_only_by_reopening(&self, name: &str) -> bool {
        self.entered_only_by_reopening_from(name, &mut Vec::new())
    }

    // `trail` ends the search in loops: states that lead to each other are not entered by a reopening alone.
    fn entered_only_by_reopening_from<'a>(&self, name: &'a str, trail: &mut Vec<&'a str>) -> bool
    where
        Self: 'a,
    {
        let mut into = self.transitions.iter().filter(|t| t.to == name && t.from != START).peekable();
        if into.peek().is_none() || trail.contains(&name) {
            return false;
        }
        trail.push(name);
        let only = into.all(|t| t.reopens != Reopens::Never || self.entered_only_by_reopening_from(t.from, trail));
        trail.pop();
        only
    }

    /// The shortest path from one state to another. A path may end with a reopening, but never passes through one.
    pub fn path(&self, from: &str, to: &str) -> Option<Path> {
        let mut seen = vec![from];
        let mut paths = VecDeque::from([(from, Vec::new())]);
        while let Some((here, passed)) = paths.pop_front() {
            for transition in self.transitions.iter().filter(|t| t.from == here) {
                let reopens = transition.reopens != Reopens::Never;
                if transition.to == to {
                    return Some(Path { skipped_states: passed, reopens });
                }
                if !reopens && !seen.contains(&transition.to) {
                    seen.push(transition.to);
                    paths.push_back((transition.to, [passed.as_slice(), &[transition.to]].concat()));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::TransitionGroup::{Chain, Reopening};
    use super::*;

    const DOOR: Machine = Machine {
        entity_type: EntityType::Job(JobKind::Task),
        states: &[
            state("ordered", Status::Queued, 10, ""),
            state("painted", Status::Running, 20, ""),
            terminal("hung", Status::Succeeded, 90, ""),
            state("sanding", Status::Running, 5, ""),
        ],
        transitions: transitions![
            Chain(&[START, "ordered", "painted", "hung"]),
            Reopening(Reopens::Always, &["hung"], "sanding"),
            Chain(&["sanding", "painted"]),
        ],
    };

    #[test]
    fn a_path_names_what_was_passed() {
        let path = DOOR.path(START, "hung");
        assert_eq!(path, Some(Path { skipped_states: vec!["ordered", "painted"], reopens: false }));
    }

    #[test]
    fn a_path_may_end_with_a_reopening_but_not_pass_through_one() {
        let path = DOOR.path("painted", "sanding");
        assert_eq!(path, Some(Path { skipped_states: vec!["hung"], reopens: true }));
        assert_eq!(DOOR.path("hung", "painted"), None);
        assert_eq!(DOOR.path("hung", "ordered"), None);
    }

    #[test]
    fn states_that_lead_to_each_other_are_not_only_reopened() {
        const LAMP: Machine = Machine {
            entity_type: EntityType::Job(JobKind::Task),
            states: &[state("on", Status::Running, 10, ""), state("off", Status::Running, 10, "")],
            transitions: transitions![Chain(&[START, "on", "off", "on"])],
        };
        assert!(LAMP.states.iter().all(|state| !LAMP.entered_only_by_reopening(state.name)));
    }

    #[test]
    fn only_the_sanding_is_entered_by_reopening_alone() {
        let names: Vec<_> =
            DOOR.states.iter().map(|s| s.name).filter(|name| DOOR.entered_only_by_reopening(name)).collect();
        assert_eq!(names, ["sanding"]);
    }
}
