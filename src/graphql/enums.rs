//! The closed vocabularies, explained to the API's reader.

use crate::store::read;
use async_graphql::Enum;

/// Declares the part of the statuses that a kind uses.
macro_rules! statuses {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every word, in the order of a life.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The kind's own word; none if the kind does not use this status.
            pub fn of(status: entity::Status) -> Option<Self> {
                match status {
                    $(entity::Status::$variant => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        impl From<$name> for entity::Status {
            fn from(status: $name) -> Self {
                match status {
                    $($name::$variant => entity::Status::$variant,)+
                }
            }
        }
    };
}

statuses! {
    /// How far an inspection is: the same words whichever vendor does it.
    InspectionStatus {
        /// Asked for; nobody has begun.
        Requested,
        /// Opened by the person who inspects; nothing has been captured.
        Started,
        /// Pictures and answers are coming in.
        InProgress,
        /// All that was asked for has been captured and sent.
        Submitted,
        /// The vendor works on the result.
        Processing,
        /// The result waits for somebody to look at it.
        ReadyForReview,
        /// Done. Only a reopening leads on, which begins the next cycle.
        Completed,
        /// Called off.
        Canceled,
        /// Not done in time.
        Expired,
        /// It came to nothing: the pictures or the processing could not be used.
        Failed,
    }
}

statuses! {
    /// How far a capture session is: the same words whichever vendor runs it.
    SessionStatus {
        /// Asked for; nobody has begun.
        Requested,
        /// Opened; nothing has been captured.
        Started,
        /// The person is capturing.
        Capturing,
        /// All that was asked for has been captured.
        Captured,
        /// Done.
        Completed,
        /// Called off.
        Canceled,
        /// Not done in time.
        Expired,
        /// It came to nothing.
        Failed,
    }
}

statuses! {
    /// How far a job is: the same words whichever vendor does it.
    JobStatus {
        /// Accepted; not begun.
        Queued,
        /// Under way.
        Running,
        /// Held up: by a person's decision, a limit or another job.
        Waiting,
        /// Done, with a result.
        Succeeded,
        /// Done, without a result.
        Failed,
        /// Called off.
        Canceled,
    }
}

/// The statuses of inspections, sessions and jobs together. Items have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::Status")]
pub enum Status {
    /// Inspection, session: asked for; nobody has begun.
    Requested,
    /// Inspection, session: opened; nothing has been captured.
    Started,
    /// Inspection: pictures and answers are coming in.
    InProgress,
    /// Session: the person is capturing.
    Capturing,
    /// Session: all that was asked for has been captured.
    Captured,
    /// Inspection: all that was asked for has been captured and sent.
    Submitted,
    /// Inspection: the vendor works on the result.
    Processing,
    /// Inspection: the result waits for somebody to look at it.
    ReadyForReview,
    /// Inspection, session: done.
    Completed,
    /// Called off.
    Canceled,
    /// Inspection, session: not done in time.
    Expired,
    /// It came to nothing.
    Failed,
    /// Job: accepted; not begun.
    Queued,
    /// Job: under way.
    Running,
    /// Job: held up.
    Waiting,
    /// Job: done, with a result.
    Succeeded,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::Verdict")]
pub enum Verdict {
    /// It changed the state, a fact or a link.
    Applied,
    /// It changed the state and skipped intermediate states that were never reported; the reason names them.
    SkippedAhead,
    /// It changed the state to one to which the vendor's state machine has no way: the vendor's word counts, and the reason
    /// names the rule that it broke.
    Unexpected,
    /// Older than what is known: the state is kept.
    Stale,
    /// It would leave a final state without a vendor time that proves it newer: the state is kept; the reason names the rule.
    Refused,
    /// It said what was known already, or nothing about any inspection.
    NoChange,
    /// Not an event, or not a state, that is known here. The delivery is kept and can be replayed.
    Unrecognized,
    /// From the vendor, but its body could not be read. The delivery is kept and can be replayed.
    Unreadable,
    /// Applied, but the inspection it belongs to is not known yet.
    Orphaned,
}

/// Why an event has its verdict. A code is stable; the sentence in `reason` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::ReasonCode")]
pub enum ReasonCode {
    /// The state changed by a transition of the vendor's state machine.
    StateChanged,
    /// The state changed over intermediate states that were never reported.
    StatesSkipped,
    /// The state changed without a transition in the vendor's state machine: the vendor's word counts.
    UnexpectedTransition,
    /// A late event changed the present state when it was put in its place in the order.
    LateStateChange,
    /// The entity already was in the reported state.
    StateUnchanged,
    /// The state is final, and no vendor time proves the event newer.
    TransitionRefused,
    /// An event later in the order decides the state.
    OlderState,
    /// All its facts are older than the known ones.
    OlderFacts,
    /// The vendor's state machine does not have the reported state.
    UnknownState,
    /// Facts changed, and the state did not.
    FactsChanged,
    /// The entity was linked to its parent or inspection.
    Linked,
    /// The entity was linked to an inspection because its parent was.
    LinkedByParent,
    /// The first event of the entity, which reports nothing else.
    FirstSeen,
    /// It reports only what is known.
    NothingNew,
    /// It only implies something about the entity, and that is known.
    OnlyImplied,
    /// A rebuild found the delivery to be a duplicate of another.
    Duplicate,
    /// A known event about no entity, e.g. a test event.
    NotApplicable,
    /// The vendor asks to confirm the webhook URL.
    ConfirmationRequested,
    /// The event is not known here.
    UnrecognizedEvent,
    /// The body could not be read.
    UnreadableBody,
}

/// The kind of a warning. A code is stable; the words in `message` are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum WarningCode {
    /// The vendor's time of the event is not a time that the hub understands: it does not order the event.
    TimeNotUnderstood,
    /// The vendor's time is more than a day after the receipt: the time of receipt orders the event.
    ClockAhead,
    /// One of the details should be a time, but the hub does not understand it.
    DetailTimeNotUnderstood,
    /// The entity belongs to an inspection that the event does not name.
    InspectionNotNamed,
}

/// What a change is about, or what a state machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::Kind")]
pub enum EntityKind {
    /// The real-world thing being inspected.
    Inspection,
    /// One capture session by a person.
    Session,
    /// Back-office work with a life of its own.
    Job,
    /// A part of the others: a photo, a message, a damage.
    Item,
    /// A delivery that said nothing about any of them.
    Delivery,
}

/// What sort of work a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::JobKind")]
pub enum JobKind {
    /// Hover makes a model of a building.
    HoverJob,
    /// Hover changes a deliverable after the fact.
    DeliverableChange,
    /// A group of estimates.
    EstimateGroup,
    /// A list of what is to be produced.
    ProductionList,
    /// A proposal to a customer.
    Proposal,
    /// A request for a signature.
    SignatureRequest,
    /// An order of materials.
    Order,
    /// An order to a distributor.
    DistributionOrder,
    /// The making of a PDF.
    Pdf,
    /// The making of a vehicle's condition report.
    ConditionReport,
    /// One run of a data sync.
    SyncRun,
    /// A task given to somebody.
    Task,
}

/// What sort of thing an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::ItemKind")]
pub enum ItemKind {
    /// A picture: see `Item.photo`.
    Photo,
    /// A film: see `Item.video`.
    Video,
    /// An answer to a question of the inspection: see `Item.answer`.
    Answer,
    /// A message to or from the person who inspects: see `Item.message`.
    Message,
    /// Whether the person can be reached: see `Item.contact`.
    Contact,
    /// A note: see `Item.note`.
    Note,
    /// A filled form: see `Item.form`.
    Form,
    /// A file: see `Item.file`.
    File,
    /// A signature: see `Item.file`.
    Signature,
    /// A checklist; its contents are in `details`.
    Checklist,
    /// A 3D model of a building: see `Item.model`.
    Model,
    /// A damage that was found: see `Item.damage`.
    Damage,
    /// Somebody who wants to be called: see `Item.lead`.
    Lead,
    /// A customer's account with a third party: see `Item.account`.
    Account,
    /// A record that a sync brought: see `Item.record`.
    Record,
    /// A record that a sync could not bring: see `Item.record`.
    RecordError,
    /// Anything else; `details` says what it is.
    Other,
}

/// By which clock a moment in the past is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "read::TimeAxis")]
pub enum Clock {
    /// What the hub knew at that moment.
    Received,
    /// What had happened by that moment, also if the hub received it later. Where a vendor gives no time, an event
    /// counts as having happened when it was received, and never later than what followed it.
    Occurred,
}
