//! Who is there: of each inspection when it was first seen, its source, vendor and status, in memory. So counting all of
//! them takes a millisecond for a million, where the database would have to look at each row. It is brought up to date
//! by the history before each answer: what was written since is read anew, and nothing else. 20 bytes for each.

use super::changes::head;
use super::counts::Offsets;
use super::filter::EntityFilter;
use crate::store::{Readers, StoreError};
use chrono::{DateTime, Utc};
use entity::entity::{Column, Entity};
use entity::{Kind, Status, change, forgotten, log_head};
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
const AT_ONCE: u64 = 50_000;

/// What is known of all inspections, shared by all who count.
#[derive(Debug, Default)]
pub struct Census {
    people: RwLock<Inspections>,
    /// Held by who brings it up to date.
    update: Mutex<()>,
}

/// What inspections are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    pub source: String,
    pub vendor: String,
    pub status: Option<Status>,
}

/// Inspections by what is counted, one place for each in the order of their numbers.
#[derive(Debug, Default)]
struct Inspections {
    /// Of which history, and up to which position.
    generation: i64,
    position: i64,
    /// How many deliveries were forgotten by then: with them go inspections, and no position tells of that.
    forgotten: i64,
    /// Whether the first reading came to its end.
    complete: bool,
    numbers: Vec<i64>,
    /// When first seen, in microseconds since the Unix epoch.
    seen: Vec<i64>,
    /// Places in `groups`.
    group: Vec<u32>,
    groups: Vec<Group>,
    places: HashMap<Group, u32>,
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
    pub numbers: RangeInclusive<i64>,
    /// How many there are; at most, where the filter asks for more than the census knows.
    pub size: usize,
}

#[derive(FromQueryResult)]
struct Row {
    number: i64,
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

impl Census {
    /// Whether it can tell which inspections a filter lets through.
    pub fn knows(filter: &EntityFilter) -> bool {
        let EntityFilter { kind, vendor, source, status, .. } = filter.clone();
        filter.kind == Some(Kind::Inspection)
            && *filter == EntityFilter { kind, vendor, source, status, ..EntityFilter::default() }
    }

    /// How many inspections a filter lets through; none if it asks for more than the census knows.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self, db: &Readers, filter: &EntityFilter) -> Result<Option<i64>, StoreError> {
        let counts = self.counts(db, filter).await?;
        Ok(counts.map(|counts| counts.values().sum()))
    }

    /// How many of the inspections that a filter lets through are in each group; none if it asks for more than the census
    /// knows.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn counts(&self, db: &Readers, filter: &EntityFilter) -> Result<Option<HashMap<Group, i64>>, StoreError> {
        if !Census::knows(filter) {
            return Ok(None);
        }
        self.refresh(db).await?;
        let all = self.read();
        let mut counts = vec![0; all.groups.len()];
        for group in &all.group {
            if let Some(count) = counts.get_mut(*group as usize) {
                *count += 1;
            }
        }
        let fitting = all.groups.iter().zip(counts).filter(|(group, _)| group.fits(filter));
        Ok(Some(fitting.map(|(group, count)| (group.clone(), count)).collect()))
    }

    /// How many of the inspections first seen in a period are in each group, by the local day on which they were first seen:
    /// counted from 1970-01-01. None if the filter asks for more than the census knows.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn counts_by_day(
        &self,
        db: &Readers,
        filter: &EntityFilter,
        period: Period,
        offsets: &Offsets,
    ) -> Result<Option<BTreeMap<(Group, i64), i64>>, StoreError> {
        if !Census::knows(filter) {
            return Ok(None);
        }
        self.refresh(db).await?;
        let all = self.read();
        let fits: Vec<bool> = all.groups.iter().map(|group| group.fits(filter)).collect();
        let mut counts: HashMap<(u32, i64), i64> = HashMap::new();
        for (_, seen, group) in all.of(period) {
            if fits.get(group as usize) == Some(&true) {
                *counts.entry((group, offsets.day(seen))).or_default() += 1;
            }
        }
        let named = |((group, day), count)| Some(((all.groups.get(group as usize)?.clone(), day), count));
        Ok(Some(counts.into_iter().filter_map(named).collect()))
    }

    /// The inspections first seen in a period, as far as the census can tell which of them a filter lets through.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn cohort(&self, db: &Readers, filter: EntityFilter, period: Period) -> Result<Cohort, StoreError> {
        self.refresh(db).await?;
        let all = self.read();
        let fits: Vec<bool> = all.groups.iter().map(|group| group.fits(&filter)).collect();
        let mut members = all.of(period).filter(|(_, _, group)| fits.get(*group as usize) == Some(&true));
        let Some((first, ..)) = members.next() else {
            return Ok(Cohort { period, filter, numbers: 0..=0, size: 0 });
        };
        let (size, last) = members.fold((1, first), |(size, _), (number, ..)| (size + 1, number));
        drop(all);
        Ok(Cohort { period, filter, numbers: first..=last, size })
    }

    /// Brings it up to date, and says up to where: one statement if nothing was written since, else two. The first time
    /// all inspections are read, part by part; what was read is kept if that is given up.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn refresh(&self, db: &Readers) -> Result<log_head::Model, StoreError> {
        let mut newest = head(db).await?;
        let forgotten = forgotten(db, &newest).await?;
        if self.read().is_at(&newest, forgotten) {
            return Ok(newest);
        }
        let _updating = self.update.lock().await;
        // Others may have gone on meanwhile; else the database was set back.
        if self.read().position > newest.position {
            newest = head(db).await?;
        }
        if self.read().is_at(&newest, forgotten) {
            return Ok(newest);
        }
        self.begin(&newest, forgotten);
        while !self.read().complete {
            let last = self.read().numbers.last().copied().unwrap_or(i64::MIN);
            let rows = after(last).order_by_asc(Column::Number).limit(AT_ONCE);
            let rows = rows.into_model::<Row>().all(db).await?;
            let mut all = self.write();
            all.complete = (rows.len() as u64) < AT_ONCE;
            rows.into_iter().for_each(|row| all.put(row));
        }
        let (position, last) = {
            let all = self.read();
            (all.position, all.numbers.last().copied().unwrap_or(i64::MIN))
        };
        if position < newest.position {
            let changed = change::Entity::find()
                .select_only()
                .column(change::Column::Entity)
                .filter(change::Column::Position.gt(position))
                .filter(change::Column::Kind.eq(Kind::Inspection))
                .filter(change::Column::Entity.is_not_null());
            let known = Column::Number.in_subquery(changed.into_query()).and(Column::Number.lte(last));
            // Two parts, because SQLite finds no index for either of two.
            let rows = select(known).into_query().union(UnionType::All, after(last).into_query()).take();
            let rows = Row::find_by_statement(StatementBuilder::build(&rows, &db.get_database_backend()));
            let mut rows = rows.all(db).await?;
            rows.sort_unstable_by_key(|row| row.number);
            let mut all = self.write();
            rows.into_iter().for_each(|row| all.put(row));
            all.position = newest.position;
        }
        Ok(newest)
    }

    // Of another history nothing is kept. Rows are read after the position is, so they are at least as new.
    fn begin(&self, newest: &log_head::Model, forgotten: i64) {
        let mut all = self.write();
        if all.generation != newest.generation || all.position > newest.position || all.forgotten != forgotten {
            *all = Inspections::default();
        }
        if !all.complete && all.numbers.is_empty() {
            all.forgotten = forgotten;
            all.generation = newest.generation;
            all.position = newest.position;
        }
    }

    // A panic elsewhere leaves nothing half done here.
    fn read(&self) -> RwLockReadGuard<'_, Inspections> {
        self.people.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inspections> {
        self.people.write().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn forgotten(db: &Readers, head: &log_head::Model) -> Result<i64, StoreError> {
    if head.kept_from == 0 {
        return Ok(0);
    }
    let rows = forgotten::Entity::find().select_only().column(forgotten::Column::Received);
    Ok(rows.into_tuple::<i64>().all(db).await?.iter().sum())
}

impl Inspections {
    fn is_at(&self, head: &log_head::Model, forgotten: i64) -> bool {
        let same = self.generation == head.generation && self.position == head.position;
        self.complete && same && self.forgotten == forgotten
    }

    /// Number, when first seen, and group of those first seen in a period.
    fn of(&self, period: Period) -> impl Iterator<Item = (i64, i64, u32)> {
        let micros = period.micros();
        let all = self.numbers.iter().zip(&self.seen).zip(&self.group);
        all.filter(move |((_, seen), _)| micros.contains(seen)).map(|((number, seen), group)| (*number, *seen, *group))
    }

    fn put(&mut self, row: Row) {
        let Row { number, created_at, source, vendor, status } = row;
        let group = self.place(Group { source, vendor, status });
        if self.numbers.last().is_none_or(|last| *last < number) {
            self.numbers.push(number);
            self.seen.push(created_at);
            self.group.push(group);
        } else if let Ok(place) = self.numbers.binary_search(&number)
            && let Some(known) = self.group.get_mut(place)
        {
            *known = group;
        }
    }

    fn place(&mut self, group: Group) -> u32 {
        if let Some(place) = self.places.get(&group) {
            return *place;
        }
        // There are as many as sources have statuses.
        let place = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.groups.push(group.clone());
        self.places.insert(group, place);
        place
    }
}

impl Group {
    fn fits(&self, filter: &EntityFilter) -> bool {
        let among = |words: &Option<Vec<String>>, word| words.as_ref().is_none_or(|words| words.contains(word));
        let in_status = |statuses: &Vec<Status>| self.status.is_some_and(|status| statuses.contains(&status));
        among(&filter.source, &self.source)
            && among(&filter.vendor, &self.vendor)
            && filter.status.as_ref().is_none_or(in_status)
    }
}

// Those with a larger number. Said as a range with two ends, which SQLite's planner takes for a small one.
fn after(last: i64) -> Select<Entity> {
    select(Column::Number.between(last.saturating_add(1), i64::MAX))
}

fn select(which: Expr) -> Select<Entity> {
    let inspections = EntityFilter { kind: Some(Kind::Inspection), ..EntityFilter::default() };
    Entity::find()
        .select_only()
        .columns([Column::Number, Column::CreatedAt, Column::Source, Column::Vendor, Column::Status])
        .filter(inspections.condition())
        .filter(which)
}
