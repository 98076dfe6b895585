//! Every list of the schema, read page by page while webhooks are written. The lists are found by walking the schema,
//! so that a new one is read too: each has an order in which no row is lost and none occurs twice.

use crate::test_hub::TestHub;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The order fields by which rows keep their places.
const STABLE_ORDERS: [&str; 2] = ["CREATED_AT", "RECEIVED_AT"];
/// The pages between which webhooks are written, and their size.
const PAGES: usize = 2;
const ROWS: usize = 2;

/// Webhooks about one entity of each vendor: more of them each time.
struct WriteTraffic {
    app: TestHub,
    times: usize,
}

impl WriteTraffic {
    async fn write(&mut self) {
        self.times += 1;
        let (number, old) = (self.times, self.times / 2);
        let begin: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().expect("a moment");
        let at = begin + TimeDelta::seconds(number.try_into().expect("few"));
        let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let pave = |body: Value| {
            let mut body = body;
            body["timestamp"] = at.clone().into();
            ("pave", body)
        };
        let stage = |session: &str, photo: usize, status: &str| {
            pave(json!({ "event": "SESSION:STAGE_CHANGE", "session_key": session, "photo_code": photo,
                "photo_status": status, "photo_url": format!("https://example.com/{number}") }))
        };
        let status = |session: &str, status: &str| {
            pave(json!({ "event": "SESSION:STATUS_CHANGE", "session_key": session, "status": status }))
        };
        let capture = |id: usize, state: &str| {
            (
                "hover",
                json!({ "event": "capture-request-state-changed", "capture_request_id": id, "job_id": 11, "state": state }),
            )
        };
        let deliverable = |id: usize, state: &str| {
            (
                "hover",
                json!({ "event": "deliverable-change-request-state-changed", "deliverable_change_request_id": id,
                "job_id": 11, "state": state }),
            )
        };
        let truto = |event: &str, payload: Value| {
            (
                "truto",
                json!({ "id": format!("evt-{event}-{number}"), "event": event, "payload": payload, "created_at": at }),
            )
        };
        let record = |event: &str, id: usize| {
            truto(
                event,
                json!({ "integrated_account_id": "acc-1", "resource": "contacts",
                "records": [{ "id": format!("r{id}"), "name": number.to_string() }] }),
            )
        };
        let posts = [
            // New ones.
            status(&format!("K-{number}"), "STARTED"),
            stage("K-1", number, "accepted"),
            capture(number, "new"),
            deliverable(number, "first_attempt"),
            ("hover", json!({ "event": "model-created", "model_id": number, "job_id": 11 })),
            record("record:created", number),
            truto(
                "sync_job_run:record",
                json!({ "sync_job_run_id": "run-1", "integrated_account_id": "acc-1",
                "resource": "leads", "records": [{ "id": format!("x{number}"), "name": "n" }] }),
            ),
            // Changes of old ones.
            status(&format!("K-{old}"), "PROCESS"),
            status("K-1", "CONFIRM"),
            stage("K-1", old, "rejected"),
            capture(old, "connected"),
            deliverable(old, "complete"),
            ("hover", json!({ "event": "model-state-changed", "model_id": old, "job_id": 11, "state": "complete" })),
            ("hover", json!({ "event": "job-state-changed", "job_id": 11, "state": "working" })),
            record("record:updated", old),
            truto(
                "integrated_account:active",
                json!({ "id": "acc-1", "tenant_id": number.to_string(), "status": "active" }),
            ),
        ];
        let answers = join_all(posts.map(|(source, body)| self.app.post_json(source, body))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        // Acts: one on an inspection that has others, one on a new one.
        let inspection = self.app.inspection("pave", "K-1").await.0["id"].clone();
        let acts = "mutation($comment: AddCommentInput!, $register: RegisterInspectionInput!) {
            addComment(input: $comment) { comment { id } } registerInspection(input: $register) { inspection { id } } }";
        let key = format!("key {number}");
        let comment = json!({ "idempotencyKey": key, "inspection": inspection, "text": key });
        let register = json!({ "idempotencyKey": key, "source": "pave", "externalId": format!("R-{number}") });
        self.app.query_with(acts, json!({ "comment": comment, "register": register })).await;
    }
}

/// A list.
#[derive(Clone, Debug)]
struct ListField {
    /// The parent type and the field.
    parent: String,
    field: String,
    /// The names of its arguments, with their types.
    arguments: BTreeMap<String, String>,
    /// What identifies a row.
    row: String,
    /// The type of a row.
    of: String,
}

/// The schema's types by name.
struct Schema(HashMap<String, Value>);

fn innermost(ty: &Value) -> String {
    match ty["name"].as_str() {
        Some(name) => name.to_owned(),
        None => innermost(&ty["ofType"]),
    }
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn name(value: &Value) -> String {
    value["name"].as_str().expect("a name").to_owned()
}

impl Schema {
    async fn read(app: &TestHub) -> Schema {
        let query = "{ __schema { types { name kind interfaces { name } enumValues { name }
            inputFields { name type { ...T } }
            fields { name type { ...T } args { name defaultValue type { kind ...T } } } } } }
            fragment T on __Type { name ofType { name ofType { name ofType { name } } } }";
        let data = app.query(query).await;
        Schema(rows(&data["__schema"]["types"]).map(|ty| (name(ty), ty.clone())).collect())
    }

    fn field(&self, ty: &str, field: &str) -> Option<&Value> {
        rows(&self.0[ty]["fields"]).find(|known| known["name"] == field)
    }

    fn lists(&self) -> Vec<ListField> {
        let mut lists = Vec::new();
        for (parent, ty) in &self.0 {
            for field in rows(&ty["fields"]) {
                let connection = innermost(&field["type"]);
                if self.field(&connection, "pageInfo").is_none() {
                    continue;
                }
                let of = innermost(&self.field(&connection, "nodes").expect("nodes")["type"]);
                let arguments = rows(&field["args"]).map(|argument| (name(argument), innermost(&argument["type"])));
                let arguments: BTreeMap<_, _> = arguments.collect();
                for paging in ["first", "after", "last", "before"] {
                    assert!(arguments.contains_key(paging), "{parent}.{} has no `{paging}`", name(field));
                }
                lists.push(ListField {
                    parent: parent.clone(),
                    field: name(field),
                    arguments,
                    row: self.identity(&of),
                    of,
                });
            }
        }
        lists.sort_by_key(|list| (list.parent != "Query", list.parent.clone(), list.field.clone()));
        lists
    }

    // What a row has an id by, itself or by the thing that it is about.
    fn identity(&self, of: &str) -> String {
        if self.field(of, "id").is_some() {
            return "id".to_owned();
        }
        let fields = rows(&self.0[of]["fields"]);
        let about = fields.map(|field| (name(field), innermost(&field["type"])));
        let mut about = about.filter(|(_, ty)| self.field(ty, "id").is_some());
        let (field, _) = about.next().unwrap_or_else(|| panic!("nothing identifies a row of {of}"));
        format!("{field} {{ id }}")
    }

    /// The orders of a list in which rows keep their places, as arguments, and whether new rows are at the end.
    fn orders(&self, list: &ListField) -> Vec<(String, bool)> {
        let directions = [("ASC", true), ("DESC", false)];
        if let Some(order) = list.arguments.get("orderBy") {
            let of = rows(&self.0[order]["inputFields"]).find(|field| field["name"] == "field").expect("a field");
            let words = rows(&self.0[&innermost(&of["type"])]["enumValues"]).map(name);
            let staying = words.filter(|word| STABLE_ORDERS.contains(&word.as_str())).collect::<Vec<_>>();
            let [word] = staying.as_slice() else { panic!("{list:?}: rows stay by {staying:?}") };
            return directions
                .map(|(direction, at_end)| (format!("orderBy: {{ field: {word}, direction: {direction} }}"), at_end))
                .into();
        }
        if list.arguments.contains_key("direction") {
            return directions.map(|(direction, at_end)| (format!("direction: {direction}"), at_end)).into();
        }
        vec![(String::new(), true)]
    }

    /// All orders of a list.
    fn all_orders(&self, list: &ListField) -> Vec<String> {
        let Some(order) = list.arguments.get("orderBy") else {
            return self.orders(list).into_iter().map(|(order, _)| order).collect();
        };
        let of = rows(&self.0[order]["inputFields"]).find(|field| field["name"] == "field").expect("a field");
        let words: Vec<_> = rows(&self.0[&innermost(&of["type"])]["enumValues"]).map(name).collect();
        let orders = words.iter().flat_map(|word| {
            ["ASC", "DESC"].map(|direction| format!("orderBy: {{ field: {word}, direction: {direction} }}"))
        });
        orders.collect()
    }
}

/// A list of one thing, in one order.
struct PageReader<'a> {
    list: &'a ListField,
    /// The parent's id; none for a field of the query.
    of: Option<String>,
    order: String,
    /// The time of an as-of list.
    at: String,
}

impl PageReader<'_> {
    async fn ask(&self, app: &TestHub, page: &str, cursor: &Value) -> Value {
        let ListField { parent, field, arguments, row, .. } = self.list;
        let moment = if arguments.contains_key("at") { format!("at: \"{}\"", self.at) } else { String::new() };
        let list = format!(
            "list: {field}({page} {} {moment}) {{ edges {{ cursor node {{ {row} }} }}
               pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}",
            self.order
        );
        let query = match &self.of {
            None => format!("query($c: String) {{ {list} }}"),
            Some(id) => format!("query($c: String) {{ node(id: \"{id}\") {{ ... on {parent} {{ {list} }} }} }}"),
        };
        app.graphql(&query, json!({ "c": cursor })).await
    }

    /// A page, in the list's order.
    async fn page(&self, app: &TestHub, page: &str, cursor: &Value) -> (Vec<String>, Value) {
        let answer = self.ask(app, page, cursor).await;
        assert!(answer.get("errors").is_none(), "{self:?} {page}: {answer:#}");
        let data = &answer["data"];
        let list = if self.of.is_some() { &data["node"]["list"] } else { &data["list"] };
        let rows = rows(&list["edges"]).map(|edge| edge["node"].to_string()).collect();
        (rows, list["pageInfo"].clone())
    }

    /// All rows, while nothing is written.
    async fn all(&self, app: &TestHub) -> Vec<String> {
        let (mut all, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let (rows, info) = self.page(app, "first: 100, after: $c", &cursor).await;
            all.extend(rows);
            if info["hasNextPage"] == false {
                return all;
            }
            cursor = info["endCursor"].clone();
        }
    }

    /// All rows, while webhooks are written between the first pages.
    async fn all_under_writes(&self, traffic: &mut WriteTraffic, forward: bool) -> Vec<String> {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let rows = if pages < PAGES { ROWS } else { 100 };
            let page = match forward {
                true => format!("first: {rows}, after: $c"),
                false => format!("last: {rows}, before: $c"),
            };
            let (mut read, info) = self.page(&traffic.app, &page, &cursor).await;
            if !forward {
                read.reverse();
            }
            seen.extend(read);
            let (more, end) = match forward {
                true => ("hasNextPage", "endCursor"),
                false => ("hasPreviousPage", "startCursor"),
            };
            if info[more] == false {
                return seen;
            }
            cursor = info[end].clone();
            if pages < PAGES {
                traffic.write().await;
            }
            pages += 1;
        }
    }
}

impl std::fmt::Debug for PageReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} {}", self.list.parent, self.list.field, self.order)
    }
}

/// The ids of the things of a type that have most rows in a list.
async fn parent_with_most_rows(app: &TestHub, schema: &Schema, list: &ListField, lists: &[ListField]) -> String {
    let parent = &list.parent;
    if parent == "Command" {
        // There is no list of all: each has as many changes as another.
        let changes =
            app.query("{ changes(last: 1, filter: { reasonCode: [REGISTERED] }) { nodes { command { id } } } }").await;
        return changes["changes"]["nodes"][0]["command"]["id"].as_str().expect("an id").to_owned();
    }
    let of_hub = |known: &&ListField| known.parent == "Query" && known.of == *parent && known.row == "id";
    let all = lists.iter().find(of_hub).unwrap_or_else(|| panic!("{parent}.{}: say how to come there", list.field));
    let order = schema.orders(all).swap_remove(0).0;
    let all = PageReader { list: all, of: None, order, at: String::new() }.all(app).await;
    let ids: Vec<String> =
        all.iter().map(|row| serde_json::from_str::<Value>(row).expect("JSON")["id"].to_string()).collect();
    let mut best = (0, String::new());
    for some in ids.chunks(100) {
        let query = format!(
            "{{ nodes(ids: [{}]) {{ id ... on {parent} {{ {} {{ totalCount }} }} }} }}",
            some.join(","),
            list.field
        );
        for node in rows(&app.query(&query).await["nodes"]) {
            let count = node[&list.field]["totalCount"].as_i64().expect("a count");
            if count > best.0 {
                best = (count, node["id"].as_str().expect("an id").to_owned());
            }
        }
    }
    assert!(best.0 > 0, "{parent}.{} is empty everywhere: write what it shows", list.field);
    best.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_has_an_order_in_which_nothing_is_lost() {
    let app = TestHub::start().await;
    let schema = Schema::read(&app).await;
    let mut lists = schema.lists();
    // Needs the scope `admin`, and its first row would close the open API. `graphql/tests/api_keys.rs` reads its pages.
    lists.retain(|list| list.field != "apiKeys");
    let mut traffic = WriteTraffic { app, times: 0 };
    for _ in 0..5 {
        traffic.write().await;
    }
    assert!(lists.len() >= 20, "{lists:?}");
    for list in &lists {
        let of = match list.parent.as_str() {
            "Query" => None,
            _ => Some(parent_with_most_rows(&traffic.app, &schema, list, &lists).await),
        };
        for (order, at_end) in schema.orders(list) {
            let at =
                traffic.app.query("{ head { time } }").await["head"]["time"].as_str().expect("a moment").to_owned();
            let walk = PageReader { list, of: of.clone(), order, at };
            for forward in [true, false] {
                let before = walk.all(&traffic.app).await;
                let seen = walk.all_under_writes(&mut traffic, forward).await;
                let after = walk.all(&traffic.app).await;
                let set: BTreeSet<_> = seen.iter().collect();
                assert_eq!(set.len(), seen.len(), "{walk:?} {forward}: a row occurred twice");
                let lost: Vec<_> = before.iter().filter(|row| !set.contains(row)).collect();
                assert!(lost.is_empty(), "{walk:?} {forward}: {} of {} were lost", lost.len(), before.len());
                // Rows added during the walk are at one end: the walk reads them if that is its last page.
                if at_end == forward {
                    let expected: Vec<_> = if forward { after } else { after.into_iter().rev().collect() };
                    assert_eq!(seen, expected, "{walk:?} {forward}");
                }
            }
        }
        refuses_other_orders(&traffic.app, &schema, list, of).await;
    }
}

/// A cursor of one order used with another is an error that says so.
async fn refuses_other_orders(app: &TestHub, schema: &Schema, list: &ListField, of: Option<String>) {
    let orders = schema.all_orders(list);
    let at = app.query("{ head { time } }").await["head"]["time"].as_str().expect("a moment").to_owned();
    let walk = |order: &String| PageReader { list, of: of.clone(), order: order.clone(), at: at.clone() };
    for one in &orders {
        let (_, info) = walk(one).page(app, "first: 1, after: $c", &Value::Null).await;
        for other in orders.iter().filter(|other| *other != one) {
            for page in ["first: 1, after: $c", "last: 1, before: $c"] {
                let answer = walk(other).ask(app, page, &info["endCursor"]).await;
                let error = &answer["errors"][0];
                assert_eq!(error["extensions"]["code"], "CURSOR_INVALID", "{one} {other}: {answer}");
                assert_eq!(error["message"], "the cursor belongs to another order", "{one} {other}");
                assert!(error["extensions"]["hint"].as_str().is_some_and(|hint| hint.contains("orderBy")), "{answer}");
            }
        }
    }
}
