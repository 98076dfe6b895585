//! The inspection index: creation time, source, vendor and status of each inspection, in memory. It counts a million
//! inspections in a millisecond, where the database would read each row. Before each answer it reads the inspections that
//! the history says have changed, and nothing else. It takes 20 bytes for each inspection. It is saved in the database, so
//! that the next start does not read all inspections either.

mod columns;
mod saved;

use super::read::{EntityFilter, UtcOffsets, head};
use super::{ReadPool, StoreError};
use crate::access::View;
use chrono::{DateTime, Utc};
use columns::{IndexVersion, InspectionColumns};
use entity::entity::{Column, Entity};
use entity::{Kind, Status, change_row, change_type, log_head, purged_ledger};
use sea_orm::sea_query::{Expr, ExprTrait, UnionType};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use std::collections::{BTreeMap, HashMap};
use std::ops::{Range, RangeInclusive};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::Mutex;

/// Inspections in one statement of the first load.
const LOAD_PAGE_SIZE: u64 = 50_000;

/// The index, shared by all queries of a process.
#[derive(Debug, Default)]
pub struct InspectionIndex {
    inspections: RwLock<InspectionColumns>,
    /// Held while the index is refreshed.
    refresh_lock: Mutex<()>,
}

/// What inspections are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountGroup {
    pub source: String,
    pub vendor: String,
    pub status: Option<Status>,
}

/// A period of creation: includes its start, excludes its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// The inspections created in a period that a filter accepts, and the range of row ids to find them in.
#[derive(Clone, Debug)]
pub struct Cohort {
    pub period: Period,
    pub filter: EntityFilter,
    /// From the first to the last; the range has other entities, too.
    pub row_ids: RangeInclusive<i64>,
    /// Their number; an upper bound if the index does not support the filter.
    pub size: usize,
}

#[derive(FromQueryResult)]
struct InspectionRow {
    row_id: i64,
    created_at: i64,
    source: String,
    vendor: String,
    status: Option<Status>,
}

impl Period {
    fn micros(self) -> Range<i64> {
        self.since.timestamp_micros()..self.until.timestamp_micros()
    }

    /// Of inspections given by row id, creation time and group, those created in the period.
    fn select(self, rows: impl Iterator<Item = (i64, i64, u32)>) -> impl Iterator<Item = (i64, i64, u32)> {
        let micros = self.micros();
        rows.filter(move |(_, created_at, _)| micros.contains(created_at))
    }

    pub(super) fn condition(self) -> Condition {
        let Range { start, end } = self.micros();
        Condition::all().add(Column::CreatedAt.gte(start)).add(Column::CreatedAt.lt(end))
    }
}

impl InspectionIndex {
    /// Whether the index has everything that the filter refers to.
    pub fn supports(filter: &EntityFilter) -> bool {
        let EntityFilter { kind, vendor, source, status, .. } = filter.clone();
        filter.kind == Some(Kind::Inspection)
            && *filter == EntityFilter { kind, vendor, source, status, ..EntityFilter::default() }
    }

    /// The number of inspections that a filter accepts; none if the index does not support the filter.
    pub async fn count(&self, db: &ReadPool, filter: &EntityFilter) -> Result<Option<i64>, StoreError> {
        let counts = self.counts(db, filter).await?;
        Ok(counts.map(|counts| counts.values().sum()))
    }

    /// The number of inspections that a filter accepts in each group; none if the index does not support the filter.
    pub async fn counts(
        &self,
        db: &ReadPool,
        filter: &EntityFilter,
    ) -> Result<Option<HashMap<CountGroup, i64>>, StoreError> {
        if !InspectionIndex::supports(filter) {
            return Ok(None);
        }
        self.refresh(db).await?;
        let all = self.read();
        let matching = all.groups.iter().zip(all.group_sizes()).filter(|(group, _)| group.matches(filter, db.view()));
        Ok(Some(matching.map(|(group, count)| (group.clone(), count)).collect()))
    }

    /// The number of the inspections created in a period in each group, by the local day of their creation, counted from
    /// 1970-01-01; none if the index does not support the filter.
    pub async fn counts_by_day(
        &self,
        db: &ReadPool,
        filter: &EntityFilter,
        period: Period,
        offsets: &UtcOffsets,
    ) -> Result<Option<BTreeMap<(CountGroup, i64), i64>>, StoreError> {
        if !InspectionIndex::supports(filter) {
            return Ok(None);
        }
        self.refresh(db).await?;
        let all = self.read();
        let matches: Vec<bool> = all.groups.iter().map(|group| group.matches(filter, db.view())).collect();
        let mut counts: HashMap<(u32, i64), i64> = HashMap::new();
        for (_, created_at, group) in period.select(all.rows()) {
            if matches.get(group as usize) == Some(&true) {
                *counts.entry((group, offsets.local_day(created_at))).or_default() += 1;
            }
        }
        let named = |((group, day), count)| Some(((all.groups.get(group as usize)?.clone(), day), count));
        Ok(Some(counts.into_iter().filter_map(named).collect()))
    }

    /// The inspections created in a period that a filter accepts, as far as the index knows.
    pub async fn cohort(&self, db: &ReadPool, filter: EntityFilter, period: Period) -> Result<Cohort, StoreError> {
        self.refresh(db).await?;
        let all = self.read();
        let matches: Vec<bool> = all.groups.iter().map(|group| group.matches(&filter, db.view())).collect();
        let mut members = period.select(all.rows()).filter(|(_, _, group)| matches.get(*group as usize) == Some(&true));
        let Some((first, ..)) = members.next() else {
            return Ok(Cohort { period, filter, row_ids: 0..=0, size: 0 });
        };
        let (size, last) = members.fold((1, first), |(size, _), (row_id, ..)| (size + 1, row_id));
        drop(all);
        Ok(Cohort { period, filter, row_ids: first..=last, size })
    }

    /// Brings the index up to date and returns the counters it corresponds to. Takes one statement if nothing was written
    /// since, otherwise two. The first time it reads what was saved, or all inspections page by page; a cancelled load
    /// continues later.
    pub async fn refresh(&self, db: &ReadPool) -> Result<log_head::Model, StoreError> {
        let (mut newest, mut version) = newest_version(db).await?;
        if self.read().is_current(version) {
            return Ok(newest);
        }
        let _refreshing = self.refresh_lock.lock().await;
        // Another task may have refreshed further while this one waited; otherwise the database was restored.
        if self.read().version.position > version.position {
            (newest, version) = newest_version(db).await?;
        }
        self.reset_if_stale(version);
        if self.read().is_unloaded()
            && let Some(saved) = saved::load(db).await?
        {
            *self.write() = saved;
            (newest, version) = newest_version(db).await?;
            self.reset_if_stale(version);
        }
        while !self.read().complete {
            let rows = select_after(self.read().last_row_id()).order_by_asc(Column::RowId).limit(LOAD_PAGE_SIZE);
            let rows = rows.into_model::<InspectionRow>().all(db).await?;
            let mut all = self.write();
            all.complete = (rows.len() as u64) < LOAD_PAGE_SIZE;
            all.upsert_all(rows);
        }
        let (position, last) = (self.read().version.position, self.read().last_row_id());
        if position < newest.position {
            use change_row::Column::{EntityRowId, Position, TypeId};
            let types = change_type::Entity::find().select_only().column(change_type::Column::Id);
            let types = types.filter(change_type::Column::Kind.eq(Kind::Inspection));
            let changed = change_row::Entity::find()
                .select_only()
                .column(EntityRowId)
                .filter(Position.gt(position))
                .filter(TypeId.in_subquery(types.into_query()))
                .filter(EntityRowId.is_not_null());
            let known = Column::RowId.in_subquery(changed.into_query()).and(Column::RowId.lte(last));
            // A union of two, because SQLite uses no index for an OR of the two conditions.
            let rows =
                select_inspections(known).into_query().union(UnionType::All, select_after(last).into_query()).take();
            let mut rows: Vec<InspectionRow> = db.fetch(&rows).await?;
            rows.sort_unstable_by_key(|row| row.row_id);
            let mut all = self.write();
            all.upsert_all(rows);
            all.version.position = newest.position;
        }
        Ok(newest)
    }

    // Discards the columns if they are of another generation, or if a purge removed inspections. The rows are read after the
    // position, so they are at least as new.
    fn reset_if_stale(&self, newest: IndexVersion) {
        let mut all = self.write();
        let IndexVersion { generation, position, purged } = all.version;
        let is_same_history = (generation, purged) == (newest.generation, newest.purged) && position <= newest.position;
        if !is_same_history {
            *all = InspectionColumns::default();
        }
        if all.is_unloaded() {
            all.version = newest;
        }
    }

    // A panic of another holder leaves nothing inconsistent.
    fn read(&self) -> RwLockReadGuard<'_, InspectionColumns> {
        self.inspections.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, InspectionColumns> {
        self.inspections.write().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn newest_version(db: &ReadPool) -> Result<(log_head::Model, IndexVersion), StoreError> {
    let head = head(db).await?;
    let mut purged = 0;
    if head.retained_from > 0 {
        let rows = purged_ledger::Entity::find().select_only().column(purged_ledger::Column::Received);
        purged = rows.into_tuple::<i64>().all(db).await?.iter().sum();
    }
    let version = IndexVersion { generation: head.generation, position: head.position, purged };
    Ok((head, version))
}

impl CountGroup {
    fn matches(&self, filter: &EntityFilter, view: &View) -> bool {
        let among = |values: &Option<Vec<String>>, value| values.as_ref().is_none_or(|values| values.contains(value));
        let in_status = |statuses: &Vec<Status>| self.status.is_some_and(|status| statuses.contains(&status));
        view.includes_source(&self.source)
            && among(&filter.source, &self.source)
            && among(&filter.vendor, &self.vendor)
            && filter.status.as_ref().is_none_or(in_status)
    }
}

// Those with a larger row id. A range with two ends, which SQLite's planner takes for a small one.
fn select_after(last: i64) -> Select<Entity> {
    select_inspections(Column::RowId.between(last.saturating_add(1), i64::MAX))
}

fn select_inspections(which: Expr) -> Select<Entity> {
    let inspections = EntityFilter { kind: Some(Kind::Inspection), ..EntityFilter::default() };
    Entity::find()
        .select_only()
        .columns([Column::RowId, Column::CreatedAt, Column::Source, Column::Vendor, Column::Status])
        .filter(inspections.condition(&View::everything()))
        .filter(which)
}
