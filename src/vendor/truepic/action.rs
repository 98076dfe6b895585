//! A body whose inspection is known, and the events of its action: about the inspection, its session and their items.

use super::{ANSWER, CONTACT, MESSAGE, PDF, PHOTO, REFERENCE_PATHS, TruepicParseError};
use crate::event::{Answer, Contact, Details, Document, Event, Message, Photo, Reference, Summary, VendorTime};
use crate::machine::EntityType;
use crate::vendor::fields::{JsonFields, content_id, url_without_query};
use crate::vendor::read_reference;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// The fields of the timeline's entry itself. Among the details they would look like fields of the inspection or photo.
const TIMELINE_ENTRY_FIELDS: [&str; 4] = ["id", "timeline_action_type_id", "updated_at", "is_deleted"];

pub struct TruepicAction<'a> {
    pub at: VendorTime,
    id: String,
    body: JsonFields<'a>,
    /// The data of a timeline's entry.
    data: JsonFields<'a>,
    /// The inspection, in the terms of v3 and of v2.
    inspections: Vec<JsonFields<'a>>,
    raw: &'a [u8],
}

/// The fields of the inspection, apart from its state.
pub struct InspectionFields {
    reference: Option<Reference>,
    summary: Summary,
    details: Details,
}

impl<'a> TruepicAction<'a> {
    pub fn parse(body: JsonFields<'a>, raw: &'a [u8]) -> Option<Self> {
        let (v3, v2) = (body.object("inspection"), body.object("event"));
        let id_in = |of: &Option<JsonFields<'a>>| of.as_ref()?.numeric_id("id");
        let id = body.numeric_id("inspection_id").or_else(|| id_in(&v3));
        let id = id.or_else(|| body.numeric_id("event_id")).or_else(|| id_in(&v2))?;
        let inspections: Vec<_> = v3.into_iter().chain(v2).collect();
        mark_repeated_id_read(&body, "event_id", &id);
        inspections.iter().for_each(|inspection| mark_repeated_id_read(inspection, "id", &id));
        let at = body.vendor_time("created_at").or_else(|| body.vendor_time("timestamp"));
        let data = body.object("data").unwrap_or_default();
        Some(TruepicAction { at, id, body, data, inspections, raw })
    }

    fn either_text(&self, name: &str) -> Option<String> {
        self.body.text(name).or_else(|| self.data.text(name))
    }

    fn either_id(&self, name: &str) -> Option<String> {
        self.body.numeric_id(name).or_else(|| self.data.numeric_id(name))
    }

    // The id of the timeline's entry. The inspection's id is in a field of another name.
    fn timeline_entry_id(&self) -> Option<String> {
        let id = self.body.peek_numeric_id("id")?;
        Some(format!("{}/timeline/{id}", self.id))
    }

    pub fn unread_details(&self) -> Details {
        let entry = self.body.peek("timeline_action_type_id").and_then(|_| {
            let fields = TIMELINE_ENTRY_FIELDS.into_iter().filter_map(|name| Some((name, self.body.raw(name)?)));
            to_raw_value(&fields.collect::<BTreeMap<&str, &RawValue>>()).ok()
        });
        let data = self.data.unread_details();
        self.body.unread_details().and(Details::of("timeline_entry", entry.as_deref())).and(data)
    }

    /// They belong to the inspection, whatever the action is about.
    pub fn inspection_fields(&self) -> InspectionFields {
        let mut summary = Summary::default();
        let mut details = Details::default();
        let whole = |fields: &JsonFields<'a>, name: &str| Details::of(name, fields.raw(name));
        let objects: Vec<_> = std::iter::once(&self.body).chain(&self.inspections).collect();
        let reference = read_reference(&objects, &REFERENCE_PATHS);
        // The value of the first field is final. Values of the others may be replaced later, and stay among the details.
        let is_final = |fields: &JsonFields<'a>, name: &str| {
            let stated = || fields.peek_id_at_path(name).map(|value| Reference::new(value, 0));
            name == REFERENCE_PATHS[0] && reference.is_some() && stated() == reference
        };
        for fields in objects {
            summary.outcome = summary.outcome.or_else(|| fields.text("outcome"));
            if let Some(outcome) = fields.object("outcome") {
                summary.outcome = summary.outcome.or_else(|| outcome.text("name"));
                details = details.and(whole(fields, "outcome"));
            }
            details = details.and(whole(fields, "custom_field_values"));
            for name in REFERENCE_PATHS {
                match is_final(fields, name) {
                    true => fields.mark_read(name),
                    false => details = details.and(whole(fields, name)),
                }
            }
        }
        for inspection in &self.inspections {
            details = details.and(inspection.unread_details());
        }
        InspectionFields { reference, summary, details }
    }

    fn inspection(&self) -> Event {
        Event::new(EntityType::Inspection, &self.id).occurred_at(&self.at)
    }

    fn session(&self) -> Event {
        Event::new(EntityType::Session, &self.id).inspection(&self.id).occurred_at(&self.at)
    }

    fn item(&self, subject: EntityType, id: String) -> Event {
        Event::new(subject, id).inspection(&self.id).parent(EntityType::Session, &self.id).occurred_at(&self.at)
    }

    fn at_least(&self, state: &'static str) -> Vec<Event> {
        vec![self.inspection().at_least(state), self.session().at_least(state)]
    }

    pub fn status(&self, state: &str) -> Vec<Event> {
        vec![self.inspection().state(state).details(self.unread_details()), self.session().state(state)]
    }

    /// The device is the one the customer captures with.
    pub fn device_flags(&self) -> Vec<Event> {
        vec![self.inspection().at_least("Created"), self.session().at_least("Created").details(self.unread_details())]
    }

    pub fn photo(&self, state: &str) -> Result<Vec<Event>, TruepicParseError> {
        let photo = self.body.object("photo").unwrap_or_default();
        let id = self.either_id("truepic_id").or_else(|| self.either_id("photo_id"));
        let id = id.or_else(|| photo.numeric_id("id"));
        if let Some(id) = &id {
            mark_repeated_id_read(&photo, "id", id);
        }
        let url = photo.text("url").or_else(|| self.either_text("url"));
        // The query of a signed URL changes each time; the rest identifies the picture.
        let by_url = || Some(content_id(&self.id, url_without_query(url.as_deref()?)));
        let id = id.or_else(by_url).or_else(|| self.timeline_entry_id()).ok_or("it names no photo")?;
        let place = self.data.object("location").or_else(|| self.body.object("location")).unwrap_or_default();
        let fact = Photo {
            url: url.clone(),
            latitude: place.number("latitude"),
            longitude: place.number("longitude"),
            message: self.either_text("reason"),
            ..Photo::default()
        };
        let fact = match state {
            "deleted" => fact,
            verdict => Photo { verdict: Some(verdict.to_owned()), taken_at: self.at.at, ..fact },
        };
        let (of_place, of_photo) = (place.unread_details(), photo.unread_details());
        let item = self.item(PHOTO, id).state(state).fact(fact);
        let mut events = self.at_least("In Progress");
        events.push(item.details(self.unread_details().and(of_photo).and(of_place)));
        Ok(events)
    }

    pub fn answer(&self, state: &str) -> Result<Vec<Event>, TruepicParseError> {
        let question_id = self.either_id("list_item_id");
        let id = question_id.clone().or_else(|| self.timeline_entry_id()).ok_or("it names no list item")?;
        let fact = Answer { question_id, ..Answer::default() };
        let mut events = self.at_least("In Progress");
        events.push(self.item(ANSWER, id).state(state).fact(fact).details(self.unread_details()));
        Ok(events)
    }

    pub fn welcome(&self, channel: &str) -> Vec<Event> {
        let mut events = self.at_least("Created");
        events.push(self.sent(channel, "welcome"));
        events
    }

    /// A request for more leads from `Ready for Review` back to `In Progress`; in other states it has no effect.
    pub fn request(&self, channel: &str) -> Vec<Event> {
        let mut events = self.at_least("Created");
        events.extend([
            self.inspection().reopen_requested(),
            self.session().reopen_requested(),
            self.sent(channel, "request"),
        ]);
        events
    }

    pub fn sent(&self, channel: &str, purpose: &str) -> Event {
        self.delivered(channel, "OUTBOUND", purpose, "SENT")
    }

    pub fn received(&self, channel: &str) -> Event {
        self.delivered(channel, "INBOUND", "reply", "RECEIVED")
    }

    fn delivered(&self, channel: &str, direction: &str, purpose: &str, status: &str) -> Event {
        self.message(Message {
            channel: Some(channel.to_owned()),
            direction: Some(direction.to_owned()),
            purpose: Some(purpose.to_owned()),
            status: Some(status.to_owned()),
            sent_at: self.at.at,
            ..Message::default()
        })
    }

    /// Without purpose and time of sending, which were reported when the message was sent.
    pub fn undelivered(&self, status: &str, why: Option<&str>) -> Event {
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
        let id = self.either_id("message_id").or_else(|| self.timeline_entry_id());
        let id = id.unwrap_or_else(|| content_id(&self.id, &String::from_utf8_lossy(self.raw)));
        let text = self.body.text("message").or_else(|| self.body.text("details"));
        self.item(MESSAGE, id).fact(Message { text, ..message }).details(self.unread_details())
    }

    pub fn contact(&self, status: &str) -> Event {
        let fact = Contact { channel: Some("EMAIL".to_owned()), status: Some(status.to_owned()) };
        self.item(CONTACT, format!("{}/email", self.id)).fact(fact)
    }

    pub fn pdf(&self, state: &str) -> Event {
        let fact = Document {
            url: self.either_text("url").or_else(|| self.either_text("pdf_url")),
            error: self.either_text("error").or_else(|| self.either_text("reason")),
        };
        Event::new(PDF, &self.id)
            .inspection(&self.id)
            .occurred_at(&self.at)
            .state(state)
            .fact(fact)
            .details(self.unread_details())
    }

    /// Adds the fields of the inspection to its event. If the action has none, adds an event that only implies that the
    /// inspection exists.
    pub fn with_inspection_fields(&self, mut events: Vec<Event>, of: InspectionFields) -> Vec<Event> {
        let InspectionFields { reference, summary, details } = of;
        if reference.is_none() && summary.outcome.is_none() && details.fields.is_empty() {
            return events;
        }
        let is_inspection = |event: &Event| event.entity.entity_type == EntityType::Inspection;
        if !events.iter().any(is_inspection) {
            events.insert(0, self.inspection().at_least("Created"));
        }
        if let Some(event) = events.iter_mut().find(|event| is_inspection(event)) {
            event.reference = reference;
            event.facts.push(summary.into());
            event.add_details(details);
        }
        events
    }
}

// A repeated id contains no further information.
fn mark_repeated_id_read(fields: &JsonFields<'_>, name: &str, id: &str) {
    if fields.peek_numeric_id(name).as_deref() == Some(id) {
        fields.numeric_id(name);
    }
}
