//! Inspection Hub: the webhooks of remote-inspection vendors in, one GraphQL API out.
//!
//! The map; imports go one way, from left to right:
//!
//! ```text
//! entity -> machine -> event -> vendor -> store -> feed -> ingest -> rebuild -> retention -> graphql -> request -> live -> settings -> http -> server -> simulate -> cli
//! ```
//!
//! [`machine`] and [`event`] are pure: what a vendor's news does to an entity. [`vendor`] reads and verifies
//! deliveries, [`store`] is the database, [`ingest`] writes, [`feed`] tells, [`graphql`] answers, [`request`] says what may be asked, [`live`]
//! lets subscribers share.

pub mod cli;
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
pub mod request;
pub mod retention;
pub mod server;
pub mod settings;
pub mod simulate;
pub mod store;
pub mod vendor;

#[cfg(test)]
#[path = "../tests/support/database.rs"]
mod database;
#[cfg(test)]
#[path = "../tests/support/skip.rs"]
mod skip;
#[cfg(test)]
extern crate self as inspection_hub;
