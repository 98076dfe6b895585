//! What events do to an entity, with the machines of all vendors: the vendor's word counts, in any order, and reasons are true.

use super::*;
use crate::machine::{Machine, Reopens};
use crate::vendor;
use ::entity::update_order::statuses;
use ::entity::{ItemKind, JobKind, ReasonCode, Verdict};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use std::collections::HashSet;

fn received() -> DateTime<Utc> {
    "2026-05-01T12:00:00Z".parse().expect("a moment")
}

fn minute(minute: i64) -> DateTime<Utc> {
    received() - TimeDelta::days(1) + TimeDelta::minutes(minute)
}

/// An entity that the events of a test are applied to, in the order of the calls.
struct TestEntity {
    cached: CachedEntity,
    position: i64,
}

impl TestEntity {
    fn of(vendor: &'static vendor::Vendor, machine: &'static Machine) -> Self {
        let about = EntityRef::new(machine.entity_type, "1");
        let entity = FoldedEntity {
            row_id: 1,
            id: about.id("source"),
            entity_type: machine.entity_type,
            source: "source".to_owned(),
            vendor: vendor.name,
            external_id: about.external_id,
            parent_row_id: None,
            inspection_row_id: None,
            hand_link: None,
            reference: None,
            annotations: Default::default(),
            group: None,
            status: None,
            fields: VersionedFields::default(),
            fold_state: Default::default(),
            steps_materialized: false,
            created_at: received(),
            updated_at: received(),
            occurred_at: None,
            position: 0,
        };
        TestEntity { cached: CachedEntity::new(entity, Some(machine)), position: 0 }
    }

    fn truepic() -> Self {
        let vendor = vendor::by_name("truepic").expect("a vendor");
        TestEntity::of(vendor, vendor.machine(EntityType::Inspection).expect("a machine"))
    }

    fn event(&self) -> Event {
        Event::new(self.cached.entity.entity_type, "1")
    }

    fn take(&mut self, event: Event) -> Option<EventOutcome> {
        self.take_linked(event, None)
    }

    fn take_linked(&mut self, event: Event, inspection: Option<i64>) -> Option<EventOutcome> {
        self.position += 1;
        let arrival = Arrival {
            position: self.position,
            received_at: received() + TimeDelta::microseconds(self.position),
            parent_row_id: None,
            parent_link: None,
            inspection_row_id: inspection,
        };
        let before = self.cached.entity.clone();
        let outcome = apply(&mut self.cached, &event, &event.field_values(), &arrival).expect("its history is loaded");
        self.assert_moves_with(&before, &arrival);
        let outcome = outcome?;
        assert_survives_storage(&outcome.explanation);
        Some(outcome)
    }

    /// Lists by update are in the order of positions: with its status or the time of its update, an entity's position changes, and
    /// then to that of the change.
    fn assert_moves_with(&self, before: &FoldedEntity, arrival: &Arrival) {
        let after = &self.cached.entity;
        let moves = after.position != before.position;
        assert_eq!(moves, after.updated_at != before.updated_at, "{before:?} {after:?}");
        assert!(moves || after.status == before.status, "{before:?} {after:?}");
        assert!(!moves || (after.position, after.updated_at) == (arrival.position, arrival.received_at), "{after:?}");
        assert!(statuses(after.entity_type.kind()).contains(&after.status), "{after:?}");
    }

    fn is(&mut self, state: &str, at: Option<DateTime<Utc>>) -> EventOutcome {
        self.take(self.event().state(state).occurred_at(at)).expect("a change")
    }

    /// What the next change says.
    fn reason(&mut self, event: Event) -> String {
        self.take(event).expect("a change").explanation.to_string()
    }

    fn state(&self) -> &str {
        self.cached.entity.fold_state.state.as_deref().unwrap_or_default()
    }

    fn outcome(&self) -> (Option<String>, i32, Option<DateTime<Utc>>) {
        let entity = &self.cached.entity;
        (entity.fold_state.state.clone(), entity.fold_state.cycle, entity.occurred_at)
    }
}

/// What is stored of an explanation is all of it.
fn assert_survives_storage(explanation: &Explanation) {
    let (params, warnings) = (explanation.params_column(), explanation.warnings_column());
    let stored = Explanation::from_columns(explanation.reason.code(), params.as_deref(), warnings.as_deref());
    assert_eq!(stored.as_ref().ok(), Some(explanation), "{params:?} {warnings:?}");
}

/// A vendor and one of its machines.
#[derive(Clone, Copy)]
struct Owner(&'static vendor::Vendor, &'static Machine);

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.0.name, self.1.entity_type)
    }
}

fn machines() -> Vec<Owner> {
    vendor::ALL.iter().flat_map(|vendor| vendor.machines.iter().map(move |machine| Owner(vendor, machine))).collect()
}

fn any_machine() -> impl Strategy<Value = Owner> {
    any::<Index>().prop_map(|index| *index.get(&machines()))
}

/// A machine, and states of it, each with whether it is only implied and a minute of its own.
fn timed_events() -> impl Strategy<Value = (Owner, Vec<(&'static str, bool, i64)>)> {
    (any_machine(), proptest::collection::vec((any::<Index>(), proptest::bool::weighted(0.2)), 1..9)).prop_map(
        |(owner, words)| {
            let words = words.into_iter().zip(1..);
            // No implied state has a higher rank than one that a reopening leads to.
            let reopened = owner.1.transitions.iter().filter(|t| t.reopens != Reopens::Never);
            let least = reopened.filter_map(|t| Some(owner.1.state(t.to)?.rank)).min().unwrap_or(i32::MAX);
            let words = words.map(|((word, implied), minute)| {
                let word = word.get(owner.1.states);
                (word.name, implied && word.rank <= least, minute)
            });
            (owner, words.collect())
        },
    )
}

fn apply_timed(owner: Owner, words: &[(&'static str, bool, i64)]) -> TestEntity {
    let mut entity = TestEntity::of(owner.0, owner.1);
    for (word, implied, at) in words {
        let event = entity.event().occurred_at(Some(minute(*at)));
        entity.take(if *implied { event.at_least(word) } else { event.state(*word) });
    }
    entity
}

// A step back to a lower rank, before an implied state that had been passed when it arrived.
#[test]
fn an_implied_state_that_was_passed_moves_nothing_in_any_order() {
    let truto = vendor::by_name("truto").expect("a vendor");
    let account = truto.machine(EntityType::Item(ItemKind::Account)).expect("a machine");
    let [active, back, implied] = [("active", false, 1), ("connecting", false, 2), ("post_install_error", true, 3)];
    for order in [[active, back, implied], [active, implied, back], [implied, back, active], [back, implied, active]] {
        let entity = apply_timed(Owner(truto, account), &order);
        assert_eq!(entity.outcome(), (Some("connecting".to_owned()), 0, Some(minute(2))), "{order:?}");
    }
}

/// A machine without transitions to a lower rank, and some of its states, no two of the same rank. In a machine that goes back
/// without a reopening, as an account does that is connected again, only the arrival orders events without a time.
fn ranked_events() -> impl Strategy<Value = (Owner, Vec<&'static str>)> {
    let forward = |Owner(_, machine): &Owner| {
        let rank = |state: &str| machine.state(state).map(|state| state.rank);
        machine.transitions.iter().all(|t| t.reopens == Reopens::Never && rank(t.from) <= rank(t.to))
    };
    let machines: Vec<Owner> = machines().into_iter().filter(forward).collect();
    any::<Index>().prop_map(move |index| *index.get(&machines)).prop_flat_map(|owner| {
        let mut ranks = HashSet::new();
        let distinct = owner.1.states.iter().filter(|state| ranks.insert(state.rank));
        let names: Vec<&'static str> = distinct.map(|state| state.name).collect();
        let some = 1..=names.len();
        (Just(owner), subsequence(names, some))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn with_times_the_newest_word_is_the_state_in_any_order(
        ((owner, reported), shuffled) in timed_events().prop_flat_map(|entity| { let words = entity.1.clone(); (Just(entity), Just(words).prop_shuffle()) })
    ) {
        let straight = apply_timed(owner, &reported);
        let newest = reported.iter().rev().find(|(_, implied, _)| !implied);
        if let Some((word, _, at)) = newest && reported.iter().all(|(_, implied, later)| !implied || later < at) {
            prop_assert_eq!(straight.state(), *word);
        }
        prop_assert_eq!(straight.outcome(), apply_timed(owner, &shuffled).outcome());
    }

    #[test]
    fn with_times_nothing_is_refused((owner, reported) in timed_events()) {
        let mut entity = TestEntity::of(owner.0, owner.1);
        for (word, _, at) in reported.into_iter().rev() {
            let verdict = entity.is(word, Some(minute(at))).verdict;
            prop_assert_ne!(verdict, Verdict::Refused);
        }
    }

    #[test]
    fn without_times_the_ranks_decide_in_any_order(
        ((owner, words), shuffled) in ranked_events().prop_flat_map(|entity| { let words = entity.1.clone(); (Just(entity), Just(words).prop_shuffle()) })
    ) {
        let apply_all = |words: &[&str]| {
            let mut entity = TestEntity::of(owner.0, owner.1);
            words.iter().for_each(|word| _ = entity.is(word, None));
            entity.outcome()
        };
        prop_assert_eq!(apply_all(&words), apply_all(&shuffled));
    }

    #[test]
    fn with_some_times_the_ranks_decide_in_any_order(
        ((owner, words), shuffled) in ranked_events().prop_flat_map(|(owner, words)| {
            let count = words.len();
            let times = proptest::collection::vec(proptest::option::of(0..9i64), count);
            (Just(owner), Just(words), times).prop_flat_map(|(owner, words, times)| {
                let words: Vec<_> = words.into_iter().zip(times).collect();
                (Just((owner, words.clone())), Just(words).prop_shuffle())
            })
        })
    ) {
        prop_assume!(words.iter().any(|(_, at)| at.is_none()));
        let apply_all = |words: &[(&'static str, Option<i64>)]| {
            let mut entity = TestEntity::of(owner.0, owner.1);
            words.iter().for_each(|(word, at)| _ = entity.is(word, at.map(minute)));
            let (state, cycle, _) = entity.outcome();
            (state, cycle)
        };
        prop_assert_eq!(apply_all(&words), apply_all(&shuffled));
    }

    #[test]
    fn a_reference_is_that_of_the_greatest_field_in_any_order(
        said in proptest::collection::vec((0..4u8, 0..3usize), 1..6).prop_shuffle(), seed in any::<prop::sample::Index>()
    ) {
        let apply_all = |said: &[(usize, (u8, usize))]| {
            let mut entity = TestEntity::truepic();
            for (at, (precedence, value)) in said {
                let reference = Reference::new(format!("{precedence}-{value}"), *precedence);
                entity.take(entity.event().occurred_at(Some(minute(*at as i64))).reference(Some(reference)));
            }
            entity.cached.entity.reference
        };
        let mut said: Vec<_> = said.into_iter().enumerate().collect();
        let greatest = said.iter().min_by_key(|(at, (precedence, _))| (*precedence, std::cmp::Reverse(*at)));
        let right = greatest.map(|(_, (precedence, value))| format!("{precedence}-{value}"));
        prop_assert_eq!(apply_all(&said), right.clone());
        let middle = seed.index(said.len());
        said.rotate_left(middle);
        prop_assert_eq!(apply_all(&said), right);
    }
}

#[test]
fn a_final_state_is_left_only_by_what_a_time_proves_newer() {
    for Owner(vendor, machine) in machines() {
        let finals = machine.states.iter().filter(|state| state.terminal);
        for from in finals {
            for to in
                machine.states.iter().filter(|to| to.name != from.name && machine.path(from.name, to.name).is_none())
            {
                let what = format!("{} {:?}: {} to {}", vendor.name, machine.entity_type, from.name, to.name);
                let mut timed = TestEntity::of(vendor, machine);
                timed.is(from.name, Some(minute(1)));
                let change = timed.is(to.name, Some(minute(2)));
                assert_eq!((change.verdict, timed.state()), (Verdict::Unexpected, to.name), "{what}");
                assert_eq!(timed.cached.entity.fold_state.cycle, 1, "{what}");
                let rule =
                    format!("{} is final; applied, since the vendor reports it; reopened: cycle 1 begins", from.name);
                let reason = change.explanation.to_string();
                assert!(reason.ends_with(&rule), "{what}: {reason}");

                let mut untimed = TestEntity::of(vendor, machine);
                untimed.is(from.name, None);
                let change = untimed.is(to.name, None);
                if change.verdict == Verdict::Refused {
                    let reason = change.explanation.to_string();
                    assert!(reason.contains("no vendor's time proves"), "{what}: {reason}");
                    assert_eq!(untimed.state(), from.name, "{what}");
                } else {
                    // Of a lesser rank: it comes before.
                    assert!(to.rank < from.rank, "{what}: {:?}", change);
                }
            }
        }
    }
}

#[test]
fn the_same_time_proves_nothing_newer() {
    let vendor = vendor::by_name("pave").expect("a vendor");
    let machine = vendor.machine(EntityType::Session).expect("a machine");
    for order in [["COMPLETE", "EXPIRED"], ["EXPIRED", "COMPLETE"]] {
        let mut entity = TestEntity::of(vendor, machine);
        order.iter().for_each(|word| _ = entity.is(word, Some(minute(5))));
        assert_eq!((entity.state(), entity.cached.entity.fold_state.cycle), ("COMPLETE", 0), "{order:?}");
    }
}

#[test]
fn a_late_event_from_before_a_reopening_does_not_undo_it() {
    let vendor = vendor::by_name("hover").expect("a vendor");
    let machine = vendor.machine(EntityType::Inspection).expect("a machine");
    for late in machine.states.iter().filter(|state| machine.path("requesting_corrections", state.name).is_none()) {
        let mut entity = TestEntity::of(vendor, machine);
        ["working", "complete", "requesting_corrections"].iter().for_each(|word| _ = entity.is(word, None));
        let before = entity.outcome();
        assert_eq!((entity.state(), before.1), ("requesting_corrections", 1));
        if late.name != "requesting_corrections" {
            let change = entity.is(late.name, None);
            assert_eq!(entity.outcome(), before, "{}: {:?}", late.name, change);
        }
    }
    // What cannot be reopened stays as it is, in either order.
    for order in [["failed", "requesting_corrections"], ["requesting_corrections", "failed"]] {
        let mut entity = TestEntity::of(vendor, machine);
        order.iter().for_each(|word| _ = entity.is(word, None));
        assert_eq!((entity.state(), entity.cached.entity.fold_state.cycle), ("failed", 0), "{order:?}");
    }
}

#[test]
fn an_inspection_that_is_canceled_against_the_table_is_canceled() {
    let words = ["Started", "Canceled", "In Progress"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut entity = TestEntity::truepic();
        let verdicts = order.map(|word| entity.is(words[word], None).verdict);
        assert_eq!(entity.state(), "Canceled", "{order:?}");
        assert!(!verdicts.contains(&Verdict::Refused), "{order:?} {verdicts:?}");
    }
    let mut entity = TestEntity::truepic();
    entity.is("Started", None);
    entity.is("In Progress", None);
    let change = entity.is("Canceled", None);
    let reason = "from In Progress to Canceled, unexpected: no transition leads from In Progress to Canceled; applied, since the vendor reports it";
    assert_eq!((change.verdict, change.explanation.to_string().as_str()), (Verdict::Unexpected, reason));
}

#[test]
fn a_reason_names_what_decided() {
    // One of three has no time, so the ranks order all of them.
    let mut entity = TestEntity::truepic();
    entity.is("Started", Some(minute(9)));
    entity.is("Ready for Review", None);
    let change = entity.is("In Progress", Some(minute(11)));
    let reason = "In Progress is older than Ready for Review, by its rank, since not every event has a vendor's time; the state is kept";
    assert_eq!((change.verdict, change.explanation.to_string().as_str()), (Verdict::Stale, reason));

    // By time, by rank at the same time, by rank without any time.
    for (first, second, by) in [(Some(5), Some(4), "vendor's time"), (Some(5), Some(5), "rank"), (None, None, "rank")] {
        let mut entity = TestEntity::truepic();
        entity.is("Ready for Review", first.map(minute));
        let change = entity.is("In Progress", second.map(minute));
        let end = format!("{by}; the state is kept");
        let reason = change.explanation.to_string();
        assert!(change.verdict == Verdict::Stale && reason.ends_with(&end), "{reason}");
    }

    // Facts, too.
    let mut entity = TestEntity::truepic();
    let outcome = |word: &str| Summary { outcome: Some(word.to_owned()), ..Summary::default() };
    entity.take(entity.event().occurred_at(Some(minute(5))).fact(outcome("pass")));
    let reason = entity.reason(entity.event().occurred_at(Some(minute(4))).fact(outcome("fail")));
    assert_eq!(reason, "older than the known facts, by the vendor's time; the newer facts are kept");
}

#[test]
fn an_event_that_is_refused_and_reorders_the_others_changes_the_state() {
    let vendor = vendor::by_name("truto").expect("a vendor");
    let machine = vendor.machine(EntityType::Job(JobKind::SyncRun)).expect("a machine");
    let mut entity = TestEntity::of(vendor, machine);
    entity.is("completed", Some(minute(1)));
    entity.is("running", Some(minute(2)));
    // The first event without a time: from now on, ranks decide.
    let change = entity.is("failed", None);
    assert_eq!((change.verdict, entity.state()), (Verdict::Applied, "completed"), "{:?}", change.explanation);
    assert_eq!(change.explanation.reason.code(), ReasonCode::LateStateChange);
}

#[test]
fn a_time_far_ahead_is_replaced_by_the_receipt_and_shown() {
    let stated = serde_json::value::to_raw_value("2999-01-01T00:00:00Z").expect("JSON");
    let ahead = VendorTime::valid("created_at", &stated, "2999-01-01T00:00:00Z".parse().expect("a moment"));
    let mut entity = TestEntity::truepic();
    let change = entity.take(entity.event().state("Started").occurred_at(&ahead)).expect("a change");
    assert_eq!(change.explanation.warnings, [Warning::ClockAhead { field: "created_at".to_owned() }]);
    let (reason, warning) = (
        change.explanation.to_string(),
        "; the vendor's time (created_at) is more than a day after the receipt: the time of receipt is used",
    );
    assert!(reason.ends_with(warning), "{reason}");
    assert_eq!(entity.cached.entity.occurred_at, Some(entity.cached.entity.updated_at));
    assert_eq!(entity.cached.entity.fields.to_columns().details, r#"{"created_at":"2999-01-01T00:00:00Z"}"#);
    // What comes later counts, for the state and for each fact.
    let later = received() + TimeDelta::hours(1);
    let summary = Summary { outcome: Some("pass".to_owned()), ..Summary::default() };
    entity.take(entity.event().occurred_at(&ahead).fact(summary.clone()));
    let change = entity.is("In Progress", Some(later));
    assert_eq!((change.verdict, entity.state()), (Verdict::Applied, "In Progress"));
    let newer = Summary { outcome: Some("fail".to_owned()), ..summary };
    entity.take(entity.event().occurred_at(Some(later)).fact(newer));
    assert_eq!(entity.cached.entity.fields.to_columns().facts, r#"{"summary":{"outcome":"fail"}}"#);
}

#[test]
fn a_time_that_is_not_understood_is_a_warning() {
    let stated = serde_json::value::to_raw_value("yesterday").expect("JSON");
    let mut entity = TestEntity::truepic();
    let at = VendorTime::invalid("created_at", &stated);
    let reason = entity.reason(entity.event().state("Started").occurred_at(&at));
    assert_eq!(reason, "first seen, in state Started; the vendor's time (created_at) is not understood");
    let mut event = entity.event().fact(Summary { outcome: Some("pass".to_owned()), ..Summary::default() });
    event.invalid_time = true;
    assert_eq!(entity.reason(event), "1 fact changed; a time among the details is not understood");
    // Any number of warnings beside one reason.
    let mut event = entity.event().state("In Progress").occurred_at(&at).orphan_reason("no inspection is named");
    event.invalid_time = true;
    let change = entity.take(event).expect("a change");
    let Explanation { reason, warnings } = change.explanation;
    assert_eq!((reason.code(), change.verdict), (ReasonCode::StateChanged, Verdict::Orphaned));
    let not_named = Warning::InspectionNotNamed { why: "no inspection is named".to_owned() };
    let not_understood = Warning::TimeNotUnderstood { field: "created_at".to_owned() };
    assert_eq!(warnings, [not_understood, Warning::DetailTimeNotUnderstood, not_named]);
}

#[test]
fn every_reason_code_renders_and_survives_storage() {
    let mut codes = HashSet::new();
    for reason in reason::examples() {
        codes.insert(reason.code());
        let warnings = vec![Warning::ClockAhead { field: String::new() }, Warning::DetailTimeNotUnderstood];
        for warnings in [Vec::new(), warnings] {
            let explanation = Explanation { reason: reason.clone(), warnings };
            assert_survives_storage(&explanation);
            let sentence = explanation.to_string();
            assert!(sentence.len() >= 8 && !sentence.contains(['{', '"']), "{sentence}");
        }
    }
    assert_eq!(codes.len(), ReasonCode::ALL.len(), "an example of each");
    let unknown = Explanation::from_columns(ReasonCode::OlderFacts, Some(r#"{"by":"MOON"}"#), None);
    assert!(unknown.is_err(), "what this version does not know is not rendered: {unknown:?}");
}

#[test]
fn reasons_are_plain_sentences() {
    let sentences: Vec<String> = reason::examples().iter().map(Reason::to_string).collect();
    let expected = [
        "implied: from Idle to Started",
        "from Done to Started; reopened: cycle 1 begins",
        "first seen, in state Done; never reported: Idle, Started",
        "from Idle to Done, unexpected: no transition leads from Idle to Done; applied, since the vendor reports it",
        "first seen, in state Done, unexpected: Done is not an initial state; applied, since the vendor reports it",
        "late event, put in order: from Idle to Done",
        "the state is already Done",
        "Done is final, and no vendor's time proves Idle newer, since not every event has a vendor's time; the state is kept",
        "implied: Idle is older than Done, by its rank; the state is kept",
        "older than the known facts, by the vendor's time; the newer facts are kept",
        "`Sneezed` is not a known state; the state is kept",
        "the state is still Done; 2 facts changed",
        "1 fact changed",
        "linked to a parent or an inspection",
        "linked to the inspection of its parent",
        "first seen",
        "reports only what is known",
        "implies only what is known",
        "duplicate of delivery 7",
        "a test event",
        "the vendor asks to confirm the webhook URL",
        "no such event",
        "not JSON",
        "announced before the vendor's first event",
        "the reference, labels or due date were set by hand",
        "a comment was added",
        "linked to an inspection by hand",
        "the link by hand was undone",
    ];
    assert_eq!(sentences, expected);
}

#[test]
fn an_implied_state_has_the_time_at_which_it_was_reached() {
    let apply_all = |order: &[usize]| {
        let mut entity = TestEntity::truepic();
        for step in order {
            match step {
                0 => entity.take(entity.event().at_least("In Progress").occurred_at(Some(minute(9)))),
                1 => entity.take(entity.event().state("Started").occurred_at(Some(minute(8)))),
                // Then the photo of 9 implies nothing new.
                2 => entity.take(entity.event().state("In Progress").occurred_at(Some(minute(7)))),
                _ => entity.take(entity.event().state("Started").occurred_at(Some(minute(6)))),
            };
        }
        entity.cached.entity.occurred_at
    };
    assert_eq!(apply_all(&[0]), Some(minute(9)));
    assert_eq!(apply_all(&[0, 1]), Some(minute(9)));
    assert_eq!(apply_all(&[1, 0]), Some(minute(9)));
    for order in [[0, 2, 3], [2, 0, 3], [3, 2, 0], [0, 3, 2], [2, 3, 0], [3, 0, 2]] {
        assert_eq!(apply_all(&order), Some(minute(7)), "{order:?}");
    }
}

#[test]
fn a_link_reaches_the_row_whatever_the_verdict() {
    let started = |entity: &mut TestEntity| entity.is("Started", Some(minute(5)));
    type MakeEvent = fn(&TestEntity) -> Event;
    let events: [(MakeEvent, Verdict); 4] = [
        (|entity| entity.event().state("Sneezed").occurred_at(Some(minute(6))), Verdict::Unrecognized),
        (|entity| entity.event().state("Created").occurred_at(Some(minute(4))), Verdict::Stale),
        (|entity| entity.event().state("Started").occurred_at(Some(minute(6))), Verdict::Applied),
        (|entity| entity.event().occurred_at(Some(minute(6))), Verdict::Applied),
    ];
    for (event, verdict) in events {
        let mut entity = TestEntity::truepic();
        started(&mut entity);
        let past = entity.cached.loaded_steps.clone().expect("all of it");
        entity.cached.mark_committed();
        entity.cached.set_stored_steps(past);
        let event = event(&entity);
        let change = entity.take_linked(event, Some(7)).expect("a change");
        assert_eq!(change.verdict, verdict);
        assert!(entity.cached.dirty && entity.cached.links_changed, "{verdict}: the link is not written");
    }
}
