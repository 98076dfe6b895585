//! What fails on purpose: the writer at each of its steps, the disk, the database and the way to it.

mod alike;
mod disk;
mod nats;
mod postgres;
mod resume;
mod steps;
