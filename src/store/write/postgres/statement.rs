//! One statement that writes all that a batch has changed, unless another writer has written since the batch began. Each table's
//! rows are bound as one array per column.

use crate::event::CachedEntity;
use crate::store::StoreError;
use crate::store::write::columns::{BoundQuery, ColumnNames, DuplicateCount, EntityColumnGroup, bind_rows};
use crate::store::write::connection::BatchRows;
use crate::store::write::row_mapping::{entity_to_row, step_rows};
use crate::store::write::sql::{REQUEST_HANDSHAKE, add_to_ledger};
use entity::{change, delivery, ledger, step};
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Row};
use std::collections::HashMap;

/// The texts of the statement, each made once. A text has only the tables that the batch touches: PostgreSQL prepares for each
/// table that is named, with or without rows.
#[derive(Debug, Default)]
pub struct WriteStatements(HashMap<TouchedTables, String>);

/// The tables that a batch has rows for. Every batch has counts for the ledger.
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
    /// Writes nothing unless the counters are still those from the beginning of the batch. A row that another writer has locked is
    /// waited for, then checked again (READ COMMITTED, section 13.2.1 of PostgreSQL's manual).
    fn sql(self) -> String {
        let mut text = String::from(
            "WITH head AS (UPDATE log_head SET position = $1, last_delivery_row_id = $2, last_entity_row_id = $3, received_at = $4, \
             updated_at = $5 WHERE id = 1 AND position = $6 AND last_delivery_row_id = $7 AND last_entity_row_id = $8 AND received_at = $9 \
             AND updated_at = $10 AND generation = $11 RETURNING id)",
        );
        let mut parameter = 11;
        if self.invalidations {
            parameter = 13;
            text += ", invalidated AS (INSERT INTO invalidation_log (head_before, head_after, slot, entity_ids) \
                     SELECT $10, $5, $12, $13 FROM head \
                     ON CONFLICT (slot) DO UPDATE SET head_before = excluded.head_before, head_after = excluded.head_after, \
                     entity_ids = excluded.entity_ids)";
        }
        let mut new_rows = |columns: &ColumnNames| {
            format!("head, unnest({}) AS new ({})", columns.arrays(&mut parameter), columns.list())
        };
        let tables = [
            (self.new_entities, "entity", ColumnNames::of::<entity::entity::Model>()),
            (self.deliveries, "delivery", ColumnNames::of::<delivery::Model>()),
            (self.changes, "change", ColumnNames::of::<change::Model>()),
            (self.steps, "step", ColumnNames::of::<step::Model>()),
        ];
        for (_, table, columns) in tables.into_iter().filter(|(touched, _, _)| *touched) {
            let (list, rows) = (columns.list(), new_rows(&columns));
            text += &format!(", new_{table} AS (INSERT INTO {table} ({list}) SELECT new.* FROM {rows})");
        }
        if self.updated_entities {
            // The row's facts are empty if they have not changed.
            let assigned = ColumnNames::only::<entity::entity::Model>(|name| is_updated(name) && name != "row_id");
            let assigned = assigned.listed(|name| match EntityColumnGroup::of(name) {
                EntityColumnGroup::Facts => format!("{name} = COALESCE(NULLIF(new.{name}, ''), entity.{name})"),
                _ => format!("{name} = new.{name}"),
            });
            let rows = new_rows(&ColumnNames::only::<entity::entity::Model>(is_updated));
            text +=
                &format!(", updated AS (UPDATE entity SET {assigned} FROM {rows} WHERE entity.row_id = new.row_id)");
        }
        if self.duplicates {
            let rows = new_rows(&ColumnNames::of::<DuplicateCount>());
            text += &format!(
                ", duplicated AS (UPDATE delivery SET duplicates = duplicates + new.count, last_duplicate_at = new.last_at \
                 FROM {rows} WHERE delivery.row_id = new.row_id)"
            );
        }
        let columns = ColumnNames::of::<ledger::Model>();
        let (list, rows) = (columns.list(), new_rows(&columns));
        text += &format!(
            ", counted AS (INSERT INTO ledger ({list}) SELECT new.* FROM {rows}{}) SELECT count(*) FROM head",
            add_to_ledger()
        );
        text
    }
}

/// Whether an update writes a column, or is found by it.
fn is_updated(column: &str) -> bool {
    column == "row_id" || EntityColumnGroup::of(column) != EntityColumnGroup::Identity
}

impl WriteStatements {
    /// Writes everything if the counters are unchanged; returns whether they are. With a slot, it also records the batch's
    /// entities in the invalidation log.
    pub async fn execute(
        &mut self,
        connection: &mut PgConnection,
        rows: &BatchRows<'_>,
        slot: Option<i32>,
    ) -> Result<bool, StoreError> {
        let replaced: Vec<i64> = replaced_steps(rows).collect();
        if !replaced.is_empty() {
            let text = "DELETE FROM step WHERE entity_row_id = ANY($1)";
            sqlx::query(text).bind(replaced).execute(&mut *connection).await?;
        }
        for request in rows.handshakes {
            let query = sqlx::query(REQUEST_HANDSHAKE).bind(&request.source).bind(&request.code);
            query.bind(request.requested_at).execute(&mut *connection).await?;
        }
        let (new, updated): (Vec<&CachedEntity>, Vec<&CachedEntity>) =
            rows.entities.iter().partition(|cached| !cached.is_stored);
        let (new, updated) = (entity_rows(&new)?, entity_rows(&updated)?);
        let steps: Vec<step::Model> = rows.entities.iter().flat_map(|cached| step_rows(cached)).collect();
        let touched = TouchedTables {
            new_entities: !new.is_empty(),
            deliveries: !rows.deliveries.is_empty(),
            changes: !rows.changes.is_empty(),
            steps: !steps.is_empty(),
            updated_entities: !updated.is_empty(),
            duplicates: !rows.duplicate_counts.is_empty(),
            invalidations: slot.is_some(),
        };
        let text = self.0.entry(touched).or_insert_with(|| touched.sql());
        let mut query = bind_heads(sqlx::query(AssertSqlSafe(text.as_str())), rows);
        if let Some(slot) = slot {
            query = query.bind(slot).bind(&rows.invalidated);
        }
        // A table without rows has no parameters in the text.
        bind_rows(&mut query, new.iter(), |_| true)?;
        bind_rows(&mut query, rows.deliveries.iter(), |_| true)?;
        bind_rows(&mut query, rows.changes.iter(), |_| true)?;
        bind_rows(&mut query, steps.iter(), |_| true)?;
        bind_rows(&mut query, updated.iter(), is_updated)?;
        bind_rows(&mut query, rows.duplicate_counts.iter().copied(), |_| true)?;
        bind_rows(&mut query, rows.ledger.iter().copied(), |_| true)?;
        let matched: i64 = query.fetch_one(connection).await?.try_get(0)?;
        Ok(matched == 1)
    }
}

/// Whether something must be written by a statement of its own, so that the one statement is not the whole transaction.
pub fn needs_transaction(rows: &BatchRows<'_>) -> bool {
    !rows.handshakes.is_empty() || replaced_steps(rows).next().is_some()
}

// The entities whose stored steps are replaced.
fn replaced_steps(rows: &BatchRows<'_>) -> impl Iterator<Item = i64> {
    rows.entities.iter().filter(|cached| cached.pending_steps.replace_all).map(|cached| cached.entity.row_id)
}

fn entity_rows(entities: &[&CachedEntity]) -> Result<Vec<entity::entity::Model>, StoreError> {
    entities.iter().map(|cached| entity_to_row(cached)).collect()
}

fn bind_heads<'q>(query: BoundQuery<'q>, rows: &BatchRows<'_>) -> BoundQuery<'q> {
    let (after, before) = (rows.head, rows.head_before);
    let query = query.bind(after.position).bind(after.last_delivery_row_id).bind(after.last_entity_row_id);
    let query = query.bind(after.received_at).bind(after.updated_at);
    let query = query.bind(before.position).bind(before.last_delivery_row_id).bind(before.last_entity_row_id);
    query.bind(before.received_at).bind(before.updated_at).bind(before.generation)
}
