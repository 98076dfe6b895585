//! What the API reads, one file per question.

mod changes;
mod ids;

pub use changes::{Changed, Identity, changes_after, head, with_identities};
pub use ids::{delivery_id, delivery_number};
