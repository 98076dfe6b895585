//! Generated queries: Schemathesis makes them from the schema for a hub that has data (`tests/fuzz/hooks.py` has the checks).
//! The same queries each time; with `FUZZ_SECONDS`, random ones for that long.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{client, sample_bytes, samples};
use crate::vendor_client::run_query;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The limit of one response in seconds. Long, because a busy machine is no failure: a query that runs away is.
const SLOWEST: &str = "10";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fits_the_schema_is_answered_well() {
    let database = TestDatabase::new().await;
    let server = HubProcess::start(&database).await;
    let vendors = client();
    for vendor in inspection_hub::vendor::names() {
        for sample in samples(vendor).iter().filter(|sample| sample.ends_with(".json")) {
            let request = vendors.post(format!("{}/webhooks/{vendor}", server.url)).body(sample_bytes(sample));
            let request = request.header("content-type", "application/json");
            assert_eq!(request.send().await.expect("an answer").status(), 200, "{sample}");
        }
    }

    let python = std::env::current_exe().expect("a path").ancestors().nth(3).expect("a folder").join("python");
    assert!(python.join("installed").exists(), "Schemathesis is not installed: `make test` does it");
    let seconds = std::env::var("FUZZ_SECONDS");
    let mut command = Command::new(python.join("bin/schemathesis"));
    command
        .args(["run", &format!("{}/graphql", server.url), "--no-color", "--warnings", "off"])
        .args(["--checks", "errors_are_the_callers,queries_that_fit_the_schema_are_taken,answers_fit_the_schema"])
        .args(["--phases", "fuzzing", "--max-response-time", SLOWEST, "--request-timeout", "60"])
        .args(["--generation-database", "none", "--suppress-health-check", "all"])
        .env("SCHEMATHESIS_HOOKS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/hooks.py"))
        .envs([("NO_PROXY", "127.0.0.1"), ("PYTHONDONTWRITEBYTECODE", "1"), ("FUZZ_IDS", &ids(&server.url).await)])
        // Its files go there.
        .current_dir(database.folder.path());
    match &seconds {
        Ok(seconds) => command.args(["--max-time", seconds]),
        Err(_) => command.args(["--max-time", "20", "--seed", "1"]),
    };
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("it starts");
    let output_text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{output_text}");
    // The same process is still ready.
    let ready = vendors.get(format!("{}/readyz", server.url)).send().await.expect("an answer");
    assert_eq!(ready.status(), 200);
    server.stop().await;
}

/// Ids of entities of each kind, separated by spaces.
async fn ids(url: &str) -> String {
    let query = "{ inspections { nodes { id items { nodes { id } } } } sessions { nodes { id } } jobs { nodes { id } }
        deliveries { nodes { id } } }";
    let mut found = Vec::new();
    gather(&run_query(url, query, Value::Null).await, &mut found);
    assert!(found.len() > 50, "{found:?}");
    found.join(" ")
}

fn gather(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| gather(value, found)),
        Value::Object(object) => object.values().for_each(|value| gather(value, found)),
        Value::String(id) => found.push(id.clone()),
        _ => {}
    }
}
