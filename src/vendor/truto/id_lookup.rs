//! Where Truto's bodies name the run, the account and the customer. No page documents where a page of records names its
//! run or account; integrators read the account from the run's `args`, which contain what the customer's code put there.

use super::TrutoEnvelope;
use crate::event::Reference;
use crate::vendor::canonical_names::normalize_word;
use crate::vendor::fields::{JsonFields, identifier, with_object};
use crate::vendor::read_reference;
use serde_json::value::RawValue;

/// The fields that may contain the customer's own key for an account or run; the first one with a value is the reference.
pub const REFERENCE_PATHS: [&str; 4] =
    ["payload.tenant_id", "tenant_id", "payload.integrated_account.tenant_id", "payload.args.tenant_id"];

/// The fields that name one thing: those of its id, and an object that is the thing. In any spelling, so without `_`.
struct IdFieldNames {
    ids: &'static [&'static str],
    object: &'static str,
}

const ACCOUNT: IdFieldNames =
    IdFieldNames { ids: &["integratedaccountid", "trutointegratedaccountid"], object: "integratedaccount" };
const RUN: IdFieldNames = IdFieldNames { ids: &["syncjobrunid", "runid", "trutosyncjobrunid"], object: "syncjobrun" };

/// The objects that may contain these fields, in the payload, beside it, and in each other.
const ID_CONTAINERS: [&str; 3] = ["meta", "syncjobrun", "args"];
/// The maximum nesting of these objects.
const MAX_DEPTH: usize = 2;

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
    read_reference(&[&envelope.body], &REFERENCE_PATHS)
}

fn find_id(envelope: &TrutoEnvelope<'_>, thing: &IdFieldNames) -> Option<String> {
    [&envelope.payload, &envelope.body].into_iter().find_map(|fields| find_id_in(fields, thing, MAX_DEPTH))
}

// The object's own fields first, then the objects in it.
fn find_id_in(fields: &JsonFields<'_>, thing: &IdFieldNames, depth: usize) -> Option<String> {
    let candidates = candidate_fields(fields, thing);
    let field = |wanted: &str| candidates.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let id = thing.ids.iter().find_map(|name| identifier(field(name)?));
    let own = id.or_else(|| {
        let object = field(thing.object)?;
        identifier(object).or_else(|| with_object(object, |object| identifier(object.peek("id")?)))
    });
    let nested = |container: &&str| {
        let depth = depth.checked_sub(1)?;
        with_object(field(container)?, |inner| {
            let found = find_id_in(inner, thing, depth);
            found.or_else(|| if *container == "args" { sole_suffixed_id(inner, thing) } else { None })
        })
    };
    own.or_else(|| ID_CONTAINERS.iter().find_map(nested))
}

// The fields that may name the thing, by normalized name. Of a repeated name the last value counts. Values are opened once
// each, however often a name is repeated.
fn candidate_fields<'f>(fields: &'f JsonFields<'_>, thing: &IdFieldNames) -> Vec<(String, &'f RawValue)> {
    let mut candidates: Vec<(String, &RawValue)> = Vec::new();
    for (name, value) in fields.entries().filter(|(_, value)| value.get() != "null") {
        let name = normalize_word(name);
        if name != thing.object && !thing.ids.contains(&name.as_str()) && !ID_CONTAINERS.contains(&name.as_str()) {
            continue;
        }
        match candidates.iter_mut().find(|(known, _)| *known == name) {
            Some((_, last)) => *last = value,
            None => candidates.push((name, value)),
        }
    }
    candidates
}

// A job that reads several accounts names them `notion_integrated_account_id` and the like. Known if there is only one.
fn sole_suffixed_id(args: &JsonFields<'_>, thing: &IdFieldNames) -> Option<String> {
    let suffix = thing.ids.first()?;
    let named = args.entries().filter(|(name, _)| normalize_word(name).ends_with(suffix));
    let mut ids = named.filter_map(|(_, id)| identifier(id));
    let id = ids.next()?;
    ids.all(|other| other == id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parent, parse_events, state_claims};
    use crate::event::FactGroup;
    use crate::vendor::truto::{ACCOUNT as ACCOUNT_ITEM, RUN as RUN_JOB};

    // The places and spellings in which the account `a1` may be named.
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
        let run = &parse_events("sync_job_run:started", &format!(r#"{{"id":"r1",{repeated}"args":{large}}}"#))[0];
        assert_eq!(parent(run), Some((ACCOUNT_ITEM, "a1")), "the last value of a name counts");
    }

    #[test]
    fn records_and_runs_belong_to_the_account_wherever_it_is_named() {
        for named in NAMED {
            let records = format!(r#"{{"resource":"crm/contacts","records":[{{"id":"7"}}],{named}}}"#);
            for event in ["sync_job_run:record", "record:created", "record:deleted"] {
                let record = &parse_events(event, &records)[0];
                assert_eq!(record.entity.external_id, "a1/crm/contacts/7", "{event} {named}");
                assert_eq!(parent(record), Some((ACCOUNT_ITEM, "a1")), "{event} {named}");
            }
            let run = &parse_events("sync_job_run:started", &format!(r#"{{"id":"r1",{named}}}"#))[0];
            assert_eq!(parent(run), Some((ACCOUNT_ITEM, "a1")), "{named}");
            let Some(FactGroup::Run(fact)) = run.facts.first() else { panic!("a run") };
            assert_eq!(fact.account_id.as_deref(), Some("a1"), "{named}");
            let error = &parse_events("sync_job_run:record_error", &format!(r#"{{"error":"E",{named}}}"#))[0];
            assert_eq!(parent(error), Some((ACCOUNT_ITEM, "a1")), "{named}");
        }
    }

    #[test]
    fn the_account_may_be_named_next_to_the_payload_and_the_nearest_wins() {
        let outside = r#"{"id":"n1","event":"sync_job_run:record","integrated_account_id":"a1",
            "payload":{"resource":"x","records":[{"id":"7"}]}}"#;
        let reading = super::super::tests::reading(outside);
        assert_eq!(reading.events[0].entity.external_id, "a1/x/7");
        let both = r#"{"id":"r1","integrated_account_id":"a1","args":{"integrated_account_id":"a2"}}"#;
        assert_eq!(parent(&parse_events("sync_job_run:started", both)[0]), Some((ACCOUNT_ITEM, "a1")));
    }

    #[test]
    fn several_accounts_in_the_args_are_none() {
        let args = r#"{"id":"r1","args":{"notion_integrated_account_id":"a1","jira_integrated_account_id":"a2"}}"#;
        assert_eq!(parent(&parse_events("sync_job_run:started", args)[0]), None);
        let same = r#"{"id":"r1","args":{"notion_integrated_account_id":"a1","jira_integrated_account_id":"a1"}}"#;
        assert_eq!(parent(&parse_events("sync_job_run:started", same)[0]), Some((ACCOUNT_ITEM, "a1")));
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
                parse_events("sync_job_run:record", &format!(r#"{{"resource":"x","records":[{{"id":"7"}}],{named}}}"#));
            let expected = [("r1", "at least running".to_owned()), ("r1/x/7", "is present".to_owned())];
            assert_eq!(state_claims(&events), expected, "{named}");
            assert_eq!(parent(&events[1]), Some((RUN_JOB, "r1")), "{named}");
        }
    }
}
