//! Inspection Hub: the webhooks of remote-inspection vendors in, one GraphQL API out.

pub mod event;
pub mod machine;
pub mod vendor;
