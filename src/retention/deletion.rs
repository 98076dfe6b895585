//! Deletes units, each in one short transaction of a writer.

use super::purge::KEYS_PER_STATEMENT;
use super::purge_unit::PurgeUnit;
use crate::store::MaintenanceLock;
use crate::store::StoreError;
use crate::store::read::head;
use entity::{Verdict, change, delivery, entity as thing, log_gap, log_head, purged_ledger, step, tombstone};
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait,
    IntoActiveModel, IsolationLevel, Iterable, QueryFilter, QueryOrder, QuerySelect, Set, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long to try for the writer's lock, and the wait between two attempts on SQLite. SQLite's own waits become longer and
/// longer, and never succeed beside a busy writer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);
/// PostgreSQL ends a statement that takes longer, and a transaction that is idle for longer; in milliseconds.
const STALLED_TIMEOUT_MS: u32 = 10_000;

/// The connection that deletes.
#[derive(Debug)]
pub struct PurgeConnection {
    pub connection: DatabaseConnection,
    pub _lock: MaintenanceLock,
}

impl PurgeConnection {
    /// Deletes units with all their rows, and inserts tombstones and gaps. Deletes nothing and returns false if an entity has
    /// changed after a position, or a delivery was received again since a cutoff.
    pub async fn delete_unit(
        &self,
        unit: &PurgeUnit,
        gaps: &[log_gap::Model],
        cutoff: i64,
        position: i64,
    ) -> Result<bool, StoreError> {
        let (txn, begun) = (self.begin().await?, Instant::now());
        let old = head(&txn).await?;
        let entities: Vec<i64> = unit.entities.keys().copied().collect();
        let deliveries: Vec<i64> = unit.deliveries.keys().copied().collect();
        let counts = ledger_counts(&txn, &deliveries, cutoff).await?;
        let (Some(counts), false) = (counts, has_changed(&txn, &entities, position).await?) else {
            txn.rollback().await?;
            return Ok(false);
        };
        let positions: Vec<i64> = unit.deliveries.values().flat_map(|delivery| delivery.positions()).collect();
        for keys in positions.chunks(KEYS_PER_STATEMENT) {
            let rows = change::Column::Position.is_in(keys.iter().copied());
            change::Entity::delete_many().filter(rows).exec(&txn).await?;
        }
        for keys in entities.chunks(KEYS_PER_STATEMENT) {
            step::Entity::delete_many()
                .filter(step::Column::EntityRowId.is_in(keys.iter().copied()))
                .exec(&txn)
                .await?;
            thing::Entity::delete_many().filter(thing::Column::RowId.is_in(keys.iter().copied())).exec(&txn).await?;
        }
        for keys in deliveries.chunks(KEYS_PER_STATEMENT) {
            let rows = delivery::Column::RowId.is_in(keys.iter().copied());
            delivery::Entity::delete_many().filter(rows).exec(&txn).await?;
            // Gaps before these deliveries end elsewhere now.
            log_gap::Entity::delete_many()
                .filter(log_gap::Column::NextDeliveryRowId.is_in(keys.iter().copied()))
                .exec(&txn)
                .await?;
        }
        for gaps in gaps.chunks(KEYS_PER_STATEMENT) {
            let rows = gaps.iter().map(|gap| gap.clone().into_active_model().reset_all());
            log_gap::Entity::insert_many(rows).exec_without_returning(&txn).await?;
        }
        insert_tombstones(&txn, unit, old.last_delivery_row_id).await?;
        for row in counts.into_values() {
            add_purged_counts(&txn, row).await?;
        }
        let retained_from = positions.into_iter().chain([old.retained_from]).max().unwrap_or_default();
        // Always another value: the writer's cache is valid only while this row is unchanged.
        let head = log_head::ActiveModel {
            id: Set(1),
            retained_from: Set(retained_from),
            updated_at: Set(old.updated_at + 1),
            ..Default::default()
        };
        log_head::Entity::update(head).exec(&txn).await?;
        crate::failpoints::pause_at("purged");
        txn.commit().await?;
        // Lets others write for as long as this took.
        tokio::time::sleep(begun.elapsed()).await;
        Ok(true)
    }

    /// Deletes the tombstones of entities that no stored delivery can refer to any more.
    pub async fn delete_obsolete_tombstones(&self) -> Result<(), StoreError> {
        use tombstone::Column::{Id, LastDeliveryRowId};
        let first = delivery::Entity::find().select_only().column(delivery::Column::RowId);
        let first = first.order_by_asc(delivery::Column::RowId).limit(1).into_tuple::<i64>();
        let Some(first) = first.one(&self.connection).await? else { return Ok(()) };
        loop {
            let ids = tombstone::Entity::find()
                .select_only()
                .column(Id)
                .filter(LastDeliveryRowId.lt(first))
                .limit(KEYS_PER_STATEMENT as u64);
            let ids: Vec<Uuid> = ids.into_tuple().all(&self.connection).await?;
            if ids.is_empty() {
                return Ok(());
            }
            let (txn, begun) = (self.begin().await?, Instant::now());
            tombstone::Entity::delete_many().filter(Id.is_in(ids)).exec(&txn).await?;
            txn.commit().await?;
            tokio::time::sleep(begun.elapsed()).await;
        }
    }

    // Immediate: SQLite refuses a write after a read if another process wrote in between.
    async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = TransactionOptions {
            isolation_level: (self.connection.get_database_backend() == DbBackend::Postgres)
                .then_some(IsolationLevel::ReadCommitted),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let begun = Instant::now();
        loop {
            match self.try_begin(options).await {
                Err(error) if error.is_lock_timeout() && begun.elapsed() < LOCK_TIMEOUT => {
                    tokio::time::sleep(LOCK_RETRY_INTERVAL).await
                }
                txn => return txn,
            }
        }
    }

    async fn try_begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, StoreError> {
        let txn = self.connection.begin_with_options(options).await?;
        if txn.get_database_backend() == DbBackend::Postgres {
            // A frozen process must not block other writers. The locked row queues them.
            let limits = format!(
                "SET LOCAL statement_timeout = {STALLED_TIMEOUT_MS}; SET LOCAL idle_in_transaction_session_timeout = {STALLED_TIMEOUT_MS}; \
                 SELECT id FROM log_head WHERE id = 1 FOR UPDATE"
            );
            txn.execute_unprepared(&limits).await?;
        }
        Ok(txn)
    }
}

// Whether these entities have changed after a position, or other entities belong to them since.
async fn has_changed<C: ConnectionTrait>(txn: &C, entities: &[i64], position: i64) -> Result<bool, StoreError> {
    for keys in entities.chunks(KEYS_PER_STATEMENT) {
        let keys = || keys.iter().copied();
        let changes = change::Entity::find().select_only().column(change::Column::Position);
        let changes = changes.filter(change::Column::EntityRowId.is_in(keys()));
        let changes = changes.filter(change::Column::Position.gt(position));
        let parts = thing::Entity::find().select_only().column(thing::Column::RowId);
        let belongs = thing::Column::ParentRowId.is_in(keys()).or(thing::Column::InspectionRowId.is_in(keys()));
        let parts = parts.filter(belongs).filter(thing::Column::Position.gt(position));
        if changes.limit(1).into_tuple::<i64>().one(txn).await?.is_some()
            || parts.limit(1).into_tuple::<i64>().one(txn).await?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

// The ledger's counts of these deliveries, by source; none if one of them is gone or was received again since the cutoff.
async fn ledger_counts<C: ConnectionTrait>(
    txn: &C,
    deliveries: &[i64],
    cutoff: i64,
) -> Result<Option<BTreeMap<String, purged_ledger::Model>>, StoreError> {
    use delivery::Column::{Duplicates, LastDuplicateAt, RowId, Source, Verdict as VerdictColumn};
    let mut counts: BTreeMap<String, purged_ledger::Model> = BTreeMap::new();
    for keys in deliveries.chunks(KEYS_PER_STATEMENT) {
        let columns = [Source, VerdictColumn, Duplicates, LastDuplicateAt];
        let rows = delivery::Entity::find().select_only().columns(columns);
        let rows = rows.filter(RowId.is_in(keys.iter().copied()));
        let rows: Vec<(String, Verdict, i64, Option<i64>)> = rows.into_tuple().all(txn).await?;
        if rows.len() != keys.len() {
            return Ok(None);
        }
        for (source, verdict, duplicates, last_duplicate_at) in rows {
            if last_duplicate_at.is_some_and(|at| at >= cutoff) {
                return Ok(None);
            }
            let row = counts.entry(source.clone()).or_default();
            row.source = source;
            row.received += 1 + duplicates;
            row.duplicates += duplicates;
            *verdict_counter(row, verdict) += 1;
        }
    }
    Ok(Some(counts))
}

fn verdict_counter(row: &mut purged_ledger::Model, verdict: Verdict) -> &mut i64 {
    match verdict {
        Verdict::Applied => &mut row.applied,
        Verdict::SkippedAhead => &mut row.skipped_ahead,
        Verdict::Unexpected => &mut row.unexpected,
        Verdict::Stale => &mut row.stale,
        Verdict::Refused => &mut row.refused,
        Verdict::NoChange => &mut row.no_change,
        Verdict::Unrecognized => &mut row.unrecognized,
        Verdict::Unreadable => &mut row.unreadable,
        Verdict::Orphaned => &mut row.orphaned,
    }
}

async fn add_purged_counts<C: ConnectionTrait>(txn: &C, row: purged_ledger::Model) -> Result<(), StoreError> {
    use purged_ledger::Column::{self, Source};
    let mut sums = OnConflict::column(Source);
    for count in Column::iter().filter(|column| !matches!(column, Source)) {
        let new = Expr::col(("excluded", count));
        sums.value(count, Expr::col((purged_ledger::Entity, count)).add(new));
    }
    let insert = purged_ledger::Entity::insert(row.into_active_model().reset_all()).on_conflict(sums);
    insert.exec_without_returning(txn).await?;
    Ok(())
}

async fn insert_tombstones<C: ConnectionTrait>(txn: &C, unit: &PurgeUnit, newest: i64) -> Result<(), StoreError> {
    use tombstone::Column::{Id, LastDeliveryRowId};
    let rows: Vec<tombstone::Model> =
        unit.entities.values().map(|id| tombstone::Model { id: *id, last_delivery_row_id: newest }).collect();
    for rows in rows.chunks(KEYS_PER_STATEMENT) {
        let rows = rows.iter().map(|row| row.clone().into_active_model().reset_all());
        let update = OnConflict::column(Id).update_column(LastDeliveryRowId).to_owned();
        tombstone::Entity::insert_many(rows).on_conflict(update).exec_without_returning(txn).await?;
    }
    Ok(())
}
