//! Removes old lives from the database: an inspection with all that hangs on it, or what stands alone with all that hangs on
//! it, if nothing was heard of any of it since a moment and it is at an end; and deliveries about nothing that are as old.
//! With a life go its history and all deliveries that concern it. What is left derives as before.
//!
//! `life.rs` finds out what belongs together and whether it can go, `gaps.rs` where the raw log goes on behind it, and
//! `removal.rs` removes it: a few lives in each transaction, so that nobody who writes waits for long.

use super::deletion::PurgeConnection;
use super::log_gaps;
use super::purge_unit::{self, DeliveryPositions, Eligibility, PurgeUnit};
use crate::rebuild::raw_log;
use crate::store::read::head;
use crate::store::{Database, MaintenanceLock, StoreError};
use chrono::{DateTime, Utc};
use entity::entity::{Column, Entity};
use entity::{Kind, delivery};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashSet;
use tokio_util::sync::CancellationToken;

/// Rows that are removed in one transaction, about. A life is removed as a whole.
const ROWS_PER_TRANSACTION: usize = 2_000;
/// Rows of the largest life that is removed: more would keep those who write waiting for too long.
pub(super) const MAX_UNIT_ROWS: usize = 50_000;
/// Lives, or deliveries about nothing, that are looked at together.
const PAGE_SIZE: u64 = 200;
/// Keys in one statement.
pub(super) const KEYS_PER_STATEMENT: usize = 500;

/// Whether anything is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeMode {
    Delete,
    DryRun,
}

/// What was removed, or would be, and how many old lives are kept and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeReport {
    pub units: u64,
    pub entities: u64,
    pub changes: u64,
    pub deliveries: u64,
    /// Old, but not at an end.
    pub kept_open: u64,
    /// Something that belongs to it, or came with it, is newer.
    pub kept_recent: u64,
    /// Too large to be removed at once.
    pub kept_too_large: u64,
}

/// The right to remove, held by one at a time for each database.
#[derive(Debug)]
pub struct Purger {
    db: Database,
    connection: PurgeConnection,
    stop: CancellationToken,
}

impl Purger {
    /// Begins.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if somebody else does, or rebuilds; or if the tables are not up to date.
    pub async fn open(db: Database, stop: CancellationToken) -> Result<Purger, StoreError> {
        if !db.is_ready().await? {
            let why = "its tables are not up to date: run `inspection-hub migrate` first";
            return Err(StoreError::OpenFailed(format!("{}: {why}", db.redacted_address())));
        }
        let alone = MaintenanceLock::acquire(&db).await?;
        // It holds the right: if it is lost, so is the transaction on it.
        let connection = alone.connection.clone();
        Ok(Purger { connection: PurgeConnection { connection, _lock: alone }, db, stop })
    }

    /// How many lives and deliveries there are to look at, about.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn candidates(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let before = before.timestamp_micros();
        let mut all = self.deliveries_without_entity(before, None).count(&self.db.read_pool).await?;
        for kind in ROOT_KINDS {
            all += root_entities(kind, before).count(&self.db.read_pool).await?;
        }
        Ok(all)
    }

    /// Removes what nothing was heard of since a moment, or counts it. Calls `done` with how many were looked at, again and
    /// again.
    ///
    /// # Errors
    /// If the database fails. [`StoreError::Stopped`] if it is told to stop. What was removed until then stays so.
    pub async fn run(
        &self,
        before: DateTime<Utc>,
        doing: PurgeMode,
        forgotten: &mut PurgeReport,
        done: impl Fn(u64),
    ) -> Result<(), StoreError> {
        let mut pass = PurgePass {
            purger: self,
            cutoff: before.timestamp_micros(),
            mode: doing,
            report: forgotten,
            on_progress: done,
            counted_roots: HashSet::new(),
        };
        for kind in ROOT_KINDS {
            pass.purge_units(kind).await?;
        }
        pass.purge_deliveries_without_entity().await?;
        match doing {
            PurgeMode::Delete => self.connection.delete_obsolete_tombstones().await,
            PurgeMode::DryRun => Ok(()),
        }
    }

    // By the index of what makes their news the same: others have none on the delivery.
    fn deliveries_without_entity(&self, before: i64, after: Option<i64>) -> sea_orm::Select<delivery::Entity> {
        use delivery::Column::{DedupKey, LastDuplicateAt, ReceivedAt};
        delivery::Entity::find()
            .filter(DedupKey.is_not_null())
            .filter(DedupKey.gt(after.unwrap_or(i64::MIN)))
            .filter(ReceivedAt.lt(before))
            .filter(LastDuplicateAt.is_null().or(LastDuplicateAt.lt(before)))
            .order_by_asc(DedupKey)
    }
}

/// What others hang on comes first, so that each is found with it.
const ROOT_KINDS: [Kind; 4] = [Kind::Inspection, Kind::Item, Kind::Session, Kind::Job];

// What a life hangs on, of those of which no news was heard since.
fn root_entities(kind: Kind, before: i64) -> sea_orm::Select<Entity> {
    let alone = Column::InspectionRowId.is_null();
    let is_root: SimpleExpr = match kind {
        Kind::Inspection => Expr::col(Column::InspectionRowId).eq(Expr::col(Column::RowId)),
        Kind::Job => {
            alone.and(Column::ParentRowId.is_null().or(Column::Vendor.is_in(purge_unit::vendors_without_inspections())))
        }
        _ => alone.and(Column::ParentRowId.is_null()),
    };
    let index = match kind {
        Kind::Item => "\"entity\".\"kind\" = 'ITEM'",
        _ => "\"entity\".\"kind\" <> 'ITEM'",
    };
    let all = Entity::find().filter(Column::Kind.eq(kind)).filter(Expr::cust(index)).filter(is_root);
    all.filter(Column::UpdatedAt.lt(before))
}

/// One time through all that is old.
struct PurgePass<'a, F> {
    purger: &'a Purger,
    cutoff: i64,
    mode: PurgeMode,
    report: &'a mut PurgeReport,
    on_progress: F,
    /// Roots that were counted with another one of the same life.
    counted_roots: HashSet<i64>,
}

impl<F: Fn(u64)> PurgePass<'_, F> {
    async fn purge_units(&mut self, kind: Kind) -> Result<(), StoreError> {
        let db = &self.purger.db.read_pool;
        let (mut updated, mut number) = (i64::MIN, i64::MIN);
        loop {
            let place = Expr::tuple([Expr::col(Column::UpdatedAt), Expr::col(Column::RowId)]);
            let page = root_entities(kind, self.cutoff)
                .select_only()
                .columns([Column::UpdatedAt, Column::RowId])
                .filter(place.gt(Expr::tuple([updated.into(), number.into()])))
                .order_by_asc(Column::UpdatedAt)
                .order_by_asc(Column::RowId)
                .limit(PAGE_SIZE);
            let page: Vec<(i64, i64)> = page.into_tuple().all(db).await?;
            let Some(last) = page.last() else { return Ok(()) };
            (updated, number) = *last;
            let looked_at = page.len() as u64;
            let mut batch = PurgeUnit::default();
            let mut lives = 0;
            let position = head(db).await?.position;
            for (_, root) in page {
                self.check_cancelled()?;
                if self.counted_roots.contains(&root) || batch.entities.contains_key(&root) {
                    continue;
                }
                match purge_unit::gather_unit(db, root, self.cutoff).await? {
                    Eligibility::Eligible(life) => {
                        self.counted_roots.extend(life.roots.iter().filter(|other| **other != root));
                        batch.merge(life);
                        lives += 1;
                    }
                    Eligibility::Open => self.report.kept_open += 1,
                    Eligibility::TooRecent => self.report.kept_recent += 1,
                    Eligibility::TooLarge => self.report.kept_too_large += 1,
                    Eligibility::Missing => {}
                }
                if batch.rows() >= ROWS_PER_TRANSACTION {
                    self.flush(std::mem::take(&mut batch), std::mem::take(&mut lives), position).await?;
                }
            }
            self.flush(batch, lives, position).await?;
            (self.on_progress)(looked_at);
        }
    }

    async fn purge_deliveries_without_entity(&mut self) -> Result<(), StoreError> {
        use delivery::Column::{ChangeCount, DedupKey, FirstPosition, RowId};
        let db = &self.purger.db.read_pool;
        let newest = raw_log::newest_delivery(db).await?;
        let mut last = None;
        loop {
            self.check_cancelled()?;
            let page = self.purger.deliveries_without_entity(self.cutoff, last).select_only().columns([
                DedupKey,
                RowId,
                FirstPosition,
            ]);
            let page: Vec<(i64, i64, i64, i32)> =
                page.column(ChangeCount).limit(PAGE_SIZE).into_tuple().all(db).await?;
            let Some((news, ..)) = page.last() else { return Ok(()) };
            last = Some(*news);
            let looked_at = page.len() as u64;
            let brought =
                |(_, number, first, changes): (i64, i64, i64, i32)| (number, DeliveryPositions { first, changes });
            let deliveries = page.into_iter().map(brought).filter(|(number, _)| *number != newest).collect();
            let position = head(db).await?.position;
            self.flush(PurgeUnit { deliveries, ..PurgeUnit::default() }, 0, position).await?;
            (self.on_progress)(looked_at);
        }
    }

    // Removes what was gathered, if nothing happened to it since the history ended with this position.
    async fn flush(&mut self, batch: PurgeUnit, lives: u64, position: i64) -> Result<(), StoreError> {
        if batch.deliveries.is_empty() {
            return Ok(());
        }
        if self.mode == PurgeMode::Delete {
            let gaps = log_gaps::new_log_gaps(&self.purger.db.read_pool, &batch.deliveries).await?;
            if !self.purger.connection.delete_unit(&batch, &gaps, self.cutoff, position).await? {
                self.report.kept_recent += lives;
                return Ok(());
            }
        }
        self.report.units += lives;
        self.report.entities += batch.entities.len() as u64;
        self.report.deliveries += batch.deliveries.len() as u64;
        self.report.changes += batch.changes() as u64;
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), StoreError> {
        if self.purger.stop.is_cancelled() { Err(StoreError::Cancelled) } else { Ok(()) }
    }
}
