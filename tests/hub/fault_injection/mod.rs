//! Injected failures: of the writer at each of its steps, of the disk, of the database, and of the network.

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

/// Whether the tests may mount file systems and start programs as another user.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
