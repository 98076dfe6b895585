//! The texts of the writer's statements on SQLite, made once from the lists of columns.

use crate::store::write::columns::{ColumnNames, EntityColumnGroup, TableRow};
use crate::store::write::sql;
use entity::{change_row, change_type, command, delivery, idempotency_key, ledger, log_head, step, update_order};

/// The texts; the connection keeps the statements prepared.
#[derive(Debug)]
pub struct SqliteStatements {
    pub select_head: String,
    pub update_head: String,
    pub select_entity: String,
    pub insert_entity: String,
    /// By whether facts and links are among the columns: `[facts][links]`.
    pub update_entity: [[String; 2]; 2],
    pub insert_delivery: String,
    pub insert_command: String,
    pub insert_idempotency_key: String,
    pub select_idempotency_key: String,
    pub insert_change_type: String,
    pub insert_change: String,
    pub insert_step: String,
    pub insert_place: String,
    pub delete_place: &'static str,
    pub add_to_ledger: String,
    pub request_handshake: String,
    pub originals_by_position: String,
    pub originals_by_key: String,
}

impl SqliteStatements {
    pub fn new() -> Self {
        SqliteStatements {
            select_head: format!("SELECT {} FROM log_head WHERE id = 1", ColumnNames::of::<log_head::Model>().list()),
            update_head: update::<log_head::Model>("log_head", is_counter),
            select_entity: format!(
                "SELECT {} FROM entity WHERE id = ?",
                ColumnNames::of::<entity::entity::Model>().list()
            ),
            insert_entity: insert::<entity::entity::Model>("entity"),
            update_entity: [false, true].map(|facts| {
                [false, true].map(|links| update::<entity::entity::Model>("entity", is_updated(facts, links)))
            }),
            insert_delivery: insert::<delivery::Model>("delivery"),
            insert_command: insert::<command::Model>("command"),
            insert_idempotency_key: insert::<idempotency_key::Model>("idempotency_key"),
            select_idempotency_key: format!(
                "SELECT {} FROM idempotency_key WHERE digest = ?",
                ColumnNames::of::<idempotency_key::Model>().list()
            ),
            insert_change_type: insert::<change_type::Model>("change_type") + sql::UNLESS_STORED,
            insert_change: insert::<change_row::Model>("change_row"),
            insert_step: insert::<step::Model>("step"),
            insert_place: insert::<update_order::Model>("update_order") + " ON CONFLICT DO NOTHING",
            delete_place: "DELETE FROM update_order WHERE list = ? AND position = ?",
            add_to_ledger: insert::<ledger::Model>("ledger") + &sql::add_to_ledger(),
            request_handshake: sql::request_handshakes("VALUES (?, ?, ?, 0)"),
            originals_by_position: sql::select_originals(
                "change_row.position",
                "change_row JOIN delivery ON delivery.row_id = change_row.delivery_row_id WHERE change_row.position = ?",
            ),
            originals_by_key: sql::select_originals("delivery.dedup_key", "delivery WHERE delivery.dedup_key = ?"),
        }
    }
}

/// The counters that a batch writes, with the key first.
pub fn is_counter(column: &str) -> bool {
    !matches!(column, "generation" | "retained_from")
}

/// Whether an update writes a column, or is found by it: what it leaves out costs no index anything.
pub fn is_updated(facts: bool, links: bool) -> impl Fn(&str) -> bool {
    move |column| match EntityColumnGroup::of(column) {
        EntityColumnGroup::Identity => column == "row_id",
        EntityColumnGroup::Links => links,
        EntityColumnGroup::Facts => facts,
        EntityColumnGroup::State => true,
    }
}

fn insert<R: TableRow>(table: &str) -> String {
    let names = ColumnNames::of::<R>();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.list(), names.listed(|_| "?".to_owned()))
}

// The first column is the key, and the first parameter.
fn update<R: TableRow>(table: &str, wanted: impl Fn(&str) -> bool) -> String {
    let names = ColumnNames::only::<R>(wanted);
    let assigned = names.iter().zip(1..).skip(1).map(|(name, parameter)| format!("{name} = ?{parameter}"));
    let key = names.iter().next().unwrap_or_default();
    format!("UPDATE {table} SET {} WHERE {key} = ?1", assigned.collect::<Vec<_>>().join(", "))
}
