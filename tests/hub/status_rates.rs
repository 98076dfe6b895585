//! How many inspections entered each status by minute: what the history says, for every filter.

use crate::views::{BEGIN, FilledHub, principal, traffic};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use inspection_hub::access::Scopes;
use inspection_hub::vendor;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const FILTERS: &[&str] = &[
    "{}",
    "{ source: [\"seen-hover\", \"hidden-pave\"] }",
    "{ vendor: [\"pave\"] }",
    "{ status: [COMPLETED, PROCESSING] }",
    "{ waitsFor: [CUSTOMER, US] }",
    "{ externalId: \"7\" }",
    "{ source: [] }",
];

/// The clock of the hub: within the traffic, and no whole minute.
fn now() -> DateTime<Utc> {
    BEGIN + TimeDelta::hours(5) + TimeDelta::seconds(17)
}

/// An inspection's change of status: which inspection, the minute, the status.
struct Entered {
    inspection: String,
    source: String,
    at: DateTime<Utc>,
    status: String,
}

async fn history(hub: &FilledHub) -> Vec<Entered> {
    let mut entered = Vec::new();
    let mut after = "null".to_owned();
    loop {
        let query = format!(
            "{{ changes(first: 100, after: {after}, filter: {{ kind: [INSPECTION] }}) {{ pageInfo {{ hasNextPage endCursor }}
                nodes {{ fromStatus toStatus receivedAt source inspection {{ id }} }} }} }}"
        );
        let page = hub.data(&query).await["changes"].clone();
        for change in page["nodes"].as_array().expect("changes") {
            let received_at: DateTime<Utc> =
                change["receivedAt"].as_str().and_then(|at| at.parse().ok()).expect("a time");
            if let Some(status) = change["toStatus"].as_str().filter(|_| change["toStatus"] != change["fromStatus"]) {
                let at = received_at.duration_trunc(TimeDelta::minutes(1)).expect("a minute");
                let inspection = change["inspection"]["id"].as_str().expect("an id").to_owned();
                let source = change["source"].as_str().expect("a source").to_owned();
                entered.push(Entered { inspection, source, at, status: status.to_owned() });
            }
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return entered;
        }
        after = page["pageInfo"]["endCursor"].to_string();
    }
}

/// The rows in their order: by minute, then as inspections reach the statuses.
fn counted<'e>(entered: impl Iterator<Item = &'e Entered>) -> Vec<Value> {
    const ORDER: &[&str] = &[
        "REQUESTED",
        "STARTED",
        "IN_PROGRESS",
        "SUBMITTED",
        "PROCESSING",
        "READY_FOR_REVIEW",
        "COMPLETED",
        "CANCELED",
        "EXPIRED",
        "FAILED",
    ];
    let mut counts: BTreeMap<(DateTime<Utc>, usize), i64> = BTreeMap::new();
    for one in entered {
        let place = ORDER.iter().position(|status| *status == one.status).expect("a status");
        *counts.entry((one.at, place)).or_default() += 1;
    }
    let row = |((at, place), count): ((DateTime<Utc>, usize), i64)| json!({ "at": at.to_rfc3339(), "status": ORDER[place], "count": count });
    counts.into_iter().map(row).collect()
}

async fn matching(hub: &FilledHub, filter: &str) -> BTreeSet<String> {
    let data = hub.data(&format!("{{ inspections(first: 100, filter: {filter}) {{ nodes {{ id }} }} }}")).await;
    let nodes = data["inspections"]["nodes"].as_array().expect("nodes");
    nodes.iter().filter_map(|node| node["id"].as_str()).map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn they_are_what_the_history_says(traffic in traffic()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let received = traffic.iter().filter(|(.., at)| *at <= now());
            let hub = FilledHub::at(received, now).await;
            let entered = history(&hub).await;
            let seen: Vec<String> = vendor::names().map(|name| format!("seen-{name}")).collect();
            let limited = principal(Scopes::ALL, Some(seen.clone()));
            let mut found = 0;
            for filter in FILTERS {
                let ids = matching(&hub, filter).await;
                for minutes in [1, 60, 288, 1_440] {
                    let query = format!("{{ statusRates(minutes: {minutes}, filter: {filter}) {{ at status count }} }}");
                    let first = now().duration_trunc(TimeDelta::minutes(1)).expect("a minute") - TimeDelta::minutes(minutes - 1);
                    let wanted = |one: &&Entered| one.at >= first && ids.contains(&one.inspection);
                    let all = hub.data(&query).await["statusRates"].as_array().expect("rates").clone();
                    prop_assert_eq!(&all, &counted(entered.iter().filter(wanted)), "{} {}", filter, minutes);
                    let response = hub.respond(&query, &limited).await.data.into_json().expect("JSON");
                    let visible = entered.iter().filter(wanted).filter(|one| seen.contains(&one.source));
                    prop_assert_eq!(response["statusRates"].as_array(), Some(&counted(visible)), "{} {}", filter, minutes);
                    found += all.len();
                }
            }
            prop_assert!(found > 10, "{}", found);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn minutes_are_limited() {
    let hub = FilledHub::at([].iter(), now).await;
    for minutes in [0, -5, 1_441] {
        let query = format!("{{ statusRates(minutes: {minutes}) {{ count }} }}");
        let response = hub.respond(&query, &inspection_hub::access::Principal::unlimited()).await;
        assert!(response.errors[0].message.contains("minutes are too few or too many"), "{response:?}");
    }
    assert_eq!(hub.data("{ statusRates { count } }").await["statusRates"], json!([]));
}
