//! Retention: deletes finished inspections, and everything that belongs to them, once they are older than the configured age.
//!
//! [`Purger`] deletes once; [`RetentionTask`] runs it periodically. `purge_unit.rs` determines what belongs together and
//! whether it may be deleted, `log_gaps.rs` notes where the raw log continues after the gap, and `deletion.rs` deletes a few units
//! in each transaction, so that no writer waits for long. [`IdempotencyExpiryTask`] deletes old idempotency keys.

mod deletion;
mod idempotency_expiry;
mod log_gaps;
mod purge;
mod purge_unit;
mod task;

pub use idempotency_expiry::IdempotencyExpiryTask;
pub use purge::{PurgeMode, PurgeReport, Purger};
pub use task::RetentionTask;
