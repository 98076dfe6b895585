//! The states of Truto's accounts, runs and records, and the moves between them.

use super::{ACCOUNT, RECORD, RUN};
use crate::machine::{Machine, START, State, Status, Transition, item_state, state, step, terminal};

pub const MACHINES: &[Machine] = &[
    Machine { subject: ACCOUNT, states: ACCOUNT_STATES, transitions: ACCOUNT_TRANSITIONS },
    Machine {
        subject: RUN,
        states: &[
            state("created", Status::Queued, 10, "The run was created."),
            state("running", Status::Running, 20, "The run has started and brings records."),
            state("rate_limited", Status::Waiting, 20, "The third party asked to slow down; it goes on by itself."),
            terminal("completed", Status::Succeeded, 90, "The run has ended."),
            terminal("failed", Status::Failed, 91, "The run has failed."),
            terminal("stopped", Status::Canceled, 92, "The run was stopped; no event of its own tells it."),
            terminal("deleted", Status::Canceled, 95, "The run was deleted."),
        ],
        transitions: &[
            step(START, "created"),
            step("created", "running"),
            step("running", "rate_limited"),
            step("rate_limited", "running"),
            step("running", "completed"),
            step("running", "failed"),
            step("running", "stopped"),
            step("rate_limited", "completed"),
            step("rate_limited", "failed"),
            step("rate_limited", "stopped"),
            step("created", "deleted"),
            step("running", "deleted"),
            step("rate_limited", "deleted"),
            step("completed", "deleted"),
            step("failed", "deleted"),
            step("stopped", "deleted"),
        ],
    },
    Machine {
        subject: RECORD,
        states: &[
            item_state("present", 10, "The third party has the record."),
            item_state("deleted", 10, "The third party has deleted the record."),
        ],
        transitions: &[
            step(START, "present"),
            step(START, "deleted"),
            step("present", "deleted"),
            step("deleted", "present"),
        ],
    },
];

pub const ACCOUNT_STATES: &[State] = &[
    // Lower than the others: what came at the same time came of connecting.
    item_state("connecting", 5, "The customer is connecting the account."),
    item_state("active", 10, "The account is connected and ready to use."),
    item_state("needs_reauth", 10, "The credentials are no longer valid; the customer has to connect again."),
    item_state("validation_error", 10, "The check of the connection failed; the customer has to connect again."),
    item_state("post_install_error", 10, "The steps after connecting failed; the customer has to connect again."),
    State { terminal: true, ..item_state("deleted", 90, "The account was deleted.") },
];

// Connecting again is told by `updated` and then `active`, so every state leads back to connecting.
const ACCOUNT_TRANSITIONS: &[Transition] = &[
    step(START, "connecting"),
    step(START, "active"),
    step("connecting", "active"),
    step("connecting", "validation_error"),
    step("connecting", "post_install_error"),
    step("active", "needs_reauth"),
    step("active", "connecting"),
    step("active", "validation_error"),
    step("active", "post_install_error"),
    step("needs_reauth", "active"),
    step("needs_reauth", "connecting"),
    step("needs_reauth", "validation_error"),
    step("needs_reauth", "post_install_error"),
    step("validation_error", "active"),
    step("validation_error", "connecting"),
    step("post_install_error", "active"),
    step("post_install_error", "connecting"),
    step("connecting", "deleted"),
    step("active", "deleted"),
    step("needs_reauth", "deleted"),
    step("validation_error", "deleted"),
    step("post_install_error", "deleted"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_reached() {
        for machine in MACHINES {
            for state in machine.states {
                assert!(machine.path(START, state.name).is_some(), "{:?} {}", machine.subject, state.name);
            }
        }
    }
}
