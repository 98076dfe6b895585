//! What is stored of one row of history: numbers, the number of its type, and any text that does not repeat. The view
//! [`change`](crate::change) adds the words.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "change_row")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    /// The row of `change_type` that has the other columns.
    pub type_id: i64,
    pub entity_row_id: Option<i64>,
    pub inspection_row_id: Option<i64>,
    pub delivery_row_id: Option<i64>,
    /// Null unless a command made the change.
    pub command_row_id: Option<i64>,
    pub received_at: i64,
    pub occurred_at: Option<i64>,
    pub dedup_key: Option<i64>,
    pub previous_step: Option<i64>,
    pub cycle: i32,
    /// Null if the row is no step of the fold.
    pub order_cycle: Option<i32>,
    /// The event, if it is any text and not the name of an event. Else the type has it.
    pub event: Option<String>,
    /// The parameters of the reason, if they are a text or a number that hardly repeats. Else the type has them.
    pub reason_params: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
