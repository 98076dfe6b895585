//! A purged entity. Retained deliveries may name it without having changed it; a replay must not create it again.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tombstone")]
pub struct Model {
    /// Its public id, which is a hash.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The newest delivery at the time of the purge. A later delivery that names the entity creates it again.
    pub last_delivery_row_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
