//! Gathers what belongs together, and decides whether it may be purged.

use super::purge::{KEYS_PER_STATEMENT, MAX_UNIT_ROWS};
use crate::machine::EntityType;
use crate::rebuild::raw_log;
use crate::store::StoreError;
use crate::store::read::FINAL_STATUSES;
use crate::vendor;
use entity::entity::{Column, Entity};
use entity::{Kind, Status, change_row, command, delivery};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{ColumnTrait, DatabaseConnection, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Entities that belong together with all deliveries that changed any of them; or several such units.
#[derive(Debug, Default)]
pub struct PurgeUnit {
    /// Public ids by row id.
    pub entities: BTreeMap<i64, Uuid>,
    /// The positions of each delivery's changes, by its row id.
    pub deliveries: BTreeMap<i64, Range<i64>>,
    /// The same for commands about these entities.
    pub commands: BTreeMap<i64, Range<i64>>,
    /// The entities from which the unit can be found.
    pub roots: Vec<i64>,
}

/// Whether a unit may be purged.
#[derive(Debug)]
pub enum Eligibility {
    /// It is finished, and old enough.
    Eligible(PurgeUnit),
    /// It is not finished.
    Open,
    /// Something of it is newer.
    TooRecent,
    /// It has too many rows.
    TooLarge,
    /// It no longer exists.
    Missing,
}

#[derive(Debug, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
struct Member {
    row_id: i64,
    id: Uuid,
    kind: Kind,
    vendor: String,
    status: Option<Status>,
    parent_row_id: Option<i64>,
    inspection_row_id: Option<i64>,
    vendor_inspection_row_id: Option<i64>,
    updated_at: i64,
}

impl Member {
    fn is_root(&self) -> bool {
        match self.kind {
            Kind::Inspection => true,
            Kind::Job if self.is_standalone() => true,
            _ => self.inspection_row_id.is_none() && self.parent_row_id.is_none(),
        }
    }

    // Where a vendor has no inspections, a job is a unit of its own even if it has a parent: an account has runs for as long
    // as it is connected.
    fn is_standalone(&self) -> bool {
        self.kind == Kind::Job && vendors_without_inspections().any(|vendor| vendor == self.vendor)
    }

    // An entity without a status cannot finish. An orphan finishes with its inspection, which is unknown.
    fn is_open(&self) -> bool {
        let judged = self.kind == Kind::Inspection || self.is_standalone();
        judged && self.status.is_some_and(|status| !FINAL_STATUSES.contains(&status))
    }

    // The entities that it is a part of.
    fn owners(&self) -> impl Iterator<Item = i64> {
        let parent = self.parent_row_id.filter(|_| !self.is_standalone());
        let inspection = self.inspection_row_id.filter(|inspection| *inspection != self.row_id);
        // A link by hand hides this one, which rows of history refer to.
        parent.into_iter().chain(inspection).chain(self.vendor_inspection_row_id)
    }
}

/// The names of the vendors that have no inspections.
pub fn vendors_without_inspections() -> impl Iterator<Item = &'static str> {
    vendor::ALL.iter().filter(|vendor| vendor.machine(EntityType::Inspection).is_none()).map(|vendor| vendor.name)
}

/// Gathers everything that belongs together with an entity.
pub async fn gather_unit(db: &DatabaseConnection, root: i64, before: i64) -> Result<Eligibility, StoreError> {
    let newest = raw_log::newest_record(db).await?;
    let mut unit = PurgeUnit::default();
    let mut positions_seen: BTreeSet<i64> = BTreeSet::new();
    let mut open = false;
    let mut todo = BTreeSet::from([root]);
    while !todo.is_empty() {
        let numbers: Vec<i64> = std::mem::take(&mut todo).into_iter().collect();
        for numbers in numbers.chunks(KEYS_PER_STATEMENT) {
            let members = Entity::find().filter(Column::RowId.is_in(numbers.iter().copied()));
            let members: Vec<Member> = members.into_partial_model().all(db).await?;
            if members.len() != numbers.len() {
                return Ok(Eligibility::Missing);
            }
            for member in members {
                if member.updated_at >= before {
                    return Ok(Eligibility::TooRecent);
                }
                open |= member.is_open();
                todo.extend(member.owners());
                if member.is_root() {
                    unit.roots.push(member.row_id);
                }
                unit.entities.insert(member.row_id, member.id);
            }
            todo.extend(children_of(db, numbers).await?);
            let changes: Vec<(i64, Option<i64>, Option<i64>, i64)> = change_row::Entity::find()
                .select_only()
                .columns([
                    change_row::Column::Position,
                    change_row::Column::DeliveryRowId,
                    change_row::Column::CommandRowId,
                    change_row::Column::ReceivedAt,
                ])
                .filter(change_row::Column::EntityRowId.is_in(numbers.iter().copied()))
                .order_by_desc(change_row::Column::Position)
                .limit(MAX_UNIT_ROWS as u64 + 1)
                .into_tuple()
                .all(db)
                .await?;
            if changes.iter().any(|(.., received_at)| *received_at >= before) {
                return Ok(Eligibility::TooRecent);
            }
            positions_seen.extend(changes.iter().map(|(position, ..)| *position));
            if positions_seen.len() > MAX_UNIT_ROWS {
                return Ok(Eligibility::TooLarge);
            }
            let commands = commands_about(db, numbers).await?;
            let more: BTreeSet<i64> = changes.iter().filter_map(|(_, delivery, ..)| *delivery).collect();
            let more: Vec<i64> = more.into_iter().filter(|row_id| !unit.deliveries.contains_key(row_id)).collect();
            if [more.last(), commands.keys().next_back()].contains(&Some(&newest))
                || !add_deliveries(db, &more, before, &mut unit).await?
            {
                return Ok(Eligibility::TooRecent);
            }
            for (row_id, (positions, named)) in commands {
                unit.commands.insert(row_id, positions);
                todo.extend(named);
            }
            let positions = more.iter().filter_map(|row_id| unit.deliveries.get(row_id)).flat_map(Range::clone);
            let others: Vec<i64> = positions.filter(|position| !positions_seen.contains(position)).collect();
            todo.extend(raw_log::entities_changed_at(db, &others).await?);
        }
        todo.retain(|row_id| !unit.entities.contains_key(row_id));
        if unit.rows() > MAX_UNIT_ROWS {
            return Ok(Eligibility::TooLarge);
        }
    }
    Ok(if open { Eligibility::Open } else { Eligibility::Eligible(unit) })
}

// The entities that belong to these.
async fn children_of(db: &DatabaseConnection, numbers: &[i64]) -> Result<Vec<i64>, StoreError> {
    let mut parts = Vec::new();
    for link in [Column::ParentRowId, Column::InspectionRowId, Column::VendorInspectionRowId] {
        let rows = Entity::find().select_only().column(Column::RowId).filter(link.is_in(numbers.iter().copied()));
        parts.extend(rows.limit(MAX_UNIT_ROWS as u64 + 1).into_tuple::<i64>().all(db).await?);
    }
    Ok(parts)
}

/// The positions of a command's changes, and the entities that it names.
type NamingCommand = (Range<i64>, Vec<i64>);

// The commands that name these entities.
async fn commands_about(db: &DatabaseConnection, entities: &[i64]) -> Result<BTreeMap<i64, NamingCommand>, StoreError> {
    use command::Column::{ChangeCount, EntityRowId, FirstPosition, RowId, TargetRowId};
    let mut commands = BTreeMap::new();
    for column in [EntityRowId, TargetRowId] {
        let columns = [RowId, FirstPosition, EntityRowId, TargetRowId, ChangeCount];
        let rows = command::Entity::find().select_only().columns(columns);
        let rows = rows.filter(column.is_in(entities.iter().copied())).limit(MAX_UNIT_ROWS as u64 + 1);
        for (row_id, first, entity, target, changes) in
            rows.into_tuple::<(i64, i64, Option<i64>, Option<i64>, i32)>().all(db).await?
        {
            let named = entity.into_iter().chain(target).collect();
            commands.insert(row_id, (first..first + i64::from(changes), named));
        }
    }
    Ok(commands)
}

// Adds these deliveries, unless one of them has been received again since.
async fn add_deliveries(
    db: &DatabaseConnection,
    numbers: &[i64],
    before: i64,
    unit: &mut PurgeUnit,
) -> Result<bool, StoreError> {
    use delivery::Column::{ChangeCount, FirstPosition, LastDuplicateAt, RowId};
    for numbers in numbers.chunks(KEYS_PER_STATEMENT) {
        let rows = delivery::Entity::find()
            .select_only()
            .columns([RowId, FirstPosition, ChangeCount, LastDuplicateAt])
            .filter(RowId.is_in(numbers.iter().copied()));
        let rows: Vec<(i64, i64, i32, Option<i64>)> = rows.into_tuple().all(db).await?;
        if rows.iter().any(|(.., last_duplicate_at)| last_duplicate_at.is_some_and(|at| at >= before)) {
            return Ok(false);
        }
        let rows = rows.into_iter().map(|(row_id, first, changes, _)| (row_id, first..first + i64::from(changes)));
        unit.deliveries.extend(rows);
    }
    Ok(true)
}

impl PurgeUnit {
    /// The number of rows, not counting steps.
    pub fn rows(&self) -> usize {
        self.entities.len() + self.deliveries.len() + self.commands.len() + self.changes()
    }

    /// The records of the raw log, with the positions of their changes.
    pub fn records(&self) -> BTreeMap<i64, Range<i64>> {
        self.deliveries.iter().chain(&self.commands).map(|(row_id, positions)| (*row_id, positions.clone())).collect()
    }

    /// The number of changes.
    pub fn changes(&self) -> usize {
        self.deliveries.values().chain(self.commands.values()).cloned().map(Iterator::count).sum()
    }

    /// Adds another.
    pub fn merge(&mut self, other: PurgeUnit) {
        self.entities.extend(other.entities);
        self.deliveries.extend(other.deliveries);
        self.commands.extend(other.commands);
        self.roots.extend(other.roots);
    }
}
