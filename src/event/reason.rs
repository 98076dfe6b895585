//! Why an event has its verdict: a stable code with parameters, and warnings. Stored as such, rendered as a sentence when it
//! is read; nobody parses the sentence. A reason is made from the decision itself: from the outcome of a step, or from the
//! part of two order keys that puts one before the other.

use crate::machine::fold::{FoldState, OrderKey, OrderedBy, Step, StepOutcome, is_default};
use crate::machine::{Machine, START};
use entity::ReasonCode;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

/// How much of a vendor's unknown word a reason quotes, in characters.
const MAX_QUOTE: usize = 64;

/// Declares the reasons: a variant for each [`ReasonCode`], with its sentence and its parameters. A parameter with its default is not stored.
macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident { $($param:ident: $type:ty),* })+) => {
        /// The reason of a verdict, with its parameters.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
        #[serde(untagged)]
        pub enum Reason {
            $($(#[$meta])* $variant { $(#[serde(skip_serializing_if = "is_default")] $param: $type),* },)+
        }

        impl Reason {
            /// The stable code.
            pub fn code(&self) -> ReasonCode {
                match self { $(Reason::$variant { .. } => ReasonCode::$variant,)+ }
            }

            fn from_params(code: ReasonCode, params: &str) -> serde_json::Result<Reason> {
                match code {
                    $(ReasonCode::$variant => {
                        #[derive(Deserialize)]
                        struct StoredParams { $(#[serde(default)] $param: $type),* }
                        let StoredParams { $($param),* } = serde_json::from_str(params)?;
                        Ok(Reason::$variant { $($param),* })
                    })+
                }
            }
        }
    };
}

reasons! {
    /// A transition of the vendor's state machine. `implied`: the event only implies the state. `cycle`: the one that begins,
    /// if the transition is a reopening.
    #[error("{}{}{}", if_implied(*.implied), transition(.from, .to), reopening(*.cycle))]
    StateChanged { from: Option<String>, to: String, implied: bool, cycle: Option<i32> }
    /// Several transitions at once, over states that were never reported.
    #[error(
        "{}{}; never reported: {}{}",
        if_implied(*.implied), transition(.from, .to), .skipped.join(", "), reopening(*.cycle)
    )]
    StatesSkipped { from: Option<String>, to: String, skipped: Vec<String>, implied: bool, cycle: Option<i32> }
    /// The state machine has no such transition; applied because the vendor reports the state.
    #[error(
        "{}, unexpected: {}; applied, since the vendor reports it{}",
        transition(.from, .to), .rule.sentence(.from, .to), reopening(*.cycle)
    )]
    UnexpectedTransition { from: Option<String>, to: String, rule: TransitionRule, cycle: Option<i32> }
    #[error("late event, put in order: {}", transition(.from, .to))]
    LateStateChange { from: Option<String>, to: String }
    #[error("the state is already {state}")]
    StateUnchanged { state: String }
    /// The state machine has no such transition, and no time proves the event newer. `partly_timed`: some events have no time.
    #[error(
        "{}, and no vendor's time proves {to} newer{}; the state is kept",
        .rule.sentence(.from, .to), if_partly_timed(*.partly_timed)
    )]
    TransitionRefused { from: Option<String>, to: String, rule: TransitionRule, partly_timed: bool }
    /// Another event comes later in the order and decides the state.
    #[error(
        "{}{state} is older than {newer}, {}{}; the state is kept",
        if_implied(*.implied), ordered_by(*.by), if_partly_timed(*.partly_timed)
    )]
    OlderState { state: String, newer: String, by: OrderedBy, implied: bool, partly_timed: bool }
    #[error("older than the known facts, {}; the newer facts are kept", ordered_by(*.by))]
    OlderFacts { by: OrderedBy }
    #[error("`{state}` is not a known state; the state is kept")]
    UnknownState { state: String }
    /// Facts changed, and the state did not. `state`: the state, if the event reports one.
    #[error("{}{count} {} changed", unchanged(.state), if *.count == 1 { "fact" } else { "facts" })]
    FactsChanged { count: usize, state: Option<String> }
    /// The entity now belongs to a parent or an inspection. `state`: as for `FactsChanged`.
    #[error("{}linked to a parent or an inspection", unchanged(.state))]
    Linked { state: Option<String> }
    #[error("linked to the inspection of its parent")]
    LinkedByParent {}
    /// The entity's first event; it reports nothing else.
    #[error("first seen")]
    FirstSeen {}
    #[error("reports only what is known")]
    NothingNew {}
    #[error("implies only what is known")]
    OnlyImplied {}
    /// A rebuild found the delivery to be a duplicate of another.
    #[error("duplicate of delivery {delivery}")]
    Duplicate { delivery: i64 }
    /// A known event about no entity, in the adapter's words.
    #[error("{text}")]
    NotApplicable { text: String }
    #[error("the vendor asks to confirm the webhook URL")]
    ConfirmationRequested {}
    /// The adapter does not know the event, in its words.
    #[error("{text}")]
    UnrecognizedEvent { text: String }
    /// The adapter cannot read the body, in its words.
    #[error("{text}")]
    UnreadableBody { text: String }
    #[error("announced before the vendor's first event")]
    Registered {}
    #[error("the reference, labels or due date were set by hand")]
    Annotated {}
    #[error("a comment was added")]
    Commented {}
    #[error("linked to an inspection by hand")]
    LinkedByHand {}
    #[error("the link by hand was undone")]
    UnlinkedByHand {}
}

/// The rule of a state machine that a transition breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransitionRule {
    #[default]
    NoTransition,
    Final,
    NotInitial,
}

/// What to know of an event beside its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Warning {
    /// The field that should have the vendor's time has no time that is understood.
    #[error("the vendor's time{} is not understood", in_parentheses(.field))]
    TimeNotUnderstood { field: String },
    /// The vendor's time is more than [`MAX_CLOCK_AHEAD`](super::MAX_CLOCK_AHEAD) after the receipt.
    #[error(
        "the vendor's time{} is more than a day after the receipt: the time of receipt is used",
        in_parentheses(.field)
    )]
    ClockAhead { field: String },
    /// One of the details should be a time and is not understood.
    #[error("a time among the details is not understood")]
    DetailTimeNotUnderstood,
    /// The event names no inspection, although the entity must belong to one; says why.
    #[error("{why}")]
    InspectionNotNamed { why: String },
}

/// A reason and any number of warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub reason: Reason,
    pub warnings: Vec<Warning>,
}

impl From<Reason> for Explanation {
    fn from(reason: Reason) -> Self {
        Explanation { reason, warnings: Vec::new() }
    }
}

impl Explanation {
    /// The explanation in three columns: code, parameters, warnings.
    ///
    /// # Errors
    /// If the columns were written by another version, or by hand.
    pub fn from_columns(
        code: ReasonCode,
        params: Option<&str>,
        warnings: Option<&str>,
    ) -> serde_json::Result<Explanation> {
        Ok(Explanation {
            reason: Reason::from_params(code, params.unwrap_or("{}"))?,
            warnings: warnings.map(serde_json::from_str).transpose()?.unwrap_or_default(),
        })
    }

    /// The column `reason_params`: JSON, null if there are none.
    pub fn params_column(&self) -> Option<String> {
        serde_json::to_string(&self.reason).ok().filter(|params| params != "{}")
    }

    /// The column `warnings`: JSON, null if there are none.
    pub fn warnings_column(&self) -> Option<String> {
        if self.warnings.is_empty() { None } else { serde_json::to_string(&self.warnings).ok() }
    }
}

impl Reason {
    /// The newest step of all: it changed the state, or reported the present one.
    pub(super) fn of_newest(
        machine: &Machine,
        before: &FoldState,
        after: &FoldState,
        step: &Step,
        outcome: &StepOutcome,
    ) -> Reason {
        let (from, to, implied) = (before.state.clone(), step.target_state.to_owned(), step.at_least);
        let cycle = |reopened: &bool| reopened.then_some(after.cycle);
        match outcome {
            StepOutcome::Moved { reopened } => Reason::StateChanged { from, to, implied, cycle: cycle(reopened) },
            StepOutcome::Skipped { skipped_states, reopened } => {
                let skipped = skipped_states.iter().map(|state| (*state).to_owned()).collect();
                Reason::StatesSkipped { from, to, skipped, implied, cycle: cycle(reopened) }
            }
            StepOutcome::Unexpected { reopened } => {
                let rule = TransitionRule::broken_by(machine, before);
                Reason::UnexpectedTransition { from, to, rule, cycle: cycle(reopened) }
            }
            StepOutcome::Same => Reason::StateUnchanged { state: to },
            StepOutcome::Refused => Reason::refused(machine, before, after, step.target_state),
        }
    }

    /// A step without a transition from the state before it, and without effect.
    pub(super) fn refused(machine: &Machine, before: &FoldState, after: &FoldState, to: &str) -> Reason {
        Reason::TransitionRefused {
            from: before.state.clone(),
            to: to.to_owned(),
            rule: TransitionRule::broken_by(machine, before),
            partly_timed: is_partly_timed(after),
        }
    }

    /// A step that is before another one in the order, so that it does not decide the state.
    pub(super) fn older(step: &Step, newer: &OrderKey, after: &FoldState) -> Reason {
        let key = if after.has_untimed { step.key.without_time() } else { step.key };
        let (_, by) = key.compare(newer);
        Reason::OlderState {
            state: step.target_state.to_owned(),
            newer: after.state_or_start().to_owned(),
            by,
            implied: step.at_least,
            partly_timed: is_partly_timed(after),
        }
    }

    /// A state that the machine does not have.
    pub(super) fn unknown_state(word: &str) -> Reason {
        Reason::UnknownState { state: word.chars().take(MAX_QUOTE).collect() }
    }

    /// An event that changed facts or links, and not the state. `state` is the state that it confirms.
    pub(super) fn of_facts(count: usize, state: Option<String>) -> Reason {
        if count == 0 { Reason::Linked { state } } else { Reason::FactsChanged { count, state } }
    }
}

impl TransitionRule {
    fn broken_by(machine: &Machine, before: &FoldState) -> TransitionRule {
        let from = before.state_or_start();
        match machine.state(from) {
            Some(state) if state.terminal => TransitionRule::Final,
            _ if from == START => TransitionRule::NotInitial,
            _ => TransitionRule::NoTransition,
        }
    }
}

// Some events of the entity have a vendor's time and some have none.
fn is_partly_timed(state: &FoldState) -> bool {
    state.has_untimed && state.earliest_time.is_some()
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        self.warnings.iter().try_for_each(|warning| write!(f, "; {warning}"))
    }
}

impl TransitionRule {
    fn sentence(self, from: &Option<String>, to: &str) -> String {
        let from = from.as_deref().unwrap_or(START);
        match self {
            TransitionRule::NoTransition => format!("no transition leads from {from} to {to}"),
            TransitionRule::Final => format!("{from} is final"),
            TransitionRule::NotInitial => format!("{to} is not an initial state"),
        }
    }
}

fn transition(from: &Option<String>, to: &str) -> String {
    match from {
        Some(from) => format!("from {from} to {to}"),
        None => format!("first seen, in state {to}"),
    }
}

fn if_implied(implied: bool) -> &'static str {
    if implied { "implied: " } else { "" }
}

fn if_partly_timed(partly_timed: bool) -> &'static str {
    if partly_timed { ", since not every event has a vendor's time" } else { "" }
}

fn unchanged(state: &Option<String>) -> String {
    state.as_ref().map(|state| format!("the state is still {state}; ")).unwrap_or_default()
}

fn in_parentheses(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(" ({field})") }
}

fn reopening(cycle: Option<i32>) -> String {
    cycle.map(|cycle| format!("; reopened: cycle {cycle} begins")).unwrap_or_default()
}

fn ordered_by(by: OrderedBy) -> &'static str {
    match by {
        OrderedBy::Time => "by the vendor's time",
        OrderedBy::Cycle => "by its cycle",
        OrderedBy::Rank => "by its rank",
        OrderedBy::Arrival => "by its arrival",
    }
}

/// At least one of each code.
#[cfg(test)]
pub fn examples() -> Vec<Reason> {
    let some = |state: &str| Some(state.to_owned());
    let (idle, started, done) = (|| "Idle".to_owned(), || "Started".to_owned(), || "Done".to_owned());
    let unexpected = |from, rule| Reason::UnexpectedTransition { from, to: done(), rule, cycle: None };
    vec![
        Reason::StateChanged { from: some("Idle"), to: started(), implied: true, cycle: None },
        Reason::StateChanged { from: some("Done"), to: started(), implied: false, cycle: Some(1) },
        Reason::StatesSkipped { from: None, to: done(), skipped: vec![idle(), started()], implied: false, cycle: None },
        unexpected(some("Idle"), TransitionRule::NoTransition),
        unexpected(None, TransitionRule::NotInitial),
        Reason::LateStateChange { from: some("Idle"), to: done() },
        Reason::StateUnchanged { state: done() },
        Reason::TransitionRefused { from: some("Done"), to: idle(), rule: TransitionRule::Final, partly_timed: true },
        Reason::OlderState { state: idle(), newer: done(), by: OrderedBy::Rank, implied: true, partly_timed: false },
        Reason::OlderFacts { by: OrderedBy::Time },
        Reason::unknown_state("Sneezed"),
        Reason::of_facts(2, some("Done")),
        Reason::of_facts(1, None),
        Reason::of_facts(0, None),
        Reason::LinkedByParent {},
        Reason::FirstSeen {},
        Reason::NothingNew {},
        Reason::OnlyImplied {},
        Reason::Duplicate { delivery: 7 },
        Reason::NotApplicable { text: "a test event".to_owned() },
        Reason::ConfirmationRequested {},
        Reason::UnrecognizedEvent { text: "no such event".to_owned() },
        Reason::UnreadableBody { text: "not JSON".to_owned() },
        Reason::Registered {},
        Reason::Annotated {},
        Reason::Commented {},
        Reason::LinkedByHand {},
        Reason::UnlinkedByHand {},
    ]
}
