//! The closed vocabularies. The code, GraphQL and the logs spell them identically. The database has a number for each word of
//! [`Kind`], [`CommandKind`], [`Status`], [`Verdict`] and [`ReasonCode`], because every row of history has several of them.

use async_graphql::Enum;
use sea_orm::entity::prelude::*;

/// Declares an enum whose variants are printed as one SCREAMING_SNAKE_CASE word each, in the API too. The comments are the API's
/// descriptions. A variant with a number is stored as the number, the others as the word. **A number is never changed and never
/// used again**: databases have it.
macro_rules! vocabulary {
    (
        $(#[$about:meta])* $name:ident {
            $($(#[$doc:meta])* $variant:ident = $number:literal, $word:literal;)+
        }
    ) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Enum)]
        $(#[$about])*
        #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
        pub enum $name {
            $($(#[$doc])* #[sea_orm(num_value = $number)] $variant,)+
        }

        impl $name {
            /// The number as it is stored.
            pub const fn number(self) -> i16 {
                match self { $($name::$variant => $number),+ }
            }

            /// The variant that a stored number means.
            pub const fn from_number(number: i16) -> Option<Self> {
                match number { $($number => Some($name::$variant),)+ _ => None }
            }
        }

        words!($name { $($variant = $word,)+ });
    };
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal;)+ }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Enum)]
        $(#[$about])*
        #[sea_orm(rs_type = "String", db_type = "Text")]
        pub enum $name {
            $($(#[$doc])* #[sea_orm(string_value = $word)] $variant,)+
        }

        words!($name { $($variant = $word,)+ });
    };
}

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)+ }) => {
        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The word as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// The variant that a word means.
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

vocabulary! {
    /// The kind of what a change is about, or of what a state machine is for.
    #[graphql(name = "EntityKind")]
    Kind {
        /// The real-world thing being inspected.
        Inspection = 1, "INSPECTION";
        /// One capture session by a person.
        Session = 2, "SESSION";
        /// Back-office work with a state of its own.
        Job = 3, "JOB";
        /// A part of the others: a photo, a message, a damage.
        Item = 4, "ITEM";
        /// A delivery that is about none of them.
        Delivery = 5, "DELIVERY";
    }
}

vocabulary! {
    /// What a credential allows.
    Scope {
        /// To read the API and to subscribe to it, without what is personal.
        Read = "READ";
        /// To read what is personal as well: names, phone numbers, addresses, number plates, links to photos, bodies.
        ReadPersonal = "READ_PERSONAL";
        /// To act: deliver again, register, annotate, link, resolve, pause a source.
        Operate = "OPERATE";
        /// To erase what is personal of an inspection, for good.
        Erase = "ERASE";
        /// To manage API keys, and to read the audit log.
        Admin = "ADMIN";
        /// To read the metrics.
        Metrics = "METRICS";
    }
}

vocabulary! {
    /// The kinds of commands.
    CommandKind {
        /// An inspection was announced before the vendor's first webhook.
        Register = 1, "REGISTER";
        /// The customer's own reference, labels or due date were set or taken away.
        Annotate = 2, "ANNOTATE";
        /// A comment was added.
        Comment = 3, "COMMENT";
        /// A session, job or item was put under an inspection by hand, or that was undone.
        Link = 4, "LINK";
    }
}

vocabulary! {
    /// The party that has to act next.
    Party {
        /// The person who captures: the owner, a contractor or an inspector on site.
        Customer = "CUSTOMER";
        /// The vendor, which checks, processes or reports.
        Vendor = "VENDOR";
        /// The reviewer of the result.
        Reviewer = "REVIEWER";
        /// The organization that runs this hub.
        Us = "US";
    }
}

vocabulary! {
    /// The kinds of jobs.
    JobKind {
        /// Hover produces a model of a building.
        HoverJob = "HOVER_JOB";
        /// Hover changes a deliverable afterwards.
        DeliverableChange = "DELIVERABLE_CHANGE";
        /// A group of estimates.
        EstimateGroup = "ESTIMATE_GROUP";
        /// A production list.
        ProductionList = "PRODUCTION_LIST";
        /// A proposal to a customer.
        Proposal = "PROPOSAL";
        /// A request for a signature.
        SignatureRequest = "SIGNATURE_REQUEST";
        /// An order of materials.
        Order = "ORDER";
        /// An order to a distributor.
        DistributionOrder = "DISTRIBUTION_ORDER";
        /// The generation of a PDF.
        Pdf = "PDF";
        /// The generation of a vehicle's condition report.
        ConditionReport = "CONDITION_REPORT";
        /// One run of a data sync.
        SyncRun = "SYNC_RUN";
        /// A task assigned to a person.
        Task = "TASK";
    }
}

vocabulary! {
    /// The kinds of items.
    ItemKind {
        /// A photo: see `Item.photo`.
        Photo = "PHOTO";
        /// A video: see `Item.video`.
        Video = "VIDEO";
        /// An answer to a question of the inspection: see `Item.answer`.
        Answer = "ANSWER";
        /// A message to or from the person who inspects: see `Item.message`.
        Message = "MESSAGE";
        /// Whether the person can be reached: see `Item.contact`.
        Contact = "CONTACT";
        /// A note: see `Item.note`.
        Note = "NOTE";
        /// A completed form: see `Item.form`.
        Form = "FORM";
        /// A file: see `Item.file`.
        File = "FILE";
        /// A signature: see `Item.file`.
        Signature = "SIGNATURE";
        /// A checklist: see `details`.
        Checklist = "CHECKLIST";
        /// A 3D model of a building: see `Item.model`.
        Model = "MODEL";
        /// A damage that was found: see `Item.damage`.
        Damage = "DAMAGE";
        /// A person who wants to be called: see `Item.lead`.
        Lead = "LEAD";
        /// A customer's account at a third party: see `Item.account`.
        Account = "ACCOUNT";
        /// A record that a sync imported: see `Item.record`.
        Record = "RECORD";
        /// A record that a sync could not import: see `Item.record`.
        RecordError = "RECORD_ERROR";
        /// Anything else: see `details`.
        Other = "OTHER";
    }
}

vocabulary! {
    /// The statuses of inspections, sessions and jobs together. Items have none.
    Status {
        /// Inspection, session: requested; not begun.
        Requested = 1, "REQUESTED";
        /// Inspection, session: opened; nothing is captured yet.
        Started = 2, "STARTED";
        /// Inspection: photos and answers are being captured.
        InProgress = 3, "IN_PROGRESS";
        /// Session: the person is capturing.
        Capturing = 4, "CAPTURING";
        /// Session: everything requested is captured.
        Captured = 5, "CAPTURED";
        /// Inspection: everything requested is captured and submitted.
        Submitted = 6, "SUBMITTED";
        /// Inspection: the vendor is producing the result.
        Processing = 7, "PROCESSING";
        /// Inspection: the result waits for a review.
        ReadyForReview = 8, "READY_FOR_REVIEW";
        /// Inspection, session: completed.
        Completed = 9, "COMPLETED";
        /// Canceled.
        Canceled = 10, "CANCELED";
        /// Inspection, session: not completed in time.
        Expired = 11, "EXPIRED";
        /// Failed.
        Failed = 12, "FAILED";
        /// Job: accepted; not begun.
        Queued = 13, "QUEUED";
        /// Job: running.
        Running = 14, "RUNNING";
        /// Job: waiting.
        Waiting = 15, "WAITING";
        /// Job: finished with a result.
        Succeeded = 16, "SUCCEEDED";
    }
}

vocabulary! {
    /// The effect of an event.
    Verdict {
        /// It changed the state, a fact or a link.
        Applied = 1, "APPLIED";
        /// It changed the state and skipped intermediate states that were never reported; the reason names them.
        SkippedAhead = 2, "SKIPPED_AHEAD";
        /// It changed the state to one that the vendor's state machine does not lead to: the vendor's report counts, and
        /// the reason names the rule that it violates.
        Unexpected = 3, "UNEXPECTED";
        /// Older than the current state, which is unchanged.
        Stale = 4, "STALE";
        /// It would leave a final state without a vendor time that proves it newer: the state is unchanged; the reason
        /// names the rule.
        Refused = 5, "REFUSED";
        /// It repeated what was known, or is about no inspection.
        NoChange = 6, "NO_CHANGE";
        /// The event or the state is unknown to the hub. The delivery is stored and can be replayed.
        Unrecognized = 7, "UNRECOGNIZED";
        /// The body could not be parsed. The delivery is stored and can be replayed.
        Unreadable = 8, "UNREADABLE";
        /// Applied, but the inspection it belongs to is unknown so far.
        Orphaned = 9, "ORPHANED";
    }
}

vocabulary! {
    /// Why an event or a command has its verdict. A code is stable; the sentence in `reason` is not.
    ReasonCode {
        /// The state changed by a transition of the vendor's state machine.
        StateChanged = 1, "STATE_CHANGED";
        /// The state changed over intermediate states that were never reported.
        StatesSkipped = 2, "STATES_SKIPPED";
        /// The state changed without a transition in the vendor's state machine: the vendor's word counts.
        UnexpectedTransition = 3, "UNEXPECTED_TRANSITION";
        /// A late event changed the present state when it was put in its place in the order.
        LateStateChange = 4, "LATE_STATE_CHANGE";
        /// The entity already was in the reported state.
        StateUnchanged = 5, "STATE_UNCHANGED";
        /// The state is final, and no vendor time proves the event newer.
        TransitionRefused = 6, "TRANSITION_REFUSED";
        /// An event later in the order decides the state.
        OlderState = 7, "OLDER_STATE";
        /// All its facts are older than the known ones.
        OlderFacts = 8, "OLDER_FACTS";
        /// The vendor's state machine does not have the reported state.
        UnknownState = 9, "UNKNOWN_STATE";
        /// Facts changed, and the state did not.
        FactsChanged = 10, "FACTS_CHANGED";
        /// The entity was linked to its parent or inspection.
        Linked = 11, "LINKED";
        /// The entity was linked to an inspection because its parent was.
        LinkedByParent = 12, "LINKED_BY_PARENT";
        /// The first event of the entity, which reports nothing else.
        FirstSeen = 13, "FIRST_SEEN";
        /// It reports only what is known.
        NothingNew = 14, "NOTHING_NEW";
        /// It only implies something about the entity, and that is known.
        OnlyImplied = 15, "ONLY_IMPLIED";
        /// A rebuild found the delivery to be a duplicate of another.
        Duplicate = 16, "DUPLICATE";
        /// A known event about no entity, e.g. a test event.
        NotApplicable = 17, "NOT_APPLICABLE";
        /// The vendor asks to confirm the webhook URL.
        ConfirmationRequested = 18, "CONFIRMATION_REQUESTED";
        /// The event is not known here.
        UnrecognizedEvent = 19, "UNRECOGNIZED_EVENT";
        /// The body could not be read.
        UnreadableBody = 20, "UNREADABLE_BODY";
        /// A command announced the inspection.
        Registered = 21, "REGISTERED";
        /// A command set or took away the customer's reference, labels or due date.
        Annotated = 22, "ANNOTATED";
        /// A command added a comment.
        Commented = 23, "COMMENTED";
        /// A command put the entity under an inspection.
        LinkedByHand = 24, "LINKED_BY_HAND";
        /// A command undid a link by hand.
        UnlinkedByHand = 25, "UNLINKED_BY_HAND";
    }
}

vocabulary! {
    /// Why a webhook was refused. A code is stable.
    RejectionCause {
        /// No source with this name is configured: the vendor calls a wrong path.
        UnknownSource = "UNKNOWN_SOURCE";
        /// The credential, or the vendor's signature, is missing.
        MissingCredential = "MISSING_CREDENTIAL";
        /// The credential or the signature does not match: another secret was used, or the body was changed on its way.
        WrongSecret = "WRONG_SECRET";
        /// The signature matches for another URL than the one that is configured: see `wouldFit`.
        WrongUrl = "WRONG_URL";
        /// The time of the signature or token is too far from the hub's.
        ClockSkew = "CLOCK_SKEW";
        /// The credential or the signature does not have the format of its scheme, or is repeated.
        MalformedSignature = "MALFORMED_SIGNATURE";
        /// The body is larger than the limit.
        BodyTooLarge = "BODY_TOO_LARGE";
        /// The body did not arrive in time.
        BodyTooSlow = "BODY_TOO_SLOW";
        /// The body is compressed.
        Compressed = "COMPRESSED";
        /// The source exceeds its rate limit.
        RateLimited = "RATE_LIMITED";
        /// The delivery could not be stored.
        Unavailable = "UNAVAILABLE";
    }
}
