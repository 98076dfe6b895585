use super::*;
use crate::database::TestDatabase;
use crate::store::{Database, OpenMode, StoreError};
use crate::vendor;
use entity::payload_dictionary;
use proptest::prelude::*;
use sea_orm::{ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel};
use std::sync::LazyLock;

/// Like a webhook, and unlike one.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let json = "\\{\"event\":\"(SESSION:STATUS_CHANGE|job-state-changed)\",\"id\":[0-9]{1,9},\"at\":\"20[0-9]{2}-0[1-9]-1[0-9]T00:00:00Z\"\\}";
    prop_oneof![
        10 => json.prop_map(String::into_bytes),
        10 => proptest::collection::vec(any::<u8>(), 0..400),
        1 => (any::<u8>(), 0..400_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

/// Of an earlier version: what it contains fits no vendor.
static OTHER: LazyLock<VendorDictionary> = LazyLock::new(|| {
    let content: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
    VendorDictionary::new("pave".to_owned(), content.into()).expect("a dictionary")
});

async fn add(db: &DatabaseConnection, dictionary: &VendorDictionary, content: Vec<u8>) {
    let row = payload_dictionary::Model { id: dictionary.id, vendor: dictionary.vendor.clone(), content };
    let row = row.into_active_model().reset_all();
    payload_dictionary::Entity::insert(row).exec_without_returning(db).await.expect("inserted");
}

/// A database with all dictionaries of this version and the other one.
async fn filled() -> (TestDatabase, Database) {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    for dictionary in VendorDictionary::all().chain([&*OTHER]) {
        add(&db.write_pool, dictionary, dictionary.content.to_vec()).await;
    }
    (database, db)
}

fn decode(dictionaries: &DictionaryCache, stored: StoredPayload) -> Result<(String, Vec<u8>), PayloadError> {
    let StoredPayload { dictionary_id, headers, body, body_size } = stored;
    let headers = dictionaries.decode_headers(dictionary_id, headers)?;
    Ok((headers, dictionaries.decode_body(dictionary_id, body, body_size)?))
}

/// Loads all that a payload needs, and decodes it.
async fn read(
    dictionaries: &DictionaryCache,
    db: &Database,
    stored: &StoredPayload,
) -> Result<(String, Vec<u8>), PayloadError> {
    let loaded: Result<(), StoreError> = dictionaries.load(&db.read_pool, stored.dictionary_id).await;
    loaded.expect("loaded");
    decode(dictionaries, stored.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_payload_is_read_as_it_was_received() {
    let (_database, db) = filled().await;
    let runtime = tokio::runtime::Handle::current();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let dictionaries = DictionaryCache::default();
    tokio::task::block_in_place(|| {
        proptest!(config, |(headers in any::<String>(), body in any_body())| {
            let received = (headers.clone(), body.clone());
            let mut versions: Vec<StoredPayload> =
                vendor::names().map(|vendor| StoredPayload::encode(vendor, &headers, &body)).collect();
            versions.extend([OTHER.encode(&headers, &body), StoredPayload::encode("nobody", &headers, &body)]);
            for stored in versions {
                prop_assert!(stored.bytes() <= headers.len() + body.len());
                prop_assert_eq!(stored.body_size, body.len() as i64);
                prop_assert_eq!(runtime.block_on(read(&dictionaries, &db, &stored)), Ok(received.clone()));
            }
        });
    });
}

/// Every damage of a few bytes, and every cut.
#[tokio::test]
async fn damage_is_found_and_never_read_as_something_else() {
    let (_database, db) = filled().await;
    let headers = r#"{"accept":"*/*","content-type":"application/json","user-agent":"Ruby"}"#;
    let body = br#"{"event":"SESSION:STATUS_CHANGE","session_key":"XYZ-1234567890","status":"STARTED","n":[1,2,3,4]}"#;
    let stored = StoredPayload::encode("pave", headers, body);
    assert!(stored.dictionary_id.is_some());
    let dictionaries = DictionaryCache::default();
    assert_eq!(read(&dictionaries, &db, &stored).await, Ok((headers.to_owned(), body.to_vec())));
    let mut damaged = Vec::new();
    for at in 0..stored.body.len() {
        for change in [1, 4, 0x20, 0x80, 0xff] {
            let mut payload = stored.clone();
            payload.body[at] ^= change;
            damaged.push(payload);
        }
        damaged.push(StoredPayload { body: stored.body[..at].to_vec(), ..stored.clone() });
    }
    damaged.push(StoredPayload { body: [&stored.body[..], &stored.body[..]].concat(), ..stored.clone() });
    damaged.push(StoredPayload { body_size: stored.body_size + 1, ..stored.clone() });
    damaged.push(StoredPayload { body_size: -1, ..stored.clone() });
    damaged.push(StoredPayload { body: body.to_vec(), ..stored.clone() });
    damaged.push(StoredPayload { dictionary_id: None, ..stored.clone() });
    damaged.push(StoredPayload { headers: stored.headers[1..].to_vec(), ..stored.clone() });
    // With the dictionary of another vendor, and of another version.
    damaged.push(StoredPayload { dictionary_id: VendorDictionary::of("hover").map(|it| it.id), ..stored.clone() });
    damaged.push(StoredPayload { dictionary_id: Some(OTHER.id), ..stored.clone() });
    for payload in damaged {
        // A bit of the frame's header has no meaning.
        let found = read(&dictionaries, &db, &payload).await;
        let is_harmless = found.as_ref().is_ok_and(|(_, found)| *found == body);
        assert!(is_harmless || matches!(found, Err(PayloadError::Damaged { .. })), "{payload:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_declared_size_allocates_nothing_that_the_frame_cannot_contain() {
    let (_database, db) = filled().await;
    let dictionaries = DictionaryCache::default();
    let id = VendorDictionary::of("pave").map(|dictionary| dictionary.id);
    for size in [1_u64 << 62, 1 << 40, 1 << 30] {
        // A header with a size of eight bytes, and an empty block.
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0], &size.to_le_bytes()[..], &[1, 0, 0]].concat();
        let stored = StoredPayload { dictionary_id: id, headers: Vec::new(), body: frame, body_size: size as i64 };
        let found = read(&dictionaries, &db, &StoredPayload { headers: stored.body.clone(), ..stored.clone() }).await;
        assert_eq!(found, Err(PayloadError::Damaged { part: "headers", reason: codec::WRONG_SIZE }));
        let found = dictionaries.decode_body(id, stored.body, stored.body_size);
        assert_eq!(found, Err(PayloadError::Damaged { part: "body", reason: codec::WRONG_SIZE }));
    }
}

#[tokio::test]
async fn a_dictionary_is_read_from_the_database_and_nowhere_else() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, OpenMode::Migrate).await.expect("a database");
    let pave = VendorDictionary::of("pave").expect("a dictionary");
    let stored = pave.encode(r#"{"accept":"*/*","content-type":"application/json"}"#, b"{}");
    let missing = Err(PayloadError::MissingDictionary(pave.id));
    let dictionaries = DictionaryCache::default();
    assert_eq!(read(&dictionaries, &db, &stored).await, missing);
    add(&db.write_pool, pave, pave.content[1..].to_vec()).await;
    assert_eq!(read(&dictionaries, &db, &stored).await, missing, "its content is damaged");
    payload_dictionary::Entity::delete_by_id(pave.id).exec(&db.write_pool).await.expect("deleted");
    add(&db.write_pool, pave, pave.content.to_vec()).await;
    assert!(read(&dictionaries, &db, &stored).await.is_ok(), "it was repaired");
    let text = PayloadError::MissingDictionary(7).to_string();
    assert_eq!(text, "a payload that needs dictionary 7, which is missing or damaged in the table payload_dictionary");
}
