//! The states of Truto's accounts, runs and records, and the transitions between them.

use super::{ACCOUNT, RECORD, RUN};
use crate::machine::{Machine, START, State, Status, Transition, item_state, state, terminal, transition};

pub const MACHINES: &[Machine] = &[
    Machine { entity_type: ACCOUNT, states: ACCOUNT_STATES, transitions: ACCOUNT_TRANSITIONS },
    Machine {
        entity_type: RUN,
        states: &[
            state("created", Status::Queued, 10, "The run was created."),
            state("running", Status::Running, 20, "The run has started and brings records."),
            state(
                "rate_limited",
                Status::Waiting,
                20,
                "The third party asked to slow down; the run continues by itself.",
            ),
            terminal("completed", Status::Succeeded, 90, "The run has ended."),
            terminal("failed", Status::Failed, 91, "The run has failed."),
            terminal("stopped", Status::Canceled, 92, "The run was stopped; no event of its own reports it."),
            terminal("deleted", Status::Canceled, 95, "The run was deleted."),
        ],
        transitions: &[
            transition(START, "created"),
            transition("created", "running"),
            transition("running", "rate_limited"),
            transition("rate_limited", "running"),
            transition("running", "completed"),
            transition("running", "failed"),
            transition("running", "stopped"),
            transition("rate_limited", "completed"),
            transition("rate_limited", "failed"),
            transition("rate_limited", "stopped"),
            transition("created", "deleted"),
            transition("running", "deleted"),
            transition("rate_limited", "deleted"),
            transition("completed", "deleted"),
            transition("failed", "deleted"),
            transition("stopped", "deleted"),
        ],
    },
    Machine {
        entity_type: RECORD,
        states: &[
            item_state("present", 10, "The third party has the record."),
            item_state("deleted", 10, "The third party has deleted the record."),
        ],
        transitions: &[
            transition(START, "present"),
            transition(START, "deleted"),
            transition("present", "deleted"),
            transition("deleted", "present"),
        ],
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
const ACCOUNT_TRANSITIONS: &[Transition] = &[
    transition(START, "connecting"),
    transition(START, "active"),
    transition("connecting", "active"),
    transition("connecting", "validation_error"),
    transition("connecting", "post_install_error"),
    transition("active", "needs_reauth"),
    transition("active", "connecting"),
    transition("active", "validation_error"),
    transition("active", "post_install_error"),
    transition("needs_reauth", "active"),
    transition("needs_reauth", "connecting"),
    transition("needs_reauth", "validation_error"),
    transition("needs_reauth", "post_install_error"),
    transition("validation_error", "active"),
    transition("validation_error", "connecting"),
    transition("post_install_error", "active"),
    transition("post_install_error", "connecting"),
    transition("connecting", "deleted"),
    transition("active", "deleted"),
    transition("needs_reauth", "deleted"),
    transition("validation_error", "deleted"),
    transition("post_install_error", "deleted"),
];
