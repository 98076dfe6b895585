//! Cursors of purged changes are refused, with the oldest valid one.

use super::{delivery_body, discrepancies, open_database, post_inspection, purge};
use crate::test_hub::TestHub;
use crate::vendor_client::assert_ledger_sums;
use chrono::Utc;
use inspection_hub::retention::PurgeMode;
use serde_json::{Value, json};

fn code(answer: &Value) -> &Value {
    &answer["errors"][0]["extensions"]["code"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purged_cursor_is_refused_with_the_oldest_valid_one() {
    let app = TestHub::start().await;
    let begin = app.query("{ head { cursor oldestCursor } }").await["head"].clone();
    assert_eq!(begin["cursor"], begin["oldestCursor"], "nothing was purged");
    // The second begins before the first has finished, and stays open.
    app.post("pave", delivery_body(4)).await;
    post_inspection(&app, 0).await;
    let then = Utc::now();
    app.post("pave", delivery_body(5)).await;
    let db = open_database(&app).await;
    let counted = "{ statusCounts { status count } inspections { totalCount } }";
    let before = app.query(counted).await;
    assert_eq!(before["inspections"]["totalCount"], 2);
    let url = app.url("/graphql?query={inspections{totalCount}}");
    let tag = app.client.get(&url).send().await.expect("an answer").headers()["etag"].clone();
    let done = purge(&db, then, PurgeMode::Delete).await;
    assert_eq!((done.units, done.deliveries), (1, 4), "{done:?}");
    let after = app.query(counted).await;
    assert_eq!(after["inspections"]["totalCount"], 1, "without a new position");
    let counts = after["statusCounts"].as_array().expect("counts").iter().filter_map(|row| row["count"].as_i64());
    assert_eq!(counts.sum::<i64>(), 1, "{after:#}");
    let again = app.client.get(&url).header("if-none-match", tag).send().await.expect("an answer");
    assert_eq!(again.status(), 200, "the client's copy is outdated");
    assert_eq!(app.inspection("pave", "K0").await, Value::Null);
    assert_eq!(app.inspection("pave", "K1").await["state"], "PROCESS");

    let head = app.query("{ head { position cursor oldestCursor } }").await["head"].clone();
    let oldest = &head["oldestCursor"];
    let query = "query($after: String, $before: String) { changes(after: $after, before: $before) {
        totalCount nodes { position } } }";
    for page in [json!({ "after": begin["cursor"] }), json!({ "before": begin["cursor"] })] {
        let refused = app.graphql(query, page).await;
        assert_eq!(code(&refused), "CURSOR_EXPIRED", "{refused:#}");
        assert_eq!(&refused["errors"][0]["extensions"]["oldestCursor"], oldest);
        assert!(refused["errors"][0]["extensions"]["hint"].is_string());
    }
    let left = app.query_with(query, json!({ "after": oldest })).await;
    assert_eq!(left, app.query_with(query, json!({})).await, "without a cursor it begins with what is left");
    let positions: Vec<i64> = left["changes"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .filter_map(|node| node["position"].as_i64())
        .collect();
    assert_eq!(positions.last().copied(), head["position"].as_i64());
    assert!(!positions.is_empty() && positions.windows(2).all(|two| two[0] + 1 == two[1]), "{positions:?}");
    assert_eq!(left["changes"]["totalCount"], positions.len());

    // A retained inspection has all of its history, page by page.
    let query = "query($after: String) { inspectionByExternalId(source: \"pave\", externalId: \"K1\") {
        history(first: 1, after: $after) { totalCount pageInfo { endCursor hasNextPage } nodes { toState } } } }";
    let first = app.query(query.replace("($after: String)", "").replace(", after: $after", "").as_str()).await;
    let first = &first["inspectionByExternalId"]["history"];
    assert_eq!((&first["totalCount"], &first["nodes"][0]["toState"]), (&json!(2), &json!("STARTED")));
    let second = app.query_with(query, json!({ "after": first["pageInfo"]["endCursor"] })).await;
    assert_eq!(second["inspectionByExternalId"]["history"]["nodes"][0]["toState"], "PROCESS");

    for field in ["changes(after: $after)", "inspectionChanged(after: $after)", "sessionChanged(after: $after)"] {
        let query = format!("subscription($after: String) {{ {field} {{ position }} }}");
        let refused = app.subscribe(&query, json!({ "after": begin["cursor"] })).await.next_message().await;
        assert!(refused.to_string().contains("CURSOR_EXPIRED"), "{refused:#}");
        assert!(refused.to_string().contains(oldest.as_str().expect("a cursor")), "{refused:#}");
    }
    let query = "subscription($after: String) { it: changes(after: $after) { position } }";
    let mut resumed = app.subscribe(query, json!({ "after": oldest })).await;
    app.post("pave", delivery_body(6)).await;
    for position in positions {
        assert_eq!(resumed.next_data().await["it"]["position"], position);
    }
    resumed.next_data().await;
    assert_ledger_sums(&app.ledger("pave").await);
    assert_eq!(app.ledger("pave").await["received"], 7);
    // The inspection is created again if the vendor repeats an event.
    assert_eq!(app.post("pave", delivery_body(3)).await.body["status"], "accepted");
    assert_eq!(app.inspection("pave", "K0").await["state"], "EXPIRED");
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
}
