//! One statement that writes all that a batch has changed, unless another writer has written since the batch began. Each table's
//! rows are bound as one array per column.
//!
//! The parts of the statement see the tables as they were before it, and PostgreSQL runs them in any order (section 7.8.4 of its
//! manual). No two of them write the same row, with one exception: steps are replaced by a DELETE and an INSERT, which may have
//! keys in common. The INSERT needs the number of deleted rows, so no row is inserted before all of them are deleted; and a key is
//! free once its row was deleted by the same transaction (*Index Uniqueness Checks*).

use crate::event::{CachedEntity, UpdatePlace};
use crate::store::StoreError;
use crate::store::write::change_type::SplitChanges;
use crate::store::write::columns::{BoundQuery, ColumnNames, DuplicateCount, EntityColumnGroup, bind_rows};
use crate::store::write::connection::{BatchRows, HandshakeRequest};
use crate::store::write::row_mapping::{entity_to_row, step_rows};
use crate::store::write::sql::{UNLESS_STORED, add_to_ledger, request_handshakes};
use entity::{change_row, change_type, command, delivery, idempotency_key, ledger, step, update_order};
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Row};
use std::collections::HashMap;

/// The texts of the statement, each made once. A text has only the tables that the batch touches: PostgreSQL prepares for each
/// table that is named, with or without rows.
#[derive(Debug, Default)]
pub struct WriteStatements(HashMap<TouchedTables, String>);

/// The tables that a batch has rows for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TouchedTables {
    new_entities: bool,
    deliveries: bool,
    commands: bool,
    idempotency_keys: bool,
    change_types: bool,
    changes: bool,
    /// Whether stored steps are replaced, not only added to.
    replaced_steps: bool,
    steps: bool,
    updated_entities: bool,
    places: bool,
    obsolete_places: bool,
    duplicates: bool,
    handshakes: bool,
    counts: bool,
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
        let mut after_deletion = "";
        if self.replaced_steps {
            parameter += 1;
            text += &format!(
                ", replaced AS (DELETE FROM step USING head WHERE step.entity_row_id = ANY(${parameter}) RETURNING seq)"
            );
            after_deletion = " WHERE (SELECT count(*) FROM replaced) >= 0";
        }
        let mut new_rows = |columns: &ColumnNames| {
            format!("head, unnest({}) AS new ({})", columns.arrays(&mut parameter), columns.list())
        };
        let tables = [
            (self.new_entities, "entity", ColumnNames::of::<entity::entity::Model>(), ""),
            (self.deliveries, "delivery", ColumnNames::of::<delivery::Model>(), ""),
            (self.commands, "command", ColumnNames::of::<command::Model>(), ""),
            (self.idempotency_keys, "idempotency_key", ColumnNames::of::<idempotency_key::Model>(), ""),
            (self.change_types, "change_type", ColumnNames::of::<change_type::Model>(), UNLESS_STORED),
            (self.changes, "change_row", ColumnNames::of::<change_row::Model>(), ""),
            (self.steps, "step", ColumnNames::of::<step::Model>(), after_deletion),
            (self.places, "update_order", ColumnNames::of::<update_order::Model>(), " ON CONFLICT DO NOTHING"),
        ];
        for (_, table, columns, condition) in tables.into_iter().filter(|(touched, ..)| *touched) {
            let (list, rows) = (columns.list(), new_rows(&columns));
            text += &format!(", new_{table} AS (INSERT INTO {table} ({list}) SELECT new.* FROM {rows}{condition})");
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
        if self.obsolete_places {
            let rows = new_rows(&ColumnNames::of::<UpdatePlace>());
            text += &format!(
                ", obsolete AS (DELETE FROM update_order USING {rows} \
                 WHERE update_order.list = new.list AND update_order.position = new.position)"
            );
        }
        if self.duplicates {
            let rows = new_rows(&ColumnNames::of::<DuplicateCount>());
            text += &format!(
                ", duplicated AS (UPDATE delivery SET duplicates = duplicates + new.count, last_duplicate_at = new.last_at \
                 FROM {rows} WHERE delivery.row_id = new.row_id)"
            );
        }
        if self.handshakes {
            // One statement cannot write a row twice: of equal requests only the newest is written.
            let rows = new_rows(&ColumnNames::of::<HandshakeRequest>());
            let newest = format!(
                "SELECT DISTINCT ON (new.source, new.code) new.*, 0 FROM {rows} \
                 ORDER BY new.source, new.code, new.requested_at DESC"
            );
            text += &format!(", requested AS ({})", request_handshakes(&newest));
        }
        if self.counts {
            let columns = ColumnNames::of::<ledger::Model>();
            let (list, rows) = (columns.list(), new_rows(&columns));
            text += &format!(", counted AS (INSERT INTO ledger ({list}) SELECT new.* FROM {rows}{})", add_to_ledger());
        }
        text + " SELECT count(*) FROM head"
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
        SplitChanges { rows: changes, new_types }: &SplitChanges,
        slot: Option<i32>,
    ) -> Result<bool, StoreError> {
        let replaced = rows.entities.iter().filter(|cached| cached.pending_steps.replace_all);
        let replaced: Vec<i64> = replaced.map(|cached| cached.entity.row_id).collect();
        let (new, updated): (Vec<&CachedEntity>, Vec<&CachedEntity>) =
            rows.entities.iter().partition(|cached| !cached.is_stored);
        let (new, updated) = (entity_rows(&new)?, entity_rows(&updated)?);
        let steps: Vec<step::Model> = rows.entities.iter().flat_map(|cached| step_rows(cached)).collect();
        let places: Vec<update_order::Model> = rows.entities.iter().flat_map(|cached| cached.new_places()).collect();
        let touched = TouchedTables {
            new_entities: !new.is_empty(),
            deliveries: !rows.deliveries.is_empty(),
            commands: !rows.commands.is_empty(),
            idempotency_keys: !rows.idempotency_keys.is_empty(),
            change_types: !new_types.is_empty(),
            changes: !changes.is_empty(),
            replaced_steps: !replaced.is_empty(),
            steps: !steps.is_empty(),
            updated_entities: !updated.is_empty(),
            places: !places.is_empty(),
            obsolete_places: !rows.obsolete_places.is_empty(),
            duplicates: !rows.duplicate_counts.is_empty(),
            handshakes: !rows.handshakes.is_empty(),
            counts: !rows.ledger.is_empty(),
            invalidations: slot.is_some(),
        };
        let text = self.0.entry(touched).or_insert_with(|| touched.sql());
        let mut query = bind_heads(sqlx::query(AssertSqlSafe(text.as_str())), rows);
        if let Some(slot) = slot {
            query = query.bind(slot).bind(&rows.invalidated);
        }
        if touched.replaced_steps {
            query = query.bind(replaced);
        }
        // A table without rows has no parameters in the text.
        bind_rows(&mut query, new.iter(), |_| true)?;
        bind_rows(&mut query, rows.deliveries.iter(), |_| true)?;
        bind_rows(&mut query, rows.commands.iter(), |_| true)?;
        bind_rows(&mut query, rows.idempotency_keys.iter(), |_| true)?;
        bind_rows(&mut query, new_types.iter(), |_| true)?;
        bind_rows(&mut query, changes.iter(), |_| true)?;
        bind_rows(&mut query, steps.iter(), |_| true)?;
        bind_rows(&mut query, places.iter(), |_| true)?;
        bind_rows(&mut query, updated.iter(), is_updated)?;
        bind_rows(&mut query, rows.obsolete_places.iter(), |_| true)?;
        bind_rows(&mut query, rows.duplicate_counts.iter().copied(), |_| true)?;
        bind_rows(&mut query, rows.handshakes.iter(), |_| true)?;
        bind_rows(&mut query, rows.ledger.iter().copied(), |_| true)?;
        let matched: i64 = query.fetch_one(connection).await?.try_get(0)?;
        Ok(matched == 1)
    }
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
