//! Record360: inspections ("transactions") of things that are handed out and come back, and tasks to inspect. A
//! delivery holds the whole transaction or task; the key it stands under tells which. Not signed: Record360's support
//! sets up static headers.
//!
//! Pages: <https://docs.record360.com/docs/webhooks> and <https://app.record360.com/api-docs/1.0/transactions.html>.

mod items;

use super::fields::Fields;
use super::{Delivery, Unreadable, Vendor};
use crate::event::{Asset, Event, Location, Nothing, Reading, Reference, Summary, Task};
use crate::machine::{JobKind, Machine, START, State, Status, Subject, Transition, state, step, terminal};
use chrono::{DateTime, Utc};
use items::{coordinates, items};
use serde_json::value::RawValue;

pub const VENDOR: Vendor = Vendor { name: "record360", title: "Record360", machines: MACHINES, signature: None, read };

const TASK: Subject = Subject::Job(JobKind::Task);

const MACHINES: &[Machine] = &[
    Machine {
        subject: Subject::Inspection,
        states: &[
            state("draft", Status::InProgress, 10, "The inspection was saved before it was finished."),
            terminal("active", Status::Completed, 90, "The inspection was performed and uploaded."),
            terminal("archived", Status::Completed, 95, "The inspection was put into the archive."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        subject: Subject::Session,
        states: &[
            state("draft", Status::Capturing, 10, "The inspection was saved before it was finished."),
            terminal("active", Status::Completed, 90, "The inspection was performed and uploaded."),
            terminal("archived", Status::Completed, 95, "The inspection was put into the archive."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        subject: TASK,
        states: TASK_STATES,
        // The only event of a task is its completion.
        transitions: &[
            step(START, "idle"),
            step(START, "completed"),
            step("idle", "in_progress"),
            step("idle", "completed"),
            step("in_progress", "completed"),
        ],
    },
];

// The pages show `idle` alone and name the completion; `in_progress` is a guess.
const TASK_STATES: &[State] = &[
    state("idle", Status::Queued, 10, "The task was given to somebody."),
    state("in_progress", Status::Running, 20, "Somebody works on the task."),
    terminal("completed", Status::Succeeded, 90, "The task is done."),
];

const TRANSITIONS: &[Transition] =
    &[step(START, "draft"), step(START, "active"), step("draft", "active"), step("active", "archived")];

type Details = Vec<(String, Box<RawValue>)>;

fn read(delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
    let body = Fields::of_body(delivery.body)?;
    // Any word may come, but a number or a boolean is none.
    let word = body.raw("event").filter(|event| event.get().starts_with('"')).and_then(|_| body.text("event"));
    let Some(event) = word else {
        return Ok(unknown(String::new(), "it names no event"));
    };
    let transaction = body.object("transaction").map(|transaction| read_transaction(&body, &transaction, &event));
    let read = transaction.or_else(|| body.object("task").map(|task| read_task(&body, &task, &event)));
    Ok(match read {
        Some(Some((at, events))) => Reading { event, occurred_at: at.into(), events, ..Reading::default() },
        Some(None) => unknown(event, "what it holds has no id"),
        None => unknown(event, "it holds neither a transaction nor a task"),
    })
}

fn unknown(event: String, why: &str) -> Reading {
    Reading { event, nothing: Some(Nothing::Unrecognized(why.to_owned())), ..Reading::default() }
}

type Read = Option<(Option<DateTime<Utc>>, Vec<Event>)>;

fn read_transaction(body: &Fields<'_>, transaction: &Fields<'_>, event: &str) -> Read {
    let id = transaction.id("id")?;
    let created_at = transaction.time("created_at");
    // Only creations are documented. Whatever else may come tells the same object at a later time.
    let at = if event == "create" { created_at } else { transaction.time("updated_at").or(created_at) };
    let draft = transaction.flag("draft");
    let archive_status = transaction.text("archive_status");
    let state = transaction_state(event, draft, archive_status.as_deref());
    let items = items(transaction, &id, at);
    let task = transaction.id("task_id");

    let inspection = in_state(Event::about(Subject::Inspection, &id).at(at), state);
    let inspection = with_asset(inspection, transaction, transaction.id("external_id"))
        .group(transaction.id("group_id"))
        .fact(Summary {
            draft,
            direction: transaction.flag("check_in").map(|check_in| direction(check_in).to_owned()),
            damaged: transaction.flag("damage"),
            damage_cost: transaction.number("damage_cost"),
            view_url: transaction.text("view_url"),
            archive_status,
            work_order_id: transaction.id("work_order_id"),
            ..Summary::default()
        });
    let inspection = with_location(inspection, transaction).details(transaction.rest()).details(body.rest());
    let session = in_state(Event::about(Subject::Session, &id).of(&id).at(at), state);
    // The only place where the two are linked.
    let task = task.map(|task| Event::about(TASK, task).of(&id).at_least("idle").at(at));
    let mut events = vec![inspection, session];
    events.extend(task);
    events.extend(items);
    Some((at, events))
}

// The vendor's words are those of `archive_status`; a draft is marked by a field of its own.
fn transaction_state(event: &str, draft: Option<bool>, archive_status: Option<&str>) -> Option<&'static str> {
    match (draft, archive_status) {
        (Some(true), _) => Some("draft"),
        (_, Some("archived")) => Some("archived"),
        (_, Some("active")) | (Some(false), _) => Some("active"),
        _ => (event == "create").then_some("active"),
    }
}

// `check_in` is null where media were only added.
fn direction(check_in: bool) -> &'static str {
    if check_in { "CHECK_IN" } else { "CHECK_OUT" }
}

fn read_task(body: &Fields<'_>, task: &Fields<'_>, event: &str) -> Read {
    let id = task.id("id")?;
    let at = task.time("updated_at");
    let word = task.text("status");
    let status = TASK_STATES.iter().map(|state| state.name).find(|name| word.as_deref() == Some(name));
    let state = if event == "completed" { Some("completed") } else { status };
    let person = |name: &str| {
        let person = task.object(name)?;
        person.text("name").or_else(|| person.text("email"))
    };
    let fact = Task {
        name: task.text("name"),
        due_by: task.time("due_by"),
        high_priority: task.flag("high_priority"),
        assignee: person("assignee"),
        requester: person("requester"),
    };
    let event = in_state(Event::about(TASK, id).at(at), state).fact(fact);
    let event = event.orphan("a transaction names its task, a task does not name its transaction");
    let event = with_location(with_asset(event, task, None), task).details(task.rest()).details(body.rest());
    let event = event.details(keep(task, "assignee")).details(keep(task, "requester"));
    Some((at, vec![if status.is_none() { event.details(keep(task, "status")) } else { event }]))
}

fn in_state(event: Event, state: Option<&'static str>) -> Event {
    match state {
        Some(state) => event.is(state),
        None => event,
    }
}

// The customer's number of the asset is also its key for the inspection or task.
fn with_asset(event: Event, of: &Fields<'_>, external_id: Option<String>) -> Event {
    let asset = of.object("asset").unwrap_or_default();
    let fact = Asset { asset_id: asset.id("id"), external_id: asset.id("external_id").or(external_id) };
    event
        .reference(fact.external_id.clone().map(|value| Reference::new(value, 0)))
        .fact(fact)
        .details(leftover(of, "asset", &asset))
}

fn with_location(event: Event, of: &Fields<'_>) -> Event {
    let location = of.object("location").unwrap_or_default();
    let (latitude, longitude) = coordinates(of);
    let (location_id, name) = (location.id("id"), location.text("name"));
    let fact = Location { location_id, name, latitude, longitude, ..Location::default() };
    let event = event.fact(fact).details(leftover(of, "location", &location));
    if latitude.is_none() { event.details(keep(of, "geo_coord")) } else { event }
}

// A field as it came, for what was read only in part.
fn keep(fields: &Fields<'_>, name: &str) -> Details {
    fields.raw(name).map(|raw| (name.to_owned(), raw.to_owned())).into_iter().collect()
}

// What was read only in part, if there is more of it.
fn leftover(of: &Fields<'_>, name: &str, part: &Fields<'_>) -> Details {
    if part.rest().is_empty() { Vec::new() } else { keep(of, name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fact, News};
    use crate::vendor::fields::moment;

    fn reading(body: &str) -> Reading {
        let delivery = Delivery { content_type: Some("application/json"), body: body.as_bytes() };
        read(&delivery).expect("a reading")
    }

    pub fn transaction(event: &str, fields: &str) -> Vec<Event> {
        let fields = format!(r#""id":"40849","created_at":"2024-01-16T10:00:13.716Z"{fields}"#);
        reading(&format!(r#"{{"event":"{event}","transaction":{{{fields}}}}}"#)).events
    }

    fn task(event: &str, fields: &str) -> Vec<Event> {
        let fields = format!(r#""id":"42","updated_at":"2024-01-20T11:20:06.412Z"{fields}"#);
        reading(&format!(r#"{{"event":"{event}","task":{{{fields}}}}}"#)).events
    }

    pub fn ids(events: &[Event]) -> Vec<(Subject, &str)> {
        events.iter().map(|event| (event.about.subject, event.about.external_id.as_str())).collect()
    }

    pub fn details(event: &Event) -> Vec<&str> {
        event.details.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn is(state: &str) -> News {
        News::State(state.to_owned())
    }

    #[test]
    fn a_transaction_is_an_inspection_and_its_session() {
        let events = transaction("create", r#","draft":false,"archive_status":"active""#);
        assert_eq!(ids(&events), [(Subject::Inspection, "40849"), (Subject::Session, "40849")]);
        for event in &events {
            assert_eq!(event.news, is("active"));
            assert_eq!(event.at.at().map(|at| at.timestamp_millis()), Some(1_705_399_213_716));
        }
        assert_eq!(events[1].inspection.as_deref(), Some("40849"));
    }

    #[test]
    fn a_transactions_state_is_that_of_the_object() {
        for (event, fields, expected) in [
            ("create", r#","draft":true,"archive_status":"active""#, is("draft")),
            ("create", r#","draft":false,"archive_status":"archived""#, is("archived")),
            ("create", r#","draft":0"#, is("active")),
            ("create", r#","archive_status":"new""#, is("active")),
            ("update", r#","archive_status":"archived""#, is("archived")),
            ("update", r#","archive_status":"new""#, News::Facts),
        ] {
            assert_eq!(transaction(event, fields)[0].news, expected, "{event} {fields}");
        }
        let updated = transaction("update", r#","updated_at":"2024-01-17T00:00:00.000Z""#);
        assert_eq!(updated[0].at.at().map(|at| at.timestamp()), Some(1_705_449_600));
        let created = transaction("create", r#","updated_at":"2024-01-17T00:00:00.000Z""#);
        assert_eq!(created[0].at.at().map(|at| at.timestamp()), Some(1_705_399_213));
    }

    #[test]
    fn the_inspection_has_the_facts() {
        let fields = r#","check_in":false,"draft":false,"damage":true,"damage_cost":1250.5,"geo_coord":[-122.4,37.7],
            "group_id":"17735","view_url":"https://x","work_order_id":33,"archive_status":"active",
            "asset":{"id":"63019","external_id":"V1"},"location":{"id":"7","name":"Yard","zone":"B"},"user":{"id":"5"}"#;
        let inspection = &transaction("create", fields)[0];
        assert_eq!(inspection.reference.as_ref().map(|r| r.value.as_str()), Some("V1"));
        assert_eq!(inspection.group.as_deref(), Some("17735"));
        let asset = Asset { asset_id: Some("63019".into()), external_id: Some("V1".into()) };
        let location = Location {
            location_id: Some("7".into()),
            name: Some("Yard".into()),
            latitude: Some(37.7),
            longitude: Some(-122.4),
            ..Location::default()
        };
        let summary = Summary {
            draft: Some(false),
            direction: Some("CHECK_OUT".into()),
            damaged: Some(true),
            damage_cost: Some(1250.5),
            view_url: Some("https://x".into()),
            archive_status: Some("active".into()),
            work_order_id: Some("33".into()),
            ..Summary::default()
        };
        assert_eq!(inspection.facts, [Fact::Asset(asset), Fact::Summary(summary), Fact::Location(location)]);
        assert_eq!(details(inspection), ["location", "user"]);
    }

    #[test]
    fn media_were_only_added_where_check_in_is_null() {
        for (check_in, expected) in [("true", Some("CHECK_IN")), ("false", Some("CHECK_OUT")), ("null", None)] {
            let events = transaction("create", &format!(r#","check_in":{check_in}"#));
            let summary = events[0].facts.iter().find_map(|fact| match fact {
                Fact::Summary(summary) => Some(summary.direction.as_deref()),
                _ => None,
            });
            assert_eq!(summary, Some(expected));
        }
    }

    #[test]
    fn odd_coordinates_stay_among_the_details() {
        for odd in ["[37.7]", "[200, 10]", "[10, 100]", r#"["x", 1, 2]"#, r#""1,2""#, "[null, 1]"] {
            let inspection = &transaction("create", &format!(r#","geo_coord":{odd}"#))[0];
            assert_eq!(details(inspection), ["geo_coord"], "{odd}");
        }
    }

    #[test]
    fn a_transaction_links_the_task_it_names() {
        let events = transaction("create", r#","task_id":42,"photos":[{"id":"1"}]"#);
        assert_eq!(ids(&events)[2], (TASK, "42"));
        assert_eq!(events[2].news, News::AtLeast("idle"));
        assert_eq!((events[2].inspection.as_deref(), events[2].orphan), (Some("40849"), None));
    }

    #[test]
    fn a_completed_task_is_completed_whatever_its_status_says() {
        let fields = r#","name":"Inspect","status":"idle","high_priority":false,"due_by":"2024-01-21T21:25:04.000Z",
            "asset":{"id":"1","external_id":"V1"},"assignee":{"id":"8","name":"A"},"requester":{"email":"b@c"}"#;
        let event = &task("completed", fields)[0];
        assert_eq!((event.about.subject, event.news.clone()), (TASK, is("completed")));
        assert_eq!(event.at.at().map(|at| at.timestamp_millis()), Some(1_705_749_606_412));
        assert!(event.orphan.is_some());
        assert_eq!(event.reference.as_ref().map(|r| r.value.as_str()), Some("V1"));
        let fact = Task {
            name: Some("Inspect".into()),
            due_by: moment("2024-01-21T21:25:04Z"),
            high_priority: Some(false),
            assignee: Some("A".into()),
            requester: Some("b@c".into()),
        };
        assert!(event.facts.contains(&Fact::Task(fact)), "{:?}", event.facts);
        assert_eq!(task("completed", r#","status":"done""#)[0].news, is("completed"));
    }

    #[test]
    fn other_news_of_a_task_says_its_status() {
        assert_eq!(task("updated", r#","status":"in_progress""#)[0].news, is("in_progress"));
        let new = &task("updated", r#","status":"new""#)[0];
        assert_eq!((&new.news, details(new)), (&News::Facts, vec!["status"]));
    }

    #[test]
    fn what_has_no_name_no_object_or_no_id_is_unrecognized() {
        for body in [
            r#"{"transaction":{"id":"1"}}"#,
            r#"{"event":true,"transaction":{"id":"1"}}"#,
            r#"{"event":"create"}"#,
            r#"{"event":"create","transaction":"1"}"#,
            r#"{"event":"create","transaction":{"id":{}}}"#,
            r#"{"event":"completed","task":{"id":null}}"#,
            r#"{"event":"create","inspection":{"id":"1"}}"#,
        ] {
            let reading = reading(body);
            assert!(matches!(reading.nothing, Some(Nothing::Unrecognized(_))), "{body}");
            assert!(reading.events.is_empty(), "{body}");
        }
    }

    #[test]
    fn every_state_can_be_reached() {
        for machine in MACHINES {
            for state in machine.states {
                assert!(machine.path(START, state.name).is_some(), "{:?} {}", machine.subject, state.name);
            }
        }
    }
}
