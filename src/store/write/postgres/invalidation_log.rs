//! The entities that other writers have changed. While several write, each batch leaves a row with its entities, also those that
//! it changed without a row of history. The rows form a chain from the counters that a writer knows to the present ones; if one is
//! missing, the writer's cache cannot be trusted. There are few rows, a ring buffer.

use crate::failpoints;
use entity::log_head;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};
use uuid::Uuid;

/// How many rows there are.
const LOG_SLOTS: i32 = 32;

/// One batch: `updated_at` of the counters before and after it.
#[derive(Debug)]
pub struct InvalidationEntry {
    slot: i32,
    before: i64,
    after: i64,
    entities: Vec<Uuid>,
}

impl InvalidationEntry {
    /// # Errors
    /// If the row is of another form.
    pub fn from_row(row: &PgRow) -> sqlx::Result<InvalidationEntry> {
        Ok(InvalidationEntry {
            slot: row.try_get(0)?,
            before: row.try_get(1)?,
            after: row.try_get(2)?,
            entities: row.try_get(3)?,
        })
    }
}

/// The slot of the newest entry.
pub fn newest_slot(entries: &[InvalidationEntry]) -> Option<i32> {
    entries.iter().max_by_key(|entry| entry.after).map(|entry| entry.slot)
}

/// The slot of the next entry.
pub fn next_slot(slot: i32) -> i32 {
    (slot + 1).rem_euclid(LOG_SLOTS)
}

/// The entities that were changed between two values of the counters; `None` if the chain between them is incomplete.
pub fn invalidated_since(
    known: &log_head::Model,
    now: &log_head::Model,
    mut entries: Vec<InvalidationEntry>,
) -> Option<Vec<Uuid>> {
    if failpoints::rule_disabled("invalidation_log") {
        return Some(Vec::new());
    }
    if entries.is_empty() {
        return (known == now).then(Vec::new);
    }
    if known.generation != now.generation || known.retained_from != now.retained_from {
        return None;
    }
    entries.sort_unstable_by_key(|entry| entry.after);
    let mut reached = known.updated_at;
    let mut invalidated = Vec::new();
    for entry in entries {
        if entry.before != reached {
            return None;
        }
        reached = entry.after;
        invalidated.extend(entry.entities);
    }
    (reached == now.updated_at).then_some(invalidated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(updated_at: i64) -> log_head::Model {
        log_head::Model {
            id: 1,
            position: 0,
            last_delivery_row_id: 0,
            last_entity_row_id: 0,
            received_at: 0,
            updated_at,
            generation: 1,
            retained_from: 0,
        }
    }

    fn entry(before: i64, after: i64, entity: u128) -> InvalidationEntry {
        InvalidationEntry { slot: 0, before, after, entities: vec![Uuid::from_u128(entity)] }
    }

    #[test]
    fn a_complete_chain_has_all_entities() {
        let entries = vec![entry(7, 9, 2), entry(5, 7, 1)];
        assert_eq!(invalidated_since(&head(5), &head(9), entries), Some(vec![Uuid::from_u128(1), Uuid::from_u128(2)]));
        assert_eq!(invalidated_since(&head(5), &head(5), Vec::new()), Some(Vec::new()));
    }

    #[test]
    fn an_incomplete_chain_is_useless() {
        for entries in [vec![], vec![entry(5, 7, 1)], vec![entry(7, 9, 2)], vec![entry(5, 6, 1), entry(7, 9, 2)]] {
            assert_eq!(invalidated_since(&head(5), &head(9), entries), None);
        }
        assert_eq!(invalidated_since(&head(5), &log_head::Model { position: 1, ..head(5) }, Vec::new()), None);
        let rebuilt = log_head::Model { generation: 2, ..head(9) };
        let purged = log_head::Model { retained_from: 3, ..head(9) };
        for other in [rebuilt, purged] {
            assert_eq!(invalidated_since(&head(5), &other, vec![entry(5, 9, 1)]), None);
        }
    }
}
