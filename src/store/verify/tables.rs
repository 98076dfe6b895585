//! What is compared of each table: the rows in the order of their key, what names a row, and which event brought it.
//! Repetitions leave no row, so their counts cannot be derived.

use super::difference::Brought;
use entity::{change, delivery, entity as entities, ledger, log_head, step};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, IntoSimpleExpr, QueryFilter, QueryOrder, QuerySelect, Select};

/// Rows that are read at once.
const PAGE: u64 = 1000;

/// A table that is derived.
pub trait Table: EntityTrait {
    const NAME: &'static str;
    type Key: Ord + Clone + Send;
    /// Columns of which nothing is derived.
    const APART: &'static [&'static str] = &[];

    /// Its rows, with what is compared of them.
    fn rows() -> Select<Self> {
        Self::find()
    }

    /// The next rows after a key.
    fn page(after: Option<&Self::Key>) -> Select<Self>;

    fn key(row: &Self::Model) -> Self::Key;

    /// What names the row.
    fn name(row: &Self::Model) -> String;

    /// The vendor, and what brought it.
    fn origin(row: &Self::Model) -> (String, Brought);

    /// The number of the row, in a table that has them ([`Numbered`]).
    fn number(_: &Self::Model) -> Option<i64> {
        None
    }

    /// Without what cannot be derived.
    fn plain(row: Self::Model) -> Self::Model {
        row
    }
}

/// A table whose key begins with a number. All others have few rows.
pub trait Numbered: Table {
    /// The column of that number.
    const NUMBER: Self::Column;
}

impl Numbered for delivery::Entity {
    const NUMBER: delivery::Column = delivery::Column::Number;
}

impl Numbered for change::Entity {
    const NUMBER: change::Column = change::Column::Position;
}

impl Numbered for entities::Entity {
    const NUMBER: entities::Column = entities::Column::Number;
}

impl Numbered for step::Entity {
    const NUMBER: step::Column = step::Column::Entity;
}

/// The next rows of a table whose key is one number.
fn by_number<T: Table>(key: T::Column, after: Option<&i64>) -> Select<T> {
    T::rows().filter(key.gt(after.copied().unwrap_or(i64::MIN))).order_by_asc(key).limit(PAGE)
}

impl Table for delivery::Entity {
    const NAME: &'static str = "delivery";
    type Key = i64;
    const APART: &'static [&'static str] = &["headers", "body", "duplicates", "duplicate_at"];

    // Without what it was derived from.
    fn rows() -> Select<Self> {
        use delivery::Column::{
            Changes, DuplicateAt, Duplicates, Event, FirstPosition, Method, News, Number, OccurredAt, Reason,
            ReceivedAt, Source, Vendor, Verdict,
        };
        delivery::Entity::find()
            .select_only()
            .columns([Number, Source, Vendor, ReceivedAt, Method, News, Event, OccurredAt, Verdict, Reason])
            .columns([FirstPosition, Changes, Duplicates, DuplicateAt])
            .expr_as(Expr::val(""), "headers")
            .expr_as(Expr::val(Vec::<u8>::new()), "body")
    }

    fn page(after: Option<&i64>) -> Select<Self> {
        by_number(delivery::Column::Number, after)
    }

    fn key(row: &delivery::Model) -> i64 {
        row.number
    }

    fn name(row: &delivery::Model) -> String {
        format!("delivery {}, {} {}", row.number, row.vendor, row.event)
    }

    fn origin(row: &delivery::Model) -> (String, Brought) {
        (row.vendor.clone(), Brought::By(row.event.clone()))
    }

    fn number(row: &delivery::Model) -> Option<i64> {
        Some(row.number)
    }

    fn plain(row: delivery::Model) -> delivery::Model {
        delivery::Model { duplicates: 0, duplicate_at: None, ..row }
    }
}

impl Table for change::Entity {
    const NAME: &'static str = "change";
    type Key = i64;

    fn page(after: Option<&i64>) -> Select<Self> {
        by_number(change::Column::Position, after)
    }

    fn key(row: &change::Model) -> i64 {
        row.position
    }

    fn number(row: &change::Model) -> Option<i64> {
        Some(row.position)
    }

    fn name(row: &change::Model) -> String {
        format!("position {}, {} {}, delivery {}", row.position, row.vendor, row.event, row.delivery)
    }

    fn origin(row: &change::Model) -> (String, Brought) {
        (row.vendor.clone(), Brought::By(row.event.clone()))
    }
}

impl Table for entities::Entity {
    const NAME: &'static str = "entity";
    type Key = i64;

    fn page(after: Option<&i64>) -> Select<Self> {
        by_number(entities::Column::Number, after)
    }

    fn key(row: &entities::Model) -> i64 {
        row.number
    }

    fn number(row: &entities::Model) -> Option<i64> {
        Some(row.number)
    }

    fn name(row: &entities::Model) -> String {
        let subkind = if row.subkind.is_empty() { String::new() } else { format!("{} ", row.subkind) };
        format!("{} {} {subkind}{}", row.source, row.kind, row.external_id)
    }

    fn origin(row: &entities::Model) -> (String, Brought) {
        (row.vendor.clone(), Brought::At(row.position))
    }
}

impl Table for step::Entity {
    const NAME: &'static str = "step";
    type Key = (i64, i64, i32);

    fn page(after: Option<&Self::Key>) -> Select<Self> {
        use step::Column::{EffectiveAt, Entity, Seq};
        let (entity, effective_at, seq) = after.copied().unwrap_or((i64::MIN, i64::MIN, i32::MIN));
        let columns = [Entity, EffectiveAt, Seq].map(|column| column.into_simple_expr());
        let after = Expr::tuple([entity.into(), effective_at.into(), seq.into()]);
        step::Entity::find()
            .filter(Expr::tuple(columns).gt(after))
            .order_by_asc(Entity)
            .order_by_asc(EffectiveAt)
            .order_by_asc(Seq)
            .limit(PAGE)
    }

    fn key(row: &step::Model) -> Self::Key {
        (row.entity, row.effective_at, row.seq)
    }

    fn number(row: &step::Model) -> Option<i64> {
        Some(row.entity)
    }

    fn name(row: &step::Model) -> String {
        format!("entity {}, step {}", row.entity, row.seq)
    }

    fn origin(row: &step::Model) -> (String, Brought) {
        (String::new(), Brought::At(row.position))
    }
}

impl Table for ledger::Entity {
    const NAME: &'static str = "ledger";
    type Key = String;

    // All of them at once: databases order names each in their own way.
    fn page(after: Option<&String>) -> Select<Self> {
        ledger::Entity::find().limit(after.is_some().then_some(0))
    }

    fn key(row: &ledger::Model) -> String {
        row.source.clone()
    }

    fn name(row: &ledger::Model) -> String {
        row.source.clone()
    }

    fn origin(_: &ledger::Model) -> (String, Brought) {
        (String::new(), Brought::ByNone)
    }

    fn plain(row: ledger::Model) -> ledger::Model {
        ledger::Model { received: row.received - row.duplicates, duplicates: 0, received_at: None, ..row }
    }
}

impl Table for log_head::Entity {
    const NAME: &'static str = "log_head";
    type Key = i64;

    fn page(after: Option<&i64>) -> Select<Self> {
        by_number(log_head::Column::Id, after)
    }

    fn key(row: &log_head::Model) -> i64 {
        row.id
    }

    fn name(_: &log_head::Model) -> String {
        "counters".to_owned()
    }

    fn origin(_: &log_head::Model) -> (String, Brought) {
        (String::new(), Brought::ByNone)
    }

    fn plain(row: log_head::Model) -> log_head::Model {
        log_head::Model { updated_at: 0, generation: 0, kept_from: 0, ..row }
    }
}
