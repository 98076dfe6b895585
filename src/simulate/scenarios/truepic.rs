//! Truepic: welcome, reminders, the app, photos with verdicts of which some are taken again, review, sometimes a request
//! for more, the PDF, and the end. Some inspections are canceled before they began.

use crate::simulate::script::ScriptStep::{After, Either, End, OneOf, Repeat, Send, Set, Wait};
use crate::simulate::script::{HOUR, MINUTE, ScriptStep, VendorScenario, chance};

pub const SCENARIO: VendorScenario = VendorScenario {
    vendor: "truepic",
    weight: 9,
    script: SCRIPT,
    fields: &[
        ("message-email-bounced", &[("/message_id", "{last}")]),
        ("consumer-reply", &[("/message", "{text}")]),
        ("message-agent-reply", &[("/message", "{text}")]),
        ("device-flags", &[("/device_id", "{new}")]),
        ("photo-verification-failed", &[("/reason", "{reason}")]),
        (
            "timeline",
            &[
                ("/id", "{new}"),
                ("/updated_at", "{now}"),
                ("/data/truepic_id", "{photo}"),
                ("/data/list_item_id", "{list_item}"),
            ],
        ),
        (
            "",
            &[
                ("/inspection_id", "{id}"),
                ("/created_at", "{now}"),
                ("/message_id", "{letters}"),
                ("/photo_id", "{photo}"),
                ("/list_item_id", "{list_item}"),
            ],
        ),
    ],
};

const SCRIPT: &[ScriptStep] = &[
    Send("inspection-created"),
    After(2, 10, "message-welcome-text"),
    chance(50, &[After(1, 5, "message-welcome-email"), BOUNCE]),
    chance(20, &[After(3 * HOUR, 6 * HOUR, "message-auto-reminder-text"), chance(40, UNSUBSCRIBE)]),
    Wait(10 * MINUTE, 7 * HOUR),
    chance(12, &[Send("inspection-canceled"), End]),
    Send("status-started"),
    chance(10, &[After(5, 20, "device-flags-changed")]),
    After(30, 90, "status-in-progress"),
    Repeat(4, 9, PHOTO),
    chance(60, QUESTION),
    chance(15, CONVERSATION),
    After(30, 5 * MINUTE, "status-ready-for-review"),
    chance(25, REWORK),
    Wait(20, 3 * MINUTE),
    chance(8, &[Send("pdf-failed"), Wait(MINUTE, 10 * MINUTE)]),
    Send("pdf-ready"),
    After(20 * MINUTE, 8 * HOUR, "inspection-closed"),
];

const BOUNCE: ScriptStep = chance(8, &[After(5, 60, "message-email-bounced")]);

// The customer leaves the mailing list, so that the next reminder is not sent; some come back.
const UNSUBSCRIBE: &[ScriptStep] = &[
    After(MINUTE, HOUR, "email-unsubscribed"),
    After(HOUR, 2 * HOUR, "message-email-dropped-via-unsubscribe"),
    chance(50, &[After(MINUTE, HOUR, "email-resubscribed"), After(MINUTE, 10 * MINUTE, "message-reminder-email")]),
];

const PHOTO: &[ScriptStep] = &[
    Wait(15, 60),
    Set("list_item", "{new}"),
    chance(18, FAILED_PHOTO),
    Set("photo", "{new}"),
    Either(12, &[Send("photo-verification-warn")], &[Send("photo-verification-passed")]),
];

// Mostly the customer deletes a photo that failed before taking another.
const FAILED_PHOTO: &[ScriptStep] = &[
    Set("photo", "{new}"),
    OneOf("reason", &["picture_of_picture", "timestamp_old", "location_mismatch", "too_dark"]),
    Either(30, &[Send("timeline-photo-verification-failed")], &[Send("photo-verification-failed")]),
    Wait(10, 40),
    chance(80, &[Send("photo-deleted"), Wait(10, 30)]),
];

const QUESTION: &[ScriptStep] = &[
    Set("list_item", "{new}"),
    After(10, 40, "question-answered"),
    chance(15, &[After(10, 30, "question-answer-deleted"), After(10, 30, "question-answered")]),
];

const CONVERSATION: &[ScriptStep] = &[
    OneOf("text", &["Do you need the garage too?", "Is one photo of each side enough?", "Can I go on later?"]),
    After(20, MINUTE, "consumer-reply"),
    After(1, 3, "message-auto-reply-text"),
    OneOf("text", &["Yes, please.", "Please follow the list in the app.", "You can go on until tomorrow."]),
    After(2 * MINUTE, 20 * MINUTE, "message-agent-reply-text"),
];

// The organization requests more, and the customer goes back to work.
const REWORK: &[ScriptStep] = &[
    After(20 * MINUTE, 3 * HOUR, "message-request-text"),
    chance(50, &[After(1, 3, "message-request-email"), BOUNCE]),
    After(10 * MINUTE, 5 * HOUR, "status-in-progress-after-request"),
    Repeat(1, 3, PHOTO),
    chance(60, QUESTION),
    After(30, 2 * MINUTE, "status-ready-for-review-after-request"),
];
