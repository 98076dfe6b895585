//! API keys by the API: a key never exceeds its maker, and what is outside of one's own view does not exist.

use super::*;
use crate::access::{ApiKey, ApiKeyToken, Scopes, View};
use crate::store::ApiKeyRecord;
use async_graphql::Request;
use chrono::TimeDelta;
use entity::Scope;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const FIELDS: &str = "id keyId name scopes sources createdAt createdBy expiresAt lastUsedAt revokedAt inSettings";

fn principal(scopes: Scopes, sources: Option<&[&str]>, expires_at: Option<DateTime<Utc>>) -> Arc<Principal> {
    let sources = sources.map(|sources| sources.iter().map(|source| (*source).to_owned()).collect());
    let (view, ended) = (View::new(scopes, sources), CancellationToken::new());
    Arc::new(Principal { subject: "key:000000000001".into(), view, expires_at, ended })
}

impl ApiFixture {
    async fn ask_as(&self, principal: &Arc<Principal>, document: &str, variables: Value) -> Value {
        let request = Request::new(document).variables(Variables::from_json(variables));
        let parsed = Arc::new(parse_query(document).expect("a document"));
        let response = self.graph.execute_parsed(request, &parsed, principal).await;
        serde_json::to_value(response).expect("JSON")
    }

    async fn mutate_as(&self, principal: &Arc<Principal>, field: &str, input: Value) -> Value {
        let ty = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let secret = if field == "revokeApiKey" { "" } else { "secret" };
        let document = format!("mutation($i: {ty}!) {{ {field}(input: $i) {{ {secret} apiKey {{ {FIELDS} }} }} }}");
        self.ask_as(principal, &document, json!({ "i": input })).await
    }

    async fn record(&self, token: &ApiKeyToken) -> ApiKeyRecord {
        self.records().await.into_iter().find(|record| record.key.id == token.id).expect("a key")
    }

    async fn records(&self) -> Vec<ApiKeyRecord> {
        self.graph.api.keys.store.all().await.expect("keys")
    }
}

fn code(response: &Value) -> &str {
    response["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn a_key_is_created_replaced_and_revoked() {
    let hub = ApiFixture::new().await;
    let admin = principal(Scopes::ALL, None, None);
    let input = json!({ "name": "board", "scopes": ["READ", "READ_PERSONAL", "READ"], "sources": ["yard", "lot"], "expiresAt": "2024-02-01T00:00:00Z" });
    let created = hub.mutate_as(&admin, "createApiKey", input).await;
    let payload = &created["data"]["createApiKey"];
    let token: ApiKeyToken = payload["secret"].as_str().expect("a secret").parse().expect("a key");
    let key = &payload["apiKey"];
    assert_eq!(key["keyId"], token.id.to_string());
    assert_eq!(
        (&key["name"], &key["scopes"], &key["sources"]),
        (&json!("board"), &json!(["READ", "READ_PERSONAL"]), &json!(["lot", "yard"]))
    );
    assert_eq!(
        (&key["createdBy"], &key["inSettings"], &key["revokedAt"]),
        (&json!("key:000000000001"), &json!(false), &Value::Null)
    );
    // It is valid at once in this process.
    let authenticated = hub.graph.api.keys.authenticate(&token.reveal()).expect("valid");
    assert_eq!(&*authenticated.subject, format!("key:{}", token.id));
    let rotated = hub.mutate_as(&admin, "rotateApiKey", json!({ "id": key["id"], "overlap": "PT1H" })).await;
    let new = &rotated["data"]["rotateApiKey"]["apiKey"];
    assert_eq!((&new["name"], &new["scopes"], &new["sources"]), (&key["name"], &key["scopes"], &key["sources"]));
    assert_eq!(hub.record(&token).await.key.expires_at, Some((hub.graph.api.clock)() + TimeDelta::hours(1)));
    for _ in 0..2 {
        let revoked = hub.mutate_as(&admin, "revokeApiKey", json!({ "id": key["id"] })).await;
        assert_eq!(revoked["data"]["revokeApiKey"]["apiKey"]["revokedAt"], "2024-01-02T00:00:00+00:00", "{revoked}");
    }
    assert!(authenticated.ended.is_cancelled() && hub.graph.api.keys.authenticate(&token.reveal()).is_none());
    let list = |arguments: &str| {
        format!("{{ apiKeys{arguments} {{ totalCount nodes {{ {FIELDS} }} }} node(id: {}) {{ id }} }}", new["id"])
    };
    let listed = hub.ask_as(&admin, &list(""), json!({})).await;
    assert_eq!(listed["data"]["apiKeys"], json!({ "totalCount": 1, "nodes": [new] }));
    assert_eq!(listed["data"]["node"]["id"], new["id"]);
    assert!(!listed.to_string().contains("ihub_"), "{listed}");
    let all = hub.ask_as(&admin, &list("(includeRevoked: true)"), json!({})).await;
    assert_eq!(all["data"]["apiKeys"]["totalCount"], 2);
    assert!(
        all["data"]["apiKeys"]["nodes"].as_array().expect("keys").iter().any(|one| one["id"] == key["id"]),
        "{all}"
    );
}

#[tokio::test]
async fn pages_of_keys() {
    let hub = ApiFixture::new().await;
    let admin = principal(Scopes::ALL, None, None);
    for number in 0..5 {
        let input = json!({ "name": format!("{number}"), "scopes": ["READ"] });
        assert_eq!(code(&hub.mutate_as(&admin, "createApiKey", input).await), "none");
    }
    let all: Vec<String> = hub.records().await.iter().map(|record| record.key.name.clone()).collect();
    let page = async |arguments: String| {
        let query = format!(
            "{{ apiKeys({arguments}) {{ nodes {{ name }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        hub.ask_as(&admin, &query, json!({})).await["data"]["apiKeys"].take()
    };
    let names = |page: &Value| texts(page, &["nodes", "name"]);
    let first = page("first: 2".into()).await;
    assert_eq!((names(&first), &first["pageInfo"]["hasNextPage"]), (all[..2].to_vec(), &json!(true)));
    let second = page(format!("first: 3, after: {}", first["pageInfo"]["endCursor"])).await;
    assert_eq!((names(&second), &second["pageInfo"]["hasNextPage"]), (all[2..].to_vec(), &json!(false)));
    let before = page(format!("last: 1, before: {}", second["pageInfo"]["startCursor"])).await;
    assert_eq!((names(&before), &before["pageInfo"]["hasPreviousPage"]), (all[1..2].to_vec(), &json!(true)));
    let foreign = crate::graphql::cursor::Cursor::ApiKey("000000000000".parse().expect("an id")).encode();
    for cursor in [foreign, cursor_of(1), "x".into()] {
        let refused =
            hub.ask_as(&admin, &format!("{{ apiKeys(after: \"{cursor}\") {{ totalCount }} }}"), json!({})).await;
        assert_eq!(code(&refused), "CURSOR_INVALID", "{refused}");
    }
}

#[tokio::test]
async fn a_key_never_exceeds_its_maker() {
    let hub = ApiFixture::new().await;
    let now = (hub.graph.api.clock)();
    let scopes: Scopes = [Scope::Read, Scope::Admin].into_iter().collect();
    let (at_most, later) = (now + TimeDelta::days(30), now + TimeDelta::days(31));
    let limited = principal(scopes, Some(&["lot"]), Some(at_most));
    for (input, expected) in [
        (json!({ "name": "n", "scopes": ["READ"], "sources": ["lot"], "expiresAt": at_most }), "none"),
        (json!({ "name": "n", "scopes": ["READ", "ERASE"], "sources": ["lot"], "expiresAt": at_most }), "FORBIDDEN"),
        (json!({ "name": "n", "scopes": ["READ"], "expiresAt": at_most }), "FORBIDDEN"),
        (json!({ "name": "n", "scopes": ["READ"], "sources": null, "expiresAt": at_most }), "FORBIDDEN"),
        (json!({ "name": "n", "scopes": ["READ"], "sources": ["lot"] }), "FORBIDDEN"),
        (json!({ "name": "n", "scopes": ["READ"], "sources": ["lot"], "expiresAt": later }), "FORBIDDEN"),
        // As one that does not exist.
        (json!({ "name": "n", "scopes": ["READ"], "sources": ["yard"], "expiresAt": at_most }), "BAD_USER_INPUT"),
        (json!({ "name": "n", "scopes": ["READ"], "sources": ["lot", "x"], "expiresAt": at_most }), "BAD_USER_INPUT"),
        (json!({ "name": "n", "scopes": ["READ"], "sources": [], "expiresAt": at_most }), "BAD_USER_INPUT"),
        (json!({ "name": "n", "scopes": [], "sources": ["lot"], "expiresAt": at_most }), "BAD_USER_INPUT"),
        (json!({ "name": "", "scopes": ["READ"], "sources": ["lot"], "expiresAt": at_most }), "BAD_USER_INPUT"),
        (json!({ "name": "a\u{7}", "scopes": ["READ"], "sources": ["lot"], "expiresAt": at_most }), "BAD_USER_INPUT"),
        (
            json!({ "name": "x".repeat(101), "scopes": ["READ"], "sources": ["lot"], "expiresAt": at_most }),
            "BAD_USER_INPUT",
        ),
        (json!({ "name": "n", "scopes": ["READ"], "sources": ["lot"], "expiresAt": now }), "BAD_USER_INPUT"),
    ] {
        let answer = hub.mutate_as(&limited, "createApiKey", input.clone()).await;
        assert_eq!(code(&answer), expected, "{input} {answer}");
        assert!(!answer.to_string().contains("yard") || input.to_string().contains("yard"), "{answer}");
    }
    let records = hub.records().await;
    assert_eq!(records.len(), 1);
    assert!(records[0].key.view.is_within(&limited.view) && records[0].key.expires_at == Some(at_most));
    let id = crate::store::read::api_key_node_id(records[0].key.id).to_string();
    let rotated = hub.mutate_as(&limited, "rotateApiKey", json!({ "id": id, "expiresAt": later })).await;
    assert_eq!(code(&rotated), "none", "{rotated}");
    assert_eq!(hub.records().await.iter().map(|record| record.key.expires_at).max(), Some(Some(at_most)));
}

#[tokio::test]
async fn a_key_outside_of_the_view_does_not_exist() {
    let hub = ApiFixture::new().await;
    let admin = principal(Scopes::ALL, None, None);
    let create = async |scopes: Value, sources: Value| {
        let input = json!({ "name": "n", "scopes": scopes, "sources": sources });
        hub.mutate_as(&admin, "createApiKey", input).await["data"]["createApiKey"]["apiKey"]["id"].take()
    };
    let hidden = [
        create(json!(["READ"]), json!(["yard"])).await,
        create(json!(["READ"]), json!(null)).await,
        create(json!(["READ", "ERASE"]), json!(["lot"])).await,
        json!(crate::store::read::api_key_node_id("000000000000".parse().expect("an id"))),
    ];
    let seen = create(json!(["READ"]), json!(["lot"])).await;
    let scopes: Scopes = [Scope::Read, Scope::Admin].into_iter().collect();
    let limited = principal(scopes, Some(&["lot"]), None);
    let listed = hub.ask_as(&limited, "{ apiKeys(includeRevoked: true) { totalCount nodes { id } } }", json!({})).await;
    assert_eq!(listed["data"]["apiKeys"], json!({ "totalCount": 1, "nodes": [{ "id": seen }] }));
    for id in &hidden {
        for field in ["rotateApiKey", "revokeApiKey"] {
            assert_eq!(code(&hub.mutate_as(&limited, field, json!({ "id": id })).await), "NOT_FOUND", "{field}");
        }
        assert_eq!(
            hub.ask_as(&limited, &format!("{{ node(id: {id}) {{ id }} }}"), json!({})).await["data"]["node"],
            Value::Null
        );
    }
    let reader = principal([Scope::Read].into_iter().collect(), None, None);
    let node = format!("{{ node(id: {seen}) {{ id }} }}");
    assert_eq!(hub.ask_as(&reader, &node, json!({})).await["data"]["node"], Value::Null, "it lacks ADMIN");
    assert_eq!(hub.ask_as(&limited, &node, json!({})).await["data"]["node"]["id"], seen);
    for (input, expected) in [
        (json!({ "id": "x" }), "NOT_FOUND"),
        (json!({ "id": "018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d" }), "NOT_FOUND"),
        (json!({ "id": seen, "overlap": "soon" }), "BAD_USER_INPUT"),
        (json!({ "id": seen, "expiresAt": "2020-01-01T00:00:00Z" }), "BAD_USER_INPUT"),
    ] {
        assert_eq!(code(&hub.mutate_as(&admin, "rotateApiKey", input.clone()).await), expected, "{input}");
    }
    assert!(hub.records().await.iter().all(|record| record.revoked_at.is_none()));
}

#[tokio::test]
async fn a_key_of_the_settings_is_listed_and_cannot_be_changed() {
    let mut hub = ApiFixture::new().await;
    let (key, _) = ApiKey::generate("file".into(), View::everything(), None).expect("random numbers");
    let (store, clock) = (hub.graph.api.keys.store.clone(), hub.graph.api.clock);
    let id = crate::store::read::api_key_node_id(key.id).to_string();
    hub.graph.api.keys = KeyRing::open(store, vec![key], Scopes::NONE, false, clock).await.expect("a ring");
    let admin = principal(Scopes::ALL, None, None);
    let listed = hub.ask_as(&admin, &format!("{{ apiKeys {{ nodes {{ {FIELDS} }} }} }}"), json!({})).await;
    let listed = &listed["data"]["apiKeys"]["nodes"][0];
    assert_eq!((&listed["id"], &listed["inSettings"], &listed["createdAt"]), (&json!(id), &json!(true), &Value::Null));
    for field in ["rotateApiKey", "revokeApiKey"] {
        let refused = hub.mutate_as(&admin, field, json!({ "id": id })).await;
        assert!(
            code(&refused) == "BAD_USER_INPUT" && refused.to_string().contains("in the settings file"),
            "{refused}"
        );
    }
    let limited = principal(Scopes::ALL, Some(&["lot"]), None);
    assert_eq!(code(&hub.mutate_as(&limited, "revokeApiKey", json!({ "id": id })).await), "NOT_FOUND");
}
