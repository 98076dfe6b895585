//! The numbers that a batch assigns: positions, deliveries, entities, and receipt times.

use chrono::{DateTime, Utc};
use entity::{log_gap, log_head};

/// A warning is logged if a delivery's receipt time is further than this behind the newest assigned one, in microseconds.
const CLOCK_LAG_WARN_MICROS: i64 = 60_000_000;

pub struct Counters {
    /// When the batch began.
    pub before: log_head::Model,
    pub head: log_head::Model,
    /// The greatest distance of a delivery's own receipt time from the one that it was assigned.
    max_clock_lag: i64,
}

impl Counters {
    pub fn new(head: log_head::Model) -> Counters {
        Counters { before: head.clone(), head, max_clock_lag: 0 }
    }

    pub fn next_position(&mut self) -> i64 {
        self.head.position += 1;
        self.head.position
    }

    pub fn next_entity(&mut self) -> i64 {
        self.head.last_entity_row_id += 1;
        self.head.last_entity_row_id
    }

    /// The number of a delivery or a command.
    pub fn next_record(&mut self, received_at: i64) -> i64 {
        self.head.received_at = received_at;
        self.head.last_delivery_row_id += 1;
        self.head.last_delivery_row_id
    }

    /// In a replay: continues with the numbers after deliveries that were purged.
    pub fn skip_gap(&mut self, gap: &log_gap::Model) {
        self.head.last_delivery_row_id = gap.next_delivery_row_id - 1;
        self.head.position = self.head.position.max(gap.last_position);
        self.head.last_entity_row_id = self.head.last_entity_row_id.max(gap.last_entity_row_id);
    }

    /// The receipt time of a delivery. It orders the history: it never decreases, although clocks of replicas differ.
    pub fn assign_received_at(&mut self, received_at: DateTime<Utc>) -> i64 {
        let own = received_at.timestamp_micros();
        self.max_clock_lag = self.max_clock_lag.max(self.head.received_at.saturating_sub(own));
        own.max(self.head.received_at)
    }

    /// Before the counters are written.
    pub fn finish(&mut self) {
        // Never the same twice: by this time other writers know which batches they have seen.
        self.head.updated_at = crate::clock::now().timestamp_micros().max(self.before.updated_at + 1);
        if self.max_clock_lag > CLOCK_LAG_WARN_MICROS {
            let seconds = self.max_clock_lag / 1_000_000;
            tracing::warn!(
                seconds,
                "a delivery was received before the newest one: a clock here or of a replica is wrong"
            );
        }
    }
}
