//! What events do to an entity, over the machines of all vendors: the vendor's word, any order, and true reasons.

use super::*;
use crate::machine::{Machine, Reopens};
use crate::vendor;
use ::entity::Verdict;
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
    slot: CachedEntity,
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
            reference: None,
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
        TestEntity { slot: CachedEntity::new(entity, Some(machine)), position: 0 }
    }

    fn truepic() -> Self {
        let vendor = vendor::by_name("truepic").expect("a vendor");
        TestEntity::of(vendor, vendor.machine(EntityType::Inspection).expect("a machine"))
    }

    fn event(&self) -> Event {
        Event::new(self.slot.entity.entity_type, "1")
    }

    fn take(&mut self, event: Event) -> Option<EventOutcome> {
        self.take_linked(event, None)
    }

    fn take_linked(&mut self, event: Event, inspection: Option<i64>) -> Option<EventOutcome> {
        self.position += 1;
        let arrival = Arrival {
            position: self.position,
            received_at: received(),
            parent_row_id: None,
            inspection_row_id: inspection,
        };
        apply(&mut self.slot, &event, &event.field_values(), &arrival).expect("all its past is there")
    }

    fn is(&mut self, state: &str, at: Option<DateTime<Utc>>) -> EventOutcome {
        self.take(self.event().state(state).occurred_at(at)).expect("a change")
    }

    fn state(&self) -> &str {
        self.slot.entity.fold_state.state.as_deref().unwrap_or_default()
    }

    fn outcome(&self) -> (Option<String>, i32, Option<DateTime<Utc>>) {
        let entity = &self.slot.entity;
        (entity.fold_state.state.clone(), entity.fold_state.cycle, entity.occurred_at)
    }
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

/// A machine, and words of it with whether each is only implied, each at a minute of its own.
fn timed_life() -> impl Strategy<Value = (Owner, Vec<(&'static str, bool, i64)>)> {
    (any_machine(), proptest::collection::vec((any::<Index>(), proptest::bool::weighted(0.2)), 1..9)).prop_map(
        |(owner, words)| {
            let words = words.into_iter().zip(1..);
            // What a reopening leads back to is never less than what is implied.
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

fn play_timed(owner: Owner, words: &[(&'static str, bool, i64)]) -> TestEntity {
    let mut life = TestEntity::of(owner.0, owner.1);
    for (word, implied, at) in words {
        let event = life.event().occurred_at(Some(minute(*at)));
        life.take(if *implied { event.at_least(word) } else { event.state(*word) });
    }
    life
}

/// A machine that only goes on, and some of its words, of which no two have the same rank. Where a machine goes back without
/// a reopening, as an account does that is connected once more, only the arrival tells without a time.
fn ranked_life() -> impl Strategy<Value = (Owner, Vec<&'static str>)> {
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
        ((owner, told), shuffled) in timed_life().prop_flat_map(|life| { let words = life.1.clone(); (Just(life), Just(words).prop_shuffle()) })
    ) {
        let straight = play_timed(owner, &told);
        let newest = told.iter().rev().find(|(_, implied, _)| !implied);
        if let Some((word, _, at)) = newest && told.iter().all(|(_, implied, later)| !implied || later < at) {
            prop_assert_eq!(straight.state(), *word);
        }
        prop_assert_eq!(straight.outcome(), play_timed(owner, &shuffled).outcome());
    }

    #[test]
    fn with_times_nothing_is_refused((owner, told) in timed_life()) {
        let mut life = TestEntity::of(owner.0, owner.1);
        for (word, _, at) in told.into_iter().rev() {
            let verdict = life.is(word, Some(minute(at))).verdict;
            prop_assert_ne!(verdict, Verdict::Refused);
        }
    }

    #[test]
    fn without_times_the_ranks_decide_in_any_order(
        ((owner, words), shuffled) in ranked_life().prop_flat_map(|life| { let words = life.1.clone(); (Just(life), Just(words).prop_shuffle()) })
    ) {
        let play = |words: &[&str]| {
            let mut life = TestEntity::of(owner.0, owner.1);
            words.iter().for_each(|word| _ = life.is(word, None));
            life.outcome()
        };
        prop_assert_eq!(play(&words), play(&shuffled));
    }

    #[test]
    fn with_some_times_the_ranks_decide_in_any_order(
        ((owner, words), shuffled) in ranked_life().prop_flat_map(|(owner, words)| {
            let count = words.len();
            let times = proptest::collection::vec(proptest::option::of(0..9i64), count);
            (Just(owner), Just(words), times).prop_flat_map(|(owner, words, times)| {
                let words: Vec<_> = words.into_iter().zip(times).collect();
                (Just((owner, words.clone())), Just(words).prop_shuffle())
            })
        })
    ) {
        prop_assume!(words.iter().any(|(_, at)| at.is_none()));
        let play = |words: &[(&'static str, Option<i64>)]| {
            let mut life = TestEntity::of(owner.0, owner.1);
            words.iter().for_each(|(word, at)| _ = life.is(word, at.map(minute)));
            let (state, cycle, _) = life.outcome();
            (state, cycle)
        };
        prop_assert_eq!(play(&words), play(&shuffled));
    }

    #[test]
    fn a_reference_is_that_of_the_greatest_field_in_any_order(
        said in proptest::collection::vec((0..4u8, 0..3usize), 1..6).prop_shuffle(), seed in any::<prop::sample::Index>()
    ) {
        let play = |said: &[(usize, (u8, usize))]| {
            let mut life = TestEntity::truepic();
            for (at, (precedence, value)) in said {
                let reference = Reference::new(format!("{precedence}-{value}"), *precedence);
                life.take(life.event().occurred_at(Some(minute(*at as i64))).reference(Some(reference)));
            }
            life.slot.entity.reference
        };
        let mut said: Vec<_> = said.into_iter().enumerate().collect();
        let greatest = said.iter().min_by_key(|(at, (precedence, _))| (*precedence, std::cmp::Reverse(*at)));
        let right = greatest.map(|(_, (precedence, value))| format!("{precedence}-{value}"));
        prop_assert_eq!(play(&said), right.clone());
        let middle = seed.index(said.len());
        said.rotate_left(middle);
        prop_assert_eq!(play(&said), right);
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
                assert_eq!(timed.slot.entity.fold_state.cycle, 1, "{what}");
                let rule = format!("{} is final; the vendor's word counts: cycle 1 begins", from.name);
                assert!(change.reason.ends_with(&rule), "{what}: {}", change.reason);

                let mut untimed = TestEntity::of(vendor, machine);
                untimed.is(from.name, None);
                let change = untimed.is(to.name, None);
                if change.verdict == Verdict::Refused {
                    assert!(change.reason.contains("no vendor's time proves"), "{what}: {}", change.reason);
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
        let mut life = TestEntity::of(vendor, machine);
        order.iter().for_each(|word| _ = life.is(word, Some(minute(5))));
        assert_eq!((life.state(), life.slot.entity.fold_state.cycle), ("COMPLETE", 0), "{order:?}");
    }
}

#[test]
fn late_news_from_before_a_reopening_does_not_undo_it() {
    let vendor = vendor::by_name("hover").expect("a vendor");
    let machine = vendor.machine(EntityType::Inspection).expect("a machine");
    for late in machine.states.iter().filter(|state| machine.path("requesting_corrections", state.name).is_none()) {
        let mut life = TestEntity::of(vendor, machine);
        ["working", "complete", "requesting_corrections"].iter().for_each(|word| _ = life.is(word, None));
        let before = life.outcome();
        assert_eq!((life.state(), before.1), ("requesting_corrections", 1));
        if late.name != "requesting_corrections" {
            let change = life.is(late.name, None);
            assert_eq!(life.outcome(), before, "{}: {:?}", late.name, change);
        }
    }
    // What cannot be reopened stays as it is, in either order.
    for order in [["failed", "requesting_corrections"], ["requesting_corrections", "failed"]] {
        let mut life = TestEntity::of(vendor, machine);
        order.iter().for_each(|word| _ = life.is(word, None));
        assert_eq!((life.state(), life.slot.entity.fold_state.cycle), ("failed", 0), "{order:?}");
    }
}

#[test]
fn an_inspection_that_is_canceled_against_the_table_is_canceled() {
    let words = ["Started", "Canceled", "In Progress"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut life = TestEntity::truepic();
        let verdicts = order.map(|word| life.is(words[word], None).verdict);
        assert_eq!(life.state(), "Canceled", "{order:?}");
        assert!(!verdicts.contains(&Verdict::Refused), "{order:?} {verdicts:?}");
    }
    let mut life = TestEntity::truepic();
    life.is("Started", None);
    life.is("In Progress", None);
    let change = life.is("Canceled", None);
    let reason =
        "from In Progress to Canceled, unexpected: no way leads from In Progress to Canceled; the vendor's word counts";
    assert_eq!((change.verdict, change.reason.as_str()), (Verdict::Unexpected, reason));
}

#[test]
fn a_reason_names_what_decided() {
    // One of three has no time, so the ranks order all of them.
    let mut life = TestEntity::truepic();
    life.is("Started", Some(minute(9)));
    life.is("Ready for Review", None);
    let change = life.is("In Progress", Some(minute(11)));
    let reason = "In Progress is older than Ready for Review, by its rank, since not every event has a vendor's time; the state is kept";
    assert_eq!((change.verdict, change.reason.as_str()), (Verdict::Stale, reason));

    // By time, by rank at the same time, by rank without any time.
    for (first, second, by) in [(Some(5), Some(4), "vendor's time"), (Some(5), Some(5), "rank"), (None, None, "rank")] {
        let mut life = TestEntity::truepic();
        life.is("Ready for Review", first.map(minute));
        let change = life.is("In Progress", second.map(minute));
        let end = format!("{by}; the state is kept");
        assert!(change.verdict == Verdict::Stale && change.reason.ends_with(&end), "{}", change.reason);
    }

    // Facts, too.
    let mut life = TestEntity::truepic();
    let outcome = |word: &str| Summary { outcome: Some(word.to_owned()), ..Summary::default() };
    life.take(life.event().occurred_at(Some(minute(5))).fact(outcome("pass")));
    let change = life.take(life.event().occurred_at(Some(minute(4))).fact(outcome("fail"))).expect("a change");
    assert_eq!(change.reason, "older than what is known, by the vendor's time; newer facts are kept");
}

#[test]
fn a_time_far_ahead_is_replaced_by_the_receipt_and_shown() {
    let stated = serde_json::value::to_raw_value("2999-01-01T00:00:00Z").expect("JSON");
    let ahead = VendorTime::valid("created_at", &stated, "2999-01-01T00:00:00Z".parse().expect("a moment"));
    let mut life = TestEntity::truepic();
    let change = life.take(life.event().state("Started").occurred_at(&ahead)).expect("a change");
    let warning =
        "; the vendor's time (created_at) is more than a day ahead of the receipt: the time of receipt is used";
    assert!(change.reason.ends_with(warning), "{}", change.reason);
    assert_eq!(life.slot.entity.occurred_at, Some(received()));
    assert_eq!(life.slot.entity.fields.to_columns().details, r#"{"created_at":"2999-01-01T00:00:00Z"}"#);
    // What comes later counts, for the state and for each fact.
    let later = received() + TimeDelta::hours(1);
    let summary = Summary { outcome: Some("pass".to_owned()), ..Summary::default() };
    life.take(life.event().occurred_at(&ahead).fact(summary.clone()));
    let change = life.is("In Progress", Some(later));
    assert_eq!((change.verdict, life.state()), (Verdict::Applied, "In Progress"));
    let newer = Summary { outcome: Some("fail".to_owned()), ..summary };
    life.take(life.event().occurred_at(Some(later)).fact(newer));
    assert_eq!(life.slot.entity.fields.to_columns().facts, r#"{"summary":{"outcome":"fail"}}"#);
}

#[test]
fn a_time_that_is_not_understood_is_said() {
    let stated = serde_json::value::to_raw_value("yesterday").expect("JSON");
    let mut life = TestEntity::truepic();
    let at = VendorTime::invalid("created_at", &stated);
    let change = life.take(life.event().state("Started").occurred_at(&at)).expect("a change");
    assert_eq!(
        change.reason,
        "from Created to Started; the vendor's time (created_at) is not understood"
            .replace("from Created", "first seen, on")
    );
    let mut event = life.event().fact(Summary { outcome: Some("pass".to_owned()), ..Summary::default() });
    event.invalid_time = true;
    let change = life.take(event).expect("a change");
    assert_eq!(change.reason, "1 fact is new; a time among the details is not understood");
}

#[test]
fn an_implied_state_tells_when_it_was_reached() {
    let play = |order: &[usize]| {
        let mut life = TestEntity::truepic();
        for step in order {
            match step {
                0 => life.take(life.event().at_least("In Progress").occurred_at(Some(minute(9)))),
                1 => life.take(life.event().state("Started").occurred_at(Some(minute(8)))),
                // Then the photo of 9 implies nothing new.
                2 => life.take(life.event().state("In Progress").occurred_at(Some(minute(7)))),
                _ => life.take(life.event().state("Started").occurred_at(Some(minute(6)))),
            };
        }
        life.slot.entity.occurred_at
    };
    assert_eq!(play(&[0]), Some(minute(9)));
    assert_eq!(play(&[0, 1]), Some(minute(9)));
    assert_eq!(play(&[1, 0]), Some(minute(9)));
    for order in [[0, 2, 3], [2, 0, 3], [3, 2, 0], [0, 3, 2], [2, 3, 0], [3, 0, 2]] {
        assert_eq!(play(&order), Some(minute(7)), "{order:?}");
    }
}

#[test]
fn a_link_reaches_the_row_whatever_the_verdict() {
    let started = |life: &mut TestEntity| life.is("Started", Some(minute(5)));
    type News = fn(&TestEntity) -> Event;
    let news: [(News, Verdict); 4] = [
        (|life| life.event().state("Sneezed").occurred_at(Some(minute(6))), Verdict::Unrecognized),
        (|life| life.event().state("Created").occurred_at(Some(minute(4))), Verdict::Stale),
        (|life| life.event().state("Started").occurred_at(Some(minute(6))), Verdict::Applied),
        (|life| life.event().occurred_at(Some(minute(6))), Verdict::Applied),
    ];
    for (event, verdict) in news {
        let mut life = TestEntity::truepic();
        started(&mut life);
        let past = life.slot.loaded_steps.clone().expect("all of it");
        life.slot.mark_committed();
        life.slot.set_stored_steps(past);
        let event = event(&life);
        let change = life.take_linked(event, Some(7)).expect("a change");
        assert_eq!(change.verdict, verdict);
        assert!(life.slot.dirty && life.slot.links_changed, "{verdict}: the link is not written");
    }
}
