//! The states of PAVE's sessions, of the inspection and condition report of each session, and of its photos.
//!
//! Page: <https://docs.paveapi.com/integrations/developer-docs/user-session-lifecycle>.

use super::{PHOTO, REPORT};
use crate::machine::{EntityType, Machine, START, State, Status, Transition, item_state, state, terminal, transition};

pub const MACHINES: &[Machine] = &[
    Machine {
        entity_type: EntityType::Inspection,
        states: &[
            state("IDLE", Status::Requested, 10, "The session was created; the link has not been opened."),
            state("STARTED", Status::Started, 20, "The inspection was opened; no picture has been taken."),
            state("PROCESS", Status::InProgress, 30, "Pictures of the vehicle are being taken."),
            state("QC_PASSED", Status::Submitted, 40, "All pictures were taken and accepted by the image check."),
            state("CONFIRM", Status::Processing, 50, "The condition report is being generated."),
            terminal(
                "COMPLETE",
                Status::Completed,
                90,
                "The condition report is available; the inspection is complete.",
            ),
            terminal("EXPIRED", Status::Expired, 91, "Not all pictures were taken in time."),
            terminal("INVALID", Status::Failed, 92, "The VIN did not match, or the pictures could not be used."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: EntityType::Session,
        states: &[
            state("IDLE", Status::Requested, 10, "The session was created; the link has not been opened."),
            state("STARTED", Status::Started, 20, "The user opened the session and has taken no picture yet."),
            state("PROCESS", Status::Capturing, 30, "The user is taking the pictures."),
            state("QC_PASSED", Status::Captured, 40, "All pictures were taken and accepted by the image check."),
            state("CONFIRM", Status::Captured, 50, "The condition report is being generated."),
            terminal("COMPLETE", Status::Completed, 90, "The condition report is available; the session is complete."),
            terminal("EXPIRED", Status::Expired, 91, "Not all pictures were taken in time."),
            terminal("INVALID", Status::Failed, 92, "The VIN did not match, or the pictures could not be used."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: REPORT,
        states: &[
            state("CONFIRM", Status::Running, 50, "The condition report is being generated."),
            terminal("COMPLETE", Status::Succeeded, 90, "The condition report is available."),
        ],
        transitions: &[transition(START, "CONFIRM"), transition("CONFIRM", "COMPLETE")],
    },
    Machine {
        entity_type: PHOTO,
        states: PHOTO_STATES,
        transitions: &[
            transition(START, "accepted"),
            transition(START, "rejected"),
            transition("rejected", "accepted"),
            transition("accepted", "rejected"),
        ],
    },
];

const TRANSITIONS: &[Transition] = &[
    transition(START, "IDLE"),
    transition(START, "STARTED"),
    transition("IDLE", "STARTED"),
    transition("STARTED", "PROCESS"),
    transition("PROCESS", "QC_PASSED"),
    transition("QC_PASSED", "CONFIRM"),
    transition("CONFIRM", "COMPLETE"),
    transition("IDLE", "EXPIRED"),
    transition("STARTED", "EXPIRED"),
    transition("PROCESS", "EXPIRED"),
    transition("STARTED", "INVALID"),
    transition("PROCESS", "INVALID"),
    transition("QC_PASSED", "INVALID"),
    transition("CONFIRM", "INVALID"),
];

const PHOTO_STATES: &[State] = &[
    item_state("accepted", 10, "The image check accepted the picture."),
    item_state("rejected", 10, "The image check rejected the picture; it has to be taken again."),
];
