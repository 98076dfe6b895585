//! Links by hand: what moves with them, what undoes them, and that the order of deliveries around them does not matter.

use crate::database::{TestDatabase, write};
use crate::generators::{TestAct, command_at, incoming_at, link_at, scenario};
use crate::purge::{discrepancies, purge};
use crate::test_hub::TestHub;
use crate::verify::verify;
use chrono::{DateTime, TimeDelta, Utc};
use entity::entity as thing;
use inspection_hub::ingest::Writer;
use inspection_hub::machine::{EntityType, JobKind};
use inspection_hub::retention::PurgeMode;
use inspection_hub::store::{Database, OpenMode};
use proptest::prelude::*;
use proptest::sample::select;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LINK: &str = "mutation($input: LinkEntityInput!) { linkEntity(input: $input) { command { kind }
    entity { id ... on Job { linkedByHand inspection { externalId } } ... on Item { linkedByHand inspection { externalId } } }
    inspection { externalId } } }";

struct Linking {
    app: TestHub,
    calls: usize,
}

impl Linking {
    async fn try_link(&mut self, entity: &Value, inspection: Value) -> Value {
        self.calls += 1;
        let input = json!({ "idempotencyKey": self.calls.to_string(), "entity": entity, "inspection": inspection });
        self.app.graphql(LINK, json!({ "input": input })).await
    }

    async fn link(&mut self, entity: &Value, inspection: Value) -> Value {
        let answer = self.try_link(entity, inspection).await;
        assert!(answer["errors"].is_null(), "{answer}");
        answer["data"]["linkEntity"].clone()
    }

    async fn register(&mut self, external_id: &str) -> Value {
        self.calls += 1;
        let input = json!({ "idempotencyKey": self.calls.to_string(), "source": "hover", "externalId": external_id });
        let mutation =
            "mutation($input: RegisterInspectionInput!) { registerInspection(input: $input) { inspection { id } } }";
        let answer = self.app.query_with(mutation, json!({ "input": input })).await;
        answer["registerInspection"]["inspection"]["id"].clone()
    }

    /// Ids by kind and the vendor's id, and the inspection of each.
    async fn entities(&self) -> BTreeMap<String, (Value, Value)> {
        let fields = "nodes { id externalId inspection { externalId } linkedByHand }";
        let query = format!("{{ sessions {{ {fields} }} jobs {{ {fields} }} items {{ {fields} }} }}");
        let data = self.app.query(&query).await;
        let lists = ["sessions", "jobs", "items"].into_iter();
        let named = lists.flat_map(|list| {
            let nodes = data[list]["nodes"].as_array().expect("nodes").clone();
            nodes.into_iter().map(move |node| {
                let name = format!("{list} {}", node["externalId"].as_str().unwrap_or_default());
                (name, (node["id"].clone(), node["inspection"]["externalId"].clone()))
            })
        });
        named.collect()
    }
}

fn job_states() -> Vec<Value> {
    vec![
        json!({ "event": "job-state-changed", "job_id": 11, "state": "uploading" }),
        json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3, "job_id": 11,
            "state": "first_attempt" }),
        json!({ "event": "model-created", "model_id": 9, "job_id": 11 }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_an_entity_moves_with_it_and_back() {
    let mut hub = Linking { app: TestHub::start().await, calls: 0 };
    for body in job_states() {
        assert_eq!(hub.app.post_json("hover", body).await.status, 200);
    }
    let before = hub.entities().await;
    let other = hub.register("other").await;
    let job = before.get("jobs 11").or(before.get("jobs 3")).expect("a job").0.clone();
    let mut live = hub
        .app
        .subscribe("subscription { changes(filter: { reasonCode: [LINKED_BY_HAND] }) { entityId actor } }", json!({}))
        .await;
    let linked = hub.link(&job, other.clone()).await;
    assert_eq!((&linked["command"]["kind"], &linked["inspection"]["externalId"]), (&json!("LINK"), &json!("other")));
    assert_eq!(
        (&linked["entity"]["linkedByHand"], &linked["entity"]["inspection"]["externalId"]),
        (&json!(true), &json!("other"))
    );
    assert_eq!(live.next_data().await["changes"], json!({ "entityId": job, "actor": "anyone" }));
    // A part that arrives later is where its parent is, whatever the vendor says.
    let later = json!({ "event": "model-created", "model_id": 10, "job_id": 11 });
    assert_eq!(hub.app.post_json("hover", later).await.status, 200);
    assert_eq!(hub.link(&job, other).await["entity"]["linkedByHand"], true, "again changes nothing");
    let newest = hub.app.query("{ changes(last: 1) { nodes { verdict } } }").await;
    assert_eq!(newest["changes"]["nodes"][0]["verdict"], "NO_CHANGE");
    let (code, text) = verify(&hub.app.database);
    assert_eq!(code, Some(0), "{text}");
    let undone = hub.link(&job, Value::Null).await;
    assert_eq!(undone["entity"]["linkedByHand"], false);
    let mut after = hub.entities().await;
    after.retain(|name, _| before.contains_key(name));
    assert_eq!(after, before, "as the vendor says");
    assert_eq!(verify(&hub.app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_cannot_be_are_refused() {
    let mut hub = Linking { app: TestHub::start().await, calls: 0 };
    for body in job_states() {
        assert_eq!(hub.app.post_json("hover", body).await.status, 200);
    }
    hub.app.receive("pave/session-status-change-started.json").await;
    let entities = hub.entities().await;
    let part = entities.values().next().expect("an entity").0.clone();
    let inspections = hub.app.query("{ inspections { nodes { id source } } }").await["inspections"]["nodes"].clone();
    let of_pave =
        inspections.as_array().expect("nodes").iter().find(|node| node["source"] == "pave").expect("one")["id"].clone();
    let own = hub.register("own").await;
    let unknown = json!("018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d");
    for (entity, inspection, code) in [
        (&part, of_pave.clone(), "BAD_USER_INPUT"),
        (&part, part.clone(), "BAD_USER_INPUT"),
        (&own, own.clone(), "BAD_USER_INPUT"),
        (&own, of_pave.clone(), "BAD_USER_INPUT"),
        (&part, unknown.clone(), "NOT_FOUND"),
        (&unknown, own.clone(), "NOT_FOUND"),
        (&part, Value::Null, "BAD_USER_INPUT"),
        (&part, json!("1"), "BAD_USER_INPUT"),
        (&json!("1"), own.clone(), "BAD_USER_INPUT"),
    ] {
        let answer = hub.try_link(entity, inspection.clone()).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{entity} {inspection}: {answer}");
    }
    let missing = json!({ "input": { "idempotencyKey": "missing", "entity": part } });
    let answer = hub.app.graphql(LINK, missing).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    assert_eq!(hub.entities().await, entities);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_takes_all_that_a_link_ties_together_or_nothing() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    let begin: DateTime<Utc> = "2026-03-02T00:00:00Z".parse().expect("a moment");
    let job = |job: i64, state: &str, hours: i64| {
        let body = json!({ "event": "job-state-changed", "job_id": job, "state": state });
        incoming_at("hover", "hover", &body, begin + TimeDelta::hours(hours))
    };
    let change = |hours: i64| {
        let body = json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": 3, "job_id": 11,
            "state": "first_attempt" });
        incoming_at("hover", "hover", &body, begin + TimeDelta::hours(hours))
    };
    let part = (EntityType::Job(JobKind::DeliverableChange), "3");
    // The first inspection is finished, the part was linked to another one, which stays open.
    let records = [
        job(11, "complete", 0),
        change(1),
        job(12, "uploading", 2),
        link_at("hover", part, Some("12"), begin + TimeDelta::hours(3)),
    ];
    write(&mut writer, &records);
    let report = purge(&db, begin + TimeDelta::hours(48), PurgeMode::Delete).await;
    assert_eq!((report.units, report.commands), (0, 0), "the other inspection is open: {report:?}");
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
    write(&mut writer, &[job(12, "complete", 4), job(13, "uploading", 5)]);
    let report = purge(&db, begin + TimeDelta::hours(48), PurgeMode::Delete).await;
    assert_eq!((report.units, report.commands), (1, 1), "both, with all that is theirs: {report:?}");
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
    // Linked and unlinked: the command still names both.
    write(&mut writer, &[job(21, "complete", 6), job(22, "complete", 7)]);
    let part = (EntityType::Job(JobKind::HoverJob), "21");
    write(
        &mut writer,
        &[
            link_at("hover", part, Some("22"), begin + TimeDelta::hours(8)),
            link_at("hover", part, None, begin + TimeDelta::hours(9)),
            job(13, "complete", 50),
        ],
    );
    purge(&db, begin + TimeDelta::hours(40), PurgeMode::Delete).await;
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
}

/// Where everything is, and where the vendor says it is.
async fn places(db: &Database) -> BTreeMap<String, Value> {
    let rows = thing::Entity::find().all(&db.read_pool).await.expect("entities");
    let name = |row: &thing::Model| format!("{} {} {}", row.kind, row.subkind, row.external_id);
    let names: BTreeMap<i64, String> = rows.iter().map(|row| (row.row_id, name(row))).collect();
    let named = |row_id: Option<i64>| row_id.map(|row_id| names[&row_id].clone());
    let place = |row: &thing::Model| {
        json!({ "inspection": named(row.inspection_row_id), "parent": named(row.parent_row_id), "state": row.state,
            "linked": named(row.hand_linked_row_id), "vendor": named(row.vendor_inspection_row_id) })
    };
    rows.iter().map(|row| (name(row), place(row))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_order_of_deliveries_around_links_does_not_matter(
        life in scenario("hover"), order in proptest::collection::vec(any::<u32>(), 60), batch in 1..7_usize,
        links in proptest::collection::vec((select(vec!["11", "3", "9"]), select(vec![Some("a"), Some("b"), None]), 0..40_usize), 1..5),
        parts_are_new in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let begin: DateTime<Utc> = "2026-03-02T00:00:00Z".parse().expect("a moment");
        // What is linked must be there: each is named once before. Parts may be new after their job was linked.
        let mut links = links;
        links.retain(|(id, ..)| *id == "11" || !parts_are_new);
        let (first, rest): (Vec<&Value>, Vec<&Value>) = life.iter().partition(|body| {
            let is_of_part = body["state"] == "first_attempt" || body["event"] == "model-created";
            (is_of_part && !parts_are_new) || (body["event"] == "job-state-changed" && body["state"] == "uploading")
        });
        let apply = |order: &[u32], spread: bool, batch: usize, undo: bool, links: &[(&'static str, Option<&'static str>, usize)]| {
            let mut rest: Vec<(u32, &Value)> = rest.iter().enumerate()
                .map(|(place, body)| (order.get(place).copied().unwrap_or_default(), *body)).collect();
            rest.sort_by_key(|(key, _)| *key);
            let at = begin + TimeDelta::seconds(1);
            let mut records = vec![
                command_at("hover", "a", TestAct::Register(0), begin), command_at("hover", "b", TestAct::Register(0), begin),
            ];
            records.extend(first.iter().map(|body| incoming_at("hover", "hover", body, at)));
            let entity = |id: &'static str| match id {
                "11" => (EntityType::Job(JobKind::HoverJob), id),
                "3" => (EntityType::Job(JobKind::DeliverableChange), id),
                _ => (EntityType::Item(entity::ItemKind::Model), id),
            };
            let mut links = links.to_vec();
            links.sort_by_key(|(.., place)| *place);
            for (place, (_, body)) in rest.iter().enumerate() {
                if spread {
                    for (id, to, _) in links.extract_if(.., |(.., due)| *due <= place) {
                        records.push(link_at("hover", entity(id), to, at));
                    }
                }
                records.push(incoming_at("hover", "hover", body, at));
            }
            records.extend(links.iter().map(|(id, to, _)| link_at("hover", entity(id), *to, at)));
            if undo {
                records.extend(["9", "3", "11"].map(|id| link_at("hover", entity(id), None, at)));
            }
            let mut batches = Vec::new();
            while !records.is_empty() {
                batches.push(records.drain(..batch.min(records.len())).collect::<Vec<_>>());
            }
            runtime.block_on(async {
                let database = TestDatabase::new().await;
                let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
                let mut writer = Writer::open(&db).expect("a writer");
                for batch in &batches {
                    write(&mut writer, batch);
                }
                assert_eq!(discrepancies(&db).await, Vec::<String>::new());
                places(&db).await
            })
        };
        prop_assert_eq!(apply(&order, true, batch, false, &links), apply(&[], false, 1, false, &links));
        prop_assert_eq!(apply(&order, true, batch, true, &links), apply(&[], false, 1, false, &[]), "undone");
    }
}
