//! What the hub promises, seen from outside: webhooks go in over HTTP, GraphQL is the observer.

mod access;
mod adapters;
mod aggregates;
mod answers;
mod attacks;
mod clients;
mod crash;
#[path = "../support/database.rs"]
mod database;
mod docs;
mod driver;
#[cfg(feature = "faults")]
mod faults;
mod federation;
mod field;
mod forget;
mod fuzz;
mod graphql;
mod handshake;
mod lives;
mod lossless;
mod machines;
mod made_up;
mod order;
mod origins;
mod past;
mod playground;
mod readme;
mod rebuild;
mod replicas;
mod sender;
mod server;
mod sockets;
mod streams;
mod subscriptions;
mod verify;
mod walks;
