//! The states of Truto's accounts, runs and records, and the transitions between them.

use super::{ACCOUNT, RECORD, RUN};
use crate::machine::Status::{Canceled, Failed, Queued, Running, Succeeded, Waiting};
use crate::machine::TransitionGroup::{Chain, Each};
use crate::machine::{Machine, START, State, Transition, item_state, state, terminal, transitions};

pub const MACHINES: &[Machine] = &[
    Machine { entity_type: ACCOUNT, states: ACCOUNT_STATES, transitions: ACCOUNT_TRANSITIONS },
    Machine {
        entity_type: RUN,
        states: &[
            state("created", Queued, 10, "The run was created."),
            state("running", Running, 20, "The run has started and brings records."),
            state("rate_limited", Waiting, 20, "The third party asked to slow down; the run continues by itself."),
            terminal("completed", Succeeded, 90, "The run has ended."),
            terminal("failed", Failed, 91, "The run has failed."),
            terminal("stopped", Canceled, 92, "The run was stopped; no event of its own reports it."),
            terminal("deleted", Canceled, 95, "The run was deleted."),
        ],
        transitions: transitions![
            Chain(&[START, "created", "running", "rate_limited", "running"]),
            Each(&["running", "rate_limited"], &["completed", "failed", "stopped"]),
            Each(&["created", "running", "rate_limited", "completed", "failed", "stopped"], &["deleted"]),
        ],
    },
    Machine {
        entity_type: RECORD,
        states: &[
            item_state("present", 10, "The third party has the record."),
            item_state("deleted", 10, "The third party has deleted the record."),
        ],
        transitions: transitions![Each(&[START], &["present", "deleted"]), Chain(&["present", "deleted", "present"]),],
    },
];

pub const ACCOUNT_STATES: &[State] = &[
    // Ranks below the others: a state reported at the same time is the result of connecting.
    item_state("connecting", 5, "The customer is connecting the account."),
    item_state("active", 10, "The account is connected and ready to use."),
    item_state("needs_reauth", 10, "The credentials are no longer valid; the customer has to connect again."),
    item_state("validation_error", 10, "The check of the connection failed; the customer has to connect again."),
    item_state("post_install_error", 10, "The steps after connecting failed; the customer has to connect again."),
    State { terminal: true, ..item_state("deleted", 90, "The account was deleted.") },
];

// Connecting again is reported by `updated` and then `active`, so every state leads back to connecting.
const ACCOUNT_TRANSITIONS: &[Transition] = transitions![
    Each(&[START], &["connecting", "active"]),
    Each(&["connecting"], &["active", "validation_error", "post_install_error"]),
    Each(&["active"], &["needs_reauth", "connecting", "validation_error", "post_install_error"]),
    Each(&["needs_reauth"], &["active", "connecting", "validation_error", "post_install_error"]),
    Each(&["validation_error", "post_install_error"], &["active", "connecting"]),
    Each(&["connecting", "active", "needs_reauth", "validation_error", "post_install_error"], &["deleted"]),
];
