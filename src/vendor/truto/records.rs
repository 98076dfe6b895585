//! Records that sync runs fetch, records that third parties report, and errors in place of records.

use super::{ACCOUNT, RUN, TrutoEnvelope, TrutoEvents, error_text, id_lookup};
use crate::event::{Details, Event, NoEffect, Record, VendorTime};
use crate::machine::{EntityType, ItemKind};
use crate::vendor::fields::{JsonFields, content_id, json_value};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// The fields that may contain records; the first one that is not empty counts.
const RECORDS: [&str; 3] = ["records", "record", "data"];
const ERRORS: [&str; 2] = ["errors", "error"];

/// Records that a run fetched. They imply that it is running.
pub fn run_records(envelope: &TrutoEnvelope<'_>) -> TrutoEvents {
    let mut page = RecordPage::of_run(envelope, &RECORDS);
    // A page without records concerns the run alone.
    let resource = page.resource.take_if(|_| page.list.is_empty()).and_then(|resource| to_raw_value(&resource).ok());
    let resource = Details::of("resource", resource.as_deref());
    let run = page.run().map(|run| run.details(resource).details(std::mem::take(&mut page.unread_details)));
    let events: Vec<_> = run.into_iter().chain(page.records("present")).collect();
    match events.is_empty() {
        true => Err(NoEffect::unrecognized("it names neither a run nor a record")),
        false => Ok(events),
    }
}

/// Records that a third party reported. If the payload mentions a run, that run did not fetch them.
pub fn third_party_records(envelope: &TrutoEnvelope<'_>, state: &str) -> TrutoEvents {
    let mut page = RecordPage::of_account(envelope, &RECORDS);
    let events = page.records(state);
    match events.is_empty() {
        true => Err(NoEffect::unrecognized("it names no record")),
        false => Ok(events),
    }
}

/// Errors in place of records; with `error_handling: batch` several in one list. The end of a run has an event of its own.
pub fn record_errors(envelope: &TrutoEnvelope<'_>) -> TrutoEvents {
    let mut page = RecordPage::of_run(envelope, &ERRORS);
    if page.run.is_none() && page.list.is_empty() {
        return Err(NoEffect::unrecognized("it names neither a run nor an error"));
    }
    let errors: Vec<_> = match page.list.as_slice() {
        [] => vec![None],
        list => list.iter().copied().map(Some).collect(),
    };
    let mut events: Vec<_> = page.run().into_iter().collect();
    for (number, error) in errors.into_iter().enumerate() {
        let fact = Record { resource: page.resource.clone(), error: error.and_then(error_text), ..Record::default() };
        let event = page.item(ItemKind::RecordError, page.error_id(error, number)).fact(fact);
        events.push(event.details(Details::of("error", error)).details(std::mem::take(&mut page.unread_details)));
    }
    Ok(events)
}

/// Escapes a part of an external id, for use between slashes.
pub fn escape_id_segment(id: &str) -> Cow<'_, str> {
    match id.contains(['/', '%']) {
        true => Cow::Owned(id.replace('%', "%25").replace('/', "%2F")),
        false => Cow::Borrowed(id),
    }
}

// The list of a payload, and where its entries come from.
struct RecordPage<'a> {
    at: VendorTime,
    run: Option<String>,
    account: Option<String>,
    /// Distinguishes records if neither run nor account is named.
    delivery_key: String,
    event_id: Option<String>,
    resource: Option<String>,
    list: Vec<&'a RawValue>,
    // Added to the first entity only: a copy for each record could exhaust the memory.
    unread_details: Details,
}

impl<'a> RecordPage<'a> {
    fn of_run(envelope: &TrutoEnvelope<'a>, lists: &[&str]) -> Self {
        let run = envelope.payload.id("sync_job_run_id").or_else(|| id_lookup::run_id(envelope));
        RecordPage { run, ..RecordPage::of_account(envelope, lists) }
    }

    fn of_account(envelope: &TrutoEnvelope<'a>, lists: &[&str]) -> Self {
        let TrutoEnvelope { payload, at, .. } = envelope;
        let list = lists.iter().map(|name| payload.values(name)).find(|list| !list.is_empty()).unwrap_or_default();
        RecordPage {
            at: at.clone(),
            run: None,
            account: payload.id("integrated_account_id").or_else(|| id_lookup::account_id(envelope)),
            delivery_key: envelope.delivery_key.clone(),
            event_id: envelope.event_id.clone(),
            resource: payload.id("resource"),
            list: list.into_iter().filter(|entry| entry.get() != "null").collect(),
            unread_details: envelope.unread_details(),
        }
    }

    // Distinguishes records with the same id. Records of two customers must never be merged, so without a run or an account they
    // belong to the delivery.
    fn id_prefix(&self) -> Cow<'_, str> {
        match self.run.as_ref().or(self.account.as_ref()) {
            Some(id) => escape_id_segment(id),
            None => Cow::Borrowed(&self.delivery_key),
        }
    }

    fn run(&self) -> Option<Event> {
        let run = Event::new(RUN, self.run.as_ref()?).at_least("running").occurred_at(&self.at);
        Some(run.parent_if_known(ACCOUNT, self.account.clone()))
    }

    fn records(&mut self, state: &str) -> Vec<Event> {
        let owner = match &self.resource {
            Some(resource) => format!("{}/{resource}", self.id_prefix()),
            None => self.id_prefix().into_owned(),
        };
        let mut events = Vec::with_capacity(self.list.len());
        for raw in std::mem::take(&mut self.list) {
            let (record_id, more) = record_id(raw);
            let id = match &record_id {
                Some(id) => format!("{owner}/{}", escape_id_segment(id)),
                None => content_id(&owner, raw.get()),
            };
            // A deletion often contains only the id: the last known data stay.
            let deleted = state == "deleted";
            let data = (!deleted).then(|| json_value(raw).into());
            let fact = Record { resource: self.resource.clone(), record_id, data, error: None };
            let deletion = Details::of("deletion", (deleted && more).then_some(raw));
            let event = self.item(ItemKind::Record, id).state(state).fact(fact);
            events.push(event.details(deletion).details(std::mem::take(&mut self.unread_details)));
        }
        events
    }

    // An error with an id is the same error in every delivery.
    fn error_id(&self, error: Option<&RawValue>, number: usize) -> String {
        let own_id = error.filter(|error| error.get().starts_with('{')).and_then(|error| record_id(error).0);
        match (own_id, &self.event_id) {
            (Some(id), _) => format!("{}/error/{}", self.id_prefix(), escape_id_segment(&id)),
            (None, Some(event)) => format!("{}/{}/{number}", self.id_prefix(), escape_id_segment(event)),
            (None, None) => {
                content_id(&self.id_prefix(), &format!("{:?}/{}", self.at.at, error.map_or("", RawValue::get)))
            }
        }
    }

    fn item(&self, kind: ItemKind, id: String) -> Event {
        let event = Event::new(EntityType::Item(kind), id).occurred_at(&self.at);
        match &self.run {
            Some(run) => event.parent(RUN, run),
            None => event.parent_if_known(ACCOUNT, self.account.clone()),
        }
    }
}

// A record's id, and whether the record contains more than it. A record may be a bare id.
fn record_id(record: &RawValue) -> (Option<String>, bool) {
    let object = match record.get() {
        object if object.starts_with('{') => Cow::Borrowed(object),
        bare => Cow::Owned(format!(r#"{{"id":{bare}}}"#)),
    };
    let Ok(fields) = JsonFields::parse_body(object.as_bytes()) else { return (None, true) };
    let id = fields.id("id");
    (id, !fields.is_fully_read())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{detail, envelope, ids, is, parent, parse_events, reading};
    use super::*;
    use crate::event::{FactGroup, StateClaim};

    #[test]
    fn records_imply_that_their_run_is_running_wherever_its_id_is() {
        for run in [
            r#""sync_job_run_id":"r1""#,
            r#""run_id":"r1""#,
            r#""meta":{"sync_job_run_id":"r1"}"#,
            r#""sync_job_run":{"id":"r1"}"#,
        ] {
            let records = r#"[{"id":7,"name":"x"},{"name":"y"},null,"z"]"#;
            let payload = format!(r#"{{"resource":"crm/contacts","records":{records},"retryAfter":1,{run}}}"#);
            let events = parse_events("sync_job_run:record", &payload);
            let nameless = content_id("r1/crm/contacts", r#"{"name":"y"}"#);
            assert_eq!(ids(&events), ["r1", "r1/crm/contacts/7", &nameless, "r1/crm/contacts/z"], "{run}");
            assert_eq!((&events[0].state_claim, events[0].entity.entity_type), (&StateClaim::AtLeast("running"), RUN));
            assert_eq!(detail(&events[0], "retryAfter"), Some("1"));
            assert!(
                events[1..]
                    .iter()
                    .all(|event| parent(event) == Some((RUN, "r1")) && event.state_claim == is("present"))
            );
            assert!(events[1..].iter().all(|event| event.details.is_empty()), "only once");
            let Some(FactGroup::Record(record)) = events[1].facts.first() else { panic!("a record") };
            assert_eq!(record.record_id.as_deref(), Some("7"));
            assert_eq!(record.data.as_ref().map(|data| data.0.clone()), Some(serde_json::json!({"id":7,"name":"x"})));
        }
    }

    #[test]
    fn records_without_a_run_are_accepted() {
        let events = parse_events("sync_job_run:record", r#"{"records":{"id":"7"},"meta":{"page":1}}"#);
        assert_eq!((ids(&events), parent(&events[0])), (vec!["delivery:n1/7"], None));
        assert_eq!(detail(&events[0], "meta"), Some(r#"{"page":1}"#));
        let no_effect = reading(&envelope("sync_job_run:record", r#"{"resource":"x","records":[]}"#)).no_effect;
        assert_eq!(no_effect, Some(NoEffect::unrecognized("it names neither a run nor a record")));
    }

    #[test]
    fn record_errors_never_end_the_run() {
        let payload = r#"{"sync_job_run_id":"r1","resource":"x","errors":[{"message":"A","status":404},"B"]}"#;
        let events = parse_events("sync_job_run:record_error", payload);
        assert_eq!(ids(&events), ["r1", "r1/n1/0", "r1/n1/1"]);
        assert_eq!(events[0].state_claim, StateClaim::AtLeast("running"));
        let errors: Vec<_> = events[1..].iter().flat_map(|event| &event.facts).collect();
        let error = |text: &str| {
            let (resource, error) = (Some("x".into()), Some(text.into()));
            FactGroup::Record(Record { resource, error, ..Record::default() })
        };
        assert_eq!(errors, [&error("A"), &error("B")]);
        assert!(events[0].details.is_empty(), "the details are with the error");
        assert_eq!(detail(&events[1], "environment_id"), Some(r#""e1""#));
        assert_eq!(ids(&parse_events("sync_job_run:record_error", r#"{"sync_job_run_id":"r1"}"#)), ["r1", "r1/n1/0"]);
    }

    #[test]
    fn a_third_partys_record_belongs_to_the_account_and_can_be_deleted() {
        let payload = r#"{"integrated_account_id":"a1","sync_job_run_id":"r1","resource":"x","records":[{"id":"7"}]}"#;
        for (action, state) in [("created", "present"), ("updated", "present"), ("deleted", "deleted")] {
            let events = parse_events(&format!("record:{action}"), payload);
            assert_eq!((ids(&events), &events[0].state_claim), (vec!["a1/x/7"], &is(state)));
            assert_eq!(parent(&events[0]), Some((ACCOUNT, "a1")));
            let Some(FactGroup::Record(record)) = events[0].facts.first() else { panic!("a record") };
            assert_eq!(record.data.is_some(), action != "deleted");
        }
    }

    #[test]
    fn records_of_two_accounts_or_runs_are_never_one() {
        let page = |id: &str, named: &str| {
            let payload = format!(r#"{{"resource":"crm/contacts","records":[{{"id":"7"}}]{named}}}"#);
            let body = envelope("sync_job_run:record", &payload).replace("n1", id);
            reading(&body).events.into_iter().map(|event| event.entity.external_id).next_back().expect("a record")
        };
        let args = |account: &str| format!(r#","args":{{"integrated_account_id":"{account}"}}"#);
        let run = |run: &str| format!(r#","sync_job_run_id":"{run}","args":{{"integrated_account_id":"a1"}}"#);
        let ids = [
            page("n1", &args("a1")),
            page("n1", &args("a2")),
            page("n1", &args("e1")),
            page("n1", &args("delivery:n1/x")),
            page("n1", &run("r1")),
            page("n1", &run("r2")),
            page("n1", ""),
            page("n2", ""),
        ];
        assert_eq!((ids[0].as_str(), ids[1].as_str()), ("a1/crm/contacts/7", "a2/crm/contacts/7"));
        for (number, id) in ids.iter().enumerate() {
            assert!(!ids[..number].contains(id), "{id}");
        }
        assert_eq!(page("n1", &args("a1")), page("n2", &args("a1")));
    }

    #[test]
    fn slashes_do_not_make_one_record_of_two() {
        let id = |resource: &str, record: &str| {
            let payload =
                format!(r#"{{"integrated_account_id":"a","resource":"{resource}","records":[{{"id":"{record}"}}]}}"#);
            parse_events("record:created", &payload)[0].entity.external_id.clone()
        };
        assert_eq!(id("crm/contacts", "7"), "a/crm/contacts/7");
        assert_eq!(id("crm", "contacts/7"), "a/crm/contacts%2F7");
        assert_ne!(id("crm", "contacts%2F7"), id("crm", "contacts/7"));
    }

    #[test]
    fn an_error_with_an_id_is_one_error_whatever_brings_it() {
        let errors = |delivery: &str, error: &str| {
            let body = envelope("sync_job_run:record_error", &format!(r#"{{"sync_job_run_id":"r1","error":{error}}}"#));
            reading(&body.replace("n1", delivery)).events.remove(1).entity.external_id
        };
        assert_eq!(errors("n1", r#"{"id":"e-5"}"#), "r1/error/e-5");
        assert_eq!(errors("n1", r#"{"id":5,"message":"A"}"#), errors("n2", r#"{"id":" 5 ","message":"B"}"#));
        assert_ne!(errors("n1", r#"{"message":"A"}"#), errors("n2", r#"{"message":"A"}"#));
    }

    #[test]
    fn fields_of_a_deletion_next_to_the_id_are_details() {
        let payload = r#"{"integrated_account_id":"a1","resource":"x","records":[{"id":"7","by":"me"},{"id":"8"}]}"#;
        let events = parse_events("record:deleted", payload);
        assert_eq!(detail(&events[0], "deletion"), Some(r#"{"id":"7","by":"me"}"#));
        assert_eq!(detail(&events[1], "deletion"), None);
    }
}
