//! Browser sessions as credentials of the API: which credential counts, pages of other sites, and what ends with a session.

use crate::keys::{until, until_closed, until_end};
use crate::test_hub::{TestHub, send_request};
use crate::test_keys::settings_key;
use crate::test_login::{Browser, CertifiedProvider, PUBLIC_URL, SESSION, logged_in, socket_with};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const VIEWER: &str = "{ viewer { subject scopes sources expiresAt } }";
const PROXY: &str = "trusted_proxies = '127.0.0.0/8'\nproxy_user_header = 'X-Forwarded-User'\n";
const PROXY_GRANTS: &str = "[[proxy_grants]]\ngroup = '*'\nscopes = ['read']\n";

fn code_of(body: &Value) -> &Value {
    &body["errors"][0]["extensions"]["code"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_ends_everything_that_uses_the_session_on_all_hubs() {
    let (app, _provider, mut browser) = logged_in().await;
    let other = app.second_hub().await;
    let head = browser.query("{ head { cursor } }").await.1["data"]["head"]["cursor"].clone();
    let query = format!("subscription {{ changes(after: {head}) {{ position }} }}");
    let cookies = browser.cookie_header();
    let (mut sockets, mut bodies) = (Vec::new(), Vec::new());
    for hub in [&app, &other] {
        let mut socket = socket_with(hub, &[("cookie", &cookies), ("origin", PUBLIC_URL)]).await;
        for message in [
            json!({ "type": "connection_init" }),
            json!({ "id": "1", "type": "subscribe", "payload": { "query": query } }),
        ] {
            socket.send(Message::text(message.to_string())).await.expect("sent");
        }
        sockets.push(socket);
        let request =
            hub.client.post(hub.url("/graphql")).header("cookie", &cookies).header("accept", "text/event-stream");
        bodies.push(request.json(&json!({ "query": query })).send().await.expect("an answer"));
    }
    app.receive("pave/session-status-change-started.json").await;
    for body in &mut bodies {
        until(body, "\"position\":1").await;
    }
    let address = format!("{PUBLIC_URL}/logout");
    let request =
        browser.request(Method::POST, &address).header("origin", PUBLIC_URL).header("accept", "application/json");
    let page = browser.send(&address, request).await;
    let answer: Value = serde_json::from_str(&page.body).expect("JSON");
    assert!(
        page.status == 200 && answer["location"].as_str().is_some_and(|to| to.contains("/session/end?")),
        "{page:?}"
    );
    for mut body in bodies {
        let rest = until_end(&mut body).await;
        assert!(rest.contains("UNAUTHENTICATED") && rest.contains("\"cursor\":\""), "{rest}");
    }
    for mut socket in sockets {
        let (messages, (code, reason)) = until_closed(&mut socket).await;
        assert!(code == 4403 && reason.contains("credential has ended"), "{code} {reason}");
        let error = messages.iter().find(|message| message["type"] == "error").expect("an error");
        assert!(error["payload"][0]["extensions"]["cursor"].is_string(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_credential_counts_and_no_other() {
    let (key, table) = settings_key("read", "");
    let provider = CertifiedProvider::start(&[PUBLIC_URL]).await;
    let app = TestHub::with(&format!("{PROXY}{}{PROXY_GRANTS}{table}", provider.settings(PUBLIC_URL))).await;
    let mut browser = Browser::new(&app);
    browser.log_in("ada").await;
    let (right, wrong) = (browser.cookie_header(), format!("{SESSION}={}", "0".repeat(64)));
    let (key, wrong_key) = (format!("Bearer {key}"), format!("Bearer ihub_000000000000_{}", "0".repeat(64)));
    let ada = format!("{}#ada", provider.issuer);
    for (authorization, cookie, user, expected) in [
        (Some(&key), Some(&right), Some("bob"), Ok("key:")),
        (Some(&key), Some(&wrong), None, Ok("key:")),
        (Some(&wrong_key), Some(&right), Some("bob"), Err("UNAUTHENTICATED")),
        (None, Some(&right), Some("bob"), Ok(ada.as_str())),
        (None, Some(&wrong), Some("bob"), Err("SESSION_ENDED")),
        (None, Some(&format!("{SESSION}=x")), None, Err("SESSION_ENDED")),
        (None, Some(&"hub_session=x".to_owned()), Some("bob"), Ok("proxy:bob")),
        (None, None, Some("bob"), Ok("proxy:bob")),
        (None, None, None, Err("UNAUTHENTICATED")),
    ] {
        let mut request = app.client.post(app.url("/graphql")).json(&json!({ "query": VIEWER }));
        for (name, value) in [
            ("authorization", authorization.map(String::as_str)),
            ("cookie", cookie.map(String::as_str)),
            ("x-forwarded-user", user),
        ] {
            request = value.into_iter().fold(request, |request, value| request.header(name, value));
        }
        let answer = send_request(request).await;
        let subject = answer.body["data"]["viewer"]["subject"].as_str();
        match expected {
            Ok(begin) => assert!(subject.is_some_and(|subject| subject.starts_with(begin)), "{begin}: {answer:?}"),
            Err(code) => assert_eq!((answer.status, code_of(&answer.body)), (401, &json!(code)), "{answer:?}"),
        }
    }
    // A person that comes through the proxy sees no login.
    let stranger = Browser::new(&app);
    let get = |path: &str| stranger.request(Method::GET, &format!("{PUBLIC_URL}{path}"));
    let page = get("/graphiql").header("x-forwarded-user", "bob").send().await.expect("an answer");
    assert_ne!(page.status(), 303);
    let page = get("/login?return_to=/graphiql").header("x-forwarded-user", "bob").send().await.expect("an answer");
    assert_eq!(page.headers()["location"], format!("{PUBLIC_URL}/graphiql"));
    assert_eq!(get("/graphiql").send().await.expect("an answer").status(), 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_sites_cannot_use_a_session() {
    let (app, _provider, browser) = logged_in().await;
    let (cookies, own) = (browser.cookie_header(), app.url(""));
    let mutation = json!({ "query": "mutation { createApiKey(input: { name: \"n\", scopes: [READ] }) { secret } }" });
    for (origin, is_own) in [
        ("https://evil.example", false),
        ("null", false),
        ("http://localhost:2", false),
        ("https://localhost:1", false),
        ("http://localhost:1.evil.example", false),
        (PUBLIC_URL, true),
        (own.as_str(), true),
    ] {
        let expected = if is_own { 200 } else { 403 };
        for request in [
            app.client.post(app.url("/graphql")).json(&mutation),
            app.client.get(app.url("/graphql?query=%7B__typename%7D")),
            app.client.put(app.url("/graphql")),
        ] {
            let status = send_request(request.header("cookie", &cookies).header("origin", origin)).await.status;
            assert_eq!(status / 100 * 100, expected / 100 * 100, "{origin}: {status}");
        }
        let mut socket = socket_with(&app, &[("cookie", &cookies), ("origin", origin)]).await;
        socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await.expect("sent");
        if !is_own {
            let (_, (code, reason)) = until_closed(&mut socket).await;
            assert!(code == 4403 && reason.contains("pages of this origin"), "{origin}: {code} {reason}");
            let logout = app.client.post(app.url("/logout")).header("cookie", &cookies).header("origin", origin);
            assert_eq!(send_request(logout).await.status, 403, "{origin}");
        }
    }
    let viewer = app.client.post(app.url("/graphql")).json(&json!({ "query": VIEWER })).header("cookie", &cookies);
    assert_eq!(send_request(viewer).await.status, 200, "nobody logged out");
    let logout = app.client.get(app.url("/logout")).header("cookie", &cookies);
    assert_eq!(send_request(logout).await.status, 200, "a link logs nobody out");
    // A socket of an ended session.
    let ended = format!("{SESSION}={}", "0".repeat(64));
    let mut socket = socket_with(&app, &[("cookie", &ended)]).await;
    let (_, (code, reason)) = until_closed(&mut socket).await;
    assert!(code == 4403 && reason.contains("the session has ended"), "{code} {reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_named_origins_can_use_a_session_and_a_star_names_none() {
    let (app, provider, browser) = logged_in().await;
    let cookies = browser.cookie_header();
    for (origins, origin, is_allowed) in [
        ("https://app.example", "https://app.example", true),
        ("https://app.example", PUBLIC_URL, true),
        ("https://app.example", "https://evil.example", false),
        ("*", PUBLIC_URL, true),
        ("*", "https://evil.example", false),
    ] {
        let settings = format!("allowed_origins = '{origins}'\n{}", provider.settings(PUBLIC_URL));
        let hub = TestHub::on(app.database.clone(), &settings).await;
        let request = hub.client.post(hub.url("/graphql")).json(&json!({ "query": VIEWER }));
        let answer = send_request(request.header("cookie", &cookies).header("origin", origin)).await;
        assert_eq!(answer.status, if is_allowed { 200 } else { 403 }, "{origins} {origin}: {answer:?}");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{answer:?}");
        let mut socket = socket_with(&hub, &[("cookie", &cookies), ("origin", origin)]).await;
        let init = Message::text(json!({ "type": "connection_init" }).to_string());
        socket.send(init).await.expect("sent");
        match is_allowed {
            true => {
                let answer = socket.next().await.expect("a message").expect("no error");
                assert!(answer.to_string().contains("connection_ack"), "{origins} {origin}: {answer:?}");
            }
            false => assert_eq!(until_closed(&mut socket).await.1.0, 4403, "{origins} {origin}"),
        }
    }
}
