//! The hub's binary, and its deliveries.

use super::process::Process;
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts it on the database of this folder.
pub fn start(folder: &Path, settings: &[&str]) -> anyhow::Result<Process> {
    run(folder, Stdio::null(), settings)
}

/// The same, with a destination of its log.
pub fn run(folder: &Path, log: impl Into<Stdio>, settings: &[&str]) -> anyhow::Result<Process> {
    Process::start(log, |address| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        let database = format!("sqlite://{}", folder.join("hub.db").display());
        command.args(["serve", "--listen", &address.to_string(), "--database", &database]);
        command.args(settings).current_dir(folder);
        command
    })
}

/// A delivery about the inspection with this number.
pub fn webhook(number: u64) -> String {
    let body = format!(r#"{{"event":"SESSION:STATUS_CHANGE","session_key":"FANOUT-{number}","status":"STARTED"}}"#);
    request("/webhooks/pave", &body)
}

pub fn request(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
