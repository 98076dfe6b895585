//! The states of PAVE's sessions, of the inspection and condition report of each session, and of its photos.
//!
//! Page: <https://docs.paveapi.com/integrations/developer-docs/user-session-lifecycle>.

use super::{PHOTO, REPORT};
use crate::machine::Status::{
    Captured, Capturing, Completed, Expired, Failed, InProgress, Processing, Requested, Running, Started, Submitted,
    Succeeded,
};
use crate::machine::TransitionGroup::{Chain, Each};
use crate::machine::{EntityType, Machine, Party, START, State, Transition, item_state, state, terminal, transitions};

pub const MACHINES: &[Machine] = &[
    Machine {
        entity_type: EntityType::Inspection,
        states: &[
            state("IDLE", Requested, 10, "The session was created; the link has not been opened.")
                .waiting_for(Party::Customer),
            state("STARTED", Started, 20, "The inspection was opened; no picture has been taken.")
                .waiting_for(Party::Customer),
            state("PROCESS", InProgress, 30, "Pictures of the vehicle are being taken.").waiting_for(Party::Customer),
            state("QC_PASSED", Submitted, 40, "All pictures were taken and accepted by the image check."),
            state("CONFIRM", Processing, 50, "The condition report is being generated."),
            terminal("COMPLETE", Completed, 90, "The condition report is available; the inspection is complete."),
            terminal("EXPIRED", Expired, 91, "Not all pictures were taken in time."),
            terminal("INVALID", Failed, 92, "The VIN did not match, or the pictures could not be used."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: EntityType::Session,
        states: &[
            state("IDLE", Requested, 10, "The session was created; the link has not been opened."),
            state("STARTED", Started, 20, "The user opened the session and has taken no picture yet."),
            state("PROCESS", Capturing, 30, "The user is taking the pictures."),
            state("QC_PASSED", Captured, 40, "All pictures were taken and accepted by the image check."),
            state("CONFIRM", Captured, 50, "The condition report is being generated."),
            terminal("COMPLETE", Completed, 90, "The condition report is available; the session is complete."),
            terminal("EXPIRED", Expired, 91, "Not all pictures were taken in time."),
            terminal("INVALID", Failed, 92, "The VIN did not match, or the pictures could not be used."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: REPORT,
        states: &[
            state("CONFIRM", Running, 50, "The condition report is being generated."),
            terminal("COMPLETE", Succeeded, 90, "The condition report is available."),
        ],
        transitions: transitions![Chain(&[START, "CONFIRM", "COMPLETE"])],
    },
    Machine {
        entity_type: PHOTO,
        states: PHOTO_STATES,
        transitions: transitions![
            Each(&[START], &["accepted", "rejected"]),
            Chain(&["rejected", "accepted", "rejected"]),
        ],
    },
];

const TRANSITIONS: &[Transition] = transitions![
    Each(&[START], &["IDLE", "STARTED"]),
    Chain(&["IDLE", "STARTED", "PROCESS", "QC_PASSED", "CONFIRM", "COMPLETE"]),
    Each(&["IDLE", "STARTED", "PROCESS"], &["EXPIRED"]),
    Each(&["STARTED", "PROCESS", "QC_PASSED", "CONFIRM"], &["INVALID"]),
];

const PHOTO_STATES: &[State] = &[
    item_state("accepted", 10, "The image check accepted the picture."),
    item_state("rejected", 10, "The image check rejected the picture; it has to be taken again."),
];
