//! The API of a hub without a key: for this machine and its own pages, or where the operator says so.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{TestHub, send_request};
use crate::test_keys::{create_key, is_accepted};
use reqwest::RequestBuilder;
use serde_json::json;

#[tokio::test]
async fn the_open_api_is_for_this_machine_and_its_own_pages() {
    const HOST: &str = "without an API key";
    const ORIGIN: &str = "allowed_origins";
    let settings = "allowed_origins = \"https://app.example\"\nopen_api_scopes = \"read\"";
    let local = TestHub::with(settings).await;
    let behind_proxy = TestHub::with(&format!("{settings}\nallow_open_api = true")).await;
    let port = local.hub.address().port();
    let own = format!("http://localhost:{port}");
    for (host, origin, at_local, at_proxy) in [
        ("localhost", None, None, None),
        (&*format!("localhost:{port}"), Some(own.as_str()), None, None),
        ("127.0.0.2:1", Some("http://127.0.0.2:1"), None, None),
        ("[::1]:8080", Some("https://app.example"), None, None),
        ("hub.example", None, Some(HOST), None),
        ("hub.example", Some("https://hub.example"), Some(HOST), None),
        ("127.0.0.1.evil.example", Some("http://127.0.0.1.evil.example"), Some(HOST), None),
        ("localhost", Some("https://evil.example"), Some(ORIGIN), Some(ORIGIN)),
        ("localhost", Some("null"), Some(ORIGIN), Some(ORIGIN)),
        ("localhost:1", Some("http://localhost:2"), Some(ORIGIN), Some(ORIGIN)),
        ("hub.example", Some("https://evil.example"), Some(HOST), Some(ORIGIN)),
    ] {
        for (hub, expected) in [(&local, at_local), (&behind_proxy, at_proxy)] {
            let with_headers = |request: RequestBuilder| match origin {
                Some(origin) => request.header("host", host).header("origin", origin),
                None => request.header("host", host),
            };
            let post = hub.client.post(hub.url("/graphql")).json(&json!({ "query": "{ __typename }" }));
            let answer = send_request(with_headers(post)).await;
            let status = if expected.is_some() { 403 } else { 200 };
            assert_eq!(answer.status, status, "{host} {origin:?}: {answer:?}");
            assert!(answer.body.to_string().contains(expected.unwrap_or("data")), "{host} {origin:?}: {answer:?}");
            // Those may be scraped only with the scope.
            let metrics = send_request(with_headers(hub.client.get(hub.url("/metrics")))).await;
            assert_eq!(metrics.status, 403, "{metrics:?}");
            let detail = metrics.body["detail"].as_str().expect("text");
            assert!(detail.contains(expected.unwrap_or("the scope `metrics`")), "{host} {origin:?}: {detail}");
            for path in ["/healthz", "/schema.graphql"] {
                assert_eq!(send_request(with_headers(hub.client.get(hub.url(path)))).await.status, 200, "{path}");
            }
        }
    }
    // No key closes it, so a header that it does not need is not looked at.
    assert!(is_accepted(&local, "ihub_000000000000_0").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_without_a_key_starts_only_on_loopback_or_where_that_is_allowed() {
    let database = TestDatabase::new().await;
    let serve = |allow: &str| {
        let port = HubProcess::free_port();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        command.args(["serve", "--log", "warn", "--allow-open-sources", &format!("--allow-open-api={allow}")]);
        command.args(["--database", &database.address, "--listen", &format!("0.0.0.0:{port}")]);
        command.current_dir(database.folder.path());
        (port, command)
    };
    let (port, command) = serve("false");
    let mut refused = HubProcess::spawn(port, command);
    assert_eq!(refused.wait_for_exit().await, Some(1));
    let log = refused.log();
    assert!(log.contains("is not loopback and there is no API key") && log.contains("keys create --name"), "{log}");
    let (port, command) = serve("true");
    HubProcess::ready(port, command).await.stop().await;
    create_key(&database, &["--scope", "read"]).await;
    let (port, command) = serve("false");
    HubProcess::ready(port, command).await.stop().await;
}
