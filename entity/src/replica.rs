//! A running process of the hub: it writes its row every few seconds. Not derived from the raw log.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "replica")]
pub struct Model {
    /// Random, for each start.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub version: String,
    pub started_at: i64,
    /// When it last wrote this row, by its own clock.
    pub seen_at: i64,
    pub settings_digest: String,
    /// At that time: how many changes it had yet to publish to its subscribers.
    pub feed_lag: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
