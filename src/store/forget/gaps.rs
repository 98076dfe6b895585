//! Where the raw log goes on behind deliveries that are removed, and how the counters stood there.

use super::KEYS;
use super::life::Brought;
use crate::store::StoreError;
use entity::gap;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use std::collections::BTreeMap;

/// The gaps that are new once these are removed. What they say never changes, so they can be read before.
///
/// # Errors
/// If the database does not answer.
pub async fn behind(db: &DatabaseConnection, removed: &BTreeMap<i64, Brought>) -> Result<Vec<gap::Model>, StoreError> {
    let next = removed.keys().map(|number| number + 1).filter(|number| !removed.contains_key(number));
    let next: Vec<i64> = next.collect();
    let mut gaps = Vec::with_capacity(next.len());
    for numbers in next.chunks(KEYS) {
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let text = TEXT.replace("NUMBERS", &numbers.join(", "));
        for row in db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await? {
            let (born, before): (Option<i64>, Option<i64>) = (row.try_get("", "born")?, row.try_get("", "entity")?);
            gaps.push(gap::Model {
                delivery: row.try_get("", "number")?,
                position: row.try_get("", "position")?,
                entity: born.max(before).unwrap_or_default(),
            });
        }
    }
    Ok(gaps)
}

// Of those that are stored and have no gap before them yet. The newest entity known before a delivery is the last one
// whose first row of history stands before: the way back ends there, or at the gap before, which knows those that are
// gone. `min` and not `EXISTS`, so that no planner makes a join of it.
const TEXT: &str = "SELECT number, first_position - 1 AS position, \
    (SELECT told.entity FROM change AS told \
     WHERE told.position < first_position AND told.entity IS NOT NULL \
     AND told.position > COALESCE((SELECT gap.position FROM gap WHERE gap.delivery < number \
                                   ORDER BY gap.delivery DESC LIMIT 1), 0) \
     AND told.position = (SELECT min(past.position) FROM change AS past WHERE past.entity = told.entity) \
     ORDER BY told.position DESC LIMIT 1) AS born, \
    (SELECT gap.entity FROM gap WHERE gap.delivery < number ORDER BY gap.delivery DESC LIMIT 1) AS entity \
    FROM delivery WHERE number IN (NUMBERS) \
    AND NOT EXISTS (SELECT 1 FROM gap WHERE gap.delivery = number)";
