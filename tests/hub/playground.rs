//! The playground in Chromium, with every request to another host blocked.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::skip::skip;
use crate::test_hub::{TestHub, client, sample_bytes, samples, send_request};
use crate::test_login::CertifiedProvider;
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_playground_works_without_other_hosts() {
    let app = TestHub::start().await;
    if !is_built() {
        // Without its assets, the page says how to build them. `make test` does so first.
        for (accept, content_type) in
            [("text/html,*/*", "text/html; charset=utf-8"), ("*/*", "application/problem+json")]
        {
            let page = send_request(app.client.get(app.url("/graphiql")).header("accept", accept)).await;
            assert_eq!((page.status, page.headers["content-type"].as_bytes()), (503, content_type.as_bytes()));
            assert!(page.body.to_string().contains("make web"), "{page:?}");
        }
        return skip("needs the playground: `make web`");
    }
    for vendor in ["pave", "truepic", "hover"] {
        for sample in samples(vendor) {
            app.post_sample(&sample).await;
        }
    }
    let screenshots = app.database.folder.path().join("screenshots").display().to_string();
    visit("playground.mjs", vec![app.url(""), "--screenshots".into(), screenshots]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_playground_of_a_guarded_hub_works_with_a_key() {
    if !is_built() {
        return skip("needs the playground: `make web`");
    }
    let (key, table) = crate::test_keys::settings_key("read read:personal", "");
    let app = TestHub::with(&table).await;
    app.post_sample("pave/session-status-change-started.json").await;
    visit("guarded.mjs", vec![app.url(""), key]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_playground_of_a_hub_with_logins_works_for_a_person() {
    if !is_built() {
        return skip("needs the playground: `make web`");
    }
    let port = HubProcess::free_port();
    let address = format!("http://localhost:{port}");
    let provider = CertifiedProvider::start(&[&address]).await;
    let database = TestDatabase::new().await;
    let settings = database.folder.path().join("inspection-hub.toml");
    std::fs::write(settings, provider.settings(&address)).expect("written");
    let hub = HubProcess::at(port, &database, &[]).await;
    let sample = sample_bytes("pave/session-status-change-started.json");
    let request = client().post(format!("{}/webhooks/pave", hub.url)).header("content-type", "application/json");
    assert_eq!(send_request(request.body(sample)).await.status, 200);
    visit("login.mjs", vec![address, provider.issuer.clone()]).await;
    assert!(!hub.log().contains("ada"), "{}", hub.log());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_built() -> bool {
    root().join("web/dist/index.html").exists()
}

async fn visit(script: &'static str, arguments: Vec<String>) {
    let folder = root().join("tests/browser");
    assert!(folder.join("node_modules").exists(), "the browser test is not installed: `make test` does it");
    let run = move || Command::new("node").arg(script).args(arguments).current_dir(folder).output();
    let output = tokio::task::spawn_blocking(run).await.expect("it ran").expect("node starts");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
}
