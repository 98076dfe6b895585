//! Per source: the ledger's counts of purged deliveries. The ledger is the sum of these and of what is stored.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purged_ledger")]
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
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
