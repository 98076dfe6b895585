//! One row that counts. It is read first and updated in every batch's transaction, and its lock puts writers in line.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The newest position given to a change.
    pub position: i64,
    /// The newest number given to a delivery.
    pub last_delivery_row_id: i64,
    /// The newest number given to an entity.
    pub last_entity_row_id: i64,
    /// The newest time of receipt that a delivery was given: none after it is given an earlier one.
    pub received_at: i64,
    /// When the newest batch was written.
    pub updated_at: i64,
    /// Which history this is: a number of its own for each database, and one more each time the history was replaced by
    /// another. Positions of different generations do not compare.
    pub generation: i64,
    /// The greatest position that was ever removed; 0 if none was. After it, positions have no holes.
    pub retained_from: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
