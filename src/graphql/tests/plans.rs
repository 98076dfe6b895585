//! Which index serves which query, so that none reads the whole of a large table.

use super::*;
use crate::graphql::cursor::Cursor;
use crate::store::read::SortDirection;
use sea_orm::{ConnectionTrait, Statement};

/// A query, and what SQLite says of the last of its statements, without knowing the values of its parameters: all of
/// these but what begins with `no`, and nothing is scanned without an index.
const PLANS: &[(&str, &[&str])] = &[
    ("{ inspections { nodes { id } } }", &["SEARCH update_order USING PRIMARY KEY (list=?)", "no MERGE (UNION ALL)"]),
    (
        "{ inspections(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { id } } }",
        &["INDEX entity_kind_idx (kind=?)", "no TEMP B-TREE"],
    ),
    (
        "{ inspections(filter: { status: [STARTED] }) { nodes { id } } }",
        &["SEARCH update_order USING PRIMARY KEY (list=?)", "no MERGE (UNION ALL)"],
    ),
    (
        "{ inspections(filter: { status: [STARTED, COMPLETED] }) { nodes { id } } }",
        &["MERGE (UNION ALL)", "SEARCH update_order USING PRIMARY KEY (list=?)"],
    ),
    (
        "{ inspections(filter: { stalledFor: \"24h\" }) { nodes { id } } }",
        &["MERGE (UNION ALL)", "SEARCH update_order USING PRIMARY KEY (list=?"],
    ),
    ("{ inspections(filter: { externalId: \"K\" }) { nodes { id } } }", &["INDEX entity_id_key (id=?)"]),
    ("{ inspections(filter: { reference: \"K\" }) { nodes { id } } }", &["INDEX entity_reference_idx (reference=?)"]),
    ("{ inspections(filter: { group: \"K\" }) { nodes { id } } }", &["INDEX entity_group_key_idx (group_key=?)"]),
    (
        "{ jobs(filter: { inspection: \"ID\" }) { nodes { id } } }",
        &["INDEX entity_inspection_idx (inspection_row_id=? AND kind=?)"],
    ),
    ("{ items { nodes { id } } }", &["SEARCH update_order USING PRIMARY KEY (list=?)"]),
    (
        "{ sessions(orderBy: { field: CREATED_AT, direction: DESC }) { nodes { id } } }",
        &["INDEX entity_kind_idx (kind=?)", "no TEMP B-TREE"],
    ),
    ("{ items(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { id } } }", &["SCAN entity", "no TEMP B-TREE"]),
    (
        "{ deliveries(orderBy: { field: RECEIVED_AT, direction: DESC }) { nodes { id } } }",
        &["SCAN delivery", "no TEMP B-TREE"],
    ),
    ("{ stalledInspections { count } }", &["SEARCH update_order USING PRIMARY KEY (list=?)"]),
    (
        "{ timeInStatus { count } }",
        &[
            "SEARCH entity USING INDEX entity_kind_idx (kind=? AND rowid>? AND rowid<?)",
            "INDEX change_entity_idx (entity_row_id=?) LEFT-JOIN",
            "SEARCH step USING PRIMARY KEY (entity_row_id=?) LEFT-JOIN",
        ],
    ),
    ("{ busiestHours { count } }", &["SEARCH change_row USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]),
    (
        "{ statusRates { count } }",
        &[
            "SEARCH change_row USING INTEGER PRIMARY KEY (rowid>?)",
            "SEARCH change_type USING INTEGER PRIMARY KEY (rowid=?)",
        ],
    ),
    (
        "{ statusRates(filter: { status: [STARTED] }) { count } }",
        &[
            "SEARCH change_row USING INTEGER PRIMARY KEY (rowid>?)",
            "SEARCH entity EXISTS USING INTEGER PRIMARY KEY (rowid=?)",
        ],
    ),
    (
        "{ inspections(filter: { waitsFor: [CUSTOMER] }) { nodes { id } } }",
        &["MERGE (UNION ALL)", "SEARCH update_order USING PRIMARY KEY (list=?)"],
    ),
    ("{ inspection(id: \"ID\") { id } }", &["INDEX entity_id_key (id=?)"]),
    (
        "{ inspection(id: \"ID\") { sessions { nodes { id } } } }",
        &["entity_inspection_idx (inspection_row_id=? AND kind=?)"],
    ),
    ("{ inspection(id: \"ID\") { history { nodes { position } } } }", &["change_entity_idx (entity_row_id=?)"]),
    (
        "{ inspection(id: \"ID\") { asOf(at: \"2024-01-01T01:00:00Z\") { state } } }",
        &[
            "change_entity_idx (entity_row_id=? AND position<?)",
            "SEARCH change USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH past USING INTEGER PRIMARY KEY (rowid=?)",
        ],
    ),
    (
        "{ inspection(id: \"ID\") { asOf(at: \"2024-01-01T01:00:00Z\", clock: OCCURRED) { state } } }",
        &[
            "change_entity_idx (entity_row_id=?)",
            "SEARCH past USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH past USING PRIMARY KEY (entity_row_id=? AND effective_at<?)",
            "SEARCH step USING PRIMARY KEY (entity_row_id=? AND effective_at=? AND seq=?) LEFT-JOIN",
        ],
    ),
    (
        "{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\", filter: { status: [STARTED] }) { nodes { state } } }",
        &["INDEX entity_kind_idx (kind=? AND rowid<?)", "change_entity_idx (entity_row_id=? AND position<?)"],
    ),
    (
        "{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\", after: \"CURSOR\") { nodes { state } } }",
        &["INDEX entity_kind_idx (kind=? AND rowid<?)"],
    ),
    (
        "{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\", clock: OCCURRED, direction: ASC) { nodes { state } } }",
        &["INDEX entity_kind_idx (kind=?)", "SEARCH past USING PRIMARY KEY (entity_row_id=? AND effective_at<?)"],
    ),
    (
        "{ inspectionsAsOf(at: \"2024-01-01T01:00:00Z\", filter: { reference: \"K\" }) { nodes { state } } }",
        &["INDEX entity_reference_idx (reference=?)"],
    ),
    (
        "{ statusCountsAsOf(at: \"2024-01-01T01:00:00Z\") { count } }",
        &["INDEX entity_kind_idx (kind=? AND rowid<?)", "change_entity_idx (entity_row_id=? AND position<?)"],
    ),
    ("{ changes { nodes { position } } }", &["SEARCH change USING INTEGER PRIMARY KEY (rowid>?)"]),
    (
        "{ changes(after: \"CHANGE\") { nodes { position } } }",
        &["SEARCH change USING INTEGER PRIMARY KEY (rowid>?)", "no SCALAR SUBQUERY"],
    ),
    (
        "{ changes(filter: { verdict: [STALE], vendor: [\"pave\"], toStatus: [STARTED] }) { nodes { position } } }",
        &["SEARCH change USING INTEGER PRIMARY KEY (rowid>?)", "SCAN change_type"],
    ),
    (
        "{ changes(filter: { inspection: \"ID\" }) { nodes { position } } }",
        &["INDEX change_entity_idx (entity_row_id=? AND position>?)"],
    ),
    (
        "{ changes(filter: { entity: \"ID\" }) { nodes { position } } }",
        &["INDEX change_entity_idx (entity_row_id=? AND position>?)"],
    ),
];

#[tokio::test]
async fn each_question_is_answered_by_its_index() {
    let hub = ApiFixture::new().await;
    if !hub.database.is_file() {
        return crate::skip::skip("needs SQLite: it reads the plans of SQLite");
    }
    let id = hub.inspection(1).await.to_string();
    let cursor = Cursor::created(1, SortDirection::Desc).encode();
    for (query, expected) in PLANS {
        hub.logged_statements.lock().expect("a log").clear();
        hub.query(query.replace("ID", &id).replace("CURSOR", &cursor).replace("CHANGE", &cursor_of(0))).await;
        let asked = hub.logged_statements.lock().expect("a log").clone();
        let mut plans = Vec::new();
        for asked in asked {
            let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", asked.sql), ..asked.clone() };
            let rows = hub.writer.query_all_raw(explain).await.expect("a plan");
            let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").expect("a step")).collect();
            plans.push((asked.to_string(), plan));
        }
        // What it is about is one of its statements.
        assert!(plans.iter().any(|(_, plan)| is_as_expected(plan, expected)), "{expected:?} in {query}: {plans:#?}");
        for (asked, plan) in &plans {
            let scanned = plan.iter().filter(|step| scans(step) && !expected.contains(&step.as_str()));
            let scanned: Vec<_> = scanned.collect();
            assert!(scanned.is_empty(), "{query}: {scanned:?}\n{asked}");
        }
    }
}

/// Every order of every list, first page and next: the rows come out of an index in this order, on both databases.
#[tokio::test]
async fn each_order_is_that_of_an_index() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    for (number, subject) in [(2, EntityType::Session), (3, REPORT), (4, PHOTO)] {
        hub.entity(number, subject, |_| {}).await;
    }
    hub.delivery(1, 1, 0, |_| {}).await;
    let is_file = hub.database.is_file();
    let places = if is_file { "SEARCH update_order USING PRIMARY KEY" } else { "update_order_pkey" };
    let entities = |created: &'static str| [("UPDATED_AT", places), ("CREATED_AT", created)].to_vec();
    let of_others = || entities("entity_kind_idx");
    for (list, orders) in [
        ("inspections", of_others()),
        ("sessions", of_others()),
        ("jobs", of_others()),
        ("items", entities(if is_file { "PRIMARY KEY" } else { "entity_pkey" })),
        ("deliveries", vec![("RECEIVED_AT", if is_file { "PRIMARY KEY" } else { "delivery_pkey" })]),
    ] {
        for (field, index) in orders {
            for direction in ["ASC", "DESC"] {
                let order = format!("orderBy: {{ field: {field}, direction: {direction} }}");
                let first = hub.query(format!("{{ {list}({order}) {{ pageInfo {{ endCursor }} }} }}")).await;
                let after = format!("after: {}", first[list]["pageInfo"]["endCursor"]);
                for page in [String::new(), after] {
                    hub.logged_statements.lock().expect("a log").clear();
                    hub.query(format!("{{ {list}({order} {page}) {{ nodes {{ id }} }} }}")).await;
                    let asked = hub.logged_statements.lock().expect("a log").pop().expect("a statement");
                    let plan = plan_of(&hub, &asked).await;
                    // SQLite reads a table by its key where it says nothing of an index.
                    let is_by_key = is_file
                        && index == "PRIMARY KEY"
                        && (plan.contains("SCAN delivery") || plan.contains("SCAN entity"));
                    assert!(is_by_key || plan.contains(index), "{list} {field} {direction} {page}: {plan}");
                    // The order of updates gives the row ids of the page, whose few rows are then sorted.
                    let found = plan.split("SCAN listed").next().unwrap_or_default();
                    let found = found.split("CREATE BLOOM FILTER").next().unwrap_or_default();
                    let (_, found) = found.split_once("Limit").unwrap_or(("", found));
                    assert!(
                        !found.contains("TEMP B-TREE") && !found.contains("Sort  ("),
                        "{list} {field} {direction}: {plan}"
                    );
                }
            }
        }
    }
}

/// How a statement is answered where there is much: PostgreSQL would sort the few rows of this database.
async fn plan_of(hub: &ApiFixture, asked: &Statement) -> String {
    use sea_orm::TransactionTrait;
    let (explain, column) = match hub.database.is_file() {
        true => ("EXPLAIN QUERY PLAN", "detail"),
        false => ("EXPLAIN", "QUERY PLAN"),
    };
    let transaction = hub.writer.begin().await.expect("a transaction");
    if !hub.database.is_file() {
        for way in ["enable_seqscan", "enable_sort", "enable_incremental_sort", "enable_bitmapscan"] {
            transaction.execute_unprepared(&format!("SET LOCAL {way} = off")).await.expect("set");
        }
    }
    let explain = Statement { sql: format!("{explain} {}", asked.sql), ..asked.clone() };
    let rows = transaction.query_all_raw(explain).await.expect("a plan");
    let steps: Vec<String> = rows.iter().map(|row| row.try_get("", column).expect("a step")).collect();
    steps.join("; ")
}

fn is_as_expected(plan: &[String], expected: &[&str]) -> bool {
    expected.iter().all(|wanted| {
        let (wanted, is_wanted) = wanted.strip_prefix("no ").map_or((*wanted, true), |unwanted| (unwanted, false));
        plan.iter().any(|step| step.contains(wanted)) == is_wanted
    })
}
