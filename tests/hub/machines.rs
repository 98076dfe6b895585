//! Every row of every machine of every vendor.

use entity::{Kind, Status};
use inspection_hub::machine::fold::{Key, Outcome, Step, Tip};
use inspection_hub::machine::{Machine, Opens, START, Subject};
use inspection_hub::vendor;

fn machines() -> impl Iterator<Item = (&'static str, &'static Machine)> {
    vendor::ALL.iter().flat_map(|vendor| vendor.machines.iter().map(|machine| (vendor.name, machine)))
}

fn timed(to: &'static str, time: i64) -> Step {
    let key = Key { time: Some(time), cycle: 0, rank: 0, position: time };
    Step { to, at_least: false, key, received_at: chrono::DateTime::UNIX_EPOCH }
}

// A tip that has come to a state by the shortest way.
fn standing_at(machine: &Machine, state: &str) -> Tip {
    let mut tip = Tip::default();
    if state != START {
        let path = machine.path(START, state).expect("reachable");
        let way = path.between.into_iter().chain(machine.state(state).map(|state| state.name));
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
        let mut subjects: Vec<_> = vendor.machines.iter().map(|machine| format!("{:?}", machine.subject)).collect();
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
        assert_eq!(names.len(), machine.states.len(), "{vendor} {:?}", machine.subject);
        for transition in machine.transitions {
            let from = transition.from == START || machine.state(transition.from).is_some();
            assert!(from && machine.state(transition.to).is_some(), "{vendor} {:?} {transition:?}", machine.subject);
            let same = |other: &&_| std::ptr::eq::<inspection_hub::machine::Transition>(*other, transition);
            let twice = machine.transitions.iter().filter(|t| t.from == transition.from && t.to == transition.to);
            assert!(twice.into_iter().all(|t| same(&t)), "{vendor} {:?} {transition:?} stands twice", machine.subject);
        }
    }
}

#[test]
fn every_state_is_reached_and_described() {
    for (vendor, machine) in machines() {
        for state in machine.states {
            let what = format!("{vendor} {:?} {}", machine.subject, state.name);
            assert!(machine.path(START, state.name).is_some(), "{what} cannot be reached");
            assert!(!state.about.is_empty(), "{what} has no description");
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
            let fits = match (machine.subject.kind(), state.status) {
                (Kind::Inspection, Some(status)) => inspection.contains(&status),
                (Kind::Session, Some(status)) => session.contains(&status),
                (Kind::Job, Some(status)) => job.contains(&status),
                (Kind::Item, status) => status.is_none(),
                _ => false,
            };
            assert!(fits, "{vendor} {:?} {} has the status {:?}", machine.subject, state.name, state.status);
        }
    }
}

#[test]
fn only_reopenings_lead_on_from_a_final_state() {
    for (vendor, machine) in machines() {
        for state in machine.states.iter().filter(|state| state.terminal) {
            for next in machine.next(state.name) {
                let to = machine.state(next.to).expect("a state");
                let allowed = next.opens != Opens::Nothing || (to.terminal && to.rank > state.rank);
                assert!(allowed, "{vendor} {:?}: {} leads on to {}", machine.subject, state.name, next.to);
            }
        }
    }
}

#[test]
fn every_declared_move_is_made_and_every_other_is_judged_by_the_table() {
    for (vendor, machine) in machines() {
        let froms = std::iter::once(START).chain(machine.states.iter().map(|state| state.name));
        for from in froms {
            let tip = standing_at(machine, from);
            for to in machine.states {
                let what = format!("{vendor} {:?}: {from} -> {}", machine.subject, to.name);
                let mut after = tip.clone();
                let outcome = after.advance(machine, &mut timed(to.name, 1_000));
                if from == to.name {
                    assert_eq!(outcome, Outcome::Same, "{what}");
                } else if let Some(declared) = machine.transition(from, to.name) {
                    let reopened = declared.opens != Opens::Nothing;
                    assert_eq!(outcome, Outcome::Moved { reopened }, "{what}");
                    assert_eq!(after.cycle, tip.cycle + i32::from(reopened), "{what}");
                } else if let Some(path) = machine.path(from, to.name) {
                    assert!(matches!(&outcome, Outcome::Skipped { between, .. } if *between == path.between), "{what}");
                } else {
                    // The vendor's word counts where its time is the newest, and leaving a final state opens a cycle.
                    let reopened = machine.state(from).is_some_and(|from| from.terminal);
                    assert_eq!(outcome, Outcome::Unexpected { reopened }, "{what}");
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
        for state in machine.states.iter().filter(|state| machine.opens_only(state.name)) {
            for into in machine.transitions.iter().filter(|t| t.to == state.name && t.from != START) {
                let what = format!("{vendor} {:?}: {} to {}", machine.subject, into.from, state.name);
                assert!(into.opens != Opens::Nothing || machine.opens_only(into.from), "{what}");
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
        if let Subject::Item(kind) = machine.subject {
            assert_eq!(machine.subject.subkind(), kind.as_str());
        }
    }
}
