//! Counts the changes of API keys, and those of browser sessions, in a row each, so that each process sees by one small statement
//! whether it must read them again.

use sea_orm::entity::prelude::*;

/// The row that counts changes of API keys.
pub const API_KEYS: i64 = 1;
/// The row that counts changes of browser sessions.
pub const BROWSER_SESSIONS: i64 = 2;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "access_version")]
pub struct Model {
    /// [`API_KEYS`] or [`BROWSER_SESSIONS`].
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
