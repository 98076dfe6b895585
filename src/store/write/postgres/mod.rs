//! The writing connection of PostgreSQL. Across a network each question costs a way there and back, so a batch asks few:
//! all entities at once, all their news at once, and one statement that writes every table (`statement.rs`).
//!
//! Not sea-orm, for the arrays that make one statement of a batch; the driver under it, on a connection of its own.

mod columns;
mod invalidation_log;
mod statement;

use super::connection::{BatchRows, BegunTransaction, OriginalDelivery, WriteConnection};
use super::row_mapping::{StepRow, entity_from_row, step_from_row};
use crate::event::FoldedEntity;
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use crate::store::connect::{PoolSettings, open_connection, timeout_settings};
use entity::{Kind, Status, log_head};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Executor, Row};
use statement::{WriteStatements, needs_transaction};
use std::collections::HashMap;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// What PostgreSQL may take over its own limits to say so, before the connection counts as lost.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);
/// READ COMMITTED, whatever the database's default: who has waited for the counters sees what was written meanwhile.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SELECT id, position, last_delivery_row_id, last_entity_row_id, received_at, updated_at, generation, retained_from FROM log_head \
                     WHERE id = 1 FOR UPDATE";
/// What others have written since a moment of the counters.
const SELECT_INVALIDATIONS: &str =
    "SELECT slot, head_before, head_after, entity_ids FROM invalidation_log WHERE head_after >";

/// A connection on which so many things failed in a row is not kept, whatever the reason: another one may do better.
const MAX_FAILURES: u32 = 3;

/// So many batches in a row without another writer, and the next is written without asking first.
const UNCONTENDED_THRESHOLD: u32 = 16;

/// The connection, made anew when it is lost.
#[derive(Debug)]
pub struct PostgresWriteConnection {
    /// None only while it ends.
    runtime: Option<Runtime>,
    options: PgConnectOptions,
    /// What is set on each new connection.
    session_settings: String,
    connection: Option<PgConnection>,
    statements: WriteStatements,
    /// Whether a transaction is open on it.
    in_transaction: bool,
    /// How many transactions in a row have failed on it.
    failures: u32,
    /// How many batches in a row found that nobody else had written.
    uncontended_batches: u32,
    /// Where the newest trace stands, as far as is known.
    log_slot: i32,
    /// How long an answer may take.
    response_timeout: Duration,
    /// How long connecting may take.
    connect_timeout: Duration,
}

impl PostgresWriteConnection {
    /// Connects when it is needed.
    ///
    /// # Errors
    /// If the process can make no runtime.
    pub fn open(options: &PgConnectOptions, pools: PoolSettings) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::task("the runtime for PostgreSQL", error))?;
        // An acknowledgement means that it is on the disk, and a statement of its own sees what those that it waited for have
        // written: whatever the database's defaults. Every look-up is by key; what the planner chose for a table that was
        // still empty, it would keep.
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
            in_transaction: false,
            failures: 0,
            uncontended_batches: UNCONTENDED_THRESHOLD,
            log_slot: 0,
            response_timeout: pools.acquire_timeout.max(pools.statement_timeout) + TIMEOUT_GRACE,
            connect_timeout: pools.acquire_timeout,
        })
    }

    /// Does something on the connection. If there is no answer in time, or it says that the connection is at its end, the
    /// connection is given up.
    fn with_connection<T>(
        &mut self,
        doing: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, StoreError> {
        let (Some(runtime), Some(connection)) = (&self.runtime, &mut self.connection) else {
            return Err(sqlx::Error::WorkerCrashed.into());
        };
        let done = runtime.block_on(async { tokio::time::timeout(self.response_timeout, doing(connection)).await });
        let done = done.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(StoreError::from);
        if done.as_ref().is_err_and(StoreError::is_lost_connection) {
            self.drop_connection();
        }
        done
    }

    fn drop_connection(&mut self) {
        self.connection = None;
        self.in_transaction = false;
        self.failures = 0;
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        let Some(runtime) = &self.runtime else { return Err(sqlx::Error::WorkerCrashed.into()) };
        let connecting = open_connection(&self.options, &self.session_settings);
        let connected = runtime.block_on(async { tokio::time::timeout(self.connect_timeout, connecting).await });
        self.drop_connection();
        self.connection = Some(connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?);
        Ok(())
    }

    fn begin_transaction(&mut self, known: Option<&log_head::Model>) -> Result<BegunTransaction, StoreError> {
        // Also if only the second half of it fails.
        self.in_transaction = true;
        let text = known.map_or(BEGIN.into(), |known| format!("{BEGIN}; {SELECT_INVALIDATIONS} {}", known.updated_at));
        let rows =
            self.with_connection(async |connection| sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await)?;
        let mut rows = rows.into_iter();
        let row = rows.next().ok_or_else(|| StoreError::Corrupt("the table log_head has no row".into()))?;
        let head = log_head::Model {
            id: row.try_get(0)?,
            position: row.try_get(1)?,
            last_delivery_row_id: row.try_get(2)?,
            last_entity_row_id: row.try_get(3)?,
            received_at: row.try_get(4)?,
            updated_at: row.try_get(5)?,
            generation: row.try_get(6)?,
            retained_from: row.try_get(7)?,
        };
        let steps =
            rows.map(|row| invalidation_log::InvalidationEntry::from_row(&row)).collect::<Result<Vec<_>, _>>()?;
        self.log_slot = invalidation_log::newest_slot(&steps).unwrap_or(self.log_slot);
        let touched = known.and_then(|known| invalidation_log::invalidated_since(known, &head, steps));
        Ok(BegunTransaction { head, invalidated: touched })
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
            // The connection was lost while nothing happened on it, or the database was started anew.
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
        let mut alone = true;
        if !self.in_transaction && needs_transaction(rows) {
            alone = self.begin_transaction(None)?.head == *rows.head_before;
        }
        if alone {
            let mut statements = std::mem::take(&mut self.statements);
            let slot =
                (self.uncontended_batches < UNCONTENDED_THRESHOLD).then(|| invalidation_log::next_slot(self.log_slot));
            let written = self.with_connection(async |connection| statements.execute(connection, rows, slot).await);
            self.log_slot = slot.unwrap_or(self.log_slot);
            self.statements = statements;
            alone = written?;
        }
        if alone {
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
        Ok(())
    }

    fn rollback(&mut self) {
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
        const TEXT: &str = "SELECT row_id, id, kind, subkind, source, vendor, external_id, parent_row_id, inspection_row_id, reference, \
                            group_key, state, status, cycle, facts, details, field_versions, fold_state, created_at, updated_at, \
                            occurred_at, position, steps_materialized FROM entity WHERE id = ANY($1)";
        let rows = self.with_connection(async |connection| sqlx::query(TEXT).bind(ids).fetch_all(connection).await)?;
        rows.iter().map(|row| entity_from_row(entity_row(row)?)).collect()
    }

    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError> {
        const TEXT: &str = "SELECT id FROM entity WHERE parent_row_id = $1 AND inspection_row_id IS NULL";
        self.with_connection(async |connection| sqlx::query_scalar(TEXT).bind(parent).fetch_all(connection).await)
    }

    fn load_steps(&mut self, machine: &Machine, entity: &FoldedEntity) -> Result<Vec<Step>, StoreError> {
        let text = match entity.steps_materialized {
            true => {
                "SELECT position, target_state, at_least, occurred_at, order_cycle, order_rank, received_at FROM step WHERE entity_row_id = $1"
            }
            false => {
                "SELECT position, target_state, at_least, occurred_at, order_cycle, order_rank, received_at \
                 FROM change WHERE entity_row_id = $1 AND target_state IS NOT NULL"
            }
        };
        let rows =
            self.with_connection(async |connection| sqlx::query(text).bind(entity.row_id).fetch_all(connection).await)?;
        rows.iter().map(|row| step_from_row(step_row(row)?, machine)).collect()
    }

    fn load_seen_keys(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError> {
        const TEXT: &str = "SELECT entity_row_id, dedup_key, position FROM change WHERE entity_row_id = ANY($1) AND dedup_key IS NOT NULL";
        let rows =
            self.with_connection(async |connection| sqlx::query(TEXT).bind(entities).fetch_all(connection).await)?;
        let mut all: HashMap<i64, HashMap<i64, i64>> =
            entities.iter().map(|entity| (*entity, HashMap::new())).collect();
        for row in rows {
            all.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, row.try_get(2)?);
        }
        Ok(all)
    }

    fn originals_by_position(&mut self, positions: &[i64]) -> Result<HashMap<i64, OriginalDelivery>, StoreError> {
        const TEXT: &str = "SELECT position, delivery.row_id, delivery.verdict, delivery.reason \
                            FROM change JOIN delivery ON delivery.row_id = change.delivery_row_id WHERE position = ANY($1)";
        let rows =
            self.with_connection(async |connection| sqlx::query(TEXT).bind(positions).fetch_all(connection).await)?;
        rows.iter().map(original_from_row).collect()
    }

    fn originals_by_key(&mut self, news: &[i64]) -> Result<HashMap<i64, OriginalDelivery>, StoreError> {
        const TEXT: &str = "SELECT dedup_key, row_id, verdict, reason FROM delivery WHERE dedup_key = ANY($1)";
        let rows = self.with_connection(async |connection| sqlx::query(TEXT).bind(news).fetch_all(connection).await)?;
        rows.iter().map(original_from_row).collect()
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.begin(None)?;
        self.with_connection(async |connection| {
            connection.execute("UPDATE log_head SET updated_at = updated_at").await
        })?;
        if bytes == 0 {
            return self.commit();
        }
        // A table of its own, which is gone with the transaction; what is in it is not compressed.
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
    // The connection is closed by PostgreSQL's side. A runtime must not wait for its end where others run.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            self.connection = None;
            runtime.shutdown_background();
        }
    }
}

fn original_from_row(row: &PgRow) -> Result<(i64, OriginalDelivery), StoreError> {
    let verdict: String = row.try_get(2)?;
    Ok((row.try_get(0)?, OriginalDelivery::from_columns(row.try_get(1)?, &verdict, row.try_get(3)?)?))
}

fn step_row(row: &PgRow) -> Result<StepRow, StoreError> {
    Ok(StepRow {
        position: row.try_get(0)?,
        to: row.try_get(1)?,
        at_least: row.try_get(2)?,
        time: row.try_get(3)?,
        cycle: row.try_get(4)?,
        rank: row.try_get(5)?,
        received_at: row.try_get(6)?,
    })
}

fn entity_row(row: &PgRow) -> Result<entity::entity::Model, StoreError> {
    let (kind, status): (String, Option<String>) = (row.try_get(2)?, row.try_get(12)?);
    let unknown = |what: &str| StoreError::Corrupt(format!("an entity of the kind or status {what}"));
    Ok(entity::entity::Model {
        row_id: row.try_get(0)?,
        id: row.try_get(1)?,
        kind: Kind::parse(&kind).ok_or_else(|| unknown(&kind))?,
        subkind: row.try_get(3)?,
        source: row.try_get(4)?,
        vendor: row.try_get(5)?,
        external_id: row.try_get(6)?,
        parent_row_id: row.try_get(7)?,
        inspection_row_id: row.try_get(8)?,
        reference: row.try_get(9)?,
        group_key: row.try_get(10)?,
        state: row.try_get(11)?,
        status: status.map(|word| Status::parse(&word).ok_or_else(|| unknown(&word))).transpose()?,
        cycle: row.try_get(13)?,
        facts: row.try_get(14)?,
        details: row.try_get(15)?,
        field_versions: row.try_get(16)?,
        fold_state: row.try_get(17)?,
        created_at: row.try_get(18)?,
        updated_at: row.try_get(19)?,
        occurred_at: row.try_get(20)?,
        position: row.try_get(21)?,
        steps_materialized: row.try_get(22)?,
    })
}
