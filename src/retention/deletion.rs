//! Deletes units, each in one short transaction of a writer.

use super::purge::KEYS_PER_STATEMENT;
use super::purge_unit::PurgeUnit;
use crate::rebuild::delete_obsolete_places;
use crate::rebuild::raw_log::oldest_record;
use crate::store::read::head;
use crate::store::{MaintenanceLock, StoreError, begin_writing, delete_rejections_before};
use entity::update_order::{self, lists};
use entity::{
    Verdict, change_row, command, delivery, entity as thing, ledger, log_gap, log_head, purged_ledger, step, tombstone,
};
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, Iterable,
    ModelTrait, QueryFilter, QuerySelect, Set,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The wait between two attempts to take SQLite's lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);
/// On PostgreSQL, a frozen process must not block other writers: a statement that takes longer is ended, and a transaction that
/// is idle for longer. The locked row queues them.
const LOCKS: &str = "SET LOCAL statement_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s'; \
     SELECT id FROM log_head WHERE id = 1 FOR UPDATE";

/// The connection that deletes. It holds the lock: if it is lost, the transaction on it is lost, too.
#[derive(Debug)]
pub struct PurgeConnection(pub MaintenanceLock);

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
        let records: Vec<i64> = unit.records().into_keys().collect();
        let commands: Vec<i64> = unit.commands.keys().copied().collect();
        let positions: Vec<i64> = unit.records().into_values().flatten().collect();
        delete_by_key::<change_row::Entity>(&txn, change_row::Column::Position, &positions).await?;
        delete_by_key::<step::Entity>(&txn, step::Column::EntityRowId, &entities).await?;
        delete_places(&txn, &entities).await?;
        delete_by_key::<thing::Entity>(&txn, thing::Column::RowId, &entities).await?;
        delete_by_key::<delivery::Entity>(&txn, delivery::Column::RowId, &deliveries).await?;
        delete_by_key::<command::Entity>(&txn, command::Column::RowId, &commands).await?;
        // Gaps before these records end elsewhere now.
        delete_by_key::<log_gap::Entity>(&txn, log_gap::Column::NextDeliveryRowId, &records).await?;
        for gaps in gaps.chunks(KEYS_PER_STATEMENT) {
            let rows = gaps.iter().map(|gap| gap.clone().into_active_model().reset_all());
            log_gap::Entity::insert_many(rows).exec_without_returning(&txn).await?;
        }
        insert_tombstones(&txn, unit, old.last_delivery_row_id).await?;
        for row in counts.values() {
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
        let Some(first) = oldest_record(&self.0.connection).await? else { return Ok(()) };
        loop {
            let ids = tombstone::Entity::find()
                .select_only()
                .column(Id)
                .filter(LastDeliveryRowId.lt(first))
                .limit(KEYS_PER_STATEMENT as u64);
            let ids: Vec<Uuid> = ids.into_tuple().all(&self.0.connection).await?;
            if ids.is_empty() {
                return Ok(());
            }
            let (txn, begun) = (self.begin().await?, Instant::now());
            tombstone::Entity::delete_many().filter(Id.is_in(ids)).exec(&txn).await?;
            txn.commit().await?;
            tokio::time::sleep(begun.elapsed()).await;
        }
    }

    /// Deletes the records of webhooks that were refused before a moment.
    pub async fn delete_rejections_before(&self, before: i64) -> Result<(), StoreError> {
        let txn = self.begin().await?;
        delete_rejections_before(&txn, before).await?;
        Ok(txn.commit().await?)
    }

    /// Deletes what is obsolete in the order of updates.
    pub async fn delete_obsolete_places(&self, stop: &CancellationToken) {
        if let Err(error) = delete_obsolete_places(&self.0.connection, LOCKS, stop).await {
            tracing::warn!(%error, "obsolete places in the order of updates could not be deleted; the next purge deletes them");
        }
    }

    async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        begin_writing(&self.0.connection, LOCKS, || tokio::time::sleep(LOCK_RETRY_INTERVAL)).await
    }
}

async fn delete_by_key<T: EntityTrait>(
    txn: &DatabaseTransaction,
    key: T::Column,
    keys: &[i64],
) -> Result<(), StoreError> {
    for keys in keys.chunks(KEYS_PER_STATEMENT) {
        T::delete_many().filter(key.is_in(keys.iter().copied())).exec(txn).await?;
    }
    Ok(())
}

// Deletes the places of entities in the order of updates, as long as their rows name them.
async fn delete_places(txn: &DatabaseTransaction, entities: &[i64]) -> Result<(), StoreError> {
    for keys in entities.chunks(KEYS_PER_STATEMENT) {
        use thing::Column::{Kind, Position, RowId, Status};
        let rows = thing::Entity::find().select_only().columns([Kind, Status, Position]);
        let rows: Vec<(entity::Kind, Option<entity::Status>, i64)> =
            rows.filter(RowId.is_in(keys.iter().copied())).into_tuple().all(txn).await?;
        let places = rows.into_iter();
        let places = places.flat_map(|(kind, status, position)| lists(kind, status).map(move |list| (list, position)));
        let key = Expr::tuple([update_order::Column::List, update_order::Column::Position].map(Expr::col));
        update_order::Entity::delete_many().filter(key.in_tuples(places)).exec(txn).await?;
    }
    Ok(())
}

// Whether these entities have changed after a position, or other entities or commands refer to them since.
async fn has_changed<C: ConnectionTrait>(txn: &C, entities: &[i64], position: i64) -> Result<bool, StoreError> {
    for keys in entities.chunks(KEYS_PER_STATEMENT) {
        let keys = || keys.iter().copied();
        let changes = change_row::Entity::find().select_only().column(change_row::Column::Position);
        let changes = changes.filter(change_row::Column::EntityRowId.is_in(keys()));
        let changes = changes.filter(change_row::Column::Position.gt(position));
        let parts = thing::Entity::find().select_only().column(thing::Column::RowId);
        let belongs = thing::Column::ParentRowId.is_in(keys()).or(thing::Column::InspectionRowId.is_in(keys()));
        let belongs = belongs.or(thing::Column::VendorInspectionRowId.is_in(keys()));
        let parts = parts.filter(belongs).filter(thing::Column::Position.gt(position));
        let commands = command::Entity::find().select_only().column(command::Column::RowId);
        let commands = commands.filter(command::Column::TargetRowId.is_in(keys()));
        let commands = commands.filter(command::Column::FirstPosition.gt(position));
        if changes.limit(1).into_tuple::<i64>().one(txn).await?.is_some()
            || parts.limit(1).into_tuple::<i64>().one(txn).await?.is_some()
            || commands.limit(1).into_tuple::<i64>().one(txn).await?.is_some()
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
) -> Result<Option<BTreeMap<String, ledger::Model>>, StoreError> {
    use delivery::Column::{Duplicates, LastDuplicateAt, RowId, Source, Verdict as VerdictColumn};
    let mut counts: BTreeMap<String, ledger::Model> = BTreeMap::new();
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
            *row.count_mut(verdict) += 1;
        }
    }
    Ok(Some(counts))
}

async fn add_purged_counts<C: ConnectionTrait>(txn: &C, row: &ledger::Model) -> Result<(), StoreError> {
    use purged_ledger::Column::{self, Source};
    let mut sums = OnConflict::column(Source);
    let mut purged: purged_ledger::ActiveModel = Default::default();
    for (column, counted) in Column::iter().zip(ledger::Column::iter()) {
        purged.set(column, row.get(counted));
        if !matches!(column, Source) {
            sums.value(column, Expr::col((purged_ledger::Entity, column)).add(Expr::col(("excluded", column))));
        }
    }
    purged_ledger::Entity::insert(purged).on_conflict(sums).exec_without_returning(txn).await?;
    Ok(())
}

async fn insert_tombstones<C: ConnectionTrait>(txn: &C, unit: &PurgeUnit, newest: i64) -> Result<(), StoreError> {
    use tombstone::Column::{Id, LastDeliveryRowId};
    let ids: Vec<Uuid> = unit.entities.values().copied().collect();
    for ids in ids.chunks(KEYS_PER_STATEMENT) {
        let rows = ids.iter().map(|id| tombstone::ActiveModel { id: Set(*id), last_delivery_row_id: Set(newest) });
        let update = OnConflict::column(Id).update_column(LastDeliveryRowId).to_owned();
        tombstone::Entity::insert_many(rows).on_conflict(update).exec_without_returning(txn).await?;
    }
    Ok(())
}
