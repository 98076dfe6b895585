//! Records that sync runs bring, records that third parties report of themselves, and errors in place of records.

use super::{ACCOUNT, Envelope, Meaning, RUN, error_text, under, unknown};
use crate::event::{Details, Event, Record};
use crate::machine::{ItemKind, Subject};
use crate::vendor::fields::{Fields, identity, json};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Records that a run brought. They imply that it runs, but nothing of how it will end.
pub fn synced(envelope: &Envelope<'_>) -> Meaning {
    let mut page = Page::of(envelope, &["records", "record", "data"]);
    let run = page.run().map(|run| run.details(std::mem::take(&mut page.rest)));
    let events: Vec<_> = run.into_iter().chain(page.records("present")).collect();
    match events.is_empty() {
        true => Err(unknown("it names neither a run nor a record")),
        false => Ok(events),
    }
}

/// Records that a third party reported of itself: a run, should the payload mention one, did not bring them.
pub fn reported(envelope: &Envelope<'_>, state: &str) -> Meaning {
    let mut page = Page { run: None, ..Page::of(envelope, &["records", "record", "data"]) };
    let events = page.records(state);
    match events.is_empty() {
        true => Err(unknown("it names no record")),
        false => Ok(events),
    }
}

/// Errors in place of records; with `error_handling: batch` several in one list. Truto tells a run's end apart.
pub fn failed(envelope: &Envelope<'_>) -> Meaning {
    let mut page = Page::of(envelope, &["errors", "error"]);
    if page.run.is_none() && page.list.is_empty() {
        return Err(unknown("it names neither a run nor an error"));
    }
    let errors: Vec<_> = match page.list.as_slice() {
        [] => vec![None],
        list => list.iter().copied().map(Some).collect(),
    };
    let mut events: Vec<_> = page.run().into_iter().collect();
    for (number, error) in errors.into_iter().enumerate() {
        let id = match &envelope.news_id {
            Some(news) => format!("{}/{news}/{number}", page.owner()),
            None => identity(page.owner(), &format!("{:?}/{}", page.at, error.map_or("", RawValue::get))),
        };
        let fact = Record { resource: page.resource.clone(), error: error.map(error_text), ..Record::default() };
        let whole: Vec<_> = error.map(|error| ("error".to_owned(), error.to_owned())).into_iter().collect();
        let event = page.item(ItemKind::RecordError, id).fact(fact);
        events.push(event.details(whole).details(std::mem::take(&mut page.rest)));
    }
    Ok(events)
}

// A payload's list, and what it says of where that comes from.
struct Page<'a> {
    at: Option<DateTime<Utc>>,
    run: Option<String>,
    account: Option<String>,
    environment: String,
    resource: Option<String>,
    list: Vec<&'a RawValue>,
    // Told once, with the first entity that takes it: a copy with each record could fill the memory.
    rest: Details,
}

impl<'a> Page<'a> {
    fn of(envelope: &Envelope<'a>, lists: &[&str]) -> Self {
        let Envelope { body, payload, at, .. } = envelope;
        let list = lists.iter().map(|name| payload.values(name)).find(|list| !list.is_empty()).unwrap_or_default();
        let resource = payload.id("resource");
        let run = payload.id("sync_job_run_id").or_else(|| payload.id("run_id"));
        let account = payload.id("integrated_account_id");
        let of_payload = payload.rest();
        let rest = body.rest().and(of_payload);
        // No page says where the run's id stands. These are read after the rest, which keeps them whole.
        let within = |object: &str, name: &str| payload.object(object)?.id(name);
        Page {
            at: *at,
            run: run.or_else(|| within("meta", "sync_job_run_id")).or_else(|| within("sync_job_run", "id")),
            account: account
                .or_else(|| within("meta", "integrated_account_id"))
                .or_else(|| within("sync_job_run", "integrated_account_id"))
                .or_else(|| within("integrated_account", "id")),
            environment: body.id("environment_id").unwrap_or_default(),
            resource,
            list: list.into_iter().filter(|entry| entry.get() != "null").collect(),
            rest,
        }
    }

    // The run or account by which records with the same id are told apart.
    fn owner(&self) -> &str {
        self.run.as_ref().or(self.account.as_ref()).unwrap_or(&self.environment)
    }

    fn run(&self) -> Option<Event> {
        let run = Event::about(RUN, self.run.as_ref()?).at_least("running").at(self.at);
        Some(under(run, ACCOUNT, self.account.clone()))
    }

    fn records(&mut self, state: &str) -> Vec<Event> {
        let owner = match &self.resource {
            Some(resource) => format!("{}/{resource}", self.owner()),
            None => self.owner().to_owned(),
        };
        let mut events = Vec::with_capacity(self.list.len());
        for raw in std::mem::take(&mut self.list) {
            let record_id = record_id(raw);
            let id = match &record_id {
                Some(id) => format!("{owner}/{id}"),
                None => identity(&owner, raw.get()),
            };
            // A deletion often has nothing but the id: what was last known of the record stays.
            let data = (state != "deleted").then(|| json(raw).into());
            let fact = Record { resource: self.resource.clone(), record_id, data, error: None };
            let event = self.item(ItemKind::Record, id).is(state).fact(fact);
            events.push(event.details(std::mem::take(&mut self.rest)));
        }
        events
    }

    fn item(&self, kind: ItemKind, id: String) -> Event {
        let event = Event::about(Subject::Item(kind), id).at(self.at);
        match &self.run {
            Some(run) => event.under(RUN, run),
            None => under(event, ACCOUNT, self.account.clone()),
        }
    }
}

// A record's id; of a bare id in place of a record, itself.
fn record_id(record: &RawValue) -> Option<String> {
    let object = match record.get() {
        object if object.starts_with('{') => Cow::Borrowed(object),
        bare => Cow::Owned(format!(r#"{{"id":{bare}}}"#)),
    };
    Fields::of_body(object.as_bytes()).ok()?.id("id")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{detail, envelope, ids, is, parent, reading, said};
    use super::*;
    use crate::event::{Fact, News};

    #[test]
    fn records_imply_that_their_run_runs_wherever_its_id_stands() {
        for run in [
            r#""sync_job_run_id":"r1""#,
            r#""run_id":"r1""#,
            r#""meta":{"sync_job_run_id":"r1"}"#,
            r#""sync_job_run":{"id":"r1"}"#,
        ] {
            let records = r#"[{"id":7,"name":"x"},{"name":"y"},null,"z"]"#;
            let payload = format!(r#"{{"resource":"crm/contacts","records":{records},"retryAfter":1,{run}}}"#);
            let events = said("sync_job_run:record", &payload);
            let nameless = identity("r1/crm/contacts", r#"{"name":"y"}"#);
            assert_eq!(ids(&events), ["r1", "r1/crm/contacts/7", &nameless, "r1/crm/contacts/z"], "{run}");
            assert_eq!((&events[0].news, events[0].about.subject), (&News::AtLeast("running"), RUN));
            assert_eq!(detail(&events[0], "retryAfter"), Some("1"));
            assert!(events[1..].iter().all(|event| parent(event) == Some((RUN, "r1")) && event.news == is("present")));
            assert!(events[1..].iter().all(|event| event.details.is_empty()), "told once");
            let Some(Fact::Record(record)) = events[1].facts.first() else { panic!("a record") };
            assert_eq!(record.record_id.as_deref(), Some("7"));
            assert_eq!(record.data.as_ref().map(|data| data.0.clone()), Some(serde_json::json!({"id":7,"name":"x"})));
        }
    }

    #[test]
    fn records_without_a_run_are_kept_too() {
        let events = said("sync_job_run:record", r#"{"records":{"id":"7"},"meta":{"page":1}}"#);
        assert_eq!((ids(&events), parent(&events[0])), (vec!["e1/7"], None));
        assert_eq!(detail(&events[0], "meta"), Some(r#"{"page":1}"#));
        let nothing = reading(&envelope("sync_job_run:record", r#"{"resource":"x","records":[]}"#)).nothing;
        assert_eq!(nothing, Some(unknown("it names neither a run nor a record")));
    }

    #[test]
    fn record_errors_never_end_the_run() {
        let payload = r#"{"sync_job_run_id":"r1","resource":"x","errors":[{"message":"A","status":404},"B"]}"#;
        let events = said("sync_job_run:record_error", payload);
        assert_eq!(ids(&events), ["r1", "r1/n1/0", "r1/n1/1"]);
        assert_eq!(events[0].news, News::AtLeast("running"));
        let errors: Vec<_> = events[1..].iter().flat_map(|event| &event.facts).collect();
        let error = |text: &str| {
            let (resource, error) = (Some("x".into()), Some(text.into()));
            Fact::Record(Record { resource, error, ..Record::default() })
        };
        assert_eq!(errors, [&error("A"), &error("B")]);
        assert!(events[0].details.is_empty(), "what failed is told with the error");
        assert_eq!(detail(&events[1], "environment_id"), Some(r#""e1""#));
        assert_eq!(ids(&said("sync_job_run:record_error", r#"{"sync_job_run_id":"r1"}"#)), ["r1", "r1/n1/0"]);
    }

    #[test]
    fn a_third_partys_record_hangs_on_the_account_and_can_be_deleted() {
        let payload = r#"{"integrated_account_id":"a1","sync_job_run_id":"r1","resource":"x","records":[{"id":"7"}]}"#;
        for (action, state) in [("created", "present"), ("updated", "present"), ("deleted", "deleted")] {
            let events = said(&format!("record:{action}"), payload);
            assert_eq!((ids(&events), &events[0].news), (vec!["a1/x/7"], &is(state)));
            assert_eq!(parent(&events[0]), Some((ACCOUNT, "a1")));
            let Some(Fact::Record(record)) = events[0].facts.first() else { panic!("a record") };
            assert_eq!(record.data.is_some(), action != "deleted");
        }
    }
}
