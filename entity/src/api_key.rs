//! An API key: everything but its secret. A row is never deleted, so that a hub that once had a key is never open again.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// 12 hexadecimal digits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// For people.
    pub name: String,
    /// The SHA-256 of the secret, as hexadecimal digits.
    pub digest: String,
    /// The names of its scopes, separated by spaces.
    pub scopes: String,
    /// The sources that it is limited to, as a JSON list; null for all.
    pub sources: Option<String>,
    pub created_at: i64,
    /// The subject that created it.
    pub created_by: String,
    pub expires_at: Option<i64>,
    /// To the minute.
    pub last_used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
