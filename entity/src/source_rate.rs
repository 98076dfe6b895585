//! How many webhooks a source received within a minute or an hour, by answer. Not derived from the raw log.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "source_rate")]
pub struct Model {
    /// The length of the interval: 60 or 3600.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seconds: i32,
    /// When it begins, in microseconds: a multiple of its length.
    #[sea_orm(primary_key, auto_increment = false)]
    pub begins_at: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    pub accepted: i64,
    pub duplicates: i64,
    pub quarantined: i64,
    pub not_authenticated: i64,
    pub rate_limited: i64,
    pub unavailable: i64,
    pub rejected: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
