//! The vendors' state machines.

use crate::machine::{EntityType, Machine, Reopens, START, State, Transition};
use crate::vendor::Vendor;
use async_graphql::{Object, SimpleObject};
use entity::{ItemKind, JobKind, Kind, Party, Status};

#[derive(Clone, Copy, Debug)]
pub struct StateMachine {
    pub vendor: &'static Vendor,
    pub machine: &'static Machine,
}

/// The states of one kind of a vendor's entities, and the expected transitions between them. Any other transition that
/// the vendor reports is applied with the verdict `UNEXPECTED`; out of a final state, only if a vendor time proves it
/// newer.
#[Object]
impl StateMachine {
    /// The vendor.
    async fn vendor(&self) -> &str {
        self.vendor.name
    }

    /// The name, e.g. `pave/inspection` or `hover/job/proposal`.
    async fn name(&self) -> String {
        let subject = self.machine.entity_type;
        let parts = [self.vendor.name, subject.kind().as_str(), subject.subkind()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").to_lowercase()
    }

    /// The kind of entities it is for.
    async fn kind(&self) -> Kind {
        self.machine.entity_type.kind()
    }

    /// The kind of jobs it is for; null unless `kind` is `JOB`.
    async fn job_kind(&self) -> Option<JobKind> {
        match self.machine.entity_type {
            EntityType::Job(kind) => Some(kind),
            _ => None,
        }
    }

    /// The kind of items it is for; null unless `kind` is `ITEM`.
    async fn item_kind(&self) -> Option<ItemKind> {
        match self.machine.entity_type {
            EntityType::Item(kind) => Some(kind),
            _ => None,
        }
    }

    /// The states.
    async fn states(&self) -> Vec<MachineState> {
        let state = |state: &State| MachineState {
            name: state.name,
            status: state.status,
            rank: state.rank,
            terminal: state.terminal,
            waits_for: state.waits_for,
            initial: self.machine.transition(START, state.name).is_some(),
            description: state.description,
        };
        self.machine.states.iter().map(state).collect()
    }

    /// The transitions.
    async fn transitions(&self) -> Vec<MachineTransition> {
        let transition = |transition: &Transition| MachineTransition {
            from: (transition.from != START).then_some(transition.from),
            to: transition.to,
            reopening: transition.reopens != Reopens::Never,
            note: match transition.reopens {
                Reopens::Never => None,
                Reopens::Always => Some("The next cycle begins."),
                Reopens::OnRequest => {
                    Some("The next cycle begins. Without a vendor time it is applied only after a request for more.")
                }
            },
        };
        self.machine.transitions.iter().map(transition).collect()
    }

    /// The state machine as a Mermaid state diagram.
    async fn mermaid(&self) -> String {
        self.machine.mermaid()
    }
}

/// A state of a state machine.
#[derive(Debug, SimpleObject)]
pub struct MachineState {
    /// The name, in the vendor's own words.
    name: &'static str,
    /// The status it maps to; null for items.
    status: Option<Status>,
    /// The rank in the order of progress. If the vendor gives no time, the higher rank within a cycle is the newer
    /// state.
    rank: i32,
    /// Whether only a reopening leads out of it.
    terminal: bool,
    /// The party that an inspection in this state waits for, by default: see `Inspection.waitsFor`.
    waits_for: Option<Party>,
    /// Whether it can be the first state of an entity.
    initial: bool,
    /// The vendor's description.
    description: &'static str,
}

/// A transition of a state machine.
#[derive(Debug, SimpleObject)]
pub struct MachineTransition {
    /// The state it leads from; null if `to` is the first state.
    from: Option<&'static str>,
    /// The state it leads to.
    to: &'static str,
    /// Whether it is a reopening, which begins the next cycle.
    reopening: bool,
    /// A note about it.
    note: Option<&'static str>,
}

/// A possible next state.
#[derive(Debug, SimpleObject)]
pub struct NextState {
    /// The name, in the vendor's own words.
    state: &'static str,
    /// The status it maps to; null for items.
    status: Option<Status>,
    /// Whether it is a reopening, which begins the next cycle.
    reopening: bool,
    /// The vendor's description.
    description: &'static str,
}

impl NextState {
    /// The states that a machine leads to from a state, or from the start.
    pub fn after(machine: &Machine, state: Option<&str>) -> Vec<Self> {
        let moves = machine.transitions_from(state.unwrap_or(START));
        let next = moves.filter_map(|transition| {
            let state = machine.state(transition.to)?;
            Some(NextState {
                state: state.name,
                status: state.status,
                reopening: transition.reopens != Reopens::Never,
                description: state.description,
            })
        });
        next.collect()
    }
}
