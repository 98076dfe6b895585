//! PAVE: an SMS with the link, thirteen pictures of a vehicle of which some are rejected and taken again, the condition
//! report. Some sessions expire, and some are invalid.

use crate::simulate::fake_people::invent_person;
use crate::simulate::fake_vehicles::invent_vehicle;
use crate::simulate::scenario::Scenario;
use crate::simulate::script::ScriptStep::{After, Call, Each, End, OneOf, RowOf, Send, Set, Time, Wait};
use crate::simulate::script::{HOUR, MINUTE, ScriptStep, VendorScenario, chance};

pub const SCENARIO: VendorScenario = VendorScenario {
    vendor: "pave",
    weight: 6,
    script: SCRIPT,
    fields: &[
        ("session-sms", &[("/name", "{name}"), ("/phone", "{phone}")]),
        ("session-note", &[("/title", "{title}"), ("/description", "{text}"), ("/user", "{author}")]),
        ("session-stage-change-rejected", &[("/message", "{complaint}")]),
        (
            "session-stage-change",
            &[
                ("/photo_code", "{code}"),
                ("/photo_label", "{label}"),
                ("/photo_url", "https://images.example.com/{key}/{key}_{file}_{attempt}.jpg"),
            ],
        ),
        ("session-complete", RESULT),
        ("", &[("/session_key", "{key}"), ("/timestamp", "{now}")]),
    ],
};

const RESULT: &[(&str, &str)] = &[
    ("/session/session_key", "{key}"),
    ("/session/vehicle/session_key", "{key}"),
    ("/session/vehicle/id", "{id}"),
    ("/session/created_at", "{created}"),
    ("/session/inspect_started_at", "{started}"),
    ("/session/inspect_ended_at", "{ended}"),
    ("/session/updated_at", "{now}"),
    ("/session/inspect_duration", "{inspect_duration}"),
    ("/session/capture_duration", "{capture_duration}"),
    ("/session/options/client_id", "100-{id}"),
    ("/session/options/sms/to", "{phone}"),
    ("/session/user_account/username", "{username}"),
    ("/session/user_account/first_name", "{first_name}"),
    ("/session/user_account/last_name", "{last_name}"),
    ("/session/user_account/email", "{email}"),
    // Beside the session, and in it.
    ("/vehicle/vin", "{vin}"),
    ("/session/vehicle/vin", "{vin}"),
    ("/vehicle/year", "{year}"),
    ("/session/vehicle/year", "{year}"),
    ("/vehicle/make", "{make}"),
    ("/session/vehicle/make", "{make}"),
    ("/vehicle/model", "{model}"),
    ("/session/vehicle/model", "{model}"),
    ("/vehicle/body_type", "{body}"),
    ("/session/vehicle/body_type", "{body}"),
    ("/vehicle/trim", "{trim}"),
    ("/session/vehicle/trim", "{trim}"),
    ("/vehicle/ext_col", "{color}"),
    ("/session/vehicle/ext_col", "{color}"),
    ("/vehicle/odom_reading", "{odometer}"),
    ("/session/vehicle/odom_reading", "{odometer}"),
    ("/photos/*/url", "https://images.example.com/{key}/{key}_{file.*}.jpg"),
    ("/photos/*/created_at", "{taken.*}"),
    ("/photos/*/updated_at", "{checked.*}"),
    ("/inspection/detected_damages/*/uuid", "{uuid}"),
    ("/inspection/detected_damages", "{damages}"),
    ("/inspection/damages_overview/totalDamages", "{damages}"),
    ("/inspection/damages_overview/maxGradePerItem", "{worst_grade}"),
    ("/inspection/damages_overview/maxTotalGrade", "{total_grade}"),
    ("/inspection/case_details/case_start_time", "{ended}"),
    ("/inspection/case_details/case_end_time", "{now}"),
    ("/condition_report", "https://reports.example.com/{key}/condition-report.pdf"),
    ("/landing_page", "https://reports.example.com/{key}"),
];

/// The pictures in the order in which they are taken, which is also that of the result.
const PICTURES: &[&[&str]] = &[
    &["1", "VIN", "01_VIN"],
    &["2", "Interior", "02_INT"],
    &["3", "Cluster", "03_CLU"],
    &["4", "Left", "04_TVL"],
    &["10", "Front Left", "10_FRL"],
    &["5", "Front", "05_IC5"],
    &["11", "Front Right", "11_FRR"],
    &["7", "Right", "07_RGT"],
    &["12", "Rear Right", "12_RRR"],
    &["8", "Rear", "08_REA"],
    &["13", "Rear Left", "13_RRL"],
    &["9", "Windshield", "09_WSH"],
    &["6", "Tires", "06_TIR"],
];
const PICTURE: &[&str] = &["code", "label", "file"];

const SCRIPT: &[ScriptStep] = &[
    Call(set_key),
    Call(invent_person),
    Time("created", 0),
    Wait(1, 10),
    chance(8, &[Send("session-sms-process-error"), Wait(MINUTE, 5 * MINUTE)]),
    Send("session-sms-process"),
    Wait(5 * MINUTE, 5 * HOUR),
    Time("started", 0),
    Send("session-status-change-started"),
    chance(5, EXPIRED),
    After(20, 2 * MINUTE, "session-status-change-process"),
    chance(6, &[Each(PICTURE, PICTURES, 1, 12, TAKE_PICTURE), ScriptStep::Run(EXPIRED)]),
    Each(PICTURE, PICTURES, 13, 13, TAKE_PICTURE),
    chance(20, NOTE),
    chance(4, &[After(20, MINUTE, "session-status-change-invalid"), End]),
    Wait(20, 2 * MINUTE),
    Time("ended", 0),
    Send("session-status-change-qc-passed"),
    After(10, 90, "session-status-change-confirm"),
    Call(invent_vehicle),
    RowOf(
        &["damages", "worst_grade", "total_grade"],
        &[&["0", "0", "0"], &["1", "1", "1"], &["2", "2", "3"], &["3", "2", "5"], &["3", "2", "5"]],
    ),
    Call(set_durations),
    Send("session-complete"),
];

const EXPIRED: &[ScriptStep] = &[After(3 * HOUR, 8 * HOUR, "session-status-change-expired"), End];

const TAKE_PICTURE: &[ScriptStep] = &[
    Wait(12, 40),
    Set("attempt", "1"),
    chance(12, &[REJECTED, Set("attempt", "2"), chance(12, &[REJECTED, Set("attempt", "3")])]),
    Send("session-stage-change"),
    Time("taken", 0),
    Time("checked", 4),
];

const REJECTED: ScriptStep = ScriptStep::Run(&[
    OneOf(
        "complaint",
        &[
            "The photo is too blurry. Please hold still and take it again.",
            "The photo is too dark. Please take it again in better light.",
            "The vehicle is not entirely in the picture. Please step back.",
            "There is glare on the glass. Please change your angle.",
        ],
    ),
    Send("session-stage-change-rejected"),
    Wait(10, 40),
]);

const NOTE: &[ScriptStep] = &[
    RowOf(
        &["title", "text", "author"],
        &[
            &["Keys", "The customer has one key only.", "ada.holt"],
            &["Windshield", "Chip on the passenger side, not in view.", "kofi.lund"],
            &["Title", "The title is being mailed.", "rosa.north"],
            &["Pickup", "Available on weekdays after noon.", "sven.wells"],
        ],
    ),
    After(10, MINUTE, "session-note-insert"),
];

fn set_durations(scenario: &mut Scenario) {
    let seconds = scenario.seconds_between("started", "ended");
    scenario.set("inspect_duration", seconds.to_string());
    scenario.set("capture_duration", (seconds - seconds / 5).to_string());
}

fn set_key(scenario: &mut Scenario) {
    let theme = scenario.one_of(&["SWP", "SMG", "FLX"]);
    let key = format!("{theme}-{}", key_number(scenario.id()));
    scenario.set("key", key);
}

// Looks random, but is a function of the scenario's id that never gives the same key twice.
fn key_number(id: u64) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let number = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0x0fff_ffff_ffff_ffff;
    let digit = |place: u32| DIGITS.get((number >> (5 * place)) as usize % 32).map(|digit| *digit as char);
    (0..12).filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use std::collections::HashSet;

    #[test]
    fn no_two_keys_are_alike() {
        let key = |number| key_number(Scenario::new(9, number, TimeDelta::zero()).id());
        let keys: HashSet<String> = (0..10_000).map(key).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
