//! Truepic: welcome, reminders, the app, photos with verdicts of which some are taken again, review, sometimes a request
//! for more, the PDF, and the end. Some inspections are canceled before they began.

use crate::simulate::scenario::{FieldPatch, HOUR, MINUTE, Scenario, TimestampFormat};

pub fn plan(scenario: &mut Scenario) {
    send_event(scenario, "truepic/inspection-created.json");
    scenario.wait(2..=10);
    message(scenario, "truepic/message-welcome-text.json");
    if scenario.chance(50) {
        scenario.wait(1..=5);
        email(scenario, "truepic/message-welcome-email.json");
    }
    if scenario.chance(20) {
        scenario.wait(3 * HOUR..=6 * HOUR);
        message(scenario, "truepic/message-auto-reminder-text.json");
        if scenario.chance(40) {
            unsubscribe(scenario);
        }
    }
    scenario.wait(10 * MINUTE..=7 * HOUR);
    if scenario.chance(12) {
        return send_event(scenario, "truepic/inspection-canceled.json");
    }
    send_event(scenario, "truepic/status-started.json");
    if scenario.chance(10) {
        scenario.wait(5..=20);
        let device = scenario.child_id().into();
        send_event_with(scenario, "truepic/device-flags-changed.json", vec![("/device_id", device)]);
    }
    scenario.wait(30..=90);
    send_event(scenario, "truepic/status-in-progress.json");
    let photos = scenario.between(4..=9);
    capture(scenario, photos);
    if scenario.chance(15) {
        conversation(scenario);
    }
    scenario.wait(30..=5 * MINUTE);
    send_event(scenario, "truepic/status-ready-for-review.json");
    if scenario.chance(25) {
        rework(scenario);
    }
    report(scenario);
    scenario.wait(20 * MINUTE..=8 * HOUR);
    send_event(scenario, "truepic/inspection-closed.json");
}

fn capture(scenario: &mut Scenario, photos: i64) {
    for _ in 0..photos {
        scenario.wait(15..=60);
        let list_item = scenario.child_id();
        if scenario.chance(18) {
            failed_photo(scenario, list_item);
        }
        let sample = if scenario.chance(12) {
            "truepic/photo-verification-warn.json"
        } else {
            "truepic/photo-verification-passed.json"
        };
        let photo = scenario.child_id();
        send_event_with(scenario, sample, photo_ids(photo, list_item));
    }
    if scenario.chance(60) {
        scenario.wait(10..=40);
        let question = scenario.child_id();
        let answer = || vec![("/list_item_id", question.into())];
        send_event_with(scenario, "truepic/question-answered.json", answer());
        if scenario.chance(15) {
            scenario.wait(10..=30);
            send_event_with(scenario, "truepic/question-answer-deleted.json", answer());
            scenario.wait(10..=30);
            send_event_with(scenario, "truepic/question-answered.json", answer());
        }
    }
}

// It fails, and mostly the customer deletes it before taking another.
fn failed_photo(scenario: &mut Scenario, list_item: u64) {
    let photo = scenario.child_id();
    if scenario.chance(30) {
        let entry = vec![
            ("/id", scenario.child_id().into()),
            ("/updated_at", TimestampFormat::Millis.patch(scenario.now())),
            ("/data/truepic_id", photo.into()),
            ("/data/list_item_id", list_item.into()),
        ];
        send_event_with(scenario, "truepic/timeline-photo-verification-failed.json", entry);
    } else {
        let reason = scenario.one_of(&["picture_of_picture", "timestamp_old", "location_mismatch", "too_dark"]);
        let mut ids = photo_ids(photo, list_item);
        ids.push(("/reason", reason.into()));
        send_event_with(scenario, "truepic/photo-verification-failed.json", ids);
    }
    scenario.wait(10..=40);
    if scenario.chance(80) {
        send_event_with(scenario, "truepic/photo-deleted.json", photo_ids(photo, list_item));
        scenario.wait(10..=30);
    }
}

fn photo_ids(photo: u64, list_item: u64) -> Vec<(&'static str, FieldPatch)> {
    vec![("/photo_id", photo.into()), ("/list_item_id", list_item.into())]
}

// More is asked for, and the customer goes back to work.
fn rework(scenario: &mut Scenario) {
    scenario.wait(20 * MINUTE..=3 * HOUR);
    message(scenario, "truepic/message-request-text.json");
    if scenario.chance(50) {
        scenario.wait(1..=3);
        email(scenario, "truepic/message-request-email.json");
    }
    scenario.wait(10 * MINUTE..=5 * HOUR);
    send_event(scenario, "truepic/status-in-progress-after-request.json");
    let photos = scenario.between(1..=3);
    capture(scenario, photos);
    scenario.wait(30..=2 * MINUTE);
    send_event(scenario, "truepic/status-ready-for-review-after-request.json");
}

fn report(scenario: &mut Scenario) {
    scenario.wait(20..=3 * MINUTE);
    if scenario.chance(8) {
        send_event(scenario, "truepic/pdf-failed.json");
        scenario.wait(MINUTE..=10 * MINUTE);
    }
    send_event(scenario, "truepic/pdf-ready.json");
}

fn conversation(scenario: &mut Scenario) {
    scenario.wait(20..=MINUTE);
    let question =
        scenario.one_of(&["Do you need the garage too?", "Is one photo of each side enough?", "Can I go on later?"]);
    message_with_text(scenario, "truepic/consumer-reply.json", question);
    scenario.wait(1..=3);
    message(scenario, "truepic/message-auto-reply-text.json");
    scenario.wait(2 * MINUTE..=20 * MINUTE);
    let answer =
        scenario.one_of(&["Yes, please.", "Please follow the list in the app.", "You can go on until tomorrow."]);
    message_with_text(scenario, "truepic/message-agent-reply-text.json", answer);
}

// The customer leaves the mailing list, so that the next reminder is not sent; some come back.
fn unsubscribe(scenario: &mut Scenario) {
    scenario.wait(MINUTE..=HOUR);
    send_event(scenario, "truepic/email-unsubscribed.json");
    scenario.wait(HOUR..=2 * HOUR);
    message(scenario, "truepic/message-email-dropped-via-unsubscribe.json");
    if scenario.chance(50) {
        scenario.wait(MINUTE..=HOUR);
        send_event(scenario, "truepic/email-resubscribed.json");
        scenario.wait(MINUTE..=10 * MINUTE);
        message(scenario, "truepic/message-reminder-email.json");
    }
}

// An email, which may bounce.
fn email(scenario: &mut Scenario, sample: &'static str) {
    let id = scenario.letters(16);
    send_event_with(scenario, sample, vec![("/message_id", id.as_str().into())]);
    if scenario.chance(8) {
        scenario.wait(5..=60);
        send_event_with(scenario, "truepic/message-email-bounced.json", vec![("/message_id", id.into())]);
    }
}

fn message(scenario: &mut Scenario, sample: &'static str) {
    let id = scenario.letters(16).into();
    send_event_with(scenario, sample, vec![("/message_id", id)]);
}

fn message_with_text(scenario: &mut Scenario, sample: &'static str, text: &str) {
    let id = scenario.letters(16).into();
    send_event_with(scenario, sample, vec![("/message_id", id), ("/message", text.into())]);
}

fn send_event(scenario: &mut Scenario, sample: &'static str) {
    send_event_with(scenario, sample, Vec::new());
}

fn send_event_with(scenario: &mut Scenario, sample: &'static str, mut set: Vec<(&'static str, FieldPatch)>) {
    set.push(("/inspection_id", scenario.id().into()));
    set.push(("/created_at", TimestampFormat::Millis.patch(scenario.now())));
    scenario.emit(sample, set);
}
