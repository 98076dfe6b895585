//! Old lives can be forgotten, and what is left is as if it were all there ever was: it derives as before, goes on as
//! before, and the ledger still counts everything.

use crate::database::{TestDatabase, write};
use crate::driver::{App, PATIENCE, client};
use crate::order::{hover_life, incoming_at, pave_life, record360_life, truepic_life, truto_life};
use crate::sender::ledger_adds_up;
use crate::server::Server;
use crate::verify::verify;
use chrono::{DateTime, TimeDelta, Utc};
use entity::{change, delivery, entity as thing, forgotten, ledger, step};
use inspection_hub::ingest::Retention;
use inspection_hub::store::read::{Clock, as_of, head};
use inspection_hub::store::{
    Database, Doing, Forgetting, Forgotten, Mode, Rebuild, Scratch, StoreError, Stored, Writer,
};
use proptest::prelude::*;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Removes what nothing was heard of since a moment.
async fn forget(db: &Database, before: DateTime<Utc>, doing: Doing) -> Forgotten {
    let mut forgotten = Forgotten::default();
    let forgetting = when_free(async || Forgetting::open(db.clone(), CancellationToken::new()).await).await;
    forgetting.run(before, doing, &mut forgotten, |_| {}).await.expect("it is done");
    forgotten
}

/// Tries until nobody else is at it: PostgreSQL lets go when it notices that a connection is closed.
async fn when_free<T>(open: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let started = Instant::now();
    loop {
        match open().await {
            Ok(opened) => return opened,
            Err(error) => assert!(matches!(error, StoreError::Taken(_)) && started.elapsed() < PATIENCE, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// What is wrong with what is left.
async fn complaints(db: &Database) -> Vec<String> {
    let mut complaints = Vec::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut scratch = Scratch::open(folder.path(), "it").await.expect("a second database");
    let stored = Stored::now(db).await.expect("the first");
    stored.derive(&mut scratch, &CancellationToken::new(), |_| {}).await.expect("it derives");
    let differences = stored.compare(&Stored::now(&scratch.db).await.expect("the second")).await.expect("compared");
    complaints.extend(differences.kept.iter().map(|difference| format!("{difference:?}")));
    assert_eq!(differences.all, complaints.len() as u64);

    let head = head(&db.readers).await.expect("counters");
    let changes = change::Entity::find().all(&db.readers).await.expect("history");
    let positions: BTreeSet<i64> = changes.iter().map(|row| row.position).collect();
    let holes = (head.kept_from + 1..=head.position).filter(|position| !positions.contains(position));
    complaints.extend(holes.map(|position| format!("there is no position {position}")));
    let entities = thing::Entity::find().all(&db.readers).await.expect("entities");
    let numbers: BTreeSet<i64> = entities.iter().map(|row| row.number).collect();
    let deliveries = delivery::Entity::find().all(&db.readers).await.expect("deliveries");
    let there: BTreeSet<i64> = deliveries.iter().map(|row| row.number).collect();
    let named = entities.iter().flat_map(|row| [row.parent, row.inspection]).flatten();
    let named = named.chain(changes.iter().flat_map(|row| [row.entity, row.inspection]).flatten());
    let steps = step::Entity::find().all(&db.readers).await.expect("steps");
    let named = named.chain(steps.iter().map(|row| row.entity));
    let lost = named.filter(|number| !numbers.contains(number)).collect::<BTreeSet<_>>();
    complaints.extend(lost.iter().map(|number| format!("the entity {number} is gone, and something refers to it")));
    let lost = changes.iter().filter(|row| !there.contains(&row.delivery));
    complaints.extend(lost.map(|row| format!("the delivery of {} is gone", row.position)));

    for row in ledger::Entity::find().all(&db.readers).await.expect("the ledger") {
        let base = forgotten::Entity::find_by_id(row.source.as_str()).one(&db.readers).await.expect("an answer");
        let base = base.unwrap_or_default();
        let stored = deliveries.iter().filter(|delivery| delivery.source == row.source);
        let (stored, again) = stored.fold((0, 0), |(count, again), row| (count + 1, again + row.duplicates));
        if row.duplicates != base.duplicates + again || row.received != base.received + stored + again {
            complaints.push(format!("{row:?} is not {base:?} and {stored} with {again} repetitions"));
        }
        let verdicts = row.applied + row.skipped_ahead + row.stale + row.refused;
        let verdicts = verdicts + row.no_change + row.unrecognized + row.unreadable + row.orphaned;
        if row.received != verdicts + row.duplicates {
            complaints.push(format!("{row:?} does not add up"));
        }
    }
    complaints
}

/// When and to which vendor something is sent.
type Sent = (DateTime<Utc>, &'static str, Value);

fn start() -> DateTime<Utc> {
    "2026-03-01T00:00:00Z".parse().expect("a moment")
}

/// A life under names of its own, apart from those that lives of this vendor share.
fn named(vendor: &str, number: usize, life: Vec<Value>, shares: bool) -> Vec<Value> {
    let own = format!("9{number}");
    let mut names: Vec<(String, String)> = match vendor {
        "pave" => vec![("\"K-1\"".into(), format!("\"K-{own}\""))],
        "truepic" => vec![("\"inspection_id\":7".into(), format!("\"inspection_id\":{own}"))],
        "hover" => vec![("\"job_id\":11".into(), format!("\"job_id\":{own}"))],
        "truto" => vec![("run-1".into(), format!("run-{own}")), ("evt-".into(), format!("evt-{own}-"))],
        _ => vec![("\"transaction\":{".into(), format!("\"transaction\":{{\"number\":\"{own}\","))],
    };
    if vendor == "record360" {
        names.push(("\"id\":\"0\"".into(), format!("\"id\":\"{own}\"")));
    }
    if !shares {
        names.extend(match vendor {
            "hover" => vec![
                ("\"capture_request_id\":5".into(), format!("\"capture_request_id\":{own}")),
                ("\"model_id\":9".into(), format!("\"model_id\":{own}")),
                ("_request_id\":3".into(), format!("_request_id\":{own}")),
            ],
            "truto" => vec![("acc-1".into(), format!("acc-{own}"))],
            "record360" => vec![("\"42\"".into(), format!("\"{own}\""))],
            _ => Vec::new(),
        });
    }
    let renamed = |body: Value| {
        let text = names.iter().fold(body.to_string(), |text, (from, to)| text.replace(from, to));
        serde_json::from_str(&text).expect("JSON")
    };
    life.into_iter().map(renamed).collect()
}

/// Lives of all vendors that begin within days of each other and take hours, with garbage between, in the order in which they are received.
fn traffic() -> impl Strategy<Value = Vec<Sent>> {
    let life = prop_oneof![
        pave_life().prop_map(|life| ("pave", life)),
        truepic_life().prop_map(|life| ("truepic", life)),
        hover_life().prop_map(|life| ("hover", life)),
        truto_life().prop_map(|life| ("truto", life)),
        record360_life().prop_map(|life| ("record360", life)),
        Just(("pave", vec![json!([1]), json!({ "event": "SESSION:SNEEZED" })])),
    ];
    let one = (life, any::<bool>(), 0..200_i64, proptest::collection::vec((0..90_i64, 1..3_usize), 40), any::<bool>());
    proptest::collection::vec(one, 2..9).prop_map(|lives| {
        let mut sent = Vec::new();
        for (number, ((vendor, life), shares, begins, pauses, backwards)) in lives.into_iter().enumerate() {
            let mut at = start() + TimeDelta::hours(begins);
            let mut life = named(vendor, number, life, shares);
            if backwards {
                life.reverse();
            }
            for (body, (pause, times)) in life.into_iter().zip(pauses.into_iter().cycle()) {
                for _ in 0..times {
                    at += TimeDelta::minutes(pause);
                    sent.push((at, vendor, body.clone()));
                }
            }
        }
        sent.sort_by_key(|(at, ..)| *at);
        sent
    })
}

fn cases() -> u32 {
    std::env::var("SOAK").or_else(|_| std::env::var("PROPTEST_CASES")).ok().and_then(|n| n.parse().ok()).unwrap_or(16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_left_derives_and_goes_on_as_before(
        sent in traffic(), rounds in proptest::collection::vec(0..100_i64, 1..4), batch in 1..20_usize
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let complaints: Vec<String> = runtime.block_on(async {
            let database = TestDatabase::new().await;
            let db = Database::open(&database.address, Mode::Migrate).await.expect("a database");
            let mut writer = Writer::open(&db).expect("a writer");
            for (part, age) in sent.chunks(sent.len().div_ceil(rounds.len())).zip(&rounds) {
                for part in part.chunks(batch) {
                    let incoming = part.iter().map(|(at, vendor, body)| incoming_at(vendor, vendor, body, *at));
                    write(&mut writer, &incoming.collect::<Vec<_>>());
                }
                let Some((now, ..)) = part.last() else { continue };
                let before = *now - TimeDelta::hours(*age);
                let would = forget(&db, before, Doing::OnlyCount).await;
                let unchanged = complaints(&db).await;
                if !unchanged.is_empty() {
                    return unchanged;
                }
                let done = forget(&db, before, Doing::Remove).await;
                assert_eq!(would, done, "what is counted is what is removed");
                let left = complaints(&db).await;
                if !left.is_empty() {
                    return left;
                }
                let again = forget(&db, before, Doing::Remove).await;
                assert_eq!((again.lives, again.deliveries), (0, 0), "all at once");
            }
            let folder = database.folder.path().join("scratch");
            let mut rebuild =
                when_free(async || Rebuild::open(db.clone(), &folder, CancellationToken::new()).await).await;
            let found = rebuild.derive(|_| {}).await.expect("derived");
            let replaced = rebuild.replace(&found, |_| {}).await.expect("replaced");
            rebuild.finish().await;
            assert!(!replaced.history, "it is the same history");
            complaints(&db).await
        });
        prop_assert_eq!(complaints, Vec::<String>::new());
    }
}

/// What is sent as such a number: four of each life, which then is at its end.
fn body(number: usize) -> String {
    json!({ "event": "SESSION:STATUS_CHANGE", "session_key": format!("K{}", number / 4),
        "status": (["STARTED", "PROCESS", "EXPIRED", "EXPIRED"][number % 4]),
        "timestamp": format!("2026-01-01T00:00:{:02}Z", number % 4) })
    .to_string()
}

/// A whole life.
async fn life(app: &App, number: usize) {
    for number in number * 4..number * 4 + 4 {
        assert_eq!(app.post("pave", body(number)).await.code, 200);
    }
}

async fn opened(app: &App) -> Database {
    Database::open(&app.database.address, Mode::AsItIs).await.expect("the database")
}

fn code(answer: &Value) -> &Value {
    &answer["errors"][0]["extensions"]["code"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_what_is_forgotten_is_refused_with_what_is_left() {
    let app = App::start().await;
    let begin = app.ask("{ head { cursor oldestCursor } }").await["head"].clone();
    assert_eq!(begin["cursor"], begin["oldestCursor"], "all is there, from the first on");
    // The second begins before the first has ended, and goes on.
    app.post("pave", body(4)).await;
    life(&app, 0).await;
    let then = Utc::now();
    app.post("pave", body(5)).await;
    let db = opened(&app).await;
    let done = forget(&db, then, Doing::Remove).await;
    assert_eq!((done.lives, done.deliveries, done.in_use), (1, 4, 1), "{done:?}");
    assert_eq!(app.inspection("pave", "K0").await, Value::Null);
    assert_eq!(app.inspection("pave", "K1").await["state"], "PROCESS");

    let head = app.ask("{ head { position cursor oldestCursor } }").await["head"].clone();
    let oldest = &head["oldestCursor"];
    let query = "query($after: String, $before: String) { changes(after: $after, before: $before) {
        totalCount nodes { position } } }";
    for page in [json!({ "after": begin["cursor"] }), json!({ "before": begin["cursor"] })] {
        let refused = app.graphql(query, page).await;
        assert_eq!(code(&refused), "CURSOR_EXPIRED", "{refused:#}");
        assert_eq!(&refused["errors"][0]["extensions"]["available"], oldest);
        assert!(refused["errors"][0]["extensions"]["hint"].is_string());
    }
    let left = app.ask_with(query, json!({ "after": oldest })).await;
    assert_eq!(left, app.ask_with(query, json!({})).await, "without a cursor it begins with what is left");
    let positions: Vec<i64> = left["changes"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .filter_map(|node| node["position"].as_i64())
        .collect();
    assert_eq!(positions.last().copied(), head["position"].as_i64());
    assert!(!positions.is_empty() && positions.windows(2).all(|two| two[0] + 1 == two[1]), "{positions:?}");
    assert_eq!(left["changes"]["totalCount"], positions.len());

    // What is kept has all of its history, page by page.
    let query = "query($after: String) { inspectionByExternalId(source: \"pave\", externalId: \"K1\") {
        history(first: 1, after: $after) { totalCount pageInfo { endCursor hasNextPage } nodes { toState } } } }";
    let first = app.ask(query.replace("($after: String)", "").replace(", after: $after", "").as_str()).await;
    let first = &first["inspectionByExternalId"]["history"];
    assert_eq!((&first["totalCount"], &first["nodes"][0]["toState"]), (&json!(2), &json!("STARTED")));
    let second = app.ask_with(query, json!({ "after": first["pageInfo"]["endCursor"] })).await;
    assert_eq!(second["inspectionByExternalId"]["history"]["nodes"][0]["toState"], "PROCESS");

    for field in ["changes(after: $after)", "inspectionChanged(after: $after)", "sessionChanged(after: $after)"] {
        let query = format!("subscription($after: String) {{ {field} {{ position }} }}");
        let refused = app.subscribe(&query, json!({ "after": begin["cursor"] })).await.raw().await;
        assert!(refused.to_string().contains("CURSOR_EXPIRED"), "{refused:#}");
        assert!(refused.to_string().contains(oldest.as_str().expect("a cursor")), "{refused:#}");
    }
    let query = "subscription($after: String) { it: changes(after: $after) { position } }";
    let mut resumed = app.subscribe(query, json!({ "after": oldest })).await;
    app.post("pave", body(6)).await;
    for position in positions {
        assert_eq!(resumed.next().await["it"]["position"], position);
    }
    resumed.next().await;
    ledger_adds_up(&app.ledger("pave").await);
    assert_eq!(app.ledger("pave").await["received"], 7);
    // It is made known anew if the vendor says it again.
    assert_eq!(app.post("pave", body(3)).await.body["status"], "accepted");
    assert_eq!(app.inspection("pave", "K0").await["state"], "EXPIRED");
    assert_eq!(complaints(&db).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_past_is_told_of_what_is_left() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    // Many that end, and one beside each ten of them that goes on.
    let minute = |minute: i64| start() + TimeDelta::minutes(minute);
    let mut kept = BTreeMap::new();
    for number in 0..60_usize {
        let goes_on = number.is_multiple_of(10);
        for state in 0..if goes_on { 2 } else { 4 } {
            let body: Value = serde_json::from_str(&body(number * 4 + state)).expect("JSON");
            let at = minute(number as i64 * 4 + state as i64);
            write(&mut writer, &[incoming_at("pave", "pave", &body, at)]);
        }
        if goes_on {
            kept.insert(number, number as i64 * 4);
        }
    }
    let all = forget(&db, minute(1_000), Doing::Remove).await;
    // The newest delivery is never removed, and so is its life.
    assert_eq!((all.lives, all.open, all.in_use), (53, 6, 1), "{all:?}");
    let things = thing::Entity::find().all(&db.readers).await.expect("entities");
    for (number, begun) in kept {
        let name = format!("K{number}");
        let is_it = |row: &&thing::Model| row.external_id == name && row.kind == entity::Kind::Inspection;
        let row = things.iter().find(is_it).expect("it is kept");
        for (at, state) in
            [(begun - 1, None), (begun, Some("STARTED")), (begun + 1, Some("PROCESS")), (900, Some("PROCESS"))]
        {
            let then = as_of(&db.readers, minute(at), Clock::Received, &[row.number]).await.expect("the past");
            assert_eq!(then.get(&row.number).and_then(|then| then.state.as_deref()), state, "{name} at {at}");
        }
    }
    // A list that is read page by page goes on where a row was that is gone.
    assert_eq!(complaints(&db).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_kept_says_so() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    let hour = |hour: i64| start() + TimeDelta::hours(hour);
    let mut say = |vendor: &str, hour: i64, body: Value| {
        write(&mut writer, &[incoming_at(vendor, vendor, &body, start() + TimeDelta::hours(hour))]);
    };
    let pave =
        |key: &str, status: &str| json!({ "event": "SESSION:STATUS_CHANGE", "status": status, "session_key": key });
    say("pave", 0, pave("ended", "EXPIRED"));
    say("pave", 0, pave("repeated", "EXPIRED"));
    say("pave", 0, pave("open", "STARTED"));
    say("pave", 0, json!(["unreadable"]));
    let account = json!({ "id": "acc-1", "tenant_id": "t-1", "status": "active" });
    let run = |run: &str, status: &str| json!({ "id": run, "integrated_account_id": "acc-1", "status": status });
    let truto = |id: &str, event: &str, payload: &Value| json!({ "id": id, "event": event, "payload": payload });
    say("truto", 0, truto("1", "integrated_account:active", &account));
    say("truto", 1, truto("2", "sync_job_run:created", &run("run-1", "created")));
    say("truto", 1, truto("3", "sync_job_run:completed", &run("run-1", "completed")));
    say("truto", 1, truto("4", "sync_job_run:started", &run("run-2", "running")));
    say("pave", 9, pave("repeated", "EXPIRED"));
    say("truto", 9, truto("5", "integrated_account:reactivated", &account));

    let done = forget(&db, hour(5), Doing::Remove).await;
    let left = thing::Entity::find().all(&db.readers).await.expect("entities");
    let left: BTreeSet<&str> = left.iter().map(|row| row.external_id.as_str()).collect();
    assert_eq!(left, BTreeSet::from(["acc-1", "open", "repeated", "run-2"]), "{done:?}");
    // A run that has ended goes, though its account goes on.
    assert_eq!((done.lives, done.open, done.deliveries), (2, 2, 4), "{done:?}");
    assert_eq!(complaints(&db).await, Vec::<String>::new());
}

#[tokio::test]
async fn one_at_a_time() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("a database");
    let stop = CancellationToken::new;
    let first = Forgetting::open(db.clone(), stop()).await.expect("nobody else does");
    assert!(matches!(Forgetting::open(db.clone(), stop()).await, Err(StoreError::Taken(_))));
    let scratch = database.folder.path().join("scratch");
    assert!(matches!(Rebuild::open(db.clone(), &scratch, stop()).await, Err(StoreError::Taken(_))));
    drop(first);
    when_free(async || Forgetting::open(db.clone(), stop()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_was_begun_before_begins_anew() {
    let app = App::start().await;
    for number in 0..3 {
        life(&app, number).await;
    }
    let then = Utc::now();
    life(&app, 3).await;
    let db = opened(&app).await;
    let folder = app.database.folder.path().join("scratch");
    let mut begun = Rebuild::open(db.clone(), &folder, CancellationToken::new()).await.expect("a rebuild");
    assert_eq!(begun.derive(|_| {}).await.expect("derived").all, 0);
    drop(begun);
    let done = forget(&db, then, Doing::Remove).await;
    assert_eq!(done.lives, 3);
    let opened = async || Rebuild::open(db.clone(), &folder, CancellationToken::new()).await;
    let mut rebuild = when_free(opened).await;
    assert_eq!(rebuild.progress().await.expect("how far"), (4, 0));
    assert_eq!(rebuild.derive(|_| {}).await.expect("derived").all, 0);
}

#[tokio::test]
async fn the_hub_forgets_by_itself() {
    let database = TestDatabase::new().await;
    let db = Database::open(&database.address, Mode::Migrate).await.expect("a database");
    let mut writer = Writer::open(&db).expect("a writer");
    for number in 0..8 {
        let body: Value = serde_json::from_str(&body(number)).expect("JSON");
        let at = Utc::now() - TimeDelta::hours(if number < 4 { 3 } else { 1 });
        write(&mut writer, &[incoming_at("pave", "pave", &body, at)]);
    }
    let stop = CancellationToken::new();
    let retention = Retention {
        db: db.clone(),
        keep: std::time::Duration::from_secs(2 * 3600),
        first: std::time::Duration::ZERO,
        every: std::time::Duration::from_secs(3600),
        clock: Utc::now,
    };
    let task = tokio::spawn(retention.run(stop.clone()));
    let started = Instant::now();
    while delivery::Entity::find().all(&db.readers).await.expect("deliveries").len() > 4 {
        assert!(started.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    stop.cancel();
    task.await.expect("it ends");
    assert_eq!(complaints(&db).await, Vec::<String>::new());
}

fn command(database: &TestDatabase, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    command.arg("forget").args(flags).args(["--log", "warn", "--database"]).arg(&database.address);
    command.current_dir(database.folder.path());
    command
}

/// Runs `inspection-hub forget`: its exit status and what it prints.
fn run(database: &TestDatabase, flags: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(database, flags).output().expect("it runs");
    (status.code(), String::from_utf8([stdout, stderr].concat()).expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_it_does() {
    let app = App::start().await;
    for number in 0..3 {
        life(&app, number).await;
    }
    app.post("pave", body(12)).await;
    app.post("pave", "{").await;
    let (code, text) = run(&app.database, &["--older-than", "1ms", "--dry-run"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("would be removed: 3 lives with 6 entities"), "{text}");
    assert!(text.contains("kept: 1, not at an end"), "{text}");
    assert_ne!(app.inspection("pave", "K0").await, Value::Null);
    let (code, text) = run(&app.database, &["--older-than", "1h"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("removed: 0 lives"), "{text}");
    let (code, text) = run(&app.database, &["--older-than", "1ms"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\nremoved: 3 lives"), "{text}");
    assert_eq!(app.inspection("pave", "K0").await, Value::Null);
    let (code, text) = run(&app.database, &["--older-than", "soon"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("90d"), "{text}");
    assert_eq!(verify(&app.database).0, Some(0));
    let nowhere = TestDatabase::file();
    let (code, text) = run(&nowhere, &["--older-than", "1d"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cannot open sqlite://") && !nowhere.is_file(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_acknowledged_is_lost_to_the_ledger_while_a_sender_posts() {
    const LIVES: usize = 400;
    let database = TestDatabase::new().await;
    let server = Server::start(&database).await;
    let senders: Vec<_> = (0..8)
        .map(|lane| {
            let (client, url) = (client(), format!("{}/webhooks/pave", server.url));
            tokio::spawn(async move {
                for number in (lane..LIVES).step_by(8).flat_map(|life| life * 4..life * 4 + 4) {
                    let answer = client.post(&url).body(body(number)).send().await.expect("an answer");
                    assert_eq!(answer.status(), 200);
                    assert_eq!(answer.json::<Value>().await.expect("JSON")["status"], "accepted");
                }
            })
        })
        .collect();
    let db = Database::open(&database.address, Mode::AsItIs).await.expect("the database");
    let mut lives = 0;
    while !senders.iter().all(|sender| sender.is_finished()) {
        let done = forget(&db, Utc::now() - TimeDelta::milliseconds(50), Doing::Remove).await;
        lives += done.lives;
    }
    for sender in senders {
        sender.await.expect("all was accepted");
    }
    assert!(lives > 20, "{lives} lives were forgotten meanwhile");
    assert_eq!(complaints(&db).await, Vec::<String>::new());
    let ledger = ledger::Entity::find_by_id("pave").one(&db.readers).await.expect("an answer").expect("a ledger");
    assert_eq!((ledger.received, ledger.duplicates), (LIVES as i64 * 4, 0));
    // The hub knows what is there: not what it remembers.
    let answer = client().post(format!("{}/webhooks/pave", server.url)).body(body(0)).send().await.expect("an answer");
    assert_eq!(answer.json::<Value>().await.expect("JSON")["status"], "accepted");
}

#[cfg(feature = "faults")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_is_harmless() {
    let app = App::start().await;
    for number in 0..8 {
        life(&app, number).await;
    }
    let flags = ["--older-than", "1ms"];
    let mut process = command(&app.database, &flags).env("FAULT_AT", "forgotten:1").stdout(Stdio::piped()).spawn();
    let process = process.as_mut().expect("it runs");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("a line").contains("stopped at forgotten")));
    process.kill().expect("killed");
    process.wait().expect("ended");
    let db = opened(&app).await;
    assert_eq!(complaints(&db).await, Vec::<String>::new());
    assert_eq!(delivery::Entity::find().all(&db.readers).await.expect("deliveries").len(), 32, "all is there");
    let started = Instant::now();
    loop {
        let (code, text) = run(&app.database, &flags);
        if code == Some(0) {
            assert!(text.contains("\nremoved: 7 lives"), "{text}");
            break;
        }
        // PostgreSQL has to notice that it is gone.
        assert!(started.elapsed() < PATIENCE, "{text}");
    }
    assert_eq!(complaints(&db).await, Vec::<String>::new());
    life(&app, 9).await;
    assert_eq!(complaints(&db).await, Vec::<String>::new());
}
