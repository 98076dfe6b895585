//! The playground in a real browser: Debian's Chromium, with every request beyond the hub blocked.

use crate::driver::{App, samples};
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_playground_works_with_the_network_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let ready = folder.join("node_modules").exists() && Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist").exists();
    assert!(ready, "the playground or its test is not built: `make test` does it");
    let app = App::start().await;
    for vendor in ["pave", "truepic", "hover"] {
        for sample in samples(vendor) {
            app.receive(&sample).await;
        }
    }
    let url = app.url("");
    let screenshots = app.folder.path().join("screenshots");
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
