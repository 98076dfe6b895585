//! Changes of API keys and browser sessions. Each is counted in `access_version` in the same transaction, so that every process
//! reads them again.

use super::connect::DatabaseAddress;
use super::{Database, StoreError, begin_writing};
use entity::access_version::{Column, Entity};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter};
use std::time::Duration;

/// How long a change waits before it tries for the writer's lock again.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// A change that is not committed.
pub struct AccessChange {
    pub txn: DatabaseTransaction,
    _connection: DatabaseConnection,
}

impl AccessChange {
    /// Begins a change that others need not read: it is not counted.
    pub async fn begin_uncounted(db: &Database) -> Result<AccessChange, StoreError> {
        // SQLite's own waits for the writer's lock become longer and longer, so its connection does not wait by itself.
        let connection = match &db.address {
            DatabaseAddress::Sqlite(_) => db.maintenance_connection().await?,
            DatabaseAddress::Postgres(_) => db.write_pool.clone(),
        };
        let txn = begin_writing(&connection, "", || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await?;
        Ok(AccessChange { txn, _connection: connection })
    }

    /// Begins a change. It is counted first, in this row, so that changes follow each other.
    pub async fn begin(db: &Database, counter: i64) -> Result<AccessChange, StoreError> {
        let change = AccessChange::begin_uncounted(db).await?;
        let version = Expr::col(Column::Version).add(1);
        let update = Entity::update_many().col_expr(Column::Version, version).filter(Column::Id.eq(counter));
        update.exec(&change.txn).await?;
        Ok(change)
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.txn.commit().await?)
    }
}

/// The number of changes so far, of this row.
pub async fn access_version(db: &Database, counter: i64) -> Result<i64, StoreError> {
    let row = db.with_timeout(Entity::find_by_id(counter).one(access_connection(db))).await?;
    row.map(|row| row.version).ok_or_else(|| StoreError::Corrupt(format!("access_version has no row {counter}")))
}

/// Not one of the connections that read: they may all be in use, and a revocation must not wait for them.
pub fn access_connection(db: &Database) -> &DatabaseConnection {
    &db.write_pool
}
