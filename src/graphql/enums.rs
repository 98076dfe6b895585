//! The enums of the API.

use crate::store::read;
use async_graphql::Enum;

/// Declares the statuses that a kind uses.
macro_rules! statuses {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order in which an entity reaches them.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The status as this kind's; none if the kind does not use it.
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
    /// The status of an inspection, the same for all vendors.
    InspectionStatus {
        /// Requested; not begun.
        Requested,
        /// Opened by the person who inspects; nothing is captured yet.
        Started,
        /// Photos and answers are being captured.
        InProgress,
        /// Everything requested is captured and submitted.
        Submitted,
        /// The vendor is producing the result.
        Processing,
        /// The result waits for a review.
        ReadyForReview,
        /// Completed. Only a reopening, which begins the next cycle, can change it.
        Completed,
        /// Canceled.
        Canceled,
        /// Not completed in time.
        Expired,
        /// Failed: the photos or the processing could not be used.
        Failed,
    }
}

statuses! {
    /// The status of a capture session, the same for all vendors.
    SessionStatus {
        /// Requested; not begun.
        Requested,
        /// Opened; nothing is captured yet.
        Started,
        /// The person is capturing.
        Capturing,
        /// Everything requested is captured.
        Captured,
        /// Completed.
        Completed,
        /// Canceled.
        Canceled,
        /// Not completed in time.
        Expired,
        /// Failed.
        Failed,
    }
}

statuses! {
    /// The status of a job, the same for all vendors.
    JobStatus {
        /// Accepted; not begun.
        Queued,
        /// Running.
        Running,
        /// Waiting for a person's decision, a limit or another job.
        Waiting,
        /// Finished with a result.
        Succeeded,
        /// Finished without a result.
        Failed,
        /// Canceled.
        Canceled,
    }
}

/// The statuses of inspections, sessions and jobs together. Items have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::Status")]
pub enum Status {
    /// Inspection, session: requested; not begun.
    Requested,
    /// Inspection, session: opened; nothing is captured yet.
    Started,
    /// Inspection: photos and answers are being captured.
    InProgress,
    /// Session: the person is capturing.
    Capturing,
    /// Session: everything requested is captured.
    Captured,
    /// Inspection: everything requested is captured and submitted.
    Submitted,
    /// Inspection: the vendor is producing the result.
    Processing,
    /// Inspection: the result waits for a review.
    ReadyForReview,
    /// Inspection, session: completed.
    Completed,
    /// Canceled.
    Canceled,
    /// Inspection, session: not completed in time.
    Expired,
    /// Failed.
    Failed,
    /// Job: accepted; not begun.
    Queued,
    /// Job: running.
    Running,
    /// Job: waiting.
    Waiting,
    /// Job: finished with a result.
    Succeeded,
}

/// The effect of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::Verdict")]
pub enum Verdict {
    /// It changed the state, a fact or a link.
    Applied,
    /// It changed the state and skipped intermediate states that were never reported; the reason names them.
    SkippedAhead,
    /// It changed the state to one that the vendor's state machine does not lead to: the vendor's report counts, and
    /// the reason names the rule that it violates.
    Unexpected,
    /// Older than the current state, which is unchanged.
    Stale,
    /// It would leave a final state without a vendor time that proves it newer: the state is unchanged; the reason
    /// names the rule.
    Refused,
    /// It repeated what was known, or is about no inspection.
    NoChange,
    /// The event or the state is unknown to the hub. The delivery is stored and can be replayed.
    Unrecognized,
    /// The body could not be parsed. The delivery is stored and can be replayed.
    Unreadable,
    /// Applied, but the inspection it belongs to is unknown so far.
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

/// The kind of what a change is about, or of what a state machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::Kind")]
pub enum EntityKind {
    /// The real-world thing being inspected.
    Inspection,
    /// One capture session by a person.
    Session,
    /// Back-office work with a state of its own.
    Job,
    /// A part of the others: a photo, a message, a damage.
    Item,
    /// A delivery that is about none of them.
    Delivery,
}

/// The kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::JobKind")]
pub enum JobKind {
    /// Hover produces a model of a building.
    HoverJob,
    /// Hover changes a deliverable afterwards.
    DeliverableChange,
    /// A group of estimates.
    EstimateGroup,
    /// A production list.
    ProductionList,
    /// A proposal to a customer.
    Proposal,
    /// A request for a signature.
    SignatureRequest,
    /// An order of materials.
    Order,
    /// An order to a distributor.
    DistributionOrder,
    /// The generation of a PDF.
    Pdf,
    /// The generation of a vehicle's condition report.
    ConditionReport,
    /// One run of a data sync.
    SyncRun,
    /// A task assigned to a person.
    Task,
}

/// The kinds of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::ItemKind")]
pub enum ItemKind {
    /// A photo: see `Item.photo`.
    Photo,
    /// A video: see `Item.video`.
    Video,
    /// An answer to a question of the inspection: see `Item.answer`.
    Answer,
    /// A message to or from the person who inspects: see `Item.message`.
    Message,
    /// Whether the person can be reached: see `Item.contact`.
    Contact,
    /// A note: see `Item.note`.
    Note,
    /// A completed form: see `Item.form`.
    Form,
    /// A file: see `Item.file`.
    File,
    /// A signature: see `Item.file`.
    Signature,
    /// A checklist: see `details`.
    Checklist,
    /// A 3D model of a building: see `Item.model`.
    Model,
    /// A damage that was found: see `Item.damage`.
    Damage,
    /// A person who wants to be called: see `Item.lead`.
    Lead,
    /// A customer's account at a third party: see `Item.account`.
    Account,
    /// A record that a sync imported: see `Item.record`.
    Record,
    /// A record that a sync could not import: see `Item.record`.
    RecordError,
    /// Anything else: see `details`.
    Other,
}

/// The clocks that a time in the past can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "read::TimeAxis")]
pub enum Clock {
    /// What the hub knew at that time.
    Received,
    /// What had happened by that time, even if the hub learned of it only later. If the vendor gives no time, an event
    /// counts as having happened when it was received, and never later than the events that followed it.
    Occurred,
}
