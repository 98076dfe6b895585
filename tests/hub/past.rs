//! The past, by both clocks, is what the plainest way of telling it says: take the whole history and look.

use crate::database::{TestDatabase, write};
use crate::made_up::{at, hover_life, incoming_at, pave_life, record360_life, truepic_life, truto_life};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{ItemKind, JobKind, Kind, Status, change, delivery, entity as thing};
use inspection_hub::machine::fold::{Key, Outcome, Step, Tip};
use inspection_hub::machine::{Machine, Subject};
use inspection_hub::store::read::{Board, Clock, Direction, End, EntityFilter, Page, Part, Then, Wants, as_of};
use inspection_hub::store::{Database, Mode, Writer};
use inspection_hub::vendor;
use proptest::prelude::*;
use proptest::sample::Index;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How an entity stood: state, status, cycle, and the position of the change that it had come to be by.
type Stood = (Option<String>, Option<Status>, i32, i64);

/// The history, and what it is about.
pub struct Told {
    pub things: Vec<thing::Model>,
    pub history: Vec<change::Model>,
}

impl Told {
    pub async fn read(db: &Database) -> Told {
        let things = thing::Entity::find().all(&db.readers).await.expect("entities");
        let history = change::Entity::find().order_by_asc(change::Column::Position).all(&db.readers).await;
        Told { things, history: history.expect("history") }
    }

    /// Every moment at which something was received or happened, and the ones just before.
    pub fn moments(&self) -> Vec<i64> {
        let edges = self.history.iter().flat_map(|change| [Some(change.received_at), change.occurred_at]).flatten();
        edges.flat_map(|at| [at - 1, at]).collect::<BTreeSet<i64>>().into_iter().collect()
    }

    /// What a thing went through, in the order of the fold: its status and cycle after each step, and when that happened.
    pub fn course(&self, thing: &thing::Model) -> Vec<(Option<Status>, i32, i64)> {
        let history = self.history.iter().filter(|change| change.entity == Some(thing.number));
        let Some((machine, steps, trail)) = folded(thing, history) else { return Vec::new() };
        let after = |(place, (_, tip)): (usize, &(_, Tip))| {
            let status = tip.state.as_deref().and_then(|state| machine.state(state)?.status);
            // A step happened no later than any that follows it.
            let happened = steps[place..].iter().map(Step::happened_at).min();
            (status, tip.cycle, happened.unwrap_or_default())
        };
        trail.iter().enumerate().map(after).collect()
    }

    /// All that stood somehow at a moment, by their numbers.
    fn at(&self, at: i64, clock: Clock) -> BTreeMap<i64, Stood> {
        let stood = |thing: &thing::Model| {
            let mut history = self.history.iter().filter(|change| change.entity == Some(thing.number));
            let stood = match clock {
                Clock::Received => history
                    .rfind(|change| change.received_at <= at)
                    .map(|change| (change.to_state.clone(), change.to_status, change.cycle, change.position)),
                Clock::Occurred => happened_by(at, thing, history),
            };
            Some((thing.number, stood?))
        };
        self.things.iter().filter_map(stood).collect()
    }

    /// Asks for all entities at a moment.
    pub async fn agrees(&self, db: &Database, at: i64, clock: Clock) {
        let numbers: Vec<i64> = self.things.iter().map(|thing| thing.number).collect();
        let told = as_of(&db.readers, moment(at), clock, &numbers).await.expect("the past").into_iter();
        let told = told.map(|(number, was)| (number, (was.state.clone(), was.status, was.cycle, was.position)));
        assert_eq!(told.collect::<BTreeMap<_, _>>(), self.at(at, clock), "at {} by {clock:?}", moment(at));
    }

    /// Asks for the boards of a moment: whole, filtered and page by page, from both ends.
    async fn agrees_on_boards(&self, db: &Database, at: i64, clock: Clock) {
        let stood = self.at(at, clock);
        for kind in [Kind::Inspection, Kind::Session, Kind::Job] {
            let what = format!("{kind} at {} by {clock:?}", moment(at));
            let of_kind = self.things.iter().filter(|thing| thing.kind == kind);
            let all: BTreeMap<i64, Stood> =
                of_kind.filter_map(|thing| Some((thing.number, stood.get(&thing.number)?.clone()))).collect();
            let filter = EntityFilter { kind: Some(kind), ..EntityFilter::default() };
            let board = Board { at: moment(at), clock, filter };
            assert_eq!(whole(&board, db).await, all, "{what}");
            for direction in [Direction::Up, Direction::Down] {
                for from in [End::First, End::Last] {
                    assert_eq!(by_pages(&board, db, direction, from).await, all.keys().copied().collect::<Vec<_>>());
                }
            }
            let mut counts: BTreeMap<Status, i64> = BTreeMap::new();
            all.values().filter_map(|stood| stood.1).for_each(|status| *counts.entry(status).or_default() += 1);
            let told = board.status_counts(&db.readers).await.expect("counts");
            assert_eq!(told.into_iter().collect::<BTreeMap<_, _>>(), counts, "{what}");
            let Some((state, status, ..)) = all.values().next().cloned() else { continue };
            let by_status = EntityFilter { status: Some(status.into_iter().collect()), ..board.filter.clone() };
            let by_state = EntityFilter { state: Some(state.iter().cloned().collect()), ..board.filter.clone() };
            for (filter, fits) in [
                (
                    by_status,
                    Box::new(|stood: &Stood| stood.1.is_some() && stood.1 == status) as Box<dyn Fn(&Stood) -> bool>,
                ),
                (by_state, Box::new(|stood: &Stood| stood.0.is_some() && stood.0 == state)),
            ] {
                let board = Board { filter, ..board.clone() };
                let mut fitting = all.clone();
                fitting.retain(|_, stood| fits(stood));
                assert_eq!(board.count(&db.readers).await.expect("a count"), fitting.len() as i64, "{what}");
                assert_eq!(whole(&board, db).await, fitting, "{what}");
            }
        }
    }
}

async fn page(board: &Board, db: &Database, direction: Direction, page: &Page<i64>) -> Part<Then> {
    board.page(&db.readers, Wants::default(), direction, page).await.expect("a page")
}

async fn whole(board: &Board, db: &Database) -> BTreeMap<i64, Stood> {
    let all = Page { after: None, before: None, limit: 100, from: End::First };
    let part = page(board, db, Direction::Down, &all).await;
    assert!(part.rows.is_sorted_by(|one, other| one.now.number > other.now.number) && !part.more);
    let stood = |row: Then| {
        let was = &row.then;
        assert_eq!(was.entity, row.now.number);
        (was.entity, (was.state.clone(), was.status, was.cycle, was.position))
    };
    part.rows.into_iter().map(stood).collect()
}

/// The numbers in ascending order, read in pages of two.
async fn by_pages(board: &Board, db: &Database, direction: Direction, from: End) -> Vec<i64> {
    let mut next = Page { after: None, before: None, limit: 2, from };
    let mut numbers = Vec::new();
    loop {
        let mut part = page(board, db, direction, &next).await;
        if from == End::Last {
            part.rows.reverse();
        }
        numbers.extend(part.rows.iter().map(|row| row.now.number));
        match from {
            End::First => next.after = numbers.last().copied(),
            End::Last => next.before = numbers.last().copied(),
        }
        if !part.more {
            break;
        }
    }
    if (direction == Direction::Up) != (from == End::First) {
        numbers.reverse();
    }
    numbers
}

pub fn moment(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at).expect("a moment")
}

/// The steps of a thing in the order of the fold, and what came of each.
type Folded = (&'static Machine, Vec<Step>, Vec<(Outcome, Tip)>);

fn folded<'a>(thing: &thing::Model, history: impl Iterator<Item = &'a change::Model>) -> Option<Folded> {
    let subject = match thing.kind {
        Kind::Inspection => Subject::Inspection,
        Kind::Session => Subject::Session,
        Kind::Job => Subject::Job(JobKind::parse(&thing.subkind)?),
        Kind::Item => Subject::Item(ItemKind::parse(&thing.subkind)?),
        Kind::Delivery => return None,
    };
    let machine = vendor::by_name(&thing.vendor)?.machine(subject)?;
    let steps = history.filter_map(|change| {
        let (time, cycle, rank) = (change.occurred_at, change.placed_cycle, change.placed_rank);
        let to = machine.state(change.named_state.as_ref()?).expect("a state of the machine").name;
        let key = Key { time, cycle, rank, position: change.position };
        Some(Step { to, at_least: change.implied, key, received_at: moment(change.received_at) })
    });
    let mut steps: Vec<Step> = steps.collect();
    let (_, trail) = Tip::fold(machine, &mut steps);
    Some((machine, steps, trail))
}

fn happened_by<'a>(at: i64, thing: &thing::Model, history: impl Iterator<Item = &'a change::Model>) -> Option<Stood> {
    let (machine, steps, trail) = folded(thing, history)?;
    // A step happened no later than any that follows it.
    let by_then = (0..steps.len()).rfind(|place| steps[*place..].iter().any(|step| step.happened_at() <= at))?;
    let tip = &trail[by_then].1;
    let status = tip.state.as_deref().and_then(|state| machine.state(state)?.status);
    Some((tip.state.clone(), status, tip.cycle, steps[by_then].key.position))
}

/// Deliveries of two sources of each vendor, in any order: source, vendor, body, and how far the clock of who received it
/// is off, in half minutes.
fn traffic() -> impl Strategy<Value = Vec<(String, &'static str, Value, i64)>> {
    let all = (pave_life(), truepic_life(), hover_life(), truto_life(), record360_life(), any::<bool>());
    all.prop_flat_map(|(pave, truepic, hover, truto, record360, twice)| {
        let lives =
            [("pave", pave), ("truepic", truepic), ("hover", hover), ("truto", truto), ("record360", record360)];
        let sources = if twice { &["", "-2"][..] } else { &[""][..] };
        let all: Vec<_> = lives
            .into_iter()
            .flat_map(|(vendor, life)| life.into_iter().map(move |body| (vendor, body)))
            .flat_map(|(vendor, body)| sources.iter().map(move |end| (format!("{vendor}{end}"), vendor, body.clone())))
            .collect();
        let off = proptest::collection::vec(-6..6i64, all.len());
        (Just(all).prop_shuffle(), off).prop_map(|(all, off)| {
            all.into_iter().zip(off).map(|((source, vendor, body), off)| (source, vendor, body, off)).collect()
        })
    })
}

async fn opened(database: &TestDatabase) -> Database {
    Database::open(&database.address, Mode::Migrate).await.expect("opens")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn boards_of_the_past_are_what_the_history_says(
        traffic in traffic(),
        batch in 1..20usize,
        asked in proptest::collection::vec(any::<Index>(), 5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let database = TestDatabase::new().await;
            let db = opened(&database).await;
            let begin: DateTime<Utc> = at(0).parse().expect("a moment");
            let mut newest = i64::MIN;
            let mut stamps = Vec::new();
            for (place, group) in traffic.chunks(batch).enumerate() {
                let received = |row: usize, off: i64| begin + TimeDelta::seconds(30 * ((place * batch + row) as i64 + off));
                let all: Vec<_> = group.iter().enumerate().map(|(row, (source, vendor, body, off))| {
                    incoming_at(source, vendor, body, received(row, *off))
                }).collect();
                // Each time another process.
                let written = write(&mut Writer::open(&db).expect("a writer"), &all);
                for ((row, (.., off)), receipt) in group.iter().enumerate().zip(written.receipts) {
                    if !receipt.duplicate {
                        newest = newest.max(received(row, *off).timestamp_micros());
                        stamps.push(newest);
                    }
                }
            }
            let deliveries = delivery::Entity::find().order_by_asc(delivery::Column::Number).all(&db.readers).await;
            let deliveries = deliveries.expect("deliveries");
            assert_eq!(deliveries.iter().map(|delivery| delivery.received_at).collect::<Vec<_>>(), stamps);
            let told = Told::read(&db).await;
            let stamp = |change: &change::Model| stamps[usize::try_from(change.delivery).expect("a number") - 1];
            assert!(told.history.iter().all(|change| change.received_at == stamp(change)));
            let moments = told.moments();
            for index in asked {
                for clock in [Clock::Received, Clock::Occurred] {
                    let at = *index.get(&moments);
                    told.agrees(&db, at, clock).await;
                    told.agrees_on_boards(&db, at, clock).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn what_lies_between_two_steps_does_not_hide_the_first() {
    let database = TestDatabase::new().await;
    let db = opened(&database).await;
    let begin: DateTime<Utc> = at(0).parse().expect("a moment");
    let status = |status: &str, minute: usize| {
        serde_json::json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": "K-1",
            "timestamp": at(minute) })
    };
    // Words that no machine knows bear on no state, and leave a row each.
    let mut bodies = vec![status("STARTED", 0)];
    bodies.extend((1..300).map(|minute| status(&format!("WORD-{minute}"), minute)));
    bodies.push(status("PROCESS", 300));
    bodies.extend((301..600).map(|minute| status(&format!("WORD-{minute}"), minute)));
    let all = bodies.iter().enumerate().map(|(minute, body)| {
        incoming_at("pave", "pave", body, begin + TimeDelta::minutes(i64::try_from(minute).unwrap_or_default()))
    });
    write(&mut Writer::open(&db).expect("a writer"), &all.collect::<Vec<_>>());
    let told = Told::read(&db).await;
    assert!(told.history.len() >= 600 && told.things.iter().all(|thing| !thing.retold));
    for minute in [0, 1, 299, 300, 301, 599] {
        let minute = (begin + TimeDelta::minutes(minute)).timestamp_micros();
        for at in [minute - 1, minute] {
            told.agrees(&db, at, Clock::Received).await;
            told.agrees(&db, at, Clock::Occurred).await;
        }
    }
}
