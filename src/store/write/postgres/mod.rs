//! The writing connection of PostgreSQL. Across a network each round trip costs time, so a batch makes few: one for all entities,
//! one for all dedup keys, and one statement that writes every table (`statement.rs`).
//!
//! Not sea-orm, because arrays make one statement of a batch: the driver below it, on a connection of its own.

mod invalidation_log;
mod statement;
#[cfg(test)]
mod tests;

use super::change_type::KnownTypes;
use super::columns::{ColumnNames, OriginalRow, StepRow, TableRow};
use super::connection::{BatchRows, BegunTransaction, WriteConnection};
use super::dictionaries;
use super::row_mapping::{entity_from_row, step_from_row};
use super::sql::{SELECT_UNLINKED_CHILDREN, select_originals, select_steps};
use crate::event::FoldedEntity;
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use crate::store::connect::{PoolSettings, open_connection, timeout_settings};
use entity::{idempotency_key, log_head};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Executor, Row};
use statement::WriteStatements;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// What PostgreSQL may take beyond its own limits to report a timeout, before the connection counts as lost.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);
/// READ COMMITTED, whatever the database's default: a writer that waited for the counters then sees what the other has written.
static BEGIN: LazyLock<String> = LazyLock::new(|| {
    let counters = ColumnNames::of::<log_head::Model>().list();
    format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT {counters} FROM log_head WHERE id = 1 FOR UPDATE")
});
/// The batches of other writers since a value of `log_head.updated_at`.
const SELECT_INVALIDATIONS: &str =
    "SELECT slot, head_before, head_after, entity_ids FROM invalidation_log WHERE head_after >";
static SELECT_ENTITIES: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {} FROM entity WHERE id = ANY($1)", ColumnNames::of::<entity::entity::Model>().list())
});
static SELECT_IDEMPOTENCY_KEYS: LazyLock<String> = LazyLock::new(|| {
    let columns = ColumnNames::of::<idempotency_key::Model>().list();
    format!("SELECT {columns} FROM idempotency_key WHERE digest = ANY($1)")
});
static ORIGINALS_BY_POSITION: LazyLock<String> = LazyLock::new(|| {
    let rows =
        "change_row JOIN delivery ON delivery.row_id = change_row.delivery_row_id WHERE change_row.position = ANY($1)";
    select_originals("change_row.position", rows)
});
static ORIGINALS_BY_KEY: LazyLock<String> =
    LazyLock::new(|| select_originals("delivery.dedup_key", "delivery WHERE delivery.dedup_key = ANY($1)"));

/// After this many failures in a row the connection is replaced, whatever the reason.
const MAX_FAILURES: u32 = 3;

/// After so many batches in a row without another writer, transactions are optimistic: one statement, without a BEGIN before.
const UNCONTENDED_THRESHOLD: u32 = 16;

/// The connection, which is replaced when it is lost.
#[derive(Debug)]
pub struct PostgresWriteConnection {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    options: PgConnectOptions,
    /// Run on each new connection.
    session_settings: String,
    connection: Option<PgConnection>,
    statements: WriteStatements,
    known_types: KnownTypes,
    /// Whether a transaction is open on it.
    in_transaction: bool,
    /// How many transactions in a row have failed on it.
    failures: u32,
    /// How many batches in a row found that nobody else had written.
    uncontended_batches: u32,
    /// The newest known slot of the invalidation log.
    log_slot: i32,
    /// How long a response may take.
    response_timeout: Duration,
    /// How long connecting may take.
    connect_timeout: Duration,
}

impl PostgresWriteConnection {
    /// Connects on first use. Fails if the process cannot create a runtime.
    pub fn open(options: &PgConnectOptions, pools: PoolSettings) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::task("the runtime for PostgreSQL", error))?;
        // Whatever the database's defaults: a commit is on the disk when it returns, and a statement that waited for a lock sees
        // what the holder has written. All look-ups are by key, so sequential scans and other joins are disabled: a generic plan
        // that was made while a table was empty would stay.
        let set = format!(
            "{}; SET default_transaction_isolation = 'read committed'; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; \
             SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
             SET plan_cache_mode = force_generic_plan",
            timeout_settings(pools)
        );
        Ok(PostgresWriteConnection {
            runtime: Some(runtime),
            options: options.clone(),
            session_settings: set,
            connection: None,
            statements: WriteStatements::default(),
            known_types: KnownTypes::default(),
            in_transaction: false,
            failures: 0,
            uncontended_batches: UNCONTENDED_THRESHOLD,
            log_slot: 0,
            response_timeout: pools.acquire_timeout.max(pools.statement_timeout) + TIMEOUT_GRACE,
            connect_timeout: pools.acquire_timeout,
        })
    }

    /// Calls something with the connection. If there is no response in time, or the connection is lost, it is dropped.
    fn with_connection<T, E>(
        &mut self,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, StoreError>
    where
        StoreError: From<E>,
    {
        let (Some(runtime), Some(connection)) = (&self.runtime, &mut self.connection) else {
            return Err(sqlx::Error::WorkerCrashed.into());
        };
        let called = runtime.block_on(async { tokio::time::timeout(self.response_timeout, call(connection)).await });
        let result = match called {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
        };
        if result.as_ref().is_err_and(StoreError::is_lost_connection) {
            self.drop_connection();
        }
        result
    }

    fn drop_connection(&mut self) {
        self.connection = None;
        self.in_transaction = false;
        self.failures = 0;
        // Another server may take over, without the newest commits.
        self.known_types = KnownTypes::default();
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        let Some(runtime) = &self.runtime else { return Err(sqlx::Error::WorkerCrashed.into()) };
        let connecting = async {
            let mut connection = open_connection(&self.options, &self.session_settings).await?;
            dictionaries::add_to_postgres(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        let connected = runtime.block_on(async { tokio::time::timeout(self.connect_timeout, connecting).await });
        self.drop_connection();
        self.connection = Some(connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?);
        Ok(())
    }

    fn begin_transaction(&mut self, known: Option<&log_head::Model>) -> Result<BegunTransaction, StoreError> {
        // Set also if only the second half of the statement fails.
        self.in_transaction = true;
        let text = known
            .map_or_else(|| BEGIN.clone(), |known| format!("{}; {SELECT_INVALIDATIONS} {}", *BEGIN, known.updated_at));
        let rows =
            self.with_connection(async |connection| sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await)?;
        let mut rows = rows.iter();
        let head = rows.next().ok_or_else(|| StoreError::Corrupt("the table log_head has no row".into()))?;
        let head = log_head::Model::read(head)?;
        let entries = rows.map(invalidation_log::InvalidationEntry::from_row).collect::<Result<Vec<_>, _>>()?;
        self.log_slot = invalidation_log::newest_slot(&entries).unwrap_or(self.log_slot);
        let invalidated = known.and_then(|known| invalidation_log::invalidated_since(known, &head, entries));
        Ok(BegunTransaction { head, invalidated })
    }

    fn select_by_keys<K>(&mut self, text: &'static str, keys: &[K]) -> Result<Vec<PgRow>, StoreError>
    where
        for<'k> &'k [K]: sqlx::Encode<'k, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.with_connection(async |connection| sqlx::query(text).bind(keys).fetch_all(connection).await)
    }

    fn select_originals(&mut self, text: &'static str, keys: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError> {
        let rows = self.select_by_keys(text, keys)?;
        rows.iter().map(|row| Ok((row.try_get(row.len() - 1)?, OriginalRow::read(row)?))).collect()
    }
}

impl WriteConnection for PostgresWriteConnection {
    fn begin(&mut self, known: Option<&log_head::Model>) -> Result<BegunTransaction, StoreError> {
        if let Some(known) = known
            && self.uncontended_batches >= UNCONTENDED_THRESHOLD
            && self.connection.is_some()
        {
            return Ok(BegunTransaction::from_counters(known.clone(), Some(known)));
        }
        if self.connection.is_none() {
            self.connect()?;
        }
        let begun = match self.begin_transaction(known) {
            // The idle connection was lost, or the database was restarted.
            Err(error) if error.is_lost_connection() => {
                self.connect()?;
                self.begin_transaction(known)
            }
            begun => begun,
        }?;
        self.uncontended_batches = match known {
            Some(known) if *known == begun.head => self.uncontended_batches.saturating_add(1),
            Some(_) => 0,
            None => self.uncontended_batches,
        };
        Ok(begun)
    }

    fn write_rows(&mut self, rows: &BatchRows<'_>) -> Result<(), StoreError> {
        let mut statements = std::mem::take(&mut self.statements);
        let changes = self.known_types.split(rows.changes);
        let slot =
            (self.uncontended_batches < UNCONTENDED_THRESHOLD).then(|| invalidation_log::next_slot(self.log_slot));
        let written =
            self.with_connection(async |connection| statements.execute(connection, rows, &changes, slot).await);
        self.log_slot = slot.unwrap_or(self.log_slot);
        self.statements = statements;
        if written? {
            return Ok(());
        }
        self.uncontended_batches = 0;
        Err(StoreError::Conflict)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.in_transaction {
            self.with_connection(async |connection| connection.execute("COMMIT").await)?;
            self.in_transaction = false;
        }
        self.failures = 0;
        self.known_types.commit();
        Ok(())
    }

    fn rollback(&mut self) {
        self.known_types.rollback();
        self.failures += 1;
        if std::mem::take(&mut self.in_transaction) {
            let rolled_back = self.with_connection(async |connection| connection.execute("ROLLBACK").await);
            if rolled_back.is_err() {
                self.drop_connection();
            }
        }
        if self.failures >= MAX_FAILURES {
            self.drop_connection();
        }
    }

    fn load_entities(&mut self, ids: &[Uuid]) -> Result<Vec<FoldedEntity>, StoreError> {
        let rows = self.select_by_keys(&SELECT_ENTITIES, ids)?;
        rows.iter().map(|row| entity_from_row(entity::entity::Model::read(row)?)).collect()
    }

    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError> {
        self.with_connection(async |connection| {
            sqlx::query_scalar(SELECT_UNLINKED_CHILDREN).bind(parent).fetch_all(connection).await
        })
    }

    fn entity_ids(&mut self, row_ids: &[i64]) -> Result<Vec<Uuid>, StoreError> {
        let rows = self.select_by_keys("SELECT id FROM entity WHERE row_id = ANY($1)", row_ids)?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    fn children(&mut self, parents: &[i64], limit: usize) -> Result<Vec<Uuid>, StoreError> {
        const TEXT: &str = "SELECT id FROM entity WHERE parent_row_id = ANY($1) LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.with_connection(async |connection| {
            sqlx::query_scalar(TEXT).bind(parents).bind(limit).fetch_all(connection).await
        })
    }

    fn load_steps(&mut self, machine: &Machine, entity: &FoldedEntity) -> Result<Vec<Step>, StoreError> {
        let text = select_steps(entity);
        let rows =
            self.with_connection(async |connection| sqlx::query(text).bind(entity.row_id).fetch_all(connection).await)?;
        rows.iter().map(|row| step_from_row(StepRow::read(row)?, machine)).collect()
    }

    fn load_seen_keys(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError> {
        const TEXT: &str = "SELECT entity_row_id, dedup_key, position FROM change_row WHERE entity_row_id = ANY($1) AND dedup_key IS NOT NULL";
        let mut seen: HashMap<i64, HashMap<i64, i64>> =
            entities.iter().map(|entity| (*entity, HashMap::new())).collect();
        for row in self.select_by_keys(TEXT, entities)? {
            seen.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, row.try_get(2)?);
        }
        Ok(seen)
    }

    fn originals_by_position(&mut self, positions: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError> {
        self.select_originals(&ORIGINALS_BY_POSITION, positions)
    }

    fn originals_by_key(&mut self, dedup_keys: &[i64]) -> Result<HashMap<i64, OriginalRow>, StoreError> {
        self.select_originals(&ORIGINALS_BY_KEY, dedup_keys)
    }

    fn idempotency_keys(&mut self, digests: &[&str]) -> Result<Vec<idempotency_key::Model>, StoreError> {
        let rows = self.select_by_keys(&SELECT_IDEMPOTENCY_KEYS, digests)?;
        rows.iter().map(idempotency_key::Model::read).collect()
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.begin(None)?;
        self.with_connection(async |connection| {
            connection.execute("UPDATE log_head SET updated_at = updated_at WHERE id = 1").await
        })?;
        if bytes == 0 {
            return self.commit();
        }
        // In a table of its own, which the rollback removes, and uncompressed.
        let fill = format!(
            "CREATE TABLE inspection_hub_probe (filling text); \
             ALTER TABLE inspection_hub_probe ALTER filling SET STORAGE EXTERNAL; \
             INSERT INTO inspection_hub_probe VALUES (repeat('x', {bytes}))"
        );
        self.with_connection(async |connection| connection.execute(AssertSqlSafe(fill)).await)?;
        self.rollback();
        self.failures = 0;
        Ok(())
    }
}

impl Drop for PostgresWriteConnection {
    // PostgreSQL closes the connection. Dropping a runtime would block, which is not allowed within another runtime.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            self.connection = None;
            runtime.shutdown_background();
        }
    }
}
