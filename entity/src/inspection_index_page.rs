//! A page of the saved inspection index: what some thousand consecutive inspections are counted by.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inspection_index_page")]
pub struct Model {
    /// Counted from 0. All pages but the last are full.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// JSON, as `store::inspection_index` writes it.
    pub content: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
