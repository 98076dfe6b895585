//! The tables, one module each, and the enums of their columns.
//!
//! Times are integers: microseconds since the Unix epoch, UTC, so that both databases order and compare them identically.
//! JSON is stored as text, because PostgreSQL's `jsonb` refuses `\u0000`, which vendors may send.

pub mod access_version;
pub mod api_key;
pub mod browser_session;
pub mod change;
pub mod change_row;
pub mod change_type;
pub mod command;
pub mod delivery;
pub mod entity;
mod enums;
pub mod handshake;
pub mod idempotency_key;
pub mod inspection_index;
pub mod inspection_index_page;
pub mod ledger;
pub mod log_gap;
pub mod log_head;
pub mod login_key;
pub mod payload_dictionary;
pub mod purged_ledger;
pub mod rejection;
pub mod replica;
pub mod source_rate;
pub mod step;
pub mod tombstone;
pub mod update_order;

pub use enums::{CommandKind, ItemKind, JobKind, Kind, Party, ReasonCode, RejectionCause, Scope, Status, Verdict};
