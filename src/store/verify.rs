//! Whether the tables are what the raw log says: every delivery is read and applied anew, into a database of its own, and the
//! outcome is compared row by row. The hub may go on meanwhile: all is read as it was at one moment.

use super::{Incoming, Place, Post, StoreError, Writer};
use crate::vendor;
use crate::vendor::verify::Verified;
use chrono::DateTime;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, Row};
use std::collections::BTreeMap;

/// Deliveries in one transaction.
const BATCH: i64 = 512;
/// Differences that are kept; the others are counted.
const KEPT: usize = 10_000;

/// The tables that are derived: what names a row, its key, and the columns that are compared. Repetitions leave no row, so
/// their counts cannot be derived.
const TABLES: [Table; 6] = [
    Table {
        name: "delivery",
        row: "'delivery ' || number || ', ' || vendor || ' ' || event",
        key: "number",
        columns: "number, source, vendor, received_at, method, news, event, occurred_at, verdict, reason, first_position, \
                  changes",
    },
    Table {
        name: "change",
        row: "'position ' || position || ', ' || vendor || ' ' || event || ', delivery ' || delivery",
        key: "position",
        columns: "*",
    },
    Table {
        name: "entity",
        row: "source || ' ' || kind || ' ' || CASE subkind WHEN '' THEN '' ELSE subkind || ' ' END || external_id",
        key: "number",
        columns: "*",
    },
    Table {
        name: "step",
        row: "'entity ' || entity || ', step ' || seq",
        key: "entity, effective_at, seq",
        columns: "*",
    },
    Table {
        name: "ledger",
        row: "source",
        key: "source",
        columns: "received - duplicates AS taken, applied, skipped_ahead, stale, refused, no_change, unrecognized, \
                  unreadable, orphaned",
    },
    Table { name: "log_head", row: "'counters'", key: "id", columns: "position, delivery, entity, received_at" },
];

struct Table {
    name: &'static str,
    row: &'static str,
    key: &'static str,
    columns: &'static str,
}

/// The raw log of a database, and what was derived from it, as they were at one moment.
#[derive(Debug)]
pub struct Stored {
    connection: Connection,
    /// How many deliveries there are.
    pub deliveries: i64,
    /// The newest position.
    pub position: i64,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Differences {
    /// The first of them.
    pub kept: Vec<Difference>,
    /// How many there are.
    pub all: u64,
    /// How many rows were compared.
    pub rows: u64,
}

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

impl Stored {
    /// Opens a database to read it as it is now.
    ///
    /// # Errors
    /// If it cannot be read, or was never migrated.
    pub fn open(address: &str) -> Result<Stored, StoreError> {
        let Place::File(path) = Place::of(address)? else {
            return Err(StoreError::Address("only a SQLite database can be verified so far".into()));
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch("BEGIN")?;
        let (deliveries, position) = connection
            .query_row("SELECT delivery, position FROM log_head", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Stored { connection, deliveries, position })
    }

    /// Applies all deliveries anew, in the order in which they were first applied. Calls `done` with how many, again and
    /// again.
    ///
    /// # Errors
    /// If a database fails, or a delivery cannot be applied at all.
    pub fn replay(&self, into: &mut Writer, done: impl Fn(u64)) -> Result<(), StoreError> {
        let text = "SELECT number, source, vendor, received_at, method, headers, body FROM delivery \
                    WHERE number > ? ORDER BY number LIMIT ?";
        let mut statement = self.connection.prepare(text)?;
        let mut last = 0;
        loop {
            let mut batch = Vec::new();
            let mut rows = statement.query([last, BATCH])?;
            while let Some(row) = rows.next()? {
                last = row.get(0)?;
                batch.push(delivery(row)?);
            }
            if batch.is_empty() {
                return Ok(());
            }
            for (receipt, number) in into.write(&batch)?.receipts.iter().zip(last + 1 - batch.len() as i64..) {
                if receipt.delivery != number {
                    return Err(StoreError::Corrupt(format!(
                        "delivery {number} now counts as a repetition of delivery {}: the positions after it differ, so \
                         nothing can be compared",
                        receipt.delivery
                    )));
                }
            }
            into.rest(batch.len());
            done(batch.len() as u64);
        }
    }

    /// Compares what is stored with what was derived anew.
    ///
    /// # Errors
    /// If a database fails.
    pub fn compare(&self, derived: &Stored) -> Result<Differences, StoreError> {
        let mut differences = Differences::default();
        for table in &TABLES {
            differences.look(table, self, derived)?;
        }
        Ok(differences)
    }
}

fn delivery(row: &Row<'_>) -> Result<Incoming, StoreError> {
    let (number, vendor): (i64, String) = (row.get(0)?, row.get(2)?);
    let corrupt = |what: &str| StoreError::Corrupt(format!("delivery {number} has {what}"));
    let headers: String = row.get(5)?;
    let named: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&headers).map_err(|_| corrupt("headers that are no JSON object"))?;
    let method: String = row.get(4)?;
    let body: Vec<u8> = row.get(6)?;
    let post = Post {
        source: row.get::<_, String>(1)?.into(),
        vendor: vendor::by_name(&vendor).ok_or_else(|| corrupt("a vendor that this version does not know"))?,
        received_at: DateTime::from_timestamp_micros(row.get(3)?).ok_or_else(|| corrupt("an impossible time"))?,
        method: if method == "PUT" { "PUT" } else { "POST" },
        content_type: named.get("content-type").and_then(|value| value.as_str()).map(str::to_owned),
        headers,
        body: body.into(),
    };
    let body = post.body.clone();
    Ok(Incoming::read(&Verified::before(&body), post))
}

impl Differences {
    // Both in the order of the key, side by side.
    fn look(&mut self, table: &'static Table, stored: &Stored, derived: &Stored) -> Result<(), StoreError> {
        let Table { name, row, key, columns } = table;
        let text = format!("SELECT {row} AS row, {key}, {columns} FROM {name} ORDER BY {key}");
        let keys = 1..=key.split(',').count();
        let (mut ours, mut theirs) = (stored.connection.prepare(&text)?, derived.connection.prepare(&text)?);
        let names: Vec<String> = ours.column_names().into_iter().map(str::to_owned).collect();
        let (mut ours, mut theirs) = (ours.query([])?, theirs.query([])?);
        let read = |row: Option<&Row<'_>>| -> Result<Option<Vec<Value>>, StoreError> {
            let Some(row) = row else { return Ok(None) };
            let values = (0..names.len()).map(|column| row.get::<_, Value>(column));
            Ok(Some(values.collect::<rusqlite::Result<_>>()?))
        };
        let (mut one, mut other) = (read(ours.next()?)?, read(theirs.next()?)?);
        while one.is_some() || other.is_some() {
            self.rows += 1;
            let key = |row: &Vec<Value>| row.get(keys.clone()).map(|key| key.iter().map(order).collect::<Vec<_>>());
            let order = match (&one, &other) {
                (Some(one), Some(other)) => key(one).cmp(&key(other)),
                (Some(_), None) => std::cmp::Ordering::Less,
                _ => std::cmp::Ordering::Greater,
            };
            if order.is_eq() {
                if let (Some(one), Some(other)) = (&one, &other) {
                    self.row(name, &names, one, other);
                }
            } else {
                let (row, there) = if order.is_lt() { (&one, true) } else { (&other, false) };
                let label = row.as_ref().and_then(|row| row.first()).map(shown).unwrap_or_default();
                let (stored, derived) = (there.then(String::new), (!there).then(String::new));
                self.add(Difference { table: name, row: label, field: String::new(), stored, derived });
            }
            if order.is_le() {
                one = read(ours.next()?)?;
            }
            if order.is_ge() {
                other = read(theirs.next()?)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, table: &'static str, names: &[String], stored: &[Value], derived: &[Value]) {
        let label = stored.first().map(shown).unwrap_or_default();
        for ((name, stored), derived) in names.iter().zip(stored).zip(derived).skip(1) {
            if stored == derived {
                continue;
            }
            let (stored, derived) = (fields(name, stored), fields(name, derived));
            let all: std::collections::BTreeSet<&String> = stored.keys().chain(derived.keys()).collect();
            for field in all.into_iter().filter(|field| stored.get(*field) != derived.get(*field)) {
                let (stored, derived) = (stored.get(field).cloned(), derived.get(field).cloned());
                self.add(Difference { table, row: label.clone(), field: field.clone(), stored, derived });
            }
        }
    }

    fn add(&mut self, difference: Difference) {
        self.all += 1;
        if self.kept.len() < KEPT {
            self.kept.push(difference);
        }
    }
}

// Keys are whole numbers or names.
fn order(value: &Value) -> (i64, String) {
    match value {
        Value::Integer(number) => (*number, String::new()),
        other => (0, shown(other)),
    }
}

fn shown(value: &Value) -> String {
    match ValueRef::from(value) {
        ValueRef::Null => "none".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => hex::encode(bytes),
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
    let json = match (column, value) {
        ("facts" | "details" | "stamps" | "tip", Value::Text(text)) => serde_json::from_str(text).ok(),
        _ => None,
    };
    match json {
        Some(json) => spread(column.to_owned(), json, &mut out),
        None => _ = out.insert(column.to_owned(), shown(value)),
    }
    out
}
