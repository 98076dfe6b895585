//! Other ways to be authenticated than a key of the hub: tokens of an identity provider, and users of a trusted proxy.

use crate::test_hub::{Subscription, TestHub, TestResponse, send_request, wait_until};
use crate::test_keys::settings_key;
use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::routing::get;
use futures_util::StreamExt;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Pairs of keys for Ed25519 (RFC 8410): the private key in DER, the public one in base64url.
const PAIRS: [(&str, &str); 2] = [
    (
        "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    ),
    (
        "302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
    ),
];
const VIEWER: &str = "{ viewer { subject scopes sources } }";

/// An identity provider that publishes keys.
#[derive(Clone)]
struct Provider {
    url: String,
    keys: Arc<Mutex<Vec<usize>>>,
    fetches: Arc<AtomicUsize>,
}

impl Provider {
    /// One that publishes the first key.
    async fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let provider = Provider { url, keys: Arc::new(Mutex::new(vec![0])), fetches: Arc::default() };
        let serving = provider.clone();
        let router = Router::new().route("/jwks", get(async move || {
            serving.fetches.fetch_add(1, Ordering::SeqCst);
            let keys = serving.keys.lock().expect("keys").clone();
            let key = |pair: usize| json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": pair.to_string(), "x": PAIRS[pair].1 });
            let set = json!({ "keys": keys.into_iter().map(key).collect::<Vec<_>>() });
            ([(CACHE_CONTROL, "public, max-age=3600")], set.to_string())
        }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn settings(&self) -> String {
        format!(
            "[[token_issuers]]\nissuer = '{0}'\naudience = 'hub'\njwks = '{0}/jwks'\nalgorithms = ['EdDSA']\n\
             [[token_issuers.grants]]\nclaim = 'groups'\nvalue = 'readers'\nscopes = ['read']\n\
             [[token_issuers.grants]]\nclaim = 'groups'\nvalue = 'lot'\nscopes = ['read', 'read:personal']\nsources = ['pave']\n",
            self.url
        )
    }

    /// A token that is signed with a key, named so, and ends after these seconds.
    fn token(&self, pair: usize, kid: &str, groups: Value, seconds: i64) -> String {
        let claims = json!({ "iss": self.url, "aud": "hub", "sub": "ada", "exp": chrono::Utc::now().timestamp() + seconds,
            "groups": groups });
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        let key = EncodingKey::from_ed_der(&hex::decode(PAIRS[pair].0).expect("a key"));
        jsonwebtoken::encode(&header, &claims, &key).expect("a token")
    }
}

async fn ask(app: &TestHub, query: &str, headers: &[(&str, &str)]) -> TestResponse {
    let request = app.client.post(app.url("/graphql")).json(&json!({ "query": query }));
    send_request(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn ask_with_token(app: &TestHub, query: &str, token: &str) -> TestResponse {
    ask(app, query, &[("authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn a_token_of_the_provider_is_a_credential_on_every_transport() {
    let provider = Provider::start().await;
    let app = TestHub::with(&provider.settings()).await;
    assert_eq!(ask(&app, VIEWER, &[]).await.status, 401, "with an issuer, the API is not open");
    let token = provider.token(0, "0", json!(["lot"]), 600);
    wait_until("the keys are read", async || ask_with_token(&app, VIEWER, &token).await.status == 200).await;
    let shown = ask_with_token(&app, VIEWER, &token).await.body["data"]["viewer"].clone();
    let subject = format!("{}#ada", provider.url);
    assert_eq!(shown, json!({ "subject": subject, "scopes": ["READ", "READ_PERSONAL"], "sources": ["pave"] }));
    assert_eq!(
        ask_with_token(&app, "{ sources { name } }", &token).await.body,
        json!({ "data": { "sources": [{ "name": "pave" }] } })
    );
    // A valid token without rights may ask who it is, and nothing else.
    let nobody = provider.token(0, "0", json!([]), 600);
    assert_eq!(ask_with_token(&app, VIEWER, &nobody).await.body["data"]["viewer"]["scopes"], json!([]));
    let refused = ask_with_token(&app, "{ head { position } }", &nobody).await.body;
    assert_eq!(refused["errors"][0]["extensions"]["scope"], "read", "{refused}");
    // A socket.
    let mut socket =
        Subscription::opened_with(app.socket().await, json!({ "Authorization": format!("Bearer {token}") })).await;
    socket.send(json!({ "id": "1", "type": "subscribe", "payload": { "query": VIEWER } })).await;
    assert_eq!(socket.next_message().await["payload"]["data"]["viewer"]["subject"], subject);
    // An event stream.
    let request = app.client.post(app.url("/graphql")).bearer_auth(&token).header("accept", "text/event-stream");
    let response =
        request.json(&json!({ "query": "subscription { changes { position } }" })).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    for wrong in
        [provider.token(1, "0", json!(["lot"]), 600), provider.token(0, "0", json!(["lot"]), -100), format!("{token}x")]
    {
        let refused = ask_with_token(&app, VIEWER, &wrong).await;
        assert_eq!(
            (refused.status, &refused.body["errors"][0]["extensions"]["code"]),
            (401, &json!("UNAUTHENTICATED"))
        );
        assert!(!refused.body.to_string().contains(&wrong[..40]), "{}", refused.body);
    }
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_made_up_keys_cost_nothing() {
    let provider = Provider::start().await;
    let app = TestHub::with(&provider.settings()).await;
    let old = provider.token(0, "0", json!(["readers"]), 600);
    wait_until("the keys are read", async || ask_with_token(&app, VIEWER, &old).await.status == 200).await;
    let before = provider.fetches.load(Ordering::SeqCst);
    *provider.keys.lock().expect("keys") = vec![0, 1];
    assert_eq!(ask_with_token(&app, VIEWER, &provider.token(1, "1", json!(["readers"]), 600)).await.status, 200);
    assert_eq!(ask_with_token(&app, VIEWER, &old).await.status, 200);
    for number in 0..20 {
        let made_up = provider.token(1, &format!("made-up-{number}"), json!(["readers"]), 600);
        assert_eq!(ask_with_token(&app, VIEWER, &made_up).await.status, 401, "{number}");
    }
    assert_eq!(provider.fetches.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn a_hub_starts_without_its_provider() {
    let nowhere = Provider { url: "http://127.0.0.1:9".to_owned(), keys: Arc::default(), fetches: Arc::default() };
    let app = TestHub::with(&nowhere.settings()).await;
    assert_eq!(ask_with_token(&app, VIEWER, &nowhere.token(0, "0", json!(["readers"]), 600)).await.status, 401);
    assert_eq!(app.post_sample("pave/session-status-change-started.json").await.status, 200);
}

#[tokio::test]
async fn a_token_that_expires_ends_its_subscriptions() {
    let provider = Provider::start().await;
    let app = TestHub::with(&provider.settings()).await;
    let long = provider.token(0, "0", json!(["readers"]), 600);
    wait_until("the keys are read", async || ask_with_token(&app, VIEWER, &long).await.status == 200).await;
    // The clocks may differ by a minute.
    let short = provider.token(0, "0", json!(["readers"]), -57);
    let mut socket = Subscription::opened_with(app.socket().await, json!({ "token": short })).await;
    socket
        .send(
            json!({ "id": "1", "type": "subscribe", "payload": { "query": "subscription { changes { position } }" } }),
        )
        .await;
    let message = socket.next_message().await;
    assert_eq!(
        (&message["type"], &message["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("UNAUTHENTICATED"))
    );
    assert_eq!(ask_with_token(&app, VIEWER, &short).await.status, 401);
    assert_eq!(ask_with_token(&app, VIEWER, &long).await.status, 200);
}

const PROXY: &str = "proxy_user_header = 'X-Forwarded-User'\nproxy_groups_header = 'X-Forwarded-Groups'\n";
const PROXY_GRANTS: &str =
    "[[proxy_grants]]\ngroup = '*'\nscopes = ['read']\n[[proxy_grants]]\ngroup = 'operators'\nscopes = ['operate']\n";

#[tokio::test]
async fn the_user_of_a_trusted_proxy_needs_no_other_credential() {
    let app = TestHub::with(&format!("trusted_proxies = '127.0.0.0/8'\n{PROXY}{PROXY_GRANTS}")).await;
    let user = [("x-forwarded-user", "ada"), ("x-forwarded-groups", "dev,operators")];
    let shown = ask(&app, VIEWER, &user).await.body["data"]["viewer"].clone();
    assert_eq!(shown, json!({ "subject": "proxy:ada", "scopes": ["READ", "OPERATE"], "sources": null }));
    assert_eq!(ask(&app, VIEWER, &[]).await.status, 401);
    // A wrong credential counts: nothing else is tried then.
    assert_eq!(ask(&app, VIEWER, &[user[0], ("authorization", "Bearer ihub_wrong")]).await.status, 401);
    // A page of another site cannot use what its visitor is logged in with.
    let host = app.url("");
    for (origin, status) in [("https://evil.example", 403), ("null", 403), (host.as_str(), 200)] {
        assert_eq!(ask(&app, VIEWER, &[user[0], ("origin", origin)]).await.status, status, "{origin}");
    }
    let mut request = app.url("/graphql").replace("http://", "ws://").into_client_request().expect("a request");
    for (name, value) in [
        ("sec-websocket-protocol", "graphql-transport-ws"),
        ("x-forwarded-user", "ada"),
        ("origin", "https://evil.example"),
    ] {
        request.headers_mut().insert(name, value.parse().expect("a value"));
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
    match socket.next().await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4403, "{frame:?}"),
        other => panic!("{other:?}"),
    }
    // The proxy's headers are in nothing that is stored.
    let sample = crate::test_hub::sample_bytes("pave/session-status-change-started.json");
    let request = app.client.post(app.url("/webhooks/pave")).body(sample).header("content-type", "application/json");
    assert_eq!(send_request(request.header(user[0].0, user[0].1)).await.status, 200);
    let stored = ask(&app, "{ deliveries { nodes { event headers } } }", &user).await.body;
    assert!(!stored.to_string().contains("ada"), "{stored}");
}

#[tokio::test]
async fn what_a_proxy_forwards_is_not_from_this_machine() {
    let app = TestHub::start().await;
    assert_eq!(ask(&app, VIEWER, &[]).await.status, 200);
    for header in ["forwarded", "x-forwarded-for"] {
        let refused = ask(&app, VIEWER, &[(header, "for=192.0.2.1")]).await;
        assert_eq!(
            (refused.status, &refused.body["errors"][0]["extensions"]["code"]),
            (403, &json!("FORBIDDEN")),
            "{header}"
        );
    }
    let app = TestHub::with("trusted_proxies = '127.0.0.1'").await;
    assert_eq!(ask(&app, VIEWER, &[("x-forwarded-for", "192.0.2.1")]).await.status, 403);
}

#[tokio::test]
async fn metrics_are_for_credentials_of_all_sources() {
    let ((limited, one), (unlimited, two)) =
        (settings_key("metrics", "sources = ['pave']"), settings_key("metrics", ""));
    let app = TestHub::with(&format!("{one}{two}")).await;
    for (token, status) in [(limited, 403), (unlimited, 200)] {
        assert_eq!(send_request(app.client.get(app.url("/metrics")).bearer_auth(token)).await.status, status);
    }
}

#[tokio::test]
async fn from_anybody_else_the_proxys_headers_count_nothing() {
    let app = TestHub::with(&format!("trusted_proxies = '10.0.0.0/8'\n{PROXY}{PROXY_GRANTS}")).await;
    for headers in
        [vec![("x-forwarded-user", "ada")], vec![("x-forwarded-user", "ada"), ("x-forwarded-for", "10.0.0.1")]]
    {
        assert_eq!(ask(&app, VIEWER, &headers).await.status, 401, "{headers:?}");
    }
}
