//! A body whose inspection is known, and what its action says of the inspection, its session and their items.

use super::{ANSWER, CONTACT, Lacks, MESSAGE, PDF, PHOTO, REFERENCE};
use crate::event::{Answer, Contact, Details, Document, Event, Message, Photo, Reference, Summary, VendorTime};
use crate::machine::Subject;
use crate::vendor::fields::{Fields, address, identity, json};
use crate::vendor::lookup::identifier;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// What a timeline's entry says of itself; it would look like the inspection's or the photo's own.
const OF_THE_ENTRY: [&str; 4] = ["id", "timeline_action_type_id", "updated_at", "is_deleted"];

/// A body whose inspection is known.
pub struct News<'a> {
    pub at: VendorTime,
    id: String,
    body: Fields<'a>,
    /// What a timeline's entry says about its action.
    data: Fields<'a>,
    /// The inspection, in the words of v3 and of v2.
    inspections: Vec<Fields<'a>>,
    raw: &'a [u8],
}

/// What a body says of the inspection beside its state.
pub struct OfInspection {
    reference: Option<Reference>,
    summary: Summary,
    details: Details,
}

impl<'a> News<'a> {
    pub fn of(body: Fields<'a>, raw: &'a [u8]) -> Option<Self> {
        let (v3, v2) = (body.object("inspection"), body.object("event"));
        let id_in = |of: &Option<Fields<'a>>| of.as_ref()?.number_id("id");
        let id = body.number_id("inspection_id").or_else(|| id_in(&v3));
        let id = id.or_else(|| body.number_id("event_id")).or_else(|| id_in(&v2))?;
        let inspections: Vec<_> = v3.into_iter().chain(v2).collect();
        repeated(&body, "event_id", &id);
        inspections.iter().for_each(|inspection| repeated(inspection, "id", &id));
        let at = body.vendor_time("created_at").or_else(|| body.vendor_time("timestamp"));
        let data = body.object("data").unwrap_or_default();
        Some(News { at, id, body, data, inspections, raw })
    }

    fn either_text(&self, name: &str) -> Option<String> {
        self.body.text(name).or_else(|| self.data.text(name))
    }

    fn either_id(&self, name: &str) -> Option<String> {
        self.body.number_id(name).or_else(|| self.data.number_id(name))
    }

    // The number of the timeline's entry: the inspection has a field of another name.
    fn entry_id(&self) -> Option<String> {
        let id = self.body.peek_number_id("id")?;
        Some(format!("{}/timeline/{id}", self.id))
    }

    /// What nothing else has read.
    pub fn rest(&self) -> Details {
        let mut entry = Details::default();
        if self.body.has("timeline_action_type_id") {
            let fields = OF_THE_ENTRY.into_iter().filter_map(|name| Some((name, self.body.raw(name)?)));
            let fields: BTreeMap<&str, &RawValue> = fields.collect();
            let whole = to_raw_value(&fields).map(|whole| vec![("timeline_entry".to_owned(), whole)]);
            entry = whole.unwrap_or_default().into();
        }
        let data = self.data.rest();
        self.body.rest().and(entry).and(data)
    }

    /// What is said of the inspection beside its state; whatever the action, it belongs to the inspection.
    pub fn inspection_fields(&self) -> OfInspection {
        let mut summary = Summary::default();
        let mut details = Details::default();
        let whole = |fields: &Fields<'a>, name: &str| -> Details {
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
            for (precedence, name) in (0..).zip(REFERENCE) {
                let stated = fields.peek(name).map(json).as_ref().and_then(identifier);
                let chosen =
                    stated.map(|value| Reference::new(value, precedence)).filter(|it| Some(it) == reference.as_ref());
                match chosen {
                    Some(Reference { precedence: 0, .. }) => _ = fields.raw(name),
                    _ => details = details.and(whole(fields, name)),
                }
            }
        }
        for inspection in &self.inspections {
            details = details.and(inspection.rest());
        }
        OfInspection { reference, summary, details }
    }

    fn reference(&self) -> Option<Reference> {
        (0..).zip(REFERENCE).find_map(|(precedence, name)| {
            let stated = [&self.body].into_iter().chain(&self.inspections).filter_map(|fields| fields.peek(name));
            let key = stated.map(json).find_map(|value| identifier(&value))?;
            Some(Reference::new(key, precedence))
        })
    }

    fn inspection(&self) -> Event {
        Event::about(Subject::Inspection, &self.id).at(&self.at)
    }

    fn session(&self) -> Event {
        Event::about(Subject::Session, &self.id).of(&self.id).at(&self.at)
    }

    fn item(&self, subject: Subject, id: String) -> Event {
        Event::about(subject, id).of(&self.id).under(Subject::Session, &self.id).at(&self.at)
    }

    fn at_least(&self, state: &'static str) -> Vec<Event> {
        vec![self.inspection().at_least(state), self.session().at_least(state)]
    }

    pub fn status(&self, state: &str) -> Vec<Event> {
        vec![self.inspection().is(state).details(self.rest()), self.session().is(state)]
    }

    /// The device is the one the customer captures with.
    pub fn device_flags(&self) -> Vec<Event> {
        vec![self.inspection().at_least("Created"), self.session().at_least("Created").details(self.rest())]
    }

    pub fn photo(&self, state: &str) -> Result<Vec<Event>, Lacks> {
        let photo = self.body.object("photo").unwrap_or_default();
        let id = self.either_id("truepic_id").or_else(|| self.either_id("photo_id"));
        let id = id.or_else(|| photo.number_id("id"));
        if let Some(id) = &id {
            repeated(&photo, "id", id);
        }
        let url = photo.text("url").or_else(|| self.either_text("url"));
        // A signed URL is another one each time; what comes before its query is the picture's.
        let by_url = || Some(identity(&self.id, address(url.as_deref()?)));
        let id = id.or_else(by_url).or_else(|| self.entry_id()).ok_or("it names no photo")?;
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
        let (of_place, of_photo) = (place.rest(), photo.rest());
        let item = self.item(PHOTO, id).is(state).fact(fact);
        let mut events = self.at_least("In Progress");
        events.push(item.details(self.rest().and(of_photo).and(of_place)));
        Ok(events)
    }

    pub fn answer(&self, state: &str) -> Result<Vec<Event>, Lacks> {
        let question_id = self.either_id("list_item_id");
        let id = question_id.clone().or_else(|| self.entry_id()).ok_or("it names no list item")?;
        let fact = Answer { question_id, ..Answer::default() };
        let mut events = self.at_least("In Progress");
        events.push(self.item(ANSWER, id).is(state).fact(fact).details(self.rest()));
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
        events.extend([self.inspection().requested(), self.session().requested(), self.sent(channel, "request")]);
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
        let id = self.either_id("message_id").or_else(|| self.entry_id());
        let id = id.unwrap_or_else(|| identity(&self.id, &String::from_utf8_lossy(self.raw)));
        let text = self.body.text("message").or_else(|| self.body.text("details"));
        self.item(MESSAGE, id).fact(Message { text, ..message }).details(self.rest())
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
        Event::about(PDF, &self.id).of(&self.id).at(&self.at).is(state).fact(fact).details(self.rest())
    }

    /// Adds what is said of the inspection to its event; if the action is not about the inspection, to one that only
    /// implies it exists.
    pub fn with_inspection_fields(&self, mut events: Vec<Event>, of: OfInspection) -> Vec<Event> {
        let OfInspection { reference, summary, details } = of;
        if reference.is_none() && summary.outcome.is_none() && details.is_empty() {
            return events;
        }
        let is_inspection = |event: &Event| event.about.subject == Subject::Inspection;
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
fn repeated(fields: &Fields<'_>, name: &str, id: &str) {
    if fields.peek_number_id(name).as_deref() == Some(id) {
        fields.number_id(name);
    }
}
