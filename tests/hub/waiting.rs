//! Which party an inspection waits for: a filter finds exactly the inspections whose field says so, now, in the past, and in
//! subscriptions.

use crate::views::{BEGIN, FilledHub, source_info, traffic};
use chrono::TimeDelta;
use entity::Party;
use inspection_hub::access::Principal;
use inspection_hub::vendor;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The party of a state of a source, by the rules of `source_info`.
fn party(source: &Value, state: &Value) -> Option<Party> {
    let source = source.as_str().expect("a source");
    let vendor = source.rsplit('-').next().and_then(vendor::by_name).expect("a vendor");
    source_info(source.to_owned(), vendor).waiting_rules.party(state.as_str())
}

fn nodes<'v>(data: &'v Value, list: &str) -> &'v [Value] {
    data[list]["nodes"].as_array().expect("nodes")
}

/// The ids of the rows of a list that wait for each party, by their field, and by the filter.
async fn check_present(hub: &FilledHub) -> Result<usize, TestCaseError> {
    let list = "nodes { id source state vendorUrl externalId waitsFor } totalCount";
    let all = hub.data(&format!("{{ inspections(first: 100) {{ {list} }} }}")).await;
    let mut waiting: BTreeMap<Party, BTreeSet<String>> = BTreeMap::new();
    for row in nodes(&all, "inspections") {
        let expected = party(&row["source"], &row["state"]);
        prop_assert_eq!(&row["waitsFor"], &expected.map_or(Value::Null, |party| party.as_str().into()), "{}", row);
        let source = row["source"].as_str().expect("a source");
        let page = format!("https://{source}.example/");
        prop_assert!(row["vendorUrl"].as_str().is_some_and(|url| url.starts_with(&page)), "{}", row);
        if let Some(party) = expected {
            waiting.entry(party).or_default().insert(row["id"].to_string());
        }
    }
    let mut found = 0;
    for party in Party::ALL {
        let filter = format!("(filter: {{ waitsFor: [{party}] }}");
        let query = format!(
            "{{ inspections{filter}, first: 100) {{ {list} }} statusCounts{filter}) {{ count }}
               inspectionCounts{filter}, since: \"{}\") {{ count }} }}",
            BEGIN.to_rfc3339()
        );
        let data = hub.data(&query).await;
        let ids: BTreeSet<String> = nodes(&data, "inspections").iter().map(|row| row["id"].to_string()).collect();
        let expected = waiting.remove(party).unwrap_or_default();
        prop_assert_eq!(&ids, &expected, "{}", party);
        prop_assert_eq!(&data["inspections"]["totalCount"], ids.len());
        let counts =
            |field: &str| -> Option<u64> { data[field].as_array()?.iter().map(|row| row["count"].as_u64()).sum() };
        prop_assert_eq!(counts("statusCounts"), Some(ids.len() as u64));
        prop_assert_eq!(counts("inspectionCounts"), Some(ids.len() as u64));
        found += ids.len();
    }
    let none = hub.data("{ inspections(filter: { waitsFor: [] }) { totalCount } }").await;
    prop_assert_eq!(&none["inspections"]["totalCount"], 0);
    Ok(found)
}

async fn check_past(hub: &FilledHub) -> Result<usize, TestCaseError> {
    let mut found = 0;
    for (hours, clock) in [(2, "RECEIVED"), (5, "RECEIVED"), (5, "OCCURRED"), (9, "OCCURRED")] {
        let at = format!("at: \"{}\", clock: {clock}", (BEGIN + TimeDelta::hours(hours)).to_rfc3339());
        let list = "nodes { state inspection { id source } } totalCount";
        let all = hub.data(&format!("{{ inspectionsAsOf({at}, first: 100) {{ {list} }} }}")).await;
        for wanted in Party::ALL {
            let filter = format!("filter: {{ waitsFor: [{wanted}] }}");
            let data = hub.data(&format!("{{ inspectionsAsOf({at}, first: 100, {filter}) {{ {list} }} }}")).await;
            let is_wanted = |row: &&Value| party(&row["inspection"]["source"], &row["state"]) == Some(*wanted);
            let expected: Vec<&Value> = nodes(&all, "inspectionsAsOf").iter().filter(is_wanted).collect();
            let shown: Vec<&Value> = nodes(&data, "inspectionsAsOf").iter().collect();
            prop_assert_eq!(&shown, &expected, "{} {}", at, wanted);
            prop_assert_eq!(&data["inspectionsAsOf"]["totalCount"], shown.len());
            found += shown.len();
        }
    }
    Ok(found)
}

async fn check_subscription(hub: &FilledHub) -> Result<usize, TestCaseError> {
    let field = "inspectionChanged";
    let change = "{ position source fromState toState leavesFilter }";
    let all = hub.follow(&format!("subscription {{ {field} {change} }}"), &json!({}), &Principal::unlimited()).await;
    let mut found = 0;
    for wanted in Party::ALL {
        let query = format!("subscription {{ {field}(filter: {{ waitsFor: [{wanted}] }}) {change} }}");
        let shown = hub.follow(&query, &json!({}), &Principal::unlimited()).await;
        let mut expected = Vec::new();
        for message in &all {
            let waits_in = |state: &str| party(&message[field]["source"], &message[field][state]) == Some(*wanted);
            let (before, after) = (waits_in("fromState"), waits_in("toState"));
            if before || after {
                let mut message = message.clone();
                message[field]["leavesFilter"] = (!after).into();
                expected.push(message);
            }
        }
        prop_assert_eq!(&shown, &expected, "{}", wanted);
        found += shown.len();
    }
    Ok(found)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_finds_what_waits_for_a_party(traffic in traffic(), part in 0.3..0.9) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            // Not all of it: in the end, few inspections wait.
            let received = (traffic.len() as f64 * part) as usize;
            let hub = FilledHub::new(traffic.iter().take(received)).await;
            let found = [check_present(&hub).await?, check_past(&hub).await?, check_subscription(&hub).await?];
            prop_assert!(received < 8 || found.iter().sum::<usize>() > 0, "{:?}", found);
            Ok(())
        })?;
    }
}
