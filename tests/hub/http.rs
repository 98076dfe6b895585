//! Requests of vendors and proxies: URLs with additional slashes, content encodings, forms, methods. Every error outside of
//! GraphQL is a problem (RFC 9457).

use crate::test_hub::{TIMEOUT, TestHub, TestResponse, send_request};
use inspection_hub::vendor::{self, Secret, Vendor};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A body that has an effect.
fn body_of(vendor: &str, number: u32) -> String {
    match vendor {
        "truepic" => json!({ "action": "ACTION_STATUS_STARTED", "inspection_id": number }),
        "pave" => json!({ "event": "SESSION:STATUS_CHANGE", "session_key": format!("S{number}"), "status": "STARTED" }),
        "hover" => json!({ "event": "job-state-changed", "job_id": number, "state": "processing_upload" }),
        "truto" => {
            json!({ "id": format!("n{number}"), "event": "integrated_account:active", "payload": { "id": "a1" } })
        }
        "record360" => json!({ "event": "create", "transaction": { "id": number } }),
        other => panic!("a body of {other}'s is needed"),
    }
    .to_string()
}

fn assert_problem(response: &TestResponse, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}: {response:?}");
    assert_eq!(response.headers["content-type"], "application/problem+json", "{what}: {response:?}");
    assert_eq!(response.body["status"], status, "{what}: {response:?}");
    assert!(response.body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{what}: {response:?}");
    assert!(response.body["title"].as_str().is_some_and(|title| !title.is_empty()), "{what}: {response:?}");
}

/// The number of requests to unknown sources in this process.
async fn unknown_sources(app: &TestHub) -> u64 {
    let metrics = send_request(app.client.get(app.url("/metrics"))).await;
    let text = metrics.body.as_str().expect("text").to_owned();
    let lines = text.lines().filter(|line| line.contains("status=\"unknown_source\""));
    let counts: Vec<u64> =
        lines.map(|line| line.rsplit(' ').next().expect("a count").parse().expect("a number")).collect();
    assert!(counts.len() <= 1, "one series for all names: {counts:?}");
    counts.first().copied().unwrap_or_default()
}

#[tokio::test]
async fn additional_slashes_make_no_difference() {
    let app = TestHub::start().await;
    for (number, vendor) in (1..).zip(vendor::ALL) {
        let name = vendor.name;
        for (index, path) in ["/{}/", "//{}", "/{}//", "//{}//"].iter().enumerate() {
            let path = path.replace("{}", &format!("webhooks/{name}"));
            let number = number * 100 + index as u32;
            let response = send_request(app.client.post(app.url(&path)).body(body_of(name, number))).await;
            assert_eq!(
                (response.status, response.body["status"].as_str()),
                (200, Some("accepted")),
                "{path}: {response:?}"
            );
            let repeated = send_request(
                app.client.put(app.url(&path.replace("webhooks/", "webhooks//"))).body(body_of(name, number)),
            );
            assert_eq!(repeated.await.body["status"], "duplicate", "{path}");
        }
        assert_eq!(app.ledger(name).await["received"], 8, "{name}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/schema.graphql", "/graphql?query=%7B__typename%7D"] {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        for spelled in [path.to_owned(), format!("{path}/"), format!("/{path}"), format!("{path}//")] {
            assert_eq!(
                send_request(app.client.get(app.url(&format!("{spelled}?{query}")))).await.status,
                200,
                "{spelled}"
            );
        }
    }
    let request = app.client.post(app.url("/graphql/")).json(&json!({ "query": "{ __typename }" }));
    assert_eq!(send_request(request).await.body["data"]["__typename"], "Query");
}

#[tokio::test]
async fn unknown_sources_are_not_found_and_counted() {
    let app = TestHub::start().await;
    for path in [
        "/webhooks",
        "/webhooks/",
        "/webhooks/nosuch",
        "//webhooks/nosuch/",
        "/webhooks/Hover",
        "/Webhooks/hover",
        "/webhook/hover",
        "/webhooks/hover/more",
        "/webhooks/hover%2F",
        "/hub/webhooks/hover",
        "/WEBHOOKS.php",
    ] {
        for method in [Method::POST, Method::PUT, Method::GET, Method::DELETE] {
            // Other tests of this process count too.
            let before = unknown_sources(&app).await;
            let response = send_request(app.client.request(method.clone(), app.url(path)).body("{}")).await;
            assert_problem(&response, 404, &format!("{method} {path}"));
            assert_eq!(response.body["detail"], "no source with this name is configured", "{path}");
            assert!(unknown_sources(&app).await > before, "{method} {path}");
        }
    }
    let before = unknown_sources(&app).await;
    assert_problem(&send_request(app.client.post(app.url("/webhooks/%ff")).body("{}")).await, 400, "no UTF-8");
    assert!(unknown_sources(&app).await > before);
    let elsewhere = send_request(app.client.post(app.url("/elsewhere")).body("{}")).await;
    assert_problem(&elsewhere, 404, "elsewhere");
    assert_eq!(elsewhere.body["detail"], "this URL does not exist");
}

#[tokio::test]
async fn a_source_allows_post_and_put() {
    let app = TestHub::start().await;
    for vendor in vendor::ALL {
        let url = app.url(&format!("/webhooks/{}", vendor.name));
        for method in ["GET", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
            let method: Method = method.parse().expect("a method");
            let response = send_request(app.client.request(method.clone(), &url)).await;
            assert_problem(&response, 405, &format!("{method} {url}"));
            assert_eq!(response.headers["allow"], "POST, PUT");
            let detail = format!("this URL accepts {}'s webhooks by POST (or PUT) only", vendor.title);
            assert_eq!(response.body["detail"], detail);
        }
        assert_eq!(app.client.head(&url).send().await.expect("an answer").status(), 405);
        assert_eq!(app.client.head(format!("{url}x")).send().await.expect("an answer").status(), 404);
    }
}

fn with_encodings(request: reqwest::RequestBuilder, encodings: &[&str]) -> reqwest::RequestBuilder {
    encodings.iter().fold(request, |request, encoding| request.header("content-encoding", *encoding))
}

#[tokio::test]
async fn all_routes_treat_content_encoding_the_same_way() {
    let app = TestHub::start().await;
    let plain: [&[&str]; 9] = [
        &["identity"],
        &["Identity"],
        &[""],
        &["UTF-8"],
        &["utf8"],
        &["iso-8859-1"],
        &["identity, utf-8"],
        &["utf-8", "identity"],
        &["", ""],
    ];
    let compressed: [(&[&str], &str); 8] = [
        (&["gzip"], "gzip"),
        (&["GZIP"], "gzip"),
        (&["br"], "br"),
        (&["deflate"], "deflate"),
        (&["zstd"], "zstd"),
        (&["identity, gzip"], "gzip"),
        (&["identity", "gzip"], "gzip"),
        (&["gzip", "identity"], "gzip"),
    ];
    let graphql = || app.client.post(app.url("/graphql")).json(&json!({ "query": "{ __typename }" }));
    for (number, encodings) in (1..).zip(plain) {
        for vendor in vendor::ALL {
            let url = app.url(&format!("/webhooks/{}", vendor.name));
            let request = with_encodings(app.client.post(url), encodings);
            let response = send_request(request.body(body_of(vendor.name, number))).await;
            assert_eq!(
                (response.status, response.body["status"].as_str()),
                (200, Some("accepted")),
                "{encodings:?}: {response:?}"
            );
        }
        let response = send_request(with_encodings(graphql(), encodings)).await;
        assert_eq!(response.body["data"]["__typename"], "Query", "{encodings:?}: {response:?}");
    }
    let received = app.ledger("pave").await["received"].clone();
    for (encodings, coding) in compressed {
        let text = format!("the body has the content encoding {coding}");
        for vendor in vendor::ALL {
            let url = app.url(&format!("/webhooks/{}", vendor.name));
            let response = send_request(with_encodings(app.client.post(url), encodings).body("{}")).await;
            assert_problem(&response, 415, vendor.name);
            assert!(response.body["detail"].as_str().is_some_and(|detail| detail.starts_with(&text)), "{response:?}");
        }
        let response = send_request(with_encodings(graphql(), encodings)).await;
        assert_eq!((response.status, response.body["errors"][0]["message"].as_str()), (415, Some(text.as_str())));
    }
    assert_eq!(app.ledger("pave").await["received"], received);
}

#[tokio::test]
async fn the_reason_for_an_unreadable_body_names_its_format() {
    let app = TestHub::start().await;
    let gzip: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV*K-*\xce\xcc\xcfS\xb2R0\xd2Q";
    let cases: [(Vec<u8>, &str); 3] = [
        (gzip.to_vec(), "compressed (gzip)"),
        (b"event=x&a=b".to_vec(), "a form, not JSON"),
        (b"\xff\xfe{\0}\0".to_vec(), "UTF-16"),
    ];
    for vendor in vendor::ALL {
        for (body, format) in &cases {
            let response = app.post(vendor.name, body.clone()).await;
            assert_eq!((response.status, &response.body["status"]), (200, &json!("quarantined")), "{response:?}");
            let reason = response.body["reason"].as_str().expect("a reason");
            assert!(reason.contains(format), "{}: {reason}", vendor.name);
            let query = "query($id: ID!) { node(id: $id) { ... on Delivery { size verdict reason } } }";
            let stored = app.query_with(query, json!({ "id": response.body["delivery"] })).await;
            assert_eq!(stored["node"], json!({ "size": body.len(), "verdict": "UNREADABLE", "reason": reason }));
        }
    }
}

#[tokio::test]
async fn the_signature_of_a_form_covers_its_bytes() {
    let mut settings = String::new();
    for vendor in vendor::ALL {
        let scheme = if vendor.signature.is_some() { "signature" } else { "bearer" };
        settings += &format!(
            "[sources.{0}]\npublic_url = \"https://hub.example/webhooks/{0}\"\n[[sources.{0}.verify]]\n\
             scheme = \"{scheme}\"\nsecrets = [\"s\"]\n",
            vendor.name
        );
    }
    let app = TestHub::with(&settings).await;
    for vendor in vendor::ALL {
        let json = body_of(vendor.name, 7);
        let encoded: String = form_urlencoded::byte_serialize(json.as_bytes()).collect();
        let form = format!("payload={encoded}");
        for content_type in ["application/x-www-form-urlencoded", "application/json"] {
            let forged = signed(&app, vendor, content_type, &json);
            assert_eq!(
                send_request(forged.body(form.clone())).await.status,
                if vendor.signature.is_some() { 401 } else { 200 }
            );
            let response = send_request(signed(&app, vendor, content_type, &form).body(form.clone())).await;
            assert_eq!(response.status, 200, "{}: {response:?}", vendor.name);
            assert_eq!(response.body["verdict"], "APPLIED", "{}: {response:?}", vendor.name);
        }
    }
}

/// A request of the vendor, with a signature over these bytes.
fn signed(app: &TestHub, vendor: &'static Vendor, content_type: &str, bytes: &str) -> reqwest::RequestBuilder {
    use inspection_hub::vendor::verify::{Scheme, Verifier, WebhookRequest};
    let secrets = vec![Secret::new("s")];
    let public_url = format!("https://hub.example/webhooks/{}", vendor.name);
    let scheme = match &vendor.signature {
        Some(signature) => Scheme::Signature { signature, public_url, secrets, leeway: None },
        None => Scheme::Bearer { tokens: secrets },
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", content_type.parse().expect("a value"));
    let path = format!("/webhooks/{}", vendor.name);
    let request =
        WebhookRequest { headers: &headers, path: &path, query: None, body: bytes.as_bytes(), now: chrono::Utc::now() };
    let credentials = Verifier::new(scheme, []).sign(&request).expect("signed");
    headers.extend(credentials.headers);
    app.client.post(app.url(&path)).headers(headers)
}

#[tokio::test]
async fn every_error_outside_of_graphql_is_a_problem() {
    let app = TestHub::with("body_limit = \"1KiB\"\nmetrics = false").await;
    let routes = [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/schema.graphql",
        "/graphiql",
        "/graphiql/assets/none.js",
        "/graphiql/index.html.br",
        "/webhooks",
        "/webhooks/pave",
        "/webhooks/nosuch",
        "/webhooks/pave/more",
        "/nowhere",
    ];
    let mut errors = 0;
    for route in routes {
        for end in ["", "/", "?a=%ff", "%ff", "/%ff", "%00", "/..%2f..%2fetc/passwd"] {
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "SNEEZE"] {
                for (header, value) in [
                    ("accept", "image/png"),
                    ("content-encoding", "gzip"),
                    ("content-type", "\u{ff}"),
                    ("upgrade", "websocket"),
                    ("expect", "100-continue"),
                ] {
                    let method: Method = method.parse().expect("a method");
                    let url = app.url(&format!("{route}{end}"));
                    let request = app.client.request(method.clone(), url).header(header, value.as_bytes());
                    let response = send_request(request.body(vec![b'x'; if end.is_empty() { 0 } else { 2000 }])).await;
                    if response.status >= 400 {
                        assert_problem(&response, response.status, &format!("{method} {route}{end} {header}: {value}"));
                        assert_eq!(
                            response.status == 405,
                            response.headers.contains_key("allow"),
                            "{method} {route}{end}"
                        );
                        errors += 1;
                    }
                }
            }
        }
    }
    assert!(errors > 1000, "{errors}");
}

/// Sends a request that client libraries do not support. Returns status, headers and body.
async fn raw(app: &TestHub, request: &str) -> (u16, String, Value) {
    let mut stream = tokio::net::TcpStream::connect(app.hub.address()).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = Vec::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut response)).await.expect("in time").expect("read");
    let response = String::from_utf8(response).expect("text");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, head.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn unusual_request_targets_are_accepted_or_problems() {
    let app = TestHub::start().await;
    let body = body_of("hover", 1);
    for (target, expected) in [
        ("//webhooks/hover", 200),
        ("/webhooks/hover/?a=b", 200),
        ("http://other.example/webhooks/hover/", 200),
        ("http://other.example//webhooks//hover", 200),
        ("/webhooks/%68over", 200),
        ("/webhooks/../webhooks/hover", 404),
        ("/webhooks/hover;v=1", 404),
        ("/%c3%28", 400),
        ("http://other.example", 405),
        ("*", 404),
    ] {
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let (code, head, response) = raw(&app, &request).await;
        assert_eq!(code, expected, "{target}: {head}");
        assert_eq!(
            code >= 400,
            head.to_lowercase().contains("content-type: application/problem+json"),
            "{target}: {head}"
        );
        assert!(code < 400 || response["status"] == code, "{target}: {response}");
    }
    // `curl -H 'content-encoding;'` sends a header without a value.
    let mut request = Vec::new();
    write!(
        request,
        "POST /webhooks/hover HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-encoding:\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("written");
    assert_eq!(raw(&app, &String::from_utf8(request).expect("text")).await.0, 200);
}

/// A proxy may prefix the hub's paths, so the redirect and all links of the page are relative, with and without a slash at the
/// end.
#[tokio::test]
async fn the_playground_works_below_a_path() {
    let app = TestHub::start().await;
    let below = reqwest::Url::parse("https://proxy.example/tools/hub/").expect("an address");
    let here = |address: &reqwest::Url| {
        assert_eq!(address.host_str(), below.host_str(), "{address}");
        let path = address.path().strip_prefix("/tools/hub").unwrap_or_else(|| panic!("{address} is outside"));
        app.url(path)
    };
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let redirect = send_request(client.expect("a client").get(app.url("/"))).await;
    assert_eq!(redirect.status, 303);
    let page = below.join(redirect.headers["location"].to_str().expect("text")).expect("an address");
    for page in [page.clone(), below.join(&format!("{page}/")).expect("an address")] {
        let response = send_request(app.client.get(here(&page))).await;
        if response.status == 503 {
            // A clone without the assets.
            return;
        }
        let html = response.body.as_str().expect("text").to_owned();
        let parts = html.split(['"']).collect::<Vec<_>>();
        let loaded = parts.windows(2).filter(|pair| pair[0].ends_with("src=") || pair[0].ends_with("href="));
        let mut count = 0;
        for address in loaded.map(|pair| page.join(pair[1]).expect("an address")) {
            assert_eq!(send_request(app.client.get(here(&address))).await.status, 200, "{page}: {address}");
            count += 1;
        }
        assert!(count > 2, "{html}");
    }
}
