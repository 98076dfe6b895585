//! One statement that writes all that a batch has changed, if nobody else has written meanwhile: each table's rows come
//! as one array per column.

use super::super::rows::print;
use super::super::session::Rows;
use super::columns::{ADDED, CHANGES, Columns, DELIVERIES, LEDGER, MOVED, REPEATED, STEPS};
use crate::event::{Entity, Placed, Slot};
use entity::Status;
use sea_orm::sqlx::postgres::{PgArguments, PgConnection};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, Postgres, Row};
use std::collections::HashMap;

/// The statements' texts, each made once: only the tables that a batch touches are in it, since each costs the database
/// something to prepare for, whether rows come or not.
#[derive(Debug, Default)]
pub struct Statements(HashMap<Parts, String>);

/// What a batch has rows for. There are always deliveries or repetitions, and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Parts {
    added: bool,
    deliveries: bool,
    changes: bool,
    steps: bool,
    moved: bool,
    repeated: bool,
    traced: bool,
}

impl Parts {
    /// Nothing is written unless the counters are still what they were when the batch began: a row locked by another
    /// writer is waited for, and looked at again (READ COMMITTED, section 13.2.1 of PostgreSQL's manual).
    fn statement(self) -> String {
        let mut text = String::from(
            "WITH head AS (UPDATE log_head SET position = $1, delivery = $2, entity = $3, received_at = $4, \
             updated_at = $5 WHERE id = 1 AND position = $6 AND delivery = $7 AND entity = $8 AND received_at = $9 \
             AND updated_at = $10 AND generation = $11 RETURNING id)",
        );
        let mut parameter = 11;
        if self.traced {
            parameter = 13;
            text += ", traced AS (INSERT INTO trace (before, after, slot, entities) SELECT $10, $5, $12, $13 FROM head \
                     ON CONFLICT (slot) DO UPDATE SET before = excluded.before, after = excluded.after, \
                     entities = excluded.entities)";
        }
        let mut rows = |columns: &Columns| {
            let arrays = columns.iter().map(|(_, kind)| {
                parameter += 1;
                format!("${parameter}::{kind}[]")
            });
            format!("head, unnest({}) AS new ({})", arrays.collect::<Vec<_>>().join(", "), names(columns))
        };
        let tables = [
            (self.added, "entity", ADDED),
            (self.deliveries, "delivery", DELIVERIES),
            (self.changes, "change", CHANGES),
            (self.steps, "step", STEPS),
        ];
        for (_, table, columns) in tables.into_iter().filter(|(wanted, _, _)| *wanted) {
            let rows = rows(columns);
            text += &format!(", to_{table} AS (INSERT INTO {table} ({}) SELECT new.* FROM {rows})", names(columns));
        }
        if self.moved {
            let moved = MOVED.iter().skip(1).map(|(name, _)| match *name {
                "facts" | "details" | "stamps" => format!("{name} = COALESCE(new.{name}, entity.{name})"),
                name => format!("{name} = new.{name}"),
            });
            text += &format!(
                ", moved AS (UPDATE entity SET {} FROM {} WHERE entity.number = new.number)",
                moved.collect::<Vec<_>>().join(", "),
                rows(MOVED)
            );
        }
        if self.repeated {
            text += &format!(
                ", repeated AS (UPDATE delivery SET duplicates = duplicates + new.count, duplicate_at = new.at FROM {} \
                 WHERE delivery.number = new.number)",
                rows(REPEATED)
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

fn names(columns: &Columns) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Binds one array: what the closure says of each row.
macro_rules! bind {
    ($query:ident, $rows:expr, $($column:expr),+ $(,)?) => {
        $($query = $query.bind($rows.iter().map($column).collect::<Vec<_>>());)+
    };
}

impl Statements {
    /// Writes everything, if the counters are what they were; says whether. With a slot, it tells others there which entities
    /// it was about.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn write(
        &mut self,
        connection: &mut PgConnection,
        rows: &Rows<'_>,
        slot: Option<i32>,
    ) -> sqlx::Result<bool> {
        let anew = rows.entities.iter().filter(|slot| slot.written.anew).map(|slot| slot.entity.number);
        let anew: Vec<i64> = anew.collect();
        if !anew.is_empty() {
            let text = "DELETE FROM step WHERE entity = ANY($1)";
            sqlx::query(text).bind(anew).execute(&mut *connection).await?;
        }
        for (source, code, requested_at) in rows.handshakes {
            let text = "INSERT INTO handshake (source, code, requested_at, attempts) VALUES ($1, $2, $3, 0) \
                        ON CONFLICT (source, code) DO UPDATE SET requested_at = excluded.requested_at, \
                        confirmed_at = NULL, attempts = 0, last_error = NULL";
            sqlx::query(text).bind(source).bind(code).bind(requested_at).execute(&mut *connection).await?;
        }
        let (added, moved): (Vec<&Slot>, Vec<&Slot>) = rows.entities.iter().partition(|slot| !slot.stored);
        let steps = steps(rows);
        let parts = Parts {
            added: !added.is_empty(),
            deliveries: !rows.deliveries.is_empty(),
            changes: !rows.changes.is_empty(),
            steps: !steps.is_empty(),
            moved: !moved.is_empty(),
            repeated: !rows.repeated.is_empty(),
            traced: slot.is_some(),
        };
        let text = self.0.entry(parts).or_insert_with(|| parts.statement());
        let mut query = bind_heads(sqlx::query(AssertSqlSafe(text.as_str())), rows);
        if let Some(slot) = slot {
            query = query.bind(slot).bind(&rows.touched);
        }
        if parts.added {
            query = bind_added(query, &added)?;
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
        if parts.moved {
            query = bind_moved(query, &moved)?;
        }
        if parts.repeated {
            bind!(query, rows.repeated, |(number, _)| *number, |(_, (count, _))| *count, |(_, (_, at))| *at);
        }
        query = bind_ledger(query, rows);
        let matched: i64 = query.fetch_one(connection).await?.try_get(0)?;
        Ok(matched == 1)
    }
}

/// Whether something must be written by a statement of its own, so that one alone is no transaction of all.
pub fn takes_several(rows: &Rows<'_>) -> bool {
    !rows.handshakes.is_empty() || rows.entities.iter().any(|slot| slot.written.anew)
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

/// What is known of entities, as their columns have it: facts, details, stamps.
type Known = [Vec<Option<String>>; 3];

fn tips(slots: &[&Slot]) -> sqlx::Result<Vec<String>> {
    let printed = slots.iter().map(|slot| print(&slot.entity.tip));
    printed.collect::<Result<_, _>>().map_err(|error| sqlx::Error::Encode(error.into()))
}

fn known(slots: &[&Slot]) -> Known {
    let mut known = Known::default();
    for slot in slots {
        let columns = (slot.facts_changed || !slot.stored).then(|| slot.entity.known.columns());
        let columns = columns.map(|columns| [columns.facts, columns.details, columns.stamps].map(Some));
        known.iter_mut().zip(columns.unwrap_or_default()).for_each(|(column, value)| column.push(value));
    }
    known
}

fn bind_added<'q>(mut query: Bound<'q>, slots: &[&'q Slot]) -> sqlx::Result<Bound<'q>> {
    let entities: Vec<&Entity> = slots.iter().map(|slot| &slot.entity).collect();
    bind!(
        query,
        entities,
        |entity| entity.number,
        |entity| entity.id,
        |entity| entity.subject.kind().as_str(),
        |entity| entity.subject.subkind(),
        |entity| entity.source.as_str(),
        |entity| entity.vendor,
        |entity| entity.external_id.as_str(),
        |entity| entity.created_at.timestamp_micros(),
    );
    bind_moving(query, slots)
}

fn bind_moved<'q>(mut query: Bound<'q>, slots: &[&'q Slot]) -> sqlx::Result<Bound<'q>> {
    bind!(query, slots, |slot| slot.entity.number);
    bind_moving(query, slots)
}

// What changes with news.
fn bind_moving<'q>(mut query: Bound<'q>, slots: &[&'q Slot]) -> sqlx::Result<Bound<'q>> {
    let entities: Vec<&Entity> = slots.iter().map(|slot| &slot.entity).collect();
    bind!(
        query,
        entities,
        |entity| entity.parent,
        |entity| entity.inspection,
        |entity| entity.reference.as_deref(),
        |entity| entity.group.as_deref(),
        |entity| entity.tip.state.as_deref(),
        |entity| entity.status.map(Status::as_str),
        |entity| entity.tip.cycle,
    );
    query = query.bind(tips(slots)?);
    bind!(
        query,
        entities,
        |entity| entity.retold,
        |entity| entity.updated_at.timestamp_micros(),
        |entity| entity.occurred_at.map(|at| at.timestamp_micros()),
        |entity| entity.position,
    );
    Ok(known(slots).into_iter().fold(query, |query, column| query.bind(column)))
}

fn bind_deliveries<'q>(mut query: Bound<'q>, rows: &Rows<'q>) -> Bound<'q> {
    bind!(
        query,
        rows.deliveries,
        |row| row.number,
        |row| row.source.as_str(),
        |row| row.vendor.as_str(),
        |row| row.received_at,
        |row| row.method.as_str(),
        |row| row.headers.as_str(),
        |row| row.body.as_slice(),
        |row| row.news,
        |row| row.event.as_str(),
        |row| row.occurred_at,
        |row| row.verdict.as_str(),
        |row| row.reason.as_str(),
        |row| row.first_position,
        |row| row.changes,
        |row| row.duplicates,
        |row| row.duplicate_at,
    );
    query
}

fn bind_changes<'q>(mut query: Bound<'q>, rows: &Rows<'q>) -> Bound<'q> {
    bind!(
        query,
        rows.changes,
        |row| row.position,
        |row| row.kind.as_str(),
        |row| row.entity,
        |row| row.inspection,
        |row| row.delivery,
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
        |row| row.news,
        |row| row.named_state.as_deref(),
        |row| row.implied,
        |row| row.placed_cycle,
        |row| row.placed_rank,
        |row| row.step_before,
    );
    query
}

fn steps<'q>(rows: &Rows<'q>) -> Vec<(i64, &'q Placed)> {
    let retold = rows.entities.iter().filter(|slot| slot.entity.retold);
    let of_entity = |slot: &&'q Slot| {
        let number = slot.entity.number;
        slot.written.steps.iter().map(move |placed| (number, placed))
    };
    retold.flat_map(of_entity).collect()
}

fn bind_heads<'q>(query: Bound<'q>, rows: &Rows<'q>) -> Bound<'q> {
    let (after, before) = (rows.head, rows.before);
    let query = query.bind(after.position).bind(after.delivery).bind(after.entity);
    let query = query.bind(after.received_at).bind(after.updated_at);
    let query = query.bind(before.position).bind(before.delivery).bind(before.entity);
    query.bind(before.received_at).bind(before.updated_at).bind(before.generation)
}

fn bind_steps<'q>(mut query: Bound<'q>, steps: &[(i64, &'q Placed)]) -> Bound<'q> {
    bind!(
        query,
        steps,
        |(entity, _)| *entity,
        |(_, placed)| placed.seq,
        |(_, placed)| placed.step.key.position,
        |(_, placed)| placed.step.to,
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

fn bind_ledger<'q>(mut query: Bound<'q>, rows: &Rows<'q>) -> Bound<'q> {
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
