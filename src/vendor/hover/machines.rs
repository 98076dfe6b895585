//! Hover's machines. Hover documents the states. Transitions that are only inferred from the states' descriptions are marked.

use super::{
    CHECKLIST, DELIVERABLE_CHANGE, DISTRIBUTION_ORDER, ESTIMATE_GROUP, HOVER_JOB, MODEL, ORDER, PRODUCTION_LIST,
    PROPOSAL, SIGNATURE_REQUEST,
};
use crate::machine::Status::{
    Canceled, Completed, Failed, Processing, Queued, Requested, Running, Started, Submitted, Succeeded, Waiting,
};
use crate::machine::TransitionGroup::{Chain, Each, Reopening, Table};
use crate::machine::{
    EntityType, Machine, Party, Reopens, START, State, Transition, item_state, state, terminal, transitions,
};

pub const MACHINES: &[Machine] = &[
    Machine { entity_type: EntityType::Inspection, states: INSPECTION_STATES, transitions: INSPECTION_TRANSITIONS },
    Machine {
        entity_type: EntityType::Session,
        states: &[
            state("new", Requested, 10, "The request was made; the capturing user has no account yet."),
            state("connected", Started, 20, "The request belongs to a user who has signed up."),
            terminal("complete", Completed, 90, "The job has been captured."),
            terminal("deleted", Canceled, 91, "The request was deleted before the job was captured."),
        ],
        transitions: transitions![
            // A user who already has an account is connected at once.
            Each(&[START], &["new", "connected"]),
            Chain(&["new", "connected", "complete"]),
            Each(&["new", "connected"], &["deleted"]),
        ],
    },
    Machine { entity_type: HOVER_JOB, states: JOB_STATES, transitions: JOB_TRANSITIONS },
    Machine {
        entity_type: DELIVERABLE_CHANGE,
        states: &[
            state("first_attempt", Running, 10, "The first attempt to upgrade the deliverable is under way."),
            state("waiting_for_job_to_finish", Waiting, 20, "The job has to finish before the upgrade."),
            state("second_attempt", Running, 30, "The second and last attempt is under way."),
            terminal("complete", Succeeded, 90, "The user gets the new deliverable."),
            terminal("failed", Failed, 91, "The job could not be upgraded."),
        ],
        transitions: transitions![
            Chain(&[START, "first_attempt"]),
            Each(&["first_attempt"], &["complete", "failed"]),
            Chain(&["first_attempt", "waiting_for_job_to_finish", "second_attempt"]),
            Each(&["second_attempt"], &["complete", "failed"]),
        ],
    },
    Machine {
        entity_type: ESTIMATE_GROUP,
        states: &[terminal("complete", Succeeded, 90, "The estimate was created.")],
        transitions: transitions![Chain(&[START, "complete"])],
    },
    Machine {
        entity_type: PRODUCTION_LIST,
        // The events have no state: the states are the ends of their names. Updates and syncs come in any order.
        states: &[
            state("created", Queued, 10, "The material list was created."),
            state("updated", Queued, 20, "The material list was changed."),
            state("manual-sync", Queued, 20, "A user asked to send the material list to a third party."),
        ],
        transitions: transitions![
            Chain(&[START, "created"]),
            Each(&["created"], &["updated", "manual-sync"]),
            Chain(&["updated", "manual-sync", "updated"]),
        ],
    },
    Machine {
        entity_type: PROPOSAL,
        states: &[terminal("complete", Succeeded, 90, "The proposal document was created.")],
        transitions: transitions![Chain(&[START, "complete"])],
    },
    Machine {
        entity_type: SIGNATURE_REQUEST,
        states: &[
            state("signed", Succeeded, 80, "The proposal was signed."),
            terminal("complete", Succeeded, 90, "The signature request is done."),
        ],
        transitions: transitions![Each(&[START], &["signed", "complete"]), Chain(&["signed", "complete"])],
    },
    Machine {
        entity_type: ORDER,
        states: &[terminal("complete", Succeeded, 90, "The material or labor order was created.")],
        transitions: transitions![Chain(&[START, "complete"])],
    },
    Machine {
        entity_type: DISTRIBUTION_ORDER,
        states: &[terminal("submitted", Succeeded, 90, "The order is in the provider's system.")],
        transitions: transitions![Chain(&[START, "submitted"])],
    },
    Machine {
        entity_type: MODEL,
        // When a job is reopened, its models are built again, so either final state can follow the other. Intermediate states
        // of the second pass look like late deliveries and are stale; its final state is applied.
        states: &[
            item_state("created", 10, "The model of a structure was created."),
            item_state("uploading", 20, "The pictures of the structure are being uploaded."),
            item_state("processing", 30, "The model is being built."),
            item_state("complete", 40, "The model is done."),
            item_state("failed", 40, "The model could not be made."),
        ],
        transitions: transitions![
            Chain(&[START, "created", "uploading", "processing", "complete"]),
            Each(&["processing", "uploading"], &["failed"]),
            // Hover's pages document only the final states; integrators' types have the ones between.
            Each(&["created"], &["complete", "failed"]),
            Chain(&["complete", "failed", "complete"]),
        ],
    },
    Machine {
        entity_type: CHECKLIST,
        // The events have no state: the states are the ends of their names.
        states: &[
            item_state("created", 10, "The checklist was created."),
            item_state("updated", 20, "The checklist was changed."),
        ],
        transitions: transitions![Chain(&[START, "created", "updated"])],
    },
];

pub const CAPTURE_REQUEST_STATES: [&str; 4] = ["new", "connected", "complete", "deleted"];

/// A capture request's state as a state of the inspection. The job has a state `complete` too, with another meaning.
pub fn capture_state_name(state: &str) -> String {
    format!("capture request {state}")
}

const CAPTURE_NEW: &str = "capture request new";
const CAPTURE_CONNECTED: &str = "capture request connected";
const CAPTURE_DELETED: &str = "capture request deleted";
const CAPTURE_COMPLETE: &str = "capture request complete";

const JOB_STATES: &[State] = &[
    state("draft", Queued, 10, "The job was created and not captured yet. Hover sends no event for it."),
    state("uploading", Queued, 20, "Waiting for pictures of the home to be taken and submitted."),
    state("processing_upload", Queued, 30, "The uploaded data was received; it and its user are checked."),
    state("waitlisted", Waiting, 34, "The account is on Hover's waitlist; the job stays until it is taken off."),
    state("waiting_approval", Waiting, 36, "The organization's administrator has to approve the job."),
    state("submitting", Queued, 40, "The uploaded data is being submitted to the processing pipeline."),
    state("working", Running, 50, "Pictures are turned into a 3D model and measurements."),
    state("retrieving", Running, 60, "The results are fetched from the processing pipeline."),
    state("in_progress", Running, 65, "The job is being processed. Where it belongs among the others is a guess."),
    state("processing", Running, 70, "Partner specific branding and other final processing."),
    state("paying", Running, 80, "The payment for the job is being collected."),
    terminal("complete", Succeeded, 90, "The results are paid for and available."),
    terminal("completed", Succeeded, 91, "The newer word for complete."),
    terminal("failed", Failed, 92, "The job could not be processed."),
    terminal("cancelled", Canceled, 93, "The job was cancelled before it was processed."),
    state("requesting_corrections", Queued, 1, "The client was unhappy; the job is sent back for corrections."),
    state(
        "processing_upload_for_improvements",
        Queued,
        2,
        "More images were received after the job; they are checked.",
    ),
    state("requesting_improvements", Queued, 3, "The job is sent back to the pipeline for improvements."),
];

const INSPECTION_STATES: &[State] = &[
    state("draft", Requested, 10, "The job was created and not captured yet. Hover sends no event for it."),
    state(CAPTURE_NEW, Requested, 15, "The capture request was made; the capturing user has no account yet.")
        .waiting_for(Party::Customer),
    state("uploading", Requested, 20, "Waiting for pictures of the home to be taken and submitted.")
        .waiting_for(Party::Customer),
    state(CAPTURE_CONNECTED, Started, 22, "The capture request belongs to a user who has signed up.")
        .waiting_for(Party::Customer),
    // Not final: Hover may receive pictures without the request. `uploading` still waits for pictures, so it ranks lower.
    state(CAPTURE_DELETED, Canceled, 24, "The capture request was deleted before the job was captured."),
    state(CAPTURE_COMPLETE, Submitted, 26, "The job has been captured."),
    state("processing_upload", Submitted, 30, "The uploaded data was received; it and its user are checked.")
        .waiting_for(Party::Vendor),
    state("waitlisted", Submitted, 34, "The account is on Hover's waitlist; it waits until it is taken off.")
        .waiting_for(Party::Vendor),
    state("waiting_approval", Submitted, 36, "The organization's administrator has to approve the job.")
        .waiting_for(Party::Us),
    state("submitting", Submitted, 40, "The uploaded data is being submitted to the processing pipeline.")
        .waiting_for(Party::Vendor),
    state("working", Processing, 50, "Pictures are turned into a 3D model and measurements.")
        .waiting_for(Party::Vendor),
    state("retrieving", Processing, 60, "The results are fetched from the processing pipeline.")
        .waiting_for(Party::Vendor),
    state("in_progress", Processing, 65, "The job is being processed. Where it belongs is a guess."),
    state("processing", Processing, 70, "Partner specific branding and other final processing.")
        .waiting_for(Party::Vendor),
    state("paying", Processing, 80, "The payment for the job is being collected.").waiting_for(Party::Vendor),
    terminal("complete", Completed, 90, "The results are paid for and available."),
    terminal("completed", Completed, 91, "The newer word for complete."),
    terminal("failed", Failed, 92, "The job could not be processed."),
    terminal("cancelled", Canceled, 93, "The job was cancelled before it was processed."),
    state("requesting_corrections", Processing, 1, "The client was unhappy; the job is sent back.")
        .waiting_for(Party::Vendor),
    state("processing_upload_for_improvements", Processing, 2, "More images were received; they are checked.")
        .waiting_for(Party::Vendor),
    state("requesting_improvements", Processing, 3, "The job is sent back for improvements.")
        .waiting_for(Party::Vendor),
];

const JOB_TRANSITIONS: &[Transition] = transitions![
    Each(&[START], &["draft", "uploading", "processing_upload"]),
    Chain(&["draft", "uploading", "processing_upload", "submitting", "working", "retrieving", "processing", "paying"]),
    Chain(&["paying", "complete"]),
    // The newer event is only known to report draft, processing and then a final state (from public receivers' code).
    Chain(&["draft", "processing", "completed"]),
    // A state of Hover's API that some receivers know. No path between other states passes through it.
    Chain(&["draft", "in_progress"]),
    Each(&["in_progress"], &["processing", "failed", "cancelled"]),
    // Both events may report the same final state. The newer name stays, whichever comes last.
    Chain(&["complete", "completed"]),
    // The pages do not document when a job is held up: by the ranks before the pipeline, for approval also before payment.
    // There is no transition from waiting_approval to a final state: it would be a shortcut past everything between.
    Each(&["processing_upload"], &["waitlisted", "waiting_approval"]),
    Each(&["waitlisted"], &["waiting_approval", "submitting"]),
    Chain(&["waiting_approval", "submitting"]),
    Each(&["retrieving", "processing", "paying"], &["waiting_approval"]),
    Each(&["processing_upload", "submitting", "working", "retrieving", "processing", "paying"], &["failed"]),
    Each(&["draft", "uploading", "processing_upload", "waitlisted", "waiting_approval"], &["cancelled"]),
    Each(&["submitting", "working", "retrieving", "processing", "paying"], &["cancelled"]),
    // Inferred from the states' descriptions: the reopenings, and the states after them.
    Reopening(Reopens::Always, &["complete", "completed"], "requesting_corrections"),
    Reopening(Reopens::Always, &["complete", "completed", "failed"], "processing_upload_for_improvements"),
    Reopening(Reopens::Always, &["complete", "completed", "failed"], "requesting_improvements"),
    Chain(&["processing_upload_for_improvements", "requesting_improvements"]),
    Each(&["requesting_corrections", "requesting_improvements"], &["submitting", "working"]),
    Each(REOPENED, &["failed"]),
    Each(REOPENED, &["cancelled"]),
];

const REOPENED: &[&str] = &["requesting_corrections", "processing_upload_for_improvements", "requesting_improvements"];

/// An inspection follows its job, and before that its capture request.
const INSPECTION_TRANSITIONS: &[Transition] = transitions![
    Table(JOB_TRANSITIONS),
    Each(&[START], &[CAPTURE_NEW, CAPTURE_CONNECTED, CAPTURE_DELETED]),
    Each(&["draft"], &[CAPTURE_NEW, CAPTURE_CONNECTED]),
    Each(&[CAPTURE_NEW], &["uploading", CAPTURE_CONNECTED]),
    Chain(&["uploading", CAPTURE_CONNECTED, CAPTURE_COMPLETE]),
    // The job's events may come before those of the request.
    Each(&[CAPTURE_CONNECTED, CAPTURE_COMPLETE], &["processing_upload"]),
    Each(&[CAPTURE_COMPLETE], &["processing", "in_progress"]),
    Each(&[CAPTURE_NEW, CAPTURE_CONNECTED, CAPTURE_COMPLETE], &["cancelled"]),
    Each(&[CAPTURE_NEW, "uploading", CAPTURE_CONNECTED], &[CAPTURE_DELETED]),
    Each(&[CAPTURE_DELETED], &[CAPTURE_COMPLETE, "processing_upload", "cancelled"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fold::{FoldState, Step};

    // Applies the states in order of arrival, as the writer does: in order, or by a refold if late.
    fn walk(subject: EntityType, words: &[&str]) -> (String, i32) {
        let machine = MACHINES.iter().find(|machine| machine.entity_type == subject).expect("a machine");
        let (mut tip, mut past) = (FoldState::default(), Vec::new());
        for (word, position) in words.iter().zip(1..) {
            let to = machine.state(word).expect("a state");
            let key = tip.order_key(machine, to, false, None, position);
            let mut step =
                Step { target_state: to.name, at_least: false, key, received_at: chrono::DateTime::UNIX_EPOCH };
            past.push(step.clone());
            if tip.is_in_order(&key) {
                tip.advance(machine, &mut step);
            } else {
                tip = FoldState::fold(machine, &mut past).0;
            }
        }
        (tip.state_or_start().to_owned(), tip.cycle)
    }

    fn job(words: &[&str]) -> (String, i32) {
        walk(HOVER_JOB, words)
    }

    fn inspection(words: &[&str]) -> (String, i32) {
        walk(EntityType::Inspection, words)
    }

    const LIFE: [&str; 10] = [
        "draft",
        "uploading",
        "processing_upload",
        "waitlisted",
        "submitting",
        "working",
        "retrieving",
        "processing",
        "paying",
        "complete",
    ];

    #[test]
    fn a_job_and_its_inspection_rank_their_common_states_alike() {
        for state in JOB_STATES {
            let of_inspection = INSPECTION_STATES.iter().find(|other| other.name == state.name).expect("the same word");
            assert_eq!((state.rank, state.terminal), (of_inspection.rank, of_inspection.terminal), "{}", state.name);
        }
    }

    #[test]
    fn one_pass_ends_alike_in_any_order() {
        let mut words = LIFE;
        for turn in 0..words.len() {
            words.rotate_left(1);
            assert_eq!(job(&words), ("complete".to_owned(), 0), "turned {turn}");
            let backwards: Vec<_> = words.iter().rev().copied().collect();
            assert_eq!(inspection(&backwards), ("complete".to_owned(), 0), "turned {turn}, backwards");
        }
    }

    #[test]
    fn the_newer_word_for_done_stays_in_whatever_order_both_come() {
        assert_eq!(job(&["paying", "complete", "completed"]), ("completed".to_owned(), 0));
        assert_eq!(job(&["paying", "completed", "complete"]), ("completed".to_owned(), 0));
        assert_eq!(job(&["completed", "complete", "requesting_corrections"]), ("requesting_corrections".to_owned(), 1));
    }

    #[test]
    fn in_progress_comes_before_the_end_and_after_the_draft() {
        assert_eq!(job(&["draft", "in_progress"]), ("in_progress".to_owned(), 0));
        assert_eq!(job(&["in_progress", "completed"]), ("completed".to_owned(), 0));
        assert_eq!(job(&["completed", "in_progress"]), ("completed".to_owned(), 0));
        assert_eq!(job(&["processing", "in_progress"]), ("processing".to_owned(), 0));
        assert_eq!(inspection(&["in_progress", "draft"]), ("in_progress".to_owned(), 0));
        // No path between the older states passes through it.
        for machine in
            MACHINES.iter().filter(|machine| [EntityType::Inspection, HOVER_JOB].contains(&machine.entity_type))
        {
            for (from, to) in [(START, "complete"), ("uploading", "complete"), ("draft", "working")] {
                let path = machine.path(from, to).expect("a way");
                assert!(!path.skipped_states.contains(&"in_progress"), "{from} to {to}: {:?}", path.skipped_states);
            }
        }
    }

    #[test]
    fn a_model_goes_from_its_upload_to_an_end() {
        let model = |words: &[&str]| walk(MODEL, words).0;
        let words = ["created", "uploading", "processing", "complete"];
        for turn in 0..words.len() {
            let mut turned = words;
            turned.rotate_left(turn);
            assert_eq!(model(&turned), "complete", "turned {turn}");
        }
        assert_eq!(model(&["processing"]), "processing");
        assert_eq!(model(&["complete", "processing", "failed"]), "failed");
        assert_eq!(model(&["failed", "uploading", "complete"]), "complete");
    }

    #[test]
    fn what_is_done_or_failed_can_be_reopened_but_not_what_is_cancelled() {
        let improved =
            ["failed", "processing_upload_for_improvements", "requesting_improvements", "working", "complete"];
        assert_eq!(job(&improved), ("complete".to_owned(), 1));
        assert_eq!(job(&["failed", "requesting_improvements"]), ("requesting_improvements".to_owned(), 1));
        assert_eq!(job(&["failed", "requesting_corrections"]).0, "failed");
        for word in ["requesting_corrections", "processing_upload_for_improvements", "requesting_improvements"] {
            assert_eq!(job(&["working", "cancelled", word]).0, "cancelled");
        }
    }

    #[test]
    fn a_reopening_may_overtake_the_end_before_it() {
        assert_eq!(job(&["paying", "requesting_corrections", "complete"]), ("requesting_corrections".to_owned(), 1));
    }

    #[test]
    fn approval_may_be_asked_for_before_the_pipeline_and_before_payment() {
        assert_eq!(job(&["processing_upload", "waiting_approval"]), ("waiting_approval".to_owned(), 0));
        assert_eq!(job(&["working", "waiting_approval"]), ("working".to_owned(), 0));
        assert_eq!(job(&["retrieving", "waiting_approval"]), ("waiting_approval".to_owned(), 0));
        assert_eq!(job(&["retrieving", "waiting_approval", "working"]), ("waiting_approval".to_owned(), 0));
        assert_eq!(job(&["retrieving", "waiting_approval", "paying"]), ("paying".to_owned(), 0));
    }

    #[test]
    fn a_capture_request_moves_the_inspection_only_until_the_job_is_on_its_way() {
        assert_eq!(
            inspection(&[CAPTURE_NEW, "draft", "uploading", CAPTURE_CONNECTED, CAPTURE_COMPLETE]),
            (CAPTURE_COMPLETE.to_owned(), 0)
        );
        assert_eq!(
            inspection(&["draft", CAPTURE_CONNECTED, "processing_upload", CAPTURE_COMPLETE]),
            ("processing_upload".to_owned(), 0)
        );
        assert_eq!(
            inspection(&[CAPTURE_NEW, "uploading", CAPTURE_DELETED, "uploading"]),
            (CAPTURE_DELETED.to_owned(), 0)
        );
        assert_eq!(
            inspection(&[CAPTURE_NEW, CAPTURE_DELETED, "processing_upload"]),
            ("processing_upload".to_owned(), 0)
        );
        assert_eq!(inspection(&["working", CAPTURE_DELETED]), ("working".to_owned(), 0));
        assert_eq!(inspection(&[CAPTURE_DELETED, CAPTURE_COMPLETE]), inspection(&[CAPTURE_COMPLETE, CAPTURE_DELETED]));
    }
}
