//! A hub that logs its commits, and the parser of this log.

use super::hub;
use super::process::Process;
use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

const LOG: &str = "hub.log";

/// Starts it on the database of this folder.
pub fn start(folder: &Path) -> anyhow::Result<Process> {
    let log = File::create(folder.join(LOG))?;
    hub::run(folder, log, &["--log", "inspection_hub::ingest=debug", "--log-format", "json"])
}

/// Commit times, by the newest position of each commit.
pub fn commit_times(folder: &Path) -> anyhow::Result<BTreeMap<u64, DateTime<Utc>>> {
    let mut commits = BTreeMap::new();
    for line in fs::read_to_string(folder.join(LOG))?.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["fields"]["message"] == "committed" {
            let at = line["timestamp"].as_str().context("a time")?.parse()?;
            commits.insert(line["fields"]["position"].as_u64().context("a position")?, at);
        }
    }
    Ok(commits)
}
