//! PAVE: guided capture of vehicles. Its callbacks are flat and carry their time, except `SESSION:COMPLETE`, which is
//! the whole result of the session. Not signed: PAVE sends the static headers chosen with the callback.
//!
//! Pages: <https://docs.paveapi.com/integrations/developer-docs/callbacks> and `…/user-session-lifecycle`.

mod machines;
mod result;
#[cfg(test)]
mod tests;

use super::fields::{Fields, Places, identity};
use super::{Delivery, Unreadable, Vendor, spelling};
use crate::event::{Event, Message, Note, Nothing, Photo, Reading, VendorTime};
use crate::machine::{ItemKind, JobKind, Subject};

pub const VENDOR: Vendor =
    Vendor { name: "pave", title: "PAVE", machines: machines::MACHINES, references: REFERENCES, signature: None, read };

/// Beside the session or in it.
const REFERENCES: &[&str] = &["options.client_id", "vehicle.vin"];

const REPORT: Subject = Subject::Job(JobKind::ConditionReport);
const PHOTO: Subject = Subject::Item(ItemKind::Photo);

/// The events that are understood, in whatever spelling.
const EVENTS: [&str; 5] =
    ["SESSION:STATUS_CHANGE", "SESSION:STAGE_CHANGE", "SESSION:SMS_PROCESS", "SESSION:NOTE_INSERT", "SESSION:COMPLETE"];

fn read(delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
    let body = Fields::of_body(delivery.body)?;
    let nested = body.object("session");
    let is_result = nested.as_ref().unwrap_or(&body).peek_text("status").as_deref() == Some("COMPLETE");
    let places = Places::new([Some(body.clone()), nested.clone()].into_iter().flatten());
    // The session's own key and status count before what stands beside it.
    let own = Places::new([nested.clone(), Some(body.clone())].into_iter().flatten());
    let key = own.id("session_key");
    // The result of a session without its envelope is recognized by its status.
    let result = || (is_result && key.is_some()).then(|| "SESSION:COMPLETE".to_owned());
    let Some(event) = body.text("event").or_else(result) else {
        return Ok(unknown(String::new(), "it names no event"));
    };
    let Some(key) = key else {
        return Ok(unknown(event, "it names no session_key"));
    };
    let name = spelling::declared(&event, EVENTS).unwrap_or_default();
    let mut at = body.vendor_time("timestamp");
    if name == "SESSION:COMPLETE" {
        for fields in own.iter() {
            at = at.or_else(|| fields.vendor_time("updated_at"));
        }
    }
    let said = Said { session: nested.unwrap_or_else(|| body.clone()), body, places, own, key, at };
    let events = match name {
        "SESSION:STATUS_CHANGE" => said.status_change(),
        "SESSION:STAGE_CHANGE" => said.stage_change(),
        "SESSION:SMS_PROCESS" => Ok(said.sms_process()),
        "SESSION:NOTE_INSERT" => Ok(said.note_insert()),
        "SESSION:COMPLETE" => Ok(result::complete(&said)),
        _ => Err("no such event is known"),
    };
    Ok(match events {
        Ok(events) => Reading { event, occurred_at: said.at, events, ..Reading::default() },
        Err(why) => unknown(event, why),
    })
}

fn unknown(event: String, why: &str) -> Reading {
    Reading { event, nothing: Some(Nothing::Unrecognized(why.to_owned())), ..Reading::default() }
}

/// A body whose session is known.
struct Said<'a> {
    body: Fields<'a>,
    /// The session; the body itself, if that is flat.
    session: Fields<'a>,
    /// Where the session's objects may be: beside it, and in it. What stands beside it wins.
    places: Places<'a>,
    /// The same the other way round, for what is the session's own.
    own: Places<'a>,
    key: String,
    at: VendorTime,
}

impl Said<'_> {
    fn inspection(&self) -> Event {
        Event::about(Subject::Inspection, &self.key).at(&self.at)
    }

    fn session(&self) -> Event {
        Event::about(Subject::Session, &self.key).of(&self.key).at(&self.at)
    }

    fn report(&self) -> Event {
        Event::about(REPORT, &self.key).of(&self.key).under(Subject::Session, &self.key).at(&self.at)
    }

    fn item(&self, subject: Subject, id: &str) -> Event {
        let id = format!("{}/{id}", self.key);
        Event::about(subject, id).of(&self.key).under(Subject::Session, &self.key).at(&self.at)
    }

    fn status_change(&self) -> Result<Vec<Event>, &'static str> {
        let status = self.own.text("status").ok_or("it names no status")?;
        let mut events = vec![self.inspection().is(&status), self.session().is(&status).details(self.body.rest())];
        if status == "CONFIRM" {
            events.push(self.report().is(status));
        }
        Ok(events)
    }

    // The same photo code can be rejected and taken again: one item, whose history tells the attempts.
    fn stage_change(&self) -> Result<Vec<Event>, &'static str> {
        let code = self.body.number_id("photo_code").ok_or("it names no photo_code")?;
        let status = self.body.text("photo_status");
        let photo = Photo {
            url: self.body.text("photo_url"),
            label: self.body.text("photo_label"),
            code: Some(code.clone()),
            verdict: status.clone(),
            message: self.body.text("message"),
            taken_at: self.at.at(),
            ..Photo::default()
        };
        let item = self.item(PHOTO, &code).fact(photo);
        let item = match status {
            Some(status) => item.is(status),
            None => item,
        };
        Ok(vec![
            self.inspection().at_least("PROCESS"),
            self.session().at_least("PROCESS"),
            item.details(self.body.rest()),
        ])
    }

    fn sms_process(&self) -> Vec<Event> {
        const STATUSES: &[(&str, &str)] = &[("success", "SENT"), ("error", "FAILED"), ("failed", "FAILED")];
        let body = &self.body;
        let id = self.item_id("sms", &["phone", "status"]);
        // The vendor's word stays among the details.
        let status = body.peek_word("status", STATUSES);
        let message = Message {
            channel: Some("TEXT".into()),
            direction: Some("OUTBOUND".into()),
            status: status.map(str::to_owned),
            recipient: body.text("name"),
            phone: body.text("phone"),
            error: if status == Some("SENT") { None } else { body.text("message") },
            sent_at: self.at.at(),
            ..Message::default()
        };
        vec![self.item(Subject::Item(ItemKind::Message), &id).fact(message).details(body.rest())]
    }

    fn note_insert(&self) -> Vec<Event> {
        let body = &self.body;
        let id = self.item_id("note", &["title", "description"]);
        let note = Note {
            title: body.text("title"),
            text: body.text("description"),
            author: body.text("user"),
            written_at: self.at.at(),
        };
        vec![self.item(Subject::Item(ItemKind::Note), &id).fact(note).details(body.rest())]
    }

    // Messages and notes have no documented id: without one, their time and content are their identity.
    fn item_id(&self, what: &str, parts: &[&str]) -> String {
        if let Some(id) = self.body.number_id(&format!("{what}_id")) {
            return format!("{what}/{id}");
        }
        let at = match (self.at.at(), self.at.stated()) {
            (Some(at), _) => at.to_rfc3339(),
            (None, Some(stated)) => stated.value.get().to_owned(),
            (None, None) => String::new(),
        };
        let parts: Vec<_> = parts.iter().filter_map(|name| self.body.peek_text(name)).collect();
        identity(what, &format!("{at}/{}", parts.join("/")))
    }
}
