//! `inspection-hub purge`: its output, beside a hub that receives, and after a kill.

use super::{delivery_body, discrepancies, post_inspection, purge};
use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{TestHub, client};
use crate::verify::verify;
use chrono::{TimeDelta, Utc};
use entity::ledger;
use inspection_hub::retention::PurgeMode;
use inspection_hub::store::{Database, OpenMode};
use sea_orm::EntityTrait;
use serde_json::Value;
use std::process::{Command, Output};

fn command(database: &TestDatabase, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    command.arg("purge").args(flags).args(["--log", "warn", "--database"]).arg(&database.address);
    command.current_dir(database.folder.path());
    command
}

/// Runs `inspection-hub purge`: its exit status and what it prints.
fn run(database: &TestDatabase, flags: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(database, flags).output().expect("it runs");
    (status.code(), String::from_utf8([stdout, stderr].concat()).expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_it_does() {
    let app = TestHub::start().await;
    for number in 0..3 {
        post_inspection(&app, number).await;
    }
    app.post("pave", delivery_body(12)).await;
    app.post("pave", "{").await;
    let (code, text) = run(&app.database, &["--older-than", "1ms", "--dry-run"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("would be purged: 3 units with 6 entities"), "{text}");
    assert!(text.contains("kept: 1, not finished"), "{text}");
    assert_ne!(app.inspection("pave", "K0").await, Value::Null);
    let (code, text) = run(&app.database, &["--older-than", "1h"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("purged: 0 units"), "{text}");
    let (code, text) = run(&app.database, &["--older-than", "1ms"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\npurged: 3 units"), "{text}");
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
    let server = HubProcess::start(&database).await;
    let senders: Vec<_> = (0..8)
        .map(|lane| {
            let (client, url) = (client(), format!("{}/webhooks/pave", server.url));
            tokio::spawn(async move {
                for number in (lane..LIVES).step_by(8).flat_map(|life| life * 4..life * 4 + 4) {
                    let answer = client.post(&url).body(delivery_body(number)).send().await.expect("an answer");
                    assert_eq!(answer.status(), 200);
                    assert_eq!(answer.json::<Value>().await.expect("JSON")["status"], "accepted");
                }
            })
        })
        .collect();
    let db = Database::open(&database.address, OpenMode::SkipMigrations).await.expect("the database");
    let mut units = 0;
    while !senders.iter().all(|sender| sender.is_finished()) {
        let done = purge(&db, Utc::now() - TimeDelta::milliseconds(50), PurgeMode::Delete).await;
        units += done.units;
    }
    for sender in senders {
        sender.await.expect("all was accepted");
    }
    assert!(units > 20, "{units} units were purged while the hub received");
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
    let ledger = ledger::Entity::find_by_id("pave").one(&db.read_pool).await.expect("an answer").expect("a ledger");
    assert_eq!((ledger.received, ledger.duplicates), (LIVES as i64 * 4, 0));
    // The hub reads the database, not its cache.
    let answer =
        client().post(format!("{}/webhooks/pave", server.url)).body(delivery_body(0)).send().await.expect("an answer");
    assert_eq!(answer.json::<Value>().await.expect("JSON")["status"], "accepted");
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_is_harmless() {
    use super::open_database;
    use crate::test_hub::TIMEOUT;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    use std::time::Instant;

    let app = TestHub::start().await;
    for number in 0..8 {
        post_inspection(&app, number).await;
    }
    let flags = ["--older-than", "1ms"];
    let mut process = command(&app.database, &flags).env("FAILPOINT", "purged:1").stdout(Stdio::piped()).spawn();
    let process = process.as_mut().expect("it runs");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("a line").contains("stopped at purged")));
    process.kill().expect("killed");
    process.wait().expect("ended");
    let db = open_database(&app).await;
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
    assert_eq!(
        entity::delivery::Entity::find().all(&db.read_pool).await.expect("deliveries").len(),
        32,
        "nothing is missing"
    );
    let started = Instant::now();
    loop {
        let (code, text) = run(&app.database, &flags);
        if code == Some(0) {
            assert!(text.contains("\npurged: 7 units"), "{text}");
            break;
        }
        // PostgreSQL has to notice that the process is gone.
        assert!(started.elapsed() < TIMEOUT, "{text}");
    }
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
    post_inspection(&app, 9).await;
    assert_eq!(discrepancies(&db).await, Vec::<String>::new());
}
