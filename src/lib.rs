//! Inspection Hub: receives the webhooks of remote-inspection vendors, and serves one GraphQL API.
//!
//! Modules import only from modules to their left:
//!
//! ```text
//! entity -> clock -> machine -> event -> vendor -> command -> access -> store -> auth -> feed -> ingest -> rebuild -> retention -> rejection -> replica -> graphql -> request -> live -> settings -> http -> server -> simulate -> cli
//! ```
//!
//! [`machine`] and [`event`] are pure: they decide what a delivery changes. [`vendor`] verifies and parses deliveries,
//! [`command`] has what people ask for,
//! [`access`] defines who may see and do what, [`store`] is the database, [`ingest`] writes, [`feed`] notifies, [`rejection`] records refused webhooks, [`replica`] reports this process, [`graphql`] serves queries, [`request`] limits them, and
//! [`live`] serves subscriptions. [`auth`] has the valid credentials.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod access;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod command;
pub mod event;
mod failpoints;
pub mod feed;
mod file_limit;
pub mod graphql;
pub mod http;
pub mod ingest;
pub mod live;
pub mod machine;
mod progress_reporter;
pub mod rebuild;
pub mod rejection;
pub mod replica;
pub mod request;
pub mod retention;
pub mod server;
pub mod settings;
pub mod simulate;
pub mod store;
mod sync;
pub mod vendor;

#[cfg(test)]
#[path = "../tests/support/database.rs"]
mod database;
#[cfg(test)]
#[path = "../tests/support/query_generator.rs"]
mod query_generator;
#[cfg(test)]
#[path = "../tests/support/skip.rs"]
mod skip;
#[cfg(test)]
extern crate self as inspection_hub;
