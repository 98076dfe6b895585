//! The playground in a real browser: Debian's Chromium, with every request beyond the hub blocked.

use crate::driver::{App, answer, samples};
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_playground_works_with_the_network_cut() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let app = App::start().await;
    if !root.join("web/dist/index.html").exists() {
        // A bare clone: the page says what to do. `make test` builds the assets first.
        let page = answer(app.client.get(app.url("/graphiql"))).await;
        assert_eq!(page.code, 503);
        assert!(page.body.as_str().is_some_and(|text| text.contains("make web")), "{page:?}");
        return;
    }
    let folder = root.join("tests/browser");
    assert!(folder.join("node_modules").exists(), "the browser test is not installed: `make test` does it");
    for vendor in ["pave", "truepic", "hover"] {
        for sample in samples(vendor) {
            app.receive(&sample).await;
        }
    }
    let url = app.url("");
    let screenshots = app.database.folder.path().join("screenshots");
    let run = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg("playground.mjs")
            .arg(url)
            .arg("--screenshots")
            .arg(screenshots)
            .current_dir(folder)
            .output()
    });
    let output = run.await.expect("it ran").expect("node starts");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
}
