//! Aggregates are what the plainest way of computing them says: take all rows, and count by hand. The numbers of both
//! databases are compared with it, so they are the same.

use crate::as_of::{RecordedHistory, to_datetime};
use crate::database::{TestDatabase, write};
use crate::generators::{at, incoming_at, scenario_per_vendor};
use async_graphql::Request;
use chrono::{DateTime, Datelike, Days, FixedOffset, SecondsFormat, TimeDelta, Timelike, Utc};
use entity::{Kind, Status, change, entity as thing};
use inspection_hub::access::Principal;
use inspection_hub::auth::KeyRing;
use inspection_hub::feed::Feed;
use inspection_hub::graphql::{ApiContext, ApiSchema};
use inspection_hub::ingest::{IngestQueue, Writer};
use inspection_hub::store::read::head;
use inspection_hub::store::{ApiKeyStore, Database, InspectionIndex, OpenMode};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When the questions are asked.
fn now() -> DateTime<Utc> {
    "2026-03-20T12:34:56Z".parse().expect("a moment")
}

const STAGES: [Status; 7] = [
    Status::Requested,
    Status::Started,
    Status::InProgress,
    Status::Submitted,
    Status::Processing,
    Status::ReadyForReview,
    Status::Completed,
];
const DROPPED: [Status; 3] = [Status::Canceled, Status::Expired, Status::Failed];

/// What inspections are filtered by: as a caller says it, and by hand.
type Filter = (&'static str, fn(&thing::Model) -> bool);
const FILTERS: [Filter; 8] = [
    ("{}", |_| true),
    ("{ vendor: [\"pave\", \"hover\"] }", |thing| ["pave", "hover"].contains(&thing.vendor.as_str())),
    ("{ source: [\"pave-1\", \"truepic-0\"] }", |thing| ["pave-1", "truepic-0"].contains(&thing.source.as_str())),
    ("{ status: [COMPLETED, IN_PROGRESS] }", |thing| {
        [Some(Status::Completed), Some(Status::InProgress)].contains(&thing.status)
    }),
    ("{ vendor: [] }", |_| false),
    // What the census does not know.
    ("{ state: [\"complete\", \"STARTED\", \"CONFIRM\"] }", |thing| {
        thing.state.as_ref().is_some_and(|state| ["complete", "STARTED", "CONFIRM"].contains(&state.as_str()))
    }),
    ("{ reference: \"order-1\" }", |thing| thing.reference.as_deref() == Some("order-1")),
    ("{ updatedAfter: \"2026-03-02T00:00:00Z\" }", |thing| {
        thing.updated_at > "2026-03-02T00:00:00Z".parse::<DateTime<Utc>>().expect("a moment").timestamp_micros()
    }),
];
/// A time zone: its name, and from which second since the Unix epoch on it has which distance from UTC.
type Zone = (&'static str, &'static [(i64, i32)]);
/// Those of places are Python's, of its module `zoneinfo`.
const ZONES: [Zone; 7] = [
    ("UTC", &[(0, 0)]),
    ("+05:30", &[(0, 19_800)]),
    ("-11:00", &[(0, -39_600)]),
    ("+14:00", &[(0, 50_400)]),
    ("America/New_York", &[(0, -18_000), (1_772_953_200, -14_400)]),
    ("asia/kathmandu", &[(0, 20_700)]),
    ("Australia/Lord_Howe", &[(0, 39_600), (1_775_314_800, 37_800)]),
];

/// Of whom a row is: vendor and source.
type GroupKey = fn(&thing::Model) -> (Option<&str>, Option<&str>);

fn all(_: &thing::Model) -> (Option<&str>, Option<&str>) {
    (None, None)
}

fn vendor(thing: &thing::Model) -> (Option<&str>, Option<&str>) {
    (Some(&thing.vendor), None)
}

/// A status, its cycle, and when it began.
type StatusInterval = (Option<Status>, i32, i64);
/// The present status, and all that ever were.
type StatusesSeen = (Option<Status>, BTreeSet<Status>);

fn source(thing: &thing::Model) -> (Option<&str>, Option<&str>) {
    (Some(&thing.vendor), Some(&thing.source))
}

struct AggregateQuery<'a> {
    recorded: &'a RecordedHistory,
    since: i64,
    until: i64,
    zone: Zone,
    filter: Filter,
}

impl AggregateQuery<'_> {
    fn arguments(&self) -> String {
        let spelled = |at| to_datetime(at).to_rfc3339_opts(SecondsFormat::Micros, true);
        format!("since: \"{}\", until: \"{}\", filter: {}", spelled(self.since), spelled(self.until), self.filter.0)
    }

    /// The inspections first seen in the period that fit.
    fn inspections(&self) -> impl Iterator<Item = &thing::Model> {
        let within = self.since..self.until;
        let things = self.recorded.entities.iter().filter(|thing| thing.kind == Kind::Inspection);
        things.filter(move |thing| within.contains(&thing.created_at) && (self.filter.1)(thing))
    }

    fn local(&self, at: i64) -> DateTime<FixedOffset> {
        let (_, offset) = self.zone.1.iter().rev().find(|(from, _)| from * 1_000_000 <= at).expect("a time of our era");
        to_datetime(at).with_timezone(&FixedOffset::east_opt(*offset).expect("a zone"))
    }

    fn counts(&self, by: &[&str]) -> Vec<Value> {
        let mut counts: BTreeMap<_, usize> = BTreeMap::new();
        for thing in self.inspections() {
            let day = self.local(thing.created_at).date_naive().to_string();
            let key = (
                by.contains(&"DAY").then_some(day),
                by.contains(&"VENDOR").then(|| thing.vendor.clone()),
                by.contains(&"SOURCE").then(|| thing.source.clone()),
                by.contains(&"STATUS").then_some(thing.status).flatten(),
            );
            *counts.entry(key).or_default() += 1;
        }
        if by.is_empty() && counts.is_empty() {
            counts.insert((None, None, None, None), 0);
        }
        let row = |((day, vendor, source, status), count): ((_, _, _, Option<Status>), _)| {
            json!({ "day": day, "vendor": vendor, "source": source,
                "status": status.map(Status::as_str), "count": count })
        };
        counts.into_iter().map(row).collect()
    }

    /// What each went through: status, cycle, and when it began.
    fn status_intervals(&self) -> Vec<(&thing::Model, Vec<StatusInterval>)> {
        let life = |thing| {
            let mut phases: Vec<StatusInterval> = Vec::new();
            for (status, cycle, at) in self.recorded.timeline(thing) {
                if phases.last().is_none_or(|(was, of, _)| (*was, *of) != (status, cycle)) {
                    phases.push((status, cycle, at));
                }
            }
            (thing, phases)
        };
        self.inspections().map(life).collect()
    }

    fn times(&self, whose: GroupKey) -> Vec<Value> {
        let mut lengths: BTreeMap<_, Vec<i64>> = BTreeMap::new();
        for (thing, phases) in self.status_intervals() {
            for pair in phases.windows(2) {
                if let Some(status) = pair[0].0 {
                    let (vendor, source) = whose(thing);
                    lengths.entry((vendor, source, status)).or_default().push(pair[1].2 - pair[0].2);
                }
            }
        }
        // The smallest that is not exceeded by so many of a hundred.
        let percentile = |lengths: &[i64], percent: usize| {
            let fits =
                |least: &&i64| lengths.iter().filter(|length| length <= least).count() * 100 >= percent * lengths.len();
            lengths.iter().filter(fits).min().map(|micros| *micros as f64 / 1e6)
        };
        let row = |((vendor, source, status), lengths): ((_, _, Status), Vec<i64>)| {
            json!({ "vendor": vendor, "source": source, "status": status.as_str(), "count": lengths.len(),
                "medianSeconds": percentile(&lengths, 50), "p95Seconds": percentile(&lengths, 95) })
        };
        lengths.into_iter().map(row).collect()
    }

    fn funnels(&self, whose: GroupKey, empty: bool) -> Vec<Value> {
        let mut groups: BTreeMap<_, Vec<(Option<Status>, BTreeSet<Status>)>> = BTreeMap::new();
        if empty {
            groups.insert((None, None), Vec::new());
        }
        for (thing, phases) in self.status_intervals() {
            let been = phases.iter().filter_map(|phase| phase.0).chain(thing.status).collect();
            groups.entry(whose(thing)).or_default().push((thing.status, been));
        }
        let funnel = |((vendor, source), group): ((_, _), Vec<StatusesSeen>)| {
            let has_reached = |been: &BTreeSet<Status>, stage: usize| {
                stage == 0 || STAGES[stage.min(STAGES.len())..].iter().any(|status| been.contains(status))
            };
            let stage = |place: usize| {
                let count = |fits: &dyn Fn(Option<Status>) -> bool| {
                    let there =
                        |(_, been): &&(_, BTreeSet<Status>)| has_reached(been, place) && !has_reached(been, place + 1);
                    let stays = place + 1 < STAGES.len();
                    group.iter().filter(there).filter(|(status, _)| stays && fits(*status)).count()
                };
                json!({ "status": STAGES[place].as_str(),
                    "reached": group.iter().filter(|(_, been)| has_reached(been, place)).count(),
                    "movedOn": group.iter().filter(|(_, been)| has_reached(been, place + 1)).count(),
                    "open": count(&|status| status.is_none_or(|status| !DROPPED.contains(&status))),
                    "droppedOut": count(&|status| status.is_some_and(|status| DROPPED.contains(&status))),
                    "canceled": count(&|status| status == Some(Status::Canceled)),
                    "expired": count(&|status| status == Some(Status::Expired)),
                    "failed": count(&|status| status == Some(Status::Failed)) })
            };
            let completed = |been: &BTreeSet<Status>| been.contains(&Status::Completed);
            let dropped = |(status, been): &&(Option<Status>, _)| {
                status.is_some_and(|status| DROPPED.contains(&status)) && !completed(been)
            };
            json!({ "vendor": vendor, "source": source, "inspections": group.len(),
                "completed": group.iter().filter(|(_, been)| completed(been)).count(),
                "droppedOut": group.iter().filter(dropped).count(),
                "stages": (0..STAGES.len()).map(stage).collect::<Vec<_>>() })
        };
        groups.into_iter().map(funnel).collect()
    }

    /// By age alone: the period says nothing.
    fn ages(&self, cuts: &[(&str, i64)]) -> Vec<Value> {
        let bucket = |place: usize| {
            let older = place.checked_sub(1).map(|place| cuts[place]);
            let younger = cuts.get(place).copied();
            let mut statuses: BTreeMap<Status, usize> = BTreeMap::new();
            let mut count = 0;
            for thing in
                self.recorded.entities.iter().filter(|thing| thing.kind == Kind::Inspection && (self.filter.1)(thing))
            {
                let ended = thing.status.is_some_and(|status| status == Status::Completed || DROPPED.contains(&status));
                let age = now().timestamp_micros() - thing.updated_at;
                let fits = older.is_none_or(|(_, least)| age >= least * 1_000_000)
                    && younger.is_none_or(|(_, less)| age < less * 1_000_000);
                if !ended && fits {
                    count += 1;
                    thing.status.into_iter().for_each(|status| *statuses.entry(status).or_default() += 1);
                }
            }
            let statuses =
                statuses.into_iter().map(|(status, count)| json!({ "status": status.as_str(), "count": count }));
            json!({ "minAge": older.map(|(text, _)| text), "maxAge": younger.map(|(text, _)| text),
                "count": count, "statuses": statuses.collect::<Vec<_>>() })
        };
        (0..=cuts.len()).map(bucket).collect()
    }

    fn hours(&self, fits: impl Fn(&change::Model) -> bool) -> Vec<Value> {
        let mut week: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        for change in &self.recorded.history {
            if (self.since..self.until).contains(&change.received_at) && fits(change) {
                let local = self.local(change.occurred_at.unwrap_or(change.received_at));
                *week.entry((local.weekday().num_days_from_monday(), local.hour())).or_default() += 1;
            }
        }
        let mut week: Vec<_> = week.into_iter().collect();
        week.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
        let row = |((day, hour), count): ((u32, u32), usize)| json!({ "weekday": days[day as usize], "hour": hour, "count": count });
        week.into_iter().map(row).collect()
    }

    /// Asks all of it at once.
    async fn assert_aggregates(&self, graph: &ApiSchema) {
        let arguments = self.arguments();
        let zone = format!("{arguments}, timeZone: \"{}\"", self.zone.0);
        let without = arguments.split(", filter").next().unwrap_or_default();
        let count = "{ day vendor source status count }";
        let time = "{ vendor source status count medianSeconds p95Seconds }";
        let funnel = "{ vendor source inspections completed droppedOut
            stages { status reached movedOn open droppedOut canceled expired failed } }";
        let query = format!(
            "{{ total: inspectionCounts({zone}) {count}
                days: inspectionCounts(groupBy: [DAY], {zone}) {count}
                all: inspectionCounts(groupBy: [STATUS, SOURCE, DAY, VENDOR], {zone}) {count}
                statuses: inspectionCounts(groupBy: [VENDOR, STATUS], {zone}) {count}
                times: timeInStatus({arguments}) {time}
                timesOfSources: timeInStatus(groupBy: SOURCE, {arguments}) {time}
                timesOfAll: timeInStatus(groupBy: NONE, {arguments}) {time}
                funnel({arguments}) {funnel}
                funnels: funnel(groupBy: SOURCE, {arguments}) {funnel}
                all_: funnel(groupBy: NONE, {arguments}) {funnel}
                stalled: stalledInspections(ages: [\"1h\", \"P17D\", \"18d\", \"19d\"], filter: {filter}) {{
                    minAge maxAge count statuses {{ status count }} }}
                hours: busiestHours(first: 168, {without}, timeZone: \"{zone_name}\") {{ weekday hour count }}
                some: busiestHours(first: 168, {without}, timeZone: \"{zone_name}\",
                    filter: {{ kind: [ITEM], vendor: [\"pave\"] }}) {{ weekday hour count }}
                statusCounts(filter: {filter}) {{ status count }}
                inspections(first: 1, filter: {filter}) {{ totalCount }} }}",
            filter = self.filter.0,
            zone_name = self.zone.0,
        );
        let answer = graph.execute(Request::new(&query)).await;
        assert_eq!(answer.errors, [], "{query}");
        let data = answer.data.into_json().expect("JSON");
        let day = 86_400;
        let cuts = [("1h", 3_600), ("P17D", 17 * day), ("18d", 18 * day), ("19d", 19 * day)];
        let whole: Vec<_> = self
            .recorded
            .entities
            .iter()
            .filter(|thing| thing.kind == Kind::Inspection && (self.filter.1)(thing))
            .collect();
        let in_status = |status: &Status| {
            json!({ "status": status.as_str(),
            "count": whole.iter().filter(|thing| thing.status == Some(*status)).count() })
        };
        for (name, expected) in [
            ("total", self.counts(&[])),
            ("days", self.counts(&["DAY"])),
            ("all", self.counts(&["DAY", "VENDOR", "SOURCE", "STATUS"])),
            ("statuses", self.counts(&["VENDOR", "STATUS"])),
            ("times", self.times(vendor)),
            ("timesOfSources", self.times(source)),
            ("timesOfAll", self.times(all)),
            ("funnel", self.funnels(vendor, false)),
            ("funnels", self.funnels(source, false)),
            ("all_", self.funnels(all, true)),
            ("stalled", self.ages(&cuts)),
            ("hours", self.hours(|_| true)),
            ("some", self.hours(|change| change.kind == Kind::Item && change.vendor.as_deref() == Some("pave"))),
            ("statusCounts", STAGES.iter().chain(&DROPPED).map(in_status).collect()),
        ] {
            assert_eq!(data[name], Value::from(expected), "{name} of {query}");
        }
        assert_eq!(data["inspections"]["totalCount"], whole.len(), "{query}");
    }
}

/// Deliveries of some accounts of each vendor, in any order: source, vendor and body.
fn traffic() -> impl Strategy<Value = Vec<(String, &'static str, Value)>> {
    proptest::collection::vec(scenario_per_vendor(), 1..4).prop_flat_map(|accounts| {
        let mut all = Vec::new();
        for (number, scenarios) in accounts.into_iter().enumerate() {
            for (vendor, bodies) in scenarios {
                all.extend(bodies.into_iter().map(|body| (format!("{vendor}-{number}"), vendor, body)));
            }
        }
        Just(all).prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn aggregates_are_what_the_rows_say(
        traffic in traffic(),
        batch in 1..40usize,
        minutes in 1..90i64,
        asked in proptest::collection::vec((any::<Index>(), any::<Index>(), select(&ZONES[..]), select(&FILTERS[..])), 3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let database = TestDatabase::new().await;
            let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
            let begin: DateTime<Utc> = at(0).parse().expect("a moment");
            let mut writer = Writer::open(&db).expect("a writer");
            let feed = Feed::new(db.read_pool.clone(), &head(&db.read_pool).await.expect("a head"));
            let keys = Arc::new(KeyRing::unread(ApiKeyStore::new(db.clone()), now));
            // One that has been counting all the time, and one that begins at the end with what the first has saved.
            let graph = |inspection_index| {
                ApiSchema::new(ApiContext { readers: db.read_pool.clone(), principal: Principal::unlimited(), inspection_index, feed: feed.clone(), rejections: Arc::default(), sources: [].into(), retention: None, keys: keys.clone(), ingest: IngestQueue::closed(), clock: now })
            };
            let index = Arc::<InspectionIndex>::default();
            let counting = graph(index.clone());
            for (place, group) in traffic.chunks(batch).enumerate() {
                let received = |row: usize| begin + TimeDelta::minutes(minutes) * i32::try_from(place * batch + row).expect("few");
                let all: Vec<_> = group.iter().enumerate().map(|(row, (source, vendor, body))| {
                    incoming_at(source, vendor, body, received(row))
                }).collect();
                write(&mut writer, &all);
                index.refresh(&db.read_pool).await.expect("refreshed");
                if place % 3 == 1 {
                    index.save(&db).await.expect("saved");
                }
            }
            let told = RecordedHistory::read(&db).await;
            let moments = told.boundary_times();
            let whole = (begin - Days::new(1), now());
            let whole = AggregateQuery { recorded: &told, since: whole.0.timestamp_micros(), until: whole.1.timestamp_micros(),
                zone: ZONES[0], filter: FILTERS[0] };
            whole.assert_aggregates(&counting).await;
            for (one, other, zone, filter) in asked {
                let (one, other) = (*one.get(&moments), *other.get(&moments));
                let asked = AggregateQuery { recorded: &told, since: one.min(other), until: one.max(other) + 1, zone, filter };
                asked.assert_aggregates(&counting).await;
                asked.assert_aggregates(&graph(Arc::default())).await;
            }
        });
    }
}
