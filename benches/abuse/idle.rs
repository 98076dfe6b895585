//! The memory of subscriptions that receive no messages.

use super::bombs::post;
use crate::client::Connection;
use crate::hub;
use crate::process::Process;
use crate::subscribers::Subscribers;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// The limit of subscriptions on one socket (`src/http/socket/connection.rs`).
pub const SUBSCRIPTIONS_PER_SOCKET: usize = 100;
const OPERATION: &str = "subscription { changes { position receivedAt event verdict fromState toState } }";
/// Leaves room for other clients.
const CONNECTIONS: &str = "10100";
/// A process is at rest when it takes less than this share of a processor for a second.
const IDLE_CPU_SHARE: f64 = 0.02;
const PATIENCE: u32 = 30;

pub struct IdleMemory {
    /// Resident memory for each subscription.
    pub kilobytes: f64,
    /// Changes that were sent to all of them in the end, and milliseconds until the last of the sampled subscribers had them.
    pub changes: u64,
    pub last: f64,
}

/// Opens sockets with subscriptions at a hub of their own, then publishes a change to all of them.
pub async fn measure_idle_memory(folder: &Path, sockets: usize, each: usize, new: u64) -> anyhow::Result<IdleMemory> {
    let hub = hub::start(folder, &["--max-connections", CONNECTIONS])?;
    position(&hub).await?;
    wait_until_idle(&hub).await?;
    let before = hub.resident()?;
    let subscribers = Subscribers::open(hub.address, Some(OPERATION), sockets, each).await?;
    wait_until_idle(&hub).await?;
    let kilobytes = (hub.resident()? - before) / (sockets * each) as f64;
    ensure!(kilobytes > 0.0, "they weigh nothing");
    // All subscriptions are active.
    let before = position(&hub).await?;
    subscribers.time();
    Connection::open(hub.address).await?.ask(hub::webhook(new).as_bytes()).await?;
    let changes = position(&hub).await? - before;
    ensure!(changes > 0, "there was no change");
    subscribers.have(changes * each as u64).await?;
    ensure!(subscribers.sample().contains("\"next\""), "what they received is no change: {}", subscribers.sample());
    let timings = subscribers.timings();
    ensure!(timings.iter().all(|timing| timing.position > before), "what came was there before");
    let last = timings.iter().map(|timing| timing.since(timing.received_at)).fold(f64::NAN, f64::max);
    hub.end()?;
    Ok(IdleMemory { kilobytes, changes, last })
}

async fn position(hub: &Process) -> anyhow::Result<u64> {
    let mut connection = Connection::open(hub.address).await?;
    let answer: Value = serde_json::from_slice(connection.ask(&post("{ head { position } }")).await?)?;
    answer["data"]["head"]["position"].as_u64().with_context(|| format!("no position: {answer}"))
}

/// Waits until the process is idle.
async fn wait_until_idle(process: &Process) -> anyhow::Result<()> {
    for _ in 0..PATIENCE {
        let before = process.cpu()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if process.cpu()? - before < IDLE_CPU_SHARE {
            return Ok(());
        }
    }
    anyhow::bail!("it does not come to rest in {PATIENCE} s")
}
