//! An entity that was removed. Deliveries that are kept may name it without having changed it; derived anew, they must not
//! make it known again.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tombstone")]
pub struct Model {
    /// Its public id, which is a hash.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The newest delivery when it was removed: what names it after that one made it known anew.
    pub last_delivery_row_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
