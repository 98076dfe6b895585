//! As-of reads, by both clocks, agree with a plain computation from the whole history.

use crate::database::{TestDatabase, write};
use crate::generators::{at, incoming_at, scenario_per_vendor};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{ItemKind, JobKind, Kind, Status, change, delivery, entity as thing};
use inspection_hub::ingest::Writer;
use inspection_hub::machine::fold::{FoldState, OrderKey, Step, StepOutcome};
use inspection_hub::machine::{EntityType, Machine};
use inspection_hub::store::read::{
    AsOfList, EntityAsOf, EntityFilter, EntityProjection, PageRequest, PagingDirection, Slice, SortDirection, TimeAxis,
    as_of,
};
use inspection_hub::store::{Database, OpenMode};
use inspection_hub::vendor;
use proptest::prelude::*;
use proptest::sample::Index;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The state of an entity: state, status, cycle, and the position of the change that caused it.
type StateAsOf = (Option<String>, Option<Status>, i32, i64);

/// The history, and its entities.
pub struct RecordedHistory {
    pub entities: Vec<thing::Model>,
    pub history: Vec<change::Model>,
}

impl RecordedHistory {
    pub async fn read(db: &Database) -> RecordedHistory {
        let things = thing::Entity::find().all(&db.read_pool).await.expect("entities");
        let history = change::Entity::find().order_by_asc(change::Column::Position).all(&db.read_pool).await;
        RecordedHistory { entities: things, history: history.expect("history") }
    }

    /// Every moment at which something was received or happened, and the ones just before.
    pub fn boundary_times(&self) -> Vec<i64> {
        let edges = self.history.iter().flat_map(|change| [Some(change.received_at), change.occurred_at]).flatten();
        edges.flat_map(|at| [at - 1, at]).collect::<BTreeSet<i64>>().into_iter().collect()
    }

    /// What a thing went through, in the order of the fold: its status and cycle after each step, and when that
    /// happened.
    pub fn timeline(&self, thing: &thing::Model) -> Vec<(Option<Status>, i32, i64)> {
        let history = self.history.iter().filter(|change| change.entity_row_id == Some(thing.row_id));
        let Some((machine, steps, trail)) = folded(thing, history) else { return Vec::new() };
        let after = |(place, (_, tip)): (usize, &(_, FoldState))| {
            let status = tip.state.as_deref().and_then(|state| machine.state(state)?.status);
            // A step happened no later than any that follows it.
            let happened = steps[place..].iter().map(Step::occurred_or_received_at).min();
            (status, tip.cycle, happened.unwrap_or_default())
        };
        trail.iter().enumerate().map(after).collect()
    }

    /// The states of all entities that were known at a time, by row id.
    fn at(&self, at: i64, clock: TimeAxis) -> BTreeMap<i64, StateAsOf> {
        let states = |thing: &thing::Model| {
            let mut history = self.history.iter().filter(|change| change.entity_row_id == Some(thing.row_id));
            let states = match clock {
                TimeAxis::Received => history
                    .rfind(|change| change.received_at <= at)
                    .map(|change| (change.to_state.clone(), change.to_status, change.cycle, change.position)),
                TimeAxis::Occurred => happened_by(at, thing, history),
            };
            Some((thing.row_id, states?))
        };
        self.entities.iter().filter_map(states).collect()
    }

    /// Reads all entities as of a time.
    pub async fn assert_as_of(&self, db: &Database, at: i64, clock: TimeAxis) {
        let numbers: Vec<i64> = self.entities.iter().map(|thing| thing.row_id).collect();
        let read = as_of(&db.read_pool, to_datetime(at), clock, &numbers).await.expect("the past").into_iter();
        let read = read.map(|(number, was)| (number, (was.state.clone(), was.status, was.cycle, was.position)));
        assert_eq!(read.collect::<BTreeMap<_, _>>(), self.at(at, clock), "at {} by {clock:?}", to_datetime(at));
    }

    /// Reads the lists as of a time: whole, filtered, and in pages from both ends.
    async fn assert_as_of_lists(&self, db: &Database, at: i64, clock: TimeAxis) {
        let states = self.at(at, clock);
        for kind in [Kind::Inspection, Kind::Session, Kind::Job] {
            let what = format!("{kind} at {} by {clock:?}", to_datetime(at));
            let of_kind = self.entities.iter().filter(|thing| thing.kind == kind);
            let all: BTreeMap<i64, StateAsOf> =
                of_kind.filter_map(|thing| Some((thing.row_id, states.get(&thing.row_id)?.clone()))).collect();
            let filter = EntityFilter { kind: Some(kind), ..EntityFilter::default() };
            let list = AsOfList { at: to_datetime(at), axis: clock, filter };
            assert_eq!(whole_list(&list, db).await, all, "{what}");
            for direction in [SortDirection::Asc, SortDirection::Desc] {
                for from in [PagingDirection::Forward, PagingDirection::Backward] {
                    assert_eq!(by_pages(&list, db, direction, from).await, all.keys().copied().collect::<Vec<_>>());
                }
            }
            let mut counts: BTreeMap<Status, i64> = BTreeMap::new();
            all.values().filter_map(|states| states.1).for_each(|status| *counts.entry(status).or_default() += 1);
            let counted = list.status_counts(&db.read_pool).await.expect("counts");
            assert_eq!(counted.into_iter().collect::<BTreeMap<_, _>>(), counts, "{what}");
            let Some((state, status, ..)) = all.values().next().cloned() else { continue };
            let by_status = EntityFilter { status: Some(status.into_iter().collect()), ..list.filter.clone() };
            let by_state = EntityFilter { state: Some(state.iter().cloned().collect()), ..list.filter.clone() };
            for (filter, fits) in [
                (
                    by_status,
                    Box::new(|states: &StateAsOf| states.1.is_some() && states.1 == status)
                        as Box<dyn Fn(&StateAsOf) -> bool>,
                ),
                (by_state, Box::new(|states: &StateAsOf| states.0.is_some() && states.0 == state)),
            ] {
                let list = AsOfList { filter, ..list.clone() };
                let mut fitting = all.clone();
                fitting.retain(|_, states| fits(states));
                assert_eq!(list.count(&db.read_pool).await.expect("a count"), fitting.len() as i64, "{what}");
                assert_eq!(whole_list(&list, db).await, fitting, "{what}");
            }
        }
    }
}

async fn page(list: &AsOfList, db: &Database, direction: SortDirection, page: &PageRequest<i64>) -> Slice<EntityAsOf> {
    list.page(&db.read_pool, EntityProjection::default(), direction, page).await.expect("a page")
}

async fn whole_list(list: &AsOfList, db: &Database) -> BTreeMap<i64, StateAsOf> {
    let all = PageRequest { after: None, before: None, limit: 100, paging: PagingDirection::Forward };
    let slice = page(list, db, SortDirection::Desc, &all).await;
    assert!(slice.rows.is_sorted_by(|one, other| one.current.row_id > other.current.row_id) && !slice.has_more);
    let states = |row: EntityAsOf| {
        let was = &row.snapshot;
        assert_eq!(was.entity, row.current.row_id);
        (was.entity, (was.state.clone(), was.status, was.cycle, was.position))
    };
    slice.rows.into_iter().map(states).collect()
}

/// The row ids in ascending order, read in pages of two.
async fn by_pages(list: &AsOfList, db: &Database, direction: SortDirection, from: PagingDirection) -> Vec<i64> {
    let mut next = PageRequest { after: None, before: None, limit: 2, paging: from };
    let mut numbers = Vec::new();
    loop {
        let mut slice = page(list, db, direction, &next).await;
        if from == PagingDirection::Backward {
            slice.rows.reverse();
        }
        numbers.extend(slice.rows.iter().map(|row| row.current.row_id));
        match from {
            PagingDirection::Forward => next.after = numbers.last().copied(),
            PagingDirection::Backward => next.before = numbers.last().copied(),
        }
        if !slice.has_more {
            break;
        }
    }
    if (direction == SortDirection::Asc) != (from == PagingDirection::Forward) {
        numbers.reverse();
    }
    numbers
}

pub fn to_datetime(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at).expect("a moment")
}

/// The steps of an entity in the order of the fold, and the result of each.
type FoldTrail = (&'static Machine, Vec<Step>, Vec<(StepOutcome, FoldState)>);

fn folded<'a>(thing: &thing::Model, history: impl Iterator<Item = &'a change::Model>) -> Option<FoldTrail> {
    let subject = match thing.kind {
        Kind::Inspection => EntityType::Inspection,
        Kind::Session => EntityType::Session,
        Kind::Job => EntityType::Job(JobKind::parse(&thing.subkind)?),
        Kind::Item => EntityType::Item(ItemKind::parse(&thing.subkind)?),
        Kind::Delivery => return None,
    };
    let machine = vendor::by_name(&thing.vendor)?.machine(subject)?;
    let steps = history.filter_map(|change| {
        let (time, cycle, rank) = (change.occurred_at, change.order_cycle?, change.order_rank);
        let to = machine.state(change.target_state.as_ref()?).expect("a state of the machine").name;
        let key = OrderKey { time, cycle, rank, position: change.position };
        Some(Step { target_state: to, at_least: change.at_least, key, received_at: to_datetime(change.received_at) })
    });
    let mut steps: Vec<Step> = steps.collect();
    let (_, trail) = FoldState::fold(machine, &mut steps);
    Some((machine, steps, trail))
}

fn happened_by<'a>(
    at: i64,
    thing: &thing::Model,
    history: impl Iterator<Item = &'a change::Model>,
) -> Option<StateAsOf> {
    let (machine, steps, trail) = folded(thing, history)?;
    // A step happened no later than any that follows it.
    let by_then =
        (0..steps.len()).rfind(|place| steps[*place..].iter().any(|step| step.occurred_or_received_at() <= at))?;
    let tip = &trail[by_then].1;
    let status = tip.state.as_deref().and_then(|state| machine.state(state)?.status);
    Some((tip.state.clone(), status, tip.cycle, steps[by_then].key.position))
}

/// Deliveries of one or two sources of each vendor, in any order: source, vendor, body, and the error of the receiving
/// clock, in half minutes.
fn traffic() -> impl Strategy<Value = Vec<(String, &'static str, Value, i64)>> {
    (scenario_per_vendor(), any::<bool>()).prop_flat_map(|(scenarios, twice)| {
        let sources = if twice { &["", "-2"][..] } else { &[""][..] };
        let all: Vec<_> = scenarios
            .into_iter()
            .flat_map(|(vendor, bodies)| bodies.into_iter().map(move |body| (vendor, body)))
            .flat_map(|(vendor, body)| sources.iter().map(move |end| (format!("{vendor}{end}"), vendor, body.clone())))
            .collect();
        let off = proptest::collection::vec(-6..6i64, all.len());
        (Just(all).prop_shuffle(), off).prop_map(|(all, off)| {
            all.into_iter().zip(off).map(|((source, vendor, body), off)| (source, vendor, body, off)).collect()
        })
    })
}

async fn opened(database: &TestDatabase) -> Database {
    Database::open(&database.address, OpenMode::Migrate).await.expect("opens")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_of_lists_agree_with_the_history(
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
                // A new writer each time, as after a restart.
                let written = write(&mut Writer::open(&db).expect("a writer"), &all);
                for ((row, (.., off)), receipt) in group.iter().enumerate().zip(written.receipts) {
                    if !receipt.duplicate {
                        newest = newest.max(received(row, *off).timestamp_micros());
                        stamps.push(newest);
                    }
                }
            }
            let deliveries = delivery::Entity::find().order_by_asc(delivery::Column::RowId).all(&db.read_pool).await;
            let deliveries = deliveries.expect("deliveries");
            assert_eq!(deliveries.iter().map(|delivery| delivery.received_at).collect::<Vec<_>>(), stamps);
            let recorded = RecordedHistory::read(&db).await;
            let stamp = |change: &change::Model| stamps[usize::try_from(change.delivery_row_id.expect("a delivery")).expect("a number") - 1];
            assert!(recorded.history.iter().all(|change| change.received_at == stamp(change)));
            let moments = recorded.boundary_times();
            for index in asked {
                for clock in [TimeAxis::Received, TimeAxis::Occurred] {
                    let at = *index.get(&moments);
                    recorded.assert_as_of(&db, at, clock).await;
                    recorded.assert_as_of_lists(&db, at, clock).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn changes_between_two_steps_do_not_hide_the_first() {
    let database = TestDatabase::new().await;
    let db = opened(&database).await;
    let begin: DateTime<Utc> = at(0).parse().expect("a moment");
    let status = |status: &str, minute: usize| {
        serde_json::json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": "K-1",
            "timestamp": at(minute) })
    };
    // States that no machine knows change no state, and add a row each.
    let mut bodies = vec![status("STARTED", 0)];
    bodies.extend((1..300).map(|minute| status(&format!("WORD-{minute}"), minute)));
    bodies.push(status("PROCESS", 300));
    bodies.extend((301..600).map(|minute| status(&format!("WORD-{minute}"), minute)));
    let all = bodies.iter().enumerate().map(|(minute, body)| {
        incoming_at("pave", "pave", body, begin + TimeDelta::minutes(i64::try_from(minute).unwrap_or_default()))
    });
    write(&mut Writer::open(&db).expect("a writer"), &all.collect::<Vec<_>>());
    let recorded = RecordedHistory::read(&db).await;
    assert!(recorded.history.len() >= 600 && recorded.entities.iter().all(|thing| !thing.steps_materialized));
    for minute in [0, 1, 299, 300, 301, 599] {
        let minute = (begin + TimeDelta::minutes(minute)).timestamp_micros();
        for at in [minute - 1, minute] {
            recorded.assert_as_of(&db, at, TimeAxis::Received).await;
            recorded.assert_as_of(&db, at, TimeAxis::Occurred).await;
        }
    }
}
