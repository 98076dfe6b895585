//! SQLite and PostgreSQL give the same responses, byte for byte, for the same deliveries received at the same times.

use super::postgres::PostgresCluster;
use crate::database::{TestDatabase, write};
use crate::generators::incoming_at;
use crate::test_hub::{TestHub, sample_bytes, samples};
use chrono::{DateTime, TimeDelta, Utc};
use inspection_hub::ingest::Writer;
use inspection_hub::store::{Database, OpenMode};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use std::sync::Arc;

const COMMON: &str =
    "id source vendor externalId reference status state cycle createdAt updatedAt occurredAt position details";

/// The queries. `AT` is a time in the middle.
const QUERIES: &[&str] = &[
    "{ inspections(first: 100) { totalCount pageInfo { endCursor hasNextPage } edges { cursor node { COMMON
        subject { vehicle { vin make year odometer } asset { externalId } location { city latitude longitude } }
        nextStates { state reopening } received: asOf(at: \"AT\") { state status cycle position receivedAt }
        occurred: asOf(at: \"AT\", clock: OCCURRED) { state status cycle position occurredAt } } } } }",
    "{ inspections(first: 100, orderBy: { field: CREATED_AT, direction: ASC }) { nodes { id
        sessions { totalCount nodes { id state } } jobs { nodes { COMMON kind inspection { id } } }
        items(first: 20) { totalCount nodes { id kind state details } } } } }",
    "{ inspections(first: 3) { nodes { history(first: 50) { totalCount nodes { position cursor kind verdict reason event
        fromState toState fromStatus toStatus occurredAt receivedAt delivery { id } } } } } }",
    "{ sessions(first: 100) { totalCount nodes { COMMON inspection { id } } } jobs(first: 100) { totalCount nodes { COMMON } } }",
    "{ changes(first: 100) { totalCount nodes { position cursor kind verdict reason entityId } } }",
    "{ changes(last: 50, filter: { verdict: [STALE, UNRECOGNIZED, UNREADABLE, ORPHANED] }) { nodes { position reason } } }",
    "{ deliveries(first: 50) { totalCount nodes { id source verdict reason event receivedAt duplicates size changes { nodes { position } } } } }",
    "{ statusCounts { status count } then: statusCountsAsOf(at: \"AT\") { status count }
       happened: statusCountsAsOf(at: \"AT\", clock: OCCURRED) { status count } }",
    "{ inspectionCounts(groupBy: [DAY, SOURCE, STATUS], since: \"2026-02-28T00:00:00Z\", until: \"2026-03-02T00:00:00Z\",
        timeZone: \"-00:30\") { day source status count } }",
    "{ timeInStatus(since: \"2026-02-28T00:00:00Z\", until: \"2026-03-02T00:00:00Z\") { vendor status count medianSeconds
        p95Seconds } funnel(groupBy: SOURCE, since: \"2026-02-28T00:00:00Z\", until: \"2026-03-02T00:00:00Z\") { source
        inspections completed droppedOut stages { status reached movedOn open canceled expired failed } } }",
    "{ busiestHours(since: \"2026-02-28T00:00:00Z\", until: \"2026-03-02T00:00:00Z\") { weekday hour count } }",
    "{ stalledInspections(filter: { updatedAfter: \"2020-01-01T00:00:00Z\" }) { minAge maxAge count statuses { status count } } }",
    "{ inspectionsAsOf(at: \"AT\", first: 50) { totalCount nodes { state status cycle position inspection { id } } } }",
    "{ jobsAsOf(at: \"AT\", clock: OCCURRED, first: 50) { nodes { state status job { id } } } }",
    "{ sources { name lastReceivedAt lastVerdict ledger { received duplicates applied skippedAhead stale refused noChange
        unrecognized unreadable orphaned } } }",
    "{ inspections(filter: { status: [COMPLETED, PROCESSING], updatedAfter: \"2020-01-01T00:00:00Z\" }) { nodes { id } }
       a: inspections(filter: { reference: \"\\u0000\" }) { totalCount } b: jobs(filter: { state: [\"complete\"] }) { nodes { id } } }",
];

async fn fill(database: &TestDatabase, begin: DateTime<Utc>) {
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
    let mut writers = [(); 2].map(|()| Writer::open(&db).expect("a writer"));
    let mut all = Vec::new();
    for vendor in inspection_hub::vendor::names() {
        let of_vendor: Vec<_> = samples(vendor).into_iter().filter(|sample| sample.ends_with(".json")).collect();
        for (number, sample) in of_vendor.iter().enumerate() {
            let body: Value = serde_json::from_slice(&sample_bytes(sample)).expect("JSON");
            all.push((vendor, body.clone(), number));
            if number % 4 == 0 {
                all.push((vendor, body, number + 1));
            }
        }
        all.push((vendor, json!(["\u{0}"]), 3));
    }
    // The same order on both.
    all.sort_by_key(|(vendor, _, number)| (number * 7 % 11, vendor.len(), *vendor));
    for (place, group) in all.chunks(5).enumerate() {
        let batch: Vec<_> = group
            .iter()
            .map(|(vendor, body, _)| incoming_at(vendor, vendor, body, begin + TimeDelta::seconds(place as i64)))
            .collect();
        write(&mut writers[place % 2], &batch);
    }
    // The generation and the time of the last write differ; cursors contain them.
    db.read_pool.clone().close().await.expect("closed");
    let own = sea_orm::Database::connect(&database.address).await.expect("the database");
    own.execute_unprepared("UPDATE log_head SET generation = 1, updated_at = 0").await.expect("alike");
    own.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_answer_alike() {
    let cluster = PostgresCluster::start();
    let begin: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().expect("a moment");
    let (file, server) = (TestDatabase::file(), TestDatabase::on(cluster.url.clone()).await);
    fill(&file, begin).await;
    fill(&server, begin).await;
    let one = TestHub::on(Arc::new(file), "").await;
    let other = TestHub::on(Arc::new(server), "").await;
    let at = (begin + TimeDelta::seconds(9)).to_rfc3339();
    for query in QUERIES {
        let query = query.replace("COMMON", COMMON).replace("AT\"", &format!("{at}\""));
        let mut answers = Vec::new();
        for hub in [&one, &other] {
            let request = hub.client.post(hub.url("/graphql")).json(&json!({ "query": query }));
            answers.push(request.send().await.expect("an answer").text().await.expect("text"));
        }
        let start: String = answers[0].chars().take(500).collect();
        assert!(start.starts_with("{\"data\":{") && answers[0].len() > 100, "{query}\n{start}");
        assert_eq!(answers[0], answers[1], "{query}");
    }
}
