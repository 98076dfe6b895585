//! Whatever a vendor sends is in the API: each sample of each vendor, with one more field in every object, through the whole hub.
//! `src/vendor/tests` tries all spellings of all fields with the adapters.

use crate::test_hub::{TestHub, sample_bytes, samples};
use serde_json::{Value, json};

const MARK: &str = "zq-mark-";

#[tokio::test]
async fn a_field_that_is_unknown_today_is_found_in_the_answer() {
    for vendor in inspection_hub::vendor::names() {
        let app = TestHub::start().await;
        let mut found = 0;
        for sample in samples(vendor).into_iter().filter(|sample| sample.ends_with(".json")) {
            let mut body: Value = serde_json::from_slice(&sample_bytes(&sample)).expect("JSON");
            let mut marks = Vec::new();
            mark(&mut body, &sample, "", &mut marks);
            let answer = app.post_json(vendor, body).await;
            assert_eq!(answer.status, 200, "{sample}");
            // A delivery about no entity is shown as its body only.
            let Some(shown) = shown(&app, &answer.body["delivery"]).await else { continue };
            let missing: Vec<_> = marks.iter().filter(|mark| !shown.contains(&format!("\"{mark}\""))).collect();
            assert!(missing.is_empty(), "{sample}: {missing:#?} in {shown}");
            found += marks.len();
        }
        assert!(found > 5, "{vendor}: {found}");
    }
}

// Each object gets a field whose name and value are its path.
fn mark(value: &mut Value, sample: &str, path: &str, marks: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                mark(value, sample, &format!("{path}.{name}"), marks);
            }
            let mark = format!("{MARK}{sample}{path}");
            fields.insert(mark.clone(), json!(mark.clone()));
            marks.push(mark);
        }
        Value::Array(entries) => {
            entries.iter_mut().enumerate().for_each(|(at, entry)| mark(entry, sample, &format!("{path}.{at}"), marks));
        }
        _ => {}
    }
}

/// What the API shows of the entities that a delivery is about, as one text; `None` if it is about none.
async fn shown(app: &TestHub, delivery: &Value) -> Option<String> {
    let query = "query($id: ID!) { node(id: $id) { ... on Delivery { changes(first: 40) { nodes {
        inspection { details } session { details } job { details run { resources } }
        item { details record { data } form { values } } } } } } }";
    let data = app.query_with(query, json!({ "id": delivery })).await;
    let changes = data["node"]["changes"]["nodes"].as_array().expect("changes");
    let about = ["inspection", "session", "job", "item"];
    let some = changes.iter().any(|change| about.iter().any(|kind| !change[*kind].is_null()));
    some.then(|| data.to_string())
}
