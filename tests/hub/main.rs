//! What the hub promises, seen from outside: webhooks go in over HTTP, GraphQL is the observer.

mod answers;
mod crash;
#[path = "../support/database.rs"]
mod database;
mod docs;
mod driver;
mod handshake;
mod lives;
mod machines;
mod order;
mod playground;
mod rebuild;
mod subscriptions;
mod verify;
