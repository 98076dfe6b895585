//! Statements that both databases understand: SQLite takes `$1` as the name of its first parameter.

use super::columns::{ColumnNames, OriginalRow, StepRow};
use crate::event::FoldedEntity;
use entity::ledger;
use std::sync::LazyLock;

pub const SELECT_UNLINKED_CHILDREN: &str =
    "SELECT id FROM entity WHERE parent_row_id = $1 AND inspection_row_id IS NULL";

/// Records vendors' requests to confirm a URL. A repeated request for the same code is confirmed again.
pub fn request_handshakes(rows: &str) -> String {
    format!(
        "INSERT INTO handshake (source, code, requested_at, attempts) {rows} ON CONFLICT (source, code) DO UPDATE SET \
         requested_at = excluded.requested_at, confirmed_at = NULL, attempts = 0, last_error = NULL"
    )
}

static SELECT_STEPS: LazyLock<[String; 2]> = LazyLock::new(|| {
    ["step WHERE entity_row_id = $1", "change WHERE entity_row_id = $1 AND order_cycle IS NOT NULL"]
        .map(|rows| format!("SELECT {} FROM {rows}", ColumnNames::of::<StepRow>().list()))
});

/// Selects the steps of an entity: from the table of steps if they are materialized, else from the history.
pub fn select_steps(entity: &FoldedEntity) -> &'static str {
    let [materialized, history] = &*SELECT_STEPS;
    if entity.steps_materialized { materialized } else { history }
}

/// Selects original deliveries, after the key by which they are looked up.
pub fn select_originals(key: &str, rows: &str) -> String {
    let columns = ColumnNames::of::<OriginalRow>().listed(|name| format!("delivery.{name}"));
    format!("SELECT {columns}, {key} FROM {rows}")
}

/// What an insertion of types of changes ends with: a type that is stored already stays as it is.
pub const UNLESS_STORED: &str = " ON CONFLICT (id) DO NOTHING";

/// Adds the counts of a batch to those of a source; the receipt time is replaced.
pub fn add_to_ledger() -> String {
    let counts = ColumnNames::only::<ledger::Model>(|name| name != "source");
    let added = counts.listed(|name| match name {
        "received_at" => "received_at = excluded.received_at".to_owned(),
        count => format!("{count} = ledger.{count} + excluded.{count}"),
    });
    format!(" ON CONFLICT (source) DO UPDATE SET {added}")
}
