//! One statement that writes all that a batch has changed, if nobody else has written meanwhile: each table's rows come
//! as one array per column.

use super::super::connection::BatchRows;
use super::super::row_mapping::fold_state_json;
use super::columns::{CHANGES, ColumnTypes, DELIVERIES, DUPLICATES, ENTITY_INSERT, ENTITY_UPDATE, LEDGER, STEPS};
use crate::event::{CachedEntity, FoldedEntity, MaterializedStep};
use entity::Status;
use sea_orm::sqlx::postgres::{PgArguments, PgConnection};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, Postgres, Row};
use std::collections::HashMap;

/// The statements' texts, each made once: only the tables that a batch touches are in it, since each costs the database
/// something to prepare for, whether rows come or not.
#[derive(Debug, Default)]
pub struct WriteStatements(HashMap<TouchedTables, String>);

/// What a batch has rows for. There are always deliveries or repetitions, and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TouchedTables {
    new_entities: bool,
    deliveries: bool,
    changes: bool,
    steps: bool,
    updated_entities: bool,
    duplicates: bool,
    invalidations: bool,
}

impl TouchedTables {
    /// Nothing is written unless the counters are still what they were when the batch began: a row locked by another
    /// writer is waited for, and looked at again (READ COMMITTED, section 13.2.1 of PostgreSQL's manual).
    fn sql(self) -> String {
        let mut text = String::from(
            "WITH head AS (UPDATE log_head SET position = $1, last_delivery_row_id = $2, last_entity_row_id = $3, received_at = $4, \
             updated_at = $5 WHERE id = 1 AND position = $6 AND last_delivery_row_id = $7 AND last_entity_row_id = $8 AND received_at = $9 \
             AND updated_at = $10 AND generation = $11 RETURNING id)",
        );
        let mut parameter = 11;
        if self.invalidations {
            parameter = 13;
            text += ", traced AS (INSERT INTO invalidation_log (head_before, head_after, slot, entity_ids) SELECT $10, $5, $12, $13 FROM head \
                     ON CONFLICT (slot) DO UPDATE SET head_before = excluded.head_before, head_after = excluded.head_after, \
                     entity_ids = excluded.entity_ids)";
        }
        let mut rows = |columns: &ColumnTypes| {
            let arrays = columns.iter().map(|(_, kind)| {
                parameter += 1;
                format!("${parameter}::{kind}[]")
            });
            format!("head, unnest({}) AS new ({})", arrays.collect::<Vec<_>>().join(", "), names(columns))
        };
        let tables = [
            (self.new_entities, "entity", ENTITY_INSERT),
            (self.deliveries, "delivery", DELIVERIES),
            (self.changes, "change", CHANGES),
            (self.steps, "step", STEPS),
        ];
        for (_, table, columns) in tables.into_iter().filter(|(wanted, _, _)| *wanted) {
            let rows = rows(columns);
            text += &format!(", to_{table} AS (INSERT INTO {table} ({}) SELECT new.* FROM {rows})", names(columns));
        }
        if self.updated_entities {
            let moved = ENTITY_UPDATE.iter().skip(1).map(|(name, _)| match *name {
                "facts" | "details" | "field_versions" => format!("{name} = COALESCE(new.{name}, entity.{name})"),
                name => format!("{name} = new.{name}"),
            });
            text += &format!(
                ", moved AS (UPDATE entity SET {} FROM {} WHERE entity.row_id = new.row_id)",
                moved.collect::<Vec<_>>().join(", "),
                rows(ENTITY_UPDATE)
            );
        }
        if self.duplicates {
            text += &format!(
                ", repeated AS (UPDATE delivery SET duplicates = duplicates + new.count, last_duplicate_at = new.at FROM {} \
                 WHERE delivery.row_id = new.row_id)",
                rows(DUPLICATES)
            );
        }
        let counted = LEDGER.iter().skip(1).map(|(name, _)| match *name {
            "received_at" => "received_at = excluded.received_at".to_owned(),
            name => format!("{name} = ledger.{name} + excluded.{name}"),
        });
        text += &format!(
            ", counted AS (INSERT INTO ledger ({}) SELECT new.* FROM {} ON CONFLICT (source) DO UPDATE SET {}) \
             SELECT count(*) FROM head",
            names(LEDGER),
            rows(LEDGER),
            counted.collect::<Vec<_>>().join(", ")
        );
        text
    }
}

fn names(columns: &ColumnTypes) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Binds one array: what the closure says of each row.
macro_rules! bind {
    ($query:ident, $rows:expr, $($column:expr),+ $(,)?) => {
        $($query = $query.bind($rows.iter().map($column).collect::<Vec<_>>());)+
    };
}

impl WriteStatements {
    /// Writes everything, if the counters are what they were; says whether. With a slot, it tells others there which entities
    /// it was about.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn execute(
        &mut self,
        connection: &mut PgConnection,
        rows: &BatchRows<'_>,
        slot: Option<i32>,
    ) -> sqlx::Result<bool> {
        let anew = rows.entities.iter().filter(|slot| slot.pending_steps.replace_all).map(|slot| slot.entity.row_id);
        let anew: Vec<i64> = anew.collect();
        if !anew.is_empty() {
            let text = "DELETE FROM step WHERE entity_row_id = ANY($1)";
            sqlx::query(text).bind(anew).execute(&mut *connection).await?;
        }
        for (source, code, requested_at) in rows.handshakes {
            let text = "INSERT INTO handshake (source, code, requested_at, attempts) VALUES ($1, $2, $3, 0) \
                        ON CONFLICT (source, code) DO UPDATE SET requested_at = excluded.requested_at, \
                        confirmed_at = NULL, attempts = 0, last_error = NULL";
            sqlx::query(text).bind(source).bind(code).bind(requested_at).execute(&mut *connection).await?;
        }
        let (added, moved): (Vec<&CachedEntity>, Vec<&CachedEntity>) =
            rows.entities.iter().partition(|slot| !slot.is_stored);
        let steps = step_rows(rows);
        let parts = TouchedTables {
            new_entities: !added.is_empty(),
            deliveries: !rows.deliveries.is_empty(),
            changes: !rows.changes.is_empty(),
            steps: !steps.is_empty(),
            updated_entities: !moved.is_empty(),
            duplicates: !rows.duplicate_counts.is_empty(),
            invalidations: slot.is_some(),
        };
        let text = self.0.entry(parts).or_insert_with(|| parts.sql());
        let mut query = bind_log_heads(sqlx::query(AssertSqlSafe(text.as_str())), rows);
        if let Some(slot) = slot {
            query = query.bind(slot).bind(&rows.invalidated);
        }
        if parts.new_entities {
            query = bind_new_entities(query, &added)?;
        }
        if parts.deliveries {
            query = bind_deliveries(query, rows);
        }
        if parts.changes {
            query = bind_changes(query, rows);
        }
        if parts.steps {
            query = bind_steps(query, &steps);
        }
        if parts.updated_entities {
            query = bind_updated_entities(query, &moved)?;
        }
        if parts.duplicates {
            bind!(query, rows.duplicate_counts, |(number, _)| *number, |(_, (count, _))| *count, |(_, (_, at))| *at);
        }
        query = bind_ledger(query, rows);
        let matched: i64 = query.fetch_one(connection).await?.try_get(0)?;
        Ok(matched == 1)
    }
}

/// Whether something must be written by a statement of its own, so that one alone is no transaction of all.
pub fn needs_transaction(rows: &BatchRows<'_>) -> bool {
    !rows.handshakes.is_empty() || rows.entities.iter().any(|slot| slot.pending_steps.replace_all)
}

type BoundQuery<'q> = Query<'q, Postgres, PgArguments>;

/// What is known of entities, as their columns have it: facts, details, field_versions.
type FactColumns = [Vec<Option<String>>; 3];

fn fold_states(slots: &[&CachedEntity]) -> sqlx::Result<Vec<String>> {
    let printed = slots.iter().map(|slot| fold_state_json(&slot.entity.fold_state));
    printed.collect::<Result<_, _>>().map_err(|error| sqlx::Error::Encode(error.into()))
}

fn fact_columns(slots: &[&CachedEntity]) -> FactColumns {
    let mut known = FactColumns::default();
    for slot in slots {
        let columns = (slot.facts_changed || !slot.is_stored).then(|| slot.entity.fields.to_columns());
        let columns = columns.map(|columns| [columns.facts, columns.details, columns.field_versions].map(Some));
        known.iter_mut().zip(columns.unwrap_or_default()).for_each(|(column, value)| column.push(value));
    }
    known
}

fn bind_new_entities<'q>(mut query: BoundQuery<'q>, slots: &[&'q CachedEntity]) -> sqlx::Result<BoundQuery<'q>> {
    let entities: Vec<&FoldedEntity> = slots.iter().map(|slot| &slot.entity).collect();
    bind!(
        query,
        entities,
        |entity| entity.row_id,
        |entity| entity.id,
        |entity| entity.entity_type.kind().as_str(),
        |entity| entity.entity_type.subkind(),
        |entity| entity.source.as_str(),
        |entity| entity.vendor,
        |entity| entity.external_id.as_str(),
        |entity| entity.created_at.timestamp_micros(),
    );
    bind_mutable_columns(query, slots)
}

fn bind_updated_entities<'q>(mut query: BoundQuery<'q>, slots: &[&'q CachedEntity]) -> sqlx::Result<BoundQuery<'q>> {
    bind!(query, slots, |slot| slot.entity.row_id);
    bind_mutable_columns(query, slots)
}

// What changes with news.
fn bind_mutable_columns<'q>(mut query: BoundQuery<'q>, slots: &[&'q CachedEntity]) -> sqlx::Result<BoundQuery<'q>> {
    let entities: Vec<&FoldedEntity> = slots.iter().map(|slot| &slot.entity).collect();
    bind!(
        query,
        entities,
        |entity| entity.parent_row_id,
        |entity| entity.inspection_row_id,
        |entity| entity.reference.as_deref(),
        |entity| entity.group.as_deref(),
        |entity| entity.fold_state.state.as_deref(),
        |entity| entity.status.map(Status::as_str),
        |entity| entity.fold_state.cycle,
    );
    query = query.bind(fold_states(slots)?);
    bind!(
        query,
        entities,
        |entity| entity.steps_materialized,
        |entity| entity.updated_at.timestamp_micros(),
        |entity| entity.occurred_at.map(|at| at.timestamp_micros()),
        |entity| entity.position,
    );
    Ok(fact_columns(slots).into_iter().fold(query, |query, column| query.bind(column)))
}

fn bind_deliveries<'q>(mut query: BoundQuery<'q>, rows: &BatchRows<'q>) -> BoundQuery<'q> {
    bind!(
        query,
        rows.deliveries,
        |row| row.row_id,
        |row| row.source.as_str(),
        |row| row.vendor.as_str(),
        |row| row.received_at,
        |row| row.method.as_str(),
        |row| row.headers.as_str(),
        |row| row.body.as_slice(),
        |row| row.dedup_key,
        |row| row.event.as_str(),
        |row| row.occurred_at,
        |row| row.verdict.as_str(),
        |row| row.reason.as_str(),
        |row| row.first_position,
        |row| row.change_count,
        |row| row.duplicates,
        |row| row.last_duplicate_at,
    );
    query
}

fn bind_changes<'q>(mut query: BoundQuery<'q>, rows: &BatchRows<'q>) -> BoundQuery<'q> {
    bind!(
        query,
        rows.changes,
        |row| row.position,
        |row| row.kind.as_str(),
        |row| row.entity_row_id,
        |row| row.inspection_row_id,
        |row| row.delivery_row_id,
        |row| row.source.as_str(),
        |row| row.vendor.as_str(),
        |row| row.event.as_str(),
        |row| row.verdict.as_str(),
        |row| row.reason.as_str(),
        |row| row.from_state.as_deref(),
        |row| row.to_state.as_deref(),
        |row| row.from_status.map(Status::as_str),
        |row| row.to_status.map(Status::as_str),
        |row| row.cycle,
        |row| row.occurred_at,
        |row| row.received_at,
        |row| row.dedup_key,
        |row| row.target_state.as_deref(),
        |row| row.at_least,
        |row| row.order_cycle,
        |row| row.order_rank,
        |row| row.previous_step,
    );
    query
}

fn step_rows<'q>(rows: &BatchRows<'q>) -> Vec<(i64, &'q MaterializedStep)> {
    let steps_materialized = rows.entities.iter().filter(|slot| slot.entity.steps_materialized);
    let of_entity = |slot: &&'q CachedEntity| {
        let number = slot.entity.row_id;
        slot.pending_steps.steps.iter().map(move |placed| (number, placed))
    };
    steps_materialized.flat_map(of_entity).collect()
}

fn bind_log_heads<'q>(query: BoundQuery<'q>, rows: &BatchRows<'q>) -> BoundQuery<'q> {
    let (after, before) = (rows.head, rows.head_before);
    let query = query.bind(after.position).bind(after.last_delivery_row_id).bind(after.last_entity_row_id);
    let query = query.bind(after.received_at).bind(after.updated_at);
    let query = query.bind(before.position).bind(before.last_delivery_row_id).bind(before.last_entity_row_id);
    query.bind(before.received_at).bind(before.updated_at).bind(before.generation)
}

fn bind_steps<'q>(mut query: BoundQuery<'q>, steps: &[(i64, &'q MaterializedStep)]) -> BoundQuery<'q> {
    bind!(
        query,
        steps,
        |(entity, _)| *entity,
        |(_, placed)| placed.seq,
        |(_, placed)| placed.step.key.position,
        |(_, placed)| placed.step.target_state,
        |(_, placed)| placed.step.at_least,
        |(_, placed)| placed.step.key.time,
        |(_, placed)| placed.step.key.cycle,
        |(_, placed)| placed.step.key.rank,
        |(_, placed)| placed.step.received_at.timestamp_micros(),
        |(_, placed)| placed.effective_at,
        |(_, placed)| placed.state_after.as_deref(),
        |(_, placed)| placed.status_after.map(Status::as_str),
        |(_, placed)| placed.cycle_after,
    );
    query
}

fn bind_ledger<'q>(mut query: BoundQuery<'q>, rows: &BatchRows<'q>) -> BoundQuery<'q> {
    bind!(
        query,
        rows.ledger,
        |row| row.source.as_str(),
        |row| row.received,
        |row| row.duplicates,
        |row| row.applied,
        |row| row.skipped_ahead,
        |row| row.unexpected,
        |row| row.stale,
        |row| row.refused,
        |row| row.no_change,
        |row| row.unrecognized,
        |row| row.unreadable,
        |row| row.orphaned,
        |row| row.received_at,
    );
    query
}
