//! Record360: inspections ("transactions") of things that are handed out and returned, and tasks to inspect. A delivery
//! contains the whole transaction or task, under a key that names which. Not signed: Record360's support configures static
//! headers.
//!
//! Pages: <https://docs.record360.com/docs/webhooks> and <https://app.record360.com/api-docs/1.0/transactions.html>.

mod items;

use super::fields::{JsonFields, LayeredFields};
use super::{DeliveryBody, Unreadable, Vendor, canonical_names, read_reference};
use crate::event::{Asset, Event, Location, ParsedDelivery, Summary, Task, Vehicle, VendorTime};
use crate::machine::Status::{Capturing, Completed, InProgress, Queued, Running, Succeeded};
use crate::machine::TransitionGroup::{Chain, Each};
use crate::machine::{EntityType, JobKind, Machine, START, State, Transition, state, terminal, transitions};
use items::{coordinates, items};

pub const VENDOR: Vendor = Vendor {
    name: "record360",
    title: "Record360",
    machines: MACHINES,
    reference_paths: REFERENCE_PATHS,
    signature: None,
    parse,
};

/// Of a transaction (in v3 an inspection), and of a task.
const REFERENCE_PATHS: &[&str] = &[
    "asset.external_id",
    "asset.reference_number",
    "unit.reference_number",
    "unit.external_id",
    "external_id",
    "reference_number",
    "unit.vin",
];

const TASK: EntityType = EntityType::Job(JobKind::Task);

const MACHINES: &[Machine] = &[
    Machine {
        entity_type: EntityType::Inspection,
        states: &[
            state("draft", InProgress, 10, "The inspection was saved before it was finished."),
            terminal("active", Completed, 90, "The inspection was performed and uploaded."),
            terminal("archived", Completed, 95, "The inspection was put into the archive."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: EntityType::Session,
        states: &[
            state("draft", Capturing, 10, "The inspection was saved before it was finished."),
            terminal("active", Completed, 90, "The inspection was performed and uploaded."),
            terminal("archived", Completed, 95, "The inspection was put into the archive."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        entity_type: TASK,
        states: TASK_STATES,
        // The only event of a task is its completion.
        transitions: transitions![
            Each(&[START], &["idle", "completed"]),
            Each(&["idle"], &["in_progress", "completed"]),
            Each(&["in_progress"], &["completed"]),
        ],
    },
];

// The pages show `idle` alone and name the completion; `in_progress` is a guess.
const TASK_STATES: &[State] = &[
    state("idle", Queued, 10, "The task was given to somebody."),
    state("in_progress", Running, 20, "Somebody works on the task."),
    terminal("completed", Succeeded, 90, "The task is done."),
];

const TRANSITIONS: &[Transition] =
    transitions![Each(&[START], &["draft", "active"]), Chain(&["draft", "active", "archived"])];

/// The events that say more than that an object is as it is sent, in whatever spelling.
const EVENTS: [&str; 2] = ["create", "completed"];

/// What an object holds that a delivery is about, or that it has no id.
type ParsedObject = Option<(VendorTime, Vec<Event>)>;

fn parse(delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
    let body = JsonFields::parse_body(delivery.body)?;
    // Any string is an event's name, but not a number or a boolean.
    let word = body.peek("event").filter(|event| event.get().starts_with('"')).and_then(|_| body.text("event"));
    let Some(event) = word else {
        return Ok(ParsedDelivery::unrecognized(String::new(), "it names no event"));
    };
    let inspection = body.object("transaction").or_else(|| body.object("inspection"));
    let name = canonical_names::canonical_name(&event, EVENTS).unwrap_or_default();
    let inspection = inspection.map(|inspection| parse_inspection(&body, &inspection, name));
    let read = inspection.or_else(|| body.object("task").map(|task| parse_task(&body, &task, name)));
    Ok(match read {
        Some(Some((occurred_at, events))) => ParsedDelivery { event, occurred_at, events, ..ParsedDelivery::default() },
        Some(None) => ParsedDelivery::unrecognized(event, "what it holds has no id"),
        None => ParsedDelivery::unrecognized(event, "it holds neither a transaction, nor an inspection, nor a task"),
    })
}

fn parse_inspection(body: &JsonFields<'_>, transaction: &JsonFields<'_>, event: &str) -> ParsedObject {
    let id = transaction.numeric_id("id")?;
    // Only creations are documented. Any other event is assumed to report the same object at a later time.
    let at = match event {
        "create" => transaction.vendor_time("created_at").or_else(|| transaction.vendor_time("updated_at")),
        _ => transaction.vendor_time("updated_at").or_else(|| transaction.vendor_time("created_at")),
    };
    let draft = transaction.boolean("draft");
    // Null if only media were added.
    let check_in = transaction.boolean("check_in");
    let archive_status = transaction.text("archive_status");
    let state = transaction_state(event, draft, archive_status.as_deref());
    let items = items(transaction, &id, &at);
    let task = transaction.numeric_id("task_id");

    let inspection = Event::new(EntityType::Inspection, &id).occurred_at(&at).state_if_known(state);
    let inspection = with_asset(inspection, transaction).group(transaction.numeric_id("group_id")).fact(Summary {
        draft,
        direction: check_in.map(|check_in| if check_in { "CHECK_IN" } else { "CHECK_OUT" }.to_owned()),
        damaged: transaction.boolean("damage"),
        damage_cost: transaction.number("damage_cost"),
        view_url: transaction.text("view_url").or_else(|| transaction.text("dashboard_url")),
        report_url: transaction.text("pdf_share_url"),
        archive_status,
        work_order_id: transaction.numeric_id("work_order_id"),
        ..Summary::default()
    });
    let inspection =
        with_location(inspection, transaction).details(transaction.unread_details()).details(body.unread_details());
    let session = Event::new(EntityType::Session, &id).inspection(&id).occurred_at(&at).state_if_known(state);
    // Only this field links transaction and task.
    let task = task.map(|task| Event::new(TASK, task).inspection(&id).at_least("idle").occurred_at(&at));
    let mut events = vec![inspection, session];
    events.extend(task);
    events.extend(items);
    Some((at, events))
}

// States are the values of `archive_status`; drafts are marked by a field of their own.
fn transaction_state(event: &str, draft: Option<bool>, archive_status: Option<&str>) -> Option<&'static str> {
    match (draft, archive_status) {
        (Some(true), _) => Some("draft"),
        (_, Some("archived")) => Some("archived"),
        (_, Some("active")) | (Some(false), _) => Some("active"),
        _ => (event == "create").then_some("active"),
    }
}

fn parse_task(body: &JsonFields<'_>, task: &JsonFields<'_>, event: &str) -> ParsedObject {
    let id = task.numeric_id("id")?;
    let at = task.vendor_time("updated_at").or_else(|| task.vendor_time("created_at"));
    let words: Vec<_> = TASK_STATES.iter().map(|state| (state.name, state.name)).collect();
    let completed = event == "completed";
    // A status that contradicts the event, or is not known, stays among the details.
    let status = task.peek_enum("status", &words);
    let state = if completed { Some("completed") } else { status };
    if state.is_some() && state == status {
        task.mark_read("status");
    }
    let person = |name: &str| {
        let person = task.object(name)?;
        person.text("name").or_else(|| person.text("email"))
    };
    let fact = Task {
        name: task.text("name"),
        due_by: task.time("due_by"),
        high_priority: task.boolean("high_priority"),
        assignee: person("assignee"),
        requester: person("requester"),
    };
    let event = Event::new(TASK, id).occurred_at(&at).state_if_known(state).fact(fact);
    let event = event.orphan_reason("a transaction names its task, a task does not name its transaction");
    let event =
        with_location(with_asset(event, task), task).details(task.unread_details()).details(body.unread_details());
    Some((at, vec![event]))
}

// The inspected asset (in v3 a unit). The customer's number of the asset is also the reference of the inspection or task.
fn with_asset(event: Event, of: &JsonFields<'_>) -> Event {
    let reference = read_reference(&[of], REFERENCE_PATHS);
    let asset = LayeredFields::new([of.object("asset"), of.object("unit")].into_iter().flatten());
    let external_id = asset.id("external_id").or_else(|| asset.id("reference_number"));
    let event = event.reference(reference).fact(Asset { asset_id: asset.numeric_id("id"), external_id });
    match asset.id("vin") {
        Some(vin) => event.fact(Vehicle { vin: Some(vin), ..Vehicle::default() }),
        None => event,
    }
}

fn with_location(event: Event, of: &JsonFields<'_>) -> Event {
    let location = of.object("location").unwrap_or_default();
    let (latitude, longitude) = coordinates(of);
    let (location_id, name) = (location.numeric_id("id"), location.text("name"));
    event.fact(Location { location_id, name, latitude, longitude, ..Location::default() })
}

#[cfg(test)]
mod tests;
