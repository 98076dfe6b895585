//! What the hub promises, seen from outside: webhooks go in over HTTP, and GraphQL shows the result.

mod abuse;
mod adapters;
mod aggregates;
mod as_of;
mod auth;
mod browser_sessions;
mod change_types;
mod clients;
mod command_line;
mod commands;
mod cors;
mod crash;
#[path = "../support/database.rs"]
mod database;
mod docs;
#[cfg(feature = "failpoints")]
mod fault_injection;
mod federation;
mod forged_logins;
mod forger;
mod fuzz;
mod generators;
mod graphql;
mod handshake;
mod http;
mod hub_info;
mod hub_process;
mod keys;
mod keys_command;
mod links;
mod login;
mod lossless;
mod machines;
mod open_api;
mod order;
mod pagination;
mod payloads;
mod playground;
mod purge;
#[path = "../support/query_generator.rs"]
mod query_generator;
mod readme;
mod rebuild;
mod rejections;
mod replicas;
mod reported_payloads;
mod scenarios;
#[path = "../support/skip.rs"]
mod skip;
mod sockets;
mod sources;
mod status_rates;
mod streams;
mod subscriptions;
mod test_hub;
mod test_inspection;
mod test_keys;
mod test_login;
mod tokens;
mod update_order;
mod vendor_client;
mod verify;
mod views;
mod waiting;
mod webhooks;
