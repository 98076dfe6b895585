//! Log gaps: where the raw log continues after purged records, and the counters before that point.

use super::purge::KEYS_PER_STATEMENT;
use crate::store::StoreError;
use entity::log_gap;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use std::collections::BTreeMap;
use std::ops::Range;

/// The gaps that result from removing these records. Their content never changes, so they are read before the transaction.
pub async fn new_log_gaps(
    db: &DatabaseConnection,
    purged: &BTreeMap<i64, Range<i64>>,
) -> Result<Vec<log_gap::Model>, StoreError> {
    let next = purged.keys().map(|row_id| row_id + 1).filter(|row_id| !purged.contains_key(row_id));
    let next: Vec<i64> = next.collect();
    let mut gaps = Vec::with_capacity(next.len());
    for row_ids in next.chunks(KEYS_PER_STATEMENT) {
        let row_ids: Vec<String> = row_ids.iter().map(i64::to_string).collect();
        let text = LOG_GAPS_SQL.replace("ROW_IDS", &row_ids.join(", "));
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

// For stored records without a gap before them. The newest entity before a delivery is the last one whose first change is
// before it. The search ends there, or at the previous gap, which knows the purged ones. `min` rather than `EXISTS`, so that
// no planner turns it into a join.
const LOG_GAPS_SQL: &str = "SELECT row_id, first_position - 1 AS last_position, \
    (SELECT first_row.entity_row_id FROM change_row AS first_row \
     WHERE first_row.position < first_position AND first_row.entity_row_id IS NOT NULL \
     AND first_row.position > COALESCE((SELECT log_gap.last_position FROM log_gap \
                                        WHERE log_gap.next_delivery_row_id < row_id \
                                        ORDER BY log_gap.next_delivery_row_id DESC LIMIT 1), 0) \
     AND first_row.position = (SELECT min(history.position) FROM change_row AS history \
                               WHERE history.entity_row_id = first_row.entity_row_id) \
     ORDER BY first_row.position DESC LIMIT 1) AS newest_entity, \
    (SELECT log_gap.last_entity_row_id FROM log_gap WHERE log_gap.next_delivery_row_id < row_id \
     ORDER BY log_gap.next_delivery_row_id DESC LIMIT 1) AS entity_of_gap_before \
    FROM log_record WHERE row_id IN (ROW_IDS) \
    AND NOT EXISTS (SELECT 1 FROM log_gap WHERE log_gap.next_delivery_row_id = row_id)";
