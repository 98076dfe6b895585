//! The vendors' state machines, as the hub follows them.

use super::enums::{EntityKind, ItemKind, JobKind, Status};
use crate::machine::{EntityType, Machine, Reopens, START, State, Transition};
use crate::vendor::Vendor;
use async_graphql::{Object, SimpleObject};

#[derive(Clone, Copy, Debug)]
pub struct StateMachine {
    pub vendor: &'static Vendor,
    pub machine: &'static Machine,
}

/// The states that one kind of a vendor's things can be in, and the moves between them. The table says what
/// is expected. What a vendor reports against it is applied and marked `UNEXPECTED`, except out of a final state, where a
/// vendor time must prove it newer.
#[Object]
impl StateMachine {
    /// The vendor.
    async fn vendor(&self) -> &str {
        self.vendor.name
    }

    /// The machine's own name, e.g. `pave/inspection` or `hover/job/proposal`.
    async fn name(&self) -> String {
        let subject = self.machine.entity_type;
        let mut name = format!("{}/{}", self.vendor.name, subject.kind());
        if !subject.subkind().is_empty() {
            name.push('/');
            name.push_str(subject.subkind());
        }
        name.to_lowercase()
    }

    /// What it is for.
    async fn kind(&self) -> EntityKind {
        self.machine.entity_type.kind().into()
    }

    /// The kind of job it is for; none unless `kind` is `JOB`.
    async fn job_kind(&self) -> Option<JobKind> {
        match self.machine.entity_type {
            EntityType::Job(kind) => Some(kind.into()),
            _ => None,
        }
    }

    /// The kind of item it is for; none unless `kind` is `ITEM`.
    async fn item_kind(&self) -> Option<ItemKind> {
        match self.machine.entity_type {
            EntityType::Item(kind) => Some(kind.into()),
            _ => None,
        }
    }

    /// The states.
    async fn states(&self) -> Vec<MachineState> {
        self.machine.states.iter().map(|state| MachineState::of(self.machine, state)).collect()
    }

    /// The moves.
    async fn transitions(&self) -> Vec<MachineTransition> {
        self.machine.transitions.iter().map(MachineTransition::of).collect()
    }

    /// The machine drawn as a Mermaid state diagram.
    async fn mermaid(&self) -> String {
        self.machine.mermaid()
    }
}

/// One state of a state machine.
#[derive(Debug, SimpleObject)]
pub struct MachineState {
    /// The vendor's own word.
    name: &'static str,
    /// The hub's word for it; none for items, which have no status.
    status: Option<Status>,
    /// How far along it is. Where a vendor gives no time, the higher rank within a cycle is the later news.
    rank: i32,
    /// Whether only a reopening leads on from here.
    terminal: bool,
    /// Whether things can be in it when they are first heard of.
    initial: bool,
    /// What the vendor says about it.
    description: &'static str,
}

impl MachineState {
    fn of(machine: &Machine, state: &State) -> Self {
        MachineState {
            name: state.name,
            status: state.status.map(Status::from),
            rank: state.rank,
            terminal: state.terminal,
            initial: machine.transition(START, state.name).is_some(),
            description: state.description,
        }
    }
}

/// One move of a state machine.
#[derive(Debug, SimpleObject)]
pub struct MachineTransition {
    /// The state it leads from; none if it is the first one to be heard of.
    from: Option<&'static str>,
    /// The state it leads to.
    to: &'static str,
    /// Whether it takes up again what was done, which begins the next cycle.
    reopening: bool,
    /// What else is to be known about it.
    note: Option<&'static str>,
}

impl MachineTransition {
    fn of(transition: &Transition) -> Self {
        MachineTransition {
            from: (transition.from != START).then_some(transition.from),
            to: transition.to,
            reopening: transition.reopens != Reopens::Never,
            note: match transition.reopens {
                Reopens::Never => None,
                Reopens::Always => Some("The next cycle begins."),
                Reopens::OnRequest => {
                    Some("The next cycle begins. Without a vendor's time it is believed only after a request for more.")
                }
            },
        }
    }
}

/// A state that can be next.
#[derive(Debug, SimpleObject)]
pub struct NextState {
    /// The vendor's own word.
    state: &'static str,
    /// The hub's word for it; none for items, which have no status.
    status: Option<Status>,
    /// Whether it takes up again what was done, which begins the next cycle.
    reopening: bool,
    /// What the vendor says about it.
    description: &'static str,
}

impl NextState {
    /// The states that a machine leads to from a state, or from before any.
    pub fn after(machine: &Machine, state: Option<&str>) -> Vec<Self> {
        let moves = machine.transitions_from(state.unwrap_or(START));
        let next = moves.filter_map(|transition| {
            let state = machine.state(transition.to)?;
            Some(NextState {
                state: state.name,
                status: state.status.map(Status::from),
                reopening: transition.reopens != Reopens::Never,
                description: state.description,
            })
        });
        next.collect()
    }
}
