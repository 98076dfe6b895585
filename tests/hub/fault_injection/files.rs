//! The files of a SQLite database: removed, replaced, unmounted, on a full disk, owned by another user, and copied.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::{client, send_request, wait_until};
use crate::vendor_client::{VendorClient, run_query};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

async fn post(server: &HubProcess, session: &str) -> u16 {
    let body = json!({ "event": "SESSION:STATUS_CHANGE", "session_key": session, "status": "STARTED" });
    send_request(client().post(format!("{}/webhooks/pave", server.url)).json(&body)).await.status
}

async fn ready(server: &HubProcess) -> (u16, String) {
    let answer = send_request(client().get(format!("{}/readyz", server.url))).await;
    let word = if answer.status == 200 { "status" } else { "detail" };
    (answer.status, answer.body[word].as_str().unwrap_or_default().to_owned())
}

async fn until_ready(server: &HubProcess) {
    wait_until("the hub is ready again", async || ready(server).await.0 == 200).await;
}

fn copy(from: &Path, to: &Path) {
    let source = rusqlite::Connection::open(from).expect("a database");
    source.execute("VACUUM INTO ?", [to.to_str().expect("text")]).expect("copied");
}

fn remove(folder: &Path) {
    for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
        std::fs::remove_file(folder.join(name)).expect("removed");
    }
}

type FileOperation = fn(&Path);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_once_the_file_is_another() {
    let operations: [(&str, FileOperation); 5] = [
        ("removed", remove),
        ("removed alone", |folder| std::fs::remove_file(folder.join("hub.db")).expect("removed")),
        ("moved, and a copy in its place", |folder| {
            std::fs::rename(folder.join("hub.db"), folder.join("old.db")).expect("moved");
            std::fs::copy(folder.join("backup.db"), folder.join("hub.db")).expect("copied");
        }),
        ("removed, and a copy in its place", |folder| {
            remove(folder);
            std::fs::copy(folder.join("backup.db"), folder.join("hub.db")).expect("copied");
        }),
        ("without its log", |folder| std::fs::remove_file(folder.join("hub.db-wal")).expect("removed")),
    ];
    for (what, operation) in operations {
        let database = TestDatabase::file();
        let folder = database.folder.path().to_owned();
        let server = HubProcess::start(&database).await;
        assert_eq!(post(&server, "A1").await, 200);
        copy(&folder.join("hub.db"), &folder.join("backup.db"));
        operation(&folder);
        assert_eq!(post(&server, "A2").await, 503, "{what}");
        let (code, why) = ready(&server).await;
        assert_eq!((code, why.as_str()), (503, "the database file was removed or replaced"), "{what}");
        server.wait_for_log("is no longer the one that is open").await;
        // Another connection to the new file changes nothing.
        drop(rusqlite::Connection::open(folder.join("hub.db")));
        assert_eq!(post(&server, "A3").await, 503, "{what}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_comes_back_is_written_again_and_its_absence_is_logged_without_a_request() {
    let database = TestDatabase::file();
    let (path, away) = (database.folder.path().join("hub.db"), database.folder.path().join("away.db"));
    let server = HubProcess::start(&database).await;
    assert_eq!(post(&server, "A1").await, 200);
    std::fs::rename(&path, &away).expect("moved");
    server.wait_for_log("is no longer the one that is open").await;
    std::fs::rename(&away, &path).expect("moved back");
    until_ready(&server).await;
    assert_eq!(post(&server, "A2").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_file_was_replaced_leaves_the_log_of_the_other_alone() {
    let database = TestDatabase::file();
    let folder = database.folder.path();
    let server = HubProcess::start(&database).await;
    assert_eq!(post(&server, "A1").await, 200);
    copy(&folder.join("hub.db"), &folder.join("backup.db"));
    remove(folder);
    std::fs::copy(folder.join("backup.db"), folder.join("hub.db")).expect("copied");
    let other = rusqlite::Connection::open(folder.join("hub.db")).expect("the other");
    other.pragma_update(None, "journal_mode", "WAL").expect("a log");
    other.pragma_update(None, "wal_autocheckpoint", 0).expect("none");
    other.execute_batch("CREATE TABLE beside (content TEXT); INSERT INTO beside VALUES ('kept')").expect("written");
    server.stop().await;
    assert!(folder.join("hub.db-wal").exists(), "the log was removed");
    let again = rusqlite::Connection::open(folder.join("hub.db")).expect("the other");
    let content: String = again.query_row("SELECT content FROM beside", [], |row| row.get(0)).expect("a row");
    assert_eq!(content, "kept");
}

/// A hub whose database is on a file system that only it can see.
async fn on_a_volume(folder: &Path, size: &str) -> HubProcess {
    let port = HubProcess::free_port();
    let mut command = Command::new("unshare");
    let script = format!("mkdir -p v && mount -t tmpfs -o size={size} tmpfs v && exec \"$@\"");
    command.args(["--mount", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_inspection-hub")]);
    HubProcess::arguments(&mut command, port, "v/hub.db");
    command.current_dir(folder);
    HubProcess::ready(port, command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_is_unmounted_is_noticed() {
    if !super::is_root() {
        return crate::skip::skip("needs root: it mounts a file system");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = on_a_volume(folder.path(), "64M").await;
    assert_eq!(post(&server, "A1").await, 200);
    let volume = folder.path().join("v");
    let unmounted = Command::new("nsenter")
        .args(["--mount", "--target", &server.pid().to_string(), "umount", "-l"])
        .arg(&volume)
        .status();
    assert!(unmounted.expect("nsenter (util-linux)").success());
    assert_eq!(post(&server, "A2").await, 503);
    assert_eq!(ready(&server).await.0, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_not_ready_until_there_is_room() {
    if !super::is_root() {
        return crate::skip::skip("needs root: it mounts a file system");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = on_a_volume(folder.path(), "6M").await;
    assert_eq!(post(&server, "A1").await, 200);
    // The path as the hub sees it.
    let filling = format!("/proc/{}/root{}/v/filling", server.pid(), folder.path().display());
    let filled = Command::new("dd").args(["if=/dev/zero", &format!("of={filling}"), "bs=4096"]).output();
    assert!(!filled.expect("dd").status.success(), "the disk is full");
    // Free space within the WAL may still be used.
    let mut posted = 0;
    while post(&server, &format!("B{posted}")).await == 200 {
        posted += 1;
        assert!(posted < 1_000, "the disk is not full");
    }
    // The check is repeated in the background: it must not report ready now and then. However few checks run within this
    // time, each must fail.
    for _ in 0..50 {
        assert_eq!(ready(&server).await.0, 503);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let reads = send_request(client().get(format!("{}/readyz?check=read", server.url))).await;
    assert_eq!(reads.status, 200, "{reads:?}");
    assert_eq!(send_request(client().get(format!("{}/readyz?check=write", server.url))).await.status, 503);
    assert_eq!(send_request(client().get(format!("{}/readyz?check=all", server.url))).await.status, 400);
    std::fs::remove_file(&filling).expect("removed");
    until_ready(&server).await;
    assert_eq!(post(&server, "C").await, 200);
}

#[test]
fn a_file_of_somebody_else_is_refused_at_the_start() {
    if !super::is_root() {
        return crate::skip::skip("needs root: it starts a program as another user");
    }
    use std::os::unix::fs::PermissionsExt;
    let database = TestDatabase::file();
    let binary = env!("CARGO_BIN_EXE_inspection-hub");
    let migrate = ["migrate", "--config", "/dev/null", "--database", database.address.as_str()];
    assert!(Command::new(binary).args(migrate).output().expect("it runs").status.success());
    let file = database.folder.path().join("hub.db");
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    };
    allow(database.folder.path(), 0o777);
    allow(&file, 0o444);
    // A copy, because the other user cannot run a program below a folder that is closed to it.
    let own = database.folder.path().join("inspection-hub");
    std::fs::copy(binary, &own).expect("copied");
    allow(&own, 0o755);
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&own)
        .args(["serve", "--listen", "127.0.0.1:0", "--config", "/dev/null", "--database", &database.address])
        .output()
        .expect("setpriv (util-linux), as root");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("it cannot be written: see who owns the file"), "{text}");
}

// As `docs/operations.md` describes it, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_ends_under_load_and_has_all_that_was_acknowledged() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).expect("the page");
    assert!(docs.contains("sqlite3 data/hub.db \"VACUUM INTO 'backup.db'\""), "the documented command");
    let database = TestDatabase::file();
    let server = HubProcess::start(&database).await;
    let first = VendorClient::new(400);
    first.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    assert!(first.is_done());
    let sender = VendorClient::new(1_200);
    let sending = sender.start_sending(std::slice::from_ref(&server.url));
    sender.wait_for_more_acknowledged(500).await;
    let before = sender.acknowledged();
    let (from, to) = (database.folder.path().join("hub.db"), database.folder.path().join("backup.db"));
    copy(&from, &to);
    let backup = rusqlite::Connection::open(&to).expect("the backup");
    let whole: String = backup.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(whole, "ok");
    let stored: i64 = backup.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0)).expect("counted");
    assert!(stored >= before as i64, "{stored} of {before}");
    drop(backup);
    sending.await.expect("sent");
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new());
    server.stop().await;
    assert!(!from.with_extension("db-wal").exists(), "a log that is left would be read with the backup");
    let size = |path: &Path| std::fs::metadata(path).expect("a file").len();
    assert!(size(&to) <= size(&from) * 2, "{} beside {}", size(&to), size(&from));
    // Restored, it serves. An older cursor is refused.
    let cursor = "{ head { cursor } }";
    let server = HubProcess::start(&database).await;
    let old = run_query(&server.url, cursor, json!({})).await["head"]["cursor"].clone();
    server.stop().await;
    std::fs::rename(&to, &from).expect("restored");
    let restored = Command::new(env!("CARGO_BIN_EXE_inspection-hub"))
        .args(["migrate", "--restored", "--config", "/dev/null", "--database", &database.address])
        .output();
    assert!(restored.expect("it runs").status.success());
    let server = HubProcess::start(&database).await;
    sender.send_unacknowledged(std::slice::from_ref(&server.url)).await;
    let query = "query($after: String) { changes(first: 1, after: $after) { nodes { position } } }";
    let request = json!({ "query": query, "variables": { "after": old } });
    let refused = send_request(client().post(format!("{}/graphql", server.url)).json(&request)).await;
    assert_eq!(refused.body["errors"][0]["extensions"]["code"], "CURSOR_INVALIDATED", "{refused:?}");
}
