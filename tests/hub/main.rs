//! What the hub promises, seen from outside: webhooks go in over HTTP, GraphQL is the observer.

mod abuse;
mod adapters;
mod aggregates;
mod as_of;
mod auth;
mod clients;
mod cors;
mod crash;
#[path = "../support/database.rs"]
mod database;
mod docs;
#[cfg(feature = "failpoints")]
mod fault_injection;
mod federation;
mod fuzz;
mod generators;
mod graphql;
mod handshake;
mod http;
mod hub_process;
mod lossless;
mod machines;
mod order;
mod pagination;
mod playground;
mod purge;
mod readme;
mod rebuild;
mod replicas;
mod reported_payloads;
mod scenarios;
mod sockets;
mod streams;
mod subscriptions;
mod test_hub;
mod vendor_client;
mod verify;
mod webhooks;
