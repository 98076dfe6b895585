//! Statements over many rows, with few different texts, so that the database prepares each once.

use crate::store::StoreError;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

/// Rows per statement: powers of two up to this.
const MOST: usize = 64;

/// An insert of many rows.
#[derive(Clone, Copy, Debug)]
pub struct Insert {
    pub table: &'static str,
    pub columns: &'static [&'static str],
    /// What to do with rows that are there already, e.g. `ON CONFLICT …`; empty for an error.
    pub conflict: &'static str,
}

impl Insert {
    /// Inserts the rows, each with one value per column.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn run<C: ConnectionTrait>(&self, db: &C, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let size = chunk(rows.len());
            let values: Vec<Value> = rows.by_ref().take(size).flatten().collect();
            let statement = Statement::from_sql_and_values(db.get_database_backend(), self.text(db, size), values);
            db.execute_raw(statement).await?;
        }
        Ok(())
    }

    fn text<C: ConnectionTrait>(&self, db: &C, rows: usize) -> String {
        // A conflict is an error of ours and ends the transaction in any case. If SQLite knows that, it need not keep a
        // copy of every page it touches to undo the one statement.
        let insert = if db.get_database_backend() == DbBackend::Sqlite { "INSERT OR ROLLBACK" } else { "INSERT" };
        let mut text = format!("{insert} INTO {} ({}) VALUES ", self.table, self.columns.join(", "));
        let mut marks = Marks::new(db.get_database_backend());
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            marks.push(&mut text, self.columns.len());
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.conflict);
        text
    }
}

/// Runs a query whose text ends with `IN (…)` over the keys, in as few statements as there are chunks of keys.
///
/// # Errors
/// If the database refuses.
pub async fn select_in<C: ConnectionTrait>(
    db: &C,
    query: &str,
    keys: Vec<Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    let mut found = Vec::new();
    for chunk in keys.chunks(4 * MOST) {
        found.extend(db.query_all_raw(in_list(db, query, chunk)).await?);
    }
    Ok(found)
}

/// Runs a statement whose text ends with `IN (…)` over the keys.
///
/// # Errors
/// If the database refuses.
pub async fn execute_in<C: ConnectionTrait>(db: &C, text: &str, keys: Vec<Value>) -> Result<(), StoreError> {
    for chunk in keys.chunks(4 * MOST) {
        db.execute_raw(in_list(db, text, chunk)).await?;
    }
    Ok(())
}

// A list may repeat a key: it is filled up to a power of two with its last one.
fn in_list<C: ConnectionTrait>(db: &C, text: &str, keys: &[Value]) -> Statement {
    let size = keys.len().next_power_of_two();
    let mut values = keys.to_vec();
    values.extend(keys.last().cloned().into_iter().cycle().take(size - keys.len()));
    let mut text = format!("{text} IN (");
    Marks::new(db.get_database_backend()).push(&mut text, size);
    text.push(')');
    Statement::from_sql_and_values(db.get_database_backend(), text, values)
}

fn chunk(rows: usize) -> usize {
    if rows >= MOST { MOST } else { (rows / 2 + 1).next_power_of_two().min(rows.next_power_of_two()) }
}

// Placeholders in the dialect of the database.
struct Marks {
    backend: DbBackend,
    number: usize,
}

impl Marks {
    fn new(backend: DbBackend) -> Self {
        Marks { backend, number: 0 }
    }

    fn push(&mut self, text: &mut String, count: usize) {
        for mark in 0..count {
            if mark > 0 {
                text.push(',');
            }
            self.number += 1;
            match self.backend {
                DbBackend::Postgres => text.push_str(&format!("${}", self.number)),
                _ => text.push('?'),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::chunk;

    #[test]
    fn rows_are_cut_into_powers_of_two() {
        let cut = |mut rows: usize| {
            let mut sizes = Vec::new();
            while rows > 0 {
                sizes.push(chunk(rows));
                rows -= chunk(rows);
            }
            sizes
        };
        assert_eq!(cut(1), [1]);
        assert_eq!(cut(2), [2]);
        assert_eq!(cut(37), [32, 4, 1]);
        assert_eq!(cut(130), [64, 64, 2]);
    }
}
