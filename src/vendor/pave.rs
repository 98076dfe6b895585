//! PAVE: guided capture of vehicles. Its callbacks are flat and carry their time, except `SESSION:COMPLETE`, which is
//! the whole result of the session. Not signed: PAVE sends the static headers chosen with the callback.
//!
//! Pages: <https://docs.paveapi.com/integrations/developer-docs/callbacks> and `…/user-session-lifecycle`.

use super::fields::Fields;
use super::{Delivery, Unreadable, Vendor};
use crate::event::{
    Damage, Document, Event, Location, Message, Note, Nothing, Photo, Reading, Reference, Summary, Vehicle,
};
use crate::machine::{
    ItemKind, JobKind, Machine, START, State, Status, Subject, Transition, item_state, state, step, terminal,
};
use chrono::{DateTime, Utc};

pub const VENDOR: Vendor = Vendor { name: "pave", title: "PAVE", machines: MACHINES, signature: None, read };

const REPORT: Subject = Subject::Job(JobKind::ConditionReport);
const PHOTO: Subject = Subject::Item(ItemKind::Photo);

const MACHINES: &[Machine] = &[
    Machine {
        subject: Subject::Inspection,
        states: &[
            state("IDLE", Status::Requested, 10, "The session was created; the link has not been opened."),
            state("STARTED", Status::Started, 20, "The inspection was opened; no picture has been taken."),
            state("PROCESS", Status::InProgress, 30, "Pictures of the vehicle are being taken."),
            state("QC_PASSED", Status::Submitted, 40, "All pictures were taken and accepted by the image check."),
            state("CONFIRM", Status::Processing, 50, "The condition report is being generated."),
            terminal("COMPLETE", Status::Completed, 90, "The condition report is there; the inspection is complete."),
            terminal("EXPIRED", Status::Expired, 91, "Not all pictures were taken in time."),
            terminal("INVALID", Status::Failed, 92, "The VIN did not match, or the pictures could not be used."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        subject: Subject::Session,
        states: &[
            state("IDLE", Status::Requested, 10, "The session was created; the link has not been opened."),
            state("STARTED", Status::Started, 20, "The user opened the session and has taken no picture yet."),
            state("PROCESS", Status::Capturing, 30, "The user is taking the pictures."),
            state("QC_PASSED", Status::Captured, 40, "All pictures were taken and accepted by the image check."),
            state("CONFIRM", Status::Captured, 50, "The condition report is being generated."),
            terminal("COMPLETE", Status::Completed, 90, "The condition report is there; the session is complete."),
            terminal("EXPIRED", Status::Expired, 91, "Not all pictures were taken in time."),
            terminal("INVALID", Status::Failed, 92, "The VIN did not match, or the pictures could not be used."),
        ],
        transitions: TRANSITIONS,
    },
    Machine {
        subject: REPORT,
        states: &[
            state("CONFIRM", Status::Running, 50, "The condition report is being generated."),
            terminal("COMPLETE", Status::Succeeded, 90, "The condition report is there."),
        ],
        transitions: &[step(START, "CONFIRM"), step("CONFIRM", "COMPLETE")],
    },
    Machine {
        subject: PHOTO,
        states: PHOTO_STATES,
        transitions: &[
            step(START, "accepted"),
            step(START, "rejected"),
            step("rejected", "accepted"),
            step("accepted", "rejected"),
        ],
    },
];

const TRANSITIONS: &[Transition] = &[
    step(START, "IDLE"),
    step(START, "STARTED"),
    step("IDLE", "STARTED"),
    step("STARTED", "PROCESS"),
    step("PROCESS", "QC_PASSED"),
    step("QC_PASSED", "CONFIRM"),
    step("CONFIRM", "COMPLETE"),
    step("IDLE", "EXPIRED"),
    step("STARTED", "EXPIRED"),
    step("PROCESS", "EXPIRED"),
    step("STARTED", "INVALID"),
    step("PROCESS", "INVALID"),
    step("QC_PASSED", "INVALID"),
    step("CONFIRM", "INVALID"),
];

const PHOTO_STATES: &[State] = &[
    item_state("accepted", 10, "The image check accepted the picture."),
    item_state("rejected", 10, "The image check rejected the picture; it has to be taken again."),
];

fn read(delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
    let body = Fields::of_body(delivery.body)?;
    let nested = body.object("session");
    let session = nested.as_ref().unwrap_or(&body);
    let Some(event) = body.text("event").or_else(|| Some(session_complete(session)?.to_owned())) else {
        return Ok(unknown(String::new(), "it names no event"));
    };
    let Some(key) = session.id("session_key").or_else(|| body.id("session_key")) else {
        return Ok(unknown(event, "it names no session_key"));
    };
    let at = body.time("timestamp");
    let events = match event.as_str() {
        "SESSION:STATUS_CHANGE" => match body.text("status") {
            Some(status) => status_change(&body, &key, status, at),
            None => return Ok(unknown(event, "it names no status")),
        },
        "SESSION:STAGE_CHANGE" => match body.id("photo_code") {
            Some(code) => stage_change(&body, &key, code, at),
            None => return Ok(unknown(event, "it names no photo_code")),
        },
        "SESSION:SMS_PROCESS" => sms_process(&body, &key, at),
        "SESSION:NOTE_INSERT" => note_insert(&body, &key, at),
        "SESSION:COMPLETE" => {
            let at = at.or_else(|| session.time("updated_at"));
            let events = complete(&body, session, nested.is_some(), &key, at);
            return Ok(Reading { event, occurred_at: at.into(), events, ..Reading::default() });
        }
        _ => return Ok(unknown(event, "no such event is known")),
    };
    Ok(Reading { event, occurred_at: at.into(), events, ..Reading::default() })
}

// The result of a session without its envelope is recognized by its status.
fn session_complete(session: &Fields<'_>) -> Option<&'static str> {
    (session.has("session_key") && session.text("status").as_deref() == Some("COMPLETE")).then_some("SESSION:COMPLETE")
}

fn unknown(event: String, why: &str) -> Reading {
    Reading { event, nothing: Some(Nothing::Unrecognized(why.to_owned())), ..Reading::default() }
}

fn status_change(body: &Fields<'_>, key: &str, status: String, at: Option<DateTime<Utc>>) -> Vec<Event> {
    let mut events = vec![
        Event::about(Subject::Inspection, key).is(&status).at(at),
        Event::about(Subject::Session, key).of(key).is(&status).at(at).details(body.rest()),
    ];
    if status == "CONFIRM" {
        events.push(Event::about(REPORT, key).of(key).under(Subject::Session, key).is(status).at(at));
    }
    events
}

// The same photo code can be rejected and taken again: one item, whose history tells the attempts.
fn stage_change(body: &Fields<'_>, key: &str, code: String, at: Option<DateTime<Utc>>) -> Vec<Event> {
    let status = body.text("photo_status");
    let photo = Photo {
        url: body.text("photo_url"),
        label: body.text("photo_label"),
        code: Some(code.clone()),
        verdict: status.clone(),
        message: body.text("message"),
        taken_at: at,
        ..Photo::default()
    };
    let item = Event::about(PHOTO, format!("{key}/{code}")).of(key).under(Subject::Session, key).at(at).fact(photo);
    let item = match status {
        Some(status) => item.is(status),
        None => item,
    };
    vec![
        Event::about(Subject::Inspection, key).at_least("PROCESS").at(at),
        Event::about(Subject::Session, key).of(key).at_least("PROCESS").at(at),
        item.details(body.rest()),
    ]
}

fn sms_process(body: &Fields<'_>, key: &str, at: Option<DateTime<Utc>>) -> Vec<Event> {
    let status = body.text("status");
    let id = item_id(key, "sms", at, &[body.text("phone"), status.clone()]);
    let message = Message {
        channel: Some("TEXT".into()),
        direction: Some("OUTBOUND".into()),
        status: status.map(|status| if status == "success" { "SENT".into() } else { "FAILED".into() }),
        recipient: body.text("name"),
        phone: body.text("phone"),
        error: body.text("message"),
        sent_at: at,
        ..Message::default()
    };
    vec![
        Event::about(Subject::Item(ItemKind::Message), id)
            .of(key)
            .under(Subject::Session, key)
            .at(at)
            .fact(message)
            .details(body.rest()),
    ]
}

fn note_insert(body: &Fields<'_>, key: &str, at: Option<DateTime<Utc>>) -> Vec<Event> {
    let note =
        Note { title: body.text("title"), text: body.text("description"), author: body.text("user"), written_at: at };
    let id = item_id(key, "note", at, &[note.title.clone(), note.text.clone()]);
    vec![
        Event::about(Subject::Item(ItemKind::Note), id)
            .of(key)
            .under(Subject::Session, key)
            .at(at)
            .fact(note)
            .details(body.rest()),
    ]
}

// Messages and notes have no id of their own: their time and content are their identity.
fn item_id(key: &str, what: &str, at: Option<DateTime<Utc>>, parts: &[Option<String>]) -> String {
    let content = parts.iter().flatten().cloned().collect::<Vec<_>>().join("/");
    let at = at.map(|at| at.to_rfc3339()).unwrap_or_default();
    super::fields::identity(&format!("{key}/{what}"), &format!("{at}/{content}"))
}

// The results stand beside the session or inside it, and the vehicle often in both.
fn complete<'a>(
    body: &Fields<'a>,
    session: &Fields<'a>,
    nested: bool,
    key: &str,
    at: Option<DateTime<Utc>>,
) -> Vec<Event> {
    let of_either = |name: &str| session.object(name).or_else(|| body.object(name));
    let status = session.text("status").unwrap_or_else(|| "COMPLETE".into());
    let photos = match session.objects("photos") {
        photos if photos.is_empty() => body.objects("photos"),
        photos => photos,
    };
    let result = of_either("inspection").unwrap_or_default();
    let overview = result.object("damages_overview").unwrap_or_default();
    let damages = result.objects("detected_damages");
    let vehicles: Vec<_> = [session.object("vehicle"), body.object("vehicle")].into_iter().flatten().collect();
    let options = session.object("options").unwrap_or_default();
    let report_url = session.text("condition_report").or_else(|| body.text("condition_report"));
    let client = options.text("client_id");

    let mut inspection = Event::about(Subject::Inspection, key).is(&status).at(at);
    for vehicle in &vehicles {
        inspection = inspection.fact(read_vehicle(vehicle));
    }
    let vin = vehicles.iter().find_map(|vehicle| vehicle.text("vin"));
    if let Some(location) = of_either("location") {
        inspection = inspection.fact(read_location(&location));
    }
    inspection = inspection.reference(client.or(vin).map(|value| Reference::new(value, 0))).fact(Summary {
        started_at: session.time("inspect_started_at"),
        ended_at: session.time("inspect_ended_at"),
        capture_seconds: session.number("capture_duration"),
        damaged: Some(!damages.is_empty()),
        damage_count: overview.integer("totalDamages").or(i32::try_from(damages.len()).ok()),
        worst_grade: overview.number("maxGradePerItem"),
        total_grade: overview.number("maxTotalGrade"),
        report_url: report_url.clone(),
        landing_url: session.text("landing_page").or_else(|| body.text("landing_page")),
        ..Summary::default()
    });
    if nested {
        inspection = inspection.details(body.rest());
    }

    let mut events = vec![
        inspection.details(result.rest()),
        Event::about(Subject::Session, key).of(key).is(&status).at(at).details(session.rest()).details(options.rest()),
        Event::about(REPORT, key)
            .of(key)
            .under(Subject::Session, key)
            .is("COMPLETE")
            .at(at)
            .fact(Document { url: report_url, error: None }),
    ];
    events.extend(photos.iter().filter_map(|photo| complete_photo(photo, key, at)));
    events.extend(damages.iter().enumerate().map(|(number, damage)| complete_damage(damage, number, key, at)));
    events
}

fn complete_photo(photo: &Fields<'_>, key: &str, at: Option<DateTime<Utc>>) -> Option<Event> {
    let code = photo.id("photo_code")?;
    let verdict = photo.flag("approved").map(|approved| if approved { "accepted" } else { "rejected" });
    let fact = Photo {
        url: photo.text("url").or_else(|| photo.text("cdn_url")),
        label: photo.text("photo_label"),
        code: Some(code.clone()),
        verdict: verdict.map(str::to_owned),
        message: photo.text("approved_message").or_else(|| photo.text("reason")),
        taken_at: photo.time("created_at"),
        ..Photo::default()
    };
    let item = Event::about(PHOTO, format!("{key}/{code}")).of(key).under(Subject::Session, key).at(at).fact(fact);
    let item = match verdict {
        Some(verdict) => item.is(verdict),
        None => item,
    };
    Some(item.details(photo.rest()))
}

fn complete_damage(damage: &Fields<'_>, number: usize, key: &str, at: Option<DateTime<Utc>>) -> Event {
    let id = damage.id("uuid").unwrap_or_else(|| number.to_string());
    let photo = damage.object("photo").unwrap_or_default();
    let fact = Damage {
        part_group: damage.text("damage_group"),
        component: damage.text("component_label").or_else(|| damage.text("component")),
        name: damage.text("label").or_else(|| damage.text("damage_name")),
        description: damage.text("description"),
        repair_method: damage.text("repair_method"),
        grade: damage.number("grade_score"),
        cost: damage.number("total"),
        labor_hours: damage.number("labor_hrs"),
        photo_code: photo.text("code"),
        photo_url: photo.text("url"),
        cropped_url: damage.text("cropped_url"),
    };
    Event::about(Subject::Item(ItemKind::Damage), format!("{key}/{id}"))
        .of(key)
        .under(Subject::Session, key)
        .at(at)
        .fact(fact)
        .details(damage.rest())
}

fn read_vehicle(vehicle: &Fields<'_>) -> Vehicle {
    Vehicle {
        vin: vehicle.text("vin"),
        plate: vehicle.text("vrm"),
        year: vehicle.integer("year"),
        make: vehicle.text("make"),
        model: vehicle.text("model"),
        trim: vehicle.text("trim"),
        body_type: vehicle.text("body_type"),
        transmission: vehicle.text("transmission"),
        drivetrain: vehicle.text("drivetrain"),
        engine: vehicle.text("engine_type"),
        fuel: vehicle.text("fuel_type"),
        exterior_color: vehicle.text("ext_col"),
        interior_color: vehicle.text("int_col"),
        odometer: vehicle.number("odom_reading"),
        odometer_unit: vehicle.text("odom_unit"),
    }
}

fn read_location(location: &Fields<'_>) -> Location {
    Location {
        address: location.text("address"),
        city: location.text("city"),
        region: location.text("state"),
        post_code: location.text("post_code"),
        country: location.text("country"),
        latitude: location.number("latitude"),
        longitude: location.number("longitude"),
        ..Location::default()
    }
}
