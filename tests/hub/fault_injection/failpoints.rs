//! kill -9 at every step of the writer, and a check that the test notices a loss.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::vendor_client::VendorClient;
use rand::Rng;

/// Every fail point of the writer (`src/failpoints.rs`). With PostgreSQL one statement writes all tables.
const SQLITE: &[&str] = &[
    "begun",
    "prefetched",
    "decided",
    "entities",
    "deliveries",
    "changes",
    "ledger",
    "duplicates",
    "written",
    "committed",
    "unacknowledged",
];
const POSTGRES: &[&str] = &["begun", "prefetched", "decided", "written", "committed", "unacknowledged"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_costs_nothing() {
    let database = TestDatabase::new().await;
    let places = if database.address.starts_with("sqlite") { SQLITE } else { POSTGRES };
    let sender = VendorClient::new(places.len() * 60);
    for place in places {
        let times = rand::rng().random_range(1..=5);
        let point = format!("{place}:{times}");
        let mut server = HubProcess::with(&database, &[("FAILPOINT", point.clone())]).await;
        let sending = sender.start_sending(&[server.url.clone()]);
        server.wait_for_stdout(format!("stopped at {place}")).await;
        server.kill();
        sending.await.expect("sent");
        let server = HubProcess::start(&database).await;
        assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new(), "killed at {point}");
    }
    let server = HubProcess::start(&database).await;
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done());
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new());
}

// As if the disk had ignored a sync: the end of the WAL is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_sync_would_be_noticed() {
    let database = TestDatabase::file();
    let sender = VendorClient::new(400);
    let server = HubProcess::start(&database).await;
    // An open read transaction keeps later pages out of the main file, which is synced as well.
    let reader = rusqlite::Connection::open(database.folder.path().join("hub.db")).expect("a reader");
    reader.execute_batch("BEGIN; SELECT * FROM log_head").expect("begun");
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done());
    server.kill();
    // Closing it must not checkpoint the WAL.
    reader.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("left as it is");
    drop(reader);
    let log = std::fs::OpenOptions::new().write(true).open(database.folder.path().join("hub.db-wal")).expect("the log");
    let length = log.metadata().expect("its length").len();
    log.set_len(length * 2 / 3).expect("cut");
    let server = HubProcess::start(&database).await;
    let discrepancies = sender.discrepancies(&server.url).await;
    assert!(discrepancies.iter().any(|it| it.ends_with("and is not there")), "{discrepancies:?}");
}
