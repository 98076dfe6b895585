//! The raw log derives what is stored: row by row, while the hub runs, after disorder, and after a kill.

use crate::driver::{App, samples};
use rusqlite::Connection;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `inspection-hub verify` on the database in a folder: its exit status and what it prints.
pub fn verify(folder: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_inspection-hub"))
        .args(["verify", "--show", "5", "--log", "warn", "--database"])
        .arg(format!("sqlite://{}/hub.db", folder.display()))
        .current_dir(folder)
        .output()
        .expect("it runs");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).expect("text"))
}

/// A hub that has received every sample, the later ones of each vendor first, some twice, and garbage between.
async fn used() -> App {
    let app = App::start().await;
    for vendor in ["truepic", "pave", "hover", "truto", "record360"] {
        for (number, sample) in samples(vendor).iter().rev().enumerate() {
            app.receive(sample).await;
            if number % 3 == 0 {
                app.receive(sample).await;
            }
        }
        app.post(vendor, format!("{{\"{vendor}\": ")).await;
        app.post_json(vendor, json!([vendor])).await;
    }
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_what_the_deliveries_say() {
    let app = used().await;
    let (code, text) = verify(app.folder.path());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("rows are what the deliveries say"), "{text}");
    // So it is in the database of a hub that has ended.
    let app = app.restart().await;
    assert_eq!(verify(app.folder.path()).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_difference_is_named() {
    let app = used().await;
    let db = Connection::open(app.folder.path().join("hub.db")).expect("the database");
    let one = |text: &str| db.query_row(text, [], |row| row.get::<_, String>(0)).expect("a row");
    let external_id = one("SELECT external_id FROM entity WHERE kind = 'INSPECTION' AND source = 'pave' LIMIT 1");
    let edits = [
        format!("UPDATE entity SET state = 'NOWHERE' WHERE kind = 'INSPECTION' AND external_id = '{external_id}'"),
        "DELETE FROM change WHERE position = (SELECT max(position) FROM change)".to_owned(),
        "UPDATE ledger SET applied = applied + 1 WHERE source = 'hover'".to_owned(),
    ];
    for edit in edits {
        assert_eq!(db.execute(&edit, []).expect("an edit"), 1, "{edit}");
    }
    let (code, text) = verify(app.folder.path());
    assert_eq!(code, Some(2), "{text}");
    let state = format!("entity, pave INSPECTION {external_id}: state is NOWHERE, and would be ");
    assert!(text.contains(&state), "{text}");
    assert!(text.contains("is not stored, and would be there"), "{text}");
    assert!(text.contains("ledger, hover: applied is "), "{text}");
    assert!(text.contains("3 differences in "), "{text}");
}

#[test]
fn a_database_that_is_not_there_is_an_error_and_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = verify(folder.path());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cannot read sqlite://"), "{text}");
    assert!(!folder.path().join("hub.db").exists());
}
