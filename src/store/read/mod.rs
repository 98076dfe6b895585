//! What the API reads, one file per question.

mod changes;

pub use changes::{Changed, Identity, changes_after, head, with_identities};
