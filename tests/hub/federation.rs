//! Apollo Federation: the hub composes with another subgraph, and answers the router's queries.

use crate::skip::skip;
use crate::test_hub::TestHub;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A query to the router. Claims are in another subgraph, their inspections in the hub.
const QUERY: &str =
    "{ claims { number inspection { id status state } ordered { overdue sessions { nodes { status } } } } }";

/// The router's queries to the hub, as Apollo's query planner writes them.
const FETCHES: [&str; 2] = [
    "query($representations:[_Any!]!){_entities(representations:$representations){...on Inspection{status state}}}",
    "query($representations:[_Any!]!){_entities(representations:$representations){...on Inspection{status updatedAt \
     sessions{nodes{status}}}}}",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_joins_claims_and_inspections() {
    let app = TestHub::start().await;
    app.post_sample("pave/session-status-change-started.json").await;
    app.post_sample("hover/job-state-changed-working.json").await;
    let inspections = app.query("{ inspections { nodes { id source externalId status } } }").await;
    let inspections = inspections["inspections"]["nodes"].as_array().expect("inspections").clone();
    assert_eq!(inspections.len(), 2);
    let sdl = app.query("{ _service { sdl } }").await["_service"]["sdl"].clone();

    // `make test` installs the planner.
    if Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/node_modules").exists() {
        let planned = plan(json!({ "sdl": sdl, "query": QUERY })).expect("they compose");
        let fetches: Vec<_> = planned.as_array().expect("fetches").iter().map(|fetch| &fetch["operation"]).collect();
        assert_eq!(fetches, FETCHES, "{planned:#}");
        // Without keys the other subgraph cannot refer to inspections.
        let broken = sdl
            .as_str()
            .expect("SDL")
            .replace("@key(fields: \"id\")", "")
            .replace("@key(fields: \"source externalId\")", "");
        let problem = plan(json!({ "sdl": broken, "query": QUERY })).expect_err("without keys they do not compose");
        assert!(problem.contains("Inspection"), "{problem}");
    } else {
        skip("needs the query planner in tests/schema/node_modules: `make test` installs it");
    }

    for fetch in FETCHES {
        for keys in [&["id"][..], &["source", "externalId"]] {
            let representation = |inspection: &Value| {
                let known = keys.iter().map(|key| ((*key).to_owned(), inspection[*key].clone()));
                Value::Object([("__typename".to_owned(), json!("Inspection"))].into_iter().chain(known).collect())
            };
            let representations: Vec<_> = inspections.iter().map(representation).collect();
            let data = app.query_with(fetch, json!({ "representations": representations })).await;
            let statuses: Vec<_> =
                data["_entities"].as_array().expect("entities").iter().map(|e| &e["status"]).collect();
            assert_eq!(statuses, inspections.iter().map(|known| &known["status"]).collect::<Vec<_>>(), "{fetch}");
        }
    }
}

// The query plan, or the error of the composition.
fn plan(question: Value) -> Result<Value, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/federation");
    let mut node = Command::new("node");
    let node = node.arg("plan.mjs").current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut run = node.stderr(Stdio::piped()).spawn().expect("node starts");
    run.stdin.take().expect("its input").write_all(question.to_string().as_bytes()).expect("asked");
    let output = run.wait_with_output().expect("it ends");
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
