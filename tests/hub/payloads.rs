//! Headers and bodies are stored compressed, and read as they were received: with the dictionaries that the database has, and with
//! a clear error where one is damaged.

use crate::database::TestDatabase;
use crate::rebuild::rebuild;
use crate::test_hub::{TestHub, sample_bytes, samples};
use crate::vendor_client::delivery_body;
use crate::verify::{used, verify};
use entity::{delivery, payload_dictionary};
use inspection_hub::store::{DictionaryCache, StoredPayload, VendorDictionary};
use inspection_hub::vendor;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryOrder, Set};
use serde_json::{Value, json};

const DELIVERIES: &str = "{ deliveries(first: 40) { nodes { id size headers bodyText } } }";

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    sea_orm::Database::connect(&database.address).await.expect("the database")
}

/// The headers and the body of a stored delivery, as they were received.
pub async fn stored_payload(db: &DatabaseConnection, number: i64) -> (String, Vec<u8>) {
    let row = delivery::Entity::find_by_id(number).one(db).await.expect("an answer").expect("a delivery");
    let dictionaries = DictionaryCache::default();
    dictionaries.load(db, row.dictionary_id).await.expect("loaded");
    let headers = dictionaries.decode_headers(row.dictionary_id, row.headers).expect("headers");
    (headers, dictionaries.decode_body(row.dictionary_id, row.body, row.body_size).expect("a body"))
}

/// Replaces the stored payload of a delivery.
pub async fn replace_payload(db: &DatabaseConnection, number: i64, payload: StoredPayload) {
    let StoredPayload { dictionary_id, headers, body, body_size } = payload;
    let row = delivery::ActiveModel {
        row_id: Set(number),
        dictionary_id: Set(dictionary_id),
        headers: Set(headers),
        body: Set(body),
        body_size: Set(body_size),
        ..Default::default()
    };
    row.update(db).await.expect("replaced");
}

async fn edit(db: &DatabaseConnection, text: &str) {
    assert!(db.execute_unprepared(text).await.expect("an edit").rows_affected() > 0, "{text}");
}

#[tokio::test]
async fn every_sample_is_read_byte_by_byte() {
    let app = TestHub::start().await;
    let db = connect(&app.database).await;
    let folder = format!("{}/tests/samples/bad", env!("CARGO_MANIFEST_DIR"));
    let bad = std::fs::read_dir(folder).expect("the folder").flatten();
    let mut all: Vec<String> = bad.map(|file| format!("bad/{}", file.file_name().display())).collect();
    all.extend(vendor::names().flat_map(samples));
    let (mut received, mut stored, mut newest) = (0, 0, 0);
    for sample in &all {
        let bytes = sample_bytes(sample);
        let response = match sample.starts_with("bad/") {
            true => app.post_sample_as("hover", sample).await,
            false => app.post_sample(sample).await,
        };
        if bytes.is_empty() || response.body["status"] == "duplicate" {
            continue;
        }
        let query = "query($id: ID!) { node(id: $id) { ... on Delivery { size contentType headers bodyText } } }";
        let shown = app.query_with(query, json!({ "id": response.body["delivery"] })).await["node"].clone();
        assert_eq!(shown["size"], bytes.len(), "{sample}");
        assert_eq!(shown["bodyText"], String::from_utf8_lossy(&bytes).into_owned(), "{sample}");
        assert_eq!(shown["headers"]["content-length"], bytes.len().to_string(), "{sample}");
        assert_eq!(shown["headers"]["content-type"], shown["contentType"], "{sample}");
        newest += 1;
        let (headers, body) = stored_payload(&db, newest).await;
        assert_eq!(body, bytes, "{sample}");
        assert_eq!(serde_json::from_str::<Value>(&headers).expect("JSON"), shown["headers"], "{sample}");
        let row = delivery::Entity::find_by_id(newest).one(&db).await.expect("an answer").expect("a delivery");
        received += headers.len() + body.len();
        stored += row.headers.len() + row.body.len();
    }
    assert!(newest > 150 && stored * 2 < received, "{newest} deliveries: {stored} bytes of {received}");
    // Of what was received, nothing is left outside of the deliveries.
    let dictionaries = payload_dictionary::Entity::find().order_by_asc(payload_dictionary::Column::Vendor);
    let dictionaries = dictionaries.all(&db).await.expect("dictionaries");
    let brought = VendorDictionary::all().map(|brought| (brought.id, brought.content.to_vec()));
    assert_eq!(
        dictionaries.into_iter().map(|row| (row.id, row.content)).collect::<Vec<_>>(),
        brought.collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_payload_is_named_and_hides_no_other() {
    let app = TestHub::start().await;
    for number in 0..4 {
        app.post("pave", delivery_body(number)).await;
    }
    let db = connect(&app.database).await;
    let row = delivery::Entity::find_by_id(3).one(&db).await.expect("an answer").expect("a delivery");
    let intact = StoredPayload {
        dictionary_id: row.dictionary_id,
        headers: row.headers,
        body: row.body,
        body_size: row.body_size,
    };
    assert!(intact.dictionary_id.is_some());
    let mut flipped = intact.body.clone();
    *flipped.last_mut().expect("a byte") ^= 1;
    for (damaged, field, reason) in [
        (StoredPayload { body: flipped, ..intact.clone() }, "bodyText", "body: Restored data doesn't match checksum"),
        (StoredPayload { body_size: 5, ..intact.clone() }, "bodyText", "body: its size is wrong"),
        (StoredPayload { headers: b"{".to_vec(), ..intact.clone() }, "headers", "headers: no zstd frame"),
    ] {
        replace_payload(&db, 3, damaged).await;
        let answer = app.graphql(DELIVERIES, json!({})).await;
        let nodes = answer["data"]["deliveries"]["nodes"].as_array().expect("deliveries");
        let shown: Vec<bool> = nodes.iter().map(|node| !node[field].is_null()).collect();
        assert_eq!(shown, [true, true, false, true], "{answer:#}");
        assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer:#}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INTERNAL", "{answer:#}");
        let (code, text) = verify(&app.database);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("delivery 3 has a damaged payload: {reason}")), "{text}");
        let (code, text) = rebuild(&app.database, &[]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("delivery 3 has a damaged payload"), "{text}");
    }
    replace_payload(&db, 3, intact).await;
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_dictionary_is_named_and_comes_back_with_the_next_delivery() {
    let app = TestHub::start().await;
    app.post("pave", delivery_body(0)).await;
    let db = connect(&app.database).await;
    let id = VendorDictionary::of("pave").expect("a dictionary").id;
    edit(&db, &format!("DELETE FROM payload_dictionary WHERE id = {id}")).await;
    let (code, text) = verify(&app.database);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("delivery 1 has a payload that needs dictionary {id}, which is missing")), "{text}");
    let app = app.restart().await;
    app.post("pave", delivery_body(1)).await;
    assert_eq!(verify(&app.database).0, Some(0));
    let shown = app.query(DELIVERIES).await;
    assert_eq!(shown["deliveries"]["nodes"][0]["bodyText"], delivery_body(0));
}

/// Another version of the hub has compressed with another dictionary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_of_other_versions_are_read_with_their_dictionaries() {
    let app = used().await;
    let (before, db) = (app.query(DELIVERIES).await, connect(&app.database).await);
    let words = "{\"event\":\"content-type application/json status\",\"id\":".repeat(40);
    let other = VendorDictionary::new("pave".to_owned(), words.into_bytes().into()).expect("a dictionary");
    let other: &'static VendorDictionary = Box::leak(Box::new(other));
    let row = payload_dictionary::Model { id: other.id, vendor: other.vendor.clone(), content: other.content.to_vec() };
    let row = row.into_active_model().reset_all();
    payload_dictionary::Entity::insert(row).exec_without_returning(&db).await.expect("inserted");
    let mut compressed = 0;
    for number in (1..100).step_by(2) {
        let (headers, body) = stored_payload(&db, number).await;
        let stored = other.encode(&headers, &body);
        compressed += usize::from(stored.dictionary_id == Some(other.id));
        replace_payload(&db, number, stored).await;
    }
    assert!(compressed > 10, "{compressed}");
    let app = app.restart().await;
    assert_eq!(app.query(DELIVERIES).await, before);
    assert_eq!(verify(&app.database).0, Some(0));
    for flags in [&[][..], &["--full"]] {
        let (code, text) = rebuild(&app.database, flags);
        assert_eq!(code, Some(0), "{text}");
    }
    assert_eq!(app.query(DELIVERIES).await, before);
    // New deliveries are compressed with the dictionary of this version.
    app.post("pave", delivery_body(7)).await;
    let newest = delivery::Entity::find().order_by_desc(delivery::Column::RowId).one(&db).await.expect("an answer");
    let expected = VendorDictionary::of("pave").map(|dictionary| dictionary.id);
    assert_eq!(newest.expect("a delivery").dictionary_id, expected);
}
