//! Column projection: selects the columns of an entity that a query needs, and the few that every row needs.

use crate::store::{ReadPool, StoreError};
use entity::entity::{Column, Entity};
use entity::{Kind, Status};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryResult, QuerySelect, QueryTrait, Select, TryGetable};
use std::ops::BitOr;

/// A set of columns, beside those that every row has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityProjection(u32);

/// The columns that every row has.
const REQUIRED_COLUMNS: [Column; 4] = [Column::RowId, Column::Id, Column::Kind, Column::UpdatedAt];

/// Declares the row, and its other columns: the name of the projection, the column, and the field of [`EntityRow`].
macro_rules! optional_columns {
    ($($name:ident = $column:ident -> $field:ident: $type:ty,)+) => {
        /// An entity's row, without the writer's columns. A column that was not selected is empty, 0 or none.
        #[derive(Clone, Debug)]
        pub struct EntityRow {
            pub row_id: i64,
            pub id: Uuid,
            pub kind: Kind,
            pub updated_at: i64,
            $(pub $field: $type,)+
        }

        /// The bit of each column.
        enum Bit {
            $($column),+
        }

        /// In the order of their bits.
        const OPTIONAL_COLUMNS: &[Column] = &[$(Column::$column),+];

        impl EntityProjection {
            $(pub const $name: EntityProjection = EntityProjection(1 << Bit::$column as u32);)+
        }

        impl EntityRow {
            /// Reads columns by index: looking up their names takes longer than reading them. Fails if a column holds a
            /// value that this version does not know.
            pub fn from_row(row: &QueryResult, projection: EntityProjection) -> Result<EntityRow, DbErr> {
                Ok(EntityRow {
                    row_id: row.try_get_by_index(0)?,
                    id: row.try_get_by_index(1)?,
                    kind: row.try_get_by_index(2)?,
                    updated_at: row.try_get_by_index(3)?,
                    $($field: optional_column(row, projection, EntityProjection::$name)?,)+
                })
            }
        }
    };
}

optional_columns! {
    SUBKIND = Subkind -> subkind: String,
    SOURCE = Source -> source: String,
    VENDOR = Vendor -> vendor: String,
    EXTERNAL_ID = ExternalId -> external_id: String,
    PARENT = ParentRowId -> parent_row_id: Option<i64>,
    INSPECTION = InspectionRowId -> inspection_row_id: Option<i64>,
    HAND_LINK = HandLinkedRowId -> hand_linked_row_id: Option<i64>,
    VENDOR_REFERENCE = Reference -> reference: Option<String>,
    CUSTOMER_REFERENCE = CustomerReference -> customer_reference: Option<String>,
    LABELS = Labels -> labels: Option<String>,
    DUE_AT = DueAt -> due_at: Option<i64>,
    REGISTERED_AT = RegisteredAt -> registered_at: Option<i64>,
    GROUP = GroupKey -> group_key: Option<String>,
    STATE = State -> state: Option<String>,
    STATUS = Status -> status: Option<Status>,
    CYCLE = Cycle -> cycle: i32,
    FACTS = Facts -> facts: Option<String>,
    DETAILS = Details -> details: Option<String>,
    CREATED_AT = CreatedAt -> created_at: i64,
    OCCURRED_AT = OccurredAt -> occurred_at: Option<i64>,
    POSITION = Position -> position: i64,
}

impl EntityProjection {
    pub const EMPTY: EntityProjection = EntityProjection(0);
    pub const ALL: EntityProjection = EntityProjection(u32::MAX);

    /// The customer's own key: as it was set by hand, else as the vendor reports it.
    pub const REFERENCE: EntityProjection =
        EntityProjection(EntityProjection::VENDOR_REFERENCE.0 | EntityProjection::CUSTOMER_REFERENCE.0);

    fn intersects(self, other: EntityProjection) -> bool {
        self.0 & other.0 != 0
    }

    /// The index of a column among those selected.
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

/// Selects the columns, which come first in the row.
pub fn select_columns(projection: EntityProjection) -> Select<Entity> {
    let optional = OPTIONAL_COLUMNS.iter().enumerate();
    let selected = optional.filter(|(bit, _)| projection.intersects(EntityProjection(1 << bit)));
    Entity::find().select_only().columns(REQUIRED_COLUMNS).columns(selected.map(|(_, column)| *column))
}

/// The rows of a query that begins with [`select_columns`] of the same projection.
pub async fn fetch_rows(
    db: &ReadPool,
    rows: Select<Entity>,
    projection: EntityProjection,
) -> Result<Vec<EntityRow>, StoreError> {
    let rows = db.query_all(&rows.into_query()).await?;
    Ok(rows.iter().map(|row| EntityRow::from_row(row, projection)).collect::<Result<_, _>>()?)
}

fn optional_column<T: TryGetable + Default>(
    row: &QueryResult,
    projection: EntityProjection,
    column: EntityProjection,
) -> Result<T, DbErr> {
    if projection.intersects(column) { row.try_get_by_index(projection.index_of(column)) } else { Ok(T::default()) }
}
