//! Purges finished inspections: each with everything that belongs to it, once nothing of it has changed since the cutoff.
//! Entities without an inspection are purged likewise, and so are deliveries about no entity. The history and all deliveries
//! of an entity go with it. What is left can be replayed as before.

use super::deletion::PurgeConnection;
use super::log_gaps;
use super::purge_unit::{self, Eligibility, PurgeUnit};
use crate::rebuild::raw_log;
use crate::store::read::{head, row_id_as_of};
use crate::store::{Database, MaintenanceLock, StoreError};
use chrono::{DateTime, Utc};
use entity::entity::{Column, Entity};
use entity::{Kind, delivery};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashSet;
use tokio_util::sync::CancellationToken;

/// Approximate number of rows deleted in one transaction. A unit is deleted as a whole.
const ROWS_PER_TRANSACTION: usize = 2_000;
/// Rows of the largest unit that is purged: deleting more would block writers for too long.
pub(super) const MAX_UNIT_ROWS: usize = 50_000;
/// Units, or deliveries about no entity, that are examined together.
const PAGE_SIZE: u64 = 200;
/// Keys in one statement.
pub(super) const KEYS_PER_STATEMENT: usize = 500;

/// Whether a run deletes, or only counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeMode {
    Delete,
    DryRun,
}

/// What was purged, or would be, and how many old units were kept and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeReport {
    pub units: u64,
    pub entities: u64,
    pub changes: u64,
    pub deliveries: u64,
    pub commands: u64,
    /// Old, but not finished.
    pub kept_open: u64,
    /// Something that belongs to it, or arrived with it, is newer.
    pub kept_recent: u64,
    /// Too large to be deleted in one transaction.
    pub kept_too_large: u64,
}

/// The right to purge, which one process at a time holds for each database.
#[derive(Debug)]
pub struct Purger {
    db: Database,
    connection: PurgeConnection,
    stop: CancellationToken,
}

impl Purger {
    /// Takes the maintenance lock. Fails with [`StoreError::Locked`] if another rebuild or purge holds it; or if the tables
    /// are not up to date.
    pub async fn open(db: Database, stop: CancellationToken) -> Result<Purger, StoreError> {
        db.ensure_migrated().await?;
        let lock = MaintenanceLock::acquire(&db).await?;
        Ok(Purger { connection: PurgeConnection(lock), db, stop })
    }

    /// The approximate number of units and deliveries to examine.
    pub async fn candidates(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let before = before.timestamp_micros();
        let mut all = deliveries_without_entity(before, None).count(&self.db.read_pool).await?;
        for kind in ROOT_KINDS {
            all += root_entities(kind, before).count(&self.db.read_pool).await?;
        }
        Ok(all)
    }

    /// Purges everything that has not changed since a moment, or counts it. Calls `on_progress` repeatedly with how many
    /// units were examined. Fails with [`StoreError::Cancelled`] if it is cancelled. What was purged until then stays
    /// purged, as after any other error.
    pub async fn run(
        &self,
        before: DateTime<Utc>,
        mode: PurgeMode,
        report: &mut PurgeReport,
        on_progress: impl Fn(u64),
    ) -> Result<(), StoreError> {
        let cutoff = before.timestamp_micros();
        let mut pass = PurgePass { purger: self, cutoff, mode, report, on_progress, counted_roots: HashSet::new() };
        for kind in ROOT_KINDS {
            pass.purge_units(kind).await?;
        }
        pass.purge_deliveries_without_entity().await?;
        match mode {
            PurgeMode::Delete => {
                self.connection.delete_obsolete_tombstones().await?;
                self.connection.delete_obsolete_places(&self.stop).await;
                self.connection.delete_rejections_before(cutoff).await?;
                Ok(())
            }
            PurgeMode::DryRun => Ok(()),
        }
    }
}

// By the index of dedup keys: a delivery has one exactly if it is about no entity.
fn deliveries_without_entity(before: i64, after: Option<i64>) -> sea_orm::Select<delivery::Entity> {
    use delivery::Column::{DedupKey, LastDuplicateAt, ReceivedAt};
    delivery::Entity::find()
        .filter(DedupKey.is_not_null())
        .filter(DedupKey.gt(after.unwrap_or(i64::MIN)))
        .filter(ReceivedAt.lt(before))
        .filter(LastDuplicateAt.is_null().or(LastDuplicateAt.lt(before)))
        .order_by_asc(DedupKey)
}

/// The kinds that a unit can be found from. Inspections come first, so that their parts are found with them.
const ROOT_KINDS: [Kind; 4] = [Kind::Inspection, Kind::Item, Kind::Session, Kind::Job];

// The roots of units without a change since.
fn root_entities(kind: Kind, before: i64) -> sea_orm::Select<Entity> {
    let is_standalone = Column::InspectionRowId.is_null();
    let is_root: SimpleExpr = match kind {
        Kind::Inspection => Expr::col(Column::InspectionRowId).eq(Expr::col(Column::RowId)),
        Kind::Job => is_standalone
            .and(Column::ParentRowId.is_null().or(Column::Vendor.is_in(purge_unit::vendors_without_inspections()))),
        _ => is_standalone.and(Column::ParentRowId.is_null()),
    };
    let operator = if kind == Kind::Item { "=" } else { "<>" };
    let index = format!("\"entity\".\"kind\" {operator} {}", Kind::Item.number());
    let all = Entity::find().filter(Column::Kind.eq(kind)).filter(Expr::cust(index)).filter(is_root);
    // An entity is not created after its newest change, so later ones need not be read.
    let created_before = Expr::col((Entity, Column::RowId)).lte(Expr::from(row_id_as_of(before - 1)));
    all.filter(Column::UpdatedAt.lt(before)).filter(created_before)
}

/// One pass over everything that is old.
struct PurgePass<'a, F> {
    purger: &'a Purger,
    cutoff: i64,
    mode: PurgeMode,
    report: &'a mut PurgeReport,
    on_progress: F,
    /// Roots that were counted with another root of the same unit.
    counted_roots: HashSet<i64>,
}

impl<F: Fn(u64)> PurgePass<'_, F> {
    async fn purge_units(&mut self, kind: Kind) -> Result<(), StoreError> {
        let db = &self.purger.db.read_pool;
        let mut last = i64::MIN;
        loop {
            let page = root_entities(kind, self.cutoff)
                .select_only()
                .column(Column::RowId)
                .filter(Column::RowId.gt(last))
                .order_by_asc(Column::RowId)
                .limit(PAGE_SIZE);
            let page: Vec<i64> = page.into_tuple().all(db).await?;
            let Some(newest) = page.last() else { return Ok(()) };
            last = *newest;
            let examined = page.len() as u64;
            let mut batch = PurgeUnit::default();
            let mut units = 0;
            let position = head(db).await?.position;
            for root in page {
                self.check_cancelled()?;
                if self.counted_roots.contains(&root) || batch.entities.contains_key(&root) {
                    continue;
                }
                match purge_unit::gather_unit(db, root, self.cutoff).await? {
                    Eligibility::Eligible(unit) => {
                        self.counted_roots.extend(unit.roots.iter().filter(|other| **other != root));
                        batch.merge(unit);
                        units += 1;
                    }
                    Eligibility::Open => self.report.kept_open += 1,
                    Eligibility::TooRecent => self.report.kept_recent += 1,
                    Eligibility::TooLarge => self.report.kept_too_large += 1,
                    Eligibility::Missing => {}
                }
                if batch.rows() >= ROWS_PER_TRANSACTION {
                    self.flush(std::mem::take(&mut batch), std::mem::take(&mut units), position).await?;
                }
            }
            self.flush(batch, units, position).await?;
            (self.on_progress)(examined);
        }
    }

    async fn purge_deliveries_without_entity(&mut self) -> Result<(), StoreError> {
        use delivery::Column::{ChangeCount, DedupKey, FirstPosition, RowId};
        let db = &self.purger.db.read_pool;
        let newest = raw_log::newest_record(db).await?;
        let mut last = None;
        loop {
            self.check_cancelled()?;
            let page = deliveries_without_entity(self.cutoff, last).select_only();
            let page = page.columns([DedupKey, RowId, FirstPosition, ChangeCount]).limit(PAGE_SIZE);
            let page: Vec<(i64, i64, i64, i32)> = page.into_tuple().all(db).await?;
            let Some((dedup_key, ..)) = page.last() else { return Ok(()) };
            last = Some(*dedup_key);
            let examined = page.len() as u64;
            let deliveries = page.into_iter().filter(|(_, row_id, ..)| *row_id != newest);
            let deliveries =
                deliveries.map(|(_, row_id, first, changes)| (row_id, first..first + i64::from(changes))).collect();
            let position = head(db).await?.position;
            self.flush(PurgeUnit { deliveries, ..PurgeUnit::default() }, 0, position).await?;
            (self.on_progress)(examined);
        }
    }

    // Deletes what was gathered, unless it has changed since the history ended with this position.
    async fn flush(&mut self, batch: PurgeUnit, units: u64, position: i64) -> Result<(), StoreError> {
        if batch.deliveries.is_empty() && batch.commands.is_empty() {
            return Ok(());
        }
        if self.mode == PurgeMode::Delete {
            let gaps = log_gaps::new_log_gaps(&self.purger.db.read_pool, &batch.records()).await?;
            if !self.purger.connection.delete_unit(&batch, &gaps, self.cutoff, position).await? {
                self.report.kept_recent += units;
                return Ok(());
            }
        }
        self.report.units += units;
        self.report.entities += batch.entities.len() as u64;
        self.report.deliveries += batch.deliveries.len() as u64;
        self.report.commands += batch.commands.len() as u64;
        self.report.changes += batch.changes() as u64;
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), StoreError> {
        if self.purger.stop.is_cancelled() { Err(StoreError::Cancelled) } else { Ok(()) }
    }
}
