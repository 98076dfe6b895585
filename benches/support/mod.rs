//! Shared by the benchmarks: realistic webhooks in memory, a cheap client, and databases on a disk.

pub mod bench_database;
pub mod client;
pub mod cpu;
pub mod disk;
pub mod load;
pub mod request_stock;
pub mod sources;
mod template;
