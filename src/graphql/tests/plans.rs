//! Which index answers which question, so that none reads a whole table where there is much.

use super::*;
use sea_orm::{ConnectionTrait, Statement};

/// A query, and what SQLite says of the last of its statements: all of these, and nothing is scanned without an index.
const PLANS: &[(&str, &[&str])] = &[
    ("{ inspections { nodes { id } } }", &["INDEX entity_by_update (kind=?)"]),
    (
        "{ inspections(orderBy: { field: CREATED_AT, direction: ASC }) { nodes { id } } }",
        &["INDEX entity_by_update (kind=?)"],
    ),
    (
        "{ inspections(filter: { status: [STARTED] }) { nodes { id } } }",
        &["INDEX entity_by_status (kind=? AND status=?)"],
    ),
    (
        "{ inspections(filter: { status: [STARTED, COMPLETED] }) { nodes { id } } }",
        &["INDEX entity_by_update (kind=?)"],
    ),
    (
        "{ inspections(filter: { stalledFor: \"24h\" }) { nodes { id } } }",
        &["INDEX entity_by_update (kind=? AND updated_at<?)"],
    ),
    (
        "{ inspections(filter: { externalId: \"K\" }) { nodes { id } } }",
        &["INDEX entity_by_external_id (external_id=?)"],
    ),
    ("{ inspections(filter: { reference: \"K\" }) { nodes { id } } }", &["INDEX entity_by_reference (reference=?)"]),
    ("{ inspections(filter: { group: \"K\" }) { nodes { id } } }", &["INDEX entity_by_group (group_key=?)"]),
    (
        "{ jobs(filter: { inspection: \"ID\" }) { nodes { id } } }",
        &["INDEX entity_of_inspection (inspection=? AND kind=?)"],
    ),
    ("{ items { nodes { id } } }", &["INDEX item_by_update"]),
    ("{ statusCounts { count } }", &["COVERING INDEX entity_by_status (kind=? AND status>?)"]),
    ("{ inspection(id: \"ID\") { id } }", &["INDEX entity_id (id=?)"]),
    ("{ inspection(id: \"ID\") { sessions { nodes { id } } } }", &["entity_of_inspection (inspection=? AND kind=?)"]),
    ("{ inspection(id: \"ID\") { history { nodes { position } } } }", &["change_of_entity (entity=?)"]),
    ("{ inspection(id: \"ID\") { asOf(at: \"2024-01-01T01:00:00Z\") { state } } }", &["change_of_entity (entity=?)"]),
    (
        "{ inspection(id: \"ID\") { asOf(at: \"2024-01-01T01:00:00Z\", clock: OCCURRED) { state } } }",
        &["change_of_entity (entity=?)", "SEARCH past USING PRIMARY KEY (entity=? AND effective_at<?)"],
    ),
    ("{ changes { nodes { position } } }", &["SCAN change"]),
    ("{ changes(filter: { inspection: \"ID\" }) { nodes { position } } }", &["INDEX change_of_entity (entity=?)"]),
    ("{ changes(filter: { entity: \"ID\" }) { nodes { position } } }", &["INDEX change_of_entity (entity=?)"]),
];

#[tokio::test]
async fn each_question_is_answered_by_its_index() {
    let hub = Hub::new().await;
    if !hub.database.is_file() {
        return;
    }
    let id = hub.inspection(1).await.to_string();
    for (query, expected) in PLANS {
        hub.ask(query.replace("ID", &id)).await;
        let asked = hub.statements.lock().expect("a log").last().cloned().expect("a statement");
        let explain = Statement::from_string(hub.writer.get_database_backend(), format!("EXPLAIN QUERY PLAN {asked}"));
        let rows = hub.writer.query_all_raw(explain).await.expect("a plan");
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").expect("a step")).collect();
        for wanted in *expected {
            assert!(plan.iter().any(|step| step.contains(wanted)), "{query}: {plan:#?}\n{asked}");
        }
        let scanned = |step: &&String| {
            step.starts_with("SCAN")
                && !step.contains("INDEX")
                && !step.contains("subquery")
                && !step.contains("ranked")
        };
        let scans: Vec<_> = plan.iter().filter(scanned).filter(|step| !expected.contains(&step.as_str())).collect();
        assert!(scans.is_empty(), "{query}: {scans:?}\n{asked}");
    }
}
