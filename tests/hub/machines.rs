//! Every row of every machine of every vendor.

use entity::{Kind, Status};
use inspection_hub::machine::fold::{FoldState, OrderKey, Step, StepOutcome};
use inspection_hub::machine::{EntityType, Machine, Reopens, START};
use inspection_hub::vendor;

fn machines() -> impl Iterator<Item = (&'static str, &'static Machine)> {
    vendor::ALL.iter().flat_map(|vendor| vendor.machines.iter().map(|machine| (vendor.name, machine)))
}

fn timed(to: &'static str, time: i64) -> Step {
    let key = OrderKey { time: Some(time), cycle: 0, rank: 0, position: time };
    Step { target_state: to, at_least: false, key, received_at: chrono::DateTime::UNIX_EPOCH }
}

// A tip that has come to a state by the shortest way.
fn fold_state_at(machine: &Machine, state: &str) -> FoldState {
    let mut tip = FoldState::default();
    if state != START {
        let path = machine.path(START, state).expect("reachable");
        let way = path.skipped_states.into_iter().chain(machine.state(state).map(|state| state.name));
        for (time, to) in way.enumerate() {
            tip.advance(machine, &mut timed(to, time as i64));
        }
        assert_eq!(tip.state.as_deref(), Some(state));
    }
    tip
}

#[test]
fn every_vendor_has_the_machines_of_its_inspections_sessions_and_jobs() {
    for vendor in vendor::ALL {
        assert!(!vendor.machines.is_empty(), "{}", vendor.name);
        let mut subjects: Vec<_> = vendor.machines.iter().map(|machine| format!("{:?}", machine.entity_type)).collect();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), vendor.machines.len(), "{}: one machine per kind", vendor.name);
    }
}

#[test]
fn names_are_unique_and_every_move_joins_known_states() {
    for (vendor, machine) in machines() {
        let mut names: Vec<_> = machine.states.iter().map(|state| state.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), machine.states.len(), "{vendor} {:?}", machine.entity_type);
        for transition in machine.transitions {
            let from = transition.from == START || machine.state(transition.from).is_some();
            assert!(
                from && machine.state(transition.to).is_some(),
                "{vendor} {:?} {transition:?}",
                machine.entity_type
            );
            let same = |other: &&_| std::ptr::eq::<inspection_hub::machine::Transition>(*other, transition);
            let twice = machine.transitions.iter().filter(|t| t.from == transition.from && t.to == transition.to);
            assert!(
                twice.into_iter().all(|t| same(&t)),
                "{vendor} {:?} {transition:?} is declared twice",
                machine.entity_type
            );
        }
    }
}

#[test]
fn every_state_is_reached_and_described() {
    for (vendor, machine) in machines() {
        for state in machine.states {
            let what = format!("{vendor} {:?} {}", machine.entity_type, state.name);
            assert!(machine.path(START, state.name).is_some(), "{what} cannot be reached");
            assert!(!state.description.is_empty(), "{what} has no description");
        }
    }
}

#[test]
fn statuses_are_those_of_the_kind() {
    use Status::*;
    let inspection =
        [Requested, Started, InProgress, Submitted, Processing, ReadyForReview, Completed, Canceled, Expired, Failed];
    let session = [Requested, Started, Capturing, Captured, Completed, Canceled, Expired, Failed];
    let job = [Queued, Running, Waiting, Succeeded, Failed, Canceled];
    for (vendor, machine) in machines() {
        for state in machine.states {
            let fits = match (machine.entity_type.kind(), state.status) {
                (Kind::Inspection, Some(status)) => inspection.contains(&status),
                (Kind::Session, Some(status)) => session.contains(&status),
                (Kind::Job, Some(status)) => job.contains(&status),
                (Kind::Item, status) => status.is_none(),
                _ => false,
            };
            assert!(fits, "{vendor} {:?} {} has the status {:?}", machine.entity_type, state.name, state.status);
        }
    }
}

#[test]
fn only_reopenings_lead_on_from_a_final_state() {
    for (vendor, machine) in machines() {
        for state in machine.states.iter().filter(|state| state.terminal) {
            for next in machine.transitions_from(state.name) {
                let to = machine.state(next.to).expect("a state");
                let allowed = next.reopens != Reopens::Never || (to.terminal && to.rank > state.rank);
                assert!(allowed, "{vendor} {:?}: {} leads on to {}", machine.entity_type, state.name, next.to);
            }
        }
    }
}

#[test]
fn every_declared_move_is_made_and_every_other_is_judged_by_the_table() {
    for (vendor, machine) in machines() {
        let froms = std::iter::once(START).chain(machine.states.iter().map(|state| state.name));
        for from in froms {
            let tip = fold_state_at(machine, from);
            for to in machine.states {
                let what = format!("{vendor} {:?}: {from} -> {}", machine.entity_type, to.name);
                let mut after = tip.clone();
                let outcome = after.advance(machine, &mut timed(to.name, 1_000));
                if from == to.name {
                    assert_eq!(outcome, StepOutcome::Same, "{what}");
                } else if let Some(declared) = machine.transition(from, to.name) {
                    let reopened = declared.reopens != Reopens::Never;
                    assert_eq!(outcome, StepOutcome::Moved { reopened }, "{what}");
                    assert_eq!(after.cycle, tip.cycle + i32::from(reopened), "{what}");
                } else if let Some(path) = machine.path(from, to.name) {
                    assert!(
                        matches!(&outcome, StepOutcome::Skipped { skipped_states, .. } if *skipped_states == path.skipped_states),
                        "{what}"
                    );
                } else {
                    // The vendor's word counts where its time is the newest, and leaving a final state opens a cycle.
                    let reopened = machine.state(from).is_some_and(|from| from.terminal);
                    assert_eq!(outcome, StepOutcome::Unexpected { reopened }, "{what}");
                    assert_eq!(after.cycle, tip.cycle + i32::from(reopened), "{what}");
                }
                assert_eq!(after.state.as_deref(), Some(to.name), "{what}");
            }
        }
    }
}

#[test]
fn what_is_only_reopened_is_entered_by_reopenings_or_from_such_a_state() {
    for (vendor, machine) in machines() {
        for state in machine.states.iter().filter(|state| machine.entered_only_by_reopening(state.name)) {
            for into in machine.transitions.iter().filter(|t| t.to == state.name && t.from != START) {
                let what = format!("{vendor} {:?}: {} to {}", machine.entity_type, into.from, state.name);
                assert!(into.reopens != Reopens::Never || machine.entered_only_by_reopening(into.from), "{what}");
            }
        }
    }
}

#[test]
fn drawings_name_every_state_and_move() {
    for (_, machine) in machines() {
        let drawing = machine.mermaid();
        assert!(drawing.starts_with("stateDiagram-v2\n"));
        assert!(machine.states.iter().all(|state| drawing.contains(&format!("\"{}", state.name))));
        let finals = machine.states.iter().filter(|state| state.terminal).count();
        assert_eq!(drawing.matches(" --> ").count(), machine.transitions.len() + finals);
    }
}

#[test]
fn items_are_items() {
    for (_, machine) in machines() {
        if let EntityType::Item(kind) = machine.entity_type {
            assert_eq!(machine.entity_type.subkind(), kind.as_str());
        }
    }
}
