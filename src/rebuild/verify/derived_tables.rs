//! What is compared of each table: its rows in the order of their key, the name of a row, and the event that caused it.
//! Duplicates leave no row, so their counts cannot be derived.

use super::difference::RowCause;
use entity::{change, delivery, entity as entities, ledger, log_head, step};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, IntoSimpleExpr, Iterable, QueryFilter, QueryOrder, QuerySelect, Select};

/// Rows that are read at once.
const PAGE_SIZE: u64 = 1000;

/// A derived table.
pub trait DerivedTable: EntityTrait {
    const NAME: &'static str;
    type Key: Ord + Clone + Send;
    /// Columns that are not derived.
    const NOT_DERIVED: &'static [&'static str] = &[];

    /// Selects all rows, with the columns that are compared.
    fn select_compared() -> Select<Self> {
        Self::find()
    }

    /// The next rows after a key.
    fn page(after: Option<&Self::Key>) -> Select<Self>;

    fn key(row: &Self::Model) -> Self::Key;

    /// Names the row for an operator.
    fn describe(row: &Self::Model) -> String;

    /// The vendor, and the event that caused the row.
    fn cause(row: &Self::Model) -> (String, RowCause);

    /// The integer that the key begins with; none for tables that are not [`IntegerKeyed`].
    fn leading_key(_: &Self::Model) -> Option<i64> {
        None
    }

    /// Clears the columns that cannot be derived.
    fn normalize(row: Self::Model) -> Self::Model {
        row
    }
}

/// A table whose key begins with an integer. All others have few rows.
pub trait IntegerKeyed: DerivedTable {
    /// The column of that integer.
    const LEADING_KEY: Self::Column;
}

impl IntegerKeyed for delivery::Entity {
    const LEADING_KEY: delivery::Column = delivery::Column::RowId;
}

impl IntegerKeyed for change::Entity {
    const LEADING_KEY: change::Column = change::Column::Position;
}

impl IntegerKeyed for entities::Entity {
    const LEADING_KEY: entities::Column = entities::Column::RowId;
}

impl IntegerKeyed for step::Entity {
    const LEADING_KEY: step::Column = step::Column::EntityRowId;
}

/// Implements what follows from a primary key of one integer.
macro_rules! one_integer_key {
    ($table:ident, $field:ident) => {
        fn page(after: Option<&i64>) -> Select<Self> {
            page_by_key(Self::LEADING_KEY, after)
        }

        fn key(row: &$table::Model) -> i64 {
            row.$field
        }

        fn leading_key(row: &$table::Model) -> Option<i64> {
            Some(row.$field)
        }
    };
}

fn page_by_key<T: DerivedTable>(key: T::Column, after: Option<&i64>) -> Select<T> {
    T::select_compared().filter(key.gt(after.copied().unwrap_or(i64::MIN))).order_by_asc(key).limit(PAGE_SIZE)
}

impl DerivedTable for delivery::Entity {
    const NAME: &'static str = "delivery";
    type Key = i64;
    one_integer_key!(delivery, row_id);
    const NOT_DERIVED: &'static [&'static str] = &["headers", "body", "duplicates", "last_duplicate_at"];

    // Without the headers and the body, from which all else is derived.
    fn select_compared() -> Select<Self> {
        use delivery::Column::{Body, Headers};
        delivery::Entity::find()
            .select_only()
            .columns(delivery::Column::iter().filter(|column| !matches!(column, Headers | Body)))
            .expr_as(Expr::val(""), "headers")
            .expr_as(Expr::val(Vec::<u8>::new()), "body")
    }

    fn describe(row: &delivery::Model) -> String {
        format!("delivery {}, {} {}", row.row_id, row.vendor, row.event)
    }

    fn cause(row: &delivery::Model) -> (String, RowCause) {
        (row.vendor.clone(), RowCause::Event(row.event.clone()))
    }

    fn normalize(row: delivery::Model) -> delivery::Model {
        delivery::Model { duplicates: 0, last_duplicate_at: None, ..row }
    }
}

impl DerivedTable for change::Entity {
    const NAME: &'static str = "change";
    type Key = i64;
    one_integer_key!(change, position);

    fn describe(row: &change::Model) -> String {
        let vendor = row.vendor.as_deref().unwrap_or_default();
        let delivery = row.delivery_row_id.map(|number| format!(", delivery {number}")).unwrap_or_default();
        format!("position {}, {vendor} {}{delivery}", row.position, row.event)
    }

    fn cause(row: &change::Model) -> (String, RowCause) {
        (row.vendor.clone().unwrap_or_default(), RowCause::Event(row.event.clone()))
    }
}

impl DerivedTable for entities::Entity {
    const NAME: &'static str = "entity";
    type Key = i64;
    one_integer_key!(entities, row_id);

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
    type Key = (i64, i64, i32);

    fn page(after: Option<&Self::Key>) -> Select<Self> {
        use step::Column::{EffectiveAt, EntityRowId, Seq};
        let (entity, effective_at, seq) = after.copied().unwrap_or((i64::MIN, i64::MIN, i32::MIN));
        let columns = [EntityRowId, EffectiveAt, Seq].map(|column| column.into_simple_expr());
        let after = Expr::tuple([entity.into(), effective_at.into(), seq.into()]);
        step::Entity::find()
            .filter(Expr::tuple(columns).gt(after))
            .order_by_asc(EntityRowId)
            .order_by_asc(EffectiveAt)
            .order_by_asc(Seq)
            .limit(PAGE_SIZE)
    }

    fn key(row: &step::Model) -> Self::Key {
        (row.entity_row_id, row.effective_at, row.seq)
    }

    fn leading_key(row: &step::Model) -> Option<i64> {
        Some(row.entity_row_id)
    }

    fn describe(row: &step::Model) -> String {
        format!("entity {}, step {}", row.entity_row_id, row.seq)
    }

    fn cause(row: &step::Model) -> (String, RowCause) {
        (String::new(), RowCause::Change(row.position))
    }
}

impl DerivedTable for ledger::Entity {
    const NAME: &'static str = "ledger";
    type Key = String;

    // All of them at once: each database has its own collation.
    fn page(after: Option<&String>) -> Select<Self> {
        ledger::Entity::find().limit(after.is_some().then_some(0))
    }

    fn key(row: &ledger::Model) -> String {
        row.source.clone()
    }

    fn describe(row: &ledger::Model) -> String {
        row.source.clone()
    }

    fn cause(_: &ledger::Model) -> (String, RowCause) {
        (String::new(), RowCause::NoEvent)
    }

    fn normalize(row: ledger::Model) -> ledger::Model {
        ledger::Model { received: row.received - row.duplicates, duplicates: 0, received_at: None, ..row }
    }
}

impl DerivedTable for log_head::Entity {
    const NAME: &'static str = "log_head";
    type Key = i64;

    fn page(after: Option<&i64>) -> Select<Self> {
        page_by_key(log_head::Column::Id, after)
    }

    fn key(row: &log_head::Model) -> i64 {
        row.id
    }

    fn describe(_: &log_head::Model) -> String {
        "counters".to_owned()
    }

    fn cause(_: &log_head::Model) -> (String, RowCause) {
        (String::new(), RowCause::NoEvent)
    }

    fn normalize(row: log_head::Model) -> log_head::Model {
        log_head::Model { updated_at: 0, generation: 0, retained_from: 0, ..row }
    }
}
