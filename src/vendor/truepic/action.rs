//! A body whose inspection is known, and what its action says of the inspection, its session and their items.

use super::{ANSWER, CONTACT, MESSAGE, PDF, PHOTO, REFERENCE_PATHS, TruepicParseError};
use crate::event::{Answer, Contact, Details, Document, Event, Message, Photo, Reference, Summary, VendorTime};
use crate::machine::EntityType;
use crate::vendor::fields::{JsonFields, content_id, json_value, url_without_query};
use crate::vendor::lookup::identifier;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// What a timeline's entry says of itself; it would look like the inspection's or the photo's own.
const TIMELINE_ENTRY_FIELDS: [&str; 4] = ["id", "timeline_action_type_id", "updated_at", "is_deleted"];

/// A body whose inspection is known.
pub struct TruepicAction<'a> {
    pub at: VendorTime,
    id: String,
    body: JsonFields<'a>,
    /// What a timeline's entry says about its action.
    data: JsonFields<'a>,
    /// The inspection, in the words of v3 and of v2.
    inspections: Vec<JsonFields<'a>>,
    raw: &'a [u8],
}

/// What a body says of the inspection beside its state.
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

    // The number of the timeline's entry: the inspection has a field of another name.
    fn timeline_entry_id(&self) -> Option<String> {
        let id = self.body.peek_numeric_id("id")?;
        Some(format!("{}/timeline/{id}", self.id))
    }

    /// What nothing else has read.
    pub fn unread_details(&self) -> Details {
        let mut entry = Details::default();
        if self.body.has("timeline_action_type_id") {
            let fields = TIMELINE_ENTRY_FIELDS.into_iter().filter_map(|name| Some((name, self.body.raw(name)?)));
            let fields: BTreeMap<&str, &RawValue> = fields.collect();
            let whole = to_raw_value(&fields).map(|whole| vec![("timeline_entry".to_owned(), whole)]);
            entry = whole.unwrap_or_default().into();
        }
        let data = self.data.unread_details();
        self.body.unread_details().and(entry).and(data)
    }

    /// What is said of the inspection beside its state; whatever the action, it belongs to the inspection.
    pub fn inspection_fields(&self) -> InspectionFields {
        let mut summary = Summary::default();
        let mut details = Details::default();
        let whole = |fields: &JsonFields<'a>, name: &str| -> Details {
            fields.raw(name).map(|whole| vec![(name.to_owned(), whole.to_owned())]).unwrap_or_default().into()
        };
        let reference = self.reference();
        for fields in [&self.body].into_iter().chain(&self.inspections) {
            summary.outcome = summary.outcome.or_else(|| fields.text("outcome"));
            if let Some(outcome) = fields.object("outcome") {
                summary.outcome = summary.outcome.or_else(|| outcome.text("name"));
                details = details.and(whole(fields, "outcome"));
            }
            details = details.and(whole(fields, "custom_field_values"));
            // Only the first place counts as read: what another states can be displaced by the first.
            for (precedence, name) in (0..).zip(REFERENCE_PATHS) {
                let stated = fields.peek(name).map(json_value).as_ref().and_then(identifier);
                let chosen =
                    stated.map(|value| Reference::new(value, precedence)).filter(|it| Some(it) == reference.as_ref());
                match chosen {
                    Some(Reference { precedence: 0, .. }) => _ = fields.raw(name),
                    _ => details = details.and(whole(fields, name)),
                }
            }
        }
        for inspection in &self.inspections {
            details = details.and(inspection.unread_details());
        }
        InspectionFields { reference, summary, details }
    }

    fn reference(&self) -> Option<Reference> {
        (0..).zip(REFERENCE_PATHS).find_map(|(precedence, name)| {
            let stated = [&self.body].into_iter().chain(&self.inspections).filter_map(|fields| fields.peek(name));
            let key = stated.map(json_value).find_map(|value| identifier(&value))?;
            Some(Reference::new(key, precedence))
        })
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
        // A signed URL is another one each time; what comes before its query is the picture's.
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
            verdict => Photo { verdict: Some(verdict.to_owned()), taken_at: self.at.at(), ..fact },
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

    /// From `Ready for Review` a request for more leads back to `In Progress`; elsewhere it leads nowhere.
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
        self.message(Message {
            channel: Some(channel.to_owned()),
            direction: Some("OUTBOUND".to_owned()),
            purpose: Some(purpose.to_owned()),
            status: Some("SENT".to_owned()),
            sent_at: self.at.at(),
            ..Message::default()
        })
    }

    pub fn received(&self, channel: &str) -> Event {
        self.message(Message {
            channel: Some(channel.to_owned()),
            direction: Some("INBOUND".to_owned()),
            purpose: Some("reply".to_owned()),
            status: Some("RECEIVED".to_owned()),
            sent_at: self.at.at(),
            ..Message::default()
        })
    }

    /// Without purpose and time of sending: those are known if the message was reported before.
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

    /// Adds what is said of the inspection to its event; if the action is not about the inspection, to one that only
    /// implies it exists.
    pub fn with_inspection_fields(&self, mut events: Vec<Event>, of: InspectionFields) -> Vec<Event> {
        let InspectionFields { reference, summary, details } = of;
        if reference.is_none() && summary.outcome.is_none() && details.is_empty() {
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

// What repeats an id says nothing else.
fn mark_repeated_id_read(fields: &JsonFields<'_>, name: &str, id: &str) {
    if fields.peek_numeric_id(name).as_deref() == Some(id) {
        fields.numeric_id(name);
    }
}
