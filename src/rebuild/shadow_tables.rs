//! The new tables, beside the ones in use until they replace them. `sqlite.rs` and `postgres.rs` hold what differs.
//!
//! `change_row`, `entity`, `step` and `update_order` are replaced as a whole. Of `delivery` and `command`, which also are the raw log,
//! only derived columns change, and only where they differ: their values wait in staging tables.

use super::row_writes::LogTable;
use super::throttle::LoadThrottle;
use super::{postgres, row_writes, sqlite, update_order};
use crate::rebuild::verify::derived_tables::DerivedTable;
use crate::store::{StoreError, begin_writing};
use entity::{change_row, command, delivery, entity as entities, log_head, step};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, TableRef};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The tables that are replaced, each with the column by which chunks of it can be deleted; empty if its rows are so small that it is
/// dropped at once.
pub const SHADOWED_TABLES: [(&str, &str); 4] =
    [("change_row", "position"), ("entity", "row_id"), ("step", "entity_row_id"), ("update_order", "")];
/// Deliveries in one transaction: so few that SQLite's other writers hardly wait.
const SQLITE_ROWS_PER_TRANSACTION: usize = 100;
/// The wait between two attempts to take SQLite's write lock: a busy writer releases it only for a moment, and retries as
/// often.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_micros(200);

/// The new tables of a database, whether they exist or not.
#[derive(Debug)]
pub struct ShadowTables {
    pub connection: DatabaseConnection,
}

impl ShadowTables {
    /// Creates the tables, empty. Drops what an earlier rebuild left.
    pub async fn create(connection: DatabaseConnection) -> Result<ShadowTables, StoreError> {
        let tables = ShadowTables { connection };
        if tables.backend() == DbBackend::Sqlite {
            tables.connection.execute_unprepared("PRAGMA synchronous = NORMAL").await?;
        }
        tables.drop_leftovers().await?;
        match tables.backend() {
            DbBackend::Postgres => postgres::create(&tables.connection).await?,
            _ => sqlite::create(&tables).await?,
        }
        tables.create_staging::<delivery::Entity>().await?;
        tables.create_staging::<command::Entity>().await?;
        Ok(tables)
    }

    async fn create_staging<T: LogTable>(&self) -> Result<(), StoreError> {
        let name = self.sql_name(T::NAME);
        self.execute_ddl(&row_writes::staging_table_sql::<T>("TABLE", &name, T::DERIVED_COLUMNS)).await
    }

    fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    /// Drops what is left beside the tables in use.
    pub async fn drop_leftovers(&self) -> Result<(), StoreError> {
        match self.backend() {
            DbBackend::Postgres => postgres::drop_leftovers(&self.connection).await,
            _ => sqlite::drop_leftovers(self).await,
        }
    }

    /// Copies all rows from the file of the second database, and creates the indexes, which SQLite's tables have from the
    /// start. Calls `on_progress` repeatedly with a number of rows.
    pub async fn load(&self, derived: &str, on_progress: &impl Fn(u64)) -> Result<(), StoreError> {
        match self.backend() {
            DbBackend::Postgres => postgres::load(&self.connection, derived, on_progress).await?,
            _ => sqlite::load(self, derived, on_progress).await?,
        }
        self.add_all_places().await
    }

    // The entities' places in the order of updates.
    async fn add_all_places(&self) -> Result<(), StoreError> {
        let mut throttle = LoadThrottle::new();
        let newest = Query::select().expr_as(Expr::col("row_id").max(), "newest").from(self.table_ref("entity")).take();
        let newest = self.connection.query_one(&newest).await?;
        let newest: Option<i64> = newest.map(|row| row.try_get("", "newest")).transpose()?.flatten();
        let mut last = 0;
        while last < newest.unwrap_or_default() {
            let first = last + 1;
            last += throttle.chunk_rows();
            let tried = Instant::now();
            let (txn, begun) = (self.begin().await?, Instant::now());
            let which = Expr::col("row_id").between(first, last);
            update_order::add_places(&txn, self.table_ref("update_order"), self.table_ref("entity"), which).await?;
            txn.commit().await?;
            throttle.pause(&self.connection, begun - tried, begun.elapsed()).await?;
        }
        Ok(())
    }

    /// Stages the derived columns of these records.
    pub async fn stage_records<T: LogTable>(
        &self,
        derived: &DatabaseConnection,
        records: &[i64],
    ) -> Result<(), StoreError> {
        let rows_per_transaction = match self.backend() {
            DbBackend::Postgres => row_writes::ROWS_PER_STATEMENT,
            _ => SQLITE_ROWS_PER_TRANSACTION,
        };
        for row_ids in records.chunks(rows_per_transaction) {
            let rows = row_writes::rows_by_key::<T>(derived, row_ids).await?;
            let (txn, begun) = (self.begin().await?, Instant::now());
            self.stage_rows::<T>(&txn, &rows).await?;
            txn.commit().await?;
            self.yield_to_writers(begun).await;
        }
        Ok(())
    }

    /// Brings the tables from the state of `since` to what is derived by now.
    pub async fn refresh<C: ConnectionTrait>(
        &self,
        db: &C,
        derived: &DatabaseConnection,
        since: &log_head::Model,
        touched: &BTreeSet<i64>,
    ) -> Result<(), StoreError> {
        self.append_changes(db, derived, since.position).await?;
        let touched: Vec<i64> = touched.iter().copied().collect();
        row_writes::replace_rows::<entities::Entity>(db, self.table_ref("entity"), derived, &touched).await?;
        row_writes::replace_rows::<step::Entity>(db, self.table_ref("step"), derived, &touched).await?;
        for row_ids in touched.chunks(row_writes::ROWS_PER_STATEMENT) {
            let which = Expr::col("row_id").is_in(row_ids.iter().copied());
            update_order::add_places(db, self.table_ref("update_order"), self.table_ref("entity"), which).await?;
        }
        self.stage_rows_after::<delivery::Entity>(db, derived, since.last_delivery_row_id).await?;
        self.stage_rows_after::<command::Entity>(db, derived, since.last_delivery_row_id).await
    }

    async fn stage_rows_after<T: LogTable>(
        &self,
        db: &impl ConnectionTrait,
        derived: &DatabaseConnection,
        mut last: i64,
    ) -> Result<(), StoreError> {
        loop {
            let rows = T::page(last).all(derived).await?;
            let Some(newest) = rows.last().and_then(T::leading_key) else { return Ok(()) };
            last = newest;
            self.stage_rows::<T>(db, &rows).await?;
        }
    }

    /// Copies the staged values into the tables in use.
    pub async fn update_log(&self, txn: &impl ConnectionTrait) -> Result<(), StoreError> {
        self.update_log_table::<delivery::Entity>(txn).await?;
        self.update_log_table::<command::Entity>(txn).await
    }

    async fn update_log_table<T: LogTable>(&self, txn: &impl ConnectionTrait) -> Result<(), StoreError> {
        row_writes::update_from_staging::<T>(txn, &self.sql_name(T::NAME), T::DERIVED_COLUMNS).await
    }

    /// Begins a transaction that can write.
    pub async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        self.begin_locked("").await
    }

    /// Begins a transaction that keeps other processes from writing, and whose commit waits for the disk. The tables in use
    /// are not locked.
    pub async fn lock_writers(&self) -> Result<DatabaseTransaction, StoreError> {
        if self.backend() == DbBackend::Sqlite {
            self.connection.execute_unprepared("PRAGMA synchronous = FULL").await?;
        }
        self.begin_locked(postgres::LOCK_WRITERS).await
    }

    /// As [`Self::lock_writers`], and the tables can be exchanged.
    pub async fn lock_tables(&self) -> Result<DatabaseTransaction, StoreError> {
        if self.backend() == DbBackend::Sqlite {
            return self.lock_writers().await;
        }
        self.begin_locked(&[postgres::LOCK_TABLES, postgres::LOCK_WRITERS].concat()).await
    }

    #[expect(clippy::disallowed_methods, reason = "less than a millisecond, which the runtime's timer cannot wait")]
    async fn begin_locked(&self, locks: &str) -> Result<DatabaseTransaction, StoreError> {
        let wait = || {
            std::thread::sleep(LOCK_RETRY_INTERVAL);
            std::future::ready(())
        };
        begin_writing(&self.connection, locks, wait).await
    }

    /// Changes the schema in a transaction of its own.
    pub async fn execute_ddl(&self, text: &str) -> Result<(), StoreError> {
        let (txn, begun) = (self.begin().await?, Instant::now());
        txn.execute_unprepared(text).await?;
        txn.commit().await?;
        self.yield_to_writers(begun).await;
        Ok(())
    }

    /// Whether the two histories differ after a position.
    pub async fn history_differs_after<C: ConnectionTrait>(&self, txn: &C, position: i64) -> Result<bool, StoreError> {
        let (old, new) = ("change_row".to_owned(), self.sql_name("change_row"));
        for (one, other) in [(&old, &new), (&new, &old)] {
            let text = format!(
                "SELECT * FROM {one} WHERE position > {position} EXCEPT SELECT * FROM {other} \
                 WHERE position > {position} LIMIT 1"
            );
            if txn.query_one_raw(Statement::from_string(self.backend(), text)).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives the new tables the names of those in use.
    pub async fn swap<C: ConnectionTrait>(&self, txn: &C) -> Result<(), StoreError> {
        match self.backend() {
            DbBackend::Postgres => postgres::swap(txn).await,
            _ => sqlite::swap(txn).await,
        }
    }

    /// On SQLite, where writers take turns: lets others write for as long as this took.
    pub async fn yield_to_writers(&self, begun: Instant) {
        if self.backend() == DbBackend::Sqlite {
            tokio::time::sleep(begun.elapsed()).await;
        }
    }

    async fn stage_rows<T: LogTable>(&self, db: &impl ConnectionTrait, rows: &[T::Model]) -> Result<(), StoreError> {
        row_writes::insert_staged::<T>(db, self.table_ref(T::NAME), T::DERIVED_COLUMNS, rows).await
    }

    async fn append_changes<C: ConnectionTrait>(
        &self,
        db: &C,
        derived: &DatabaseConnection,
        mut last: i64,
    ) -> Result<(), StoreError> {
        loop {
            let page = change_row::Entity::page(last).all(derived).await?;
            let Some(newest) = page.last() else { return Ok(()) };
            last = newest.position;
            row_writes::insert_rows(db, self.table_ref("change_row"), page).await?;
        }
    }

    /// The name of a new table, in SQL.
    pub fn sql_name(&self, table: &str) -> String {
        match self.backend() {
            DbBackend::Postgres => format!("{}.{table}", postgres::SHADOW_SCHEMA),
            _ => format!("{table}{}", sqlite::NEW_SUFFIX),
        }
    }

    fn table_ref(&self, table: &str) -> TableRef {
        match self.backend() {
            DbBackend::Postgres => (Alias::new(postgres::SHADOW_SCHEMA), Alias::new(table)).into(),
            _ => Alias::new(self.sql_name(table)).into(),
        }
    }
}
