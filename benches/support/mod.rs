//! What the benchmarks share: realistic webhooks in memory, a client that costs little, and a folder on the disk.

pub mod client;
pub mod disk;
pub mod load;
pub mod place;
pub mod sources;
pub mod stock;
mod template;
