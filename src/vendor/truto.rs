//! Truto: customers' accounts with third parties, and sync jobs that fetch their records. Each event is in an envelope with
//! an id and a time. Nothing here belongs to an inspection.
//!
//! Pages: <https://truto.one/docs/guides/webhooks/processing-webhook-events> and `…/list-webhook-events`.

mod id_lookup;
mod machines;
mod multipart;
mod records;
mod signature;

use super::canonical_names::canonical_name;
use super::fields::{JsonFields, content_id, json_value};
use super::{DeliveryBody, Unreadable, Vendor, body};
use crate::event::{Account, Details, Event, NoEffect, ParsedDelivery, Run, VendorTime};
use crate::machine::{EntityType, ItemKind, JobKind};
use machines::{ACCOUNT_STATES, MACHINES};
use serde_json::Value;
use serde_json::value::RawValue;

pub const VENDOR: Vendor = Vendor {
    name: "truto",
    title: "Truto",
    machines: MACHINES,
    reference_paths: &id_lookup::REFERENCE_PATHS,
    signature: Some(signature::SIGNATURE),
    parse,
};

const ACCOUNT: EntityType = EntityType::Item(ItemKind::Account);
const RUN: EntityType = EntityType::Job(JobKind::SyncRun);
const RECORD: EntityType = EntityType::Item(ItemKind::Record);

// The events of accounts and of runs, each with the state that it reports; without one, the payload contains the state.
const ACCOUNT_EVENTS: &[(&str, Option<&str>)] = &[
    ("created", None),
    ("updated", None),
    ("active", Some("active")),
    ("reactivated", Some("active")),
    ("authentication_error", Some("needs_reauth")),
    ("validation_error", Some("validation_error")),
    ("post_install_error", Some("post_install_error")),
    ("forbidden_error", None),
    ("post_connect_form_submitted", None),
    ("deleted", Some("deleted")),
];
const RUN_EVENTS: &[(&str, Option<&str>)] = &[
    ("created", Some("created")),
    ("started", Some("running")),
    ("updated", None),
    ("rate_limited", Some("rate_limited")),
    ("completed", Some("completed")),
    ("failed", Some("failed")),
    ("stopped", Some("stopped")),
    ("deleted", Some("deleted")),
];

// The events that concern no entity.
const IGNORED_EVENTS: &[(&str, &str)] = &[
    ("test", "a test of the webhook"),
    ("link_token", "a customer's attempt to connect an account"),
    ("environment_integration", "a third party that is offered in the environment"),
    ("environment_unified_model", "a unified model of the environment"),
    ("api_token", "an API token"),
    ("sync_job_cron_trigger", "a schedule of a sync job"),
    ("batch_job", "a batch of writes to a third party"),
];

const UNKNOWN_EVENT: &str = "no such event is known";

type TrutoEvents = Result<Vec<Event>, NoEffect>;

struct TrutoEnvelope<'a> {
    body: JsonFields<'a>,
    payload: JsonFields<'a>,
    event_id: Option<String>,
    at: VendorTime,
    /// Identifies the delivery: by its id, else by its bytes.
    delivery_key: String,
}

impl TrutoEnvelope<'_> {
    // The unread fields of the envelope, then those of the payload.
    fn unread_details(&self) -> Details {
        let of_payload = self.payload.unread_details();
        self.body.unread_details().and(of_payload)
    }
}

fn parse(delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
    match delivery.content_type.filter(|content_type| body::has_media_type(content_type, multipart::MULTIPART_FORM)) {
        Some(content_type) => read_body(&multipart::envelope_json(content_type, delivery.body)?),
        None => read_body(delivery.body),
    }
}

fn read_body(bytes: &[u8]) -> Result<ParsedDelivery, Unreadable> {
    let body = JsonFields::parse_body(bytes)?;
    // The pages disagree on the field of the event's name.
    let event = body.text("event").or_else(|| body.text("event_type"));
    let payload = body.object("payload").unwrap_or_default();
    let event_id = body.id("id");
    let delivery_key = match &event_id {
        Some(id) => format!("delivery:{}", records::escape_id_segment(id)),
        None => content_id("delivery:", &String::from_utf8_lossy(bytes)),
    };
    let envelope = TrutoEnvelope { event_id, at: body.vendor_time("created_at"), body, payload, delivery_key };
    let meaning = match &event {
        Some(event) => parse_event(&envelope, event),
        None => Err(NoEffect::unrecognized("it names no event")),
    };
    let event = event.unwrap_or_default();
    let (vendor_event_id, occurred_at) = (envelope.event_id, envelope.at);
    Ok(match meaning {
        Ok(events) => ParsedDelivery { event, vendor_event_id, occurred_at, events, no_effect: None },
        Err(why) => ParsedDelivery { event, vendor_event_id, occurred_at, events: Vec::new(), no_effect: Some(why) },
    })
}

fn parse_event(envelope: &TrutoEnvelope<'_>, event: &str) -> TrutoEvents {
    let (what, action) = event.split_once(':').unwrap_or((event, ""));
    let known = ["integrated_account", "sync_job_run", "record"].into_iter();
    let known = known.chain(IGNORED_EVENTS.iter().map(|(name, _)| *name));
    match canonical_name(what, known) {
        Some("integrated_account") => account(envelope, find_event(ACCOUNT_EVENTS, action)?),
        Some("sync_job_run") => match canonical_name(action, ["record", "record_error"]) {
            Some("record") => records::run_records(envelope),
            Some(_) => records::record_errors(envelope),
            None => run(envelope, find_event(RUN_EVENTS, action)?),
        },
        Some("record") => match canonical_name(action, ["created", "updated", "deleted", "meta"]) {
            Some("created" | "updated") => records::third_party_records(envelope, "present"),
            Some("deleted") => records::third_party_records(envelope, "deleted"),
            Some(_) => Err(NoEffect::Recognized("data about a third party's webhook, without records".to_owned())),
            None => Err(NoEffect::unrecognized(UNKNOWN_EVENT)),
        },
        what => {
            let (_, about) = find_event(IGNORED_EVENTS, what.unwrap_or_default())?;
            Err(NoEffect::Recognized(about.to_owned()))
        }
    }
}

fn find_event<T: Copy>(events: &[(&'static str, T)], name: &str) -> Result<(&'static str, T), NoEffect> {
    let name = canonical_name(name, events.iter().map(|(name, _)| *name));
    let event = events.iter().find(|(known, _)| Some(*known) == name);
    event.copied().ok_or_else(|| NoEffect::unrecognized(UNKNOWN_EVENT))
}

fn account(envelope: &TrutoEnvelope<'_>, (event, state): (&str, Option<&str>)) -> TrutoEvents {
    let payload = &envelope.payload;
    // The payload is the current account. Its deletion has an event of its own.
    let states = ACCOUNT_STATES.iter().filter(|state| !state.terminal).map(|state| state.name);
    let status = payload.peek("status").map(json_value);
    let status = status.as_ref().and_then(Value::as_str).and_then(|word| canonical_name(word, states));
    // A creation only means that the account exists: no account is created after it was connected.
    let status = status.filter(|status| event != "created" || *status != "connecting");
    let state = state.or(status);
    let id = payload.id("id").or_else(|| id_lookup::account_id(envelope));
    let id = id.ok_or_else(|| NoEffect::unrecognized("it names no account"))?;
    let reference = id_lookup::reference(envelope);
    let fact = Account {
        // Facts have no precedence, so only the first field of the reference is one.
        tenant_id: reference.as_ref().filter(|tenant| tenant.precedence == 0).map(|tenant| tenant.value.clone()),
        integration: payload.object("integration").and_then(|integration| integration.text("name")),
        authentication: payload.text("authentication_method"),
        last_error: payload.peek("last_error").and_then(error_text),
        sandbox: payload.boolean("is_sandbox"),
    };
    let event = Event::new(ACCOUNT, id).at_least("connecting").state_if_known(state).occurred_at(&envelope.at);
    Ok(vec![event.reference(reference).fact(fact).details(envelope.unread_details())])
}

fn run(envelope: &TrutoEnvelope<'_>, (_, state): (&str, Option<&str>)) -> TrutoEvents {
    let payload = &envelope.payload;
    // Not counted as read: most events name a state themselves.
    let status = payload.peek("status").map(json_value);
    let status = status.as_ref().and_then(Value::as_str).filter(|word| !word.trim().is_empty());
    let state = state.or(status);
    let id = payload.id("id").or_else(|| id_lookup::run_id(envelope));
    let id = id.ok_or_else(|| NoEffect::unrecognized("it names no run"))?;
    let account = payload.id("integrated_account_id").or_else(|| id_lookup::account_id(envelope));
    let fact = Run {
        sync_job_id: payload.id("sync_job_id"),
        account_id: account.clone(),
        resources: payload.json("resources").map(Into::into),
        started_at: payload.time("started_at"),
        finished_at: payload.time("finished_at"),
    };
    let event = Event::new(RUN, id).at_least("created").state_if_known(state).occurred_at(&envelope.at).fact(fact);
    let event = event.reference(id_lookup::reference(envelope)).details(envelope.unread_details());
    Ok(vec![event.parent_if_known(ACCOUNT, account)])
}

// An error is a string or an object with a message. Other values are only details.
fn error_text(error: &RawValue) -> Option<String> {
    let text = match json_value(error) {
        Value::String(text) => text,
        value => value.get("message")?.as_str()?.to_owned(),
    };
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FactGroup;
    use crate::event::StateClaim::{self, AtLeast};

    pub fn reading(body: &str) -> ParsedDelivery {
        let delivery = DeliveryBody { content_type: Some("application/json"), body: body.as_bytes() };
        parse(&delivery).expect("a reading")
    }

    pub fn envelope(event: &str, payload: &str) -> String {
        format!(
            r#"{{"id":"n1","event":"{event}","payload":{payload},"environment_id":"e1","webhook_id":"w1",
            "created_at":"2024-09-10 12:00:00"}}"#
        )
    }

    pub fn parse_events(event: &str, payload: &str) -> Vec<Event> {
        let reading = reading(&envelope(event, payload));
        assert_eq!(reading.no_effect, None, "{event}");
        reading.events
    }

    pub fn ids(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.entity.external_id.as_str()).collect()
    }

    pub fn parent(event: &Event) -> Option<(EntityType, &str)> {
        event.parent.as_ref().map(|parent| (parent.entity_type, parent.external_id.as_str()))
    }

    pub fn detail<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
        event.details.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    /// Each event as its id and its claim about the state.
    pub fn state_claims(events: &[Event]) -> Vec<(&str, String)> {
        let claim = |event: &Event| match &event.state_claim {
            StateClaim::Exact(word) => format!("is {word}"),
            AtLeast(word) => format!("at least {word}"),
            other => format!("{other:?}"),
        };
        events.iter().map(|event| (event.entity.external_id.as_str(), claim(event))).collect()
    }

    pub fn is(state: &str) -> StateClaim {
        StateClaim::Exact(state.to_owned())
    }

    #[test]
    fn the_envelope_gives_id_and_time_whichever_name_the_event_has() {
        let reading = reading(
            r#"{"id":"n1","event_type":"integrated_account:active","payload":{"id":"a1"},
            "created_at":"2024-09-10 12:00:00"}"#,
        );
        assert_eq!(reading.event, "integrated_account:active");
        assert_eq!(reading.vendor_event_id.as_deref(), Some("n1"));
        assert_eq!(reading.occurred_at.at.map(|at| at.timestamp()), Some(1_725_969_600));
        assert_eq!(reading.events[0].occurred_at.at, reading.occurred_at.at);
    }

    #[test]
    fn accounts_take_the_state_of_the_event_or_a_status_that_is_known() {
        for (action, status, expected) in [
            ("created", r#""active""#, is("active")),
            ("created", r#""connecting""#, AtLeast("connecting")),
            ("created", r#""new""#, AtLeast("connecting")),
            ("created", r#""deleted""#, AtLeast("connecting")),
            ("updated", r#""post_install_error""#, is("post_install_error")),
            ("updated", r#""connecting""#, is("connecting")),
            ("updated", r#""Needs-Reauth""#, is("needs_reauth")),
            ("updated", r#""new""#, AtLeast("connecting")),
            ("updated", "[]", AtLeast("connecting")),
            ("active", r#""connecting""#, is("active")),
            ("reactivated", "null", is("active")),
            ("authentication_error", r#""active""#, is("needs_reauth")),
            ("validation_error", "null", is("validation_error")),
            ("post_install_error", "null", is("post_install_error")),
            ("forbidden_error", r#""needs_reauth""#, is("needs_reauth")),
            ("forbidden_error", r#""active""#, is("active")),
            ("forbidden_error", "null", AtLeast("connecting")),
            ("post_connect_form_submitted", r#""active""#, is("active")),
            ("post_connect_form_submitted", r#""new""#, AtLeast("connecting")),
            ("deleted", "null", is("deleted")),
        ] {
            let events =
                parse_events(&format!("integrated_account:{action}"), &format!(r#"{{"id":"a1","status":{status}}}"#));
            assert_eq!(events[0].state_claim, expected, "{action} {status}");
            assert_eq!(detail(&events[0], "status"), (status != "null").then_some(status), "{action} {status}");
        }
    }

    #[test]
    fn an_account_has_its_tenant_and_its_newest_error() {
        let payload = r#"{"id":"a1","tenant_id":"t1","is_sandbox":true,"environment_id":"e1","authentication_method":"oauth2","region":"us",
            "integration":{"id":"i1","name":"hubspot"},"last_error":{"message":"Missing scope.","status":403}}"#;
        let event = &parse_events("integrated_account:forbidden_error", payload)[0];
        assert_eq!((event.entity.entity_type, ids(std::slice::from_ref(event))), (ACCOUNT, vec!["a1"]));
        assert_eq!(event.reference.as_ref().map(|r| r.value.as_str()), Some("t1"));
        let fact = Account {
            tenant_id: Some("t1".into()),
            integration: Some("hubspot".into()),
            authentication: Some("oauth2".into()),
            last_error: Some("Missing scope.".into()),
            sandbox: Some(true),
        };
        assert_eq!(event.facts, [FactGroup::Account(fact)]);
        let names: Vec<_> = event.details.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["environment_id", "webhook_id", "region", "integration", "last_error"]);
        assert_eq!((&event.inspection_external_id, event.orphan_reason), (&None, None));
    }

    #[test]
    fn a_run_takes_the_events_state_and_belongs_to_its_account() {
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
            let event = &parse_events(&format!("sync_job_run:{action}"), payload)[0];
            assert_eq!(event.state_claim, expected, "{action}");
            assert_eq!(parent(event), Some((ACCOUNT, "a1")));
            assert_eq!(detail(event, "args"), Some(r#"{"job":1}"#));
            assert_eq!(detail(event, "status"), Some(r#""stopped""#));
            assert_eq!((&event.inspection_external_id, event.orphan_reason, &event.reference), (&None, None, &None));
        }
        assert_eq!(parse_events("sync_job_run:updated", r#"{"id":"r1"}"#)[0].state_claim, AtLeast("created"));
    }

    #[test]
    fn the_customers_key_is_taken_from_the_payload_and_else_from_the_envelope() {
        for (payload, beside, reference) in [
            (r#""tenant_id":"t1""#, r#""tenant_id":"t2","#, Some(("t1", 0))),
            (r#""tenant_id":"""#, r#""tenant_id":"t2","#, Some(("t2", 1))),
            (r#""tenant_id":null"#, r#""tenant_id":" t2 ","#, Some(("t2", 1))),
            (r#""integrated_account":{"tenant_id":"t3"}"#, "", Some(("t3", 2))),
            (r#""args":{"tenant_id":"t4"}"#, "", Some(("t4", 3))),
            (r#""args":"{\"tenant_id\":4}""#, "", Some(("4", 3))),
            (r#""args":{"tenant_id":"  "}"#, r#""tenant_id":[],"#, None),
        ] {
            for event in ["integrated_account:active", "sync_job_run:started"] {
                let body = format!(r#"{{"event":"{event}",{beside}"payload":{{"id":"x",{payload}}}}}"#);
                let event = reading(&body).events.remove(0);
                let found = event.reference.as_ref().map(|reference| (reference.value.as_str(), reference.precedence));
                assert_eq!(found, reference, "{body}");
                // What can be displaced by another field's word stays among the details.
                if reference.is_some_and(|(_, precedence)| precedence == 1) {
                    assert!(detail(&event, "tenant_id").is_some(), "{body}");
                }
            }
        }
    }

    #[test]
    fn an_invalid_time_is_flagged_and_stays_among_the_details() {
        let payload = r#"{"id":"r1","started_at":"soon","finished_at":"2023-06-16T09:30:00.000Z"}"#;
        let event = &parse_events("sync_job_run:updated", payload)[0];
        assert!(event.invalid_time);
        assert_eq!(detail(event, "started_at"), Some(r#""soon""#));
        let reading =
            reading(r#"{"id":"n1","event":"sync_job_run:started","payload":{"id":"r1"},"created_at":"soon"}"#);
        assert!(reading.events[0].occurred_at.at.is_none() && reading.events[0].occurred_at.raw_field.is_some());
        assert_eq!(detail(&reading.events[0], "created_at"), Some(r#""soon""#));
    }

    #[test]
    fn names_of_events_are_known_in_other_spellings() {
        for (event, state) in [
            ("Integrated_Account:Active", "is active"),
            ("integrated-account:ACTIVE", "is active"),
            ("integratedAccount:authenticationError", "is needs_reauth"),
        ] {
            assert_eq!(state_claims(&parse_events(event, r#"{"id":"a1"}"#)), [("a1", state.to_owned())]);
        }
    }

    #[test]
    fn a_form_has_the_meaning_of_its_json() {
        let payload = r#"{"sync_job_run_id":"r1","resource":"x","records":[{"id":"7"}]}"#;
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"event\"\r\n\r\nsync_job_run:record\r\n\
             --b\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\nn1\r\n\
             --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF\r\n\
             --b\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{payload}\r\n--b--\r\n"
        );
        let content_type = Some("multipart/form-data; boundary=\"b\"");
        let reading = parse(&DeliveryBody { content_type, body: form.as_bytes() }).expect("a reading");
        assert_eq!((reading.event.as_str(), reading.vendor_event_id.as_deref()), ("sync_job_run:record", Some("n1")));
        assert_eq!(ids(&reading.events), ["r1", "r1/x/7"]);
        assert_eq!(detail(&reading.events[0], "files"), Some(r#"[{"bytes":4,"name":"a.pdf"}]"#));
        let deep = form.replace(payload, &"[".repeat(100_000));
        assert!(
            parse(&DeliveryBody { content_type, body: deep.as_bytes() }).is_ok_and(|reading| reading.events.is_empty())
        );
        let deep = form.replace(payload, &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(parse(&DeliveryBody { content_type, body: deep.as_bytes() }).is_err());
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
            let no_effect = reading(&envelope(event, r#"{"id":"x"}"#)).no_effect;
            assert!(matches!(no_effect, Some(NoEffect::Recognized(_))), "{event}: {no_effect:?}");
        }
        for event in ["", "sync_job_run", "sync_job_run:new", "integrated_account:new", "record:new", "new:created"] {
            let no_effect = reading(&envelope(event, r#"{"id":"x","records":[1]}"#)).no_effect;
            assert!(matches!(no_effect, Some(NoEffect::Unrecognized(_))), "{event}: {no_effect:?}");
        }
        for event in ["sync_job_run:started", "integrated_account:active", "record:created", "sync_job_run:record"] {
            for payload in ["null", "[]", r#""x""#, "{}", r#"{"id":{}}"#] {
                let no_effect = reading(&envelope(event, payload)).no_effect;
                assert!(matches!(no_effect, Some(NoEffect::Unrecognized(_))), "{event} {payload}: {no_effect:?}");
            }
        }
    }
}
