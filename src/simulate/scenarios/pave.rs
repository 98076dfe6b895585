//! PAVE: an SMS with the link, thirteen pictures of a vehicle of which some are rejected and taken again, the condition
//! report. Some sessions expire, and some are invalid.

use crate::simulate::fake_people::FakePerson;
use crate::simulate::fake_vehicles::FakeVehicle;
use crate::simulate::scenario::{FieldPatch, HOUR, MINUTE, Scenario, TimestampFormat};
use chrono::TimeDelta;

/// The pictures in the order in which they are taken, which is also that of the result: code, label, end of the URL.
const PICTURES: &[(u64, &str, &str)] = &[
    (1, "VIN", "01_VIN"),
    (2, "Interior", "02_INT"),
    (3, "Cluster", "03_CLU"),
    (4, "Left", "04_TVL"),
    (10, "Front Left", "10_FRL"),
    (5, "Front", "05_IC5"),
    (11, "Front Right", "11_FRR"),
    (7, "Right", "07_RGT"),
    (12, "Rear Right", "12_RRR"),
    (8, "Rear", "08_REA"),
    (13, "Rear Left", "13_RRL"),
    (9, "Windshield", "09_WSH"),
    (6, "Tires", "06_TIR"),
];

const COMPLAINTS: &[&str] = &[
    "The photo is too blurry. Please hold still and take it again.",
    "The photo is too dark. Please take it again in better light.",
    "The vehicle is not entirely in the picture. Please step back.",
    "There is glare on the glass. Please change your angle.",
];

struct PaveSession {
    key: String,
    person: FakePerson,
    created: TimeDelta,
    started: TimeDelta,
    /// When each picture that was accepted was taken.
    taken: Vec<TimeDelta>,
}

pub fn plan(scenario: &mut Scenario) {
    let person = FakePerson::new(scenario);
    let now = scenario.now();
    let mut session = PaveSession { key: key(scenario), person, created: now, started: now, taken: Vec::new() };
    sms(scenario, &session);
    scenario.wait(5 * MINUTE..=5 * HOUR);
    session.started = scenario.now();
    status(scenario, &session, "pave/session-status-change-started.json");
    if scenario.chance(5) {
        scenario.wait(3 * HOUR..=8 * HOUR);
        return status(scenario, &session, "pave/session-status-change-expired.json");
    }
    scenario.wait(20..=2 * MINUTE);
    status(scenario, &session, "pave/session-status-change-process.json");
    let gives_up = scenario.chance(6).then(|| scenario.between(1..=12));
    for (number, picture) in (0..).zip(PICTURES) {
        if gives_up == Some(number) {
            scenario.wait(3 * HOUR..=8 * HOUR);
            return status(scenario, &session, "pave/session-status-change-expired.json");
        }
        take_picture(scenario, &mut session, *picture);
    }
    if scenario.chance(20) {
        note(scenario, &session);
    }
    if scenario.chance(4) {
        scenario.wait(20..=MINUTE);
        return status(scenario, &session, "pave/session-status-change-invalid.json");
    }
    scenario.wait(20..=2 * MINUTE);
    let ended = scenario.now();
    status(scenario, &session, "pave/session-status-change-qc-passed.json");
    scenario.wait(10..=90);
    status(scenario, &session, "pave/session-status-change-confirm.json");
    scenario.wait(10 * MINUTE..=3 * HOUR);
    if scenario.chance(2) {
        return status(scenario, &session, "pave/session-status-change-invalid.json");
    }
    complete(scenario, &session, ended);
}

// A session's key says nothing, but the scenario's id can be told from it: no two are alike.
fn key(scenario: &mut Scenario) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let theme = scenario.one_of(&["SWP", "SMG", "FLX"]);
    let mut number = scenario.id().wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0x0fff_ffff_ffff_ffff;
    let mut key = String::with_capacity(16);
    for _ in 0..12 {
        key.extend(DIGITS.get((number % 32) as usize).map(|digit| *digit as char));
        number /= 32;
    }
    format!("{theme}-{key}")
}

fn sms(scenario: &mut Scenario, session: &PaveSession) {
    scenario.wait(1..=10);
    let to = || vec![("/name", session.person.name().into()), ("/phone", session.person.phone.as_str().into())];
    if scenario.chance(8) {
        send_event(scenario, session, "pave/session-sms-process-error.json", to());
        scenario.wait(MINUTE..=5 * MINUTE);
    }
    send_event(scenario, session, "pave/session-sms-process.json", to());
}

// Rejected once or twice in one of eight cases.
fn take_picture(scenario: &mut Scenario, session: &mut PaveSession, (code, label, url): (u64, &'static str, &str)) {
    scenario.wait(12..=40);
    let picture = |attempt: u32| {
        let url = format!("{}_{attempt}.jpg", url_of(&session.key, url));
        vec![("/photo_code", code.into()), ("/photo_label", label.into()), ("/photo_url", url.into())]
    };
    let mut attempt = 1;
    while attempt < 3 && scenario.chance(12) {
        let mut rejected = picture(attempt);
        rejected.push(("/message", scenario.one_of(COMPLAINTS).into()));
        send_event(scenario, session, "pave/session-stage-change-rejected.json", rejected);
        scenario.wait(10..=40);
        attempt += 1;
    }
    send_event(scenario, session, "pave/session-stage-change.json", picture(attempt));
    session.taken.push(scenario.now());
}

fn note(scenario: &mut Scenario, session: &PaveSession) {
    const NOTES: &[(&str, &str)] = &[
        ("Keys", "The customer has one key only."),
        ("Windshield", "Chip on the passenger side, not in view."),
        ("Title", "The title is being mailed."),
        ("Pickup", "Available on weekdays after noon."),
    ];
    scenario.wait(10..=MINUTE);
    let (title, text) = scenario.one_of(NOTES);
    let user = FakePerson::new(scenario).username();
    let set = vec![("/title", title.into()), ("/description", text.into()), ("/user", user.into())];
    send_event(scenario, session, "pave/session-note-insert.json", set);
}

fn complete(scenario: &mut Scenario, session: &PaveSession, ended: TimeDelta) {
    let car = FakeVehicle::new(scenario);
    let (key, person, now) = (session.key.as_str(), &session.person, scenario.now());
    let at = |moment| TimestampFormat::Seconds.patch(moment);
    let mut set: Vec<(String, FieldPatch)> = Vec::with_capacity(80);
    let mut put = |pointer: &str, value: FieldPatch| set.push((pointer.to_owned(), value));
    put("/session/session_key", key.into());
    put("/session/vehicle/session_key", key.into());
    put("/session/vehicle/id", scenario.id().into());
    put("/session/created_at", at(session.created));
    put("/session/inspect_started_at", at(session.started));
    put("/session/inspect_ended_at", at(ended));
    put("/session/updated_at", at(now));
    let seconds = (ended - session.started).num_seconds();
    put("/session/inspect_duration", seconds.into());
    put("/session/capture_duration", (seconds - seconds / 5).into());
    put("/session/options/client_id", format!("100-{}", scenario.id()).into());
    put("/session/options/sms/to", person.phone.as_str().into());
    put("/session/user_account/username", person.username().into());
    put("/session/user_account/first_name", person.first.into());
    put("/session/user_account/last_name", person.last.into());
    put("/session/user_account/email", person.email().into());
    for vehicle in ["/session/vehicle", "/vehicle"] {
        let words = [("make", car.make), ("model", car.model), ("body_type", car.body), ("trim", car.trim)];
        for (name, word) in words.into_iter().chain([("vin", car.vin.as_str()), ("ext_col", car.color)]) {
            put(&format!("{vehicle}/{name}"), word.into());
        }
        put(&format!("{vehicle}/year"), car.year.into());
    }
    // Once a string, once a number: PAVE does so.
    put("/session/vehicle/odom_reading", car.odometer.to_string().into());
    put("/vehicle/odom_reading", car.odometer.into());
    for (number, ((_, _, url), taken)) in PICTURES.iter().zip(&session.taken).enumerate() {
        put(&format!("/photos/{number}/url"), format!("{}.jpg", url_of(key, url)).into());
        put(&format!("/photos/{number}/created_at"), at(*taken));
        put(&format!("/photos/{number}/updated_at"), at(*taken + TimeDelta::seconds(4)));
    }
    let damages = scenario.one_of(&[0usize, 1, 2, 3, 3]);
    for number in 0..damages {
        put(&format!("/inspection/detected_damages/{number}/uuid"), scenario.uuid().into());
    }
    put("/inspection/detected_damages", FieldPatch::Truncate(damages));
    put("/inspection/damages_overview/totalDamages", damages.into());
    put("/inspection/damages_overview/maxGradePerItem", damages.min(2).into());
    put("/inspection/damages_overview/maxTotalGrade", [0usize, 1, 3, 5].get(damages).copied().unwrap_or(5).into());
    put("/inspection/case_details/case_start_time", at(ended));
    put("/inspection/case_details/case_end_time", at(now));
    put("/condition_report", format!("https://reports.example.com/{key}/condition-report.pdf").into());
    put("/landing_page", format!("https://reports.example.com/{key}").into());
    scenario.emit("pave/session-complete.json", set);
}

fn url_of(key: &str, end: &str) -> String {
    format!("https://images.example.com/{key}/{key}_{end}")
}

fn status(scenario: &mut Scenario, session: &PaveSession, sample: &'static str) {
    send_event(scenario, session, sample, Vec::new());
}

fn send_event(
    scenario: &mut Scenario,
    session: &PaveSession,
    sample: &'static str,
    mut set: Vec<(&'static str, FieldPatch)>,
) {
    set.push(("/session_key", session.key.as_str().into()));
    set.push(("/timestamp", TimestampFormat::FiveHoursEast.patch(scenario.now())));
    scenario.emit(sample, set);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_keys_are_alike() {
        let key = |number| key(&mut Scenario::new(9, number, TimeDelta::zero()));
        let keys: HashSet<String> = (0..10_000).map(|number| key(number)[4..].to_owned()).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
