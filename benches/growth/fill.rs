//! Many inspections in little time: the hub's own writer stores some, and the database copies their rows with other row ids,
//! ids, positions and times, so that every constraint holds. Only the bodies of the copies are wrong: they name the inspection
//! that was copied. No query reads them here.

use crate::scenarios::ScenarioDeliveries;
use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use entity::log_head;
use inspection_hub::ingest::{BatchWriter, Writer};
use inspection_hub::store::Database;
use inspection_hub::store::read::head;
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, FromQueryResult, IdenStatic, Iterable, Statement,
};
use std::process::Command;
use tokio::runtime::Runtime;

/// The hub itself writes at most this many inspections in a row. Then they are copied.
const OWN: u32 = 500;
/// How often inspections are written and copied for each size, so that the written ones are spread over the whole history.
const BLOCKS: u32 = 10;
/// Deliveries in one transaction.
const BATCH: usize = 512;
/// Copies in one transaction.
const COPIES: u32 = 8;
/// How long ago the history begins; with `DELIVERY_INTERVAL` there is room for five million deliveries.
const AGO: TimeDelta = TimeDelta::days(720);

pub struct Population<'a> {
    runtime: &'a Runtime,
    pub db: Database,
    /// Copies rows.
    bulk: DatabaseConnection,
    pub deliveries: ScenarioDeliveries,
    /// The hub itself wrote the inspections with numbers below this.
    pub own: u32,
    /// All inspections.
    pub inspections: u32,
}

impl<'a> Population<'a> {
    pub fn new(runtime: &'a Runtime, db: Database, address: &str) -> anyhow::Result<Population<'a>> {
        let mut options = ConnectOptions::new(address);
        options.max_connections(1).sqlx_logging(false);
        let bulk = runtime.block_on(sea_orm::Database::connect(options))?;
        let settings = match bulk.get_database_backend() {
            DbBackend::Sqlite => "PRAGMA synchronous = OFF; PRAGMA cache_size = -500000",
            // The copied rows are adjacent, whatever the planner knows about a table that has just grown.
            _ => "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_bitmapscan = off",
        };
        runtime.block_on(bulk.execute_unprepared(settings))?;
        Ok(Population { runtime, db, bulk, deliveries: ScenarioDeliveries::new("")?, own: 0, inspections: 0 })
    }

    /// Grows to this many inspections.
    pub fn grow(&mut self, to: u32) -> anyhow::Result<()> {
        let blocks = BLOCKS.min(to - self.inspections);
        for block in 0..blocks {
            let part = (to - self.inspections) / (blocks - block);
            let copies = part.div_ceil(OWN) - 1;
            let before = self.head()?;
            self.run("CREATE TABLE ledger_before AS SELECT * FROM ledger")?;
            self.write(part / (copies + 1))?;
            self.multiply(&before, copies)?;
            self.run("DROP TABLE ledger_before")?;
            self.inspections += part / (copies + 1) * copies;
        }
        self.settle()
    }

    pub fn head(&self) -> anyhow::Result<log_head::Model> {
        Ok(self.runtime.block_on(head(&self.db.read_pool))?)
    }

    /// The newest time of receipt, in the history's own time.
    pub fn now(&self) -> anyhow::Result<DateTime<Utc>> {
        let newest = DateTime::from_timestamp_micros(self.head()?.received_at).context("a moment")?;
        Ok(newest.max(Utc::now() - AGO))
    }

    /// The hub writes this many inspections.
    fn write(&mut self, count: u32) -> anyhow::Result<()> {
        let scenarios = self.next(count);
        let deliveries = self.deliveries.all(scenarios, self.now()?)?;
        let mut writer = Writer::open(&self.db)?;
        for batch in deliveries.chunks(BATCH) {
            writer.write_batch(batch)?;
            writer.run_maintenance(batch.len());
        }
        Ok(())
    }

    /// The numbers of the next inspections.
    pub fn next(&mut self, count: u32) -> std::ops::Range<u32> {
        let first = self.own;
        self.own += count;
        self.inspections += count;
        first..self.own
    }

    /// Copies what was written since the last copy.
    fn multiply(&self, before: &log_head::Model, copies: u32) -> anyhow::Result<()> {
        let after = self.head()?;
        let refers_back = self.number(&format!(
            "SELECT (SELECT count(*) FROM entity WHERE row_id > {0} AND (parent_row_id <= {0} OR inspection_row_id <= {0})) + \
             (SELECT count(*) FROM change WHERE position > {1} AND (entity_row_id IS NULL OR entity_row_id <= {0})) AS number",
            before.last_entity_row_id, before.position
        ))?;
        ensure!(refers_back == 0, "{refers_back} rows are not of new inspections alone");
        let size = RowOffset {
            entity: after.last_entity_row_id - before.last_entity_row_id,
            position: after.position - before.position,
            delivery: after.last_delivery_row_id - before.last_delivery_row_id,
            time: after.received_at - before.received_at.max(self.began()?),
        };
        for copy in 1..=copies {
            if copy % COPIES == 1 {
                self.run("BEGIN")?;
            }
            let shift = size.times(copy);
            self.run(&shift.copy::<entity::entity::Column>(
                "entity",
                "row_id",
                (before.last_entity_row_id, after.last_entity_row_id),
                self,
            ))?;
            self.run(&shift.copy::<entity::step::Column>(
                "step",
                "entity_row_id",
                (before.last_entity_row_id, after.last_entity_row_id),
                self,
            ))?;
            let deliveries = (before.last_delivery_row_id, after.last_delivery_row_id);
            self.run(&shift.copy::<entity::delivery::Column>("delivery", "row_id", deliveries, self))?;
            let positions = (before.position, after.position);
            self.run(&shift.copy::<entity::change_row::Column>("change_row", "position", positions, self))?;
            if copy % COPIES == 0 || copy == copies {
                self.run("COMMIT")?;
            }
        }
        let all = size.times(copies);
        self.run(&format!(
            "UPDATE log_head SET last_entity_row_id = last_entity_row_id + {}, position = position + {}, \
             last_delivery_row_id = last_delivery_row_id + {}, \
             received_at = received_at + {}",
            all.entity, all.position, all.delivery, all.time
        ))?;
        let counted = entity::ledger::Column::iter().map(|column| column.as_str());
        let counted = counted.filter(|column| !["source", "received_at"].contains(column)).map(|column| {
            let before = format!("SELECT {column} FROM ledger_before WHERE source = ledger.source");
            format!("{column} = {column} + {copies} * ({column} - COALESCE(({before}), 0))")
        });
        self.run(&format!("UPDATE ledger SET {}", counted.collect::<Vec<_>>().join(", ")))
    }

    /// When the history began.
    fn began(&self) -> anyhow::Result<i64> {
        self.number("SELECT COALESCE(received_at, 0) AS number FROM delivery WHERE row_id = 1")
    }

    /// Syncs everything to disk, so that nothing is left to do during the measurement.
    fn settle(&self) -> anyhow::Result<()> {
        match self.bulk.get_database_backend() {
            DbBackend::Sqlite => self.run("PRAGMA wal_checkpoint(TRUNCATE)")?,
            _ => {
                // As autovacuum would have done.
                self.run("VACUUM (ANALYZE) entity")?;
                self.run("ANALYZE")?;
                self.run("CHECKPOINT")?;
            }
        }
        ensure!(Command::new("sync").status()?.success(), "sync failed");
        let head = self.head()?;
        let ledger = "SELECT CAST(SUM(received - duplicates) AS bigint) AS number FROM ledger";
        ensure!(self.number(ledger)? == head.last_delivery_row_id, "the ledger does not add up");
        let newest = "SELECT max(position) AS number FROM change";
        ensure!(self.number(newest)? == head.position, "the counters are not those of the history");
        Ok(())
    }

    /// The bytes that the database takes.
    pub fn bytes(&self) -> anyhow::Result<i64> {
        self.number(match self.bulk.get_database_backend() {
            DbBackend::Sqlite => "SELECT page_count * page_size AS number FROM pragma_page_count(), pragma_page_size()",
            _ => "SELECT pg_database_size(current_database()) AS number",
        })
    }

    /// The bytes of each table and index, the largest first.
    pub fn sizes(&self) -> anyhow::Result<Vec<(String, i64)>> {
        #[derive(FromQueryResult)]
        struct Size {
            name: String,
            bytes: i64,
        }
        let text = match self.bulk.get_database_backend() {
            DbBackend::Sqlite => "SELECT name, pgsize AS bytes FROM dbstat WHERE aggregate = TRUE ORDER BY bytes DESC",
            // A table with its long values (TOAST), without its indexes.
            _ => {
                "SELECT relname::text AS name, \
                 CASE relkind WHEN 'r' THEN pg_table_size(oid) ELSE pg_relation_size(oid) END AS bytes FROM pg_class \
                 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') ORDER BY bytes DESC"
            }
        };
        let statement = Statement::from_string(self.bulk.get_database_backend(), text);
        let sizes = self.runtime.block_on(Size::find_by_statement(statement).all(&self.bulk))?;
        Ok(sizes.into_iter().map(|size| (size.name, size.bytes)).collect())
    }

    fn run(&self, statement: &str) -> anyhow::Result<()> {
        let done = self.runtime.block_on(self.bulk.execute_unprepared(statement));
        done.with_context(|| statement.to_owned())?;
        Ok(())
    }

    fn number(&self, question: &str) -> anyhow::Result<i64> {
        #[derive(FromQueryResult)]
        struct Answer {
            number: i64,
        }
        let asked = Statement::from_string(self.bulk.get_database_backend(), question);
        let answer = self.runtime.block_on(Answer::find_by_statement(asked).one(&self.bulk))?;
        Ok(answer.map_or(0, |answer| answer.number))
    }

    pub fn close(self) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            self.bulk.close().await?;
            self.db.read_pool.close().await?;
            Ok(())
        })
    }
}

/// How far the numbers of a copy are from those of the original.
struct RowOffset {
    entity: i64,
    position: i64,
    delivery: i64,
    time: i64,
}

impl RowOffset {
    fn times(&self, times: u32) -> RowOffset {
        let times = i64::from(times);
        RowOffset {
            entity: self.entity * times,
            position: self.position * times,
            delivery: self.delivery * times,
            time: self.time * times,
        }
    }

    /// The statement that copies the rows of a table whose key is above the first and up to the second of two numbers.
    fn copy<C: Iterable + IdenStatic>(
        &self,
        table: &str,
        key: &str,
        (above, upto): (i64, i64),
        of: &Population<'_>,
    ) -> String {
        let names: Vec<_> = C::iter().map(|column| format!("\"{}\"", column.as_str())).collect();
        let values: Vec<_> = C::iter().map(|column| self.value(table, column.as_str(), of)).collect();
        format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {key} > {above} AND {key} <= {upto} ORDER BY {key}",
            names.join(", "),
            values.join(", ")
        )
    }

    fn value(&self, table: &str, column: &str, of: &Population<'_>) -> String {
        match (table, column) {
            ("entity", "id") => match of.bulk.get_database_backend() {
                DbBackend::Sqlite => "randomblob(16)".to_owned(),
                _ => "gen_random_uuid()".to_owned(),
            },
            // The columns that identify inspections, or that queries search.
            ("entity", "external_id" | "reference" | "group_key") => format!("{column} || '-{}'", self.entity),
            ("entity", "row_id" | "parent_row_id" | "inspection_row_id")
            | ("change_row", "inspection_row_id")
            | (_, "entity_row_id") => {
                format!("{column} + {}", self.entity)
            }
            ("delivery", "row_id") | ("change_row", "delivery_row_id") => format!("{column} + {}", self.delivery),
            (_, "position" | "first_position" | "previous_step") => format!("{column} + {}", self.position),
            (_, "received_at" | "occurred_at" | "created_at" | "updated_at" | "last_duplicate_at" | "effective_at") => {
                format!("\"{column}\" + {}", self.time)
            }
            _ => format!("\"{column}\""),
        }
    }
}
