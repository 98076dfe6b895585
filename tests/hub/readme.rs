//! The example of the README: the requests that it sends, and the responses that it shows.

use crate::test_hub::TestHub;
use serde_json::{Value, json};

const README: &str = include_str!("../../README.md");

#[tokio::test]
async fn the_example_of_the_readme_is_exact() {
    let hub = TestHub::start().await;
    let (requests, responses, queries) = (blocks("sh"), blocks("json"), blocks("graphql"));
    let mut received = Vec::new();
    for request in &requests[..2] {
        let (path, body) = curl(request);
        let request = hub.client.post(hub.url(path)).header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(body).send().await.expect("a response");
        received.push(response.json::<Value>().await.expect("JSON"));
    }
    assert_eq!(received[0], parsed(responses[0]), "the response to the first webhook");
    let answer = hub.graphql(queries[0], json!({})).await;
    assert_eq!(without_cursors(answer), without_cursors(parsed(responses[1])), "the response to the query");
}

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let rest = README.split(&begin).skip(1);
    rest.map(|rest| rest.split_once("```").expect("the end of the block").0).collect()
}

/// The path and the body of `curl http://127.0.0.1:8080/… -d '…'`.
fn curl(command: &'static str) -> (&'static str, &'static str) {
    let (url, rest) =
        command.strip_prefix("curl http://127.0.0.1:8080").and_then(|it| it.split_once(" -d '")).expect("curl");
    (url, rest.split_once('\'').expect("the end of the body").0)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// They contain the time at which the tables were created; the README shortens them.
fn without_cursors(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                *field = if name == "cursor" { Value::Null } else { without_cursors(field.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_cursors(item.take())),
        _ => {}
    }
    value
}
