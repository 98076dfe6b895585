//! Which columns of an entity are read: those that somebody asks for, and the few that every row is handled by.

use crate::store::{ReadPool, StoreError};
use entity::entity::{Column, Entity};
use entity::{Kind, Status};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, QueryResult, QuerySelect, QueryTrait, Select, StatementBuilder, TryGetable,
};
use std::ops::BitOr;

/// An entity's row, without what only the writer needs. What was not asked for is empty, 0 or none.
#[derive(Clone, Debug)]
pub struct EntityRow {
    pub row_id: i64,
    pub id: Uuid,
    pub kind: Kind,
    pub subkind: String,
    pub source: String,
    pub vendor: String,
    pub external_id: String,
    pub parent_row_id: Option<i64>,
    pub inspection_row_id: Option<i64>,
    pub reference: Option<String>,
    pub group_key: Option<String>,
    pub state: Option<String>,
    pub status: Option<Status>,
    pub cycle: i32,
    pub facts: Option<String>,
    pub details: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub occurred_at: Option<i64>,
    pub position: i64,
}

/// A set of columns, beside those that every row has: number, id, kind and the time of the newest news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityProjection(u16);

/// Those that every row has.
const REQUIRED_COLUMNS: [Column; 4] = [Column::RowId, Column::Id, Column::Kind, Column::UpdatedAt];
/// The others, in the order of their bits.
const OPTIONAL_COLUMNS: [Column; 16] = [
    Column::Subkind,
    Column::Source,
    Column::Vendor,
    Column::ExternalId,
    Column::ParentRowId,
    Column::InspectionRowId,
    Column::Reference,
    Column::GroupKey,
    Column::State,
    Column::Status,
    Column::Cycle,
    Column::Facts,
    Column::Details,
    Column::CreatedAt,
    Column::OccurredAt,
    Column::Position,
];

impl EntityProjection {
    pub const SUBKIND: EntityProjection = EntityProjection(1);
    pub const SOURCE: EntityProjection = EntityProjection(1 << 1);
    pub const VENDOR: EntityProjection = EntityProjection(1 << 2);
    pub const EXTERNAL_ID: EntityProjection = EntityProjection(1 << 3);
    pub const PARENT: EntityProjection = EntityProjection(1 << 4);
    pub const INSPECTION: EntityProjection = EntityProjection(1 << 5);
    pub const REFERENCE: EntityProjection = EntityProjection(1 << 6);
    pub const GROUP: EntityProjection = EntityProjection(1 << 7);
    pub const STATE: EntityProjection = EntityProjection(1 << 8);
    pub const STATUS: EntityProjection = EntityProjection(1 << 9);
    pub const CYCLE: EntityProjection = EntityProjection(1 << 10);
    pub const FACTS: EntityProjection = EntityProjection(1 << 11);
    pub const DETAILS: EntityProjection = EntityProjection(1 << 12);
    pub const CREATED_AT: EntityProjection = EntityProjection(1 << 13);
    pub const OCCURRED_AT: EntityProjection = EntityProjection(1 << 14);
    pub const POSITION: EntityProjection = EntityProjection(1 << 15);
    pub const EMPTY: EntityProjection = EntityProjection(0);
    pub const ALL: EntityProjection = EntityProjection(u16::MAX);

    fn intersects(self, other: EntityProjection) -> bool {
        self.0 & other.0 != 0
    }

    /// Where a column stands among those that are read.
    fn index_of(self, column: EntityProjection) -> usize {
        REQUIRED_COLUMNS.len() + (self.0 & (column.0 - 1)).count_ones() as usize
    }
}

impl BitOr for EntityProjection {
    type Output = EntityProjection;

    fn bitor(self, other: EntityProjection) -> EntityProjection {
        EntityProjection(self.0 | other.0)
    }
}

impl FromIterator<EntityProjection> for EntityProjection {
    fn from_iter<T: IntoIterator<Item = EntityProjection>>(all: T) -> EntityProjection {
        all.into_iter().fold(EntityProjection::EMPTY, BitOr::bitor)
    }
}

/// The rows' columns, which stand first in what is selected.
pub fn select_columns(projection: EntityProjection) -> Select<Entity> {
    let asked = OPTIONAL_COLUMNS
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| projection.intersects(EntityProjection(1 << bit)))
        .map(|(_, column)| column);
    Entity::find().select_only().columns(REQUIRED_COLUMNS).columns(asked)
}

/// The rows of what was selected by [`select`] with the same columns.
///
/// # Errors
/// If the database does not answer.
pub async fn fetch_rows(
    db: &ReadPool,
    rows: Select<Entity>,
    projection: EntityProjection,
) -> Result<Vec<EntityRow>, StoreError> {
    let rows = db.query_all_raw(StatementBuilder::build(&rows.into_query(), &db.get_database_backend())).await?;
    Ok(rows.iter().map(|row| EntityRow::from_row(row, projection)).collect::<Result<_, _>>()?)
}

impl EntityRow {
    /// By the places of the columns: looking for their names takes longer than reading them.
    ///
    /// # Errors
    /// If a column holds what this version does not know.
    pub fn from_row(row: &QueryResult, projection: EntityProjection) -> Result<EntityRow, DbErr> {
        Ok(EntityRow {
            row_id: row.try_get_by_index(0)?,
            id: row.try_get_by_index(1)?,
            kind: row.try_get_by_index(2)?,
            updated_at: row.try_get_by_index(3)?,
            subkind: optional_column(row, projection, EntityProjection::SUBKIND)?,
            source: optional_column(row, projection, EntityProjection::SOURCE)?,
            vendor: optional_column(row, projection, EntityProjection::VENDOR)?,
            external_id: optional_column(row, projection, EntityProjection::EXTERNAL_ID)?,
            parent_row_id: optional_column(row, projection, EntityProjection::PARENT)?,
            inspection_row_id: optional_column(row, projection, EntityProjection::INSPECTION)?,
            reference: optional_column(row, projection, EntityProjection::REFERENCE)?,
            group_key: optional_column(row, projection, EntityProjection::GROUP)?,
            state: optional_column(row, projection, EntityProjection::STATE)?,
            status: optional_column(row, projection, EntityProjection::STATUS)?,
            cycle: optional_column(row, projection, EntityProjection::CYCLE)?,
            facts: optional_column(row, projection, EntityProjection::FACTS)?,
            details: optional_column(row, projection, EntityProjection::DETAILS)?,
            created_at: optional_column(row, projection, EntityProjection::CREATED_AT)?,
            occurred_at: optional_column(row, projection, EntityProjection::OCCURRED_AT)?,
            position: optional_column(row, projection, EntityProjection::POSITION)?,
        })
    }
}

fn optional_column<T: TryGetable + Default>(
    row: &QueryResult,
    projection: EntityProjection,
    column: EntityProjection,
) -> Result<T, DbErr> {
    if projection.intersects(column) { row.try_get_by_index(projection.index_of(column)) } else { Ok(T::default()) }
}
