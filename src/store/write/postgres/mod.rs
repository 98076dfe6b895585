//! The writing connection of PostgreSQL. Across a network each question costs a way there and back, so a batch asks few:
//! all entities at once, all their news at once, and one statement that writes every table (`statement.rs`).
//!
//! Not sea-orm, for the arrays that make one statement of a batch; the driver under it, on a connection of its own.

mod columns;
mod statement;
mod trace;

use super::rows::{StepRow, entity_of, step_of};
use super::session::{Begun, First, Rows, Session};
use crate::event::Entity;
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use crate::store::connect::{Pools, connected, limits};
use entity::{Kind, Status, log_head};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Executor, Row};
use statement::{Statements, takes_several};
use std::collections::HashMap;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// What PostgreSQL may take over its own limits to say so, before the connection counts as lost.
const GRACE: Duration = Duration::from_secs(2);
/// READ COMMITTED, whatever the database's default: who has waited for the counters sees what was written meanwhile.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SELECT id, position, delivery, entity, received_at, updated_at, generation, kept_from FROM log_head \
                     WHERE id = 1 FOR UPDATE";
/// What others have written since a moment of the counters.
const TRACE: &str = "SELECT slot, before, after, entities FROM trace WHERE after >";

/// A connection on which so many things failed in a row is not kept, whatever the reason: another one may do better.
const FAILURES: u32 = 3;

/// So many batches in a row without another writer, and the next is written without asking first.
const QUIET: u32 = 16;

/// The connection, made anew when it is lost.
#[derive(Debug)]
pub struct Postgres {
    /// None only while it ends.
    runtime: Option<Runtime>,
    options: PgConnectOptions,
    /// What is set on each new connection.
    set: String,
    connection: Option<PgConnection>,
    statements: Statements,
    /// Whether a transaction is open on it.
    open: bool,
    /// How many transactions in a row have failed on it.
    failures: u32,
    /// How many batches in a row found that nobody else had written.
    quiet: u32,
    /// Where the newest trace stands, as far as is known.
    slot: i32,
    /// How long an answer may take.
    patience: Duration,
    /// How long connecting may take.
    wait: Duration,
}

impl Postgres {
    /// Connects when it is needed.
    ///
    /// # Errors
    /// If the process can make no runtime.
    pub fn open(options: &PgConnectOptions, pools: Pools) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Address(format!("no runtime for PostgreSQL: {error}")))?;
        // An acknowledgement means that it is on the disk, and a statement of its own sees what those that it waited for have
        // written: whatever the database's defaults. Every look-up is by key; what the planner chose for a table that was
        // still empty, it would keep.
        let set = format!(
            "{}; SET default_transaction_isolation = 'read committed'; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; \
             SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
             SET plan_cache_mode = force_generic_plan",
            limits(pools)
        );
        Ok(Postgres {
            runtime: Some(runtime),
            options: options.clone(),
            set,
            connection: None,
            statements: Statements::default(),
            open: false,
            failures: 0,
            quiet: QUIET,
            slot: 0,
            patience: pools.wait.max(pools.statement) + GRACE,
            wait: pools.wait,
        })
    }

    /// Does something on the connection. If there is no answer in time, or it says that the connection is at its end, the
    /// connection is given up.
    fn on<T>(&mut self, doing: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> Result<T, StoreError> {
        let (Some(runtime), Some(connection)) = (&self.runtime, &mut self.connection) else {
            return Err(sqlx::Error::WorkerCrashed.into());
        };
        let done = runtime.block_on(async { tokio::time::timeout(self.patience, doing(connection)).await });
        let done = done.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(StoreError::from);
        if done.as_ref().is_err_and(StoreError::is_lost_connection) {
            self.give_up();
        }
        done
    }

    fn give_up(&mut self) {
        self.connection = None;
        self.open = false;
        self.failures = 0;
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        let Some(runtime) = &self.runtime else { return Err(sqlx::Error::WorkerCrashed.into()) };
        let connecting = connected(&self.options, &self.set);
        let connected = runtime.block_on(async { tokio::time::timeout(self.wait, connecting).await });
        self.give_up();
        self.connection = Some(connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?);
        Ok(())
    }

    fn begin_here(&mut self, known: Option<&log_head::Model>) -> Result<Begun, StoreError> {
        // Also if only the second half of it fails.
        self.open = true;
        let text = known.map_or(BEGIN.into(), |known| format!("{BEGIN}; {TRACE} {}", known.updated_at));
        let rows = self.on(async |connection| sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await)?;
        let mut rows = rows.into_iter();
        let row = rows.next().ok_or_else(|| StoreError::Corrupt("the table log_head has no row".into()))?;
        let head = log_head::Model {
            id: row.try_get(0)?,
            position: row.try_get(1)?,
            delivery: row.try_get(2)?,
            entity: row.try_get(3)?,
            received_at: row.try_get(4)?,
            updated_at: row.try_get(5)?,
            generation: row.try_get(6)?,
            kept_from: row.try_get(7)?,
        };
        let steps = rows.map(|row| trace::Step::of(&row)).collect::<Result<Vec<_>, _>>()?;
        self.slot = trace::newest(&steps).unwrap_or(self.slot);
        let touched = known.and_then(|known| trace::since(known, &head, steps));
        Ok(Begun { head, touched })
    }
}

impl Session for Postgres {
    fn begin(&mut self, known: Option<&log_head::Model>) -> Result<Begun, StoreError> {
        if let Some(known) = known
            && self.quiet >= QUIET
            && self.connection.is_some()
        {
            return Ok(Begun::new(known.clone(), Some(known)));
        }
        if self.connection.is_none() {
            self.connect()?;
        }
        let begun = match self.begin_here(known) {
            // The connection was lost while nothing happened on it, or the database was started anew.
            Err(error) if error.is_lost_connection() => {
                self.connect()?;
                self.begin_here(known)
            }
            begun => begun,
        }?;
        self.quiet = match known {
            Some(known) if *known == begun.head => self.quiet.saturating_add(1),
            Some(_) => 0,
            None => self.quiet,
        };
        Ok(begun)
    }

    fn write(&mut self, rows: &Rows<'_>) -> Result<(), StoreError> {
        let mut alone = true;
        if !self.open && takes_several(rows) {
            alone = self.begin_here(None)?.head == *rows.before;
        }
        if alone {
            let mut statements = std::mem::take(&mut self.statements);
            let slot = (self.quiet < QUIET).then(|| trace::after(self.slot));
            let written = self.on(async |connection| statements.write(connection, rows, slot).await);
            self.slot = slot.unwrap_or(self.slot);
            self.statements = statements;
            alone = written?;
        }
        if alone {
            return Ok(());
        }
        self.quiet = 0;
        Err(StoreError::Overtaken)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.open {
            self.on(async |connection| connection.execute("COMMIT").await)?;
            self.open = false;
        }
        self.failures = 0;
        Ok(())
    }

    fn roll_back(&mut self) {
        self.failures += 1;
        if std::mem::take(&mut self.open) {
            let rolled_back = self.on(async |connection| connection.execute("ROLLBACK").await);
            if rolled_back.is_err() {
                self.give_up();
            }
        }
        if self.failures >= FAILURES {
            self.give_up();
        }
    }

    fn entities(&mut self, ids: &[Uuid]) -> Result<Vec<Entity>, StoreError> {
        const TEXT: &str = "SELECT number, id, kind, subkind, source, vendor, external_id, parent, inspection, reference, \
                            group_key, state, status, cycle, facts, details, stamps, tip, created_at, updated_at, \
                            occurred_at, position, retold FROM entity WHERE id = ANY($1)";
        let rows = self.on(async |connection| sqlx::query(TEXT).bind(ids).fetch_all(connection).await)?;
        rows.iter().map(|row| entity_of(entity_row(row)?)).collect()
    }

    fn unlinked_children(&mut self, parent: i64) -> Result<Vec<Uuid>, StoreError> {
        const TEXT: &str = "SELECT id FROM entity WHERE parent = $1 AND inspection IS NULL";
        self.on(async |connection| sqlx::query_scalar(TEXT).bind(parent).fetch_all(connection).await)
    }

    fn steps(&mut self, machine: &Machine, entity: &Entity) -> Result<Vec<Step>, StoreError> {
        let text = match entity.retold {
            true => "SELECT position, to_state, at_least, time, cycle, rank, received_at FROM step WHERE entity = $1",
            false => {
                "SELECT position, named_state, implied, occurred_at, placed_cycle, placed_rank, received_at \
                 FROM change WHERE entity = $1 AND named_state IS NOT NULL"
            }
        };
        let rows = self.on(async |connection| sqlx::query(text).bind(entity.number).fetch_all(connection).await)?;
        rows.iter().map(|row| step_of(step_row(row)?, machine)).collect()
    }

    fn news_of(&mut self, entities: &[i64]) -> Result<HashMap<i64, HashMap<i64, i64>>, StoreError> {
        const TEXT: &str = "SELECT entity, news, position FROM change WHERE entity = ANY($1) AND news IS NOT NULL";
        let rows = self.on(async |connection| sqlx::query(TEXT).bind(entities).fetch_all(connection).await)?;
        let mut all: HashMap<i64, HashMap<i64, i64>> =
            entities.iter().map(|entity| (*entity, HashMap::new())).collect();
        for row in rows {
            all.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, row.try_get(2)?);
        }
        Ok(all)
    }

    fn firsts(&mut self, positions: &[i64]) -> Result<HashMap<i64, First>, StoreError> {
        const TEXT: &str = "SELECT position, number, delivery.verdict, delivery.reason \
                            FROM change JOIN delivery ON number = delivery WHERE position = ANY($1)";
        let rows = self.on(async |connection| sqlx::query(TEXT).bind(positions).fetch_all(connection).await)?;
        rows.iter().map(first).collect()
    }

    fn about_nothing(&mut self, news: &[i64]) -> Result<HashMap<i64, First>, StoreError> {
        const TEXT: &str = "SELECT news, number, verdict, reason FROM delivery WHERE news = ANY($1)";
        let rows = self.on(async |connection| sqlx::query(TEXT).bind(news).fetch_all(connection).await)?;
        rows.iter().map(first).collect()
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.begin(None)?;
        self.on(async |connection| connection.execute("UPDATE log_head SET updated_at = updated_at").await)?;
        if bytes == 0 {
            return self.commit();
        }
        // A table of its own, which is gone with the transaction; what is in it is not compressed.
        let fill = format!(
            "CREATE TABLE inspection_hub_probe (filling text); \
             ALTER TABLE inspection_hub_probe ALTER filling SET STORAGE EXTERNAL; \
             INSERT INTO inspection_hub_probe VALUES (repeat('x', {bytes}))"
        );
        self.on(async |connection| connection.execute(AssertSqlSafe(fill)).await)?;
        self.roll_back();
        self.failures = 0;
        Ok(())
    }
}

impl Drop for Postgres {
    // The connection is closed by PostgreSQL's side. A runtime must not wait for its end where others run.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            self.connection = None;
            runtime.shutdown_background();
        }
    }
}

fn first(row: &PgRow) -> Result<(i64, First), StoreError> {
    let verdict: String = row.try_get(2)?;
    Ok((row.try_get(0)?, First::of(row.try_get(1)?, &verdict, row.try_get(3)?)?))
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
        number: row.try_get(0)?,
        id: row.try_get(1)?,
        kind: Kind::parse(&kind).ok_or_else(|| unknown(&kind))?,
        subkind: row.try_get(3)?,
        source: row.try_get(4)?,
        vendor: row.try_get(5)?,
        external_id: row.try_get(6)?,
        parent: row.try_get(7)?,
        inspection: row.try_get(8)?,
        reference: row.try_get(9)?,
        group_key: row.try_get(10)?,
        state: row.try_get(11)?,
        status: status.map(|word| Status::parse(&word).ok_or_else(|| unknown(&word))).transpose()?,
        cycle: row.try_get(13)?,
        facts: row.try_get(14)?,
        details: row.try_get(15)?,
        stamps: row.try_get(16)?,
        tip: row.try_get(17)?,
        created_at: row.try_get(18)?,
        updated_at: row.try_get(19)?,
        occurred_at: row.try_get(20)?,
        position: row.try_get(21)?,
        retold: row.try_get(22)?,
    })
}
