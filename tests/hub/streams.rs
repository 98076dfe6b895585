//! Subscriptions over server-sent events, one or many in a stream, and as parts of a multipart body.

use crate::test_hub::{TIMEOUT, TestHub, send_request};
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;

const EVENTS: &str = "text/event-stream";
const PARTS: &str = "multipart/mixed;subscriptionSpec=1.0, application/json";
const TOKEN: &str = "X-GraphQL-Event-Stream-Token";
const CHANGES: &str = "subscription($after: String) { changes(after: $after) { position cursor } }";

/// A response whose body is read as it arrives.
struct Body {
    response: Response,
    read: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Body {
    async fn of(request: RequestBuilder) -> Body {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap_or_default());
        Body { response, read: String::new() }
    }

    fn content_type(&self) -> String {
        self.response.headers()["content-type"].to_str().expect("text").to_owned()
    }

    /// Up to this text, which is removed. Null if the body ends before.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.read.find(end) {
                let rest = self.read.split_off(at + end.len());
                let mut text = std::mem::replace(&mut self.read, rest);
                text.truncate(at);
                return Some(text);
            }
            let chunk = tokio::time::timeout(TIMEOUT, self.response.chunk()).await.expect("more").expect("a body");
            self.read.push_str(std::str::from_utf8(&chunk?).expect("UTF-8"));
        }
    }

    async fn event(&mut self) -> Option<Event> {
        loop {
            let text = self.until("\n\n").await?;
            let field = |name: &str| {
                let found = text.lines().find_map(|line| line.strip_prefix(name));
                found.map(|value| value.trim_start_matches(':').trim_start().to_owned())
            };
            let Some(name) = field("event") else { continue };
            let data = field("data").unwrap_or_default();
            let data = if data.is_empty() { Value::Null } else { serde_json::from_str(&data).expect("JSON") };
            return Some(Event { name, id: field("id"), data });
        }
    }

    /// The next part that says something.
    async fn part(&mut self) -> Option<Value> {
        loop {
            let part = self.until("--graphql").await?;
            let Some((headers, body)) = part.split_once("\r\n\r\n") else { continue };
            assert_eq!(headers.trim().to_ascii_lowercase(), "content-type: application/json");
            let said: Value = serde_json::from_str(body).expect("JSON");
            if said != json!({}) {
                return Some(said);
            }
        }
    }

    async fn ends(&mut self) {
        assert_eq!(self.until("\u{0}").await, None);
    }
}

fn request(app: &TestHub, accept: &str, query: &str, variables: Value) -> RequestBuilder {
    let body = json!({ "query": query, "variables": variables });
    app.client.post(app.url("/graphql")).header("accept", accept).json(&body)
}

async fn post_inspection(app: &TestHub, key: &str, minute: u32) {
    let body = json!({ "event": "SESSION:STATUS_CHANGE", "session_key": key, "status": "STARTED",
        "timestamp": format!("2026-01-01T00:{minute:02}:00Z") });
    assert_eq!(app.post_json("pave", body).await.status, 200);
}

async fn start(app: &TestHub) -> Value {
    app.query("{ head { cursor } }").await["head"]["cursor"].clone()
}

#[tokio::test]
async fn every_transport_tells_the_same() {
    let app = TestHub::start().await;
    let after = json!({ "after": start(&app).await });
    let mut events = Body::of(request(&app, EVENTS, CHANGES, after.clone())).await;
    let mut parts = Body::of(request(&app, PARTS, CHANGES, after.clone())).await;
    let mut socket = app.subscribe(CHANGES, after.clone()).await;
    assert!(events.content_type().starts_with(EVENTS));
    assert!(parts.content_type().starts_with("multipart/mixed"));
    for minute in 0..5 {
        post_inspection(&app, &format!("S{minute}"), minute).await;
    }
    let history = app.changes().await;
    assert!(history.len() >= 5);
    for change in &history {
        let expected = json!({ "changes": { "position": change["position"], "cursor": change["cursor"] } });
        let event = events.event().await.expect("an event");
        assert_eq!((event.name.as_str(), &event.data["data"]), ("next", &expected));
        assert_eq!(event.id.as_deref(), change["cursor"].as_str());
        assert_eq!(parts.part().await.expect("a part")["payload"]["data"], expected);
        assert_eq!(socket.next_data().await, expected);
    }
}

/// A field that failed and must not be null makes its parent null: here the inspection, which may be null.
#[tokio::test]
async fn what_must_not_be_null_takes_its_parents_along_on_every_transport() {
    let app = TestHub::with("graphql_batching = true").await;
    let begin = json!({ "after": start(&app).await });
    post_inspection(&app, "S", 0).await;
    let change = app.changes().await.remove(0);
    let inspection = app.inspection("pave", "S").await["id"].clone();
    let fields = "{ id items(first: -1) { totalCount } }";
    let variables = json!({ "id": inspection });
    let query = format!("query($id: ID!) {{ inspection(id: $id) {fields} head {{ position }} }}");
    let head = json!({ "position": app.query("{ head { position } }").await["head"]["position"] });
    let subscription =
        format!("subscription($after: String) {{ changes(after: $after) {{ inspection {fields} position }} }}");

    let of_query = json!({ "inspection": null, "head": head });
    let of_change = json!({ "changes": { "inspection": null, "position": change["position"] } });
    let is = |answer: &Value, data: &Value| {
        assert_eq!(&answer["data"], data, "{answer:#}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer:#}");
    };
    is(&app.graphql(&query, variables.clone()).await, &of_query);
    let parameters = [("query", query.as_str()), ("variables", &variables.to_string())];
    let url = reqwest::Url::parse_with_params(&app.url("/graphql"), parameters).expect("a URL");
    is(&send_request(app.client.get(url)).await.body, &of_query);
    let batch = json!([{ "query": query, "variables": variables }]);
    is(&send_request(app.client.post(app.url("/graphql")).json(&batch)).await.body[0], &of_query);
    is(&app.subscribe(&query, variables.clone()).await.next_message().await["payload"], &of_query);
    is(&app.subscribe(&subscription, begin.clone()).await.next_message().await["payload"], &of_change);
    for (query, variables, data) in [(&query, &variables, &of_query), (&subscription, &begin, &of_change)] {
        let mut events = Body::of(request(&app, EVENTS, query, variables.clone())).await;
        is(&events.event().await.expect("an event").data, data);
    }
    let mut parts = Body::of(request(&app, PARTS, &subscription, begin)).await;
    is(&parts.part().await.expect("a part")["payload"], &of_change);

    // Where nothing above may be null, there is no data at all: null, not left out, because it was executed.
    let nothing = app.graphql("{ head { position } inspections(first: -1) { totalCount } }", json!({})).await;
    assert_eq!((nothing.get("data"), &nothing["errors"][0]["path"]), (Some(&Value::Null), &json!(["inspections"])));
}

#[tokio::test]
async fn an_event_stream_goes_on_after_the_last_event() {
    let app = TestHub::start().await;
    for minute in 0..4 {
        post_inspection(&app, &format!("S{minute}"), minute).await;
    }
    let history = app.changes().await;
    let last = history[1]["cursor"].as_str().expect("a cursor");
    // Whatever the operation says itself: a client repeats it as it was.
    for after in [Value::Null, history[2]["cursor"].clone()] {
        let again = request(&app, EVENTS, CHANGES, json!({ "after": after })).header("Last-Event-ID", last);
        let mut events = Body::of(again).await;
        for change in &history[2..] {
            assert_eq!(events.event().await.expect("an event").id.as_deref(), change["cursor"].as_str());
        }
    }
    let mut events = Body::of(request(&app, EVENTS, CHANGES, json!({})).header("Last-Event-ID", "nonsense")).await;
    let event = events.event().await.expect("an event");
    assert_eq!(event.data["errors"][0]["extensions"]["code"], "CURSOR_INVALID");
    assert_eq!(events.event().await.map(|event| event.name).as_deref(), Some("complete"));
    events.ends().await;
}

/// Many clients that are disconnected again and again during writes. Each reconnects as a browser does: with its first
/// operation, and the id of the last event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_come_back_at_once_and_hear_every_change_once() {
    const CLIENTS: usize = 48;
    const ROUNDS: usize = 5;
    const DELIVERIES: u32 = 60;
    let app = TestHub::start().await;
    let begin = json!({ "after": start(&app).await });
    let half = DELIVERIES / 2;
    for number in 0..half {
        post_inspection(&app, &format!("S{number}"), number).await;
    }
    let writing = async {
        for number in half..DELIVERIES {
            post_inspection(&app, &format!("S{number}"), number).await;
        }
        app.changes().await
    };
    // All of them are cut off and come back together, after another number of events each.
    let together = tokio::sync::Barrier::new(CLIENTS);
    let one = async |number: usize| {
        let mut heard: Vec<Event> = Vec::new();
        for round in 0..ROUNDS {
            together.wait().await;
            let again = request(&app, EVENTS, CHANGES, begin.clone());
            let mut events = Body::of(match heard.last().and_then(|event| event.id.as_deref()) {
                Some(last) => again.header("Last-Event-ID", last),
                None => again,
            })
            .await;
            for _ in 0..(number * 7 + round * 5) % 11 + 1 {
                heard.push(events.event().await.expect("an event"));
            }
        }
        heard
    };
    let (all, heard) = tokio::join!(writing, join_all((0..CLIENTS).map(one)));
    assert!(all.len() >= DELIVERIES as usize);
    for (number, heard) in heard.iter().enumerate() {
        let received: Vec<&Value> = heard.iter().map(|event| &event.data["data"]["changes"]["position"]).collect();
        let expected: Vec<&Value> = all.iter().take(heard.len()).map(|change| &change["position"]).collect();
        assert_eq!(received, expected, "client {number}");
    }
}

#[tokio::test]
async fn queries_and_refusals_end_the_stream() {
    let app = TestHub::start().await;
    let mut events = Body::of(request(&app, EVENTS, "{ head { position } }", json!({}))).await;
    assert_eq!(events.event().await.expect("an event").data, json!({ "data": { "head": { "position": 0 } } }));
    assert_eq!(events.event().await.map(|event| event.name).as_deref(), Some("complete"));
    events.ends().await;
    // A client that accepts JSON too gets a single response as JSON.
    let either = format!("application/json, {EVENTS}, multipart/mixed");
    let one = request(&app, &either, "{ head { position } }", json!({})).send().await.expect("an answer");
    assert_eq!(one.headers()["content-type"], "application/json");
    let mut events = Body::of(request(&app, &either, CHANGES, json!({ "after": "nonsense" }))).await;
    assert_eq!(events.event().await.expect("an event").name, "next");
    let mut events = Body::of(request(&app, EVENTS, "{ nonsense }", json!({}))).await;
    assert!(events.event().await.expect("an event").data["errors"][0]["message"].is_string());
    let nonsense = json!({ "after": "nonsense" });
    let mut parts = Body::of(request(&app, PARTS, CHANGES, nonsense)).await;
    let said = parts.part().await.expect("a part");
    assert_eq!((&said["payload"], &said["errors"][0]["extensions"]["code"]), (&Value::Null, &json!("CURSOR_INVALID")));
    parts.ends().await;
}

#[tokio::test]
async fn many_operations_share_one_stream() {
    let app = TestHub::start().await;
    let url = app.url("/graphql");
    let reserved = app.client.put(&url).send().await.expect("an answer");
    assert_eq!(reserved.status(), 201);
    let token = reserved.text().await.expect("a token");
    let with = |method: Method, token: &str| app.client.request(method, &url).header(TOKEN, token);
    let start_one = |id: &str, query: &str, variables: Value| {
        let body = json!({ "query": query, "variables": variables, "extensions": { "operationId": id } });
        with(Method::POST, &token).json(&body).send()
    };
    let code = async |request: RequestBuilder| request.send().await.expect("an answer").status().as_u16();

    let after = json!({ "after": start(&app).await });
    assert_eq!(start_one("early", CHANGES, after.clone()).await.expect("an answer").status(), 404, "not opened yet");
    let mut stream = Body::of(with(Method::GET, &token).header("accept", EVENTS)).await;
    assert_eq!(code(with(Method::GET, &token).header("accept", EVENTS)).await, 409);
    assert_eq!(code(with(Method::GET, "0").header("accept", EVENTS)).await, 404);

    assert_eq!(start_one("a", CHANGES, after.clone()).await.expect("an answer").status(), 202);
    assert_eq!(start_one("a", CHANGES, after.clone()).await.expect("an answer").status(), 409);
    assert_eq!(start_one("", CHANGES, after.clone()).await.expect("an answer").status(), 400);
    post_inspection(&app, "S", 0).await;
    let expected: Vec<Value> = app.changes().await.iter().map(|change| change["position"].clone()).collect();
    for position in &expected {
        let event = stream.event().await.expect("an event");
        assert_eq!((event.name.as_str(), &event.data["id"]), ("next", &json!("a")));
        assert_eq!(&event.data["payload"]["data"]["changes"]["position"], position);
    }
    assert_eq!(start_one("b", "{ head { position } }", json!({})).await.expect("an answer").status(), 202);
    let event = stream.event().await.expect("an event");
    assert_eq!((&event.data["id"], event.name.as_str()), (&json!("b"), "next"));
    let event = stream.event().await.expect("an event");
    assert_eq!(event, Event { name: "complete".into(), id: None, data: json!({ "id": "b" }) });

    let stop = |id: &str| app.client.delete(format!("{url}?operationId={id}")).header(TOKEN, &token);
    assert_eq!((code(stop("none")).await, code(stop("a")).await), (404, 200));
    // Once it is stopped, its id is free again.
    let begun = tokio::time::Instant::now();
    while start_one("a", "{ head { delivery } nonsense }", json!({})).await.expect("an answer").status() != 202 {
        assert!(begun.elapsed() < TIMEOUT);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let event = stream.event().await.expect("an event");
    assert!(event.data["payload"]["errors"][0]["message"].is_string(), "{event:?}");
    let Body { response, .. } = stream;
    drop(response);
    let begun = tokio::time::Instant::now();
    while start_one("c", CHANGES, after.clone()).await.expect("an answer").status() != 404 {
        assert!(begun.elapsed() < TIMEOUT, "the stream is gone, and its token with it");
        post_inspection(&app, "T", 1).await;
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_hub() {
    let app = TestHub::start().await;
    let mut events = Body::of(request(&app, EVENTS, CHANGES, json!({}))).await;
    let mut parts = Body::of(request(&app, PARTS, CHANGES, json!({}))).await;
    let TestHub { hub, .. } = app;
    let (_, first, second) = tokio::join!(hub.stop(), events.event(), parts.part());
    assert_eq!((first, second), (None, None), "neither completed: the client comes back");
}
