//! What differs, value by value, and which events that comes from.

use super::derived_tables::{DerivedTable, IntegerKeyed};
use crate::store::StoreError;
use entity::change::{Column, Entity};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryFilter, QuerySelect, Value,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Differences that are kept; the others are counted.
const MAX_LISTED: usize = 10_000;
/// Positions that are looked up at once.
const POSITIONS_PER_STATEMENT: usize = 500;
/// Columns of JSON.
const JSON_COLUMNS: [&str; 4] = ["facts", "details", "field_versions", "fold_state"];

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Differences {
    /// The first of them.
    pub listed: Vec<Difference>,
    /// How many there are.
    pub total: u64,
    /// How many rows were compared.
    pub rows_compared: u64,
    /// How many of them were compared value by value, because nothing quicker said that they are the same.
    pub rows_compared_by_value: u64,
    /// How many there are in each table.
    pub by_table: BTreeMap<&'static str, u64>,
    /// The rows that differ, by what they come from.
    pub by_origin: BTreeMap<DifferenceOrigin, DifferenceSummary>,
    pub(in crate::rebuild) differing_keys: DifferingKeys,
}

/// The numbers of the rows that differ, table by table.
#[derive(Clone, Debug, Default)]
pub struct DifferingKeys(BTreeMap<&'static str, BTreeSet<i64>>);

/// A value that is stored otherwise than it is derived now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub table: &'static str,
    /// What names the row.
    pub row: String,
    /// The column, and the field in it if it is JSON; empty for a whole row.
    pub field: String,
    /// None if it is not there.
    pub stored: Option<String>,
    /// None if it would not be there.
    pub derived: Option<String>,
}

/// What a row comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DifferenceOrigin {
    pub table: &'static str,
    /// Empty for rows that are of no vendor.
    pub vendor: String,
    /// The event that was the newest to change it; empty if that is not known.
    pub event: String,
}

/// How far the differences of one origin go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DifferenceSummary {
    pub rows: u64,
    /// The columns that differ.
    pub columns: BTreeSet<&'static str>,
    /// Rows of these that are only stored, and that are only derived.
    pub only_stored: u64,
    pub only_derived: u64,
}

/// Which event brought a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowCause {
    Event(String),
    /// The one of this position.
    Change(i64),
    NoEvent,
}

/// Rows of a table by vendor and by the position of the change that brought them, until it is known which event that was.
#[derive(Debug, Default)]
pub struct UnresolvedCauses(Vec<(String, i64, DifferenceSummary)>);

impl Differences {
    /// Two rows with the same key.
    pub(super) fn add_changed_row<T: DerivedTable>(
        &mut self,
        stored: &T::Model,
        derived: &T::Model,
        later: &mut UnresolvedCauses,
    ) where
        T::Model: ModelTrait<Entity = T>,
    {
        let mut columns = BTreeSet::new();
        for column in T::Column::iter() {
            let (ours, theirs) = (stored.get(column), derived.get(column));
            if ours == theirs {
                continue;
            }
            let name = column.as_str();
            let (ours, theirs) = (flatten_fields(name, &ours), flatten_fields(name, &theirs));
            let all: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for field in all.into_iter().filter(|field| ours.get(*field) != theirs.get(*field)) {
                columns.insert(name);
                let (ours, theirs) = (ours.get(field).cloned(), theirs.get(field).cloned());
                let (row, field) = (T::describe(stored), field.clone());
                self.add(Difference { table: T::NAME, row, field, stored: ours, derived: theirs });
            }
        }
        // JSON may be printed otherwise and say the same.
        if !columns.is_empty() {
            self.record_cause::<T>(
                derived,
                DifferenceSummary { rows: 1, columns, ..DifferenceSummary::default() },
                later,
            );
        }
    }

    /// A row that is only stored, or only derived.
    pub(super) fn add_missing_row<T: DerivedTable>(
        &mut self,
        row: &T::Model,
        which: OnlyIn,
        later: &mut UnresolvedCauses,
    ) {
        let (stored, derived) = match which {
            OnlyIn::Stored => (Some(String::new()), None),
            OnlyIn::Derived => (None, Some(String::new())),
        };
        let (only_stored, only_derived) = (u64::from(stored.is_some()), u64::from(derived.is_some()));
        self.add(Difference { table: T::NAME, row: T::describe(row), field: String::new(), stored, derived });
        self.record_cause::<T>(
            row,
            DifferenceSummary { rows: 1, only_stored, only_derived, ..DifferenceSummary::default() },
            later,
        );
    }

    fn add(&mut self, difference: Difference) {
        self.total += 1;
        *self.by_table.entry(difference.table).or_default() += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(difference);
        }
    }

    fn record_cause<T: DerivedTable>(
        &mut self,
        row: &T::Model,
        extent: DifferenceSummary,
        later: &mut UnresolvedCauses,
    ) {
        self.differing_keys.insert::<T>(row);
        let (vendor, brought) = T::cause(row);
        match brought {
            RowCause::Event(event) => self.count_rows(T::NAME, vendor, event, extent),
            RowCause::Change(position) => later.0.push((vendor, position, extent)),
            RowCause::NoEvent => self.count_rows(T::NAME, vendor, String::new(), extent),
        }
    }

    fn count_rows(&mut self, table: &'static str, vendor: String, event: String, more: DifferenceSummary) {
        let extent = self.by_origin.entry(DifferenceOrigin { table, vendor, event }).or_default();
        extent.rows += more.rows;
        extent.columns.extend(more.columns);
        extent.only_stored += more.only_stored;
        extent.only_derived += more.only_derived;
    }

    /// Looks up which events brought rows, in the history that was derived anew.
    pub(super) async fn resolve_causes<C: ConnectionTrait>(
        &mut self,
        table: &'static str,
        rows: UnresolvedCauses,
        derived: &C,
    ) -> Result<(), StoreError> {
        let mut rows = rows.0;
        rows.sort_unstable_by_key(|(_, position, _)| *position);
        for rows in rows.chunks(POSITIONS_PER_STATEMENT) {
            let events = Entity::find()
                .select_only()
                .columns([Column::Position])
                .columns([Column::Vendor, Column::Event])
                .filter(Column::Position.is_in(rows.iter().map(|(_, position, _)| *position)));
            let events: Vec<(i64, String, String)> = events.into_tuple().all(derived).await?;
            let events: HashMap<i64, (String, String)> =
                events.into_iter().map(|(position, vendor, event)| (position, (vendor, event))).collect();
            for (vendor, position, extent) in rows {
                let (known, event) = events.get(position).cloned().unwrap_or_default();
                let vendor = if vendor.is_empty() { known } else { vendor.clone() };
                self.count_rows(table, vendor, event, extent.clone());
            }
        }
        Ok(())
    }
}

impl DifferingKeys {
    fn insert<T: DerivedTable>(&mut self, row: &T::Model) {
        if let Some(number) = T::leading_key(row) {
            self.0.entry(T::NAME).or_default().insert(number);
        }
    }

    /// Those of a table.
    pub fn keys<T: IntegerKeyed>(&self) -> Vec<i64> {
        self.0.get(T::NAME).map(|numbers| numbers.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether there are any in a table.
    pub fn contains_table<T: DerivedTable>(&self) -> bool {
        self.0.contains_key(T::NAME)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Those of another comparison as well.
    pub fn extend(&mut self, other: DifferingKeys) {
        for (table, numbers) in other.0 {
            self.0.entry(table).or_default().extend(numbers);
        }
    }
}

/// Where a row is that the other side does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlyIn {
    Stored,
    Derived,
}

fn display_value(value: &Value) -> String {
    match value {
        Value::String(Some(text)) => text.clone(),
        Value::BigInt(Some(number)) => number.to_string(),
        Value::Int(Some(number)) => number.to_string(),
        Value::Bool(Some(yes)) => yes.to_string(),
        Value::Uuid(Some(id)) => id.to_string(),
        Value::Bytes(Some(bytes)) => hex::encode(bytes),
        _ => "none".to_owned(),
    }
}

// A column of JSON field by field, as deep as objects go; any other as it is.
fn flatten_fields(column: &str, value: &Value) -> BTreeMap<String, String> {
    fn flatten(name: String, value: serde_json::Value, out: &mut BTreeMap<String, String>) {
        match value {
            serde_json::Value::Object(object) => {
                object.into_iter().for_each(|(field, value)| flatten(format!("{name}.{field}"), value, out));
            }
            other => _ = out.insert(name, other.to_string()),
        }
    }
    let mut out = BTreeMap::new();
    let json = match value {
        Value::String(Some(text)) if JSON_COLUMNS.contains(&column) => serde_json::from_str(text).ok(),
        _ => None,
    };
    match json {
        Some(json) => flatten(column.to_owned(), json, &mut out),
        None => _ = out.insert(column.to_owned(), display_value(value)),
    }
    out
}
