//! What differs, value by value, and which events the differences come from.

use super::derived_tables::DerivedTable;
use crate::store::StoreError;
use entity::change::{Column, Entity};
use entity::{Kind, ReasonCode, Status, Verdict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryFilter, QuerySelect, Value,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Differences that are listed; the others are only counted.
const MAX_LISTED: usize = 10_000;
/// Positions in one look-up.
const POSITIONS_PER_STATEMENT: usize = 500;
/// Columns that hold JSON.
const JSON_COLUMNS: [&str; 4] = ["facts", "details", "field_versions", "fold_state"];

/// The result of a comparison.
#[derive(Debug, Default)]
pub struct Differences {
    /// The first differences.
    pub listed: Vec<Difference>,
    /// The number of differences.
    pub total: u64,
    /// The number of rows compared.
    pub rows_compared: u64,
    /// How many of them were compared value by value, because nothing faster showed that they are equal.
    pub rows_compared_by_value: u64,
    /// The number of differences in each table.
    pub by_table: BTreeMap<&'static str, u64>,
    /// The rows that differ, by what they come from.
    pub by_origin: BTreeMap<DifferenceOrigin, DifferenceSummary>,
    pub(in crate::rebuild) differing_keys: DifferingKeys,
    /// Rows by table, vendor and the position of the change that caused them, until its event is looked up.
    unresolved: Vec<(&'static str, String, i64, DifferenceSummary)>,
}

/// The leading keys of the rows that differ, by table.
#[derive(Clone, Debug, Default)]
pub struct DifferingKeys(BTreeMap<&'static str, BTreeSet<i64>>);

/// A stored value that differs from the derived one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub table: &'static str,
    /// The name of the row.
    pub row: String,
    /// The column, with the path in it if it holds JSON; empty for a whole row.
    pub field: String,
    /// None if it is not stored.
    pub stored: Option<String>,
    /// None if it would not be there.
    pub derived: Option<String>,
}

/// What rows come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DifferenceOrigin {
    pub table: &'static str,
    /// Empty for rows of no vendor.
    pub vendor: String,
    /// The newest event that changed the row; empty if it is unknown.
    pub event: String,
}

/// The extent of the differences of one origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DifferenceSummary {
    pub rows: u64,
    /// The columns that differ.
    pub columns: BTreeSet<&'static str>,
    /// How many of the rows are only stored, and how many only derived.
    pub only_stored: u64,
    pub only_derived: u64,
}

/// The event that caused a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowCause {
    Event(String),
    /// The event of the change at this position.
    Change(i64),
}

impl Differences {
    /// Adds a row that differs, or that exists on one side only.
    pub(super) fn add_row<T: DerivedTable>(&mut self, stored: Option<&T::Model>, derived: Option<&T::Model>) {
        let (Some(named), Some(caused)) = (stored.or(derived), derived.or(stored)) else { return };
        let mut add = |field: String, stored, derived| {
            self.add(Difference { table: T::NAME, row: T::describe(named), field, stored, derived });
        };
        let mut columns = BTreeSet::new();
        if let (Some(stored), Some(derived)) = (stored, derived) {
            for column in T::Column::iter().filter(|column| stored.get(*column) != derived.get(*column)) {
                let name = column.as_str();
                let (ours, theirs) =
                    (flatten_fields(name, &stored.get(column)), flatten_fields(name, &derived.get(column)));
                let all: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
                for field in all.into_iter().filter(|field| ours.get(*field) != theirs.get(*field)) {
                    columns.insert(name);
                    add(field.clone(), ours.get(field).cloned(), theirs.get(field).cloned());
                }
            }
            // JSON may be written differently and be equal.
            if columns.is_empty() {
                return;
            }
        } else {
            add(String::new(), stored.map(|_| String::new()), derived.map(|_| String::new()));
        }
        let (only_stored, only_derived) = (u64::from(derived.is_none()), u64::from(stored.is_none()));
        let summary = DifferenceSummary { rows: 1, columns, only_stored, only_derived };
        if let Some(key) = T::leading_key(caused) {
            self.differing_keys.0.entry(T::NAME).or_default().insert(key);
        }
        match T::cause(caused) {
            (vendor, RowCause::Event(event)) => self.count_rows(T::NAME, vendor, event, summary),
            (vendor, RowCause::Change(position)) => self.unresolved.push((T::NAME, vendor, position, summary)),
        }
    }

    fn add(&mut self, difference: Difference) {
        self.total += 1;
        *self.by_table.entry(difference.table).or_default() += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(difference);
        }
    }

    fn count_rows(&mut self, table: &'static str, vendor: String, event: String, more: DifferenceSummary) {
        let summary = self.by_origin.entry(DifferenceOrigin { table, vendor, event }).or_default();
        summary.rows += more.rows;
        summary.columns.extend(more.columns);
        summary.only_stored += more.only_stored;
        summary.only_derived += more.only_derived;
    }

    /// Looks up the events that caused rows, in the derived history.
    pub(super) async fn resolve_causes<C: ConnectionTrait>(&mut self, derived: &C) -> Result<(), StoreError> {
        let mut rows = std::mem::take(&mut self.unresolved);
        rows.sort_unstable_by_key(|(_, _, position, _)| *position);
        for rows in rows.chunks(POSITIONS_PER_STATEMENT) {
            let events = Entity::find()
                .select_only()
                .columns([Column::Position, Column::Vendor, Column::Event])
                .filter(Column::Position.is_in(rows.iter().map(|(_, _, position, _)| *position)));
            let events: Vec<(i64, String, String)> = events.into_tuple().all(derived).await?;
            let events: HashMap<i64, (String, String)> =
                events.into_iter().map(|(position, vendor, event)| (position, (vendor, event))).collect();
            for (table, vendor, position, summary) in rows {
                let (known, event) = events.get(position).cloned().unwrap_or_default();
                let vendor = if vendor.is_empty() { known } else { vendor.clone() };
                self.count_rows(table, vendor, event, summary.clone());
            }
        }
        Ok(())
    }
}

impl DifferingKeys {
    /// The keys of a table.
    pub fn keys<T: DerivedTable>(&self) -> Vec<i64> {
        self.0.get(T::NAME).map(|keys| keys.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether any row of a table differs.
    pub fn contains_table<T: DerivedTable>(&self) -> bool {
        self.0.contains_key(T::NAME)
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Adds the keys of another comparison.
    pub fn extend(&mut self, other: DifferingKeys) {
        for (table, keys) in other.0 {
            self.0.entry(table).or_default().extend(keys);
        }
    }
}

// In the words of the API.
fn display_value(column: &str, value: &Value) -> String {
    match value {
        Value::SmallInt(Some(number)) => match vocabulary_word(column, *number) {
            Some(word) => word.to_owned(),
            None => number.to_string(),
        },
        Value::String(Some(text)) => text.clone(),
        Value::BigInt(Some(number)) => number.to_string(),
        Value::Int(Some(number)) => number.to_string(),
        Value::Bool(Some(yes)) => yes.to_string(),
        Value::Uuid(Some(id)) => id.to_string(),
        Value::Bytes(Some(bytes)) => hex::encode(bytes),
        _ => "null".to_owned(),
    }
}

// The word whose number a column holds.
fn vocabulary_word(column: &str, number: i16) -> Option<&'static str> {
    match column {
        "kind" => Kind::from_number(number).map(Kind::as_str),
        "verdict" => Verdict::from_number(number).map(Verdict::as_str),
        "reason_code" => ReasonCode::from_number(number).map(ReasonCode::as_str),
        "status" | "from_status" | "to_status" | "status_after" => Status::from_number(number).map(Status::as_str),
        _ => None,
    }
}

// The fields of a JSON column, with nested objects flattened; any other column is one field.
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
        None => _ = out.insert(column.to_owned(), display_value(column, value)),
    }
    out
}
