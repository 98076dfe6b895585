//! What belongs together, and whether it can go.

use super::{KEYS, MOST};
use crate::machine::Subject;
use crate::store::StoreError;
use crate::store::read::FINAL;
use crate::vendor;
use entity::entity::{Column, Entity};
use entity::{Kind, Status, change, delivery};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{BTreeMap, BTreeSet};

/// Entities that belong together, and all deliveries that changed any of them; or several such lives.
#[derive(Debug, Default)]
pub struct Life {
    /// The public ids, by number.
    pub entities: BTreeMap<i64, Uuid>,
    /// By number.
    pub deliveries: BTreeMap<i64, Brought>,
    /// Those of the entities from which it could have been found.
    pub roots: Vec<i64>,
}

/// The history that a delivery has brought.
#[derive(Clone, Copy, Debug)]
pub struct Brought {
    pub first: i64,
    pub changes: i32,
}

impl Brought {
    pub fn positions(self) -> std::ops::Range<i64> {
        self.first..self.first + i64::from(self.changes)
    }
}

/// What is true of what belongs together.
#[derive(Debug)]
pub enum Found {
    /// It is at an end, and nothing was heard of it for long enough.
    AtRest(Life),
    /// It is not at an end.
    Open,
    /// Something of it is newer.
    InUse,
    /// It has too many rows.
    Large,
    /// It is not there.
    Gone,
}

#[derive(Debug, FromQueryResult)]
struct Member {
    number: i64,
    id: Uuid,
    kind: Kind,
    vendor: String,
    status: Option<Status>,
    parent: Option<i64>,
    inspection: Option<i64>,
    updated_at: i64,
}

impl Member {
    fn is_root(&self) -> bool {
        match self.kind {
            Kind::Inspection => true,
            Kind::Job if self.is_of_its_own() => true,
            _ => self.inspection.is_none() && self.parent.is_none(),
        }
    }

    // Where a vendor has no inspections, a job is a life of its own, also if it hangs on something: an account has runs for
    // as long as it is connected.
    fn is_of_its_own(&self) -> bool {
        self.kind == Kind::Job && without_inspections().any(|vendor| vendor == self.vendor)
    }

    // What has no status has no end either. An orphan's is with what it belongs to, which nobody knows.
    fn is_open(&self) -> bool {
        let judged = self.kind == Kind::Inspection || self.is_of_its_own();
        judged && self.status.is_some_and(|status| !FINAL.contains(&status))
    }

    // What it is a part of.
    fn whole(&self) -> impl Iterator<Item = i64> {
        let parent = self.parent.filter(|_| !self.is_of_its_own());
        let inspection = self.inspection.filter(|inspection| *inspection != self.number);
        parent.into_iter().chain(inspection)
    }
}

/// The names of the vendors that have none.
pub fn without_inspections() -> impl Iterator<Item = &'static str> {
    vendor::ALL.iter().filter(|vendor| vendor.machine(Subject::Inspection).is_none()).map(|vendor| vendor.name)
}

/// All that belongs together with an entity.
///
/// # Errors
/// If the database does not answer.
pub async fn of(db: &DatabaseConnection, root: i64, before: i64) -> Result<Found, StoreError> {
    let newest = crate::store::raw::newest(db).await?;
    let mut life = Life::default();
    let mut told: BTreeSet<i64> = BTreeSet::new();
    let mut open = false;
    let mut todo = BTreeSet::from([root]);
    while !todo.is_empty() {
        let numbers: Vec<i64> = std::mem::take(&mut todo).into_iter().collect();
        for numbers in numbers.chunks(KEYS) {
            let members = members(db, numbers).await?;
            if members.len() != numbers.len() {
                return Ok(Found::Gone);
            }
            for member in members {
                if member.updated_at >= before {
                    return Ok(Found::InUse);
                }
                open |= member.is_open();
                todo.extend(member.whole());
                if member.is_root() {
                    life.roots.push(member.number);
                }
                life.entities.insert(member.number, member.id);
            }
            todo.extend(parts(db, numbers).await?);
            let changes: Vec<(i64, i64, i64)> = change::Entity::find()
                .select_only()
                .columns([change::Column::Position, change::Column::Delivery, change::Column::ReceivedAt])
                .filter(change::Column::Entity.is_in(numbers.iter().copied()))
                .order_by_desc(change::Column::Position)
                .limit(MOST as u64 + 1)
                .into_tuple()
                .all(db)
                .await?;
            if changes.iter().any(|(_, _, received_at)| *received_at >= before) {
                return Ok(Found::InUse);
            }
            told.extend(changes.iter().map(|(position, ..)| *position));
            if told.len() > MOST {
                return Ok(Found::Large);
            }
            let more: BTreeSet<i64> = changes.iter().map(|(_, delivery, _)| *delivery).collect();
            let more: Vec<i64> = more.into_iter().filter(|number| !life.deliveries.contains_key(number)).collect();
            if more.last() == Some(&newest) || !brought(db, &more, before, &mut life).await? {
                return Ok(Found::InUse);
            }
            let positions = more.iter().filter_map(|number| life.deliveries.get(number)).flat_map(|b| b.positions());
            let others: Vec<i64> = positions.filter(|position| !told.contains(position)).collect();
            todo.extend(about(db, &others).await?);
        }
        todo.retain(|number| !life.entities.contains_key(number));
        if life.rows() > MOST {
            return Ok(Found::Large);
        }
    }
    Ok(if open { Found::Open } else { Found::AtRest(life) })
}

async fn members(db: &DatabaseConnection, numbers: &[i64]) -> Result<Vec<Member>, StoreError> {
    use Column::{Id, Inspection, Number, Parent, Status, UpdatedAt, Vendor};
    let rows = Entity::find()
        .select_only()
        .columns([Number, Id, Column::Kind, Vendor, Status, Parent, Inspection, UpdatedAt])
        .filter(Number.is_in(numbers.iter().copied()));
    Ok(rows.into_model().all(db).await?)
}

// What hangs on these.
async fn parts(db: &DatabaseConnection, numbers: &[i64]) -> Result<Vec<i64>, StoreError> {
    let mut parts = Vec::new();
    for link in [Column::Parent, Column::Inspection] {
        let rows = Entity::find().select_only().column(Column::Number).filter(link.is_in(numbers.iter().copied()));
        parts.extend(rows.limit(MOST as u64 + 1).into_tuple::<i64>().all(db).await?);
    }
    Ok(parts)
}

// Adds these deliveries, unless one of them came again since.
async fn brought(db: &DatabaseConnection, numbers: &[i64], before: i64, life: &mut Life) -> Result<bool, StoreError> {
    use delivery::Column::{Changes, DuplicateAt, FirstPosition, Number};
    for numbers in numbers.chunks(KEYS) {
        let rows = delivery::Entity::find()
            .select_only()
            .columns([Number, FirstPosition, Changes, DuplicateAt])
            .filter(Number.is_in(numbers.iter().copied()));
        let rows: Vec<(i64, i64, i32, Option<i64>)> = rows.into_tuple().all(db).await?;
        if rows.iter().any(|(.., again)| again.is_some_and(|at| at >= before)) {
            return Ok(false);
        }
        let rows = rows.into_iter().map(|(number, first, changes, _)| (number, Brought { first, changes }));
        life.deliveries.extend(rows);
    }
    Ok(true)
}

// What rows of history are about.
async fn about(db: &DatabaseConnection, positions: &[i64]) -> Result<BTreeSet<i64>, StoreError> {
    let mut entities = BTreeSet::new();
    for positions in positions.chunks(KEYS) {
        let rows = change::Entity::find()
            .select_only()
            .column(change::Column::Entity)
            .filter(change::Column::Position.is_in(positions.iter().copied()))
            .filter(change::Column::Entity.is_not_null());
        entities.extend(rows.into_tuple::<i64>().all(db).await?);
    }
    Ok(entities)
}

impl Life {
    /// Rows of the large tables, without the steps that are put together.
    pub fn rows(&self) -> usize {
        self.entities.len() + self.deliveries.len() + self.changes()
    }

    /// Rows of history.
    pub fn changes(&self) -> usize {
        self.deliveries.values().map(|brought| usize::try_from(brought.changes).unwrap_or_default()).sum()
    }

    /// Adds another.
    pub fn join(&mut self, other: Life) {
        self.entities.extend(other.entities);
        self.deliveries.extend(other.deliveries);
        self.roots.extend(other.roots);
    }
}
