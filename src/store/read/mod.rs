//! What the API reads, one file per question. Questions about many rows at once take many keys and answer with one
//! statement, so that a reader never asks row by row.

mod ages;
mod as_of;
mod board;
mod census;
mod changes;
mod children;
mod columns;
mod counts;
mod deliveries;
mod entities;
mod filter;
mod history;
mod hours;
mod ids;
mod lives;
mod page;
mod past;
mod sources;

pub use ages::counts_by_age;
pub use as_of::{Clock, Snapshot, as_of, as_of_id};
pub use board::{Board, Then};
pub use census::{Census, Cohort, Group, Period};
pub use changes::{Changed, Identity, changes_after, head, identities, kept_after, with_identities};
pub use children::{Children, Of, children, count_children};
pub use columns::{EntityRow, Wants};
pub use counts::{Offsets, counts_by_day};
pub use deliveries::{
    DeliveryRow, DeliveryWants, changes_of_deliveries, count_deliveries, deliveries, deliveries_by_number,
};
pub use entities::{Key, Order, count_entities, entities, entities_by_id, entities_by_number, status_counts};
pub use filter::{ChangeFilter, DeliveryFilter, EntityFilter, FINAL};
pub use history::{changes, changes_by_position, count_changes, count_histories, histories};
pub use hours::{counts_by_hour, counts_by_quarter};
pub use ids::{change_id, change_position, delivery_id, delivery_number};
pub use lives::{Life, Phase, lives};
pub use page::{Direction, End, Page, Part};
pub use sources::{handshakes, last_verdicts, ledgers};

use chrono::{DateTime, Utc};

/// The moment that a column of microseconds since the Unix epoch says.
pub fn moment(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
