//! The fresh tables, beside the old ones until they take their place. What the two databases say differently is in
//! `sqlite.rs` and `postgres.rs`.
//!
//! Here `change`, `entity` and `step` are replaced as a whole. Of `delivery`, which has the raw log too, only the derived
//! columns change, and only where they differ: these wait in a small table of their own.

use super::{postgres, rows, sqlite};
use crate::store::StoreError;
use crate::store::verify::tables::Table;
use entity::{change, delivery, entity as entities, log_head, step};
use sea_orm::sea_query::{Alias, TableRef};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The tables that are replaced, each with the column by which parts of it can be removed.
pub const TABLES: [(&str, &str); 3] = [("change", "position"), ("entity", "number"), ("step", "entity")];
/// Deliveries in one transaction: so many that SQLite's other writers, who wait meanwhile, hardly notice.
const FEW: usize = 100;
/// How long SQLite's write lock is tried for, and the wait between two tries: a busy writer leaves it for a moment only, and
/// tries as often itself.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_micros(200);

/// The fresh tables of a database.
#[derive(Clone, Copy, Debug)]
pub struct Fresh(DbBackend);

impl Fresh {
    /// Those of a database, whether they are there or not.
    pub fn of(db: &DatabaseConnection) -> Fresh {
        Fresh(db.get_database_backend())
    }

    /// Makes them empty. What an earlier rebuild left is removed.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn make(db: &DatabaseConnection) -> Result<Fresh, StoreError> {
        let fresh = Fresh::of(db);
        if fresh.0 == DbBackend::Sqlite {
            db.execute_unprepared("PRAGMA synchronous = NORMAL").await?;
        }
        fresh.clear(db).await?;
        match fresh.0 {
            DbBackend::Postgres => postgres::make(db).await?,
            _ => sqlite::make(db, &fresh).await?,
        }
        fresh.run(db, &rows::waiting::<delivery::Entity>("TABLE", &fresh.name("delivery"), &rows::DERIVED)).await?;
        Ok(fresh)
    }

    /// Removes what is left beside the tables in use.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn clear(&self, db: &DatabaseConnection) -> Result<(), StoreError> {
        match self.0 {
            DbBackend::Postgres => postgres::clear(db).await,
            _ => sqlite::clear(db, self).await,
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
    pub async fn index(&self, db: &DatabaseConnection) -> Result<(), StoreError> {
        match self.0 {
            DbBackend::Postgres => postgres::index(db).await,
            // There, making an index keeps everybody from writing until it is made.
            _ => Ok(()),
        }
    }

    /// Takes over the derived columns of these deliveries.
    ///
    /// # Errors
    /// If a database fails.
    pub async fn differing(
        &self,
        db: &DatabaseConnection,
        derived: &DatabaseConnection,
        deliveries: &[i64],
    ) -> Result<(), StoreError> {
        for numbers in deliveries.chunks(self.rows()) {
            let rows = rows::of::<delivery::Entity, _>(derived, numbers).await?;
            let (txn, begun) = (self.begin(db).await?, Instant::now());
            self.add_deliveries(&txn, &rows).await?;
            txn.commit().await?;
            self.let_others(begun).await;
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
        rows::renew::<entities::Entity, _>(db, self.table("entity"), derived, &touched).await?;
        rows::renew::<step::Entity, _>(db, self.table("step"), derived, &touched).await?;
        let mut last = since.delivery;
        loop {
            let rows = delivery::Entity::page(Some(&last)).all(derived).await?;
            let Some(newest) = rows.last() else { return Ok(()) };
            last = newest.number;
            self.add_deliveries(db, &rows).await?;
        }
    }

    /// Begins a transaction that can write.
    ///
    /// # Errors
    /// If somebody else writes for too long.
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
                Err(error) if error.is_locked() && begun.elapsed() < PATIENCE => std::thread::sleep(AGAIN),
                txn => return txn,
            }
        }
    }

    /// Begins the transaction that keeps all others from writing until it ends, and whose commit is on the disk. The tables
    /// in use stay.
    ///
    /// # Errors
    /// If somebody else writes for too long.
    pub async fn hold(&self, db: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
        self.begin_locked(db, postgres::hold).await
    }

    /// The same, so that the tables can be exchanged.
    ///
    /// # Errors
    /// If somebody else writes for too long.
    pub async fn lock(&self, db: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
        self.begin_locked(db, postgres::lock).await
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
                Err(error) if error.is_locked() && begun.elapsed() < PATIENCE => txn.rollback().await?,
                locked => return locked.map(|()| txn),
            }
        }
    }

    /// Makes a change to the schema.
    ///
    /// # Errors
    /// If the database refuses, or somebody else writes for too long.
    pub async fn run(&self, db: &DatabaseConnection, text: &str) -> Result<(), StoreError> {
        let (txn, begun) = (self.begin(db).await?, Instant::now());
        txn.execute_unprepared(text).await?;
        txn.commit().await?;
        self.let_others(begun).await;
        Ok(())
    }

    /// Whether the histories after a position differ.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn differs_after<C: ConnectionTrait>(&self, txn: &C, position: i64) -> Result<bool, StoreError> {
        let (old, new) = ("change".to_owned(), self.name("change"));
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
    pub async fn let_others(&self, begun: Instant) {
        if self.0 == DbBackend::Sqlite {
            tokio::time::sleep(begun.elapsed()).await;
        }
    }

    fn rows(&self) -> usize {
        if self.0 == DbBackend::Sqlite { FEW } else { rows::MANY }
    }

    async fn add_deliveries<C: ConnectionTrait>(&self, db: &C, rows: &[delivery::Model]) -> Result<(), StoreError> {
        rows::add_waiting::<delivery::Entity, _>(db, self.table("delivery"), &rows::DERIVED, rows).await
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
            for rows in page.chunks(rows::MANY) {
                rows::add(db, self.table("change"), rows.to_vec()).await?;
            }
        }
    }

    /// What the fresh one is called, in SQL.
    pub fn name(&self, table: &str) -> String {
        match self.0 {
            DbBackend::Postgres => format!("{}.{table}", postgres::SCHEMA),
            _ => format!("{table}{}", sqlite::FRESH),
        }
    }

    fn table(&self, table: &str) -> TableRef {
        match self.0 {
            DbBackend::Postgres => (Alias::new(postgres::SCHEMA), Alias::new(table)).into(),
            _ => Alias::new(self.name(table)).into(),
        }
    }
}
