//! What fails on purpose: the writer at each of its steps, the disk, the database and the way to it.

mod confirm;
mod disk;
mod failpoints;
mod file_limits;
mod files;
mod nats;
mod parity;
mod pooler;
mod postgres;
mod proxy;
mod resume;
mod shutdown;
