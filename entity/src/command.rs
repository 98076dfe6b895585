//! One act of a person or program, as a record of the raw log: commands take their numbers from the counter of deliveries, so that both
//! are replayed in one order. Rows are only added.

use crate::CommandKind;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "command")]
pub struct Model {
    /// No delivery has the same number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub row_id: i64,
    pub kind: CommandKind,
    /// The source of the entity that it is about.
    pub source: String,
    pub vendor: String,
    /// When the hub accepted it.
    pub received_at: i64,
    /// The entity that it is about; null in a replay if that was purged.
    pub entity_row_id: Option<i64>,
    /// Another entity that it names: the inspection of a link.
    pub target_row_id: Option<i64>,
    /// The subject of the principal that acted.
    pub actor: String,
    /// Why, in the words of the actor.
    pub reason: Option<String>,
    /// What was asked for: JSON.
    pub input: String,
    /// The positions of its changes are `first_position .. first_position + change_count`.
    pub first_position: i64,
    pub change_count: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
