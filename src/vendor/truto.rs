//! Truto: customers' accounts with third parties, and sync jobs that bring their records. Every event comes in an
//! envelope with an id and a time of its own. Nothing here belongs to an inspection.
//!
//! Pages: <https://truto.one/docs/guides/webhooks/processing-webhook-events> and `…/list-webhook-events`.

mod form;
mod machines;
mod records;
mod signature;

use super::fields::{Fields, json};
use super::{Delivery, Unreadable, Vendor};
use crate::event::{Account, Details, Event, Nothing, Reading, Reference, Run};
use crate::machine::{ItemKind, JobKind, Subject};
use chrono::{DateTime, Utc};
use machines::{ACCOUNT_STATES, MACHINES};
use serde_json::Value;
use serde_json::value::RawValue;

pub const VENDOR: Vendor = Vendor {
    name: "truto",
    title: "Truto",
    machines: MACHINES,
    references: &["tenant_id"],
    signature: Some(signature::SIGNATURE),
    read,
};

const ACCOUNT: Subject = Subject::Item(ItemKind::Account);
const RUN: Subject = Subject::Job(JobKind::SyncRun);
const RECORD: Subject = Subject::Item(ItemKind::Record);

// What Truto reports besides, by the first part of the event's name.
const OTHERS: &[(&str, &str)] = &[
    ("test", "a test of the webhook"),
    ("link_token", "a customer's attempt to connect an account"),
    ("environment_integration", "a third party that is offered in the environment"),
    ("environment_unified_model", "a unified model of the environment"),
    ("api_token", "an API token"),
    ("sync_job_cron_trigger", "a schedule of a sync job"),
    ("batch_job", "a batch of writes to a third party"),
];

// What a delivery means, or why it means nothing.
type Meaning = Result<Vec<Event>, Nothing>;

// A delivery once its envelope is opened.
struct Envelope<'a> {
    body: Fields<'a>,
    payload: Fields<'a>,
    news_id: Option<String>,
    at: Option<DateTime<Utc>>,
}

fn read(delivery: &Delivery<'_>) -> Result<Reading, Unreadable> {
    match delivery.content_type.filter(|content_type| form::is_form(content_type)) {
        Some(content_type) => read_body(&form::envelope(content_type, delivery.body)?),
        None => read_body(delivery.body),
    }
}

fn read_body(body: &[u8]) -> Result<Reading, Unreadable> {
    let body = Fields::of_body(body)?;
    // The pages disagree on the name's name.
    let event = body.text("event").or_else(|| body.text("event_type"));
    let payload = body.object("payload").unwrap_or_default();
    let envelope = Envelope { news_id: body.id("id"), at: body.time("created_at"), body, payload };
    // The webhook that tells it; a run's payload has another field with this name.
    envelope.body.skip("webhook_id");
    // Accounts' payloads repeat it.
    if envelope.body.has("environment_id") {
        envelope.payload.skip("environment_id");
    }
    let meaning = match &event {
        Some(event) => meaning(&envelope, event),
        None => Err(unknown("it names no event")),
    };
    let (events, nothing) = match meaning {
        Ok(events) => (events, None),
        Err(nothing) => (Vec::new(), Some(nothing)),
    };
    let event = event.unwrap_or_default();
    Ok(Reading { event, news_id: envelope.news_id, occurred_at: envelope.at.into(), events, nothing })
}

fn meaning(envelope: &Envelope<'_>, event: &str) -> Meaning {
    match event.split_once(':').unwrap_or((event, "")) {
        ("integrated_account", action) => account(envelope, action),
        ("sync_job_run", "record") => records::synced(envelope),
        ("sync_job_run", "record_error") => records::failed(envelope),
        ("sync_job_run", action) => run(envelope, action),
        ("record", "created" | "updated") => records::reported(envelope, "present"),
        ("record", "deleted") => records::reported(envelope, "deleted"),
        ("record", "meta") => Err(Nothing::Known("what a third party's own webhook says besides records".to_owned())),
        (what, _) => Err(match OTHERS.iter().find(|(name, _)| *name == what) {
            Some((_, about)) => Nothing::Known((*about).to_owned()),
            None => unknown("no such event is known"),
        }),
    }
}

fn unknown(why: &str) -> Nothing {
    Nothing::Unrecognized(why.to_owned())
}

fn account(envelope: &Envelope<'_>, action: &str) -> Meaning {
    let payload = &envelope.payload;
    let word = payload.text("status");
    let status = ACCOUNT_STATES.iter().find(|state| !state.terminal && word.as_deref() == Some(state.name));
    let status = status.map(|state| state.name);
    let state = match action {
        "created" => Some(status.unwrap_or("connecting")),
        "updated" => status,
        "active" | "reactivated" => Some("active"),
        "authentication_error" => Some("needs_reauth"),
        "validation_error" | "post_install_error" | "deleted" => Some(action),
        // Neither changes the status: a call that was forbidden says nothing of the credentials.
        "forbidden_error" | "post_connect_form_submitted" => None,
        _ => return Err(unknown("no such event is known")),
    };
    let id = payload.id("id").ok_or_else(|| unknown("it names no account"))?;
    let tenant_id = payload.id("tenant_id");
    let fact = Account {
        tenant_id: tenant_id.clone(),
        integration: payload.object("integration").unwrap_or_default().text("name"),
        authentication: payload.text("authentication_method"),
        last_error: payload.raw("last_error").map(error_text).filter(|error| !error.is_empty()),
        sandbox: payload.flag("is_sandbox"),
    };
    let event = in_state(Event::about(ACCOUNT, id), state, "connecting");
    let event = event.at(envelope.at).reference(tenant_id.map(|value| Reference::new(value, 0))).fact(fact);
    let event = event.details(keep(payload, "integration")).details(keep(payload, "last_error"));
    let event = event.details(payload.rest()).details(envelope.body.rest());
    Ok(vec![if status.is_none() { event.details(keep(payload, "status")) } else { event }])
}

fn run(envelope: &Envelope<'_>, action: &str) -> Meaning {
    let payload = &envelope.payload;
    let status = payload.text("status");
    let state = match action {
        "created" | "rate_limited" | "completed" | "failed" | "stopped" | "deleted" => Some(action),
        "started" => Some("running"),
        "updated" => status.as_deref(),
        _ => return Err(unknown("no such event is known")),
    };
    let id = payload.id("id").ok_or_else(|| unknown("it names no run"))?;
    let account = payload.id("integrated_account_id");
    let fact = Run {
        sync_job_id: payload.id("sync_job_id"),
        account_id: account.clone(),
        resources: payload.json("resources").map(Into::into),
        started_at: payload.time("started_at"),
        finished_at: payload.time("finished_at"),
    };
    let event = in_state(Event::about(RUN, id), state, "created");
    let event = under(event.at(envelope.at).fact(fact), ACCOUNT, account);
    Ok(vec![event.details(payload.rest()).details(envelope.body.rest())])
}

// News without a state still tells that the thing exists, as it does when something else names it: whichever of the two
// comes first, the state is the same.
fn in_state(event: Event, state: Option<&str>, first: &'static str) -> Event {
    match state {
        Some(state) => event.is(state),
        None => event.at_least(first),
    }
}

fn under(event: Event, subject: Subject, id: Option<String>) -> Event {
    match id {
        Some(id) => event.under(subject, id),
        None => event,
    }
}

// An error comes as text or as an object with a message.
fn error_text(error: &RawValue) -> String {
    match json(error) {
        Value::String(text) => text,
        value => value.get("message").and_then(Value::as_str).unwrap_or(error.get()).to_owned(),
    }
}

// A field as it came, for what was read only in part.
fn keep(fields: &Fields<'_>, name: &str) -> Details {
    fields.raw(name).map(|raw| (name.to_owned(), raw.to_owned())).into_iter().collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fact;
    use crate::event::News::{self, AtLeast};

    pub fn reading(body: &str) -> Reading {
        let delivery = Delivery { content_type: Some("application/json"), body: body.as_bytes() };
        read(&delivery).expect("a reading")
    }

    pub fn envelope(event: &str, payload: &str) -> String {
        format!(
            r#"{{"id":"n1","event":"{event}","payload":{payload},"environment_id":"e1","webhook_id":"w1",
            "created_at":"2024-09-10 12:00:00"}}"#
        )
    }

    pub fn said(event: &str, payload: &str) -> Vec<Event> {
        let reading = reading(&envelope(event, payload));
        assert_eq!(reading.nothing, None, "{event}");
        reading.events
    }

    pub fn ids(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.about.external_id.as_str()).collect()
    }

    pub fn parent(event: &Event) -> Option<(Subject, &str)> {
        event.parent.as_ref().map(|parent| (parent.subject, parent.external_id.as_str()))
    }

    pub fn detail<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
        event.details.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    pub fn is(state: &str) -> News {
        News::State(state.to_owned())
    }

    #[test]
    fn the_envelope_gives_id_and_time_whichever_name_the_event_has() {
        let reading = reading(
            r#"{"id":"n1","event_type":"integrated_account:active","payload":{"id":"a1"},
            "created_at":"2024-09-10 12:00:00"}"#,
        );
        assert_eq!(reading.event, "integrated_account:active");
        assert_eq!(reading.news_id.as_deref(), Some("n1"));
        assert_eq!(reading.occurred_at.at().map(|at| at.timestamp()), Some(1_725_969_600));
        assert_eq!(reading.events[0].at.at(), reading.occurred_at.at());
    }

    #[test]
    fn accounts_take_the_state_of_the_event_or_a_status_that_is_known() {
        for (action, status, expected) in [
            ("created", r#""active""#, is("active")),
            ("created", r#""new""#, is("connecting")),
            ("created", r#""deleted""#, is("connecting")),
            ("updated", r#""post_install_error""#, is("post_install_error")),
            ("updated", r#""new""#, AtLeast("connecting")),
            ("updated", "[]", AtLeast("connecting")),
            ("active", r#""connecting""#, is("active")),
            ("reactivated", "null", is("active")),
            ("authentication_error", r#""active""#, is("needs_reauth")),
            ("validation_error", "null", is("validation_error")),
            ("post_install_error", "null", is("post_install_error")),
            ("forbidden_error", r#""needs_reauth""#, AtLeast("connecting")),
            ("post_connect_form_submitted", r#""active""#, AtLeast("connecting")),
            ("deleted", "null", is("deleted")),
        ] {
            let events = said(&format!("integrated_account:{action}"), &format!(r#"{{"id":"a1","status":{status}}}"#));
            assert_eq!(events[0].news, expected, "{action} {status}");
            let told = ["new", "deleted", "[]"].iter().any(|word| status.contains(word)).then_some(status);
            assert_eq!(detail(&events[0], "status"), told, "{action} {status}");
        }
    }

    #[test]
    fn an_account_has_its_tenant_and_its_newest_error() {
        let payload = r#"{"id":"a1","tenant_id":"t1","is_sandbox":true,"environment_id":"e1","authentication_method":"oauth2","region":"us",
            "integration":{"id":"i1","name":"hubspot"},"last_error":{"message":"Missing scope.","status":403}}"#;
        let event = &said("integrated_account:forbidden_error", payload)[0];
        assert_eq!((event.about.subject, ids(std::slice::from_ref(event))), (ACCOUNT, vec!["a1"]));
        assert_eq!(event.reference.as_ref().map(|r| r.value.as_str()), Some("t1"));
        let fact = Account {
            tenant_id: Some("t1".into()),
            integration: Some("hubspot".into()),
            authentication: Some("oauth2".into()),
            last_error: Some("Missing scope.".into()),
            sandbox: Some(true),
        };
        assert_eq!(event.facts, [Fact::Account(fact)]);
        let names: Vec<_> = event.details.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["integration", "last_error", "region", "environment_id"]);
        assert_eq!((&event.inspection, event.orphan), (&None, None));
    }

    #[test]
    fn a_run_takes_the_events_state_and_hangs_on_its_account() {
        for (action, expected) in [
            ("created", is("created")),
            ("started", is("running")),
            ("rate_limited", is("rate_limited")),
            ("updated", is("stopped")),
            ("completed", is("completed")),
            ("failed", is("failed")),
            ("deleted", is("deleted")),
        ] {
            let payload = r#"{"id":"r1","integrated_account_id":"a1","status":"stopped","args":{"job":1},
                "finished_at":"2023-06-16T09:30:00.000Z"}"#;
            let event = &said(&format!("sync_job_run:{action}"), payload)[0];
            assert_eq!(event.news, expected, "{action}");
            assert_eq!(parent(event), Some((ACCOUNT, "a1")));
            assert_eq!(detail(event, "args"), Some(r#"{"job":1}"#));
            assert_eq!((&event.inspection, event.orphan, &event.reference), (&None, None, &None));
        }
        assert_eq!(said("sync_job_run:updated", r#"{"id":"r1"}"#)[0].news, AtLeast("created"));
    }

    #[test]
    fn a_form_says_what_the_json_says() {
        let payload = r#"{"sync_job_run_id":"r1","resource":"x","records":[{"id":"7"}]}"#;
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"event\"\r\n\r\nsync_job_run:record\r\n\
             --b\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\nn1\r\n\
             --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF\r\n\
             --b\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{payload}\r\n--b--\r\n"
        );
        let content_type = Some("multipart/form-data; boundary=\"b\"");
        let reading = read(&Delivery { content_type, body: form.as_bytes() }).expect("a reading");
        assert_eq!((reading.event.as_str(), reading.news_id.as_deref()), ("sync_job_run:record", Some("n1")));
        assert_eq!(ids(&reading.events), ["r1", "r1/x/7"]);
        assert_eq!(detail(&reading.events[0], "files"), Some(r#"[{"bytes":4,"name":"a.pdf"}]"#));
        let deep = form.replace(payload, &"[".repeat(100_000));
        assert!(read(&Delivery { content_type, body: deep.as_bytes() }).is_ok_and(|reading| reading.events.is_empty()));
        let deep = form.replace(payload, &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(read(&Delivery { content_type, body: deep.as_bytes() }).is_err());
    }

    #[test]
    fn what_concerns_no_entity_is_known_and_the_rest_is_not() {
        for event in [
            "test",
            "link_token:connection_error",
            "environment_integration:created",
            "environment_unified_model:updated",
            "api_token:deleted",
            "record:meta",
            "sync_job_cron_trigger:failed",
            "batch_job:dry_run_failed",
        ] {
            let nothing = reading(&envelope(event, r#"{"id":"x"}"#)).nothing;
            assert!(matches!(nothing, Some(Nothing::Known(_))), "{event}: {nothing:?}");
        }
        for event in ["", "sync_job_run", "sync_job_run:new", "integrated_account:new", "record:new", "new:created"] {
            let nothing = reading(&envelope(event, r#"{"id":"x","records":[1]}"#)).nothing;
            assert!(matches!(nothing, Some(Nothing::Unrecognized(_))), "{event}: {nothing:?}");
        }
        for event in ["sync_job_run:started", "integrated_account:active", "record:created", "sync_job_run:record"] {
            for payload in ["null", "[]", r#""x""#, "{}", r#"{"id":{}}"#] {
                let nothing = reading(&envelope(event, payload)).nothing;
                assert!(matches!(nothing, Some(Nothing::Unrecognized(_))), "{event} {payload}: {nothing:?}");
            }
        }
    }
}
