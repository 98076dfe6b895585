//! Where the raw log goes on behind deliveries that are removed, and how the counters stood there.

use super::purge::KEYS_PER_STATEMENT;
use super::purge_unit::DeliveryPositions;
use crate::store::StoreError;
use entity::log_gap;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use std::collections::BTreeMap;

/// The gaps that are new once these are removed. What they say never changes, so they can be read before.
///
/// # Errors
/// If the database does not answer.
pub async fn new_log_gaps(
    db: &DatabaseConnection,
    removed: &BTreeMap<i64, DeliveryPositions>,
) -> Result<Vec<log_gap::Model>, StoreError> {
    let next = removed.keys().map(|row_id| row_id + 1).filter(|row_id| !removed.contains_key(row_id));
    let next: Vec<i64> = next.collect();
    let mut gaps = Vec::with_capacity(next.len());
    for numbers in next.chunks(KEYS_PER_STATEMENT) {
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let text = LOG_GAPS_SQL.replace("NUMBERS", &numbers.join(", "));
        for row in db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await? {
            let newest: Option<i64> = row.try_get("", "newest_entity")?;
            let before: Option<i64> = row.try_get("", "entity_of_gap_before")?;
            gaps.push(log_gap::Model {
                next_delivery_row_id: row.try_get("", "row_id")?,
                last_position: row.try_get("", "last_position")?,
                last_entity_row_id: newest.max(before).unwrap_or_default(),
            });
        }
    }
    Ok(gaps)
}

// Of those that are stored and have no log_gap before them yet. The newest entity known before a delivery is the last one
// whose first row of history stands before: the way back ends there, or at the log_gap before, which knows those that are
// gone. `min` and not `EXISTS`, so that no planner makes a join of it.
const LOG_GAPS_SQL: &str = "SELECT row_id, first_position - 1 AS last_position, \
    (SELECT first_row.entity_row_id FROM change AS first_row \
     WHERE first_row.position < first_position AND first_row.entity_row_id IS NOT NULL \
     AND first_row.position > COALESCE((SELECT log_gap.last_position FROM log_gap \
                                        WHERE log_gap.next_delivery_row_id < row_id \
                                        ORDER BY log_gap.next_delivery_row_id DESC LIMIT 1), 0) \
     AND first_row.position = (SELECT min(history.position) FROM change AS history \
                               WHERE history.entity_row_id = first_row.entity_row_id) \
     ORDER BY first_row.position DESC LIMIT 1) AS newest_entity, \
    (SELECT log_gap.last_entity_row_id FROM log_gap WHERE log_gap.next_delivery_row_id < row_id \
     ORDER BY log_gap.next_delivery_row_id DESC LIMIT 1) AS entity_of_gap_before \
    FROM delivery WHERE row_id IN (NUMBERS) \
    AND NOT EXISTS (SELECT 1 FROM log_gap WHERE log_gap.next_delivery_row_id = row_id)";
