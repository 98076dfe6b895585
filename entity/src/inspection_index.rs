//! The row that says what the saved inspection index corresponds to. Its content is in `inspection_index_page`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inspection_index")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The generation of the history.
    pub generation: i64,
    /// The position up to which the pages contain every change.
    pub position: i64,
    /// How many deliveries were purged by then.
    pub purged: i64,
    /// The number of inspections in the pages.
    pub inspections: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
