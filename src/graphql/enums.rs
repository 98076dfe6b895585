//! The enums of the API.

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
