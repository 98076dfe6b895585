//! PAVE: an SMS with the link, thirteen pictures of a vehicle of which some are rejected and taken again, the condition
//! report. Some sessions expire, and some are invalid.

use crate::simulate::life::{HOUR, Life, MINUTE, Set, Spelling};
use crate::simulate::people::Person;
use crate::simulate::vehicles::Vehicle;
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

struct Session {
    key: String,
    person: Person,
    created: TimeDelta,
    started: TimeDelta,
    /// When each picture that was accepted was taken.
    taken: Vec<TimeDelta>,
}

pub fn live(life: &mut Life) {
    let person = Person::new(life);
    let now = life.now();
    let mut session = Session { key: key(life), person, created: now, started: now, taken: Vec::new() };
    sms(life, &session);
    life.wait(5 * MINUTE..=5 * HOUR);
    session.started = life.now();
    status(life, &session, "pave/session-status-change-started.json");
    if life.happens(5) {
        life.wait(3 * HOUR..=8 * HOUR);
        return status(life, &session, "pave/session-status-change-expired.json");
    }
    life.wait(20..=2 * MINUTE);
    status(life, &session, "pave/session-status-change-process.json");
    let gives_up = life.happens(6).then(|| life.between(1..=12));
    for (number, picture) in (0..).zip(PICTURES) {
        if gives_up == Some(number) {
            life.wait(3 * HOUR..=8 * HOUR);
            return status(life, &session, "pave/session-status-change-expired.json");
        }
        take(life, &mut session, *picture);
    }
    if life.happens(20) {
        note(life, &session);
    }
    if life.happens(4) {
        life.wait(20..=MINUTE);
        return status(life, &session, "pave/session-status-change-invalid.json");
    }
    life.wait(20..=2 * MINUTE);
    let ended = life.now();
    status(life, &session, "pave/session-status-change-qc-passed.json");
    life.wait(10..=90);
    status(life, &session, "pave/session-status-change-confirm.json");
    life.wait(10 * MINUTE..=3 * HOUR);
    if life.happens(2) {
        return status(life, &session, "pave/session-status-change-invalid.json");
    }
    complete(life, &session, ended);
}

// A session's key says nothing, but the life's id can be told from it: no two are alike.
fn key(life: &mut Life) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let theme = life.one_of(&["SWP", "SMG", "FLX"]);
    let mut number = life.id().wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0x0fff_ffff_ffff_ffff;
    let mut key = String::with_capacity(16);
    for _ in 0..12 {
        key.extend(DIGITS.get((number % 32) as usize).map(|digit| *digit as char));
        number /= 32;
    }
    format!("{theme}-{key}")
}

fn sms(life: &mut Life, session: &Session) {
    life.wait(1..=10);
    let to = || vec![("/name", session.person.name().into()), ("/phone", session.person.phone.as_str().into())];
    if life.happens(8) {
        tell(life, session, "pave/session-sms-process-error.json", to());
        life.wait(MINUTE..=5 * MINUTE);
    }
    tell(life, session, "pave/session-sms-process.json", to());
}

// Rejected once or twice in one of eight cases.
fn take(life: &mut Life, session: &mut Session, (code, label, url): (u64, &'static str, &str)) {
    life.wait(12..=40);
    let picture = |attempt: u32| {
        let url = format!("{}_{attempt}.jpg", url_of(&session.key, url));
        vec![("/photo_code", code.into()), ("/photo_label", label.into()), ("/photo_url", url.into())]
    };
    let mut attempt = 1;
    while attempt < 3 && life.happens(12) {
        let mut rejected = picture(attempt);
        rejected.push(("/message", life.one_of(COMPLAINTS).into()));
        tell(life, session, "pave/session-stage-change-rejected.json", rejected);
        life.wait(10..=40);
        attempt += 1;
    }
    tell(life, session, "pave/session-stage-change.json", picture(attempt));
    session.taken.push(life.now());
}

fn note(life: &mut Life, session: &Session) {
    const NOTES: &[(&str, &str)] = &[
        ("Keys", "The customer has one key only."),
        ("Windshield", "Chip on the passenger side, not in view."),
        ("Title", "The title is being mailed."),
        ("Pickup", "Available on weekdays after noon."),
    ];
    life.wait(10..=MINUTE);
    let (title, text) = life.one_of(NOTES);
    let user = Person::new(life).username();
    let set = vec![("/title", title.into()), ("/description", text.into()), ("/user", user.into())];
    tell(life, session, "pave/session-note-insert.json", set);
}

fn complete(life: &mut Life, session: &Session, ended: TimeDelta) {
    let car = Vehicle::new(life);
    let (key, person, now) = (session.key.as_str(), &session.person, life.now());
    let at = |moment| Spelling::Seconds.of(moment);
    let mut set: Vec<(String, Set)> = Vec::with_capacity(80);
    let mut put = |pointer: &str, value: Set| set.push((pointer.to_owned(), value));
    put("/session/session_key", key.into());
    put("/session/vehicle/session_key", key.into());
    put("/session/vehicle/id", life.id().into());
    put("/session/created_at", at(session.created));
    put("/session/inspect_started_at", at(session.started));
    put("/session/inspect_ended_at", at(ended));
    put("/session/updated_at", at(now));
    let seconds = (ended - session.started).num_seconds();
    put("/session/inspect_duration", seconds.into());
    put("/session/capture_duration", (seconds - seconds / 5).into());
    put("/session/options/client_id", format!("100-{}", life.id()).into());
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
    let damages = life.one_of(&[0usize, 1, 2, 3, 3]);
    for number in 0..damages {
        put(&format!("/inspection/detected_damages/{number}/uuid"), life.uuid().into());
    }
    put("/inspection/detected_damages", Set::First(damages));
    put("/inspection/damages_overview/totalDamages", damages.into());
    put("/inspection/damages_overview/maxGradePerItem", damages.min(2).into());
    put("/inspection/damages_overview/maxTotalGrade", [0usize, 1, 3, 5].get(damages).copied().unwrap_or(5).into());
    put("/inspection/case_details/case_start_time", at(ended));
    put("/inspection/case_details/case_end_time", at(now));
    put("/condition_report", format!("https://reports.example.com/{key}/condition-report.pdf").into());
    put("/landing_page", format!("https://reports.example.com/{key}").into());
    life.say("pave/session-complete.json", set);
}

fn url_of(key: &str, end: &str) -> String {
    format!("https://images.example.com/{key}/{key}_{end}")
}

fn status(life: &mut Life, session: &Session, sample: &'static str) {
    tell(life, session, sample, Vec::new());
}

fn tell(life: &mut Life, session: &Session, sample: &'static str, mut set: Vec<(&'static str, Set)>) {
    set.push(("/session_key", session.key.as_str().into()));
    set.push(("/timestamp", Spelling::FiveHoursEast.of(life.now())));
    life.say(sample, set);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_keys_are_alike() {
        let key = |number| key(&mut Life::new(9, number, TimeDelta::zero()));
        let keys: HashSet<String> = (0..10_000).map(|number| key(number)[4..].to_owned()).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
