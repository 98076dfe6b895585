//! Reads the processes on the database, and what the database is.

use crate::store::{ReadPool, StoreError};
use async_graphql::Enum;
use entity::replica::{Column, Entity, Model};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, Statement, TryGetable};

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum DatabaseKind {
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL database.
    Postgresql,
}

/// The processes that have written their row, the first started first.
pub async fn replicas(db: &ReadPool) -> Result<Vec<Model>, StoreError> {
    Ok(Entity::find().order_by_asc(Column::StartedAt).order_by_asc(Column::Id).all(db).await?)
}

pub fn database_kind(db: &ReadPool) -> DatabaseKind {
    match db.get_database_backend() {
        DbBackend::Postgres => DatabaseKind::Postgresql,
        _ => DatabaseKind::Sqlite,
    }
}

/// The version of SQLite, or of the PostgreSQL server.
pub async fn database_version(db: &ReadPool) -> Result<String, StoreError> {
    let by_backend = ("SELECT sqlite_version() AS value", "SELECT current_setting('server_version') AS value");
    Ok(single_value(db, by_backend).await?.unwrap_or_default())
}

/// The size of the database in bytes: of SQLite's main file, or of all that PostgreSQL has for the database.
pub async fn database_size(db: &ReadPool) -> Result<i64, StoreError> {
    let by_backend = (
        "SELECT page_count * page_size AS value FROM pragma_page_count(), pragma_page_size()",
        "SELECT pg_database_size(current_database()) AS value",
    );
    Ok(single_value(db, by_backend).await?.unwrap_or_default())
}

async fn single_value<T: TryGetable>(db: &ReadPool, (sqlite, postgres): (&str, &str)) -> Result<Option<T>, StoreError> {
    let text = if database_kind(db) == DatabaseKind::Postgresql { postgres } else { sqlite };
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await?;
    Ok(row.map(|row| row.try_get("", "value")).transpose()?)
}
