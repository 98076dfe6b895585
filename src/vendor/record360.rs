//! Record360: inspections ("transactions") of things that are handed out and come back, and tasks to inspect. A
//! delivery holds the whole transaction or task; the key it stands under tells which. Not signed: Record360's support
//! sets up static headers.
//!
//! Pages: <https://docs.record360.com/docs/webhooks> and <https://app.record360.com/api-docs/1.0/transactions.html>.

mod items;

use super::fields::{Fields, Places};
use super::{Delivery, Unreadable, Vendor, reference, spelling};
use crate::event::{Asset, Event, Location, Nothing, Reading, Summary, Task, Vehicle, VendorTime};
use crate::machine::{JobKind, Machine, START, State, Status, Subject, Transition, state, step, terminal};
use items::{coordinates, items};

pub const VENDOR: Vendor =
    Vendor { name: "record360", title: "Record360", machines: MACHINES, references: REFERENCES, signature: None, read };

/// Of a transaction, in the words of v3 an inspection, and of a task.
const REFERENCES: &[&str] = &[
    "asset.external_id",
    "asset.reference_number",
    "unit.reference_number",
    "unit.external_id",
    "external_id",
    "reference_number",
    "unit.vin",
];

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

/// The events that say more than that an object is as it is sent, in whatever spelling.
const EVENTS: [&str; 2] = ["create", "completed"];

/// What an object holds that a delivery is about, or that it has no id.
type Read = Option<(VendorTime, Vec<Event>)>;

fn read(delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
    let body = Fields::of_body(delivery.body)?;
    // Any word may come, but a number or a boolean is none.
    let word = body.peek("event").filter(|event| event.get().starts_with('"')).and_then(|_| body.text("event"));
    let Some(event) = word else {
        return Ok(unknown(String::new(), "it names no event"));
    };
    let inspection = body.object("transaction").or_else(|| body.object("inspection"));
    let name = spelling::declared(&event, EVENTS).unwrap_or_default();
    let inspection = inspection.map(|inspection| read_inspection(&body, &inspection, name));
    let read = inspection.or_else(|| body.object("task").map(|task| read_task(&body, &task, name)));
    Ok(match read {
        Some(Some((occurred_at, events))) => Reading { event, occurred_at, events, ..Reading::default() },
        Some(None) => unknown(event, "what it holds has no id"),
        None => unknown(event, "it holds neither a transaction, nor an inspection, nor a task"),
    })
}

fn unknown(event: String, why: &str) -> Reading {
    Reading { event, nothing: Some(Nothing::Unrecognized(why.to_owned())), ..Reading::default() }
}

fn read_inspection(body: &Fields<'_>, transaction: &Fields<'_>, event: &str) -> Read {
    let id = transaction.number_id("id")?;
    // Only creations are documented. Whatever else may come tells the same object at a later time.
    let at = match event {
        "create" => transaction.vendor_time("created_at").or_else(|| transaction.vendor_time("updated_at")),
        _ => transaction.vendor_time("updated_at").or_else(|| transaction.vendor_time("created_at")),
    };
    let draft = transaction.flag("draft");
    let archive_status = transaction.text("archive_status");
    let state = transaction_state(event, draft, archive_status.as_deref());
    let items = items(transaction, &id, &at);
    let task = transaction.number_id("task_id");

    let inspection = in_state(Event::about(Subject::Inspection, &id).at(&at), state);
    let inspection = with_asset(inspection, transaction).group(transaction.number_id("group_id")).fact(Summary {
        draft,
        direction: transaction.flag("check_in").map(|check_in| direction(check_in).to_owned()),
        damaged: transaction.flag("damage"),
        damage_cost: transaction.number("damage_cost"),
        view_url: transaction.text("view_url").or_else(|| transaction.text("dashboard_url")),
        report_url: transaction.text("pdf_share_url"),
        archive_status,
        work_order_id: transaction.number_id("work_order_id"),
        ..Summary::default()
    });
    let inspection = with_location(inspection, transaction).details(transaction.rest()).details(body.rest());
    let session = in_state(Event::about(Subject::Session, &id).of(&id).at(&at), state);
    // The only place where the two are linked.
    let task = task.map(|task| Event::about(TASK, task).of(&id).at_least("idle").at(&at));
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
    let id = task.number_id("id")?;
    let at = task.vendor_time("updated_at").or_else(|| task.vendor_time("created_at"));
    let words: Vec<_> = TASK_STATES.iter().map(|state| (state.name, state.name)).collect();
    let completed = event == "completed";
    // A status that says something else than the event, or nothing that is known, stays among the details.
    let status = task.peek_word("status", &words);
    let state = if completed { Some("completed") } else { status };
    if state.is_some() && state == status {
        task.skip("status");
    }
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
    let event = in_state(Event::about(TASK, id).at(&at), state).fact(fact);
    let event = event.orphan("a transaction names its task, a task does not name its transaction");
    let event = with_location(with_asset(event, task), task).details(task.rest()).details(body.rest());
    Some((at, vec![event]))
}

fn in_state(event: Event, state: Option<&'static str>) -> Event {
    match state {
        Some(state) => event.is(state),
        None => event,
    }
}

// What is inspected: an asset, or in the words of v3 a unit. The customer's number of it is also its key for the
// inspection or task.
fn with_asset(event: Event, of: &Fields<'_>) -> Event {
    let reference = reference(&[of], REFERENCES);
    let asset = Places::new([of.object("asset"), of.object("unit")].into_iter().flatten());
    let external_id = asset.id("external_id").or_else(|| asset.id("reference_number"));
    let event = event.reference(reference).fact(Asset { asset_id: asset.number_id("id"), external_id });
    match asset.id("vin") {
        Some(vin) => event.fact(Vehicle { vin: Some(vin), ..Vehicle::default() }),
        None => event,
    }
}

fn with_location(event: Event, of: &Fields<'_>) -> Event {
    let location = of.object("location").unwrap_or_default();
    let (latitude, longitude) = coordinates(of);
    let (location_id, name) = (location.number_id("id"), location.text("name"));
    event.fact(Location { location_id, name, latitude, longitude, ..Location::default() })
}

#[cfg(test)]
mod tests;
