//! This process as one of the replicas of a hub: it reports every few seconds that it runs, and how far its feed is.

mod task;
#[cfg(test)]
mod tests;

pub use task::ReplicaTask;
