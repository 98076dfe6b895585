//! Who is there: of each inspection when it was first seen, its source, vendor and status, in memory. So counting all of
//! them takes a millisecond for a million, where the database would have to look at each row. It is brought up to date
//! by the history before each answer: what was written since is read anew, and nothing else. 20 bytes for each.

use super::changes::head;
use super::daily_counts::UtcOffsets;
use super::filter::EntityFilter;
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::entity::{Column, Entity};
use entity::{Kind, Status, change, log_head, purged_ledger};
use sea_orm::sea_query::{Expr, ExprTrait, UnionType};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    StatementBuilder,
};
use std::collections::{BTreeMap, HashMap};
use std::ops::{Range, RangeInclusive};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::Mutex;

/// Inspections that are read by one statement when all are.
const LOAD_PAGE_SIZE: u64 = 50_000;

/// What is known of all inspections, shared by all who count.
#[derive(Debug, Default)]
pub struct InspectionIndex {
    inspections: RwLock<InspectionColumns>,
    /// Held by who brings it up to date.
    refresh_lock: Mutex<()>,
}

/// What inspections are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountGroup {
    pub source: String,
    pub vendor: String,
    pub status: Option<Status>,
}

/// Inspections by what is counted, one place for each in the order of their numbers.
#[derive(Debug, Default)]
struct InspectionColumns {
    /// Of which history, and up to which position.
    generation: i64,
    position: i64,
    /// How many deliveries were forgotten by then: with them go inspections, and no position tells of that.
    purged: i64,
    /// Whether the first reading came to its end.
    complete: bool,
    row_ids: Vec<i64>,
    /// When first seen, in microseconds since the Unix epoch.
    created_at: Vec<i64>,
    /// Places in `groups`.
    group_indexes: Vec<u32>,
    groups: Vec<CountGroup>,
    index_of_group: HashMap<CountGroup, u32>,
}

/// When inspections were first seen: from one moment on, before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// Inspections first seen in a period that a filter lets through, and where to look for them.
#[derive(Clone, Debug)]
pub struct Cohort {
    pub period: Period,
    pub filter: EntityFilter,
    /// From the first number to the last; other numbers lie between.
    pub row_ids: RangeInclusive<i64>,
    /// How many there are; at most, where the filter asks for more than the census knows.
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

    pub(super) fn condition(self) -> Condition {
        let Range { start, end } = self.micros();
        Condition::all().add(Column::CreatedAt.gte(start)).add(Column::CreatedAt.lt(end))
    }
}

impl InspectionIndex {
    /// Whether it can tell which inspections a filter lets through.
    pub fn supports(filter: &EntityFilter) -> bool {
        let EntityFilter { kind, vendor, source, status, .. } = filter.clone();
        filter.kind == Some(Kind::Inspection)
            && *filter == EntityFilter { kind, vendor, source, status, ..EntityFilter::default() }
    }

    /// How many inspections a filter lets through; none if it asks for more than the census knows.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self, db: &ReadPool, filter: &EntityFilter) -> Result<Option<i64>, StoreError> {
        let counts = self.counts(db, filter).await?;
        Ok(counts.map(|counts| counts.values().sum()))
    }

    /// How many of the inspections that a filter lets through are in each group; none if it asks for more than the census
    /// knows.
    ///
    /// # Errors
    /// If the database does not answer.
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
        let mut counts = vec![0; all.groups.len()];
        for group in &all.group_indexes {
            if let Some(count) = counts.get_mut(*group as usize) {
                *count += 1;
            }
        }
        let fitting = all.groups.iter().zip(counts).filter(|(group, _)| group.matches(filter));
        Ok(Some(fitting.map(|(group, count)| (group.clone(), count)).collect()))
    }

    /// How many of the inspections first seen in a period are in each group, by the local day on which they were first seen:
    /// counted from 1970-01-01. None if the filter asks for more than the census knows.
    ///
    /// # Errors
    /// If the database does not answer.
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
        let fits: Vec<bool> = all.groups.iter().map(|group| group.matches(filter)).collect();
        let mut counts: HashMap<(u32, i64), i64> = HashMap::new();
        for (_, seen, group) in all.created_in(period) {
            if fits.get(group as usize) == Some(&true) {
                *counts.entry((group, offsets.local_day(seen))).or_default() += 1;
            }
        }
        let named = |((group, day), count)| Some(((all.groups.get(group as usize)?.clone(), day), count));
        Ok(Some(counts.into_iter().filter_map(named).collect()))
    }

    /// The inspections first seen in a period, as far as the census can tell which of them a filter lets through.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn cohort(&self, db: &ReadPool, filter: EntityFilter, period: Period) -> Result<Cohort, StoreError> {
        self.refresh(db).await?;
        let all = self.read();
        let fits: Vec<bool> = all.groups.iter().map(|group| group.matches(&filter)).collect();
        let mut members = all.created_in(period).filter(|(_, _, group)| fits.get(*group as usize) == Some(&true));
        let Some((first, ..)) = members.next() else {
            return Ok(Cohort { period, filter, row_ids: 0..=0, size: 0 });
        };
        let (size, last) = members.fold((1, first), |(size, _), (number, ..)| (size + 1, number));
        drop(all);
        Ok(Cohort { period, filter, row_ids: first..=last, size })
    }

    /// Brings it up to date, and says up to where: one statement if nothing was written since, else two. The first time
    /// all inspections are read, part by part; what was read is kept if that is given up.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn refresh(&self, db: &ReadPool) -> Result<log_head::Model, StoreError> {
        let mut newest = head(db).await?;
        let forgotten = purged_deliveries(db, &newest).await?;
        if self.read().is_current(&newest, forgotten) {
            return Ok(newest);
        }
        let _updating = self.refresh_lock.lock().await;
        // Others may have gone on meanwhile; else the database was set back.
        if self.read().position > newest.position {
            newest = head(db).await?;
        }
        if self.read().is_current(&newest, forgotten) {
            return Ok(newest);
        }
        self.reset_if_stale(&newest, forgotten);
        while !self.read().complete {
            let last = self.read().row_ids.last().copied().unwrap_or(i64::MIN);
            let rows = select_after(last).order_by_asc(Column::RowId).limit(LOAD_PAGE_SIZE);
            let rows = rows.into_model::<InspectionRow>().all(db).await?;
            let mut all = self.write();
            all.complete = (rows.len() as u64) < LOAD_PAGE_SIZE;
            rows.into_iter().for_each(|row| all.upsert(row));
        }
        let (position, last) = {
            let all = self.read();
            (all.position, all.row_ids.last().copied().unwrap_or(i64::MIN))
        };
        if position < newest.position {
            let changed = change::Entity::find()
                .select_only()
                .column(change::Column::EntityRowId)
                .filter(change::Column::Position.gt(position))
                .filter(change::Column::Kind.eq(Kind::Inspection))
                .filter(change::Column::EntityRowId.is_not_null());
            let known = Column::RowId.in_subquery(changed.into_query()).and(Column::RowId.lte(last));
            // Two parts, because SQLite finds no index for either of two.
            let rows =
                select_inspections(known).into_query().union(UnionType::All, select_after(last).into_query()).take();
            let rows = InspectionRow::find_by_statement(StatementBuilder::build(&rows, &db.get_database_backend()));
            let mut rows = rows.all(db).await?;
            rows.sort_unstable_by_key(|row| row.row_id);
            let mut all = self.write();
            rows.into_iter().for_each(|row| all.upsert(row));
            all.position = newest.position;
        }
        Ok(newest)
    }

    // Of another history nothing is kept. Rows are read after the position is, so they are at least as new.
    fn reset_if_stale(&self, newest: &log_head::Model, forgotten: i64) {
        let mut all = self.write();
        if all.generation != newest.generation || all.position > newest.position || all.purged != forgotten {
            *all = InspectionColumns::default();
        }
        if !all.complete && all.row_ids.is_empty() {
            all.purged = forgotten;
            all.generation = newest.generation;
            all.position = newest.position;
        }
    }

    // A panic elsewhere leaves nothing half done here.
    fn read(&self) -> RwLockReadGuard<'_, InspectionColumns> {
        self.inspections.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, InspectionColumns> {
        self.inspections.write().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn purged_deliveries(db: &ReadPool, head: &log_head::Model) -> Result<i64, StoreError> {
    if head.retained_from == 0 {
        return Ok(0);
    }
    let rows = purged_ledger::Entity::find().select_only().column(purged_ledger::Column::Received);
    Ok(rows.into_tuple::<i64>().all(db).await?.iter().sum())
}

impl InspectionColumns {
    fn is_current(&self, head: &log_head::Model, forgotten: i64) -> bool {
        let same = self.generation == head.generation && self.position == head.position;
        self.complete && same && self.purged == forgotten
    }

    /// Number, when first seen, and group of those first seen in a period.
    fn created_in(&self, period: Period) -> impl Iterator<Item = (i64, i64, u32)> {
        let micros = period.micros();
        let all = self.row_ids.iter().zip(&self.created_at).zip(&self.group_indexes);
        all.filter(move |((_, seen), _)| micros.contains(seen)).map(|((number, seen), group)| (*number, *seen, *group))
    }

    fn upsert(&mut self, row: InspectionRow) {
        let InspectionRow { row_id: number, created_at, source, vendor, status } = row;
        let group = self.intern_group(CountGroup { source, vendor, status });
        if self.row_ids.last().is_none_or(|last| *last < number) {
            self.row_ids.push(number);
            self.created_at.push(created_at);
            self.group_indexes.push(group);
        } else if let Ok(place) = self.row_ids.binary_search(&number)
            && let Some(known) = self.group_indexes.get_mut(place)
        {
            *known = group;
        }
    }

    fn intern_group(&mut self, group: CountGroup) -> u32 {
        if let Some(place) = self.index_of_group.get(&group) {
            return *place;
        }
        // There are as many as sources have statuses.
        let place = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.groups.push(group.clone());
        self.index_of_group.insert(group, place);
        place
    }
}

impl CountGroup {
    fn matches(&self, filter: &EntityFilter) -> bool {
        let among = |words: &Option<Vec<String>>, word| words.as_ref().is_none_or(|words| words.contains(word));
        let in_status = |statuses: &Vec<Status>| self.status.is_some_and(|status| statuses.contains(&status));
        among(&filter.source, &self.source)
            && among(&filter.vendor, &self.vendor)
            && filter.status.as_ref().is_none_or(in_status)
    }
}

// Those with a larger number. Said as a range with two ends, which SQLite's planner takes for a small one.
fn select_after(last: i64) -> Select<Entity> {
    select_inspections(Column::RowId.between(last.saturating_add(1), i64::MAX))
}

fn select_inspections(which: Expr) -> Select<Entity> {
    let inspections = EntityFilter { kind: Some(Kind::Inspection), ..EntityFilter::default() };
    Entity::find()
        .select_only()
        .columns([Column::RowId, Column::CreatedAt, Column::Source, Column::Vendor, Column::Status])
        .filter(inspections.condition())
        .filter(which)
}
