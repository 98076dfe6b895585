//! What the commands print, and to whom.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::TestHub;
use std::process::{Command, Stdio};

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let mut schema = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    let mut schema = schema.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // The schema is longer than a pipe holds.
    drop(schema.stdout.take());
    let ended = schema.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_reader_has_ended_does_its_work() {
    let app = TestHub::start().await;
    app.post_sample(&crate::test_hub::samples("pave")[0]).await;
    let mut verify = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    verify.args(["verify", "--log", "warn", "--database"]).arg(&app.database.address);
    verify.current_dir(app.database.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut verify = verify.spawn().expect("it runs");
    drop(verify.stdout.take());
    let ended = verify.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test]
async fn a_log_that_is_no_terminal_has_no_colours() {
    let database = TestDatabase::new().await;
    let port = HubProcess::free_port();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    serve.args(["serve", "--log", "info", "--listen", &format!("127.0.0.1:{port}"), "--database"]);
    serve.arg(&database.address).current_dir(database.folder.path());
    let server = HubProcess::spawn(port, serve);
    server.wait_for_log("Inspection Hub is ready").await;
    assert!(server.log().contains(" INFO ") && !server.log().contains('\u{1b}'), "{}", server.log());
}
