//! PAVE: guided capture of vehicles. Its callbacks are flat and carry a timestamp, except `SESSION:COMPLETE`, which contains
//! the whole result of the session. Not signed: PAVE sends static headers that are configured with the callback.
//!
//! Pages: <https://docs.paveapi.com/integrations/developer-docs/callbacks> and `…/user-session-lifecycle`.

mod machines;
mod result;
#[cfg(test)]
mod tests;

use super::fields::{JsonFields, LayeredFields, content_id};
use super::{DeliveryBody, Unreadable, Vendor, canonical_names};
use crate::event::{Event, Message, Note, ParsedDelivery, Photo, VendorTime};
use crate::machine::{EntityType, ItemKind, JobKind};

pub const VENDOR: Vendor = Vendor {
    name: "pave",
    title: "PAVE",
    machines: machines::MACHINES,
    reference_paths: REFERENCE_PATHS,
    signature: None,
    parse,
};

/// Next to the session or in it.
const REFERENCE_PATHS: &[&str] = &["options.client_id", "vehicle.vin"];

const REPORT: EntityType = EntityType::Job(JobKind::ConditionReport);
const PHOTO: EntityType = EntityType::Item(ItemKind::Photo);

const EVENTS: [&str; 5] =
    ["SESSION:STATUS_CHANGE", "SESSION:STAGE_CHANGE", "SESSION:SMS_PROCESS", "SESSION:NOTE_INSERT", "SESSION:COMPLETE"];

fn parse(delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
    let body = JsonFields::parse_body(delivery.body)?;
    let nested = body.object("session");
    let is_result = nested.as_ref().unwrap_or(&body).peek_text("status").as_deref() == Some("COMPLETE");
    let places = LayeredFields::new([Some(body.clone()), nested.clone()].into_iter().flatten());
    // The session's own key and status win over fields next to the session.
    let own = LayeredFields::new([nested.clone(), Some(body.clone())].into_iter().flatten());
    let key = own.id("session_key");
    // The result of a session without its envelope is recognized by its status.
    let result = || (is_result && key.is_some()).then(|| "SESSION:COMPLETE".to_owned());
    let Some(event) = body.text("event").or_else(result) else {
        return Ok(ParsedDelivery::unrecognized(String::new(), "it names no event"));
    };
    let Some(key) = key else {
        return Ok(ParsedDelivery::unrecognized(event, "it names no session_key"));
    };
    let name = canonical_names::canonical_name(&event, EVENTS).unwrap_or_default();
    let mut at = body.vendor_time("timestamp");
    if name == "SESSION:COMPLETE" {
        for fields in own.iter() {
            at = at.or_else(|| fields.vendor_time("updated_at"));
        }
    }
    let delivery = PaveDelivery {
        session: nested.unwrap_or_else(|| body.clone()),
        body,
        body_first: places,
        session_first: own,
        key,
        at,
    };
    let events = match name {
        "SESSION:STATUS_CHANGE" => delivery.status_change(),
        "SESSION:STAGE_CHANGE" => delivery.stage_change(),
        "SESSION:SMS_PROCESS" => Ok(delivery.sms_process()),
        "SESSION:NOTE_INSERT" => Ok(delivery.note_insert()),
        "SESSION:COMPLETE" => Ok(result::complete(&delivery)),
        _ => Err("no such event is known"),
    };
    Ok(match events {
        Ok(events) => ParsedDelivery { event, occurred_at: delivery.at, events, ..ParsedDelivery::default() },
        Err(why) => ParsedDelivery::unrecognized(event, why),
    })
}

/// A body whose session is known.
struct PaveDelivery<'a> {
    body: JsonFields<'a>,
    /// The session; the body itself if it is flat.
    session: JsonFields<'a>,
    /// The places of the session's objects: next to the session, then in it.
    body_first: LayeredFields<'a>,
    /// The same places in reverse, for the session's own fields.
    session_first: LayeredFields<'a>,
    key: String,
    at: VendorTime,
}

impl PaveDelivery<'_> {
    fn inspection(&self) -> Event {
        Event::new(EntityType::Inspection, &self.key).occurred_at(&self.at)
    }

    fn session(&self) -> Event {
        Event::new(EntityType::Session, &self.key).inspection(&self.key).occurred_at(&self.at)
    }

    fn report(&self) -> Event {
        Event::new(REPORT, &self.key).inspection(&self.key).parent(EntityType::Session, &self.key).occurred_at(&self.at)
    }

    fn item(&self, subject: EntityType, id: &str) -> Event {
        let id = format!("{}/{id}", self.key);
        Event::new(subject, id).inspection(&self.key).parent(EntityType::Session, &self.key).occurred_at(&self.at)
    }

    fn status_change(&self) -> Result<Vec<Event>, &'static str> {
        let status = self.session_first.text("status").ok_or("it names no status")?;
        let mut events =
            vec![self.inspection().state(&status), self.session().state(&status).details(self.body.unread_details())];
        if status == "CONFIRM" {
            events.push(self.report().state(status));
        }
        Ok(events)
    }

    // A photo can be rejected and taken again with the same code: one item, whose history contains the attempts.
    fn stage_change(&self) -> Result<Vec<Event>, &'static str> {
        let code = self.body.numeric_id("photo_code").ok_or("it names no photo_code")?;
        let status = self.body.text("photo_status");
        let photo = Photo {
            url: self.body.text("photo_url"),
            label: self.body.text("photo_label"),
            code: Some(code.clone()),
            verdict: status.clone(),
            message: self.body.text("message"),
            taken_at: self.at.at,
            ..Photo::default()
        };
        let item = self.item(PHOTO, &code).fact(photo).state_if_known(status);
        Ok(vec![
            self.inspection().at_least("PROCESS"),
            self.session().at_least("PROCESS"),
            item.details(self.body.unread_details()),
        ])
    }

    fn sms_process(&self) -> Vec<Event> {
        const STATUSES: &[(&str, &str)] = &[("success", "SENT"), ("error", "FAILED"), ("failed", "FAILED")];
        let body = &self.body;
        let id = self.content_item_id("sms", &["phone", "status"]);
        let status = body.peek_enum("status", STATUSES);
        let message = Message {
            channel: Some("TEXT".into()),
            direction: Some("OUTBOUND".into()),
            status: status.map(str::to_owned),
            recipient: body.text("name"),
            phone: body.text("phone"),
            error: if status == Some("SENT") { None } else { body.text("message") },
            sent_at: self.at.at,
            ..Message::default()
        };
        vec![self.item(EntityType::Item(ItemKind::Message), &id).fact(message).details(body.unread_details())]
    }

    fn note_insert(&self) -> Vec<Event> {
        let body = &self.body;
        let id = self.content_item_id("note", &["title", "description"]);
        let note = Note {
            title: body.text("title"),
            text: body.text("description"),
            author: body.text("user"),
            written_at: self.at.at,
        };
        vec![self.item(EntityType::Item(ItemKind::Note), &id).fact(note).details(body.unread_details())]
    }

    // No id of messages and notes is documented. Without one, time and content identify them.
    fn content_item_id(&self, what: &str, parts: &[&str]) -> String {
        if let Some(id) = self.body.numeric_id(&format!("{what}_id")) {
            return format!("{what}/{id}");
        }
        let at = match (self.at.at, self.at.raw_field.as_deref()) {
            (Some(at), _) => at.to_rfc3339(),
            (None, Some(stated)) => stated.value.get().to_owned(),
            (None, None) => String::new(),
        };
        let parts: Vec<_> = parts.iter().filter_map(|name| self.body.peek_text(name)).collect();
        content_id(what, &format!("{at}/{}", parts.join("/")))
    }
}
