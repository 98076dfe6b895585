//! This process as one of the replicas of a hub: it reports every few seconds that it runs, how far its feed is, and what its
//! sources have received.

mod task;
#[cfg(test)]
mod tests;
mod traffic;

pub use task::ReplicaTask;
pub use traffic::{TrafficCounter, TrafficCounts, WebhookAnswer};
