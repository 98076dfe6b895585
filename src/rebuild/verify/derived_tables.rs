//! What is compared of each table: its columns, the name of a row, and the event that caused it. Duplicates leave no row, so
//! their counts cannot be derived.

use super::difference::RowCause;
use entity::{
    change, change_row, change_type, command, delivery, entity as entities, ledger, log_head, step, update_order,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, Iterable, ModelTrait, PrimaryKeyToColumn, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};

/// Rows that are read at once.
const PAGE_SIZE: u64 = 1000;

/// A derived table.
pub trait DerivedTable:
    EntityTrait<Model: IntoActiveModel<<Self as EntityTrait>::ActiveModel> + PartialEq, ActiveModel: Send>
{
    const NAME: &'static str;
    /// The first column of the key: an integer, except where a table has few rows.
    const LEADING_KEY: Self::Column;
    /// Columns that are not derived.
    const NOT_DERIVED: &'static [&'static str] = &[];

    /// Selects all rows, with the columns that are compared.
    fn select_compared() -> Select<Self> {
        Self::find()
    }

    /// The next rows after a leading key.
    fn page(after: i64) -> Select<Self> {
        Self::select_compared().filter(Self::LEADING_KEY.gt(after)).order_by_asc(Self::LEADING_KEY).limit(PAGE_SIZE)
    }

    /// Names the row for an operator.
    fn describe(row: &Self::Model) -> String;

    /// The vendor, and the event that caused the row; both empty if no event did.
    fn cause(_: &Self::Model) -> (String, RowCause) {
        (String::new(), RowCause::Event(String::new()))
    }

    /// Clears the columns that cannot be derived.
    fn normalize(row: Self::Model) -> Self::Model {
        row
    }

    /// The integer that the key begins with; none for tables of few rows.
    fn leading_key(row: &Self::Model) -> Option<i64> {
        match row.get(Self::LEADING_KEY) {
            Value::BigInt(key) => key,
            _ => None,
        }
    }

    /// The key, as it sorts on both sides: each database has its own collation.
    fn key(row: &Self::Model) -> Vec<(i64, String)> {
        let parts = Self::PrimaryKey::iter().map(|column| match row.get(column.into_column()) {
            Value::BigInt(Some(number)) => (number, String::new()),
            Value::Int(Some(number)) => (number.into(), String::new()),
            Value::String(Some(text)) => (0, text),
            _ => (0, String::new()),
        });
        parts.collect()
    }
}

impl DerivedTable for delivery::Entity {
    const NAME: &'static str = "delivery";
    const LEADING_KEY: delivery::Column = delivery::Column::RowId;
    const NOT_DERIVED: &'static [&'static str] =
        &["dictionary_id", "duplicates", "last_duplicate_at", "body_size", "headers", "body"];

    // Without the headers and the body, from which all else is derived.
    fn select_compared() -> Select<Self> {
        use delivery::Column::{Body, Headers};
        delivery::Entity::find()
            .select_only()
            .columns(delivery::Column::iter().filter(|column| !matches!(column, Headers | Body)))
            .expr_as(Expr::val(Vec::<u8>::new()), "headers")
            .expr_as(Expr::val(Vec::<u8>::new()), "body")
    }

    fn describe(row: &delivery::Model) -> String {
        format!("delivery {}, {} {}", row.row_id, row.vendor, row.event)
    }

    fn cause(row: &delivery::Model) -> (String, RowCause) {
        (row.vendor.clone(), RowCause::Event(row.event.clone()))
    }

    fn normalize(row: delivery::Model) -> delivery::Model {
        delivery::Model { dictionary_id: None, duplicates: 0, last_duplicate_at: None, body_size: 0, ..row }
    }
}

impl DerivedTable for command::Entity {
    const NAME: &'static str = "command";
    const LEADING_KEY: command::Column = command::Column::RowId;
    const NOT_DERIVED: &'static [&'static str] = &["actor", "reason", "input"];

    fn describe(row: &command::Model) -> String {
        format!("command {}, {}", row.row_id, row.kind)
    }

    fn cause(row: &command::Model) -> (String, RowCause) {
        (row.vendor.clone(), RowCause::Event(row.kind.to_string()))
    }

    fn normalize(row: command::Model) -> command::Model {
        command::Model { actor: String::new(), reason: None, input: String::new(), ..row }
    }
}

impl DerivedTable for change::Entity {
    const NAME: &'static str = "change";
    const LEADING_KEY: change::Column = change::Column::Position;

    // A row whose type is missing counts as not stored.
    fn select_compared() -> Select<Self> {
        change::Entity::find().filter(change::Column::Kind.is_not_null())
    }

    fn describe(row: &change::Model) -> String {
        let vendor = row.vendor.as_deref().unwrap_or_default();
        let delivery = row.delivery_row_id.map(|number| format!(", delivery {number}")).unwrap_or_default();
        format!("position {}, {vendor} {}{delivery}", row.position, row.event)
    }

    fn cause(row: &change::Model) -> (String, RowCause) {
        (row.vendor.clone().unwrap_or_default(), RowCause::Event(row.event.clone()))
    }
}

/// As [`change::Entity`], as stored: read where words do not matter.
impl DerivedTable for change_row::Entity {
    const NAME: &'static str = "change_row";
    const LEADING_KEY: change_row::Column = change_row::Column::Position;

    fn describe(row: &change_row::Model) -> String {
        format!("position {}", row.position)
    }
}

impl DerivedTable for change_type::Entity {
    const NAME: &'static str = "change_type";
    const LEADING_KEY: change_type::Column = change_type::Column::Id;

    fn describe(row: &change_type::Model) -> String {
        let vendor = row.vendor.as_deref().unwrap_or_default();
        format!("type {}, {vendor} {}", row.id, row.event)
    }

    fn cause(row: &change_type::Model) -> (String, RowCause) {
        (row.vendor.clone().unwrap_or_default(), RowCause::Event(row.event.clone()))
    }
}

impl DerivedTable for entities::Entity {
    const NAME: &'static str = "entity";
    const LEADING_KEY: entities::Column = entities::Column::RowId;

    fn describe(row: &entities::Model) -> String {
        let subkind = if row.subkind.is_empty() { String::new() } else { format!("{} ", row.subkind) };
        format!("{} {} {subkind}{}", row.source, row.kind, row.external_id)
    }

    fn cause(row: &entities::Model) -> (String, RowCause) {
        (row.vendor.clone(), RowCause::Change(row.position))
    }
}

impl DerivedTable for step::Entity {
    const NAME: &'static str = "step";
    const LEADING_KEY: step::Column = step::Column::EntityRowId;

    fn describe(row: &step::Model) -> String {
        format!("entity {}, step {}", row.entity_row_id, row.seq)
    }

    fn cause(row: &step::Model) -> (String, RowCause) {
        (String::new(), RowCause::Change(row.position))
    }
}

impl DerivedTable for update_order::Entity {
    const NAME: &'static str = "update_order";
    const LEADING_KEY: update_order::Column = update_order::Column::EntityRowId;

    fn describe(row: &update_order::Model) -> String {
        format!("entity {}, position {}", row.entity_row_id, row.position)
    }

    fn cause(row: &update_order::Model) -> (String, RowCause) {
        (String::new(), RowCause::Change(row.position))
    }
}

impl DerivedTable for ledger::Entity {
    const NAME: &'static str = "ledger";
    const LEADING_KEY: ledger::Column = ledger::Column::Source;

    fn describe(row: &ledger::Model) -> String {
        row.source.clone()
    }

    fn normalize(row: ledger::Model) -> ledger::Model {
        ledger::Model { received: row.received - row.duplicates, duplicates: 0, received_at: None, ..row }
    }
}

impl DerivedTable for log_head::Entity {
    const NAME: &'static str = "log_head";
    const LEADING_KEY: log_head::Column = log_head::Column::Id;

    fn describe(_: &log_head::Model) -> String {
        "counters".to_owned()
    }

    fn normalize(row: log_head::Model) -> log_head::Model {
        log_head::Model { updated_at: 0, generation: 0, retained_from: 0, ..row }
    }

    fn leading_key(_: &log_head::Model) -> Option<i64> {
        None
    }
}
