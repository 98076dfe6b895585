//! Per source: how many deliveries were received, and with which verdict. `received` is the sum of all other counts.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    pub received: i64,
    pub duplicates: i64,
    pub applied: i64,
    pub skipped_ahead: i64,
    pub unexpected: i64,
    pub stale: i64,
    pub refused: i64,
    pub no_change: i64,
    pub unrecognized: i64,
    pub unreadable: i64,
    pub orphaned: i64,
    pub received_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
