//! Logins at a provider whose answers are forged: none of them begins a session, and no page shows why in detail.

use crate::forger::{CODE, Forger, begin, encoded, header, parameter, signed};
use crate::test_hub::wait_until;
use crate::test_login::{Browser, LOGIN, PUBLIC_URL, WebPage};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_asked_for_as_the_specification_says() {
    let forger = Forger::start().await;
    let app = forger.hub("sub").await;
    let (address, _) = begin(&mut Browser::new(&app)).await;
    assert!(address.as_str().starts_with(&format!("{}/auth?tenant=1&", forger.issuer)), "{address}");
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", "hub"),
        ("redirect_uri", &*format!("{PUBLIC_URL}/login/callback")),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameter(&address, name), expected, "{address}");
    }
    let (again, _) = begin(&mut Browser::new(&app)).await;
    for name in ["state", "nonce", "code_challenge"] {
        let (one, other) = (parameter(&address, name), parameter(&again, name));
        assert!(one.len() == 43 && one != other, "{name}: {one} {other}");
    }
    let page = forger.log_in(&app, |nonce| signed(0, header(Some("0")), &forger.claims(nonce, &json!({})))).await;
    assert!(page.status == 303 && page.begins_session(), "{page:?}");
    let received = forger.answers.lock().expect("answers").received.clone();
    for (name, expected) in [("grant_type", "authorization_code"), ("client_id", "hub"), ("client_secret", "secret")] {
        assert_eq!(received[name], expected, "{received:?}");
    }
    assert_eq!(received["code_verifier"].len(), 43, "{received:?}");
}

/// A token for a nonce.
type ForgeToken<'a> = Box<dyn Fn(&str) -> String + 'a>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_token_logs_nobody_in() {
    let forger = Forger::start().await;
    let app = forger.hub("sub").await;
    let now = chrono::Utc::now().timestamp();
    for (what, other) in [
        ("another issuer", json!({ "iss": "https://evil.example" })),
        ("no issuer", json!({ "iss": null })),
        ("another audience", json!({ "aud": "other" })),
        ("no audience", json!({ "aud": null })),
        ("several audiences without a party", json!({ "aud": ["hub", "other"] })),
        ("another party", json!({ "azp": "other" })),
        ("another nonce", json!({ "nonce": "x" })),
        ("no nonce", json!({ "nonce": null })),
        ("a nonce that is no text", json!({ "nonce": 7 })),
        ("expired", json!({ "exp": now - 120 })),
        ("without an end", json!({ "exp": null })),
        ("not valid yet", json!({ "nbf": now + 300 })),
        ("nobody", json!({ "sub": null })),
        ("a person that is no text", json!({ "sub": 7 })),
        ("a person with a line break", json!({ "sub": "a\nb" })),
    ] {
        let page = forger.log_in(&app, |nonce| signed(0, header(Some("0")), &forger.claims(nonce, &other))).await;
        assert_refused(what, &page, 502);
    }
    // Another hub: a client that fails often waits.
    let app = forger.hub("sub").await;
    let right = |nonce: &str| forger.claims(nonce, &json!({}));
    let forged: Vec<(&str, ForgeToken<'_>)> = vec![
        ("signed with another key", Box::new(|nonce| signed(1, header(Some("0")), &right(nonce)))),
        ("an unknown key", Box::new(|nonce| signed(1, header(Some("1")), &right(nonce)))),
        ("a path as key", Box::new(|nonce| signed(1, header(Some("../../dev/null")), &right(nonce)))),
        ("another key without a name", Box::new(|nonce| signed(1, header(None), &right(nonce)))),
        ("alg none", Box::new(|nonce| format!("{}.{}.", encoded(&json!({ "alg": "none" })), encoded(&right(nonce))))),
        ("alg None", Box::new(|nonce| format!("{}.{}.", encoded(&json!({ "alg": "None" })), encoded(&right(nonce))))),
        (
            "HS256 with the public key",
            Box::new(|nonce| {
                let header = Header { kid: Some("0".into()), ..Header::new(Algorithm::HS256) };
                let key = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(crate::forger::PAIRS[0].1).expect("a key"));
                jsonwebtoken::encode(&header, &right(nonce), &key).expect("a token")
            }),
        ),
        (
            "HS256 with the client's secret",
            Box::new(|nonce| {
                let header = Header { kid: Some("0".into()), ..Header::new(Algorithm::HS256) };
                jsonwebtoken::encode(&header, &right(nonce), &EncodingKey::from_secret(b"secret")).expect("a token")
            }),
        ),
        (
            "a key of its own",
            Box::new(|nonce| {
                let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": crate::forger::PAIRS[1].1 });
                let header = Header { jwk: serde_json::from_value(jwk).ok(), ..header(None) };
                signed(1, header, &right(nonce))
            }),
        ),
        (
            "other claims than were signed",
            Box::new(|nonce| {
                let token = signed(0, header(Some("0")), &right(nonce));
                let parts: Vec<&str> = token.split('.').collect();
                format!("{}.{}.{}", parts[0], encoded(&forger.claims(nonce, &json!({ "sub": "root" }))), parts[2])
            }),
        ),
        (
            "no signature",
            Box::new(|nonce| {
                let token = signed(0, header(Some("0")), &right(nonce));
                format!("{}.", token.rsplit_once('.').expect("a signature").0)
            }),
        ),
        ("no token", Box::new(|_| String::new())),
        ("something else", Box::new(|_| "<script>".to_owned())),
    ];
    for (what, token) in &forged {
        assert_refused(what, &forger.log_in(&app, token).await, 502);
    }
    let page = forger.log_in(&app, |nonce| signed(0, header(Some("0")), &right(nonce))).await;
    assert!(page.status == 303 && page.begins_session(), "{page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_begins_one_session_even_if_the_provider_accepts_its_code_again() {
    let forger = Forger::start().await;
    let app = forger.hub("sub").await;
    let other = app.second_hub().await;
    let mut browser = Browser::new(&app);
    let (address, state) = begin(&mut browser).await;
    let (nonce, cookie) = (parameter(&address, "nonce"), browser.cookie(LOGIN).expect("a login"));
    forger.answers.lock().expect("answers").token = signed(0, header(Some("0")), &forger.claims(&nonce, &json!({})));
    let answer = format!("{PUBLIC_URL}/login/callback?state={state}&code={CODE}");
    assert_eq!(browser.get(&answer).await.status, 303);
    for hub in [&app, &other] {
        browser.reach(hub);
        // The other hub may not have reached the provider yet.
        wait_until("the provider is known", async || browser.get(&format!("{PUBLIC_URL}/login")).await.status == 303)
            .await;
        browser.set_cookie(LOGIN, &cookie);
        assert_refused("again", &browser.get(&answer).await, 400);
    }
    let page = browser.get(&format!("{PUBLIC_URL}/graphiql")).await;
    assert_ne!(page.status, 303, "the session of the login has not ended");
}

fn assert_refused(what: &str, page: &WebPage, status: u16) {
    assert!(page.status == status && !page.begins_session(), "{what}: {page:?}");
    assert!(page.cookies().iter().any(|cookie| cookie.starts_with(&format!("{LOGIN}=;"))), "{what}: the login is used");
    let body = page.body.to_lowercase();
    for internal in ["token", "nonce", "signature", "issuer", "<script", "eyj", "ada", "algorithm"] {
        assert!(!body.contains(internal), "{what}: {internal}: {page:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_by_way_of_the_browser_are_not_trusted() {
    let forger = Forger::start().await;
    let app = forger.hub("sub").await;
    for (what, parameters, status, shown) in [
        ("another provider", format!("code={CODE}&iss=https://evil.example"), 400, "another identity provider"),
        ("refused", "error=access_denied".into(), 403, "did not let you in"),
        ("an error", "error=server_error&error_description=hunter2".into(), 502, "server_error"),
        ("an error that is none", "error=%3Cscript%3E".into(), 502, "unknown"),
        ("no code", String::new(), 400, "log in again"),
        ("an empty code", "code=".into(), 400, "log in again"),
        ("a long code", format!("code={}", "x".repeat(5_000)), 400, "log in again"),
        ("another code", "code=x".into(), 400, "log in again"),
    ] {
        let mut browser = Browser::new(&app);
        let (_, state) = begin(&mut browser).await;
        let page = browser.get(&format!("{PUBLIC_URL}/login/callback?state={state}&{parameters}")).await;
        assert!(page.status == status && page.body.contains(shown) && !page.begins_session(), "{what}: {page:?}");
        assert!(!page.body.contains("<script>") && !page.body.contains("hunter2"), "{what}: {page:?}");
    }
    // A client that fails again and again waits.
    let mut browser = Browser::new(&app);
    let mut last = 400;
    for _ in 0..40 {
        last = browser.get(&format!("{PUBLIC_URL}/login/callback?state=x&code=y")).await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_the_token_lacks_are_those_of_the_same_person() {
    let forger = Forger::start().await;
    let app = forger.hub("email").await;
    let token = |nonce: &str| signed(0, header(Some("0")), &forger.claims(nonce, &json!({ "groups": null })));
    for (what, user_info, status) in [
        ("of another person", json!({ "sub": "bob", "groups": ["readers"], "email": "a@example.org" }), 502),
        ("of nobody", json!({ "groups": ["readers"], "email": "a@example.org" }), 502),
        ("no claims", json!("x"), 502),
        ("no name", json!({ "sub": "ada", "groups": ["readers"] }), 502),
        ("no rights", json!({ "sub": "ada", "groups": ["others"], "email": "a@example.org" }), 403),
        (
            "an address that may be somebody else's",
            json!({ "sub": "ada", "groups": ["readers"], "email": "a@example.org", "email_verified": false }),
            403,
        ),
        (
            "right",
            json!({ "sub": "ada", "groups": ["readers"], "email": "a@example.org", "email_verified": true }),
            303,
        ),
    ] {
        forger.answers.lock().expect("answers").user_info = user_info;
        let page = forger.log_in(&app, token).await;
        assert_eq!((page.status, page.begins_session()), (status, status == 303), "{what}: {page:?}");
    }
}
