//! HTTP as clients use it: redundant slashes, content encodings, forms, methods. Every error outside of GraphQL is a problem
//! document (RFC 9457).

use crate::test_hub::{TestHub, TestResponse, send_request};
use inspection_hub::vendor::{self, Secret, Vendor};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A body of each vendor's that has an effect.
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

fn problem(answer: &TestResponse, code: u16, what: &str) {
    assert_eq!(answer.status, code, "{what}: {answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}: {answer:?}");
    assert_eq!(answer.body["status"], code, "{what}: {answer:?}");
    assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{what}: {answer:?}");
    assert!(answer.body["title"].as_str().is_some_and(|title| !title.is_empty()), "{what}: {answer:?}");
}

/// How many requests there were to addresses that are nearly a source's, in this process.
async fn missed(app: &TestHub) -> u64 {
    let metrics = send_request(app.client.get(app.url("/metrics"))).await;
    let text = metrics.body.as_str().expect("text").to_owned();
    let lines = text.lines().filter(|line| line.contains("status=\"unknown_source\""));
    let counts: Vec<u64> =
        lines.map(|line| line.rsplit(' ').next().expect("a count").parse().expect("a number")).collect();
    assert!(counts.len() <= 1, "one series, whatever names are made up: {counts:?}");
    counts.first().copied().unwrap_or_default()
}

#[tokio::test]
async fn a_slash_too_many_is_no_other_address() {
    let app = TestHub::start().await;
    for (number, vendor) in (1..).zip(vendor::ALL) {
        let name = vendor.name;
        for (index, path) in ["/{}/", "//{}", "/{}//", "//{}//"].iter().enumerate() {
            let path = path.replace("{}", &format!("webhooks/{name}"));
            let number = number * 100 + index as u32;
            let taken = send_request(app.client.post(app.url(&path)).body(body_of(name, number))).await;
            assert_eq!((taken.status, taken.body["status"].as_str()), (200, Some("accepted")), "{path}: {taken:?}");
            let twice = send_request(
                app.client.put(app.url(&path.replace("webhooks/", "webhooks//"))).body(body_of(name, number)),
            );
            assert_eq!(twice.await.body["status"], "duplicate", "{path}");
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
    let asked = app.client.post(app.url("/graphql/")).json(&json!({ "query": "{ __typename }" }));
    assert_eq!(send_request(asked).await.body["data"]["__typename"], "Query");
}

#[tokio::test]
async fn what_comes_near_a_source_is_not_found_and_counted() {
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
            // Other tests of this process may count at the same time.
            let before = missed(&app).await;
            let refused = send_request(app.client.request(method.clone(), app.url(path)).body("{}")).await;
            problem(&refused, 404, &format!("{method} {path}"));
            assert_eq!(refused.body["detail"], "no source with this name is configured", "{path}");
            assert!(missed(&app).await > before, "{method} {path}");
        }
    }
    let before = missed(&app).await;
    problem(&send_request(app.client.post(app.url("/webhooks/%ff")).body("{}")).await, 400, "no UTF-8");
    assert!(missed(&app).await > before);
    let elsewhere = send_request(app.client.post(app.url("/elsewhere")).body("{}")).await;
    problem(&elsewhere, 404, "elsewhere");
    assert_eq!(elsewhere.body["detail"], "there is nothing at this address");
}

#[tokio::test]
async fn a_source_says_what_it_takes() {
    let app = TestHub::start().await;
    for vendor in vendor::ALL {
        let url = app.url(&format!("/webhooks/{}", vendor.name));
        for method in ["GET", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
            let method: Method = method.parse().expect("a method");
            let refused = send_request(app.client.request(method.clone(), &url)).await;
            problem(&refused, 405, &format!("{method} {url}"));
            assert_eq!(refused.headers["allow"], "POST, PUT");
            let detail = format!("this address takes POST (and PUT) of {}'s webhooks", vendor.title);
            assert_eq!(refused.body["detail"], detail);
        }
        assert_eq!(app.client.head(&url).send().await.expect("an answer").status(), 405);
        assert_eq!(app.client.head(format!("{url}x")).send().await.expect("an answer").status(), 404);
    }
}

fn with_encodings(request: reqwest::RequestBuilder, encodings: &[&str]) -> reqwest::RequestBuilder {
    encodings.iter().fold(request, |request, encoding| request.header("content-encoding", *encoding))
}

#[tokio::test]
async fn every_route_judges_content_encoding_alike() {
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
            let taken = send_request(request.body(body_of(vendor.name, number))).await;
            assert_eq!(
                (taken.status, taken.body["status"].as_str()),
                (200, Some("accepted")),
                "{encodings:?}: {taken:?}"
            );
        }
        let asked = send_request(with_encodings(graphql(), encodings)).await;
        assert_eq!(asked.body["data"]["__typename"], "Query", "{encodings:?}: {asked:?}");
    }
    let received = app.ledger("pave").await["received"].clone();
    for (encodings, coding) in compressed {
        let text = format!("the body has the content encoding {coding}");
        for vendor in vendor::ALL {
            let url = app.url(&format!("/webhooks/{}", vendor.name));
            let refused = send_request(with_encodings(app.client.post(url), encodings).body("{}")).await;
            problem(&refused, 415, vendor.name);
            assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.starts_with(&text)), "{refused:?}");
        }
        let refused = send_request(with_encodings(graphql(), encodings)).await;
        assert_eq!((refused.status, refused.body["errors"][0]["message"].as_str()), (415, Some(text.as_str())));
    }
    assert_eq!(app.ledger("pave").await["received"], received);
}

#[tokio::test]
async fn the_reason_of_what_cannot_be_read_says_what_it_is() {
    let app = TestHub::start().await;
    let gzip: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV*K-*\xce\xcc\xcfS\xb2R0\xd2Q";
    let cases: [(Vec<u8>, &str); 3] = [
        (gzip.to_vec(), "the body is compressed (gzip), and no Content-Encoding says so"),
        (b"event=x&a=b".to_vec(), "the body is a form, not JSON: choose JSON where the webhook is registered"),
        (b"\xff\xfe{\0}\0".to_vec(), "the body is UTF-16, and JSON must be UTF-8"),
    ];
    for vendor in vendor::ALL {
        for (body, why) in &cases {
            let response = app.post(vendor.name, body.clone()).await;
            assert_eq!((response.status, &response.body["status"]), (200, &json!("quarantined")), "{response:?}");
            assert_eq!(response.body["reason"], *why, "{}", vendor.name);
            let query = "query($id: ID!) { node(id: $id) { ... on Delivery { size verdict reason } } }";
            let stored = app.query_with(query, json!({ "id": response.body["delivery"] })).await;
            assert_eq!(stored["node"], json!({ "size": body.len(), "verdict": "UNREADABLE", "reason": why }));
        }
    }
}

#[tokio::test]
async fn forms_are_read_over_a_signature_of_their_bytes() {
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
            let taken = send_request(signed(&app, vendor, content_type, &form).body(form.clone())).await;
            assert_eq!(taken.status, 200, "{}: {taken:?}", vendor.name);
            assert_eq!(taken.body["verdict"], "APPLIED", "{}: {taken:?}", vendor.name);
        }
    }
}

/// A request as the vendor would send it, signed over these bytes.
fn signed(app: &TestHub, vendor: &'static Vendor, content_type: &str, bytes: &str) -> reqwest::RequestBuilder {
    use inspection_hub::vendor::verify::{RequestCredentials, Scheme, Verifier, WebhookRequest};
    let secrets = vec![Secret { id: None, value: "s".to_owned() }];
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
    let RequestCredentials { headers: proof, .. } = Verifier::new(scheme, []).sign(&request).expect("signed");
    headers.extend(proof);
    app.client.post(app.url(&path)).headers(headers)
}

/// Every route with every kind of bad request: outside of GraphQL, an error is a problem.
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
                    let asked = send_request(request.body(vec![b'x'; if end.is_empty() { 0 } else { 2000 }])).await;
                    if asked.status >= 400 {
                        problem(&asked, asked.status, &format!("{method} {route}{end} {header}: {value}"));
                        assert_eq!(asked.status == 405, asked.headers.contains_key("allow"), "{method} {route}{end}");
                        errors += 1;
                    }
                }
            }
        }
    }
    assert!(errors > 1000, "{errors}");
}

/// What a client library would not send: the answer, head and body.
async fn raw(app: &TestHub, request: &str) -> (u16, String, Value) {
    let mut stream = tokio::net::TcpStream::connect(app.hub.address()).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut received = Vec::new();
    tokio::time::timeout(crate::test_hub::TIMEOUT, stream.read_to_end(&mut received))
        .await
        .expect("in time")
        .expect("read");
    let received = String::from_utf8(received).expect("text");
    let (head, body) = received.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, head.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn odd_targets_of_requests_are_taken_or_problems() {
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
            "POST {target} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let (code, head, problem) = raw(&app, &request).await;
        assert_eq!(code, expected, "{target}: {head}");
        assert_eq!(
            code >= 400,
            head.to_lowercase().contains("content-type: application/problem+json"),
            "{target}: {head}"
        );
        assert!(code < 400 || problem["status"] == code, "{target}: {problem}");
    }
    // `curl -H 'content-encoding;'` sends a header without a value.
    let mut request = Vec::new();
    write!(
        request,
        "POST /webhooks/hover HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-encoding:\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("written");
    assert_eq!(raw(&app, &String::from_utf8(request).expect("text")).await.0, 200);
}

/// The playground is found below a path of a proxy's, too: nothing that leads to it, or that it loads, is an absolute
/// address, whether it is called with a slash at the end or without.
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
        let shown = send_request(app.client.get(here(&page))).await;
        if shown.status == 503 {
            return crate::skip::skip("needs the playground: `make web`");
        }
        let html = shown.body.as_str().expect("text").to_owned();
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
