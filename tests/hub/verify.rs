//! The raw log derives what is stored: row by row, while the hub runs, after disorder, and after a kill.

use crate::database::TestDatabase;
use crate::test_hub::{TestHub, samples};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use std::process::{Command, Output};

/// Runs `inspection-hub verify` on the database in a folder: its exit status and what it prints.
pub fn verify(database: &TestDatabase) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_inspection-hub"))
        .args(["verify", "--max-differences", "5", "--log", "warn", "--database"])
        .arg(&database.address)
        // A folder that does not exist is created.
        .args(["--work-dir", "some/folder"])
        .current_dir(database.folder.path())
        .output()
        .expect("it runs");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).expect("text"))
}

/// A hub that has received every sample, the later ones of each vendor first, some twice, and garbage between.
pub async fn used() -> TestHub {
    let app = TestHub::start().await;
    for vendor in inspection_hub::vendor::names() {
        for (number, sample) in samples(vendor).iter().rev().enumerate() {
            app.post_sample(sample).await;
            if number % 3 == 0 {
                app.post_sample(sample).await;
            }
        }
        app.post(vendor, format!("{{\"{vendor}\": ")).await;
        app.post_json(vendor, json!([vendor])).await;
    }
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_what_the_deliveries_yield() {
    let app = used().await;
    let (code, text) = verify(&app.database);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("rows are what the raw log yields"), "{text}");
    // The same is true after a restart.
    let app = app.restart().await;
    assert_eq!(verify(&app.database).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_difference_is_named() {
    let app = used().await;
    let db = sea_orm::Database::connect(&app.database.address).await.expect("the database");
    let pave = "SELECT external_id FROM entity WHERE kind = 1 AND source = 'pave' LIMIT 1";
    let pave = db.query_one_raw(Statement::from_string(db.get_database_backend(), pave)).await.expect("an answer");
    let external_id: String = pave.expect("a row").try_get("", "external_id").expect("a text");
    let edits = [
        format!("UPDATE entity SET state = 'NOWHERE' WHERE kind = 1 AND external_id = '{external_id}'"),
        "DELETE FROM change_row WHERE position = (SELECT max(position) FROM change_row)".to_owned(),
        "UPDATE ledger SET applied = applied + 1 WHERE source = 'hover'".to_owned(),
    ];
    for edit in edits {
        assert_eq!(db.execute_unprepared(&edit).await.expect("an edit").rows_affected(), 1, "{edit}");
    }
    let (code, text) = verify(&app.database);
    assert_eq!(code, Some(2), "{text}");
    let state = format!("entity, pave INSPECTION {external_id}: state is NOWHERE, derived ");
    assert!(text.contains(&state), "{text}");
    assert!(text.contains("is derived, but not stored"), "{text}");
    assert!(text.contains("ledger, hover: applied is "), "{text}");
    assert!(text.contains("3 differences in "), "{text}");
}

#[test]
fn a_missing_database_is_an_error_and_not_created() {
    let database = TestDatabase::file();
    let (code, text) = verify(&database);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cannot read sqlite://"), "{text}");
    assert!(!database.is_file());
}
