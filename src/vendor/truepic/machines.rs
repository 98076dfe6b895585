//! The states of Truepic's inspections and of what belongs to them. The states of inspections are those of the page
//! <https://vision.truepic.dev/v3/docs/inspection-statuses>; the customer's session follows the inspection.

use super::{ANSWER, PDF, PHOTO};
use crate::machine::Status::{
    Canceled, Capturing, Completed, Failed, InProgress, ReadyForReview, Requested, Started, Succeeded,
};
use crate::machine::TransitionGroup::{Chain, Each, Reopening};
use crate::machine::{
    EntityType, Machine, Party, Reopens, START, Transition, item_state, state, terminal, transitions,
};

pub const MACHINES: &[Machine] = &[
    Machine {
        entity_type: EntityType::Inspection,
        states: &[
            state("Created", Requested, 10, "The inspection was created and sent to the customer.")
                .waiting_for(Party::Customer),
            state("Scheduled", Requested, 5, "The inspection will be sent to the customer later."),
            state("Started", Started, 20, "The customer has downloaded and opened the app.")
                .waiting_for(Party::Customer),
            state("In Progress", InProgress, 30, "There is at least one picture or answer.")
                .waiting_for(Party::Customer),
            state(
                "Ready for Review",
                ReadyForReview,
                40,
                "The customer has submitted the inspection, or it has expired with at least one picture or answer.",
            )
            .waiting_for(Party::Reviewer),
            terminal("Closed", Completed, 90, "The organization has closed the inspection."),
            terminal(
                "Canceled",
                Canceled,
                91,
                "The organization has canceled the inspection, or it has expired without a picture or answer.",
            ),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: EntityType::Session,
        states: &[
            state("Created", Requested, 10, "The customer has been asked to inspect."),
            state("Scheduled", Requested, 5, "The customer will be asked to inspect later."),
            state("Started", Started, 20, "The customer has downloaded and opened the app."),
            state("In Progress", Capturing, 30, "The customer takes pictures and answers questions."),
            state("Ready for Review", Completed, 40, "The customer has submitted, or the time is up."),
            terminal("Closed", Completed, 90, "The organization has closed the inspection."),
            terminal("Canceled", Canceled, 91, "The inspection was canceled before the first picture or answer."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: PDF,
        states: &[
            state("PDF ready", Succeeded, 10, "The PDF report is ready for download."),
            state("PDF failed", Failed, 10, "The PDF report failed to generate; another attempt may succeed."),
        ],
        transitions: transitions![
            Each(&[START], &["PDF ready", "PDF failed"]),
            Chain(&["PDF failed", "PDF ready", "PDF failed"]),
        ],
    },
    Machine {
        entity_type: PHOTO,
        states: &[
            item_state("passed", 10, "The image passed all tests."),
            item_state("warn", 10, "The image had at least one test with a warning."),
            item_state("failed", 10, "The image failed at least one test."),
            item_state("deleted", 20, "The customer deleted the picture."),
        ],
        // A verdict can change until all tests have finished.
        transitions: transitions![
            Each(&[START], &["passed", "warn", "failed", "deleted"]),
            Each(&["passed"], &["warn", "failed", "deleted"]),
            Each(&["warn"], &["passed", "failed", "deleted"]),
            Each(&["failed"], &["passed", "warn", "deleted"]),
        ],
    },
    Machine {
        entity_type: ANSWER,
        states: &[
            item_state("answered", 10, "The customer answered the question."),
            item_state("deleted", 10, "The customer deleted the answer."),
        ],
        transitions: transitions![
            Each(&[START], &["answered", "deleted"]),
            Chain(&["answered", "deleted", "answered"]),
        ],
    },
];

// No action reports `Scheduled`. An inspection in progress can be closed, but no longer canceled.
const TRANSITIONS: &[Transition] = transitions![
    Each(&[START], &["Created", "Scheduled", "Started"]),
    Each(&["Scheduled"], &["Created", "Canceled"]),
    Each(&["Created"], &["Started", "Canceled"]),
    Each(&["Started"], &["In Progress", "Canceled"]),
    Each(&["In Progress"], &["Ready for Review", "Closed"]),
    Reopening(Reopens::OnRequest, &["Ready for Review"], "In Progress"),
    Each(&["Ready for Review"], &["Closed"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Path;

    #[test]
    fn work_goes_back_only_as_a_reopening_and_is_not_canceled() {
        let [inspection, session, ..] = MACHINES else { panic!("two machines") };
        for machine in [inspection, session] {
            let back = machine.path("Ready for Review", "In Progress");
            assert_eq!(back, Some(Path { skipped_states: vec![], reopens: true }));
            assert_eq!(machine.path("In Progress", "Canceled"), None);
            assert_eq!(machine.path("Closed", "In Progress"), None);
            assert_eq!(machine.states.first().map(|state| state.name), Some("Created"));
        }
    }
}
