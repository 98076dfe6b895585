//! People log in with a browser at a certified provider, and out.

use crate::test_hub::{TestHub, send_request, wait_until};
use crate::test_login::{Browser, LOGIN, PUBLIC_URL, SESSION, hub_with_logins, logged_in};
use reqwest::{Method, Url};
use serde_json::{Value, json};

const VIEWER: &str = "{ viewer { subject scopes sources expiresAt } }";

fn code_of(body: &Value) -> &Value {
    &body["errors"][0]["extensions"]["code"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_logs_in_and_out() {
    let (app, provider) = hub_with_logins().await;
    let mut browser = Browser::new(&app);
    assert_eq!(browser.query(VIEWER).await.0, 401, "with a provider, the API is not open");
    // The playground leads to the login, and the login back to it.
    let page = browser.get(&format!("{PUBLIC_URL}/graphiql?a=b")).await;
    let login = page.location().expect("a redirect").to_owned();
    assert_eq!((page.status, login.as_str()), (303, &*format!("{PUBLIC_URL}/login?return_to=%2Fgraphiql%3Fa%3Db")));
    let answer = browser.log_in_at_provider(&login, "ada").await;
    let page = browser.get(&answer).await;
    assert_eq!((page.status, page.location()), (303, Some(&*format!("{PUBLIC_URL}/graphiql?a=b"))), "{page:?}");
    assert!(
        page.headers["cache-control"] == "no-store" && page.headers["referrer-policy"] == "no-referrer",
        "{page:?}"
    );
    let cookies = page.cookies();
    let [session, login] = &cookies[..] else { panic!("{page:?}") };
    assert!(session.starts_with(SESSION) && login.starts_with(&format!("{LOGIN}=;")), "{page:?}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=86400"] {
        assert!(session.split("; ").any(|found| found == attribute), "{attribute}: {session}");
    }
    assert_ne!(browser.get(&format!("{PUBLIC_URL}/graphiql")).await.status, 303);
    let (status, shown) = browser.query(VIEWER).await;
    let viewer = &shown["data"]["viewer"];
    assert_eq!((status, &viewer["subject"]), (200, &json!(format!("{}#ada", provider.issuer))), "{shown}");
    assert_eq!(viewer["scopes"], json!(["READ", "READ_PERSONAL", "OPERATE", "ADMIN"]));
    assert!(viewer["sources"].is_null() && viewer["expiresAt"].is_string(), "{shown}");
    // A login at one hub counts at the others at once; that at the provider needs no password.
    let other = app.second_hub().await;
    browser.reach(&other);
    assert_eq!(browser.query(VIEWER).await.0, 200);
    let page = browser.get(&format!("{PUBLIC_URL}/login?return_to=/schema.graphql")).await;
    assert_eq!((page.status, page.location()), (303, Some(&*format!("{PUBLIC_URL}/schema.graphql"))));

    let session = browser.cookie(SESSION).expect("a session");
    let address = format!("{PUBLIC_URL}/logout");
    let request = browser.request(Method::POST, &address).header("origin", PUBLIC_URL);
    let page = browser.send(&address, request).await;
    let end_session = Url::parse(page.location().expect("a redirect")).expect("an address");
    assert_eq!((page.status, end_session.path()), (303, "/session/end"), "{page:?}");
    let returned =
        end_session.query_pairs().find(|(name, _)| name == "post_logout_redirect_uri").expect("an address").1;
    assert_eq!(returned, address);
    assert_eq!(browser.get(end_session.as_str()).await.status, 200, "the provider knows the hub");
    assert!(browser.cookie(SESSION).is_none());
    let page = browser.get(&address).await;
    assert!(page.status == 200 && page.body.contains("You are logged out"), "{page:?}");
    // The session has ended on all hubs, for good. The cookie of an ended session is removed.
    for hub in [&app, &other] {
        browser.reach(hub);
        wait_until("the session has ended", async || {
            browser.set_cookie(SESSION, &session);
            browser.query(VIEWER).await.0 == 401
        })
        .await;
        browser.set_cookie(SESSION, &session);
        let (status, body) = browser.query(VIEWER).await;
        assert_eq!((status, code_of(&body)), (401, &json!("SESSION_ENDED")));
        assert!(browser.cookie(SESSION).is_none());
        browser.set_cookie(SESSION, &session);
        assert_eq!(browser.get(&format!("{PUBLIC_URL}/graphiql")).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_the_provider_counts_once_and_in_its_browser_alone() {
    let (app, _provider) = hub_with_logins().await;
    let login = format!("{PUBLIC_URL}/login");
    let (mut ada, mut bob) = (Browser::new(&app), Browser::new(&app));
    let (answer, other_answer) =
        (ada.log_in_at_provider(&login, "ada").await, bob.log_in_at_provider(&login, "bob").await);
    let (cookie, other_cookie) = (ada.cookie(LOGIN).expect("a login"), bob.cookie(LOGIN).expect("a login"));
    let parameter = |address: &str, name: &str| {
        let address = Url::parse(address).expect("an address");
        address.query_pairs().find(|(known, _)| known == name).expect("a parameter").1.into_owned()
    };
    let state = parameter(&answer, "state");
    let with = |name: &str, value: &str| answer.replace(&parameter(&answer, name), value);
    let mut visitor = Browser::new(&app);
    for (what, address, cookie) in [
        ("no cookie", answer.clone(), None),
        ("the cookie of another login", answer.clone(), Some(&other_cookie)),
        ("a cookie that is none", answer.clone(), Some(&"x".to_owned())),
        ("a changed cookie", answer.clone(), Some(&format!("A{}", &cookie[1..]))),
        ("another state", with("state", &parameter(&other_answer, "state")), Some(&cookie)),
        ("a made-up state", with("state", "x"), Some(&cookie)),
        ("no state", answer.replace("state=", "x="), Some(&cookie)),
        ("the code of another session", with("code", &parameter(&other_answer, "code")), Some(&cookie)),
        ("a made-up code", with("code", "x"), Some(&cookie)),
        ("no code", answer.replace("code=", "x="), Some(&cookie)),
        ("two states", format!("{answer}&state={state}"), Some(&cookie)),
        ("another issuer", format!("{}&iss=https://evil.example", answer.replace("&iss=", "&x=")), Some(&cookie)),
        ("no issuer", answer.replace("&iss=", "&x="), Some(&cookie)),
    ] {
        cookie.into_iter().for_each(|cookie| visitor.set_cookie(LOGIN, cookie));
        let page = visitor.get(&address).await;
        assert!(page.status == 400 && !page.begins_session(), "{what}: {page:?}");
        assert!(page.headers["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/html")), "{what}");
        assert!(page.body.contains("og in again") && !page.body.contains(&state), "{what}: {page:?}");
        assert!(visitor.cookie(LOGIN).is_none(), "{what}: the login is used");
    }
    // The provider takes a code that was sent with a wrong verifier for stolen; the login itself was not used by any of that.
    let mut again = Browser::new(&app);
    let answer = again.log_in_at_provider(&login, "ada").await;
    let cookie = again.cookie(LOGIN).expect("a login");
    let page = again.get(&answer).await;
    assert!(page.status == 303 && page.begins_session(), "{page:?}");
    for what in ["the same again", "once more"] {
        again.set_cookie(LOGIN, &cookie);
        let page = again.get(&answer).await;
        assert!(page.status == 400 && !page.begins_session(), "{what}: {page:?}");
    }
    // Clients that are no browsers get problem details.
    let refused = send_request(app.client.get(app.url("/login/callback?state=x&code=y"))).await;
    assert!(refused.status == 400 && refused.headers["content-type"] == "application/problem+json", "{refused:?}");
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("log in again")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_returns_to_no_other_host() {
    let (app, _provider, mut browser) = logged_in().await;
    let mut stranger = Browser::new(&app);
    for to in [
        "https://evil.example",
        "//evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "",
        "graphiql",
        "/%0d%0aX:y",
    ] {
        for visitor in [&mut browser, &mut stranger] {
            let page = visitor.get(&format!("{PUBLIC_URL}/login?return_to={to}")).await;
            assert_eq!((page.status, page.location(), page.cookies().len()), (400, None, 0), "{to}: {page:?}");
        }
    }
    let page = browser.get(&format!("{PUBLIC_URL}/login?return_to=/a&return_to=/b")).await;
    assert_eq!(page.status, 400, "{page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_without_rights_is_not_logged_in() {
    let (app, _provider) = hub_with_logins().await;
    let mut browser = Browser::new(&app);
    let page = browser.log_in("carol").await;
    assert!(page.status == 403 && page.body.contains("no rights here") && !page.begins_session(), "{page:?}");
    // Other rights than those of the other test.
    assert_eq!(browser.cookie(SESSION), None);
    let mut browser = Browser::new(&app);
    browser.log_in("bob").await;
    assert_eq!(browser.query(VIEWER).await.1["data"]["viewer"]["scopes"], json!(["READ", "READ_PERSONAL"]));
    let (_, refused) = browser.query("{ apiKeys { totalCount } }").await;
    assert_eq!(refused["errors"][0]["extensions"]["scope"], "admin", "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_starts_without_its_provider() {
    let settings = |issuer: &str| {
        format!(
            "public_url = '{PUBLIC_URL}'\n[oidc]\nissuer = '{issuer}'\nclient_id = 'a'\nclient_secret = 'b'\n\
             [[oidc.grants]]\nclaim = 'sub'\nvalue = 'ada'\nscopes = ['read']\n"
        )
    };
    let app = TestHub::with(&settings("http://127.0.0.1:9")).await;
    let page = Browser::new(&app).get(&format!("{PUBLIC_URL}/login")).await;
    assert!(page.status == 503 && page.body.contains("does not answer") && page.cookies().is_empty(), "{page:?}");
    assert_eq!(app.post_sample("pave/session-status-change-started.json").await.status, 200);
    // Without a provider, nobody can log in.
    let app = TestHub::start().await;
    for (method, path) in
        [(Method::GET, "/login"), (Method::GET, "/login/callback"), (Method::POST, "/logout"), (Method::GET, "/logout")]
    {
        assert_eq!(send_request(app.client.request(method, app.url(path))).await.status, 404, "{path}");
    }
    let request = app.client.post(app.url("/graphql")).json(&json!({ "query": VIEWER }));
    let answer = send_request(request.header("cookie", format!("{SESSION}=x"))).await;
    assert_eq!(answer.body["data"]["viewer"]["subject"], "anyone", "{answer:?}");
}
