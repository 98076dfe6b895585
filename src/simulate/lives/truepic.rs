//! Truepic: welcome, reminders, the app, photos with verdicts of which some are taken again, review, sometimes a request
//! for more, the PDF, and the end. Some inspections are canceled before they began.

use crate::simulate::life::{HOUR, Life, MINUTE, Set, Spelling};

pub fn live(life: &mut Life) {
    tell(life, "truepic/inspection-created.json");
    life.wait(2..=10);
    message(life, "truepic/message-welcome-text.json");
    if life.happens(50) {
        life.wait(1..=5);
        email(life, "truepic/message-welcome-email.json");
    }
    if life.happens(20) {
        life.wait(3 * HOUR..=6 * HOUR);
        message(life, "truepic/message-auto-reminder-text.json");
        if life.happens(40) {
            reluctance(life);
        }
    }
    life.wait(10 * MINUTE..=7 * HOUR);
    if life.happens(12) {
        return tell(life, "truepic/inspection-canceled.json");
    }
    tell(life, "truepic/status-started.json");
    if life.happens(10) {
        life.wait(5..=20);
        let device = life.child_id().into();
        tell_with(life, "truepic/device-flags-changed.json", vec![("/device_id", device)]);
    }
    life.wait(30..=90);
    tell(life, "truepic/status-in-progress.json");
    let photos = life.between(4..=9);
    capture(life, photos);
    if life.happens(15) {
        conversation(life);
    }
    life.wait(30..=5 * MINUTE);
    tell(life, "truepic/status-ready-for-review.json");
    if life.happens(25) {
        rework(life);
    }
    report(life);
    life.wait(20 * MINUTE..=8 * HOUR);
    tell(life, "truepic/inspection-closed.json");
}

fn capture(life: &mut Life, photos: i64) {
    for _ in 0..photos {
        life.wait(15..=60);
        let list_item = life.child_id();
        if life.happens(18) {
            failed_photo(life, list_item);
        }
        let sample = if life.happens(12) {
            "truepic/photo-verification-warn.json"
        } else {
            "truepic/photo-verification-passed.json"
        };
        let photo = life.child_id();
        tell_with(life, sample, photo_ids(photo, list_item));
    }
    if life.happens(60) {
        life.wait(10..=40);
        let question = life.child_id();
        let answer = || vec![("/list_item_id", question.into())];
        tell_with(life, "truepic/question-answered.json", answer());
        if life.happens(15) {
            life.wait(10..=30);
            tell_with(life, "truepic/question-answer-deleted.json", answer());
            life.wait(10..=30);
            tell_with(life, "truepic/question-answered.json", answer());
        }
    }
}

// It fails, and mostly the customer deletes it before taking another.
fn failed_photo(life: &mut Life, list_item: u64) {
    let photo = life.child_id();
    if life.happens(30) {
        let entry = vec![
            ("/id", life.child_id().into()),
            ("/updated_at", Spelling::Millis.of(life.now())),
            ("/data/truepic_id", photo.into()),
            ("/data/list_item_id", list_item.into()),
        ];
        tell_with(life, "truepic/timeline-photo-verification-failed.json", entry);
    } else {
        let reason = life.one_of(&["picture_of_picture", "timestamp_old", "location_mismatch", "too_dark"]);
        let mut ids = photo_ids(photo, list_item);
        ids.push(("/reason", reason.into()));
        tell_with(life, "truepic/photo-verification-failed.json", ids);
    }
    life.wait(10..=40);
    if life.happens(80) {
        tell_with(life, "truepic/photo-deleted.json", photo_ids(photo, list_item));
        life.wait(10..=30);
    }
}

fn photo_ids(photo: u64, list_item: u64) -> Vec<(&'static str, Set)> {
    vec![("/photo_id", photo.into()), ("/list_item_id", list_item.into())]
}

// More is asked for, and the customer goes back to work.
fn rework(life: &mut Life) {
    life.wait(20 * MINUTE..=3 * HOUR);
    message(life, "truepic/message-request-text.json");
    if life.happens(50) {
        life.wait(1..=3);
        email(life, "truepic/message-request-email.json");
    }
    life.wait(10 * MINUTE..=5 * HOUR);
    tell(life, "truepic/status-in-progress-after-request.json");
    let photos = life.between(1..=3);
    capture(life, photos);
    life.wait(30..=2 * MINUTE);
    tell(life, "truepic/status-ready-for-review-after-request.json");
}

fn report(life: &mut Life) {
    life.wait(20..=3 * MINUTE);
    if life.happens(8) {
        tell(life, "truepic/pdf-failed.json");
        life.wait(MINUTE..=10 * MINUTE);
    }
    tell(life, "truepic/pdf-ready.json");
}

fn conversation(life: &mut Life) {
    life.wait(20..=MINUTE);
    let question =
        life.one_of(&["Do you need the garage too?", "Is one photo of each side enough?", "Can I go on later?"]);
    message_saying(life, "truepic/consumer-reply.json", question);
    life.wait(1..=3);
    message(life, "truepic/message-auto-reply-text.json");
    life.wait(2 * MINUTE..=20 * MINUTE);
    let answer = life.one_of(&["Yes, please.", "Please follow the list in the app.", "You can go on until tomorrow."]);
    message_saying(life, "truepic/message-agent-reply-text.json", answer);
}

// The customer leaves the mailing list, so that the next reminder is not sent; some come back.
fn reluctance(life: &mut Life) {
    life.wait(MINUTE..=HOUR);
    tell(life, "truepic/email-unsubscribed.json");
    life.wait(HOUR..=2 * HOUR);
    message(life, "truepic/message-email-dropped-via-unsubscribe.json");
    if life.happens(50) {
        life.wait(MINUTE..=HOUR);
        tell(life, "truepic/email-resubscribed.json");
        life.wait(MINUTE..=10 * MINUTE);
        message(life, "truepic/message-reminder-email.json");
    }
}

// An email, which may bounce.
fn email(life: &mut Life, sample: &'static str) {
    let id = life.letters(16);
    tell_with(life, sample, vec![("/message_id", id.as_str().into())]);
    if life.happens(8) {
        life.wait(5..=60);
        tell_with(life, "truepic/message-email-bounced.json", vec![("/message_id", id.into())]);
    }
}

fn message(life: &mut Life, sample: &'static str) {
    let id = life.letters(16).into();
    tell_with(life, sample, vec![("/message_id", id)]);
}

fn message_saying(life: &mut Life, sample: &'static str, text: &str) {
    let id = life.letters(16).into();
    tell_with(life, sample, vec![("/message_id", id), ("/message", text.into())]);
}

fn tell(life: &mut Life, sample: &'static str) {
    tell_with(life, sample, Vec::new());
}

fn tell_with(life: &mut Life, sample: &'static str, mut set: Vec<(&'static str, Set)>) {
    set.push(("/inspection_id", life.id().into()));
    set.push(("/created_at", Spelling::Millis.of(life.now())));
    life.say(sample, set);
}
