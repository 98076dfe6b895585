//! A place in the raw log where deliveries were purged: the counters before the delivery that follows, so that a replay
//! assigns the same numbers. Never changed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_gap")]
pub struct Model {
    /// The delivery that follows.
    #[sea_orm(primary_key, auto_increment = false)]
    pub next_delivery_row_id: i64,
    /// The newest position before it.
    pub last_position: i64,
    /// The newest entity before it.
    pub last_entity_row_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
