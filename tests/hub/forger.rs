//! A provider of logins that signs whatever a test wants.

use crate::test_hub::{TestHub, wait_until};
use crate::test_login::{Browser, PUBLIC_URL, WebPage};
use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Url;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Pairs of keys for Ed25519 (RFC 8410): the private key in DER, the public one in base64url. The provider publishes the first.
pub const PAIRS: [(&str, &str); 2] = [
    (
        "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    ),
    (
        "302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
    ),
];
pub const CODE: &str = "the-code";

/// What the provider answers.
#[derive(Clone, Default)]
pub struct Answers {
    pub token: String,
    pub user_info: Value,
    /// The parameters of the last request for tokens.
    pub received: BTreeMap<String, String>,
}

pub struct Forger {
    pub issuer: String,
    pub answers: Arc<Mutex<Answers>>,
}

impl Forger {
    pub async fn start() -> Forger {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let answers: Arc<Mutex<Answers>> = Arc::default();
        let configuration = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth?tenant=1"), "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"), "userinfo_endpoint": format!("{issuer}/me"),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        });
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "0", "x": PAIRS[0].1 }] });
        let (for_tokens, for_user) = (answers.clone(), answers.clone());
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || configuration.to_string()))
            .route("/jwks", get(async move || keys.to_string()))
            .route(
                "/token",
                post(async move |Form(received): Form<BTreeMap<String, String>>| {
                    let mut answers = for_tokens.lock().expect("answers");
                    let is_right = received.get("code").is_some_and(|code| code == CODE);
                    answers.received = received;
                    let body = json!({ "id_token": answers.token, "access_token": "a", "token_type": "Bearer" });
                    if is_right { (StatusCode::OK, body.to_string()) } else { (StatusCode::BAD_REQUEST, String::new()) }
                }),
            )
            .route("/me", get(async move || for_user.lock().expect("answers").user_info.to_string()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Forger { issuer, answers }
    }

    pub async fn hub(&self, subject_claim: &str) -> TestHub {
        let settings = format!(
            "public_url = '{PUBLIC_URL}'\n[oidc]\nissuer = '{}'\nclient_id = 'hub'\nclient_secret = 'secret'\n\
             algorithms = ['EdDSA']\nsubject_claim = '{subject_claim}'\n\
             [[oidc.grants]]\nclaim = 'groups'\nvalue = 'readers'\nscopes = ['read']\n",
            self.issuer
        );
        let app = TestHub::with(&settings).await;
        let mut browser = Browser::new(&app);
        let login = format!("{PUBLIC_URL}/login");
        wait_until("the provider is known", async || browser.get(&login).await.status == 303).await;
        app
    }

    /// Claims that are accepted, with some replaced.
    pub fn claims(&self, nonce: &str, other: &Value) -> Value {
        let exp = chrono::Utc::now().timestamp() + 300;
        let mut claims = json!({ "iss": self.issuer, "aud": "hub", "sub": "ada", "exp": exp, "nonce": nonce, "groups": ["readers"] });
        for (name, value) in other.as_object().expect("claims") {
            match value {
                Value::Null => _ = claims.as_object_mut().expect("claims").remove(name),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    /// Logs in with the token that `token` makes of the nonce.
    pub async fn log_in(&self, app: &TestHub, token: impl FnOnce(&str) -> String) -> WebPage {
        let mut browser = Browser::new(app);
        let (address, state) = begin(&mut browser).await;
        let nonce = parameter(&address, "nonce");
        self.answers.lock().expect("answers").token = token(&nonce);
        browser.get(&format!("{PUBLIC_URL}/login/callback?state={state}&code={CODE}")).await
    }
}

pub async fn begin(browser: &mut Browser) -> (Url, String) {
    let page = browser.get(&format!("{PUBLIC_URL}/login?return_to=/graphiql")).await;
    let address = Url::parse(page.location().expect("a redirect")).expect("an address");
    let state = parameter(&address, "state");
    (address, state)
}

pub fn parameter(address: &Url, name: &str) -> String {
    address.query_pairs().find(|(known, _)| known == name).expect("a parameter").1.into_owned()
}

pub fn signed(pair: usize, header: Header, claims: &Value) -> String {
    let key = EncodingKey::from_ed_der(&hex::decode(PAIRS[pair].0).expect("a key"));
    jsonwebtoken::encode(&header, claims, &key).expect("a token")
}

pub fn header(kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) }
}

pub fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}
