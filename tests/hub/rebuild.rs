//! `inspection-hub rebuild` replaces what is stored by what the raw log yields: while the hub runs, and after a kill at any
//! moment.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::payloads::{replace_payload, stored_payload};
use crate::test_hub::{Subscription, TestHub, client, wait_until};
use crate::vendor_client::{assert_ledger_sums, delivery_body};
use crate::verify::{used, verify};
use inspection_hub::store::StoredPayload;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

fn command(database: &TestDatabase) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    command
        .args(["rebuild", "--max-differences", "5", "--log", "warn", "--work-dir"])
        .arg(database.folder.path().join("scratch"));
    command.arg("--database").arg(&database.address).current_dir(database.folder.path());
    command
}

/// Runs `inspection-hub rebuild`: its exit status and what it prints.
pub fn rebuild(database: &TestDatabase, flags: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(database).args(flags).output().expect("it runs");
    (status.code(), String::from_utf8([stdout, stderr].concat()).expect("text"))
}

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    sea_orm::Database::connect(&database.address).await.expect("the database")
}

async fn edit(db: &DatabaseConnection, text: &str) {
    assert!(db.execute_unprepared(text).await.expect("an edit").rows_affected() > 0, "{text}");
}

/// Changes a word in the body of a delivery, as if its adapter parsed it differently now.
pub async fn reword(db: &DatabaseConnection, number: i64, from: &str, to: &str) {
    let (headers, body) = stored_payload(db, number).await;
    let body = String::from_utf8(body).expect("text").replace(from, to);
    replace_payload(db, number, StoredPayload::encode("pave", &headers, body.as_bytes())).await;
}

/// The definitions of tables and indexes, with the options of their storage.
async fn schema(db: &DatabaseConnection) -> Vec<String> {
    let text = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT indexdef AS made FROM pg_indexes WHERE schemaname = 'public' UNION ALL \
             SELECT relname || reloptions::text FROM pg_class WHERE reloptions IS NOT NULL ORDER BY 1"
        }
        _ => "SELECT type || name || tbl_name || sql AS made FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name",
    };
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await.expect("rows");
    // `ALTER TABLE` removes two blanks.
    rows.iter().map(|row| row.try_get::<String>("", "made").expect("text").replace("  ", " ")).collect()
}

const DAMAGE: [&str; 13] = [
    "DELETE FROM update_order WHERE position % 2 = 0",
    "UPDATE entity SET state = 'NOWHERE', position = 1 WHERE row_id % 3 = 0",
    "DELETE FROM change_row WHERE position % 4 = 0",
    "DELETE FROM change_type WHERE id % 3 = 0",
    "UPDATE change_type SET to_state = 'NOWHERE', verdict = 4 WHERE id % 3 <> 0",
    "DELETE FROM step",
    "UPDATE ledger SET applied = applied + 1",
    "UPDATE delivery SET verdict = 4, first_position = 7 WHERE row_id % 2 = 0",
    "DELETE FROM entity WHERE row_id % 5 = 0",
    // Exchanges the row ids of two entities.
    "UPDATE entity SET row_id = -row_id WHERE row_id IN (1, 2)",
    "UPDATE entity SET row_id = row_id + 3 WHERE row_id < 0",
    "UPDATE log_head SET position = 1000000000000, last_entity_row_id = 2000000000000",
    "UPDATE log_head SET last_delivery_row_id = 3000000000000",
];

/// The history without its cursors, which contain the generation.
async fn without_cursors(app: &TestHub) -> Vec<Value> {
    // The hub learns of a rebuild by this query at the latest.
    app.query("{ head { position } }").await;
    let mut changes = app.changes().await;
    changes.iter_mut().for_each(|change| _ = change.as_object_mut().expect("a change").remove("cursor"));
    changes
}

/// Reads changes that were sent before, until the subscriber is disconnected because its cursor is invalid.
async fn receives_cursor_invalidated(live: &mut Subscription) {
    loop {
        let message = live.next_message().await;
        if message["type"] != "next" || message["payload"].get("errors").is_some() {
            assert!(message.to_string().contains("CURSOR_INVALIDATED"), "{message:#}");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_repaired_while_the_hub_runs() {
    let app = used().await;
    let (code, text) = rebuild(&app.database, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nothing was changed"), "{text}");
    let (state, ledger) = (without_cursors(&app).await, app.ledger("hover").await);
    let db = connect(&app.database).await;
    let made = schema(&db).await;
    for (flags, replaced) in [(&[][..], " rows replaced"), (&["--full"], "; all rows replaced")] {
        for damage in DAMAGE {
            edit(&db, damage).await;
        }
        assert_eq!(verify(&app.database).0, Some(2));
        let (code, text) = rebuild(&app.database, flags);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("a new generation: cursors are invalid"), "{text}");
        assert!(text.contains(replaced) && text.contains("; all rows ") != flags.is_empty(), "{text}");
        // As in `12 of 40 rows replaced`.
        let mut progress = text.lines().filter_map(|line| {
            let (done, rest) = line.split_once(" of ")?;
            Some((done.parse::<u64>().ok()?, rest.split(' ').next()?.parse::<u64>().ok()?))
        });
        assert!(progress.all(|(done, all)| done <= all), "{text}");
        let (code, text) = verify(&app.database);
        assert_eq!(code, Some(0), "{text}");
        let now = (without_cursors(&app).await, app.ledger("hover").await);
        assert_eq!(now, (state.clone(), ledger.clone()), "everything is as before");
        assert_eq!(schema(&db).await, made);
        assert!(!app.database.folder.path().join("scratch").exists(), "nothing is left behind");
    }
    // The hub continues with the new tables.
    app.post("pave", delivery_body(3)).await;
    assert_eq!(app.inspection("pave", "K0").await["state"], "CONFIRM");
    for _ in 0..2 {
        let (code, text) = rebuild(&app.database, &["--full"]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("rebuilt: ") && !text.contains("new generation"), "{text}");
        assert_eq!(app.post("pave", delivery_body(3)).await.body["status"], "duplicate");
    }
    assert_eq!(schema(&db).await, made);
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_parsed_differently_is_reported_and_repaired() {
    let app = TestHub::start().await;
    for number in 0..12 {
        app.post("pave", delivery_body(number)).await;
    }
    let start = app.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let query = "subscription($after: String) { changes(after: $after) { position } }";
    let mut live = app.subscribe(query, json!({ "after": start })).await;
    app.post("pave", delivery_body(12)).await;
    live.next_data().await;
    let db = connect(&app.database).await;
    reword(&db, 8, "CONFIRM", "EXPIRED").await;
    let (code, text) = verify(&app.database);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("delivery 8, pave SESSION:STATUS_CHANGE: verdict is APPLIED, derived UNEXPECTED"), "{text}");
    assert!(text.contains("  change, pave SESSION:STATUS_CHANGE: "), "{text}");
    assert!(text.contains("  entity, pave SESSION:STATUS_CHANGE: "), "{text}");
    let (code, text) = rebuild(&app.database, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("  change, pave SESSION:STATUS_CHANGE: "), "{text}");
    assert_eq!(app.inspection("pave", "K1").await["state"], "EXPIRED");
    // The subscriber is disconnected, and can subscribe again.
    receives_cursor_invalidated(&mut live).await;
    let start = app.query("{ head { cursor } }").await["head"]["cursor"].clone();
    let mut live = app.subscribe(query, json!({ "after": start })).await;
    app.post("pave", delivery_body(13)).await;
    live.next_data().await;
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_state_invalidates_cursors_and_counts() {
    let app = TestHub::start().await;
    for number in 0..12 {
        app.post("pave", delivery_body(number)).await;
    }
    let counted = async || {
        let answer = app.query("{ statusCounts { status count } inspections(first: 50) { nodes { status } } }").await;
        let nodes = answer["inspections"]["nodes"].as_array().expect("inspections").clone();
        for count in answer["statusCounts"].as_array().expect("counts") {
            let there = nodes.iter().filter(|node| node["status"] == count["status"]).count();
            assert_eq!(count["count"], there, "{answer:#}");
        }
        answer
    };
    let db = connect(&app.database).await;
    edit(&db, "UPDATE entity SET status = 12").await;
    edit(&db, "UPDATE update_order SET list = list / 32 * 32 + 12 WHERE list % 32 <> 0").await;
    let wrong = counted().await;
    let mut live = app.subscribe("subscription { changes { position } }", json!({})).await;
    app.post("pave", delivery_body(12)).await;
    live.next_data().await;
    let (code, text) = rebuild(&app.database, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(" rows replaced") && text.contains("must read the state again"), "{text}");
    receives_cursor_invalidated(&mut live).await;
    assert_ne!(counted().await["statusCounts"], wrong["statusCounts"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_beyond_the_history_is_invalidated() {
    let app = TestHub::start().await;
    for number in 0..8 {
        app.post("pave", delivery_body(number)).await;
    }
    let end = app.query("{ head { position cursor } }").await["head"].clone();
    edit(&connect(&app.database).await, "UPDATE log_head SET position = position + 1000").await;
    let beyond = app.query("{ head { position cursor } }").await["head"].clone();
    assert_ne!(beyond["position"], end["position"]);
    let (code, text) = rebuild(&app.database, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("; 0 rows replaced") && text.contains("must read the state again"), "{text}");
    let query = "subscription($after: String) { changes(after: $after) { position } }";
    receives_cursor_invalidated(&mut app.subscribe(query, json!({ "after": beyond["cursor"] })).await).await;
    let now = app.query("{ head { position cursor } }").await["head"].clone();
    assert_eq!(now["position"], end["position"]);
    let mut live = app.subscribe(query, json!({ "after": now["cursor"] })).await;
    app.post("pave", delivery_body(8)).await;
    let next = now["position"].as_i64().expect("a position") + 1;
    assert_eq!(live.next_data().await["changes"]["position"], next);
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_a_duplicate_now_stays_a_delivery() {
    let app = TestHub::start().await;
    for number in 0..8 {
        app.post("pave", delivery_body(number)).await;
        app.post("pave", delivery_body(number)).await;
    }
    let before = app.ledger("pave").await;
    let db = connect(&app.database).await;
    // The third delivery becomes equal to the second.
    reword(&db, 3, "QC_PASSED", "PROCESS").await;
    reword(&db, 3, ":02Z", ":01Z").await;
    let (code, text) = rebuild(&app.database, &[]);
    assert_eq!(code, Some(0), "{text}");
    let answer = app.query("{ deliveries(first: 10) { nodes { verdict reason duplicates } } }").await;
    let third = &answer["deliveries"]["nodes"][2];
    assert_eq!(third["verdict"], "NO_CHANGE", "{answer:#}");
    assert_eq!(third["reason"], "duplicate of delivery 2");
    assert_eq!(answer["deliveries"]["nodes"].as_array().map(Vec::len), Some(8));
    let after = app.ledger("pave").await;
    assert_eq!((&after["received"], &after["duplicates"]), (&before["received"], &before["duplicates"]));
    assert_ledger_sums(&after);
    let (code, text) = verify(&app.database);
    assert_eq!(code, Some(0), "{text}");
    let positions: Vec<Value> = app.changes().await.iter().map(|change| change["position"].clone()).collect();
    assert_eq!(positions, (1..=positions.len()).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_a_sender_posts() {
    let database = TestDatabase::new().await;
    let server = HubProcess::start(&database).await;
    let db = connect(&database).await;
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..4_usize)
        .map(|lane| {
            let (stop, counter, url, client) = (stop.clone(), count.clone(), server.url.clone(), client());
            tokio::spawn(async move {
                let mut acknowledged = BTreeMap::new();
                for number in (lane..).step_by(4) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let sent = client.post(format!("{url}/webhooks/pave")).body(delivery_body(number)).send().await;
                    let response = sent.expect("an answer");
                    assert_eq!(response.status(), 200);
                    let answer: Value = response.json().await.expect("JSON");
                    assert_eq!(answer["status"], "accepted");
                    acknowledged.insert(answer["delivery"].as_str().expect("an id").to_owned(), number);
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                acknowledged
            })
        })
        .collect();
    let some_more = async || {
        let enough = count.load(Ordering::Relaxed) + 40;
        wait_until("more deliveries arrive", async || count.load(Ordering::Relaxed) >= enough).await;
    };
    let rebuild_now = async |flags: &'static [&'static str]| {
        some_more().await;
        let output = command(&database).args(flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let output = output.expect("it runs");
        let ended = tokio::task::spawn_blocking(|| output.wait_with_output().expect("it ends")).await.expect("ended");
        let text = String::from_utf8([ended.stdout, ended.stderr].concat()).expect("text");
        assert_eq!(ended.status.code(), Some(0), "{text}");
        assert!(text.contains("rebuilt: "), "{text}");
    };
    rebuild_now(&["--full"]).await;
    edit(&db, "DELETE FROM change_row WHERE position % 4 = 0").await;
    rebuild_now(&["--full"]).await;
    // Few rows, of entities that keep changing.
    for damage in [
        "UPDATE entity SET state = 'NOWHERE', cycle = 7 WHERE row_id = (SELECT max(row_id) FROM entity)",
        "UPDATE entity SET state = 'NOWHERE', external_id = 'x' WHERE row_id < 10",
        "UPDATE delivery SET verdict = 4 WHERE row_id < 10",
        "DELETE FROM change_row WHERE position < 10",
    ] {
        edit(&db, damage).await;
    }
    rebuild_now(&[]).await;
    some_more().await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeMap::new();
    let mut count = 0;
    for sender in senders {
        let theirs = sender.await.expect("a sender");
        count += theirs.len();
        acknowledged.extend(theirs);
    }
    assert_eq!(acknowledged.len(), count, "each was stored once");
    let (code, text) = verify(&database);
    assert_eq!(code, Some(0), "{text}");
    let of = async |text: &str| -> i64 {
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await.expect("an answer");
        row.expect("a row").try_get("", "n").expect("a number")
    };
    assert_eq!(of("SELECT count(*) AS n FROM delivery").await, count as i64);
    assert_eq!(of("SELECT count(*) AS n FROM change").await, of("SELECT max(position) AS n FROM change").await);
    assert_eq!(of("SELECT received AS n FROM ledger").await, count as i64);
    assert_eq!(of("SELECT applied + skipped_ahead + stale + no_change AS n FROM ledger").await, count as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_killed_at_any_moment() {
    let app = TestHub::start().await;
    for number in 0..1_600 {
        app.post("pave", delivery_body(number)).await;
    }
    let db = connect(&app.database).await;
    let started = Instant::now();
    assert_eq!(rebuild(&app.database, &["--full"]).0, Some(0));
    let mut usual = started.elapsed();
    let damage = async || {
        // Deliveries are the raw log, which has no gaps.
        let left_alone = ["DELETE FROM step", "UPDATE log_head SET last_delivery_row_id"];
        for damage in DAMAGE.iter().filter(|damage| !left_alone.iter().any(|left| damage.starts_with(left))) {
            edit(&db, damage).await;
        }
    };
    damage().await;
    let mut kills = 0;
    for part in 1..8 {
        let mut command = command(&app.database);
        command.args((part % 2 == 0).then_some("--full"));
        let mut process: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        tokio::time::sleep(usual * part / 8).await;
        match process.try_wait().expect("a status") {
            None => kills += 1,
            // It was quicker this time: the next ones are killed sooner, so that some are killed on any machine.
            Some(_) => {
                usual /= 2;
                damage().await;
            }
        }
        process.kill().expect("killed");
        process.wait().expect("ended");
        // The hub receives, whatever the rebuild was doing.
        app.post("pave", delivery_body(2_000 + part as usize)).await;
    }
    assert!(kills > 1, "it was killed {kills} times");
    let (code, text) = rebuild(&app.database, &[]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = verify(&app.database);
    assert_eq!(code, Some(0), "{text}");
    assert_ledger_sums(&app.ledger("pave").await);
}
