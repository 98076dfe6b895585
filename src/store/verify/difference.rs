//! What differs, value by value, and which events that comes from.

use super::tables::{Numbered, Table};
use crate::store::StoreError;
use entity::change::{Column, Entity};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryFilter, QuerySelect, Value,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Differences that are kept; the others are counted.
const KEPT: usize = 10_000;
/// Positions that are looked up at once.
const LOOKED_UP: usize = 500;
/// Columns of JSON.
const JSON: [&str; 4] = ["facts", "details", "stamps", "tip"];

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Differences {
    /// The first of them.
    pub kept: Vec<Difference>,
    /// How many there are.
    pub all: u64,
    /// How many rows were compared.
    pub rows: u64,
    /// How many of them were compared value by value, because nothing quicker said that they are the same.
    pub read: u64,
    /// How many there are in each table.
    pub tables: BTreeMap<&'static str, u64>,
    /// The rows that differ, by what they come from.
    pub origins: BTreeMap<Origin, Extent>,
    pub(in crate::store) differing: Differing,
}

/// The numbers of the rows that differ, table by table.
#[derive(Clone, Debug, Default)]
pub struct Differing(BTreeMap<&'static str, BTreeSet<i64>>);

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
pub struct Origin {
    pub table: &'static str,
    /// Empty for rows that are of no vendor.
    pub vendor: String,
    /// The event that was the newest to change it; empty if that is not known.
    pub event: String,
}

/// How far the differences of one origin go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub rows: u64,
    /// The columns that differ.
    pub columns: BTreeSet<&'static str>,
    /// Rows of these that are only stored, and that are only derived.
    pub only_stored: u64,
    pub only_derived: u64,
}

/// Which event brought a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Brought {
    By(String),
    /// The one of this position.
    At(i64),
    ByNone,
}

/// Rows of a table by vendor and by the position of the change that brought them, until it is known which event that was.
#[derive(Debug, Default)]
pub struct ByPosition(Vec<(String, i64, Extent)>);

impl Differences {
    /// Two rows with the same key.
    pub(super) fn row<T: Table>(&mut self, stored: &T::Model, derived: &T::Model, later: &mut ByPosition)
    where
        T::Model: ModelTrait<Entity = T>,
    {
        let mut columns = BTreeSet::new();
        for column in T::Column::iter() {
            let (ours, theirs) = (stored.get(column), derived.get(column));
            if ours == theirs {
                continue;
            }
            let name = column.as_str();
            let (ours, theirs) = (fields(name, &ours), fields(name, &theirs));
            let all: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for field in all.into_iter().filter(|field| ours.get(*field) != theirs.get(*field)) {
                columns.insert(name);
                let (ours, theirs) = (ours.get(field).cloned(), theirs.get(field).cloned());
                let (row, field) = (T::name(stored), field.clone());
                self.add(Difference { table: T::NAME, row, field, stored: ours, derived: theirs });
            }
        }
        // JSON may be printed otherwise and say the same.
        if !columns.is_empty() {
            self.came_from::<T>(derived, Extent { rows: 1, columns, ..Extent::default() }, later);
        }
    }

    /// A row that is only stored, or only derived.
    pub(super) fn alone<T: Table>(&mut self, row: &T::Model, which: Alone, later: &mut ByPosition) {
        let (stored, derived) = match which {
            Alone::Stored => (Some(String::new()), None),
            Alone::Derived => (None, Some(String::new())),
        };
        let (only_stored, only_derived) = (u64::from(stored.is_some()), u64::from(derived.is_some()));
        self.add(Difference { table: T::NAME, row: T::name(row), field: String::new(), stored, derived });
        self.came_from::<T>(row, Extent { rows: 1, only_stored, only_derived, ..Extent::default() }, later);
    }

    fn add(&mut self, difference: Difference) {
        self.all += 1;
        *self.tables.entry(difference.table).or_default() += 1;
        if self.kept.len() < KEPT {
            self.kept.push(difference);
        }
    }

    fn came_from<T: Table>(&mut self, row: &T::Model, extent: Extent, later: &mut ByPosition) {
        self.differing.note::<T>(row);
        let (vendor, brought) = T::origin(row);
        match brought {
            Brought::By(event) => self.count(T::NAME, vendor, event, extent),
            Brought::At(position) => later.0.push((vendor, position, extent)),
            Brought::ByNone => self.count(T::NAME, vendor, String::new(), extent),
        }
    }

    fn count(&mut self, table: &'static str, vendor: String, event: String, more: Extent) {
        let extent = self.origins.entry(Origin { table, vendor, event }).or_default();
        extent.rows += more.rows;
        extent.columns.extend(more.columns);
        extent.only_stored += more.only_stored;
        extent.only_derived += more.only_derived;
    }

    /// Looks up which events brought rows, in the history that was derived anew.
    pub(super) async fn find_events<C: ConnectionTrait>(
        &mut self,
        table: &'static str,
        rows: ByPosition,
        derived: &C,
    ) -> Result<(), StoreError> {
        let mut rows = rows.0;
        rows.sort_unstable_by_key(|(_, position, _)| *position);
        for rows in rows.chunks(LOOKED_UP) {
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
                self.count(table, vendor, event, extent.clone());
            }
        }
        Ok(())
    }
}

impl Differing {
    fn note<T: Table>(&mut self, row: &T::Model) {
        if let Some(number) = T::number(row) {
            self.0.entry(T::NAME).or_default().insert(number);
        }
    }

    /// Those of a table.
    pub fn of<T: Numbered>(&self) -> Vec<i64> {
        self.0.get(T::NAME).map(|numbers| numbers.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether there are any in a table.
    pub fn has<T: Table>(&self) -> bool {
        self.0.contains_key(T::NAME)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Those of another comparison as well.
    pub fn extend(&mut self, other: Differing) {
        for (table, numbers) in other.0 {
            self.0.entry(table).or_default().extend(numbers);
        }
    }
}

/// Where a row is that the other side does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    Stored,
    Derived,
}

fn shown(value: &Value) -> String {
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
fn fields(column: &str, value: &Value) -> BTreeMap<String, String> {
    fn spread(name: String, value: serde_json::Value, out: &mut BTreeMap<String, String>) {
        match value {
            serde_json::Value::Object(object) => {
                object.into_iter().for_each(|(field, value)| spread(format!("{name}.{field}"), value, out));
            }
            other => _ = out.insert(name, other.to_string()),
        }
    }
    let mut out = BTreeMap::new();
    let json = match value {
        Value::String(Some(text)) if JSON.contains(&column) => serde_json::from_str(text).ok(),
        _ => None,
    };
    match json {
        Some(json) => spread(column.to_owned(), json, &mut out),
        None => _ = out.insert(column.to_owned(), shown(value)),
    }
    out
}
