//! Which columns of an entity are read: those that somebody asks for, and the few that every row is handled by.

use crate::store::{Readers, StoreError};
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
    pub number: i64,
    pub id: Uuid,
    pub kind: Kind,
    pub subkind: String,
    pub source: String,
    pub vendor: String,
    pub external_id: String,
    pub parent: Option<i64>,
    pub inspection: Option<i64>,
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
pub struct Wants(u16);

/// Those that every row has.
const ALWAYS: [Column; 4] = [Column::Number, Column::Id, Column::Kind, Column::UpdatedAt];
/// The others, in the order of their bits.
const ASKED: [Column; 16] = [
    Column::Subkind,
    Column::Source,
    Column::Vendor,
    Column::ExternalId,
    Column::Parent,
    Column::Inspection,
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

impl Wants {
    pub const SUBKIND: Wants = Wants(1);
    pub const SOURCE: Wants = Wants(1 << 1);
    pub const VENDOR: Wants = Wants(1 << 2);
    pub const EXTERNAL_ID: Wants = Wants(1 << 3);
    pub const PARENT: Wants = Wants(1 << 4);
    pub const INSPECTION: Wants = Wants(1 << 5);
    pub const REFERENCE: Wants = Wants(1 << 6);
    pub const GROUP: Wants = Wants(1 << 7);
    pub const STATE: Wants = Wants(1 << 8);
    pub const STATUS: Wants = Wants(1 << 9);
    pub const CYCLE: Wants = Wants(1 << 10);
    pub const FACTS: Wants = Wants(1 << 11);
    pub const DETAILS: Wants = Wants(1 << 12);
    pub const CREATED_AT: Wants = Wants(1 << 13);
    pub const OCCURRED_AT: Wants = Wants(1 << 14);
    pub const POSITION: Wants = Wants(1 << 15);
    pub const NOTHING: Wants = Wants(0);
    pub const EVERYTHING: Wants = Wants(u16::MAX);

    fn has(self, other: Wants) -> bool {
        self.0 & other.0 != 0
    }

    /// Where a column stands among those that are read.
    fn place(self, column: Wants) -> usize {
        ALWAYS.len() + (self.0 & (column.0 - 1)).count_ones() as usize
    }
}

impl BitOr for Wants {
    type Output = Wants;

    fn bitor(self, other: Wants) -> Wants {
        Wants(self.0 | other.0)
    }
}

impl FromIterator<Wants> for Wants {
    fn from_iter<T: IntoIterator<Item = Wants>>(all: T) -> Wants {
        all.into_iter().fold(Wants::NOTHING, BitOr::bitor)
    }
}

/// The rows' columns, which stand first in what is selected.
pub fn select(wants: Wants) -> Select<Entity> {
    let asked = ASKED.into_iter().enumerate().filter(|(bit, _)| wants.has(Wants(1 << bit))).map(|(_, column)| column);
    Entity::find().select_only().columns(ALWAYS).columns(asked)
}

/// The rows of what was selected by [`select`] with the same columns.
///
/// # Errors
/// If the database does not answer.
pub async fn read(db: &Readers, rows: Select<Entity>, wants: Wants) -> Result<Vec<EntityRow>, StoreError> {
    let rows = db.query_all_raw(StatementBuilder::build(&rows.into_query(), &db.get_database_backend())).await?;
    Ok(rows.iter().map(|row| EntityRow::of(row, wants)).collect::<Result<_, _>>()?)
}

impl EntityRow {
    /// By the places of the columns: looking for their names takes longer than reading them.
    ///
    /// # Errors
    /// If a column holds what this version does not know.
    pub fn of(row: &QueryResult, wants: Wants) -> Result<EntityRow, DbErr> {
        Ok(EntityRow {
            number: row.try_get_by_index(0)?,
            id: row.try_get_by_index(1)?,
            kind: row.try_get_by_index(2)?,
            updated_at: row.try_get_by_index(3)?,
            subkind: asked(row, wants, Wants::SUBKIND)?,
            source: asked(row, wants, Wants::SOURCE)?,
            vendor: asked(row, wants, Wants::VENDOR)?,
            external_id: asked(row, wants, Wants::EXTERNAL_ID)?,
            parent: asked(row, wants, Wants::PARENT)?,
            inspection: asked(row, wants, Wants::INSPECTION)?,
            reference: asked(row, wants, Wants::REFERENCE)?,
            group_key: asked(row, wants, Wants::GROUP)?,
            state: asked(row, wants, Wants::STATE)?,
            status: asked(row, wants, Wants::STATUS)?,
            cycle: asked(row, wants, Wants::CYCLE)?,
            facts: asked(row, wants, Wants::FACTS)?,
            details: asked(row, wants, Wants::DETAILS)?,
            created_at: asked(row, wants, Wants::CREATED_AT)?,
            occurred_at: asked(row, wants, Wants::OCCURRED_AT)?,
            position: asked(row, wants, Wants::POSITION)?,
        })
    }
}

fn asked<T: TryGetable + Default>(row: &QueryResult, wants: Wants, column: Wants) -> Result<T, DbErr> {
    if wants.has(column) { row.try_get_by_index(wants.place(column)) } else { Ok(T::default()) }
}
