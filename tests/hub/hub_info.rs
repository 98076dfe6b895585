//! What `hub` reports: replicas with the digest of their settings, database and retention, for operators alone.

use crate::test_hub::{TestHub, send_request, wait_until};
use crate::test_keys::{query_with_key, settings_key};
use serde_json::{Value, json};

const HUB: &str = "{ hub { version retention database { kind version bytes }
    replicas { id version startedAt seenAt settingsDigest feedLag } } }";

async fn replicas(app: &TestHub) -> Vec<Value> {
    app.query(HUB).await["hub"]["replicas"].as_array().expect("replicas").clone()
}

async fn with_replicas(app: &TestHub, count: usize) -> Vec<Value> {
    wait_until(&format!("{count} replicas"), async || replicas(app).await.len() == count).await;
    replicas(app).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_is_a_replica_until_it_ends() {
    let one = TestHub::with("retention = '36h'").await;
    let [first] = with_replicas(&one, 1).await.try_into().expect("one");
    let same = one.second_hub().await;
    let other = TestHub::on(one.database.clone(), "retention = '90d'").await;
    let all = with_replicas(&same, 3).await;
    let ids: Vec<&Value> = all.iter().map(|replica| &replica["id"]).collect();
    assert!(ids.contains(&&first["id"]) && ids[0] != ids[1] && ids[1] != ids[2], "{all:?}");
    for replica in &all {
        assert_eq!((&replica["version"], &replica["feedLag"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(0)));
        let (started, seen) = (replica["startedAt"].as_str(), replica["seenAt"].as_str());
        assert!(started.zip(seen).is_some_and(|(started, seen)| started <= seen), "{replica}");
    }
    let digests: Vec<&str> = all.iter().filter_map(|replica| replica["settingsDigest"].as_str()).collect();
    assert_eq!(digests.iter().filter(|digest| **digest == first["settingsDigest"]).count(), 2, "{digests:?}");
    let hub = other.query(HUB).await["hub"].clone();
    assert_eq!((&hub["version"], &hub["retention"]), (&json!(env!("CARGO_PKG_VERSION")), &json!("P90D")));
    assert_eq!(one.query(HUB).await["hub"]["retention"], "P1DT12H");
    let kind = if one.database.is_file() { "SQLITE" } else { "POSTGRESQL" };
    assert_eq!(hub["database"]["kind"], kind);
    assert!(
        hub["database"]["version"].as_str().is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    );
    assert!(hub["database"]["bytes"].as_u64().is_some_and(|bytes| bytes > 4_096), "{hub}");
    other.hub.stop().await;
    same.hub.stop().await;
    let rest = replicas(&one).await;
    assert_eq!(rest.iter().map(|replica| &replica["id"]).collect::<Vec<_>>(), [&first["id"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_is_for_operators() {
    let (reader, readers_table) = settings_key("read read:personal admin", "");
    let (operator, operators_table) = settings_key("operate", "");
    let (limited, limited_table) = settings_key("operate", "sources = ['pave']");
    let app = TestHub::with(&format!("{readers_table}{operators_table}{limited_table}")).await;
    let refused = query_with_key(&app, &reader, HUB).await;
    assert_eq!(refused.body["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused:?}");
    let shown = query_with_key(&app, &operator, HUB).await;
    assert!(shown.body["data"]["hub"]["database"]["bytes"].is_u64(), "{shown:?}");
    let shown = query_with_key(&app, &limited, HUB).await;
    assert!(
        shown.body["data"]["hub"]["database"]["bytes"].is_null() && shown.body.get("errors").is_none(),
        "{shown:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_settings_make_another_entity_tag() {
    let link =
        |host: &str| format!("[sources.pave]\nopen = true\nvendor_link = 'https://{host}.example/{{external_id}}'");
    let mut app = TestHub::with(&link("one")).await;
    app.receive("pave/session-complete.json").await;
    let mut tags = Vec::new();
    for settings in [None, Some(link("one")), Some(link("other"))] {
        if let Some(settings) = settings {
            let database = app.database.clone();
            app.hub.stop().await;
            app = TestHub::on(database, &settings).await;
        }
        let mut url = reqwest::Url::parse(&app.url("/graphql")).expect("a URL");
        url.query_pairs_mut().append_pair("query", "{ inspections { nodes { vendorUrl } } }");
        let response = send_request(app.client.get(url)).await;
        assert_eq!(response.status, 200, "{response:?}");
        let url = response.body["data"]["inspections"]["nodes"][0]["vendorUrl"].as_str().map(str::to_owned);
        tags.push((response.headers["etag"].to_str().expect("text").to_owned(), url.expect("a URL")));
    }
    assert_eq!(tags[0], tags[1], "equal settings");
    assert!(tags[1].0 != tags[2].0 && tags[1].1.contains("one.") && tags[2].1.contains("other."), "{tags:?}");
}
