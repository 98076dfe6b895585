//! The source of changes: webhooks to the hub, or the same bytes repeated by the baseline.

use super::baseline;
use super::commit_log;
use super::hub::{self, request};
use super::process::Process;
use super::subscribers::Subscribers;
use crate::client::Connection;
use anyhow::Context;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::task::JoinSet;

const OPERATION: &str = "subscription { changes { position receivedAt event verdict fromState toState } }";
/// Connections of the webhooks.
const CONNECTIONS: usize = 64;

pub struct ChangeSource {
    process: Process,
    /// `None` for the hub.
    frame: Option<String>,
    connections: Vec<Connection>,
    /// Changes made so far, and with each webhook.
    made: u64,
    at_once: u64,
    webhooks: u64,
    is_hub: bool,
}

impl ChangeSource {
    /// The hub's binary on an empty database.
    pub fn hub(folder: &Path) -> anyhow::Result<ChangeSource> {
        ChangeSource::clear(folder);
        Ok(ChangeSource::of(hub::start(folder, &[])?))
    }

    /// The same, and it logs its commits.
    pub fn hub_with_commit_log(folder: &Path) -> anyhow::Result<ChangeSource> {
        ChangeSource::clear(folder);
        Ok(ChangeSource::of(commit_log::start(folder)?))
    }

    fn clear(folder: &Path) {
        for file in ["hub.db", "hub.db-wal", "hub.db-shm"] {
            let _ = std::fs::remove_file(folder.join(file));
        }
    }

    fn of(process: Process) -> ChangeSource {
        ChangeSource { process, frame: None, connections: Vec::new(), made: 0, at_once: 1, webhooks: 0, is_hub: true }
    }

    /// A plain broadcast.
    pub fn baseline() -> anyhow::Result<ChangeSource> {
        let itself = std::env::current_exe()?;
        let process = Process::start(Stdio::null(), |address| {
            let mut command = Command::new(itself);
            command.args([baseline::ARGUMENT, &address.to_string()]);
            command
        })?;
        Ok(ChangeSource {
            process,
            frame: None,
            connections: Vec::new(),
            made: 0,
            at_once: 2,
            webhooks: 0,
            is_hub: false,
        })
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// The messages of a new subscriber; none for the baseline.
    pub fn operation(&self) -> Option<&'static str> {
        self.is_hub.then_some(OPERATION)
    }

    /// What the baseline sends.
    pub fn repeat(&mut self, frame: Option<&str>) {
        self.frame = frame.map(str::to_owned);
    }

    /// Changes made so far.
    pub fn made(&self) -> u64 {
        self.made
    }

    pub fn changes_at_once(&self) -> u64 {
        self.at_once
    }

    /// Waits until all subscriptions are active, and publishes a first change.
    pub async fn begin(&mut self, subscribers: &Subscribers) -> anyhow::Result<()> {
        self.connect().await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.make(1).await?;
        if self.is_hub {
            let ask = r#"{"query":"{ head { position } }"}"#;
            let request = request("/graphql", ask);
            let answer = self.connections[0].ask(request.as_bytes()).await?;
            let digits: String = String::from_utf8_lossy(answer).chars().filter(char::is_ascii_digit).collect();
            self.at_once = digits.parse().context("a position")?;
            self.made = self.at_once;
        }
        subscribers.have(self.made).await
    }

    /// Opens new connections: those that were silent for long are closed.
    pub async fn connect(&mut self) -> anyhow::Result<()> {
        self.connections.clear();
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(self.address()).await?;
            connection.get("/healthz").await?;
            self.connections.push(connection);
        }
        Ok(())
    }

    /// Publishes the changes of this many webhooks.
    pub async fn make(&mut self, webhooks: u64) -> anyhow::Result<()> {
        if !self.is_hub {
            let count = webhooks * self.at_once;
            let request = request(&format!("/publish/{count}"), self.frame.as_deref().unwrap_or_default());
            self.connections[0].ask(request.as_bytes()).await?;
            self.made += count;
            return Ok(());
        }
        let mut senders = JoinSet::new();
        let share = webhooks.div_ceil(CONNECTIONS as u64);
        let mut left = webhooks;
        while left > 0 {
            let (Some(mut connection), count) = (self.connections.pop(), share.min(left)) else { break };
            left -= count;
            let first = self.webhooks;
            self.webhooks += count;
            senders.spawn(async move {
                for number in first..first + count {
                    connection.ask(hub::webhook(number).as_bytes()).await?;
                }
                anyhow::Ok(connection)
            });
        }
        while let Some(sender) = senders.join_next().await {
            self.connections.push(sender??);
        }
        self.made += webhooks * self.at_once;
        Ok(())
    }

    pub async fn end(self) -> anyhow::Result<()> {
        drop(self.connections);
        self.process.end()
    }
}
