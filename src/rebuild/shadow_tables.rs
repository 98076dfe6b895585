//! The fresh tables, beside the old ones until they take their place. What the two databases say differently is in
//! `sqlite.rs` and `postgres.rs`.
//!
//! Here `change`, `entity` and `step` are replaced as a whole. Of `delivery`, which has the raw log too, only the derived
//! columns change, and only where they differ: these wait in a small table of their own.

use super::{postgres, row_writes, sqlite};
use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::store::StoreError;
use entity::{change, delivery, entity as entities, log_head, step};
use sea_orm::sea_query::{Alias, TableRef};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The tables that are replaced, each with the column by which parts of it can be removed.
pub const SHADOWED_TABLES: [(&str, &str); 3] =
    [("change", "position"), ("entity", "row_id"), ("step", "entity_row_id")];
/// Deliveries in one transaction: so many that SQLite's other writers, who wait meanwhile, hardly notice.
const SQLITE_ROWS_PER_TRANSACTION: usize = 100;
/// How long SQLite's write lock is tried for, and the wait between two tries: a busy writer leaves it for a moment only, and
/// tries as often itself.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_micros(200);

/// The fresh tables of a database.
#[derive(Clone, Copy, Debug)]
pub struct ShadowTables(DbBackend);

impl ShadowTables {
    /// Those of a database, whether they are there or not.
    pub fn for_database(db: &DatabaseConnection) -> ShadowTables {
        ShadowTables(db.get_database_backend())
    }

    /// Makes them empty. What an earlier rebuild left is removed.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn create(db: &DatabaseConnection) -> Result<ShadowTables, StoreError> {
        let fresh = ShadowTables::for_database(db);
        if fresh.0 == DbBackend::Sqlite {
            db.execute_unprepared("PRAGMA synchronous = NORMAL").await?;
        }
        fresh.drop_leftovers(db).await?;
        match fresh.0 {
            DbBackend::Postgres => postgres::create(db).await?,
            _ => sqlite::create(db, &fresh).await?,
        }
        fresh
            .execute_ddl(
                db,
                &row_writes::staging_table_sql::<delivery::Entity>(
                    "TABLE",
                    &fresh.sql_name("delivery"),
                    &row_writes::DERIVED_COLUMNS,
                ),
            )
            .await?;
        Ok(fresh)
    }

    /// Removes what is left beside the tables in use.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn drop_leftovers(&self, db: &DatabaseConnection) -> Result<(), StoreError> {
        match self.0 {
            DbBackend::Postgres => postgres::drop_leftovers(db).await,
            _ => sqlite::drop_leftovers(db, self).await,
        }
    }

    /// Copies everything from the file of the second database. Calls `done` with how many rows, again and again.
    ///
    /// # Errors
    /// If a database fails.
    pub async fn load(&self, db: &DatabaseConnection, derived: &str, done: &impl Fn(u64)) -> Result<(), StoreError> {
        match self.0 {
            DbBackend::Postgres => postgres::load(db, derived, done).await,
            _ => sqlite::load(db, self, derived, done).await,
        }
    }

    /// Makes the indexes, where they are not there from the start.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn create_indexes(&self, db: &DatabaseConnection) -> Result<(), StoreError> {
        match self.0 {
            DbBackend::Postgres => postgres::create_indexes(db).await,
            // There, making an index keeps everybody from writing until it is made.
            _ => Ok(()),
        }
    }

    /// Takes over the derived columns of these deliveries.
    ///
    /// # Errors
    /// If a database fails.
    pub async fn stage_deliveries(
        &self,
        db: &DatabaseConnection,
        derived: &DatabaseConnection,
        deliveries: &[i64],
    ) -> Result<(), StoreError> {
        for numbers in deliveries.chunks(self.rows_per_transaction()) {
            let rows = row_writes::rows_by_key::<delivery::Entity, _>(derived, numbers).await?;
            let (txn, begun) = (self.begin(db).await?, Instant::now());
            self.stage_delivery_rows(&txn, &rows).await?;
            txn.commit().await?;
            self.yield_to_writers(begun).await;
        }
        Ok(())
    }

    /// Brings them from one head up to what is derived by now.
    ///
    /// # Errors
    /// If a database fails.
    pub async fn refresh<C: ConnectionTrait>(
        &self,
        db: &C,
        derived: &DatabaseConnection,
        since: &log_head::Model,
        touched: &BTreeSet<i64>,
    ) -> Result<(), StoreError> {
        self.append_changes(db, derived, since.position).await?;
        let touched: Vec<i64> = touched.iter().copied().collect();
        row_writes::replace_rows::<entities::Entity, _>(db, self.table_ref("entity"), derived, &touched).await?;
        row_writes::replace_rows::<step::Entity, _>(db, self.table_ref("step"), derived, &touched).await?;
        let mut last = since.last_delivery_row_id;
        loop {
            let rows = delivery::Entity::page(Some(&last)).all(derived).await?;
            let Some(newest) = rows.last() else { return Ok(()) };
            last = newest.row_id;
            self.stage_delivery_rows(db, &rows).await?;
        }
    }

    /// Begins a transaction that can write.
    ///
    /// # Errors
    /// If somebody else writes for too long.
    #[expect(clippy::disallowed_methods, reason = "less than a millisecond, which the runtime's timer cannot wait")]
    pub async fn begin(&self, db: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
        // From the start: SQLite lets nobody write who has read before others wrote.
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let begun = Instant::now();
        loop {
            match db.begin_with_options(immediate).await.map_err(StoreError::from) {
                // The runtime's own clock counts in milliseconds.
                Err(error) if error.is_lock_timeout() && begun.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(LOCK_RETRY_INTERVAL)
                }
                txn => return txn,
            }
        }
    }

    /// Begins the transaction that keeps all others from writing until it ends, and whose commit is on the disk. The tables
    /// in use stay.
    ///
    /// # Errors
    /// If somebody else writes for too long.
    pub async fn lock_writers(&self, db: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
        self.begin_locked(db, postgres::lock_writers).await
    }

    /// The same, so that the tables can be exchanged.
    ///
    /// # Errors
    /// If somebody else writes for too long.
    pub async fn lock_tables(&self, db: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
        self.begin_locked(db, postgres::lock_tables).await
    }

    async fn begin_locked(
        &self,
        db: &DatabaseConnection,
        lock: impl AsyncFn(&DatabaseTransaction) -> Result<(), StoreError>,
    ) -> Result<DatabaseTransaction, StoreError> {
        if self.0 == DbBackend::Sqlite {
            db.execute_unprepared("PRAGMA synchronous = FULL").await?;
            return self.begin(db).await;
        }
        let begun = Instant::now();
        loop {
            let txn = self.begin(db).await?;
            match lock(&txn).await {
                Err(error) if error.is_lock_timeout() && begun.elapsed() < LOCK_TIMEOUT => txn.rollback().await?,
                locked => return locked.map(|()| txn),
            }
        }
    }

    /// Makes a change to the schema.
    ///
    /// # Errors
    /// If the database refuses, or somebody else writes for too long.
    pub async fn execute_ddl(&self, db: &DatabaseConnection, text: &str) -> Result<(), StoreError> {
        let (txn, begun) = (self.begin(db).await?, Instant::now());
        txn.execute_unprepared(text).await?;
        txn.commit().await?;
        self.yield_to_writers(begun).await;
        Ok(())
    }

    /// Whether the histories after a position differ.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn history_differs_after<C: ConnectionTrait>(&self, txn: &C, position: i64) -> Result<bool, StoreError> {
        let (old, new) = ("change".to_owned(), self.sql_name("change"));
        for (one, other) in [(&old, &new), (&new, &old)] {
            let text = format!(
                "SELECT * FROM {one} WHERE position > {position} EXCEPT SELECT * FROM {other} \
                 WHERE position > {position} LIMIT 1"
            );
            if txn.query_one_raw(Statement::from_string(self.0, text)).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives them the names of those in use.
    ///
    /// # Errors
    /// If the database refuses, or somebody reads for too long.
    pub async fn swap<C: ConnectionTrait>(&self, txn: &C) -> Result<(), StoreError> {
        match self.0 {
            DbBackend::Postgres => postgres::swap(txn).await,
            _ => sqlite::swap(txn).await,
        }
    }

    /// Where writers take turns, lets others write for as long as this took.
    pub async fn yield_to_writers(&self, begun: Instant) {
        if self.0 == DbBackend::Sqlite {
            tokio::time::sleep(begun.elapsed()).await;
        }
    }

    fn rows_per_transaction(&self) -> usize {
        if self.0 == DbBackend::Sqlite { SQLITE_ROWS_PER_TRANSACTION } else { row_writes::ROWS_PER_STATEMENT }
    }

    async fn stage_delivery_rows<C: ConnectionTrait>(
        &self,
        db: &C,
        rows: &[delivery::Model],
    ) -> Result<(), StoreError> {
        row_writes::insert_staged::<delivery::Entity, _>(
            db,
            self.table_ref("delivery"),
            &row_writes::DERIVED_COLUMNS,
            rows,
        )
        .await
    }

    async fn append_changes<C: ConnectionTrait>(
        &self,
        db: &C,
        derived: &DatabaseConnection,
        mut last: i64,
    ) -> Result<(), StoreError> {
        loop {
            let page = change::Entity::page(Some(&last)).all(derived).await?;
            let Some(newest) = page.last() else { return Ok(()) };
            last = newest.position;
            for rows in page.chunks(row_writes::ROWS_PER_STATEMENT) {
                row_writes::insert_rows(db, self.table_ref("change"), rows.to_vec()).await?;
            }
        }
    }

    /// What the fresh one is called, in SQL.
    pub fn sql_name(&self, table: &str) -> String {
        match self.0 {
            DbBackend::Postgres => format!("{}.{table}", postgres::SHADOW_SCHEMA),
            _ => format!("{table}{}", sqlite::NEW_SUFFIX),
        }
    }

    fn table_ref(&self, table: &str) -> TableRef {
        match self.0 {
            DbBackend::Postgres => (Alias::new(postgres::SHADOW_SCHEMA), Alias::new(table)).into(),
            _ => Alias::new(self.sql_name(table)).into(),
        }
    }
}
