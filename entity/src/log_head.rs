//! The row of counters. Each batch reads and updates it first in its transaction; its lock serializes the writers.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The position of the newest change.
    pub position: i64,
    /// The newest delivery.
    pub last_delivery_row_id: i64,
    /// The newest entity.
    pub last_entity_row_id: i64,
    /// The newest receipt time that was assigned to a delivery; later deliveries never get an earlier one.
    pub received_at: i64,
    /// When the newest batch was written.
    pub updated_at: i64,
    /// Identifies the history: unique to the database, and incremented when the history is replaced. Positions of different
    /// generations cannot be compared.
    pub generation: i64,
    /// The greatest position that was ever purged; 0 if none was. After it, positions have no gaps.
    pub retained_from: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
