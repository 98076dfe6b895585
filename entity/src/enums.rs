//! The closed vocabularies. The database, the code, GraphQL and the logs spell them identically.

use sea_orm::entity::prelude::*;

/// Declares an enum whose variants are stored and printed as one SCREAMING_SNAKE_CASE word each.
macro_rules! text_enum {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
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
    /// What a change is about.
    Kind {
        /// The real-world thing being inspected.
        Inspection = "INSPECTION",
        /// One capture session by a person.
        Session = "SESSION",
        /// Back-office work with states of its own.
        Job = "JOB",
        /// A part of the others: a photo, a message, a damage.
        Item = "ITEM",
        /// A delivery about none of them.
        Delivery = "DELIVERY",
    }
}

text_enum! {
    /// What sort of work a job is.
    JobKind {
        HoverJob = "HOVER_JOB",
        DeliverableChange = "DELIVERABLE_CHANGE",
        EstimateGroup = "ESTIMATE_GROUP",
        ProductionList = "PRODUCTION_LIST",
        Proposal = "PROPOSAL",
        SignatureRequest = "SIGNATURE_REQUEST",
        Order = "ORDER",
        DistributionOrder = "DISTRIBUTION_ORDER",
        Pdf = "PDF",
        ConditionReport = "CONDITION_REPORT",
        SyncRun = "SYNC_RUN",
        Task = "TASK",
    }
}

text_enum! {
    /// What sort of thing an item is.
    ItemKind {
        Photo = "PHOTO",
        Video = "VIDEO",
        Answer = "ANSWER",
        Message = "MESSAGE",
        Contact = "CONTACT",
        Note = "NOTE",
        Form = "FORM",
        File = "FILE",
        Signature = "SIGNATURE",
        Checklist = "CHECKLIST",
        Model = "MODEL",
        Damage = "DAMAGE",
        Lead = "LEAD",
        Account = "ACCOUNT",
        Record = "RECORD",
        RecordError = "RECORD_ERROR",
        Other = "OTHER",
    }
}

text_enum! {
    /// The normalised statuses of inspections, sessions and jobs together; each kind uses a part of them.
    Status {
        Requested = "REQUESTED",
        Started = "STARTED",
        InProgress = "IN_PROGRESS",
        Capturing = "CAPTURING",
        Captured = "CAPTURED",
        Submitted = "SUBMITTED",
        Processing = "PROCESSING",
        ReadyForReview = "READY_FOR_REVIEW",
        Completed = "COMPLETED",
        Canceled = "CANCELED",
        Expired = "EXPIRED",
        Failed = "FAILED",
        Queued = "QUEUED",
        Running = "RUNNING",
        Waiting = "WAITING",
        Succeeded = "SUCCEEDED",
    }
}

text_enum! {
    /// What became of an event.
    Verdict {
        Applied = "APPLIED",
        SkippedAhead = "SKIPPED_AHEAD",
        Unexpected = "UNEXPECTED",
        Stale = "STALE",
        Refused = "REFUSED",
        NoChange = "NO_CHANGE",
        Unrecognized = "UNRECOGNIZED",
        Unreadable = "UNREADABLE",
        Orphaned = "ORPHANED",
    }
}

text_enum! {
    /// Why an event has its verdict.
    ReasonCode {
        StateChanged = "STATE_CHANGED",
        StatesSkipped = "STATES_SKIPPED",
        UnexpectedTransition = "UNEXPECTED_TRANSITION",
        LateStateChange = "LATE_STATE_CHANGE",
        StateUnchanged = "STATE_UNCHANGED",
        TransitionRefused = "TRANSITION_REFUSED",
        OlderState = "OLDER_STATE",
        OlderFacts = "OLDER_FACTS",
        UnknownState = "UNKNOWN_STATE",
        FactsChanged = "FACTS_CHANGED",
        Linked = "LINKED",
        LinkedByParent = "LINKED_BY_PARENT",
        FirstSeen = "FIRST_SEEN",
        NothingNew = "NOTHING_NEW",
        OnlyImplied = "ONLY_IMPLIED",
        Duplicate = "DUPLICATE",
        NotApplicable = "NOT_APPLICABLE",
        ConfirmationRequested = "CONFIRMATION_REQUESTED",
        UnrecognizedEvent = "UNRECOGNIZED_EVENT",
        UnreadableBody = "UNREADABLE_BODY",
    }
}
