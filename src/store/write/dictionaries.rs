//! Adds the dictionaries of this version to a database, before the first delivery that is compressed with them.

use crate::store::StoreError;
use crate::store::payload::VendorDictionary;
use rusqlite::{Connection, params};
use sea_orm::sqlx::{self, PgConnection};
use std::collections::HashSet;

const SELECT_IDS: &str = "SELECT id FROM payload_dictionary";
/// Another process may add the same dictionary at the same time.
const INSERT: &str =
    "INSERT INTO payload_dictionary (id, vendor, content) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";

/// Within the transaction that is open.
pub fn add_to_sqlite(connection: &Connection) -> Result<(), StoreError> {
    let mut ids = connection.prepare(SELECT_IDS)?;
    let stored: HashSet<i32> = ids.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for dictionary in missing(&stored) {
        connection.execute(INSERT, params![dictionary.id, dictionary.vendor, dictionary.content])?;
    }
    Ok(())
}

/// Each in a transaction of its own, which is durable when this returns.
pub async fn add_to_postgres(connection: &mut PgConnection) -> sqlx::Result<()> {
    let stored: Vec<i32> = sqlx::query_scalar(SELECT_IDS).fetch_all(&mut *connection).await?;
    for dictionary in missing(&stored.into_iter().collect()) {
        let insert = sqlx::query(INSERT).bind(dictionary.id).bind(&dictionary.vendor).bind(&*dictionary.content);
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

fn missing(stored: &HashSet<i32>) -> impl Iterator<Item = &'static VendorDictionary> {
    VendorDictionary::all().filter(|dictionary| !stored.contains(&dictionary.id))
}
