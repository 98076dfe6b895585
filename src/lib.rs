//! Inspection Hub: the webhooks of remote-inspection vendors in, one GraphQL API out.

pub mod event;
pub mod feed;
pub mod ingest;
pub mod machine;
pub mod store;
pub mod vendor;
