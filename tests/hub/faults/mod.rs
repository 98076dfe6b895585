//! What fails on purpose: the writer at each of its steps, the disk, the database and the way to it.

mod alike;
mod confirm;
mod disk;
mod ending;
mod files;
mod limits;
mod nats;
mod pooler;
mod postgres;
mod proxy;
mod resume;
mod steps;
