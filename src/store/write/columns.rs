//! The columns of the writer's tables. One list per table makes the statements and the readers of both databases; the compiler
//! checks each list against its row.

use super::connection::HandshakeRequest;
use crate::event::UpdatePlace;
use crate::store::StoreError;
use entity::{
    CommandKind, Kind, ReasonCode, Status, Verdict, change_row, change_type, command, delivery, idempotency_key,
    ledger, log_head, step, update_order,
};
use rusqlite::Statement;
use rusqlite::types::{FromSql, ToSqlOutput, ValueRef};
use sea_orm::sqlx::postgres::{PgArguments, PgHasArrayType, PgRow, PgTypeInfo};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, Decode, Encode, Postgres, Row, Type, TypeInfo, ValueRef as _};
use uuid::Uuid;

/// A query of PostgreSQL, with what is bound so far.
pub type BoundQuery<'q> = Query<'q, Postgres, PgArguments>;

/// The value of a field, as both databases store it.
pub trait ColumnValue: Sized {
    /// An element of the array that PostgreSQL receives for the column.
    type Element<'a>: Encode<'a, Postgres> + Type<Postgres> + PgHasArrayType + 'a
    where
        Self: 'a;

    fn element(&self) -> Self::Element<'_>;
    fn sqlite(&self) -> ValueRef<'_>;
    fn read(row: &impl StoredRow, index: usize) -> Result<Self, StoreError>;
}

/// A row of either database.
pub trait StoredRow {
    /// A value that both drivers read by themselves.
    fn get<T: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres>>(&self, index: usize) -> Result<T, StoreError>;
    fn uuid(&self, index: usize) -> Result<Uuid, StoreError>;
    fn is_null(&self, index: usize) -> Result<bool, StoreError>;
}

impl StoredRow for rusqlite::Row<'_> {
    fn get<T: FromSql>(&self, index: usize) -> Result<T, StoreError> {
        Ok(rusqlite::Row::get(self, index)?)
    }

    fn uuid(&self, index: usize) -> Result<Uuid, StoreError> {
        Ok(Uuid::from_bytes(rusqlite::Row::get(self, index)?))
    }

    fn is_null(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.get_ref(index)? == ValueRef::Null)
    }
}

impl StoredRow for PgRow {
    fn get<T: Type<Postgres> + for<'r> Decode<'r, Postgres>>(&self, index: usize) -> Result<T, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn uuid(&self, index: usize) -> Result<Uuid, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn is_null(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.try_get_raw(index)?.is_null())
    }
}

/// A row, or the part of one that a statement reads.
pub trait TableRow: Sized + 'static {
    /// Visits its columns in order.
    fn visit<'r, V: ColumnVisitor<'r, Self>>(visitor: &mut V) -> Result<(), StoreError>;
    fn read(row: &impl StoredRow) -> Result<Self, StoreError>;
}

/// What is done with each column of a row.
pub trait ColumnVisitor<'r, R: 'r> {
    fn column<T: ColumnValue + 'r>(&mut self, name: &'static str, field: fn(&'r R) -> &'r T) -> Result<(), StoreError>;
}

/// The one list of a row's columns.
macro_rules! columns {
    ($row:ty: $($field:ident),+ $(,)?) => {
        impl TableRow for $row {
            fn visit<'r, V: ColumnVisitor<'r, Self>>(visitor: &mut V) -> Result<(), StoreError> {
                $(visitor.column(stringify!($field), |row| &row.$field)?;)+
                Ok(())
            }

            fn read(row: &impl StoredRow) -> Result<Self, StoreError> {
                let mut next = 0..;
                Ok(Self { $($field: ColumnValue::read(row, next.next().unwrap_or_default())?),+ })
            }
        }
    };
}

columns! { entity::entity::Model:
    row_id, id, kind, subkind, source, vendor, external_id, parent_row_id, inspection_row_id,
    hand_linked_row_id, vendor_inspection_row_id, reference, customer_reference, labels, due_at, registered_at, group_key, state, status,
    cycle, facts, details, field_versions, fold_state, steps_materialized, created_at, updated_at, occurred_at, position,
}

columns! { delivery::Model:
    row_id, source, vendor, received_at, method, dedup_key, event, occurred_at, verdict, reason_code, reason_params, warnings,
    duplicate_of, first_position, change_count, dictionary_id, duplicates, last_duplicate_at, body_size, headers, body,
}

columns! { command::Model:
    row_id, kind, source, vendor, received_at, entity_row_id, target_row_id, actor, reason, input, first_position, change_count,
}

columns! { idempotency_key::Model: digest, input_digest, command_row_id, created_at }

columns! { change_row::Model:
    position, type_id, entity_row_id, inspection_row_id, delivery_row_id, command_row_id, received_at, occurred_at, dedup_key, previous_step, cycle,
    order_cycle, event, reason_params,
}

columns! { change_type::Model:
    id, kind, source, vendor, event, verdict, reason_code, reason_params, warnings, from_state, to_state, from_status, to_status,
    target_state, at_least, order_rank,
}

columns! { step::Model:
    entity_row_id, seq, position, target_state, at_least, occurred_at, order_cycle, order_rank, received_at, effective_at,
    state_after, status_after, cycle_after,
}

columns! { update_order::Model: list, position, entity_row_id }

columns! { UpdatePlace: list, position }

columns! { ledger::Model:
    source, received, duplicates, applied, skipped_ahead, unexpected, stale, refused, no_change, unrecognized, unreadable,
    orphaned, received_at,
}

columns! { log_head::Model:
    id, position, last_delivery_row_id, last_entity_row_id, received_at, updated_at, generation, retained_from,
}

columns! { StepRow:
    position, target_state, at_least, occurred_at, order_cycle, order_rank, received_at,
}

columns! { OriginalRow:
    row_id, verdict, reason_code, reason_params, warnings,
}

columns! { DuplicateCount: row_id, count, last_at }

columns! { HandshakeRequest: source, code, requested_at }

/// What the fold reads of a step: columns that the tables `step` and `change` share.
#[derive(Debug)]
pub struct StepRow {
    pub position: i64,
    pub target_state: String,
    pub at_least: bool,
    pub occurred_at: Option<i64>,
    pub order_cycle: i32,
    pub order_rank: i32,
    pub received_at: i64,
}

/// What the response to a duplicate needs of the original delivery.
#[derive(Clone, Debug)]
pub struct OriginalRow {
    pub row_id: i64,
    pub verdict: Verdict,
    pub reason_code: ReasonCode,
    pub reason_params: Option<String>,
    pub warnings: Option<String>,
}

/// How many duplicates a delivery of an earlier batch got, and when the last one was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateCount {
    pub row_id: i64,
    pub count: i64,
    pub last_at: i64,
}

/// When the column of an entity changes after the row was inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityColumnGroup {
    /// Never.
    Identity,
    /// With what the entity belongs to or is found by: each of these columns has an index.
    Links,
    /// With its facts and details.
    Facts,
    /// With any effect.
    State,
}

impl EntityColumnGroup {
    pub fn of(column: &str) -> EntityColumnGroup {
        match column {
            "row_id" | "id" | "kind" | "subkind" | "source" | "vendor" | "external_id" | "created_at" => {
                EntityColumnGroup::Identity
            }
            "parent_row_id"
            | "inspection_row_id"
            | "hand_linked_row_id"
            | "vendor_inspection_row_id"
            | "reference"
            | "customer_reference"
            | "labels"
            | "due_at"
            | "registered_at"
            | "group_key" => EntityColumnGroup::Links,
            "facts" | "details" | "field_versions" => EntityColumnGroup::Facts,
            _ => EntityColumnGroup::State,
        }
    }
}

/// The names and PostgreSQL types of a row's columns, in order.
pub struct ColumnNames(Vec<(&'static str, PgTypeInfo)>);

impl ColumnNames {
    pub fn of<R: TableRow>() -> ColumnNames {
        ColumnNames::only::<R>(|_| true)
    }

    pub fn only<R: TableRow>(wanted: impl Fn(&str) -> bool) -> ColumnNames {
        let mut names = ColumnNames(Vec::new());
        // Collecting names does not fail.
        let _ = R::visit(&mut names);
        names.0.retain(|(name, _)| wanted(name));
        names
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// `a, b, c`.
    pub fn list(&self) -> String {
        self.listed(|name| name.to_owned())
    }

    /// Each name in some form, separated by commas.
    pub fn listed(&self, form: impl Fn(&str) -> String) -> String {
        self.iter().map(form).collect::<Vec<_>>().join(", ")
    }

    /// A parameter of PostgreSQL for each column, an array of its type. `parameter` is the number of the last one.
    pub fn arrays(&self, parameter: &mut usize) -> String {
        let arrays = self.0.iter().map(|(_, column_type)| {
            *parameter += 1;
            format!("${parameter}::{}[]", column_type.name())
        });
        arrays.collect::<Vec<_>>().join(", ")
    }
}

impl<'r, R: 'r> ColumnVisitor<'r, R> for ColumnNames {
    fn column<T: ColumnValue + 'r>(&mut self, name: &'static str, _: fn(&'r R) -> &'r T) -> Result<(), StoreError> {
        self.0.push((name, <T::Element<'r> as Type<Postgres>>::type_info()));
        Ok(())
    }
}

/// Binds the wanted columns of one row to a statement of SQLite, in order.
struct SqliteBinder<'s, 'c, 'r, R, W> {
    statement: &'s mut Statement<'c>,
    row: &'r R,
    wanted: W,
    bound: usize,
}

impl<'r, R, W: Fn(&str) -> bool> ColumnVisitor<'r, R> for SqliteBinder<'_, '_, 'r, R, W> {
    fn column<T: ColumnValue + 'r>(&mut self, name: &'static str, field: fn(&'r R) -> &'r T) -> Result<(), StoreError> {
        if (self.wanted)(name) {
            self.bound += 1;
            let value = ToSqlOutput::Borrowed(field(self.row).sqlite());
            self.statement.raw_bind_parameter(self.bound, value)?;
        }
        Ok(())
    }
}

/// Runs a statement of SQLite with the wanted columns of a row as its parameters.
pub fn execute_row<R: TableRow>(
    statement: &mut Statement<'_>,
    row: &R,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    R::visit(&mut SqliteBinder { statement: &mut *statement, row, wanted, bound: 0 })?;
    statement.raw_execute()?;
    Ok(())
}

/// Binds the wanted columns of all rows to a query of PostgreSQL, one array each.
struct PostgresBinder<'b, 'q, I, W> {
    query: &'b mut BoundQuery<'q>,
    rows: I,
    wanted: W,
}

impl<'r, R: 'r, I: Iterator<Item = &'r R> + Clone, W: Fn(&str) -> bool> ColumnVisitor<'r, R>
    for PostgresBinder<'_, '_, I, W>
{
    fn column<T: ColumnValue + 'r>(&mut self, name: &'static str, field: fn(&'r R) -> &'r T) -> Result<(), StoreError> {
        if (self.wanted)(name) {
            let array: Vec<T::Element<'r>> = self.rows.clone().map(|row| field(row).element()).collect();
            self.query.try_bind(array).map_err(sqlx::Error::Encode)?;
        }
        Ok(())
    }
}

/// Binds the wanted columns of rows to a query of PostgreSQL; nothing if there are no rows.
pub fn bind_rows<'r, R: TableRow>(
    query: &mut BoundQuery<'_>,
    rows: impl Iterator<Item = &'r R> + Clone,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    if rows.clone().next().is_none() { Ok(()) } else { R::visit(&mut PostgresBinder { query, rows, wanted }) }
}

/// How the values of a type are written to PostgreSQL, written to SQLite, and read.
macro_rules! column_values {
    ($($type:ty as $element:ty: |$value:ident| $written:expr, $sqlite:expr, |$row:ident, $index:ident| $read:expr;)+) => {
        $(impl ColumnValue for $type {
            type Element<'a> = $element;

            fn element(&self) -> Self::Element<'_> {
                let $value = self;
                $written
            }

            fn sqlite(&self) -> ValueRef<'_> {
                let $value = self;
                $sqlite
            }

            fn read($row: &impl StoredRow, $index: usize) -> Result<Self, StoreError> {
                $read
            }
        })+
    };
}

column_values! {
    i64 as i64: |value| *value, ValueRef::Integer(*value), |row, index| row.get(index);
    i32 as i32: |value| *value, ValueRef::Integer((*value).into()), |row, index| row.get(index);
    bool as bool: |value| *value, ValueRef::Integer((*value).into()), |row, index| row.get(index);
    String as &'a str: |value| value.as_str(), ValueRef::Text(value.as_bytes()), |row, index| row.get(index);
    Vec<u8> as &'a [u8]: |value| value.as_slice(), ValueRef::Blob(value), |row, index| row.get(index);
    Uuid as Uuid: |value| *value, ValueRef::Blob(value.as_bytes()), |row, index| row.uuid(index);
}

/// The same for enums that are stored as a number.
macro_rules! numbered_values {
    ($($type:ident),+) => {
        column_values! { $(
            $type as i16: |value| value.number(), ValueRef::Integer(value.number().into()), |row, index| {
                let number: i16 = row.get(index)?;
                let unknown = || format!("{number} is no {} that this version knows", stringify!($type));
                $type::from_number(number).ok_or_else(|| StoreError::Corrupt(unknown()))
            };
        )+ }
    };
}

numbered_values!(CommandKind, Kind, ReasonCode, Status, Verdict);

impl<T: ColumnValue> ColumnValue for Option<T> {
    type Element<'a>
        = Option<T::Element<'a>>
    where
        Self: 'a;

    fn element(&self) -> Self::Element<'_> {
        self.as_ref().map(T::element)
    }

    fn sqlite(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, T::sqlite)
    }

    fn read(row: &impl StoredRow, index: usize) -> Result<Self, StoreError> {
        if row.is_null(index)? { Ok(None) } else { T::read(row, index).map(Some) }
    }
}

#[cfg(test)]
mod tests;
