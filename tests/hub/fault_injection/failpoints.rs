//! kill -9 at every step of the writer. And that the test would notice if something were lost.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::vendor_client::VendorClient;
use rand::Rng;

/// Every place at which the writer can be stopped (`src/failpoints.rs`). With PostgreSQL one statement writes all tables.
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
        let fault = format!("{place}:{times}");
        let mut server = HubProcess::with(&database, &[("FAILPOINT", fault.clone())]).await;
        let sending = tokio::spawn({
            let (sender, urls) = (sender.clone(), [server.url.clone()]);
            async move { sender.send_unacknowledged(&urls).await }
        });
        server.wait_for_stdout(format!("stopped at {place}")).await;
        server.kill();
        sending.await.expect("sent");
        let server = HubProcess::start(&database).await;
        assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new(), "killed at {fault}");
    }
    let server = HubProcess::start(&database).await;
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done());
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new());
}

// As if the disk had been told to sync and had not: the end of the log is gone when the machine comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_sync_would_be_noticed() {
    let database = TestDatabase::file();
    let sender = VendorClient::new(400);
    let server = HubProcess::start(&database).await;
    // A reader of what is there now, so that nothing later leaves the log for the main file, which is synced as well.
    let reader = rusqlite::Connection::open(database.folder.path().join("hub.db")).expect("a reader");
    reader.execute_batch("BEGIN; SELECT * FROM log_head").expect("begun");
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done());
    server.kill();
    // Closed with no way back, it leaves the log as it is.
    reader.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("left as it is");
    drop(reader);
    let log = std::fs::OpenOptions::new().write(true).open(database.folder.path().join("hub.db-wal")).expect("the log");
    let length = log.metadata().expect("its length").len();
    log.set_len(length * 2 / 3).expect("cut");
    let server = HubProcess::start(&database).await;
    let complaints = sender.discrepancies(&server.url).await;
    assert!(complaints.iter().any(|complaint| complaint.ends_with("and is not there")), "{complaints:?}");
}
