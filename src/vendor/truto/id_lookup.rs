//! Where Truto's bodies name the run, the account and the customer. No page says where a page of records names its run
//! or account; integrators read the account from the run's `args`, which hold what the customer's code put there.

use super::TrutoEnvelope;
use crate::event::Reference;
use crate::vendor::canonical_names::normalize_word;
use crate::vendor::fields::JsonFields;
use crate::vendor::lookup::{self, identifier, parse_embedded_json};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Where the customer's own key for an account or run is looked for; the first that states one is the reference.
pub const REFERENCE_PATHS: [&str; 4] =
    ["payload.tenant_id", "tenant_id", "payload.integrated_account.tenant_id", "payload.args.tenant_id"];

/// What names one thing: the names of its id, and of an object that is the thing. In any spelling, so without `_`.
struct IdFieldNames {
    ids: &'static [&'static str],
    object: &'static str,
}

const ACCOUNT: IdFieldNames =
    IdFieldNames { ids: &["integratedaccountid", "trutointegratedaccountid"], object: "integratedaccount" };
const RUN: IdFieldNames = IdFieldNames { ids: &["syncjobrunid", "runid", "trutosyncjobrunid"], object: "syncjobrun" };

/// The objects that may name them, in the payload or beside it, and within each other.
const ID_CONTAINERS: [&str; 3] = ["meta", "syncjobrun", "args"];
/// How deep these objects are looked into.
const MAX_DEPTH: usize = 2;
/// How many fields that may name them are looked at; a body has a handful.
const MAX_CANDIDATES: usize = 64;

/// The account that is named nearest to the payload.
pub fn account_id(envelope: &TrutoEnvelope<'_>) -> Option<String> {
    find_id(envelope, &ACCOUNT)
}

/// The run that is named nearest to the payload.
pub fn run_id(envelope: &TrutoEnvelope<'_>) -> Option<String> {
    find_id(envelope, &RUN)
}

/// The customer's key for an account or run.
pub fn reference(envelope: &TrutoEnvelope<'_>) -> Option<Reference> {
    lookup::peek_reference(&REFERENCE_PATHS, |path| match path.strip_prefix("payload.") {
        Some(path) => lookup::peek_path(&envelope.payload, path),
        None => lookup::peek_path(&envelope.body, path),
    })
}

fn find_id(envelope: &TrutoEnvelope<'_>, thing: &IdFieldNames) -> Option<String> {
    let TrutoEnvelope { body, payload, .. } = envelope;
    [payload, body].into_iter().find_map(|fields| find_id_in(&candidate_fields(fields, thing), thing, MAX_DEPTH))
}

// Only what may name the thing is read as values: the rest can be large.
fn candidate_fields(fields: &JsonFields<'_>, thing: &IdFieldNames) -> Map<String, Value> {
    let may_name = |name: &str| {
        let name = normalize_word(name);
        name == thing.object || thing.ids.contains(&name.as_str()) || ID_CONTAINERS.contains(&name.as_str())
    };
    let mut relevant = HashMap::new();
    for (name, value) in fields.entries().filter(|(name, _)| may_name(name)) {
        // The last value of a name counts; values are opened once each, however often a name is repeated.
        if relevant.len() < MAX_CANDIDATES || relevant.contains_key(name) {
            relevant.insert(name, value);
        }
    }
    relevant
        .into_iter()
        .filter(|(_, value)| value.get() != "null")
        .map(|(name, value)| (name.to_owned(), parse_embedded_json(value)))
        .collect()
}

// The object's own word first, then the objects in it.
fn find_id_in(fields: &Map<String, Value>, thing: &IdFieldNames, depth: usize) -> Option<String> {
    let field = |wanted: &str| fields.iter().find(|(name, _)| normalize_word(name) == wanted).map(|(_, value)| value);
    let id = thing.ids.iter().find_map(|name| identifier(field(name)?));
    let own = id.or_else(|| match field(thing.object)? {
        Value::Object(object) => identifier(object.get("id")?),
        bare => identifier(bare),
    });
    let nested =
        || ID_CONTAINERS.iter().find_map(|place| find_nested_id(field(place)?, place, thing, depth.checked_sub(1)?));
    own.or_else(nested)
}

fn find_nested_id(value: &Value, place: &str, thing: &IdFieldNames, depth: usize) -> Option<String> {
    let text = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    let Value::Object(fields) = text.as_ref().unwrap_or(value) else { return None };
    find_id_in(fields, thing, depth).or_else(|| if place == "args" { sole_suffixed_id(fields, thing) } else { None })
}

// A job that reads several accounts calls them `notion_integrated_account_id` and the like: told if it is but one.
fn sole_suffixed_id(args: &Map<String, Value>, thing: &IdFieldNames) -> Option<String> {
    let suffix = thing.ids.first()?;
    let mut ids =
        args.iter().filter(|(name, _)| normalize_word(name).ends_with(suffix)).filter_map(|(_, id)| identifier(id));
    let id = ids.next()?;
    ids.all(|other| other == id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{in_state, parent, said};
    use crate::event::FactGroup;
    use crate::vendor::truto::{ACCOUNT as ACCOUNT_ITEM, RUN as RUN_JOB};

    // All places and spellings in which the account `a1` may be named.
    const NAMED: [&str; 15] = [
        r#""integrated_account_id":"a1""#,
        r#""integratedAccountId":"a1""#,
        r#""integrated-account-id":" a1 ""#,
        r#""integrated_account":{"id":"a1","tenant_id":"t"}"#,
        r#""integrated_account":"a1""#,
        r#""integratedAccount":{"id":"a1"}"#,
        r#""truto_integrated_account_id":"a1""#,
        r#""meta":{"integrated_account_id":"a1"}"#,
        r#""meta":{"integrated_account":{"id":"a1"}}"#,
        r#""args":{"integrated_account_id":"a1","team_id":7}"#,
        r#""args":{"integratedAccountId":"a1"}"#,
        r#""args":"{\"integrated_account_id\":\"a1\"}""#,
        r#""args":{"notion_integrated_account_id":"a1","page_id":"p"}"#,
        r#""sync_job_run":{"args":{"integrated_account_id":"a1"}}"#,
        r#""meta":{"args":"{\"integrated_account_id\":\"a1\"}"}"#,
    ];

    #[test]
    fn a_name_that_is_repeated_very_often_takes_linear_time() {
        let repeated = r#""args":0,"#.repeat(50_000);
        let large = format!(r#"{{"integrated_account_id":"a1","more":[{}0]}}"#, "0,".repeat(50_000));
        let run = &said("sync_job_run:started", &format!(r#"{{"id":"r1",{repeated}"args":{large}}}"#))[0];
        assert_eq!(parent(run), Some((ACCOUNT_ITEM, "a1")), "the last value of a name counts");
    }

    #[test]
    fn records_and_runs_belong_to_the_account_wherever_it_is_named() {
        for named in NAMED {
            let records = format!(r#"{{"resource":"crm/contacts","records":[{{"id":"7"}}],{named}}}"#);
            for event in ["sync_job_run:record", "record:created", "record:deleted"] {
                let record = &said(event, &records)[0];
                assert_eq!(record.entity.external_id, "a1/crm/contacts/7", "{event} {named}");
                assert_eq!(parent(record), Some((ACCOUNT_ITEM, "a1")), "{event} {named}");
            }
            let run = &said("sync_job_run:started", &format!(r#"{{"id":"r1",{named}}}"#))[0];
            assert_eq!(parent(run), Some((ACCOUNT_ITEM, "a1")), "{named}");
            let Some(FactGroup::Run(fact)) = run.facts.first() else { panic!("a run") };
            assert_eq!(fact.account_id.as_deref(), Some("a1"), "{named}");
            let error = &said("sync_job_run:record_error", &format!(r#"{{"error":"E",{named}}}"#))[0];
            assert_eq!(parent(error), Some((ACCOUNT_ITEM, "a1")), "{named}");
        }
    }

    #[test]
    fn the_account_may_be_named_beside_the_payload_and_what_is_nearest_wins() {
        let beside = r#"{"id":"n1","event":"sync_job_run:record","integrated_account_id":"a1",
            "payload":{"resource":"x","records":[{"id":"7"}]}}"#;
        let reading = super::super::tests::reading(beside);
        assert_eq!(reading.events[0].entity.external_id, "a1/x/7");
        let both = r#"{"id":"r1","integrated_account_id":"a1","args":{"integrated_account_id":"a2"}}"#;
        assert_eq!(parent(&said("sync_job_run:started", both)[0]), Some((ACCOUNT_ITEM, "a1")));
    }

    #[test]
    fn several_accounts_in_the_args_are_none() {
        let args = r#"{"id":"r1","args":{"notion_integrated_account_id":"a1","jira_integrated_account_id":"a2"}}"#;
        assert_eq!(parent(&said("sync_job_run:started", args)[0]), None);
        let same = r#"{"id":"r1","args":{"notion_integrated_account_id":"a1","jira_integrated_account_id":"a1"}}"#;
        assert_eq!(parent(&said("sync_job_run:started", same)[0]), Some((ACCOUNT_ITEM, "a1")));
    }

    #[test]
    fn the_run_is_named_in_as_many_places() {
        for named in [
            r#""sync_job_run_id":"r1""#,
            r#""syncJobRunId":"r1""#,
            r#""run_id":"r1""#,
            r#""meta":{"sync_job_run_id":"r1"}"#,
            r#""meta":{"sync_job_run":{"id":"r1"}}"#,
            r#""sync_job_run":{"id":"r1","status":"running"}"#,
            r#""sync_job_run":"r1""#,
            r#""args":{"sync_job_run_id":"r1"}"#,
        ] {
            let events =
                said("sync_job_run:record", &format!(r#"{{"resource":"x","records":[{{"id":"7"}}],{named}}}"#));
            let told = [("r1", "at least running".to_owned()), ("r1/x/7", "is present".to_owned())];
            assert_eq!(in_state(&events), told, "{named}");
            assert_eq!(parent(&events[1]), Some((RUN_JOB, "r1")), "{named}");
        }
    }
}
