//! The closed vocabularies. The database, the code, GraphQL and the logs spell them identically.

use async_graphql::Enum;
use sea_orm::entity::prelude::*;

/// Declares an enum whose variants are stored and printed as one SCREAMING_SNAKE_CASE word each, in the API too. The comments
/// are the API's descriptions.
macro_rules! text_enum {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Enum)]
        $(#[$about])*
        #[sea_orm(rs_type = "String", db_type = "Text")]
        pub enum $name {
            $($(#[$doc])* #[sea_orm(string_value = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of declaration.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The word as it is stored and printed.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// The variant that a stored word names.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_enum! {
    /// The kind of what a change is about, or of what a state machine is for.
    #[graphql(name = "EntityKind")]
    Kind {
        /// The real-world thing being inspected.
        Inspection = "INSPECTION",
        /// One capture session by a person.
        Session = "SESSION",
        /// Back-office work with a state of its own.
        Job = "JOB",
        /// A part of the others: a photo, a message, a damage.
        Item = "ITEM",
        /// A delivery that is about none of them.
        Delivery = "DELIVERY",
    }
}

text_enum! {
    /// The kinds of jobs.
    JobKind {
        /// Hover produces a model of a building.
        HoverJob = "HOVER_JOB",
        /// Hover changes a deliverable afterwards.
        DeliverableChange = "DELIVERABLE_CHANGE",
        /// A group of estimates.
        EstimateGroup = "ESTIMATE_GROUP",
        /// A production list.
        ProductionList = "PRODUCTION_LIST",
        /// A proposal to a customer.
        Proposal = "PROPOSAL",
        /// A request for a signature.
        SignatureRequest = "SIGNATURE_REQUEST",
        /// An order of materials.
        Order = "ORDER",
        /// An order to a distributor.
        DistributionOrder = "DISTRIBUTION_ORDER",
        /// The generation of a PDF.
        Pdf = "PDF",
        /// The generation of a vehicle's condition report.
        ConditionReport = "CONDITION_REPORT",
        /// One run of a data sync.
        SyncRun = "SYNC_RUN",
        /// A task assigned to a person.
        Task = "TASK",
    }
}

text_enum! {
    /// The kinds of items.
    ItemKind {
        /// A photo: see `Item.photo`.
        Photo = "PHOTO",
        /// A video: see `Item.video`.
        Video = "VIDEO",
        /// An answer to a question of the inspection: see `Item.answer`.
        Answer = "ANSWER",
        /// A message to or from the person who inspects: see `Item.message`.
        Message = "MESSAGE",
        /// Whether the person can be reached: see `Item.contact`.
        Contact = "CONTACT",
        /// A note: see `Item.note`.
        Note = "NOTE",
        /// A completed form: see `Item.form`.
        Form = "FORM",
        /// A file: see `Item.file`.
        File = "FILE",
        /// A signature: see `Item.file`.
        Signature = "SIGNATURE",
        /// A checklist: see `details`.
        Checklist = "CHECKLIST",
        /// A 3D model of a building: see `Item.model`.
        Model = "MODEL",
        /// A damage that was found: see `Item.damage`.
        Damage = "DAMAGE",
        /// A person who wants to be called: see `Item.lead`.
        Lead = "LEAD",
        /// A customer's account at a third party: see `Item.account`.
        Account = "ACCOUNT",
        /// A record that a sync imported: see `Item.record`.
        Record = "RECORD",
        /// A record that a sync could not import: see `Item.record`.
        RecordError = "RECORD_ERROR",
        /// Anything else: see `details`.
        Other = "OTHER",
    }
}

text_enum! {
    /// The statuses of inspections, sessions and jobs together. Items have none.
    Status {
        /// Inspection, session: requested; not begun.
        Requested = "REQUESTED",
        /// Inspection, session: opened; nothing is captured yet.
        Started = "STARTED",
        /// Inspection: photos and answers are being captured.
        InProgress = "IN_PROGRESS",
        /// Session: the person is capturing.
        Capturing = "CAPTURING",
        /// Session: everything requested is captured.
        Captured = "CAPTURED",
        /// Inspection: everything requested is captured and submitted.
        Submitted = "SUBMITTED",
        /// Inspection: the vendor is producing the result.
        Processing = "PROCESSING",
        /// Inspection: the result waits for a review.
        ReadyForReview = "READY_FOR_REVIEW",
        /// Inspection, session: completed.
        Completed = "COMPLETED",
        /// Canceled.
        Canceled = "CANCELED",
        /// Inspection, session: not completed in time.
        Expired = "EXPIRED",
        /// Failed.
        Failed = "FAILED",
        /// Job: accepted; not begun.
        Queued = "QUEUED",
        /// Job: running.
        Running = "RUNNING",
        /// Job: waiting.
        Waiting = "WAITING",
        /// Job: finished with a result.
        Succeeded = "SUCCEEDED",
    }
}

text_enum! {
    /// The effect of an event.
    Verdict {
        /// It changed the state, a fact or a link.
        Applied = "APPLIED",
        /// It changed the state and skipped intermediate states that were never reported; the reason names them.
        SkippedAhead = "SKIPPED_AHEAD",
        /// It changed the state to one that the vendor's state machine does not lead to: the vendor's report counts, and
        /// the reason names the rule that it violates.
        Unexpected = "UNEXPECTED",
        /// Older than the current state, which is unchanged.
        Stale = "STALE",
        /// It would leave a final state without a vendor time that proves it newer: the state is unchanged; the reason
        /// names the rule.
        Refused = "REFUSED",
        /// It repeated what was known, or is about no inspection.
        NoChange = "NO_CHANGE",
        /// The event or the state is unknown to the hub. The delivery is stored and can be replayed.
        Unrecognized = "UNRECOGNIZED",
        /// The body could not be parsed. The delivery is stored and can be replayed.
        Unreadable = "UNREADABLE",
        /// Applied, but the inspection it belongs to is unknown so far.
        Orphaned = "ORPHANED",
    }
}

text_enum! {
    /// Why an event has its verdict. A code is stable; the sentence in `reason` is not.
    ReasonCode {
        /// The state changed by a transition of the vendor's state machine.
        StateChanged = "STATE_CHANGED",
        /// The state changed over intermediate states that were never reported.
        StatesSkipped = "STATES_SKIPPED",
        /// The state changed without a transition in the vendor's state machine: the vendor's word counts.
        UnexpectedTransition = "UNEXPECTED_TRANSITION",
        /// A late event changed the present state when it was put in its place in the order.
        LateStateChange = "LATE_STATE_CHANGE",
        /// The entity already was in the reported state.
        StateUnchanged = "STATE_UNCHANGED",
        /// The state is final, and no vendor time proves the event newer.
        TransitionRefused = "TRANSITION_REFUSED",
        /// An event later in the order decides the state.
        OlderState = "OLDER_STATE",
        /// All its facts are older than the known ones.
        OlderFacts = "OLDER_FACTS",
        /// The vendor's state machine does not have the reported state.
        UnknownState = "UNKNOWN_STATE",
        /// Facts changed, and the state did not.
        FactsChanged = "FACTS_CHANGED",
        /// The entity was linked to its parent or inspection.
        Linked = "LINKED",
        /// The entity was linked to an inspection because its parent was.
        LinkedByParent = "LINKED_BY_PARENT",
        /// The first event of the entity, which reports nothing else.
        FirstSeen = "FIRST_SEEN",
        /// It reports only what is known.
        NothingNew = "NOTHING_NEW",
        /// It only implies something about the entity, and that is known.
        OnlyImplied = "ONLY_IMPLIED",
        /// A rebuild found the delivery to be a duplicate of another.
        Duplicate = "DUPLICATE",
        /// A known event about no entity, e.g. a test event.
        NotApplicable = "NOT_APPLICABLE",
        /// The vendor asks to confirm the webhook URL.
        ConfirmationRequested = "CONFIRMATION_REQUESTED",
        /// The event is not known here.
        UnrecognizedEvent = "UNRECOGNIZED_EVENT",
        /// The body could not be read.
        UnreadableBody = "UNREADABLE_BODY",
    }
}
