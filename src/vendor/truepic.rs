//! Truepic Vision: photo inspections that the customer takes with an app. No page prints the webhook's body. Certain
//! are the actions and that each names its inspection; the rest is read in every shape that Truepic's pages and types
//! suggest: flat, like an entry of the inspection's timeline, and in the words of API v2, where an inspection is an
//! *event*.
//!
//! Pages: <https://vision.truepic.dev/docs/webhooks>, `…/docs/webhook-setup` and `…/v3/docs/inspection-statuses`; the
//! timeline's entries stand in <https://github.com/TRUEPIC/vision-api-types>.

mod machines;
mod signature;

use super::fields::{Fields, identity};
use super::{Delivery, Unreadable, Vendor};
use crate::event::{Answer, Contact, Details, Document, Event, Message, Nothing, Photo, Reading, Summary};
use crate::machine::{ItemKind, JobKind, Subject};
use chrono::{DateTime, Utc};

pub const VENDOR: Vendor = Vendor {
    name: "truepic",
    title: "Truepic Vision",
    machines: machines::MACHINES,
    references: &[],
    signature: Some(signature::SIGNATURE),
    read,
};

const PDF: Subject = Subject::Job(JobKind::Pdf);
const PHOTO: Subject = Subject::Item(ItemKind::Photo);
const ANSWER: Subject = Subject::Item(ItemKind::Answer);
const MESSAGE: Subject = Subject::Item(ItemKind::Message);
const CONTACT: Subject = Subject::Item(ItemKind::Contact);

fn read(delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
    let body = Fields::of_body(delivery.body)?;
    let Some(event) = action(&body) else {
        // Truepic Lens, the sibling product, signs alike and can be pointed at the same URL.
        return Ok(match body.text("type") {
            Some(lens) => unknown(lens, "a body of Truepic Lens: it has a type, but no action and no inspection"),
            None => unknown(String::new(), "it names no action"),
        });
    };
    let Some(news) = News::of(body, delivery.body) else {
        return Ok(unknown(event, "it names no inspection"));
    };
    let known = news.inspection_fields();
    match events(&event, &news) {
        Ok(events) => {
            let events = with_inspection_fields(events, &news, known);
            Ok(Reading { event, occurred_at: news.at.into(), events, ..Reading::default() })
        }
        Err(why) => Ok(unknown(event, why)),
    }
}

fn unknown(event: String, why: &str) -> Reading {
    Reading { event, nothing: Some(Nothing::Unrecognized(why.to_owned())), ..Reading::default() }
}

// In v2 words `event` can be the inspection, which is an object and no name.
fn action(body: &Fields<'_>) -> Option<String> {
    body.text("action")
        .or_else(|| body.object("action_type")?.text("id_internal"))
        .or_else(|| body.text("action_type"))
        .or_else(|| body.text("event"))
}

fn events(action: &str, news: &News<'_>) -> Result<Vec<Event>, &'static str> {
    Ok(match action {
        "ACTION_INSPECTION_CREATED" => news.status("Created"),
        "ACTION_STATUS_STARTED" => news.status("Started"),
        "ACTION_STATUS_IN_PROGRESS" => news.status("In Progress"),
        "ACTION_STATUS_READY_FOR_REVIEW" => news.status("Ready for Review"),
        "ACTION_INSPECTION_CLOSED" => news.status("Closed"),
        "ACTION_INSPECTION_CANCELED" => news.status("Canceled"),
        "ACTION_DEVICE_FLAGS_CHANGED" => news.device_flags(),
        "ACTION_PHOTO_VERIFICATION_PASSED" => news.photo("passed")?,
        "ACTION_PHOTO_VERIFICATION_WARN" => news.photo("warn")?,
        "ACTION_PHOTO_VERIFICATION_FAILED" => news.photo("failed")?,
        "ACTION_PHOTO_DELETED" => news.photo("deleted")?,
        "ACTION_QUESTION_ANSWERED" => news.answer("answered")?,
        "ACTION_QUESTION_ANSWER_DELETED" => news.answer("deleted")?,
        "ACTION_MESSAGE_WELCOME_TEXT" => news.welcome("TEXT"),
        "ACTION_MESSAGE_WELCOME_EMAIL" => news.welcome("EMAIL"),
        "ACTION_MESSAGE_REQUEST_TEXT" => news.request("TEXT"),
        "ACTION_MESSAGE_REQUEST_EMAIL" => news.request("EMAIL"),
        "ACTION_MESSAGE_REMINDER_TEXT" => vec![news.sent("TEXT", "reminder")],
        "ACTION_MESSAGE_REMINDER_EMAIL" => vec![news.sent("EMAIL", "reminder")],
        "ACTION_MESSAGE_AUTO_REMINDER_TEXT" => vec![news.sent("TEXT", "auto reminder")],
        "ACTION_MESSAGE_AUTO_REMINDER_EMAIL" => vec![news.sent("EMAIL", "auto reminder")],
        "ACTION_MESSAGE_AUTO_REPLY_TEXT" => vec![news.sent("TEXT", "auto reply")],
        "ACTION_MESSAGE_AUTO_REPLY_EMAIL" => vec![news.sent("EMAIL", "auto reply")],
        "ACTION_MESSAGE_AGENT_REPLY_TEXT" => vec![news.sent("TEXT", "agent reply")],
        "ACTION_CONSUMER_REPLY" => vec![news.received("TEXT")],
        "ACTION_MESSAGE_EMAIL_REPLY" => vec![news.received("EMAIL")],
        "ACTION_MESSAGE_EMAIL_BOUNCED" => vec![news.undelivered("BOUNCED", None), news.contact("BOUNCED")],
        "ACTION_MESSAGE_EMAIL_DROPPED" => vec![news.undelivered("DROPPED", Some("the email had previously bounced"))],
        "ACTION_MESSAGE_EMAIL_DROPPED_VIA_UNSUBSCRIBE" => {
            vec![news.undelivered("DROPPED", Some("the customer unsubscribed from emails"))]
        }
        "ACTION_EMAIL_UNSUBSCRIBED" => vec![news.contact("UNSUBSCRIBED").details(news.rest())],
        "ACTION_EMAIL_RESUBSCRIBED" => vec![news.contact("SUBSCRIBED").details(news.rest())],
        "ACTION_PDF_READY" => vec![news.pdf("PDF ready")],
        "ACTION_PDF_FAILED" => vec![news.pdf("PDF failed")],
        _ => return Err("no such action is known"),
    })
}

// A body whose inspection is known.
struct News<'a> {
    id: String,
    at: Option<DateTime<Utc>>,
    body: Fields<'a>,
    /// What a timeline's entry says about its action.
    data: Fields<'a>,
    inspection: Fields<'a>,
    raw: &'a [u8],
}

impl<'a> News<'a> {
    fn of(body: Fields<'a>, raw: &'a [u8]) -> Option<Self> {
        let (v3, v2) = (body.object("inspection"), body.object("event"));
        let id = |of: &Option<Fields<'a>>| of.as_ref().and_then(|inspection| inspection.id("id"));
        let (v3_id, v2_id) = (id(&v3), id(&v2));
        let id = body.id("inspection_id").or(v3_id).or_else(|| body.id("event_id")).or(v2_id)?;
        let at = body.time("created_at").or_else(|| body.time("timestamp"));
        // These are about the timeline's entry, and would look like the inspection's or photo's own.
        if body.has("timeline_action_type_id") {
            for name in ["id", "timeline_action_type_id", "updated_at", "is_deleted"] {
                body.skip(name);
            }
        }
        let data = body.object("data").unwrap_or_default();
        Some(News { id, at, data, inspection: v3.or(v2).unwrap_or_default(), body, raw })
    }

    fn either_id(&self, name: &str) -> Option<String> {
        self.body.id(name).or_else(|| self.data.id(name))
    }

    fn either_text(&self, name: &str) -> Option<String> {
        self.body.text(name).or_else(|| self.data.text(name))
    }

    fn rest(&self) -> Details {
        let data = self.data.rest();
        self.body.rest().and(data)
    }

    // What the body says of the inspection beside its state; whatever the action, it belongs to the inspection.
    fn inspection_fields(&self) -> (Summary, Details) {
        let mut summary = Summary::default();
        let mut details = Vec::new();
        for fields in [&self.body, &self.inspection] {
            summary.outcome = summary.outcome.or_else(|| fields.text("outcome"));
            if let Some(outcome) = fields.object("outcome") {
                summary.outcome = summary.outcome.or_else(|| outcome.text("name"));
                details.extend(fields.raw("outcome").map(|whole| ("outcome".to_owned(), whole.to_owned())));
            }
            if let Some(values) = fields.raw("custom_field_values") {
                details.push(("custom_field_values".to_owned(), values.to_owned()));
            }
        }
        (summary, Details::from(details).and(self.inspection.rest()))
    }

    fn inspection(&self) -> Event {
        Event::about(Subject::Inspection, &self.id).at(self.at)
    }

    fn session(&self) -> Event {
        Event::about(Subject::Session, &self.id).of(&self.id).at(self.at)
    }

    fn item(&self, subject: Subject, id: String) -> Event {
        Event::about(subject, id).of(&self.id).under(Subject::Session, &self.id).at(self.at)
    }

    fn at_least(&self, state: &'static str) -> Vec<Event> {
        vec![self.inspection().at_least(state), self.session().at_least(state)]
    }

    fn status(&self, state: &str) -> Vec<Event> {
        vec![self.inspection().is(state).details(self.rest()), self.session().is(state)]
    }

    // The device is the one the customer captures with.
    fn device_flags(&self) -> Vec<Event> {
        vec![self.inspection().at_least("Created"), self.session().at_least("Created").details(self.rest())]
    }

    fn photo(&self, state: &str) -> Result<Vec<Event>, &'static str> {
        let photo = self.body.object("photo").unwrap_or_default();
        let own_id = photo.id("id");
        let id = self.body.id("truepic_id").or_else(|| self.body.id("photo_id"));
        let id = id.or_else(|| self.data.id("truepic_id")).or(own_id).ok_or("it names no photo")?;
        let place = self.data.object("location").or_else(|| self.body.object("location")).unwrap_or_default();
        let fact = Photo {
            url: photo.text("url").or_else(|| self.either_text("url")),
            latitude: place.number("latitude"),
            longitude: place.number("longitude"),
            message: self.either_text("reason"),
            ..Photo::default()
        };
        let fact = match state {
            "deleted" => fact,
            verdict => Photo { verdict: Some(verdict.to_owned()), taken_at: self.at, ..fact },
        };
        let item = self.item(PHOTO, id).is(state).fact(fact);
        let mut events = self.at_least("In Progress");
        events.push(item.details(place.rest()).details(photo.rest()).details(self.rest()));
        Ok(events)
    }

    fn answer(&self, state: &str) -> Result<Vec<Event>, &'static str> {
        let id = self.either_id("list_item_id").ok_or("it names no list item")?;
        let fact = Answer { question_id: Some(id.clone()), ..Answer::default() };
        let mut events = self.at_least("In Progress");
        events.push(self.item(ANSWER, id).is(state).fact(fact).details(self.rest()));
        Ok(events)
    }

    fn welcome(&self, channel: &str) -> Vec<Event> {
        let mut events = self.at_least("Created");
        events.push(self.sent(channel, "welcome"));
        events
    }

    // From `Ready for Review` a request for more leads back to `In Progress`; elsewhere it leads nowhere.
    fn request(&self, channel: &str) -> Vec<Event> {
        let mut events = self.at_least("Created");
        events.extend([self.inspection().requested(), self.session().requested(), self.sent(channel, "request")]);
        events
    }

    fn sent(&self, channel: &str, purpose: &str) -> Event {
        self.message(Message {
            channel: Some(channel.to_owned()),
            direction: Some("OUTBOUND".to_owned()),
            purpose: Some(purpose.to_owned()),
            status: Some("SENT".to_owned()),
            sent_at: self.at,
            ..Message::default()
        })
    }

    fn received(&self, channel: &str) -> Event {
        self.message(Message {
            channel: Some(channel.to_owned()),
            direction: Some("INBOUND".to_owned()),
            purpose: Some("reply".to_owned()),
            status: Some("RECEIVED".to_owned()),
            sent_at: self.at,
            ..Message::default()
        })
    }

    // Without purpose and time of sending: those are known if the message was reported before.
    fn undelivered(&self, status: &str, why: Option<&str>) -> Event {
        self.message(Message {
            channel: Some("EMAIL".to_owned()),
            direction: Some("OUTBOUND".to_owned()),
            status: Some(status.to_owned()),
            error: self.either_text("reason").or_else(|| why.map(str::to_owned)),
            ..Message::default()
        })
    }

    // Truepic's message ids come from its mailer, so a text may have none.
    fn message(&self, message: Message) -> Event {
        let id = self.either_id("message_id");
        let id = id.unwrap_or_else(|| identity(&self.id, &String::from_utf8_lossy(self.raw)));
        let text = self.body.text("message").or_else(|| self.body.text("details"));
        self.item(MESSAGE, id).fact(Message { text, ..message }).details(self.rest())
    }

    fn contact(&self, status: &str) -> Event {
        let fact = Contact { channel: Some("EMAIL".to_owned()), status: Some(status.to_owned()) };
        self.item(CONTACT, format!("{}/email", self.id)).fact(fact)
    }

    fn pdf(&self, state: &str) -> Event {
        let fact = Document {
            url: self.either_text("url").or_else(|| self.either_text("pdf_url")),
            error: self.either_text("error").or_else(|| self.either_text("reason")),
        };
        Event::about(PDF, &self.id).of(&self.id).at(self.at).is(state).fact(fact).details(self.rest())
    }
}

// They hang on the inspection's event; if the action is not about the inspection, on one that only implies it exists.
fn with_inspection_fields(
    mut events: Vec<Event>,
    news: &News<'_>,
    (summary, details): (Summary, Details),
) -> Vec<Event> {
    if summary.outcome.is_none() && details.is_empty() {
        return events;
    }
    let is_inspection = |event: &Event| event.about.subject == Subject::Inspection;
    if !events.iter().any(is_inspection) {
        events.insert(0, news.inspection().at_least("Created"));
    }
    if let Some(event) = events.iter_mut().find(|event| is_inspection(event)) {
        event.facts.push(summary.into());
        event.add_details(details);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fact, News as Said};

    /// The 31 actions of the vendor's page, and two that only its types name.
    const ACTIONS: &str = "STATUS_STARTED STATUS_IN_PROGRESS STATUS_READY_FOR_REVIEW INSPECTION_CLOSED
        INSPECTION_CANCELED PHOTO_VERIFICATION_PASSED PHOTO_VERIFICATION_FAILED PHOTO_VERIFICATION_WARN PHOTO_DELETED
        QUESTION_ANSWERED QUESTION_ANSWER_DELETED MESSAGE_WELCOME_TEXT MESSAGE_REMINDER_TEXT MESSAGE_REQUEST_TEXT
        MESSAGE_AUTO_REMINDER_TEXT MESSAGE_AUTO_REPLY_EMAIL MESSAGE_AUTO_REPLY_TEXT MESSAGE_AGENT_REPLY_TEXT
        MESSAGE_WELCOME_EMAIL MESSAGE_REMINDER_EMAIL MESSAGE_REQUEST_EMAIL MESSAGE_AUTO_REMINDER_EMAIL
        MESSAGE_EMAIL_REPLY MESSAGE_EMAIL_BOUNCED MESSAGE_EMAIL_DROPPED MESSAGE_EMAIL_DROPPED_VIA_UNSUBSCRIBE
        EMAIL_UNSUBSCRIBED EMAIL_RESUBSCRIBED CONSUMER_REPLY PDF_READY PDF_FAILED
        INSPECTION_CREATED DEVICE_FLAGS_CHANGED";

    fn reading(body: &str) -> Reading {
        read(&Delivery { content_type: None, body: body.as_bytes() }).expect("readable")
    }

    fn why_not(body: &str) -> String {
        let reading = reading(body);
        assert!(reading.events.is_empty());
        match reading.nothing {
            Some(Nothing::Unrecognized(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    // Each event as `kind id news`; of jobs and items the sort.
    fn told(body: &str) -> Vec<String> {
        let tell = |event: &Event| {
            let subject = event.about.subject;
            let name = if subject.subkind().is_empty() { subject.kind().as_str() } else { subject.subkind() };
            let news = match &event.news {
                Said::State(word) => format!("is {word}"),
                Said::AtLeast(word) => format!("at least {word}"),
                Said::Requested => "requested".to_owned(),
                Said::Facts => "facts".to_owned(),
            };
            format!("{name} {} {news}", event.about.external_id)
        };
        reading(body).events.iter().map(tell).collect()
    }

    fn detail_names(event: &Event) -> Vec<&str> {
        event.details.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn every_action_is_known_and_says_only_what_its_machines_know() {
        assert_eq!(ACTIONS.split_whitespace().count(), 33);
        for action in ACTIONS.split_whitespace().map(|name| format!("ACTION_{name}")) {
            let body = format!(r#"{{"action":"{action}","inspection_id":7,"photo_id":8,"list_item_id":9}}"#);
            let reading = reading(&body);
            assert!(reading.nothing.is_none() && !reading.events.is_empty(), "{action}: {:?}", reading.nothing);
            assert_eq!(reading.event, action);
            for event in &reading.events {
                let subject = event.about.subject;
                assert!(subject == Subject::Inspection || event.inspection.as_deref() == Some("7"), "{action}");
                let word = match &event.news {
                    Said::State(word) => word,
                    Said::AtLeast(word) => *word,
                    Said::Requested | Said::Facts => continue,
                };
                assert!(
                    VENDOR.machine(subject).is_some_and(|machine| machine.state(word).is_some()),
                    "{action}: {word}"
                );
            }
        }
    }

    #[test]
    fn the_same_news_is_read_from_every_shape() {
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
            assert_eq!(told(body), ["INSPECTION 1843 is Started", "SESSION 1843 is Started"], "{body}");
            let reading = reading(body);
            assert_eq!(reading.event, "ACTION_STATUS_STARTED");
            for event in &reading.events {
                assert_eq!(event.at.at().map(|at| at.timestamp_millis()), Some(1_709_737_960_118), "{body}");
                assert!(event.details.iter().all(|(name, _)| name == "action_type"), "{body}: {:?}", event.details);
            }
        }
        assert_eq!(reading(r#"{"action": "ACTION_STATUS_STARTED", "inspection_id": 1}"#).occurred_at.at(), None);
    }

    #[test]
    fn a_timeline_entry_names_photo_and_place() {
        let body = r#"{"id": 58216, "inspection_id": 1843, "timeline_action_type_id": 14, "is_deleted": false,
            "action_type": {"id_internal": "ACTION_PHOTO_VERIFICATION_FAILED"}, "location": {}, "device_id": 1,
            "data": {"truepic_id": 12348, "list_item_id": 22347, "reason": "timestamp_old",
                "location": {"latitude": 47.5, "longitude": -122.5, "city": "Dover"}}}"#;
        let photo = "PHOTO 12348 is failed";
        assert_eq!(told(body), ["INSPECTION 1843 at least In Progress", "SESSION 1843 at least In Progress", photo]);
        let reading = reading(body);
        let photo = reading.events.last().expect("the photo");
        let fact = Photo {
            verdict: Some("failed".into()),
            message: Some("timestamp_old".into()),
            latitude: Some(47.5),
            longitude: Some(-122.5),
            ..Photo::default()
        };
        assert_eq!(photo.facts, [Fact::Photo(fact)]);
        assert_eq!(detail_names(photo), ["city", "location", "device_id", "list_item_id"]);
    }

    #[test]
    fn a_request_for_more_is_told_to_inspection_and_session() {
        let body = r#"{"action": "ACTION_MESSAGE_REQUEST_EMAIL", "inspection_id": 7, "message_id": "DGn"}"#;
        let (inspection, session) = ("INSPECTION 7 requested", "SESSION 7 requested");
        assert_eq!(told(body).get(2..), Some(&[inspection.into(), session.into(), "MESSAGE DGn facts".into()][..]));
    }

    #[test]
    fn a_message_without_an_id_is_known_by_its_body() {
        let text = |text| format!(r#"{{"action": "ACTION_CONSUMER_REPLY", "inspection_id": 7, "message": "{text}"}}"#);
        assert_eq!(told(&text("yes")), told(&text("yes")));
        assert_ne!(told(&text("yes")), told(&text("no")));
        assert!(told(&text("yes")).iter().all(|told| told.starts_with("MESSAGE 7/")));
    }

    #[test]
    fn a_bounce_is_told_of_the_message_and_of_the_contact() {
        let body = r#"{"action": "ACTION_MESSAGE_EMAIL_BOUNCED", "inspection_id": 7, "message_id": "DGn"}"#;
        assert_eq!(told(body), ["MESSAGE DGn facts", "CONTACT 7/email facts"]);
    }

    #[test]
    fn what_is_said_of_the_inspection_goes_to_the_inspection() {
        let body = r#"{"action": "ACTION_PDF_READY", "inspection_id": 7, "size": 5, "custom_field_values": ["abc", null],
            "inspection": {"id": 7, "outcome": {"id": 29, "name": "Approved"}, "team_id": 182}}"#;
        assert_eq!(told(body), ["INSPECTION 7 at least Created", "PDF 7 is PDF ready"]);
        let reading = reading(body);
        let [inspection, pdf] = reading.events.as_slice() else { panic!("two events") };
        let outcome = Summary { outcome: Some("Approved".into()), ..Summary::default() };
        assert_eq!(inspection.facts, [Fact::Summary(outcome)]);
        assert_eq!(detail_names(inspection), ["custom_field_values", "outcome", "team_id"]);
        assert_eq!(detail_names(pdf), ["size"]);
    }

    #[test]
    fn what_cannot_be_placed_says_why() {
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
