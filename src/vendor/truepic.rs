//! Truepic Vision: photo inspections that the customer takes with an app. No page shows the webhook's body. Only the actions
//! are certain, and that each names its inspection. The rest is read in every format that Truepic's pages and types suggest:
//! flat, as an entry of the inspection's timeline, and in the terms of API v2, where an inspection is an *event*.
//!
//! Pages: <https://vision.truepic.dev/docs/webhooks>, `…/docs/webhook-setup` and `…/v3/docs/inspection-statuses`; the
//! timeline's entries are in <https://github.com/TRUEPIC/vision-api-types>.

mod action;
mod machines;
mod signature;

use super::fields::JsonFields;
use super::{DeliveryBody, Unreadable, Vendor, canonical_names};
use crate::event::{Event, ParsedDelivery};
use crate::machine::{EntityType, ItemKind, JobKind};
use action::TruepicAction;

pub const VENDOR: Vendor = Vendor {
    name: "truepic",
    title: "Truepic Vision",
    machines: machines::MACHINES,
    reference_paths: &REFERENCE_PATHS,
    signature: Some(signature::SIGNATURE),
    parse,
};

const PDF: EntityType = EntityType::Job(JobKind::Pdf);
const PHOTO: EntityType = EntityType::Item(ItemKind::Photo);
const ANSWER: EntityType = EntityType::Item(ItemKind::Answer);
const MESSAGE: EntityType = EntityType::Item(ItemKind::Message);
const CONTACT: EntityType = EntityType::Item(ItemKind::Contact);

/// The fields that may contain the customer's own key for the inspection, in the body and then in its inspection. The first
/// one with a value is the reference.
const REFERENCE_PATHS: [&str; 3] = ["unique_id", "external_id", "reference"];

/// Why an action is not recognized: what it lacks.
type TruepicParseError = &'static str;
type ActionParser = fn(&TruepicAction<'_>) -> Result<Vec<Event>, TruepicParseError>;

/// The 31 actions of the vendor's page, and two that only its types contain.
const ACTIONS: &[(&str, ActionParser)] = &[
    ("ACTION_INSPECTION_CREATED", |action| Ok(action.status("Created"))),
    ("ACTION_STATUS_STARTED", |action| Ok(action.status("Started"))),
    ("ACTION_STATUS_IN_PROGRESS", |action| Ok(action.status("In Progress"))),
    ("ACTION_STATUS_READY_FOR_REVIEW", |action| Ok(action.status("Ready for Review"))),
    ("ACTION_INSPECTION_CLOSED", |action| Ok(action.status("Closed"))),
    ("ACTION_INSPECTION_CANCELED", |action| Ok(action.status("Canceled"))),
    ("ACTION_DEVICE_FLAGS_CHANGED", |action| Ok(action.device_flags())),
    ("ACTION_PHOTO_VERIFICATION_PASSED", |action| action.photo("passed")),
    ("ACTION_PHOTO_VERIFICATION_WARN", |action| action.photo("warn")),
    ("ACTION_PHOTO_VERIFICATION_FAILED", |action| action.photo("failed")),
    ("ACTION_PHOTO_DELETED", |action| action.photo("deleted")),
    ("ACTION_QUESTION_ANSWERED", |action| action.answer("answered")),
    ("ACTION_QUESTION_ANSWER_DELETED", |action| action.answer("deleted")),
    ("ACTION_MESSAGE_WELCOME_TEXT", |action| Ok(action.welcome("TEXT"))),
    ("ACTION_MESSAGE_WELCOME_EMAIL", |action| Ok(action.welcome("EMAIL"))),
    ("ACTION_MESSAGE_REQUEST_TEXT", |action| Ok(action.request("TEXT"))),
    ("ACTION_MESSAGE_REQUEST_EMAIL", |action| Ok(action.request("EMAIL"))),
    ("ACTION_MESSAGE_REMINDER_TEXT", |action| Ok(vec![action.sent("TEXT", "reminder")])),
    ("ACTION_MESSAGE_REMINDER_EMAIL", |action| Ok(vec![action.sent("EMAIL", "reminder")])),
    ("ACTION_MESSAGE_AUTO_REMINDER_TEXT", |action| Ok(vec![action.sent("TEXT", "auto reminder")])),
    ("ACTION_MESSAGE_AUTO_REMINDER_EMAIL", |action| Ok(vec![action.sent("EMAIL", "auto reminder")])),
    ("ACTION_MESSAGE_AUTO_REPLY_TEXT", |action| Ok(vec![action.sent("TEXT", "auto reply")])),
    ("ACTION_MESSAGE_AUTO_REPLY_EMAIL", |action| Ok(vec![action.sent("EMAIL", "auto reply")])),
    ("ACTION_MESSAGE_AGENT_REPLY_TEXT", |action| Ok(vec![action.sent("TEXT", "agent reply")])),
    ("ACTION_CONSUMER_REPLY", |action| Ok(vec![action.received("TEXT")])),
    ("ACTION_MESSAGE_EMAIL_REPLY", |action| Ok(vec![action.received("EMAIL")])),
    ("ACTION_MESSAGE_EMAIL_BOUNCED", |action| Ok(vec![action.undelivered("BOUNCED", None), action.contact("BOUNCED")])),
    ("ACTION_MESSAGE_EMAIL_DROPPED", |action| {
        Ok(vec![action.undelivered("DROPPED", Some("the email had previously bounced"))])
    }),
    ("ACTION_MESSAGE_EMAIL_DROPPED_VIA_UNSUBSCRIBE", |action| {
        Ok(vec![action.undelivered("DROPPED", Some("the customer unsubscribed from emails"))])
    }),
    ("ACTION_EMAIL_UNSUBSCRIBED", |action| Ok(vec![action.contact("UNSUBSCRIBED").details(action.unread_details())])),
    ("ACTION_EMAIL_RESUBSCRIBED", |action| Ok(vec![action.contact("SUBSCRIBED").details(action.unread_details())])),
    ("ACTION_PDF_READY", |action| Ok(vec![action.pdf("PDF ready")])),
    ("ACTION_PDF_FAILED", |action| Ok(vec![action.pdf("PDF failed")])),
];

fn parse(delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
    let body = JsonFields::parse_body(delivery.body)?;
    let Some(event) = action_name(&body) else {
        // Truepic Lens, the sibling product, uses the same signature and may be registered with the same URL.
        return Ok(match body.text("type") {
            Some(lens) => ParsedDelivery::unrecognized(
                lens,
                "a body of Truepic Lens: it has a type, but no action and no inspection",
            ),
            None => ParsedDelivery::unrecognized(String::new(), "it names no action"),
        });
    };
    let Some(action) = TruepicAction::parse(body, delivery.body) else {
        return Ok(ParsedDelivery::unrecognized(event, "it names no inspection"));
    };
    let known = action.inspection_fields();
    let name = canonical_names::canonical_name(&event, ACTIONS.iter().map(|(name, _)| *name));
    let meaning = ACTIONS.iter().find(|(known, _)| Some(*known) == name);
    Ok(match meaning.map_or(Err("no such action is known"), |(_, meaning)| meaning(&action)) {
        Ok(events) => {
            let events = action.with_inspection_fields(events, known);
            ParsedDelivery { event, occurred_at: action.at, events, ..ParsedDelivery::default() }
        }
        Err(why) => ParsedDelivery::unrecognized(event, why),
    })
}

// In the terms of v2, `event` can be the inspection: an object and not a name.
fn action_name(body: &JsonFields<'_>) -> Option<String> {
    body.text("action")
        .or_else(|| body.object("action_type")?.text("id_internal"))
        .or_else(|| body.text("action_type"))
        .or_else(|| body.text("event"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FactGroup, NoEffect, Photo, StateClaim, Summary};

    fn reading(body: &str) -> ParsedDelivery {
        parse(&DeliveryBody { content_type: None, body: body.as_bytes() }).expect("readable")
    }

    fn why_not(body: &str) -> String {
        let reading = reading(body);
        assert!(reading.events.is_empty());
        match reading.no_effect {
            Some(NoEffect::Unrecognized(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    // Each event as `kind id claim`; jobs and items by their subkind.
    fn claims(body: &str) -> Vec<String> {
        let describe = |event: &Event| {
            let subject = event.entity.entity_type;
            let name = if subject.subkind().is_empty() { subject.kind().as_str() } else { subject.subkind() };
            let claim = match &event.state_claim {
                StateClaim::Exact(word) => format!("is {word}"),
                StateClaim::AtLeast(word) => format!("at least {word}"),
                StateClaim::ReopenRequested => "requested".to_owned(),
                StateClaim::FactsOnly => "facts".to_owned(),
            };
            format!("{name} {} {claim}", event.entity.external_id)
        };
        reading(body).events.iter().map(describe).collect()
    }

    fn detail_names(event: &Event) -> Vec<&str> {
        event.details.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn every_action_is_known_and_names_only_declared_states() {
        assert_eq!(ACTIONS.len(), 33);
        for (action, _) in ACTIONS {
            let body = format!(r#"{{"action":"{action}","inspection_id":7,"photo_id":8,"list_item_id":9}}"#);
            let reading = reading(&body);
            assert!(reading.no_effect.is_none() && !reading.events.is_empty(), "{action}: {:?}", reading.no_effect);
            assert_eq!(reading.event, *action);
            for event in &reading.events {
                let subject = event.entity.entity_type;
                assert!(
                    subject == EntityType::Inspection || event.inspection_external_id.as_deref() == Some("7"),
                    "{action}"
                );
                let word = match &event.state_claim {
                    StateClaim::Exact(word) => word,
                    StateClaim::AtLeast(word) => *word,
                    StateClaim::ReopenRequested | StateClaim::FactsOnly => continue,
                };
                assert!(
                    VENDOR.machine(subject).is_some_and(|machine| machine.state(word).is_some()),
                    "{action}: {word}"
                );
            }
        }
    }

    #[test]
    fn every_format_of_an_event_has_the_same_meaning() {
        for body in [
            r#"{"action": "ACTION_STATUS_STARTED", "inspection_id": 1843, "created_at": "2024-03-06T15:12:40.118Z"}"#,
            r#"{"action": "ACTION_STATUS_STARTED", "inspection_id": "1843", "timestamp": "2024-03-06T15:12:40.118Z"}"#,
            r#"{"action": "ACTION_STATUS_STARTED", "inspection": {"id": 1843}, "timestamp": "2024-03-06 15:12:40.118"}"#,
            r#"{"action": "ACTION_STATUS_STARTED", "event_id": 1843, "created_at": "2024-03-06T15:12:40.118Z"}"#,
            r#"{"action_type": "ACTION_STATUS_STARTED", "event": {"id": "1843"}, "created_at": "2024-03-06T15:12:40.118Z"}"#,
            r#"{"event": "ACTION_STATUS_STARTED", "inspection_id": 1843, "created_at": "2024-03-06T15:12:40.118Z"}"#,
            r#"{"id": 5, "inspection_id": 1843, "timeline_action_type_id": 3, "data": null,
                "action_type": {"id": 3, "id_internal": "ACTION_STATUS_STARTED"}, "created_at": "2024-03-06T15:12:40.118Z"}"#,
        ] {
            assert_eq!(claims(body), ["INSPECTION 1843 is Started", "SESSION 1843 is Started"], "{body}");
            let reading = reading(body);
            assert_eq!(reading.event, "ACTION_STATUS_STARTED");
            for event in &reading.events {
                assert_eq!(event.occurred_at.at.map(|at| at.timestamp_millis()), Some(1_709_737_960_118), "{body}");
                let timeline_details = ["action_type", "timeline_entry"];
                let details = detail_names(event);
                assert!(details.iter().all(|name| timeline_details.contains(name)), "{body}: {details:?}");
            }
        }
        assert_eq!(reading(r#"{"action": "ACTION_STATUS_STARTED", "inspection_id": 1}"#).occurred_at.at, None);
    }

    #[test]
    fn a_timeline_entry_names_photo_and_place() {
        let body = r#"{"id": 58216, "inspection_id": 1843, "timeline_action_type_id": 14, "is_deleted": false,
            "action_type": {"id_internal": "ACTION_PHOTO_VERIFICATION_FAILED"}, "location": {}, "device_id": 1,
            "data": {"truepic_id": 12348, "list_item_id": 22347, "reason": "timestamp_old",
                "location": {"latitude": 47.5, "longitude": -122.5, "city": "Dover"}}}"#;
        let photo = "PHOTO 12348 is failed";
        assert_eq!(claims(body), ["INSPECTION 1843 at least In Progress", "SESSION 1843 at least In Progress", photo]);
        let reading = reading(body);
        let photo = reading.events.last().expect("the photo");
        let fact = Photo {
            verdict: Some("failed".into()),
            message: Some("timestamp_old".into()),
            latitude: Some(47.5),
            longitude: Some(-122.5),
            ..Photo::default()
        };
        assert_eq!(photo.facts, [FactGroup::Photo(fact)]);
        let names = ["location", "device_id", "timeline_entry", "list_item_id", "city"];
        assert_eq!(detail_names(photo), names);
    }

    #[test]
    fn a_request_for_more_concerns_inspection_and_session() {
        let body = r#"{"action": "ACTION_MESSAGE_REQUEST_EMAIL", "inspection_id": 7, "message_id": "DGn"}"#;
        let (inspection, session) = ("INSPECTION 7 requested", "SESSION 7 requested");
        assert_eq!(claims(body).get(2..), Some(&[inspection.into(), session.into(), "MESSAGE DGn facts".into()][..]));
    }

    #[test]
    fn a_message_without_an_id_is_known_by_its_body() {
        let text = |text| format!(r#"{{"action": "ACTION_CONSUMER_REPLY", "inspection_id": 7, "message": "{text}"}}"#);
        assert_eq!(claims(&text("yes")), claims(&text("yes")));
        assert_ne!(claims(&text("yes")), claims(&text("no")));
        assert!(claims(&text("yes")).iter().all(|claim| claim.starts_with("MESSAGE 7/")));
    }

    #[test]
    fn what_truepic_numbers_is_known_by_its_number_however_that_is_spelled() {
        let entry = |action: &str, id: &str, more: &str| {
            format!(
                r#"{{"id":{id},"inspection_id":1880,"timeline_action_type_id":12,"data":{{}},{more}
                "action_type":{{"id_internal":"{action}"}},"created_at":"2020-05-01T21:44:40.000Z"}}"#
            )
        };
        let last = |body: &str| reading(body).events.pop().expect("an event").entity.external_id;
        for (action, more, expected) in [
            ("ACTION_MESSAGE_REMINDER_TEXT", r#""updated_at":"2020-05-01T21:44:40Z","#, "1880/timeline/4"),
            ("ACTION_MESSAGE_REMINDER_TEXT", r#""updated_at":"2020-05-01T21:44:41Z","#, "1880/timeline/4"),
            ("ACTION_CONSUMER_REPLY", "", "1880/timeline/4"),
            ("ACTION_PHOTO_VERIFICATION_PASSED", "", "1880/timeline/4"),
            ("ACTION_QUESTION_ANSWERED", "", "1880/timeline/4"),
        ] {
            for id in ["4", r#""4""#, r#"" 4 ""#, r#""04""#, "4.0"] {
                assert_eq!(last(&entry(action, id, more)), expected, "{action} {id}");
            }
            assert_ne!(last(&entry(action, "5", more)), expected, "{action}");
        }
        for (action, name) in [
            ("ACTION_MESSAGE_REMINDER_TEXT", "message_id"),
            ("ACTION_PHOTO_VERIFICATION_PASSED", "truepic_id"),
            ("ACTION_PHOTO_DELETED", "photo_id"),
            ("ACTION_QUESTION_ANSWERED", "list_item_id"),
        ] {
            for id in ["9", r#""9""#, r#"" 9""#, r#""09""#] {
                assert_eq!(last(&entry(action, "4", &format!(r#""{name}":{id},"#))), "9", "{action} {id}");
                let body = entry(action, "4", "").replace(r#""data":{}"#, &format!(r#""data":{{"{name}":{id}}}"#));
                assert_eq!(last(&body), "9", "{action} {id} in data");
            }
        }
        assert_eq!(
            claims(r#"{"action":"ACTION_STATUS_STARTED","inspection_id":" 07 "}"#)[0],
            "INSPECTION 7 is Started"
        );
    }

    #[test]
    fn a_photo_without_a_number_is_known_by_its_url_without_the_query() {
        let photo = |url: &str, id: &str| {
            let body = format!(
                r#"{{"action":"ACTION_PHOTO_VERIFICATION_PASSED","inspection_id":7,{id}"photo":{{"url":"{url}"}}}}"#
            );
            claims(&body).pop().expect("the photo")
        };
        let first = photo("https://x/a.jpg?X-Amz-Signature=1", "");
        assert_eq!(first, photo("https://x/a.jpg?X-Amz-Signature=2#y", r#""id":4,"#));
        assert_ne!(first, photo("https://x/b.jpg?X-Amz-Signature=1", ""));
        assert_eq!(photo("https://x/a.jpg", r#""photo_id":8,"#), "PHOTO 8 is passed");
    }

    #[test]
    fn the_customers_key_is_the_inspections_and_replaceable_values_stay_among_the_details() {
        for (fields, reference, kept) in [
            (r#""unique_id":"C-1","external_id":"E","#, Some(("C-1", 0)), vec!["external_id"]),
            (
                r#""unique_id":"","external_id":" E ","reference":"R","#,
                Some(("E", 1)),
                vec!["external_id", "reference"],
            ),
            (r#""reference":7,"#, Some(("7", 2)), vec!["reference"]),
            (r#""inspection":{"id":7,"unique_id":"C-1"},"unique_id":"  ","#, Some(("C-1", 0)), vec!["unique_id"]),
            (r#""event":{"id":7,"external_id":"E"},"#, Some(("E", 1)), vec!["external_id"]),
            (r#""unique_id":["C-1"],"reference":null,"#, None, vec!["unique_id"]),
        ] {
            for action in ["ACTION_STATUS_STARTED", "ACTION_CONSUMER_REPLY", "ACTION_PDF_READY"] {
                let reading = reading(&format!(r#"{{"action":"{action}",{fields}"inspection_id":7}}"#));
                let inspection = &reading.events[0];
                let found = inspection.reference.as_ref().map(|found| (found.value.as_str(), found.precedence));
                assert_eq!(found, reference, "{action} {fields}");
                let mut names = detail_names(inspection);
                names.retain(|name| REFERENCE_PATHS.contains(name));
                names.sort_unstable();
                assert!(kept.iter().all(|name| names.contains(name)), "{action} {fields}: {names:?}");
            }
        }
    }

    #[test]
    fn actions_are_known_in_other_spellings() {
        for action in ["action_inspection_cancelled", "ACTION-INSPECTION-CANCELED", "Action Inspection Canceled"] {
            let body = format!(r#"{{"action":"{action}","inspection_id":7}}"#);
            assert_eq!(claims(&body), ["INSPECTION 7 is Canceled", "SESSION 7 is Canceled"]);
            assert_eq!(reading(&body).event, action);
        }
    }

    #[test]
    fn a_bounce_concerns_the_message_and_the_contact() {
        let body = r#"{"action": "ACTION_MESSAGE_EMAIL_BOUNCED", "inspection_id": 7, "message_id": "DGn"}"#;
        assert_eq!(claims(body), ["MESSAGE DGn facts", "CONTACT 7/email facts"]);
    }

    #[test]
    fn fields_of_the_inspection_are_added_to_the_inspection() {
        let body = r#"{"action": "ACTION_PDF_READY", "inspection_id": 7, "size": 5, "custom_field_values": ["abc", null],
            "inspection": {"id": 7, "outcome": {"id": 29, "name": "Approved"}, "team_id": 182}}"#;
        assert_eq!(claims(body), ["INSPECTION 7 at least Created", "PDF 7 is PDF ready"]);
        let reading = reading(body);
        let [inspection, pdf] = reading.events.as_slice() else { panic!("two events") };
        let outcome = Summary { outcome: Some("Approved".into()), ..Summary::default() };
        assert_eq!(inspection.facts, [FactGroup::Summary(outcome)]);
        assert_eq!(detail_names(inspection), ["custom_field_values", "outcome", "team_id"]);
        assert_eq!(detail_names(pdf), ["size"]);
    }

    #[test]
    fn what_is_not_recognized_has_a_reason() {
        assert_eq!(
            why_not(r#"{"action": "ACTION_PHOTO_VERIFICATION_PASSED", "inspection_id": 7}"#),
            "it names no photo"
        );
        assert_eq!(why_not(r#"{"action": "ACTION_QUESTION_ANSWERED", "inspection_id": 7}"#), "it names no list item");
        assert_eq!(why_not(r#"{"action": "ACTION_STATUS_STARTED", "inspection_id": [7]}"#), "it names no inspection");
        assert_eq!(why_not(r#"{"action": "ACTION_OF_TOMORROW", "inspection_id": 7}"#), "no such action is known");
        assert_eq!(why_not(r#"{"event": {"id": 7}}"#), "it names no action");
        assert!(
            why_not(r#"{"type": "captures.created", "data": {"id": "6f1c"}}"#).starts_with("a body of Truepic Lens")
        );
    }
}
